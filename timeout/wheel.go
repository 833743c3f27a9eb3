// Package timeout is a timing wheel for one goroutine: it remembers deadlines
// and says which have passed. It owns no clock and no runtime timer; whoever
// owns the clock asks Next when to come back and calls Advance when it does.
package timeout

import (
	"math"
	"math/bits"
	"time"
)

// The wheel has one level per byte of a 64-bit tick number. A timer lives at
// the level of the highest byte in which its tick differs from the current
// tick, in the slot that this byte names. So a level never holds anything
// behind the current position, no slot is ever shared by two turns, and a
// timer moves down (cascades) at most once per level while time comes closer:
//
//	current tick   00 00 01 8F | 2A | 07
//	deadline       00 00 01 8F | 2C | 90   → level 1, slot 2C; goes to level 0,
//	                                         slot 90, when the tick is …2C 00
const (
	levels = 8
	slots  = 256
	words  = slots / 64
	// late is one slot more, for what a due function arms in the past: it waits
	// there for the end of the Advance, where the wheel's own slots would let it
	// fire at once and an Advance could last for ever.
	late = levels * slots
)

// Token names one armed timer. The zero Token names none. A token is a node's
// index and the generation that the node had, so that it stays harmless after
// the timer has fired and its node serves another.
type Token uint64

// node is one timer, linked into its slot by index: indexes survive growth of
// the array, cost half a pointer, and give the garbage collector nothing to
// look at.
type node struct {
	tick       uint64 // deadline in ticks, rounded up
	id         uint64
	next, prev uint32 // 0 is the end; node 0 is never used
	gen        uint32
	slot       uint16 // level*slots + slot; only while armed
	armed      bool
}

// Wheel is not safe for concurrent use: it belongs to one goroutine.
type Wheel struct {
	shift uint   // a tick is 1<<shift ns: a shift costs less than a division
	cur   uint64 // every tick before cur has been delivered
	floor uint64 // the earliest tick that a new timer may take
	busy  bool   // in Advance
	n     int
	free  uint32 // head of the free nodes, linked by next
	nodes []node
	heads [levels*slots + 1]uint32
	used  [levels + 1]occupied // which slots are not empty
}

// New makes a wheel with room for capacity timers; it doubles when that is not
// enough. The tick is rounded down to a power of two of nanoseconds, at least
// one, so a timer is never later than the tick that was asked for.
func New(tick time.Duration, capacity int) *Wheel {
	w := &Wheel{floor: 1}
	if tick > 1 {
		w.shift = uint(bits.Len64(uint64(tick)) - 1)
	}
	w.grow(max(capacity, 16))
	return w
}

// Len is the number of timers that are armed.
func (w *Wheel) Len() int { return w.n }

// Arm sets a timer for the time at (unix ns) that will give id to the due
// function of Advance. A time that has passed counts as the next tick.
func (w *Wheel) Arm(at int64, id uint64) Token {
	if w.free == 0 {
		w.grow(len(w.nodes))
	}
	i := w.free
	nd := &w.nodes[i]
	w.free = nd.next
	nd.tick, nd.id, nd.armed = w.ceil(at), id, true
	switch {
	case nd.tick >= w.floor:
		w.place(i, nd.tick)
	case w.busy:
		w.link(i, late)
	default:
		w.place(i, w.floor)
	}
	w.n++
	return Token(uint64(i)<<32 | uint64(nd.gen))
}

// Disarm takes a timer back. It is false when the timer has fired, was
// disarmed before, or never was.
func (w *Wheel) Disarm(t Token) bool {
	i := uint32(t >> 32)
	if i == 0 || int(i) >= len(w.nodes) {
		return false
	}
	nd := &w.nodes[i]
	if !nd.armed || nd.gen != uint32(t) {
		return false
	}
	w.unlink(i)
	w.release(i)
	return true
}

// Next is the time (unix ns) at which Advance has something to do, false when
// nothing is armed. No timer is due before it. It can be earlier than the first
// deadline, when far timers have to move to a nearer level: at most seven times
// in the life of a timer.
func (w *Wheel) Next() (int64, bool) {
	tick, _, ok := w.earliest()
	if !ok {
		return 0, false
	}
	if tick > uint64(math.MaxInt64)>>w.shift {
		return math.MaxInt64, true
	}
	return int64(tick << w.shift), true
}

// Advance calls due for each timer whose time has come at now (unix ns), in the
// order of their ticks. A timer never fires early, and at most one tick late
// against the first Advance at or after its time. due may arm and disarm any
// timer, but not advance; what it arms fires in a later Advance even when its
// time has passed, so Advance always ends.
func (w *Wheel) Advance(now int64, due func(id uint64)) {
	target := uint64(max(now, 0)) >> w.shift
	if target < w.cur {
		w.rebase(target)
	}
	w.floor, w.busy = target+1, true
	for {
		tick, slot, ok := w.earliest()
		if !ok || tick > target {
			break
		}
		w.cur = tick
		if slot < slots {
			w.fire(slot, due)
		} else {
			w.replace(slot, tick)
		}
	}
	w.cur, w.busy = target, false
	w.replace(late, w.floor)
}

func (w *Wheel) fire(slot uint16, due func(id uint64)) {
	for w.heads[slot] != 0 { // read again each time: due may change the list
		i := w.heads[slot]
		id := w.nodes[i].id
		w.unlink(i)
		w.release(i)
		due(id)
	}
}

// replace moves a slot's timers to where they belong as seen from the current
// tick, but not before floor.
func (w *Wheel) replace(slot uint16, floor uint64) {
	i := w.heads[slot]
	if i == 0 {
		return
	}
	w.heads[slot] = 0
	w.clear(slot)
	for i != 0 {
		next := w.nodes[i].next
		w.place(i, max(w.nodes[i].tick, floor))
		i = next
	}
}

// rebase puts every timer where it belongs after the clock was set back. It
// walks all nodes, which a clock step is rare enough to afford; without it,
// timers armed after the step would wait until the old time came round again.
func (w *Wheel) rebase(target uint64) {
	w.cur = target
	w.heads = [levels*slots + 1]uint32{}
	w.used = [levels + 1]occupied{}
	for i := range w.nodes {
		if w.nodes[i].armed {
			w.place(uint32(i), max(w.nodes[i].tick, target))
		}
	}
}

// earliest finds the first slot that is not empty and the tick at which it
// begins. A nearer level always comes before a farther one, because a farther
// slot begins after the nearer level's whole range.
func (w *Wheel) earliest() (tick uint64, slot uint16, ok bool) {
	if w.n == 0 {
		return 0, 0, false
	}
	for level := range uint(levels) {
		at := w.cur >> (8 * level) & (slots - 1)
		s, found := w.used[level].from(uint(at))
		if !found {
			continue
		}
		above := ^uint64(0) << (8*level + 8) // shifts to 0 at the top level
		return w.cur&above | uint64(s)<<(8*level), uint16(level*slots + s), true
	}
	return 0, 0, false
}

func (w *Wheel) ceil(at int64) uint64 {
	if at <= 0 {
		return 0
	}
	return (uint64(at) + 1<<w.shift - 1) >> w.shift
}

// place links node i into the slot of tick, which is not before cur.
func (w *Wheel) place(i uint32, tick uint64) {
	level := uint(bits.Len64(tick^w.cur|1)-1) / 8
	w.link(i, uint16(level*slots+uint(tick>>(8*level))&(slots-1)))
}

func (w *Wheel) link(i uint32, slot uint16) {
	nd := &w.nodes[i]
	head := w.heads[slot]
	nd.next, nd.prev, nd.slot = head, 0, slot
	if head != 0 {
		w.nodes[head].prev = i
	} else {
		w.used[slot/slots][slot%slots/64] |= 1 << (slot % 64)
	}
	w.heads[slot] = i
}

func (w *Wheel) unlink(i uint32) {
	nd := &w.nodes[i]
	if nd.next != 0 {
		w.nodes[nd.next].prev = nd.prev
	}
	if nd.prev != 0 {
		w.nodes[nd.prev].next = nd.next
		return
	}
	w.heads[nd.slot] = nd.next
	if nd.next == 0 {
		w.clear(nd.slot)
	}
}

func (w *Wheel) clear(slot uint16) {
	w.used[slot/slots][slot%slots/64] &^= 1 << (slot % 64)
}

// release gives node i back. The generation changes here and not in Arm, so
// that a token is dead from the moment its timer is.
func (w *Wheel) release(i uint32) {
	nd := &w.nodes[i]
	nd.gen++
	nd.armed = false
	nd.next = w.free
	w.free = i
	w.n--
}

// grow adds at least extra free nodes. Node 0 exists and is never handed out,
// so that 0 can mean "none" in every link and token.
func (w *Wheel) grow(extra int) {
	from := max(len(w.nodes), 1)
	nodes := make([]node, from+extra)
	copy(nodes, w.nodes)
	for i := len(nodes) - 1; i >= from; i-- {
		nodes[i].next = w.free
		w.free = uint32(i)
	}
	w.nodes = nodes
}

// occupied is the set of a level's slots that hold timers, one bit each.
type occupied [words]uint64

// from finds the first member that is not below s.
func (o *occupied) from(s uint) (uint, bool) {
	word := o[s/64] >> (s % 64) << (s % 64)
	for i := s / 64; ; word = o[i] {
		if word != 0 {
			return i*64 + uint(bits.TrailingZeros64(word)), true
		}
		if i++; i == words {
			return 0, false
		}
	}
}
