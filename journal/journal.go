// Package journal keeps the truth of one shard on disk.
package journal

import (
	"go.uber.org/zap"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/txn"
)

// LSN is the place of a record: tick<<16 | index in the tick; 0 is none.
type LSN uint64

// Kind says what a record tells.
type Kind uint8

// Kinds of records.
const (
	NoKind Kind = iota
	Intent
	Outcome
	SignedIn
	LinkChanged
	Started
)

// Record is one durable fact. Body is lent.
type Record struct {
	Kind  Kind
	Facts txn.Facts
	Body  []byte
}

// Options say where and how a journal is kept.
type Options struct {
	Dir         string
	FS          vfs.FS // nil = the disk
	Key         [32]byte
	Shard       uint8
	Logger      *zap.Logger      // nil = silent
	Fatal       func(msg string) // must not return; nil = log and exit
	NoWarm      bool
	InlineIndex bool
	MemTable    int
	Cache       int64
}

// Validate reports every fault at once.
func (o *Options) Validate() error { return nil }

// Log is the journal of one shard, used by its goroutine alone.
type Log struct{}

// LoadKey reads the key file.
func LoadKey(path string, create bool) (key [32]byte, err error) { return key, nil }

// Open opens the journal.
func Open(o Options) (*Log, error) { return &Log{}, nil }

// Close ends it.
func (l *Log) Close() error { return nil }

// Append stages a record in the open tick.
func (l *Log) Append(r *Record) LSN { return 0 }

// Put stages another key.
func (l *Log) Put(key, plain []byte) {}

// Delete stages the end of a key.
func (l *Log) Delete(key []byte) {}

// Mark stages a new recovery point.
func (l *Log) Mark(from LSN, next txn.ID) {}

// Staged says whether the open tick holds anything.
func (l *Log) Staged() bool { return false }

// Commit hands the open tick to the disk.
func (l *Log) Commit() error { return nil }

// Sync waits until the committed tick is durable.
func (l *Log) Sync() error { return nil }

// Get reads a record; Body is lent until the next call.
func (l *Log) Get(lsn LSN, r *Record) error { return nil }

// Replay gives every record from an LSN on, in order; the record is lent.
func (l *Log) Replay(from LSN, f func(LSN, *Record) error) error { return nil }

// Recovery gives the last durable Mark.
func (l *Log) Recovery() (from LSN, next txn.ID) { return 0, 0 }

// Each gives the keys that Put wrote, in order; key and plain are lent.
func (l *Log) Each(prefix []byte, f func(key, plain []byte) error) error { return nil }

// Lookup appends the value of a key to dst.
func (l *Log) Lookup(key, dst []byte) ([]byte, bool, error) { return dst, false, nil }

// Fingerprint is the identity of a terminal's request.
func Fingerprint(t *txn.Terminal, mti uint16, batch, trace uint32) uint64 { return 0 }

// Find gives the newest record with a fingerprint; it also sees staged ones.
func (l *Log) Find(fp uint64) (LSN, bool, error) { return 0, false, nil }
