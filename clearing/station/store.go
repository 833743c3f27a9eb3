// Package station is where files of others come in and files of ours go out: each
// file is registered once, checked, kept, given to who works on it, and archived; or
// set aside with line and reason. Folders here and folders behind SFTP are watched by
// passes; between two passes nothing runs.
//
//	dir/state          what is known: Pebble, one process at a time
//	dir/fetch          files on their way from another machine
//	dir/spool/SHA-*    bytes of registered files
//	dir/quarantine/SHA-* bytes of those that are set aside
//	dir/archive/DATE/NAME
//	dir/sent/DATE/SEND  what was made for others
//
// How long bytes stay is said by Config.Keep; Purge deletes them.
package station

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sys/unix"

	"tongka/clearing/day"
	"tongka/txn"
)

// State is how far a file is.
type State string

// States.
const (
	Received    State = "received"    // its bytes are here
	Verified    State = "verified"    // and are whole and right
	Stored      State = "stored"      // taken over by who works on it
	Cleared     State = "cleared"     // and worked on to the end
	Archived    State = "archived"    // put away
	Failed      State = "failed"      // it could not be looked at; it will be tried again
	Quarantined State = "quarantined" // something is wrong with it: a person decides
	Rejected    State = "rejected"    // a person has turned it down
	Refused     State = "refused"     // a duplicate; its bytes are not kept
)

var stateWords = map[State]txn.Words{Received: {ZH: "已收", EN: "received"}, Verified: {ZH: "已验", EN: "verified"}, Stored: {ZH: "已入库", EN: "stored"},
	Cleared: {ZH: "已清分", EN: "cleared"}, Archived: {ZH: "已归档", EN: "archived"}, Failed: {ZH: "待重试", EN: "to be tried again"},
	Quarantined: {ZH: "隔离", EN: "quarantined"}, Rejected: {ZH: "已拒绝", EN: "rejected"}, Refused: {ZH: "重复拒收", EN: "refused as a duplicate"}}

// Words are for people.
func (s State) Words() txn.Words { return stateWords[s] }

// moves are the only ones that a file can make.
var moves = map[State][]State{
	"":          {Received, Refused},
	Received:    {Verified, Quarantined, Failed, Rejected},
	Failed:      {Received, Rejected},
	Quarantined: {Received, Rejected},
	Verified:    {Stored, Quarantined, Rejected, Received},
	Stored:      {Cleared, Verified, Quarantined},
	Cleared:     {Archived},
}

// Bad says that people should look at it.
func (s State) Bad() bool { return s == Failed || s == Quarantined || s == Refused }

// Event is one step of a file.
type Event struct {
	At    string `json:"at"`
	State State  `json:"state"`
	By    string `json:"by"` // pass, run, or a person
	Why   string `json:"why,omitempty"`
}

// File is one that is registered.
type File struct {
	ID      uint32   `json:"id"`
	Name    string   `json:"name"`
	Source  string   `json:"source"` // empty: given by hand
	Sender  string   `json:"sender"`
	Kind    string   `json:"kind"`
	To      Desk     `json:"to"`
	Date    day.Date `json:"date"`
	Number  string   `json:"number,omitempty"`
	Size    int64    `json:"size"`
	SHA256  string   `json:"sha256"`
	MD5     string   `json:"md5"`
	Records int64    `json:"records"`
	Sum     int64    `json:"sum_fen"`
	State   State    `json:"state"`
	Tries   int      `json:"tries,omitempty"`
	Next    int64    `json:"next,omitempty"`   // Unix seconds: not tried before
	Faults  []string `json:"faults,omitempty"` // why, with line and column
	Purged  bool     `json:"purged,omitempty"` // its bytes are deleted: kept long enough
	Beside  []string `json:"beside,omitempty"` // suffixes of what came with it
	History []Event  `json:"history"`
}

// move takes the file to a state. A move that cannot be is a fault of the program.
func (f *File) move(to State, by string, now time.Time, why string) {
	if !slices.Contains(moves[f.State], to) {
		panic(fmt.Sprintf("station: file %d moves from %q to %q", f.ID, f.State, to))
	}
	f.State = to
	f.History = append(f.History, Event{now.UTC().Format(time.RFC3339), to, by, why})
}

// Waiting is a file that was seen and is not registered.
type Waiting struct {
	Source string `json:"source"`
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	Mod    int64  `json:"mod"`
	First  int64  `json:"first"` // Unix nanoseconds: seen for the first time
	Since  int64  `json:"since"` // has been as it is
	ID     uint32 `json:"id"`    // what it became, 0 = nothing yet
	Why    string `json:"why"`   // it waits, in both languages
	Bad    bool   `json:"bad"`   // a person should look
}

// Trouble is a place that cannot be reached.
type Trouble struct {
	Place string `json:"place"`
	Times int    `json:"times"`
	Next  int64  `json:"next"` // Unix seconds
	Why   string `json:"why"`
}

// Keys of the database:
//
//	f id4         File, JSON
//	n NAME        id4 that has the name
//	d SHA256      id4 that has the bytes
//	k KIND\0DATE\0NUMBER  id4 that has the number
//	w SOURCE\0NAME  Waiting, JSON
//	t PLACE       Trouble, JSON
//	c DATE        a day that is closed
//	s DATE\0SEND\0NAME  Sent, JSON
type store struct {
	db   *pebble.DB
	lock *os.File
	at   func(step string) error
}

// busyFor is how long a command waits for another that is at the state, and busyLook
// how often it looks.
const (
	busyFor  = 30 * time.Second
	busyLook = 20 * time.Millisecond
)

// ErrBusy is another process that does not let go.
var ErrBusy = errors.New("另一 switch 进程正在使用文件站 · another switch process is at the station")

// lockFile waits for a lock that processes take in turns.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(busyFor); ; time.Sleep(busyLook) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			return nil, errors.Join(ErrBusy, err, f.Close())
		}
	}
}

func openStore(dir string, at func(string) error) (*store, error) {
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	db, err := pebble.Open(filepath.Join(dir, "state"), &pebble.Options{Logger: silentLog{}, MemTableSize: 1 << 20})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("文件站状态库打不开 · the station's state does not open: %w", err), lock.Close())
	}
	return &store{db, lock, at}, nil
}

func (s *store) close() error { return errors.Join(s.db.Close(), s.lock.Close()) }

// silentLog keeps Pebble's notes from standard error. What is fatal ends the process.
type silentLog struct{}

func (silentLog) Infof(string, ...any)  {}
func (silentLog) Errorf(string, ...any) {}
func (silentLog) Fatalf(f string, args ...any) {
	fmt.Fprintf(os.Stderr, f+"\n", args...)
	os.Exit(1)
}

func fileKey(id uint32) []byte           { return binary.BigEndian.AppendUint32([]byte("f "), id) }
func nameKey(name string) []byte         { return []byte("n " + name) }
func shaKey(sum string) []byte           { return []byte("d " + sum) }
func waitKey(source, name string) []byte { return []byte("w " + source + "\x00" + name) }
func troubleKey(place string) []byte     { return []byte("t " + place) }
func closedKey(d day.Date) []byte        { return []byte("c " + d.String()) }

func (s *store) has(key []byte) (bool, error) { return s.get(key, nil) }

// numberKey takes 01 and 1 for one number.
func numberKey(f *File) []byte {
	return []byte("k " + f.Kind + "\x00" + f.Date.String() + "\x00" + strings.TrimLeft(f.Number, "0"))
}

// get reads JSON; false when there is none.
func (s *store) get(key []byte, to any) (bool, error) {
	b, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("station: %q: %w", key, err)
	}
	if to != nil {
		err = json.Unmarshal(b, to)
	}
	if err = errors.Join(err, closer.Close()); err != nil {
		return false, fmt.Errorf("station: %q: %w", key, err)
	}
	return true, nil
}

// file follows a key to the file that it names, nil for none.
func (s *store) file(key []byte) (*File, error) {
	var id uint32
	ok, err := s.get(key, &id)
	if err != nil || !ok {
		return nil, err
	}
	return s.byID(id)
}

func (s *store) byID(id uint32) (*File, error) {
	f := &File{}
	ok, err := s.get(fileKey(id), f)
	if err != nil || !ok {
		return nil, err
	}
	return f, nil
}

// batch is what becomes true at once.
type batch struct {
	b   *pebble.Batch
	at  func(step string) error
	err error
}

func (s *store) batch() *batch { return &batch{b: s.db.NewBatch(), at: s.at} }

func (b *batch) put(key []byte, v any) {
	text, err := json.Marshal(v)
	b.err = errors.Join(b.err, err)
	if err == nil {
		b.err = errors.Join(b.err, b.b.Set(key, text, nil))
	}
}

func (b *batch) drop(key []byte) { b.err = errors.Join(b.err, b.b.Delete(key, nil)) }

func (b *batch) file(f *File) { b.put(fileKey(f.ID), f) }

// commit makes it true, durably.
func (b *batch) commit() error {
	if b.err == nil {
		b.err = b.at("before a batch")
	}
	if b.err == nil {
		b.err = b.b.Commit(pebble.Sync)
	}
	if err := errors.Join(b.err, b.b.Close()); err != nil {
		return err
	}
	return b.at("after a batch")
}

// each reads all values of a prefix.
func each[T any](s *store, prefix string, f func(*T) error) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte(prefix), UpperBound: append([]byte(prefix[:len(prefix)-1]), prefix[len(prefix)-1]+1)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		var v T
		if err := json.Unmarshal(it.Value(), &v); err != nil {
			return fmt.Errorf("station: %q: %w", it.Key(), err)
		}
		if err := f(&v); err != nil {
			return err
		}
	}
	return it.Error()
}

func (s *store) files() (all []*File, err error) {
	return all, each(s, "f ", func(f *File) error {
		all = append(all, f)
		return nil
	})
}

// nextID is one more than the last.
func (s *store) nextID() (id uint32, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte("f "), UpperBound: []byte("f!")})
	if err != nil {
		return 0, err
	}
	if it.Last() {
		id = binary.BigEndian.Uint32(it.Key()[2:])
	}
	return id + 1, errors.Join(it.Error(), it.Close())
}
