package storefwd

import (
	"encoding/binary"

	"tongka/journal"
	"tongka/txn"
)

// State says where an item is.
type State uint8

// States of an item.
const (
	Free    State = iota // not an item
	Blocked              // an older item of the same card comes first
	Waiting              // for its time, the window, the round or the link
	Flying               // offered, no answer yet
	Parked               // used up its attempts; an operator releases or settles it
	Held                 // an operator stopped it
)

var stateNames = [...]string{"free", "blocked", "waiting", "flying", "parked", "held"}

// String is the state's name in the console.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// Form says what is owed of a transaction. The numbers are on disk.
type Form uint8

// Forms. A transaction may be owed in both: first as an advice, then taken back.
const (
	Reversal Form = iota
	Advice
)

var formNames = [...]string{"reversal", "advice"}

// String is the form's name in the console.
func (f Form) String() string {
	if int(f) < len(formNames) {
		return formNames[f]
	}
	return "invalid"
}

// Debt is what is offered: the facts of the transaction that is taken back or
// told of, and what an advice says beyond them, in a form of the caller's own. Body is
// lent until the next call of the queue.
type Debt struct {
	txn.Facts
	Form Form
	Body []byte
}

// read takes the value of a debt, and gives since when it is owed; 0 of one that
// was written before there was such a time. Body is part of plain.
func (d *Debt) read(plain []byte) (since int64, err error) {
	n, err := journal.ReadFacts(plain, &d.Facts)
	if err != nil {
		return 0, err
	}
	if d.Body = plain[n:]; len(d.Body) >= sinceSize {
		since, d.Body = int64(binary.LittleEndian.Uint64(d.Body)), d.Body[sinceSize:]
	}
	return since, nil
}

// name is a debt's own: the transaction and the form.
type name struct {
	id   txn.ID
	form Form
}

// number is the name in eight bytes, for maps with a million of them. There are two
// forms, and transactions are counted from one.
func (n name) number() uint64 { return uint64(n.id)<<1 | uint64(n.form) }

// before orders what is due at one time: older transactions first, and what is
// told before it is taken back.
func (n name) before(m name) bool { return n.id < m.id || n.id == m.id && n.form > m.form }

// Item is one thing owed, as the console shows it.
type Item struct {
	ID       txn.ID
	Form     Form
	Link     txn.LinkID
	State    State
	Offers   int   // made so far; one is added at a restart, which cannot know
	Attempts int   // of these, failures that count towards MaxAttempts
	At       int64 // Waiting: due from then on; Flying: fails then; Unix nanoseconds
	Held     bool  // it is Held, or will be once an older one of its card has gone
}

// item is 48 bytes without pointers: a million of them must fit, and the
// garbage collector need not look at one.
type item struct {
	id         txn.ID
	card       uint64 // 0 = no card, no order
	at         int64
	prev, next int32 // neighbours of the same card, or none
	pos        int32 // in the link's heap, when waiting
	link       txn.LinkID
	offers     uint16
	attempts   uint16
	state      State
	form       Form
	held       bool // it waits for an operator as soon as it waits at all
}

func (it *item) name() name { return name{it.id, it.form} }

func (it *item) shown() Item {
	return Item{it.id, it.form, it.link, it.state, int(it.offers), int(it.attempts), it.at, it.held}
}

const (
	none      = int32(-1)
	chunkBits = 10
)

// slab keeps items in chunks, so that growing copies nothing.
type slab struct {
	chunks [][]item
	free   int32 // chained by next
}

func (s *slab) at(i int32) *item { return &s.chunks[i>>chunkBits][i&(1<<chunkBits-1)] }

func (s *slab) take() int32 {
	if s.free == none {
		base := int32(len(s.chunks)) << chunkBits
		chunk := make([]item, 1<<chunkBits)
		for i := range chunk {
			chunk[i].next = base + int32(i) + 1
		}
		chunk[len(chunk)-1].next = none
		s.chunks = append(s.chunks, chunk)
		s.free = base
	}
	i := s.free
	s.free = s.at(i).next
	return i
}

func (s *slab) give(i int32) {
	*s.at(i) = item{next: s.free}
	s.free = i
}

// heap orders a link's waiting items by time, then by age.
type heap struct {
	s    *slab
	list []int32
}

func (h *heap) before(a, b int32) bool {
	x, y := h.s.at(a), h.s.at(b)
	return x.at < y.at || x.at == y.at && x.name().before(y.name())
}

func (h *heap) set(pos int, i int32) {
	h.list[pos] = i
	h.s.at(i).pos = int32(pos)
}

func (h *heap) push(i int32) {
	h.list = append(h.list, i)
	h.up(len(h.list)-1, i)
}

func (h *heap) remove(i int32) {
	pos, last := int(h.s.at(i).pos), len(h.list)-1
	moved := h.list[last]
	h.list = h.list[:last]
	if moved != i {
		h.set(pos, moved)
		h.fix(moved)
	}
}

// fix restores the order after the item's time changed.
func (h *heap) fix(i int32) {
	h.up(int(h.s.at(i).pos), i)
	h.down(int(h.s.at(i).pos), i)
}

func (h *heap) up(pos int, i int32) {
	for pos > 0 {
		parent := (pos - 1) / 2
		if !h.before(i, h.list[parent]) {
			break
		}
		h.set(pos, h.list[parent])
		pos = parent
	}
	h.set(pos, i)
}

func (h *heap) down(pos int, i int32) {
	for {
		child := 2*pos + 1
		if child >= len(h.list) {
			break
		}
		if child+1 < len(h.list) && h.before(h.list[child+1], h.list[child]) {
			child++
		}
		if !h.before(h.list[child], i) {
			break
		}
		h.set(pos, h.list[child])
		pos = child
	}
	h.set(pos, i)
}
