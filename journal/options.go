package journal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

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

	// NoWarm leaves out the writing of the log's files ahead of use. Only where nobody
	// measures: the first commits then wait for the disk to find blocks.
	NoWarm bool
	// InlineIndex writes the index in the caller's goroutine, so that one seed
	// gives one order of writes. For simulation; slower.
	InlineIndex bool

	MemTable int   // bytes of a memtable, half of a file of the log; 0 = 16 MiB
	Cache    int64 // bytes of Pebble's block cache; 0 = 32 MiB
	Filter   int   // bytes of the filter before Find; 0 = 16 MiB, good for 8 million requests on disk
}

const (
	defaultMemTable = 16 << 20
	minMemTable     = 1 << 20
	defaultCache    = 32 << 20
	defaultFilter   = 16 << 20
	minFilter       = 4 << 10
	stopWrites      = 4       // memtables that may wait for their flush
	retainBatch     = 8 << 20 // bytes kept of a batch: more than a tick needs
	indexMemTable   = 4 << 20 // what a crash may leave out of the index: some 250,000 entries
	indexBlock      = 32 << 10
	tableSize       = 16 << 20 // of the first level's files; each level's are twice as large
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
		// The keys of ticks come in order and are read one by one, and rarely, so a
		// compaction gains little: let more files come together first.
		L0CompactionThreshold: 12,
		L0StopWritesThreshold: 48,
		TargetFileSizes:       [7]int64{tableSize}, // a file costs some hundred objects and two syncs, so few large ones
	}
	// Ciphertext and fingerprints do not compress; trying costs the flushes a
	// third of their time.
	// Most files hold keys from one end of the alphabet to the other, ticks beside
	// cards, so a look that finds nothing would read a block of each.
	p.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	return p
}

// log says where the log is. Its files are of two memtables: what it holds is flushed
// each time that one is full, and memtables are to fill before that.
func (o *Options) log() wal.Options {
	return wal.Options{FS: o.FS, Dir: o.FS.PathJoin(o.Dir, "log"), Segment: 2 * int64(o.MemTable), Warm: !o.NoWarm}
}

func (o *Options) index(cache *pebble.Cache) *pebble.Options {
	p := o.truth(cache)
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
