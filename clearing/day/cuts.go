package day

import (
	"fmt"
	"sort"
)

// Cut is the end of a day's window, and so the beginning of the next one's.
type Cut struct {
	Date Date
	End  uint64 // the first place in the journal that is not of the day any more
	At   int64  // the moment that the place was found for, Unix nanoseconds
	By   Reason
}

// Reason says who decided a cut.
type Reason uint8

// Reasons.
const (
	Origin    Reason = iota // the first: what is before it is before the books
	Scheduled               // the time of day came
	Command                 // an operator cut the day
	Centre                  // the bank that the day follows began its own
)

var reasons = [...]string{"origin", "schedule", "command", "centre"}

// String is the reason's word in the file.
func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r]
	}
	return "invalid"
}

func parseReason(s string) (Reason, bool) {
	for i, w := range reasons {
		if w == s {
			return Reason(i), true
		}
	}
	return 0, false
}

// Cuts are all that were decided, the origin first; dates follow each other
// without a gap, and ends never go back.
type Cuts []Cut

// Decide adds the next cut. What was decided stays: the same date with another
// place, a gap between dates and a place that goes back are errors.
func (c Cuts) Decide(next Cut) (Cuts, error) {
	if len(c) == 0 {
		if next.By != Origin {
			return c, fmt.Errorf("cut of %s: the first has to be the origin", next.Date)
		}
		return append(c, next), nil
	}
	last := c[len(c)-1]
	switch {
	case next.By == Origin:
		return c, fmt.Errorf("cut of %s: a second origin", next.Date)
	case next.Date <= last.Date:
		return c, fmt.Errorf("%s 已日切 · the day %s has been cut already", next.Date, next.Date)
	case next.Date != last.Date.Add(1):
		return c, fmt.Errorf("cut of %s: the next day to end is %s", next.Date, last.Date.Add(1))
	case next.End < last.End:
		return c, fmt.Errorf("cut of %s: its end %d is before %d, the end of %s", next.Date, next.End, last.End, last.Date)
	}
	return append(c, next), nil
}

// Open is the date that is not ended yet, 0 without an origin.
func (c Cuts) Open() Date {
	if len(c) == 0 {
		return 0
	}
	return c[len(c)-1].Date.Add(1)
}

// Of is the date of a place in the journal: that of the window which has it, the
// open date behind all of them, and 0 before the origin.
func (c Cuts) Of(place uint64) Date {
	i := sort.Search(len(c), func(i int) bool { return place < c[i].End })
	switch {
	case len(c) == 0 || i == 0:
		return 0
	case i == len(c):
		return c.Open()
	}
	return c[i].Date
}

// Window gives the places of a day, from inclusive, to exclusive; false for one
// that has not ended, or is not in the books.
func (c Cuts) Window(d Date) (from, to uint64, ok bool) {
	i := sort.Search(len(c), func(i int) bool { return c[i].Date >= d })
	if i == 0 || i == len(c) || c[i].Date != d {
		return 0, 0, false
	}
	return c[i-1].End, c[i].End, true
}
