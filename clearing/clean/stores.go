package clean

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cockroachdb/pebble/v2"
)

// ErrBusy is a store that another process has.
var ErrBusy = errors.New("另一进程正在使用 · another process is at it")

// silent keeps Pebble's notes from standard error. What is fatal ends the process.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(f string, args ...any) {
	fmt.Fprintf(os.Stderr, f+"\n", args...)
	os.Exit(1)
}

func openStore(dir string) (*pebble.DB, error) {
	// Pebble ends a process that meets damage; here it is an error like any other.
	heed := &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}
	db, err := pebble.Open(dir, &pebble.Options{Logger: silent{}, MemTableSize: 1 << 20, ErrorIfNotExists: true, EventListener: heed})
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", dir, ErrBusy, err)
	}
	return db, nil
}

// CopyStore copies a database of a desk as of one moment, which a copy of its files is
// not. The folder to must not be there; a store that is not there has no copy.
func CopyStore(from, to string) error {
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := openStore(from)
	if err != nil {
		return err
	}
	return errors.Join(db.Checkpoint(to, pebble.WithFlushedWAL()), db.Close())
}

// ProveStore opens a copy and reads all of it: each block has a checksum.
func ProveStore(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := openStore(dir)
	if err != nil {
		return err
	}
	it, err := db.NewIter(nil)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	for ok := it.First(); ok; ok = it.Next() {
		if _, err = it.ValueAndErr(); err != nil {
			break
		}
	}
	return errors.Join(err, it.Error(), it.Close(), db.Close())
}
