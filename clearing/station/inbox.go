package station

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"tongka/clearing/day"
	"tongka/clearing/layouts"
	"tongka/clearing/row"
	"tongka/clearing/run"
)

// Files implements run.Inbox: the day's files that were found right.
func (s *Station) Files(d day.Date) (all []run.FileInfo, err error) {
	err = s.ofDay(d, func(f *File) {
		if slices.Contains([]State{Verified, Stored, Cleared, Archived}, f.State) {
			all = append(all, run.FileInfo{Name: f.Name, Size: f.Size, SHA256: f.SHA256, Empty: f.Records == 0})
		}
	})
	slices.SortFunc(all, func(a, b run.FileInfo) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// Unready gives the day's files that are not right, or not yet: who clears the day
// should know of them.
func (s *Station) Unready(d day.Date) (all []*File, err error) {
	return all, s.ofDay(d, func(f *File) {
		if f.State == Received || f.State == Failed || f.State == Quarantined {
			all = append(all, f)
		}
	})
}

func (s *Station) ofDay(d day.Date, f func(*File)) error {
	return s.with(func(st *store) error {
		return each(st, "f ", func(x *File) error {
			if x.To == Clearing && x.Date == d {
				f(x)
			}
			return nil
		})
	})
}

// Rows implements run.Inbox.
func (s *Station) Rows(d day.Date, name string, add func(r *row.Row, at int64) error) (sum string, err error) {
	f, err := s.Find(name)
	if err != nil {
		return "", err
	}
	k := s.o.Config.kind(f.Kind)
	if k == nil || k.Form == nil || f.Date != d {
		return "", fmt.Errorf("%s: 不属于 %s，或其种类 %q 已不在配置中 · not of %s, or its kind %q is no more in the config", name, d, f.Kind, d, f.Kind)
	}
	path, err := s.bytesOf(f)
	if err != nil {
		return "", err
	}
	in, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	h := sha256.New()
	if _, err = k.Form.Read(io.TeeReader(in, h), layouts.Reading{Name: f.Name, Date: d, Zone: s.o.Config.Zone}, add); err == nil {
		_, err = io.Copy(h, in) // a layout need not look at what stands behind
	}
	return hex.EncodeToString(h.Sum(nil)), err
}

// Took is told by the run that a step is done, each time that a run finds it done:
// files that were taken in are stored, those of a closed day cleared and put away.
func (s *Station) Took(d day.Date, at run.Step, files []run.FileInfo) error {
	if at != run.Intake && at != run.Close {
		return nil
	}
	has := func(f *File) bool {
		return slices.ContainsFunc(files, func(i run.FileInfo) bool { return i.SHA256 == f.SHA256 })
	}
	var cleared []*File
	err := s.with(func(st *store) error {
		b := st.batch()
		if at == run.Close {
			b.put(closedKey(d), d)
		}
		err := each(st, "f ", func(f *File) error {
			if f.To != Clearing || f.Date != d {
				return nil
			}
			switch {
			case f.State == Verified && has(f):
				f.move(Stored, "run", s.o.Now(), "")
			case f.State == Stored && !has(f): // the day was begun again without it
				f.move(Verified, "run", s.o.Now(), "")
			}
			if at == run.Close && f.State == Stored {
				f.move(Cleared, "run", s.o.Now(), "")
			}
			if f.State == Cleared {
				cleared = append(cleared, f)
			}
			b.file(f)
			return nil
		})
		return errors.Join(err, b.commit())
	})
	for _, f := range cleared {
		err = errors.Join(err, s.archive(f))
	}
	return err
}
