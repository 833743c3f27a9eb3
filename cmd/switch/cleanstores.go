package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	history "tongka/clearing/chain"
	"tongka/clearing/clean"
	"tongka/clearing/dispute"
	"tongka/clearing/ledger"
	"tongka/clearing/station"
)

// Databases of the desks, by their names below the clearing's folder.
const (
	runStore     = "state"
	disputeStore = "disputes"
	ledgerStore  = "ledger"
	stationStore = "station/state"
)

// copyStores copies the desks' databases into a backup. Each is as of one moment, and
// nobody else is at it then.
func (c *clerk) copyStores(s *streams, work string) error {
	for _, name := range []string{runStore, disputeStore, ledgerStore} {
		_, err := waiting(s.ctx, func() (none struct{}, err error) {
			err = clean.CopyStore(filepath.Join(c.dir, name), filepath.Join(work, "clearing", name))
			if errors.Is(err, clean.ErrBusy) {
				err = fmt.Errorf("%w: %w", history.ErrBusy, err)
			}
			return none, err
		})
		if err != nil {
			return err
		}
	}
	name := stationFile(c.file)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	st, err := c.station(s, name, station.Options{})
	if err != nil {
		return err
	}
	to := filepath.Join(work, "clearing", stationStore)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return st.Checkpoint(to)
}

// proveStores opens their copies as the desks would, and follows their histories.
func proveStores(trial string) error {
	at := func(name string) string { return filepath.Join(trial, "clearing", name) }
	for _, name := range []string{runStore, stationStore} {
		if err := clean.ProveStore(at(name)); err != nil {
			return err
		}
	}
	err := verifying(at(disputeStore), func(dir string) (*dispute.Desk, error) { return dispute.OpenDesk(dispute.Options{Dir: dir}) },
		func(d *dispute.Desk) error { _, err := d.Verify(); return err })
	if err != nil {
		return err
	}
	return verifying(at(ledgerStore), ledger.Open, func(l *ledger.Ledger) error { _, err := l.Verify(); return err })
}

// verifying opens a copy of a store, if there is one, and has its history followed.
func verifying[T io.Closer](dir string, open func(string) (T, error), verify func(T) error) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	store, err := open(dir)
	if err != nil {
		return err
	}
	return errors.Join(verify(store), store.Close())
}
