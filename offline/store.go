package offline

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/hsm"
	"tongka/keyfile"
)

// The database:
//
//	F id4          file, JSON
//	N name         id4 of the file that has the name
//	D sha256       id4 of the file that has these bytes
//	L sha256       text of a layout that a file was read with
//	R id4 page4    records of a page, sealed: for each uvarint member, line, length, and its bytes
//	Z id4 page4    of each record of the page: state, reason
//	P hash16       SAM and its counter      → id4 record4
//	C hash16       card and its counter     → id4 record4 TAC4
//
// and beside it the file key: see seal.go.
//
// Invariants: (1) a page's R, Z, P and C and the file's new page count are one
// synced batch. (2) P and C belong to a record that was not refused when it was stored,
// and never change. (3) Z only moves as State.to allows.

// pageRecords is how many records a page has at most: a sync each.
const pageRecords = 4096

// records is the size of a page here; tests take smaller ones.
func (o *Options) records() uint32 {
	if o.page == 0 {
		return pageRecords
	}
	return o.page
}

// Options say where a Store is and what it asks.
type Options struct {
	Dir      string           // made when missing
	FS       vfs.FS           // nil = the disk
	Key      [32]byte         // the newest, under which the store's secret lies
	Old      [][32]byte       // earlier ones, under which it may still lie
	Now      func() time.Time // when a file was registered; nil = the clock
	Books    *Books           // nil = nothing is known
	Keys     hsm.CardKeys     // TAC keys
	Verifier Verifier         // nil: files stop at stored
	MaxBytes int64            // of a file, and of all that is in a zip; 0 = 4 GiB
	Log      func(format string, args ...any)

	step func(name string) error // tests end a run here
	page uint32
}

// Store holds the files and their records. It belongs to one goroutine.
type Store struct {
	db   *pebble.DB
	fs   vfs.FS
	o    Options
	find *finder

	ring   keyfile.Ring
	secret []byte // of the pages and the index
}

// ErrBusy is a store that another process is at.
var ErrBusy = errors.New("另一进程正在使用 · another process is at it")

// Open opens the store, or makes it. One process at a time may.
func Open(o Options) (*Store, error) {
	if o.Dir == "" || o.Key == ([32]byte{}) {
		return nil, errors.New("offline: a folder and a key are wanted")
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Books == nil {
		o.Books = &Books{}
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 4 << 30
	}
	s := &Store{fs: o.FS, o: o, ring: keyfile.Ring{Key: o.Key, Old: o.Old}}
	for _, dir := range []string{o.Dir, s.path("spool"), s.path("quarantine")} {
		if err := o.FS.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("offline: %w", err)
		}
	}
	var err error
	if s.db, err = pebble.Open(s.path("db"), databaseOptions(&o)); errors.Is(err, syscall.EAGAIN) {
		return nil, fmt.Errorf("offline: open %s: %w", o.Dir, ErrBusy)
	}
	if err != nil {
		return nil, fmt.Errorf("offline: open %s: %w", o.Dir, err)
	}
	if err = s.openSecret(); err == nil {
		s.find, err = newFinder(s.secret)
	}
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// databaseOptions: the index keys are random and mostly not there, so a filter
// answers for them; sealed pages do not compress.
func databaseOptions(o *Options) *pebble.Options {
	p := &pebble.Options{FS: o.FS, FormatMajorVersion: pebble.FormatNewest, MemTableSize: 32 << 20, CacheSize: 64 << 20,
		L0CompactionThreshold: 8, L0StopWritesThreshold: 48, MemTableStopWritesThreshold: 4, Logger: logger{o.Log}}
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	return p
}

// logger passes on what Pebble complains of. After Fatalf it would go on as if a
// write had succeeded, so that ends the run.
type logger struct {
	log func(format string, args ...any)
}

func (logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	if l.log != nil {
		l.log(format, args...)
	}
}

func (l logger) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Close ends the store.
func (s *Store) Close() error { return s.db.Close() }

func (s *Store) path(parts ...string) string {
	return s.fs.PathJoin(append([]string{s.o.Dir}, parts...)...)
}

// at is where a test may end the run, as a kill would.
func (s *Store) at(name string) error {
	if s.o.step == nil {
		return nil
	}
	return s.o.step(name)
}

func idKey(letter byte, id uint32) []byte { return binary.BigEndian.AppendUint32([]byte{letter}, id) }

func pageKey(letter byte, id, page uint32) []byte {
	return binary.BigEndian.AppendUint32(idKey(letter, id), page)
}

// get copies a value; nil when it is not there.
func (s *Store) get(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("offline: read: %w", err)
	}
	v = append([]byte{}, v...)
	return v, closer.Close()
}

func (s *Store) file(id uint32) (*File, error) {
	b, err := s.get(idKey('F', id))
	if err != nil || b == nil {
		return nil, err
	}
	f := &File{}
	if err := json.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("offline: file %d: %w", id, err)
	}
	return f, nil
}

// byKey follows N and D to a file, nil when there is none.
func (s *Store) byKey(letter byte, name string) (*File, error) {
	b, err := s.get(append([]byte{letter}, name...))
	if err != nil || len(b) != 4 {
		return nil, err
	}
	return s.file(binary.BigEndian.Uint32(b))
}

// Named finds the file that was registered under a name, nil when there is none.
func (s *Store) Named(name string) (*File, error) { return s.byKey('N', name) }

func (s *Store) put(b *pebble.Batch, f *File) error {
	v, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return b.Set(idKey('F', f.ID), v, nil)
}

// commit writes a file's new state, and what else is in the batch, to disk.
func (s *Store) commit(b *pebble.Batch, f *File) error {
	if err := s.put(b, f); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("offline: commit: %w", err)
	}
	return nil
}

// Files gives all files in the order of their registration.
func (s *Store) Files() (all []*File, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte("F"), UpperBound: []byte("G")})
	if err != nil {
		return nil, fmt.Errorf("offline: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		f := &File{}
		if err := json.Unmarshal(it.Value(), f); err != nil {
			return nil, fmt.Errorf("offline: file at %x: %w", it.Key(), err)
		}
		all = append(all, f)
	}
	return all, it.Error()
}

// sync makes a name in a folder durable.
func (s *Store) sync(dir string) error {
	d, err := s.fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// write makes a whole file under a name, durable, or leaves what was there.
func (s *Store) write(dir, name string, fill func(io.Writer) error) error {
	tmp := s.fs.PathJoin(dir, name+".part")
	f, err := s.fs.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if err := fill(f); err != nil {
		return errors.Join(err, f.Close(), s.fs.Remove(tmp))
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := s.fs.Rename(tmp, s.fs.PathJoin(dir, name)); err != nil {
		return err
	}
	return s.sync(dir)
}
