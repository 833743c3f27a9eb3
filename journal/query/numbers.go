package query

import "tongka/txn"

// numbers is a set of transactions' numbers, a bit for each: they are counted from one,
// so blocks fill up.
type numbers map[txn.ID]*[1 << (blockBits - 6)]uint64

// blockBits are the bits of a number within its block of half a kilobyte.
const blockBits = 12

func (n numbers) add(id txn.ID) {
	b := n[id>>blockBits]
	if b == nil {
		b = new([1 << (blockBits - 6)]uint64)
		n[id>>blockBits] = b
	}
	b[id>>6&(1<<(blockBits-6)-1)] |= 1 << (id & 63)
}

func (n numbers) has(id txn.ID) bool {
	b := n[id>>blockBits]
	return b != nil && b[id>>6&(1<<(blockBits-6)-1)]&(1<<(id&63)) != 0
}
