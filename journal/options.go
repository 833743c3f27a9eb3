package journal

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"tongka/journal/internal/pace"
	"tongka/journal/internal/quiet"
	"tongka/journal/internal/wal"
	"tongka/keyfile"
)

// Options say where and how the journal of one shard is kept.
type Options struct {
	Dir    string           // the database's folder, made when missing
	FS     vfs.FS           // nil = the disk
	Key    [32]byte         // the newest, under which is sealed; all zero is refused
	Old    [][32]byte       // earlier ones that are needed to read; Open takes what it reads under them to the newest
	Shard  uint8            // part of every key
	Logger *zap.Logger      // nil = silent
	Fatal  func(msg string) // Pebble cannot go on; must not return. nil = print and exit(1)

	// NoWarm leaves out what makes commits even: the writing of the log's files ahead of
	// use, and the pace of tables. Only where nobody waits for a commit: the first ones
	// then wait for the disk to find blocks, and others for bursts of tables.
	NoWarm bool
	// InlineIndex writes the index in the caller's goroutine, so that one seed
	// gives one order of writes. For simulation; slower.
	InlineIndex bool

	MemTable int   // bytes of a memtable, a third more than of a file of the log; 0 = 32 MiB
	Cache    int64 // bytes of Pebble's block cache; 0 = 32 MiB
	Filter   int   // bytes of the filter before Find; 0 = 16 MiB, good for 8 million requests on disk
}

const (
	defaultMemTable = 32 << 20
	minMemTable     = 1 << 20
	defaultCache    = 32 << 20
	defaultFilter   = 16 << 20
	minFilter       = 4 << 10
	stopWrites      = 4         // memtables that may wait for their flush
	retainBatch     = 8 << 20   // bytes kept of a batch: more than a tick needs
	truthBlock      = 192 << 10 // of tables of the truth
	indexMemTable   = 16 << 20  // what a crash may leave out of the index: some 1,000,000 entries
	indexBlock      = 32 << 10
	indexTable      = 16 << 20 // of the first level's files; each level's are twice as large
)

// Validate reports every fault at once.
func (o *Options) Validate() error {
	var faults []error
	if o.Dir == "" {
		faults = append(faults, errors.New("journal: dir is empty"))
	}
	if o.Key == ([32]byte{}) {
		faults = append(faults, errors.New("journal: key is all zero"))
	}
	if o.MemTable != 0 && o.MemTable < minMemTable {
		faults = append(faults, fmt.Errorf("journal: memtable %d is below %d bytes", o.MemTable, minMemTable))
	}
	if o.Cache < 0 {
		faults = append(faults, fmt.Errorf("journal: cache %d is negative", o.Cache))
	}
	if o.Filter != 0 && o.Filter < minFilter {
		faults = append(faults, fmt.Errorf("journal: filter %d is below %d bytes", o.Filter, minFilter))
	}
	return errors.Join(faults...)
}

func (o *Options) ring() *keyfile.Ring { return &keyfile.Ring{Key: o.Key, Old: o.Old} }

// Memory is the most that a journal with these options holds, in bytes:
// memtables, block cache, filter, two batches, the newest fingerprints, and what was
// looked up or opened last.
func (o *Options) Memory() int64 {
	c := *o
	c.fill()
	const prints = 2 * (generation + generation/4) * 32
	return int64(c.MemTable+indexMemTable)*stopWrites + c.Cache + int64(c.Filter) + 2*retainBatch + prints + hotSlots*hotSize + heldPages*pageLimit
}

func (o *Options) fill() {
	if o.MemTable == 0 {
		o.MemTable = defaultMemTable
	}
	if o.Cache == 0 {
		o.Cache = defaultCache
	}
	if o.Filter == 0 {
		o.Filter = defaultFilter
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
}

// truth are Pebble's options for what must never be lost, index those for what
// can be made again.
func (o *Options) truth(cache *pebble.Cache) *pebble.Options {
	p := &pebble.Options{
		FS:                          o.FS,
		DisableWAL:                  true, // the log is ours
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                uint64(o.MemTable),
		MemTableStopWritesThreshold: stopWrites,
		Cache:                       cache,
		Logger:                      &quiet.Logger{To: o.Logger, Fatal: o.Fatal},
		// Each look knows its key and filters know what is not there, so a compaction gains
		// little: let more files come together first.
		L0CompactionThreshold: 12,
		L0StopWritesThreshold: 48,
		// A file costs some hundred objects and two syncs, so what is flushed is one of ticks
		// and one of the rest; each further level's are twice as large as the second's. A
		// compaction takes files along that lie beside its own, as long as all are below 25
		// times that: it is to leave the ticks of six flushes alone.
		TargetFileSizes: [7]int64{int64(o.MemTable), int64(o.MemTable) / 10},
	}
	// Ciphertext and fingerprints do not compress; trying costs the flushes a
	// third of their time.
	// Files hold keys from one end of the alphabet to the other, so a look that finds
	// nothing would read a block of each.
	p.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	p.Experimental.SpanPolicyFunc = apart
	// Each block that is written asks the heap for an object, and a turn's page is a block
	// of its own unless several share one. Who looks for an old record reads all of it.
	p.Levels[0].BlockSize = truthBlock
	return p
}

// apart has ticks in tables of their own. Their keys come in order, so such a table
// overlaps with no other and is not written again; beside keys from both ends of the
// alphabet it would be, by each compaction of these.
func apart(from []byte) (_ pebble.SpanPolicy, end []byte, _ error) {
	switch letter := from[0]; {
	case letter < 'T':
		end = []byte{'T'}
	case letter == 'T':
		end = []byte{'T' + 1}
	}
	return pebble.SpanPolicy{}, end, nil
}

// store is a database whose tables are written at a pace.
type store struct {
	*pebble.DB
	pace    *pace.Pace
	stop    int // depth of its first level at which Pebble takes no more until it has compacted
	fed     func() uint64
	size    uint64 // of a memtable
	waiting *flushes
}

// flushes are those that were asked for and have not ended. Pebble tells how many
// memtables wait in a picture of all that it has, a dozen objects each time.
type flushes struct {
	mu   sync.Mutex
	done []<-chan struct{}
}

// AsyncFlush has Pebble flush what it holds, from any goroutine.
func (s *store) AsyncFlush() (<-chan struct{}, error) {
	done, err := s.DB.AsyncFlush()
	if err == nil {
		s.waiting.count(done)
	}
	return done, err
}

// count takes in more of them, and gives how many there are.
func (f *flushes) count(more ...<-chan struct{}) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = slices.DeleteFunc(append(f.done, more...), func(done <-chan struct{}) bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	return len(f.done)
}

// openStore opens a database beneath a log of which fed bytes have been written.
func openStore(dir string, o *pebble.Options, fed func() uint64) (store, error) {
	s := store{pace: pace.New(fed), stop: o.L0StopWritesThreshold, fed: fed, size: o.MemTableSize, waiting: new(flushes)}
	o.FS = s.pace.FS(o.FS)
	var err error
	if s.DB, err = pebble.Open(dir, o); err != nil {
		return s, fmt.Errorf("journal: open %s: %w", dir, err)
	}
	return s, nil
}

// hold gives tables to the disk bit by bit from now on.
func (s *store) hold() { s.pace.Hold(s.behind) }

// behind says when tables are to be let go: long before Pebble would stop for them. So
// are flushes until a memtable's worth is in the log: the first memtables are smaller,
// and full before we ask. The index's are not behind later, for it grows by a tenth of
// what the pace is measured by.
func (s *store) behind(k pace.Kind) bool {
	if k == pace.Flush {
		return s.fed() < s.size || s.waiting.count() >= stopWrites-2 // and another memtable is being filled
	}
	return int(s.Metrics().Levels[0].Sublevels) >= s.stop/2
}

// log says where the log is. What it holds is flushed each time that a file is full,
// and that is to be before a memtable is: else two would be flushed one right behind the
// other.
func (o *Options) log() wal.Options {
	return wal.Options{FS: o.FS, Dir: o.FS.PathJoin(o.Dir, "log"), Segment: int64(o.MemTable) / 4 * 3, Warm: !o.NoWarm}
}

func (o *Options) index(cache *pebble.Cache) *pebble.Options {
	p := o.truth(cache)
	p.Experimental.SpanPolicyFunc = nil
	p.TargetFileSizes = [7]int64{indexTable}
	p.Levels[0].FilterPolicy = pebble.NoFilterPolicy // it has one of its own
	p.MemTableSize = indexMemTable
	// Random keys make every compaction write all of the next level, so let more
	// come together first.
	p.L0CompactionThreshold = 16
	p.L0StopWritesThreshold = 64
	// Each block and each file that a compaction writes asks the heap for objects. A
	// look-up that reaches the disk is rare, and reads one block of each chunk.
	p.Levels[0].BlockSize = indexBlock
	return p
}
