package world

import (
	"tongka/engine"
	"tongka/journal"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// store is where journals of one life after the other are kept.
type store interface {
	open() (engine.Journal, error)
	// crash loses what was not synced. keep says what is to become of a batch that
	// was handed over and not synced; the answer is what became of it.
	crash(keep bool) bool
	close() error
}

type memoryStore struct{ *memory }

func (s *memoryStore) open() (engine.Journal, error) { return s.memory, nil }
func (s *memoryStore) close() error                  { return nil }
func (s *memoryStore) crash(keep bool) bool {
	s.memory = s.memory.crash(keep)
	return keep
}

// pebbleStore is the real journal on a file system that forgets.
type pebbleStore struct {
	fs  *vfs.MemFS
	log *journal.Log
}

func newPebbleStore() *pebbleStore { return &pebbleStore{fs: vfs.NewCrashableMem()} }

func (s *pebbleStore) open() (engine.Journal, error) {
	log, err := journal.Open(journal.Options{Dir: "journal", FS: s.fs, Key: [32]byte{1}, NoWarm: true, InlineIndex: true})
	s.log = log
	return log, err
}

// crash takes what is on disk before the old life closes its files. Pebble may be
// writing a batch in doubt at this moment, beside us: so that one seed stays one
// history, that one is always kept. To lose it is left to the memory.
func (s *pebbleStore) crash(bool) bool {
	_ = s.log.Sync() // a journal that has failed has nothing to keep
	left := s.fs.CrashClone(vfs.CrashCloneCfg{})
	_ = s.log.Close() // on the old file system, which nobody reads again
	s.fs = left
	return true
}

func (s *pebbleStore) close() error { return s.log.Close() }
