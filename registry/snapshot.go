package registry

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"tongka/txn"
)

// Snapshot is the terminals at one moment. Nothing in it changes but the
// sessions, so any goroutine reads it without a lock; an import makes a new one.
//
// The table is open addressing over 8-byte slots: the upper half of the hash,
// to look past strangers without touching them, and the terminal's place plus
// one. It is at most half full, so a look-up reads one or two slots that lie
// side by side, then the terminal's own cache line.
type Snapshot struct {
	terminals []Terminal // sorted by ID
	slots     []uint64
	mask      uint64
	dirty     []atomic.Uint64 // one bit a terminal: its session is not in Badger yet
	more      *extras
}

// newSnapshot builds the table. The profiles are sorted and without repeats.
func newSnapshot(profiles []Profile, more *extras) *Snapshot {
	n := len(profiles)
	size := 8
	for size < 2*n {
		size *= 2
	}
	s := &Snapshot{
		terminals: make([]Terminal, n),
		slots:     make([]uint64, size),
		mask:      uint64(size - 1),
		more:      more,
		dirty:     make([]atomic.Uint64, (n+63)/64),
	}
	for i := range profiles {
		s.terminals[i].Profile = profiles[i]
		h := hash(&profiles[i].ID)
		at := h & s.mask
		for s.slots[at] != 0 {
			at = (at + 1) & s.mask
		}
		s.slots[at] = h&tagBits | uint64(i+1)
	}
	return s
}

// tagBits is the part of a slot that holds hash; the rest holds place + 1.
const tagBits = 0xFFFFFFFF_00000000

// hash folds the 23 bytes of an identity. The three words overlap by one byte,
// which costs nothing and needs no tail. Its input comes from the operator's
// own file, so it need not withstand chosen keys.
func hash(id *txn.Terminal) uint64 {
	const k0, k1, k2 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F
	a := binary.LittleEndian.Uint64(id.Merchant[0:8])
	b := binary.LittleEndian.Uint64(id.Merchant[7:15])
	c := binary.LittleEndian.Uint64(id.Number[:])
	hi, lo := bits.Mul64(a^k0, b^k1)
	hi, lo = bits.Mul64(hi^lo^k2, c^k0)
	return hi ^ lo
}

// Len is the number of terminals.
func (s *Snapshot) Len() int { return len(s.terminals) }

// At gives terminal i of 0 … Len()-1, in the order of merchant and number.
func (s *Snapshot) At(i int) *Terminal { return &s.terminals[i] }

// Terminal finds a terminal, nil when it is not registered. It allocates
// nothing.
func (s *Snapshot) Terminal(id *txn.Terminal) *Terminal {
	i := s.find(id)
	if i < 0 {
		return nil
	}
	return &s.terminals[i]
}

func (s *Snapshot) find(id *txn.Terminal) int {
	h := hash(id)
	for at := h & s.mask; ; at = (at + 1) & s.mask {
		slot := s.slots[at]
		if slot == 0 {
			return -1
		}
		if slot&tagBits != h&tagBits {
			continue
		}
		if i := int(uint32(slot)) - 1; s.terminals[i].ID == *id {
			return i
		}
	}
}

func (s *Snapshot) mark(i int)        { s.dirty[i/64].Or(1 << (i % 64)) }
func (s *Snapshot) marked(i int) bool { return s.dirty[i/64].Load()>>(i%64)&1 != 0 }
