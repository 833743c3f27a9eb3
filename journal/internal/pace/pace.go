// Package pace gives tables to the disk bit by bit. A memtable that is flushed is 13
// MB, a compaction 200, and Pebble writes them as fast as a processor can. A disk that
// others share answers such a burst by standing still: a commit of 8 KiB that takes 0.15
// ms then takes 10 to 1,000, for 5 to 10 % of the time that bursts fill. The same bytes
// spread out cost it less than 1 %.
package pace

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// The disk is given what it may have in breath, and has it before it gets more. At a
	// few tens of megabytes a second that is 128 KiB; each waking costs 10 µs.
	breath    = 5 * time.Millisecond
	leastBite = 128 << 10
	mostBite  = 1 << 20
	// ahead is how much faster than the log tables are written: a memtable must be on
	// disk before the next is full, and compactions write bytes more than once.
	ahead = 3
	least = 16 << 20 // bytes a second, when the log hardly grows
	// Every look the speed of the log is measured. It counts at once when it has risen, and
	// what it was is forgotten by a tenth in each. It is the pace's and not the table's: at a
	// hundred megabytes a second a table is late before it has measured anything.
	look   = 100 * time.Millisecond
	forget = 0.9
	// From this speed of the log on, in bytes a second, what a flush wrote is not kept in
	// memory: an hour of it is more than a machine has, so it would only push out what is
	// read. And a virtual machine pays for each page that it has never had: 13 µs, while a
	// page just given up is as good as new.
	much = 12 << 20
	// longest bounds a sleep, so that a log that fills faster is noticed.
	longest = 50 * time.Millisecond
)

// Pace says how fast the tables of one database may be written.
type Pace struct {
	log   func() uint64   // bytes that the log has had
	late  func(Kind) bool // they have fallen behind
	clock clock
	free  atomic.Bool

	mu     sync.Mutex
	looked time.Time
	had    uint64  // log, then
	rate   float64 // of the log, bytes a second
}

// Kind is what a table is written for.
type Kind int

// The kinds of tables.
const (
	Flush Kind = iota
	Compaction
)

type clock struct {
	now   func() time.Time
	sleep func(time.Duration)
}

// New makes a pace that holds nothing back before Hold is called: what an opening
// writes is waited for. log gives the bytes that went to the log, from any goroutine.
func New(log func() uint64) *Pace {
	p := &Pace{log: log, clock: clock{time.Now, time.Sleep}}
	p.free.Store(true)
	return p
}

// Hold begins to hold tables back. late says when a kind is so far behind that it must
// not be; it is asked by the goroutine that writes such a table, ten times a second.
func (p *Pace) Hold(late func(Kind) bool) {
	p.late = late
	p.had, p.looked = p.log(), p.clock.now()
	p.free.Store(false)
}

// Hurry ends it: somebody waits for the tables.
func (p *Pace) Hurry() { p.free.Store(true) }

// Held says whether tables are held back.
func (p *Pace) Held() bool { return !p.free.Load() }

// FS is a file system whose tables are written at this pace.
func (p *Pace) FS(fs vfs.FS) vfs.FS { return &paced{FS: fs, pace: p} }

type paced struct {
	vfs.FS
	pace *Pace
}

// Pebble's names for what it writes behind everybody's back.
const (
	flushes     = vfs.DiskWriteCategory("pebble-memtable-flush")
	compactions = vfs.DiskWriteCategory("pebble-compaction")
)

// Create implements vfs.FS.
func (s *paced) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.Create(name, category)
	if err != nil || category != flushes && category != compactions {
		return f, err
	}
	t := &table{File: f, pace: s.pace, kind: Compaction}
	if category == flushes {
		t.kind = Flush
	}
	return t, nil
}

// Unwrap implements vfs.FS.
func (s *paced) Unwrap() vfs.FS { return s.FS }

// speed is how many bytes a second a table may have now.
func (p *Pace) speed(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := now.Sub(p.looked); d >= look {
		has := p.log()
		known := p.rate * math.Pow(forget, d.Seconds()/look.Seconds())
		p.rate = max(float64(has-p.had)/d.Seconds(), known)
		p.had, p.looked = has, now
	}
	return max(ahead*p.rate, least)
}

// table is a file on its way. One goroutine writes it.
type table struct {
	vfs.File
	pace  *Pace
	kind  Kind
	size  int64
	given int64     // of it, to the disk
	bite  int64     // bytes that it is given at a time
	speed float64   // bytes a second that it may have
	due   time.Time // when what was given is paid for

	looked time.Time
	late   bool
	pass   bool // what the disk has is not kept in memory
}

// Write implements vfs.File.
func (t *table) Write(b []byte) (int, error) {
	n, err := t.File.Write(b)
	t.size += int64(n)
	if err != nil || !t.pace.Held() {
		return n, err
	}
	if t.looked.IsZero() {
		t.due = t.pace.clock.now()
		t.look(t.due)
	}
	if t.size-t.given >= t.bite {
		t.rest()
	}
	return n, nil
}

// rest waits until the disk has what was written, and for as long as that is worth.
func (t *table) rest() {
	n := t.size - t.given
	fd := t.Fd()
	settle(fd, t.given, n)
	if t.pass {
		letGo(fd, t.given, n)
	}
	t.given = t.size
	now := t.pace.clock.now()
	if now.Sub(t.looked) >= look {
		t.look(now)
	}
	t.due = t.due.Add(time.Duration(float64(n) / t.speed * float64(time.Second)))
	if t.late || t.due.Before(now) {
		t.due = now // what came late is not caught up with: that would be a burst
		return
	}
	wait := min(t.due.Sub(now), longest)
	t.due = now.Add(wait)
	t.pace.clock.sleep(wait)
}

func (t *table) look(now time.Time) {
	t.looked = now
	t.speed = t.pace.speed(now)
	t.bite = min(max(int64(t.speed*breath.Seconds()), leastBite), mostBite)
	t.late = t.pace.late(t.kind)
	t.pass = t.kind == Flush && t.speed >= ahead*much
}
