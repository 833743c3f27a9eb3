package blacklist

import (
	"cmp"
	"math/bits"
	"slices"
)

// Entry is one card of a list, or, with Remove, the end of one.
type Entry struct {
	Print  uint64 // fingerprint, see Hasher
	seq    uint32 // place in its file
	Mark   Mark
	Remove bool
}

// List is all cards at one version. Nothing in it changes, so any goroutine
// reads it without a lock, and it holds no pointers for the collector to follow.
//
// Fingerprints lie in their order. As they are spread evenly, their upper bits
// say where to look: dir[i] is where those begin whose upper bits are i. A
// look-up so touches one line of dir and one or two of prints; the mark is read
// only when the card is there. 10 bytes for each card, and 4 for each bucket of
// two to eight cards.
type List struct {
	prints  []uint64
	marks   []Mark
	dir     []uint32
	shift   uint
	version uint32
}

// perBucket is how many cards share a bucket at the most, in the middle.
const perBucket = 8

// newList makes a list of what is sorted and without repeats.
func newList(prints []uint64, marks []Mark, version uint32) *List {
	width := uint(max(bits.Len(uint(len(prints)/perBucket)), 1))
	l := &List{prints: prints, marks: marks, version: version, shift: 64 - width, dir: make([]uint32, 1<<width+1)}
	at := 0
	for i := range l.dir {
		for at < len(prints) && prints[at]>>l.shift < uint64(i) {
			at++
		}
		l.dir[i] = uint32(at)
	}
	return l
}

// Len is the number of cards.
func (l *List) Len() int { return len(l.prints) }

// Version is the list's; 0 is the empty list that nobody brought.
func (l *List) Version() uint32 { return l.version }

// Bytes is the memory that the list takes.
func (l *List) Bytes() int { return 8*len(l.prints) + 2*len(l.marks) + 4*len(l.dir) }

// Find looks for a card. It allocates nothing.
func (l *List) Find(print uint64) (Mark, bool) {
	b := print >> l.shift
	for i, end := l.dir[b], l.dir[b+1]; i < end; i++ {
		if p := l.prints[i]; p >= print {
			if p == print {
				return l.marks[i], true
			}
			break
		}
	}
	return 0, false
}

// change is the outcome of entries on a list.
type change struct {
	added, changed, removed int
}

// order sorts entries by fingerprint; of several about one card the last counts.
func order(entries []Entry) []Entry {
	for i := range entries {
		entries[i].seq = uint32(i)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Or(cmp.Compare(a.Print, b.Print), cmp.Compare(a.seq, b.seq)) })
	kept := entries[:0]
	for i := range entries {
		if n := len(kept); n > 0 && kept[n-1].Print == entries[i].Print {
			kept[n-1] = entries[i]
			continue
		}
		kept = append(kept, entries[i])
	}
	return kept
}

// with gives the list after entries, which are in order.
func (l *List) with(entries []Entry, version uint32) (*List, change) {
	var c change
	prints := make([]uint64, 0, len(l.prints)+len(entries))
	marks := make([]Mark, 0, len(l.prints)+len(entries))
	at := 0
	for _, e := range entries {
		// What lies before the entry stays as it is: copied as one piece.
		n, found := slices.BinarySearch(l.prints[at:], e.Print)
		prints, marks = append(prints, l.prints[at:at+n]...), append(marks, l.marks[at:at+n]...)
		at += n
		switch {
		case found && e.Remove:
			c.removed++
		case found && l.marks[at] != e.Mark:
			c.changed++
		case !found && !e.Remove:
			c.added++
		}
		if found {
			at++
		}
		if !e.Remove {
			prints, marks = append(prints, e.Print), append(marks, e.Mark)
		}
	}
	prints, marks = append(prints, l.prints[at:]...), append(marks, l.marks[at:]...)
	return newList(prints, marks, version), c
}
