package journal

import "hash/maphash"

// hot keeps what was looked up last beside the database: a card is read twice in a
// load, and a look in Pebble costs some 4 µs. It is no second truth: a key that Put or
// Delete stages changes its place here in the same call, and a place that the open
// tick has touched is neither read nor filled before that tick is committed, so
// whoever looks is told what the database would tell.
//
// Each key has one place. What is written and never read takes none, so the debts of
// a day do not drive out the cards of an hour.
type hot struct {
	seed  maphash.Seed
	turn  uint64 // number of the open tick's batch, from 1
	gone  uint64 // purges that it knows of
	slots []hotSlot
}

const (
	hotSlots = 1 << 13
	hotSize  = 256          // bytes of a place
	hotBytes = hotSize - 12 // of key and value together; longer ones are not kept
)

type hotSlot struct {
	touched uint64 // turn in which Put or Delete last changed a key of this place
	full    bool
	found   bool // the key has a value
	key     uint8
	size    uint8
	b       [hotBytes]byte
}

func newHot() hot {
	return hot{seed: maphash.MakeSeed(), turn: 1, slots: make([]hotSlot, hotSlots)}
}

func (h *hot) place(key []byte) *hotSlot {
	return &h.slots[maphash.Bytes(h.seed, key)%uint64(len(h.slots))]
}

func (s *hotSlot) holds(key []byte) bool {
	return s.full && string(s.b[:s.key]) == string(key)
}

// get appends a value to dst; known says that the database need not be asked.
func (h *hot) get(key, dst []byte) (out []byte, found, known bool) {
	s := h.place(key)
	if s.touched == h.turn || !s.holds(key) {
		return dst, false, false
	}
	return append(dst, s.b[s.key:s.key+s.size]...), s.found, true
}

// fill takes what the database said.
func (h *hot) fill(key, value []byte, found bool) {
	if s := h.place(key); s.touched != h.turn {
		s.set(key, value, found)
	}
}

// change takes what the open tick stages.
func (h *hot) change(key, value []byte, found bool) {
	s := h.place(key)
	if s.holds(key) {
		s.set(key, value, found)
	}
	s.touched = h.turn
}

func (s *hotSlot) set(key, value []byte, found bool) {
	s.full = len(key)+len(value) <= hotBytes
	if !s.full {
		return
	}
	s.found = found
	s.key, s.size = uint8(copy(s.b[:], key)), uint8(copy(s.b[len(key):], value))
}

// purged forgets all once for each purge, which takes keys away behind our back.
func (h *hot) purged(n uint64) {
	if h.gone != n {
		h.gone = n
		for i := range h.slots {
			h.slots[i].full = false
		}
	}
}
