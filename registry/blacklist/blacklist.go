// Package blacklist holds the cards that are refused, or watched: up to tens of
// millions, found in well under a microsecond, and none of them by its number.
// What is kept of a card, in memory and on disk, is a fingerprint under a key
// (see Hasher) and two bytes about it.
//
// An import makes a new List beside the one in use and swaps a pointer; the old
// one is let go when its last reader is done. Memory: 10.8 bytes a card at rest;
// twice that while a change is worked in, and 16 more for each line of a full
// import while it is sorted.
package blacklist

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// MaxCards is how many cards any list holds at most.
const MaxCards = 100_000_000

// maxChanges is how many entries gather in the file of changes before the list
// is written anew.
const maxChanges = 200_000

// Options say where a blacklist lives.
type Options struct {
	Dir string           // made when missing
	Key [32]byte         // of the fingerprints
	Max int              // cards at most; 0 means MaxCards
	Now func() time.Time // nil means time.Now
}

// Book is a blacklist that can change. Its methods may be called from any
// goroutine.
type Book struct {
	dir  string
	key  [32]byte
	most int
	now  func() time.Time
	list atomic.Pointer[List]

	mu       sync.Mutex // guards what follows: one change at a time
	versions []Version
	changes  *os.File
	gathered int   // entries in changes
	size     int64 // of changes, in bytes that count
	broken   error // a write failed: what the file ends with is not known
}

// Open reads the list of a folder. A folder has one Book at a time.
func Open(o Options) (*Book, error) {
	if o.Max == 0 {
		o.Max = MaxCards
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dir == "" || o.Max < 0 || o.Max > MaxCards {
		return nil, fmt.Errorf("blacklist: folder %q, %d cards at most: a folder, and at most %d are wanted", o.Dir, o.Max, MaxCards)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("blacklist: %w", err)
	}
	b := &Book{dir: o.Dir, key: o.Key, most: o.Max, now: o.Now}
	if err := b.open(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Book) open() error {
	path := filepath.Join(b.dir, changesName)
	var err error
	if b.changes, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return fmt.Errorf("blacklist: %w", err)
	}
	// The lock ends with the process, however it ends.
	if err := syscall.Flock(int(b.changes.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("blacklist: %s: 正被另一进程使用 · another process has it: %w", b.dir, err)
	}
	list, versions, err := readList(b.dir, b.Hasher().check(), b.most)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(b.changes)
	if err != nil {
		return fmt.Errorf("blacklist: %w", err)
	}
	var entries []Entry
	whole := readChanges(raw, func(v Version, more []Entry) {
		if v.Number > list.Version() {
			versions, entries = append(versions, v), append(entries, more...)
		}
	})
	if err := b.changes.Truncate(int64(whole)); err != nil {
		return fmt.Errorf("blacklist: %w", err)
	}
	b.size, b.gathered, b.versions = int64(whole), len(entries), tail(versions)
	if len(entries) > 0 {
		list, _ = list.with(order(entries), versions[len(versions)-1].Number)
	}
	b.list.Store(list)
	return nil
}

// tail keeps the newest versions.
func tail(v []Version) []Version { return v[max(len(v)-keptRows, 0):] }

// Close lets the folder go. The list stays readable.
func (b *Book) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changes == nil {
		return nil
	}
	err := b.changes.Close()
	b.changes = nil
	return err
}

// List is the list of this moment.
func (b *Book) List() *List { return b.list.Load() }

// Hasher makes a hasher for one goroutine.
func (b *Book) Hasher() *Hasher { return newHasher(&b.key) }

// Versions are the last ones, the oldest first.
func (b *Book) Versions() []Version {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.versions)
}

// How says what an import does.
type How struct {
	Full    bool   // the file is the whole list, not a change of it
	Version uint32 // of the result; 0 means the next
}

var errVersion = errors.New("版本号须大于当前版本 · a version is wanted that is above the one in force")

// Import reads CSV (card, serial or fingerprint; kind, level, cause, remove) and
// puts it into force. When anything is wrong the error is sheet.Faults with all
// of it, and nothing has changed; otherwise it is on disk when Import returns.
func (b *Book) Import(in io.Reader, name string, how How) (Version, error) {
	entries, err := parse(in, name, b.Hasher(), b.most)
	if err != nil {
		return Version{}, err
	}
	return b.apply(order(entries), how)
}

func (b *Book) apply(entries []Entry, how How) (Version, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.list.Load()
	switch {
	case b.changes == nil || b.broken != nil:
		return Version{}, errors.Join(errors.New("blacklist: closed"), b.broken)
	case how.Version == 0:
		how.Version = old.version + 1
	case how.Version <= old.version:
		return Version{}, fmt.Errorf("blacklist: %d: %w: %d", how.Version, errVersion, old.version)
	}
	base := old
	if how.Full {
		base = newList(nil, nil, 0)
	}
	next, c := base.with(entries, how.Version)
	if next.Len() > b.most {
		return Version{}, fmt.Errorf("blacklist: 导入后共 %d 张卡，上限 %d · %d cards after the import, %d at most", next.Len(), b.most, next.Len(), b.most)
	}
	v := Version{how.Version, b.now(), how.Full, c.added, c.changed, c.removed, next.Len()}
	versions := tail(append(slices.Clone(b.versions), v))
	if err := b.keep(next, versions, &v, entries); err != nil {
		return Version{}, err
	}
	b.versions = versions
	b.list.Store(next)
	return v, nil
}

// keep makes a version durable: as a change, or by writing the whole list.
func (b *Book) keep(next *List, versions []Version, v *Version, entries []Entry) error {
	if !v.Full && b.gathered+len(entries) <= maxChanges {
		frame := appendChange(nil, v, entries)
		_, err := b.changes.WriteAt(frame, b.size)
		if err = errors.Join(err, b.changes.Sync()); err != nil {
			b.broken = fmt.Errorf("blacklist: %w", err)
			return b.broken
		}
		b.size, b.gathered = b.size+int64(len(frame)), b.gathered+len(entries)
		return nil
	}
	if err := writeList(b.dir, b.Hasher().check(), next, versions); err != nil {
		return err
	}
	// From here on the version is in force; changes that stay are known by theirs.
	b.size, b.gathered = 0, 0
	if err := b.changes.Truncate(0); err != nil {
		b.broken = fmt.Errorf("blacklist: %w", err)
	}
	return nil
}
