package clear

import (
	"tongka/hsm/clear/internal/tdes"
)

// BatchSize is how many codes a Batch makes at a time.
const BatchSize = tdes.Lanes

// Batch makes the UnionPay codes of several messages, each under its own key: of many
// in a third of the time of one after the other, where the machine has the
// instructions. One goroutine at a time may use it.
type Batch struct {
	des      tdes.Batch
	n        int
	keys     [BatchSize]*tdes.Key
	one, two [BatchSize]uint64 // the second is no block but what is added before it
}

// Add takes a message and gives its place among the codes. Nothing of data is kept. A batch
// that is full wants Make first.
func (b *Batch) Add(c *Cipher, data []byte) (place int) {
	place = b.n
	b.keys[place] = &c.key
	b.one[place], b.two[place] = halves(data)
	b.n++
	return place
}

// Full says that no more can be added.
func (b *Batch) Full() bool { return b.n == BatchSize }

// Make makes the codes of what was added, and begins anew.
func (b *Batch) Make() {
	b.des.EncryptTwos(b.keys[:b.n], b.one[:b.n], b.two[:b.n])
	b.n = 0
}

// MAC is the code at a place, from Make until something is added.
func (b *Batch) MAC(place int) [8]byte { return hexOf(b.one[place]) }
