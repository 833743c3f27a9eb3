package station

import (
	"context"
	"crypto/md5" // what senders put beside their files; what we trust is SHA-256
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tongka/clearing/day"
)

// Pass looks at every source once, registers what is whole, checks it, and goes on
// with what is not finished. What goes wrong with one file or source is written
// down and does not keep the others; the error is of the station itself.
func (s *Station) Pass(ctx context.Context) (err error) {
	lock, err := lockFile(s.path("pass.lock"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	for i := range s.o.Config.Sources {
		if err := s.source(ctx, &s.o.Config.Sources[i]); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return errors.Join(s.goOn(ctx), s.acks(ctx))
}

// source looks at one.
func (s *Station) source(ctx context.Context, src *Source) error {
	due := true
	if err := s.with(func(st *store) error {
		var t Trouble
		ok, err := st.get(troubleKey(src.Name), &t)
		due = !ok || s.o.Now().Unix() >= t.Next
		return err
	}); err != nil || !due {
		return err
	}
	bad := s.visit(ctx, src)
	var broken *ownError
	if errors.As(bad, &broken) || ctx.Err() != nil {
		return bad
	}
	return s.with(func(st *store) error { return s.trouble(st, src.Name, bad) })
}

// ownError is one of the station and not of who gives files.
type ownError struct{ error }

func (e *ownError) Unwrap() error { return e.error }

func own(err error) error {
	if err == nil {
		return nil
	}
	return &ownError{err}
}

// trouble writes down that a place cannot be reached, or can again.
func (s *Station) trouble(st *store, place string, bad error) error {
	var t Trouble
	ok, err := st.get(troubleKey(place), &t)
	if err != nil || !ok && bad == nil {
		return err
	}
	b := st.batch()
	if bad == nil {
		b.drop(troubleKey(place))
	} else {
		t = Trouble{place, t.Times + 1, s.o.Now().Add(s.after(t.Times)).Unix(), bad.Error()}
		b.put(troubleKey(place), &t)
	}
	return b.commit()
}

// after is the pause behind a failure, doubled with each up to an hour.
func (s *Station) after(times int) time.Duration {
	return min(s.o.Config.Pause<<min(times, 16), max(time.Hour, s.o.Config.Pause))
}

// visit takes what is whole from a place.
func (s *Station) visit(ctx context.Context, src *Source) (err error) {
	d, err := src.Place.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	list, err := d.List()
	if err != nil {
		return err
	}
	var bad error
	for _, e := range list {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if strings.HasPrefix(e.Name, ".") || strings.HasSuffix(e.Name, temporary) || companion(e.Name) {
			continue
		}
		err := s.entry(d, src, &e, list)
		var broken *ownError
		if errors.As(err, &broken) {
			return err
		}
		if err != nil {
			bad = fmt.Errorf("%s: %w", e.Name, err) // the others are looked at all the same
		}
	}
	return errors.Join(bad, own(s.forget(src, list)))
}

// entry decides about one file of a source.
func (s *Station) entry(d Dir, src *Source, e *Entry, all []Entry) error {
	k := s.o.Config.kindOf(src.Name, e.Name)
	if k == nil {
		return own(s.wait(src, e, "kinds 中没有此文件名 · no name under kinds fits", true))
	}
	if most := s.o.Config.MaxBytes; e.Size > most {
		return own(s.wait(src, e, fmt.Sprintf("%d 字节，至多 %d · %d bytes, at most %d", e.Size, most, e.Size, most), true))
	}
	ready, err := s.ready(src, e, k, all)
	if err != nil || !ready {
		return own(err)
	}
	in, err := s.fetch(d, e.Name)
	if err != nil {
		return err
	}
	in.source, in.kind = src.Name, k
	for _, suffix := range append(slices.Clone(k.Needs), "md5", "pkg", "al") {
		if err := in.beside(d, e.Name, suffix, all); err != nil {
			return err
		}
	}
	f, err := s.register(in, src, e)
	if err != nil || f == nil || !src.Remove {
		return own(err)
	}
	for _, suffix := range f.Beside {
		if err := d.Remove(besideName(e.Name, suffix, all)); err != nil {
			return err
		}
	}
	return d.Remove(e.Name)
}

// suffixes are of files that lie beside others and say something of them.
var suffixes = []string{"md5", "sha256", "ok", "pkg", "al"}

// besideName finds X.csv.md5 or X.md5 beside X.csv, empty when there is none.
func besideName(name, suffix string, all []Entry) string {
	for _, n := range []string{name + "." + suffix, strings.TrimSuffix(name, filepath.Ext(name)) + "." + suffix} {
		if n != name && slices.ContainsFunc(all, func(e Entry) bool { return e.Name == n }) {
			return n
		}
	}
	return ""
}

// companion says whether a name is of a file that says something of another.
func companion(name string) bool {
	return slices.Contains(suffixes, strings.ToLower(strings.TrimPrefix(filepath.Ext(name), ".")))
}

// ready says whether a file is all here: it has not grown for a while and has beside
// it what it needs. A file that is known as it is, is not looked at again.
func (s *Station) ready(src *Source, e *Entry, k *Kind, all []Entry) (bool, error) {
	now := s.o.Now().UnixNano()
	var w Waiting
	ready := false
	return ready, s.with(func(st *store) error {
		ok, err := st.get(waitKey(src.Name, e.Name), &w)
		if err != nil {
			return err
		}
		same := ok && w.Size == e.Size && w.Mod == e.Mod.UnixNano()
		if same && w.ID != 0 {
			return nil
		}
		was := w
		if !same {
			w = Waiting{Source: src.Name, Name: e.Name, Size: e.Size, Mod: e.Mod.UnixNano(), First: now, Since: now}
			if ok && was.ID == 0 {
				w.First = was.First
			}
		}
		missing := slices.IndexFunc(k.Needs, func(suffix string) bool { return besideName(e.Name, suffix, all) == "" })
		w.Bad = now-w.First > int64(s.o.Config.Patience)
		switch {
		case now-w.Since < int64(src.Wait):
			w.Why = "可能仍在写入 · it may still be growing"
		case missing >= 0:
			w.Why = fmt.Sprintf("缺少旁边的 .%s · .%s beside it is missing", k.Needs[missing], k.Needs[missing])
		case same && w.Why != "" && w.Why == cutWhy && !w.Bad:
			// It was read and had no end; only when it grows is it read again.
		default:
			ready = true
			return nil
		}
		if same && was == w {
			return nil
		}
		b := st.batch()
		b.put(waitKey(src.Name, e.Name), &w)
		return b.commit()
	})
}

const cutWhy = "没有结束，等待其余部分 · it has no end; the rest may be on its way"

// wait writes down that a file is not taken.
func (s *Station) wait(src *Source, e *Entry, why string, bad bool) error {
	return s.with(func(st *store) error {
		var was Waiting
		ok, err := st.get(waitKey(src.Name, e.Name), &was)
		w := Waiting{src.Name, e.Name, e.Size, e.Mod.UnixNano(), s.o.Now().UnixNano(), s.o.Now().UnixNano(), 0, why, bad}
		if ok && was.ID == 0 {
			w.First = was.First
		}
		if ok && was.Size == w.Size && was.Mod == w.Mod {
			w.Since = was.Since
		}
		if err != nil || ok && was == w {
			return err
		}
		b := st.batch()
		b.put(waitKey(w.Source, w.Name), &w)
		return b.commit()
	})
}

// forget drops what was said of files that are not there any more.
func (s *Station) forget(src *Source, list []Entry) error {
	return s.with(func(st *store) error {
		b := st.batch()
		err := each(st, "w "+src.Name+"\x00", func(w *Waiting) error {
			if !slices.ContainsFunc(list, func(e Entry) bool { return e.Name == w.Name }) {
				b.drop(waitKey(w.Source, w.Name))
			}
			return nil
		})
		return errors.Join(err, b.commit())
	})
}

// incoming is a file that is copied here and not registered.
type incoming struct {
	path, name, source string
	size               int64
	sha, md5           string
	kind               *Kind
	date               day.Date          // as a person has said, 0 = as it says itself
	with               map[string][]byte // what lies beside it, by suffix
}

// maxBeside is the size in bytes that a file beside another may have.
const maxBeside = 1 << 20

// beside reads what lies beside a file.
func (in *incoming) beside(d Dir, name, suffix string, all []Entry) error {
	n := besideName(name, suffix, all)
	if n == "" || in.with[suffix] != nil {
		return nil
	}
	r, err := d.Get(n)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(r, maxBeside+1))
	if err = errors.Join(err, r.Close()); err == nil && len(b) > maxBeside {
		err = fmt.Errorf("%s: 超过 %d 字节 · larger than %d bytes", n, maxBeside, maxBeside)
	}
	in.with[suffix] = b
	return err
}

// fetch copies a file to us.
func (s *Station) fetch(d Dir, name string) (in *incoming, err error) {
	r, err := d.Get(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	in = &incoming{path: s.path("fetch", "incoming"), name: name, with: map[string][]byte{}}
	f, err := os.OpenFile(in.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, own(err)
	}
	sha, weak := sha256.New(), md5.New()
	in.size, err = io.Copy(io.MultiWriter(f, sha, weak), io.LimitReader(r, s.o.Config.MaxBytes+1))
	if err == nil && in.size > s.o.Config.MaxBytes {
		err = fmt.Errorf("%s: 超过 %d 字节 · more than %d bytes", name, s.o.Config.MaxBytes, s.o.Config.MaxBytes)
	}
	if err == nil {
		err = own(f.Sync())
	}
	in.sha, in.md5 = hex.EncodeToString(sha.Sum(nil)), hex.EncodeToString(weak.Sum(nil))
	return in, errors.Join(err, own(f.Close()))
}

// drop throws the copy away.
func (in *incoming) drop() error {
	err := os.Remove(in.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
