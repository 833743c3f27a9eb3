package station

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tongka/clearing/day"
)

// Order is what a person tells the station to do with one file.
type Order struct {
	What string   // number or name
	Why  string   // for its history
	Date day.Date // retry: it is of this day
}

// Retry has a file looked at again, also one that was set aside.
func (s *Station) Retry(ctx context.Context, o Order) (*File, error) {
	f, err := s.Find(o.What)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]State{Failed, Quarantined, Verified}, f.State) {
		return nil, fmt.Errorf("%s 处于 %s，不可重试 · is %s and cannot be tried again", f.Name, f.State.Words().ZH, f.State)
	}
	err = s.change(f.ID, f.State, func(_ *store, b *batch, f *File) error {
		if f.Number != "" {
			b.drop(numberKey(f))
		}
		was := f.auditState()
		f.Date, f.Tries, f.Next, f.Number = o.Date, 0, 0, ""
		f.move(Received, s.o.By, s.o.Now(), o.Why)
		if err := s.audit(Act{Do: "files-retry", What: f.auditName(), Before: was, After: f.auditState(), Why: o.Why}); err != nil {
			return err
		}
		return s.bring(f, s.path("spool", f.stem()))
	})
	if err != nil {
		return nil, err
	}
	if f, err = s.Find(fmt.Sprint(f.ID)); err != nil {
		return nil, err
	}
	if err := s.further(ctx, f); err != nil {
		return nil, err
	}
	return s.Find(fmt.Sprint(f.ID))
}

// Reject turns a file down for good. Its bytes go aside, its name and number are
// free.
func (s *Station) Reject(o Order) (*File, error) {
	f, err := s.Find(o.What)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(moves[f.State], Rejected) {
		return nil, fmt.Errorf("%s 处于 %s，不可拒绝 · is %s and cannot be rejected", f.Name, f.State.Words().ZH, f.State)
	}
	err = s.change(f.ID, f.State, func(_ *store, _ *batch, f *File) error {
		was := f.auditState()
		f.move(Rejected, s.o.By, s.o.Now(), o.Why)
		if err := s.audit(Act{Do: "files-reject", What: f.auditName(), Before: was, After: f.auditState(), Why: o.Why}); err != nil {
			return err
		}
		return s.bring(f, s.path("quarantine", f.stem()))
	})
	if err != nil {
		return nil, err
	}
	return s.Find(fmt.Sprint(f.ID))
}

// Import registers a file that a person names, of a kind, or of the kind that its
// name fits.
func (s *Station) Import(ctx context.Context, dir, name, kind string, d day.Date) (f *File, err error) {
	k := s.o.Config.kind(kind)
	if kind == "" {
		k = s.o.Config.kindOf("", name)
	}
	if k == nil || !k.name.MatchString(name) {
		if kind != "" {
			kind = fmt.Sprintf(" (--kind %s)", kind)
		}
		return nil, fmt.Errorf("%s: kinds 中没有此文件名%s · no name under kinds fits%s", name, kind, kind)
	}
	lock, err := lockFile(s.path("pass.lock"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	from := localDir(dir)
	all, err := from.List()
	if err != nil {
		return nil, err
	}
	in, err := s.fetch(from, name)
	if err != nil {
		return nil, err
	}
	in.kind = k
	for _, suffix := range suffixes {
		if err := in.beside(from, name, suffix, all); err != nil {
			return nil, err
		}
		if slices.Contains(k.Needs, suffix) && in.with[suffix] == nil {
			return nil, fmt.Errorf("%s: 缺少旁边的 .%s · .%s beside it is missing", name, suffix, suffix)
		}
	}
	in.date = d
	if f, err = s.register(in, nil, nil); err != nil {
		return nil, err
	}
	if f, err = s.Find(fmt.Sprint(f.ID)); err != nil {
		return nil, err
	}
	if err := s.further(ctx, f); err != nil {
		return nil, err
	}
	return s.Find(fmt.Sprint(f.ID))
}
