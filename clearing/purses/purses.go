// Package purses hands what cards paid and loaded without the switch to the nightly
// run: the verified records of the store of offline transactions, as rows.
package purses

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tongka/clearing/row"
	"tongka/clearing/run"
	"tongka/hsm"
	"tongka/offline"
	"tongka/txn"
)

// Store is a run.Purses. The store is opened for each question, since others work at
// it as well.
type Store struct {
	Dir  string // of the store: one that is not there has no files, and is not made
	Zone *time.Location
	// Open gives the store, and what lets it go.
	Open func() (*offline.Store, func() error, error)
}

// with asks the store, if there is one.
func (s *Store) with(f func(*offline.Store) error) error {
	_, err := os.Stat(filepath.Join(s.Dir, "db"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	store, end, err := s.Open()
	if err != nil {
		return err
	}
	return errors.Join(f(store), end())
}

// Files implements run.Purses.
func (s *Store) Files() (all []run.PurseFile, err error) {
	err = s.with(func(store *offline.Store) error {
		files, err := store.Files()
		for _, f := range files {
			if n := f.States[string(offline.Verified)]; f.Stage == offline.Done && n > 0 {
				all = append(all, run.PurseFile{FileInfo: run.FileInfo{Name: f.Name, Size: f.Size, SHA256: f.SHA256}, Records: n})
			}
		}
		return err
	})
	return all, err
}

// named finds a file.
func named(store *offline.Store, name string) (*offline.File, error) {
	f, err := store.Named(name)
	if err == nil && f == nil {
		err = fmt.Errorf("%s: 脱机库中没有此文件 · the store of offline transactions does not have it", name)
	}
	return f, err
}

// Records implements run.Purses.
func (s *Store) Records(name string, add func(*run.PurseRecord) error) error {
	return s.with(func(store *offline.Store) error {
		f, err := named(store, name)
		if err != nil {
			return err
		}
		return store.Each(f, func(e *offline.Entry) error {
			if e.State != offline.Verified {
				return nil
			}
			return add(s.record(f, e))
		})
	})
}

// kindOf says what a purse's own transaction is to the clearing.
func kindOf(kind byte) txn.Kind {
	if kind == hsm.PurseLoad {
		return txn.LoadCash
	}
	return txn.OfflineSale
}

func (s *Store) record(f *offline.File, e *offline.Entry) *run.PurseRecord {
	r := &run.PurseRecord{Company: text(e.Company), Terminal: text(e.Terminal), SAM: text(e.SAM), Place: fmt.Sprintf("%s:%d", e.Member, e.Line)}
	// A file's number and a record's in it: no transaction of ours has one so large.
	r.Row = row.Row{ID: uint64(f.ID)<<32 | uint64(e.Number) | 1<<63, Amount: int64(e.Amount), Kind: kindOf(e.Kind)}
	if at, err := time.ParseInLocation("20060102150405", fmt.Sprintf("%x", e.Proof.Time), s.Zone); err == nil {
		r.Row.At = at.UnixNano()
		for _, c := range at.Format("0102150405") {
			r.Row.Sent = r.Row.Sent*10 + uint64(c-'0')
		}
	}
	copy(r.Row.Terminal[:], r.Terminal[max(0, len(r.Terminal)-len(r.Row.Terminal)):])
	if pan, err := txn.ParsePAN([]byte(text(e.Card))); err == nil {
		r.Row.SetCard(&pan)
	}
	return r
}

func text(b []byte) string { return strings.TrimSpace(string(b)) }

// Settled implements run.Purses.
func (s *Store) Settled(names []string) error {
	return s.with(func(store *offline.Store) error {
		for _, name := range names {
			f, err := named(store, name)
			if err == nil {
				_, err = store.Settle(f)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
