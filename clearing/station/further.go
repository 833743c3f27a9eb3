package station

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// goOn does what is left to do with files that are here.
func (s *Station) goOn(ctx context.Context) error {
	var all []*File
	err := s.with(func(st *store) (err error) {
		all, err = st.files()
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range all {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := s.further(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return nil
}

// further does the next steps of one file.
func (s *Station) further(ctx context.Context, f *File) error {
	now := s.o.Now().Unix()
	if f.State == Failed && now >= f.Next && f.Tries <= s.o.Config.Retries {
		if err := s.change(f.ID, Failed, func(_ *store, _ *batch, f *File) error {
			f.move(Received, "pass", s.o.Now(), "重试 · tried again")
			return nil
		}); err != nil {
			return err
		}
		f.State = Received
	}
	k := s.o.Config.kind(f.Kind)
	if k == nil && (f.State == Received || f.To == Offline && (f.State == Verified || f.State == Stored)) {
		return nil // its kind was taken out of the config: it stays as it is
	}
	switch {
	case f.State == Received:
		return s.again(f, k)
	case f.To == Offline && (f.State == Verified || f.State == Stored):
		return s.offline(ctx, f, k)
	case f.State == Cleared:
		return s.archive(f)
	}
	return nil
}

// again looks into a file whose bytes are here.
func (s *Station) again(f *File, k *Kind) error {
	path, err := s.bytesOf(f)
	v := finding{err: err}
	if err == nil {
		with, bad := s.besides(f)
		if v = s.look(f, k, path, with); bad != nil {
			v.err = bad
		}
	}
	return s.conclude(f, &v)
}

// besides reads what lay beside a file.
func (s *Station) besides(f *File) (map[string][]byte, error) {
	with := map[string][]byte{}
	for _, suffix := range f.Beside {
		b, err := os.ReadFile(s.path("spool", f.stem()+"."+suffix))
		if err != nil {
			return nil, err
		}
		with[suffix] = b
	}
	return with, nil
}

// offline hands a file to the store of offline transactions, which knows itself what
// it has: asking twice does it once.
func (s *Station) offline(ctx context.Context, f *File, k *Kind) error {
	if s.o.Offline == nil || s.o.Now().Unix() < f.Next {
		return nil
	}
	path, err := s.bytesOf(f)
	if err != nil {
		return err
	}
	with, err := s.besides(f)
	if err != nil {
		return err
	}
	md5 := ""
	if with["md5"] != nil {
		md5 = f.MD5 // they were held against each other
	}
	r, bad := s.o.Offline(ctx, &OfflineFile{f.Name, path, k.Layout, "", md5, with["pkg"], with["al"]})
	if bad != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.change(f.ID, f.State, func(_ *store, _ *batch, f *File) error {
		if bad != nil {
			f.Tries++
			f.Next, f.Faults = s.o.Now().Add(s.after(f.Tries-1)).Unix(), []string{bad.Error()}
			return nil
		}
		f.Records, f.Sum, f.Faults = r.Records, r.Sum, r.Faults
		if len(r.Faults) > 0 {
			return s.aside(f, r.Faults[0])
		}
		if f.State == Verified {
			f.move(Stored, "pass", s.o.Now(), "")
		}
		if r.Done {
			f.move(Cleared, "pass", s.o.Now(), "")
		}
		return nil
	})
}

// archive puts a file away.
func (s *Station) archive(f *File) error {
	if err := s.bring(f, s.path("archive", f.Date.String(), f.Name)); err != nil {
		return err
	}
	if err := s.at("put away"); err != nil {
		return err
	}
	for _, suffix := range f.Beside {
		if err := localDir(s.path("spool")).Remove(f.stem() + "." + suffix); err != nil {
			return err
		}
	}
	err := s.change(f.ID, Cleared, func(_ *store, _ *batch, f *File) error {
		f.move(Archived, "pass", s.o.Now(), "")
		return nil
	})
	return errors.Join(err, s.at("archived"))
}
