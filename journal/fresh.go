package journal

// fresh holds the newest fingerprints of the shard until the index has them. To
// remember costs the shard a store behind the last one and one into a small
// bitmap; to find is rare, and looks through the entries only when the bitmap
// says "perhaps", which it says wrongly about once in two hundred.
type fresh struct {
	entries []entry
	bits    [1 << 15]uint64 // two bits of a fingerprint, in one word
}

func (f *fresh) place(fp uint64) (word *uint64, mask uint64) {
	return &f.bits[fp>>49], 1<<(fp&63) | 1<<(fp>>6&63)
}

func (f *fresh) add(fp uint64, lsn LSN) {
	word, mask := f.place(fp)
	*word |= mask
	f.entries = append(f.entries, entry{fp, lsn})
}

// find gives the newest.
func (f *fresh) find(fp uint64) (LSN, bool) {
	word, mask := f.place(fp)
	if *word&mask != mask {
		return 0, false
	}
	for i := len(f.entries) - 1; i >= 0; i-- {
		if f.entries[i].fp == fp {
			return f.entries[i].lsn, true
		}
	}
	return 0, false
}

func (f *fresh) clear() {
	f.entries = f.entries[:0]
	clear(f.bits[:])
}
