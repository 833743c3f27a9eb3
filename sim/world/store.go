package world

import (
	"tongka/engine"
	"tongka/journal"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// store is where journals of one life after the other are kept.
type store interface {
	open() (engine.Journal, error)
	// crash loses what was not synced. keep says what becomes of a batch that was
	// handed over and not synced, where the store leaves the choice.
	crash(keep bool)
	close() error
}

type memoryStore struct{ *memory }

func (s *memoryStore) open() (engine.Journal, error) { return s.memory, nil }
func (s *memoryStore) crash(keep bool)               { s.memory = s.memory.crash(keep) }
func (s *memoryStore) close() error                  { return nil }

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

// crash takes what is on disk before the old life closes its files. A batch in
// doubt is synced first when it is to be kept.
func (s *pebbleStore) crash(keep bool) {
	if keep {
		_ = s.log.Sync() // a journal that has failed has nothing to keep
	}
	left := s.fs.CrashClone(vfs.CrashCloneCfg{})
	_ = s.log.Close() // on the old file system, which nobody reads again
	s.fs = left
}

func (s *pebbleStore) close() error { return s.log.Close() }
