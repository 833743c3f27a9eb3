package limits

// Cards counts by card, in a table of a size that is given once: 24 bytes for
// each place. It is open addressing in which a place of another day is an empty
// one. All places of a day become empty at the same moment, so no chain is ever
// broken in the middle, and nothing has to be swept at midnight.
type Cards struct {
	tab  []card
	mask uint64
	day  int32 // the newest
	used int   // places of that day
	most int
}

type card struct {
	key uint64
	Use
}

// NewCards makes a table for at least n cards and classes of a day.
func NewCards(n int) *Cards {
	size := 16
	for size < n+n/4 {
		size *= 2
	}
	return &Cards{tab: make([]card, size), mask: uint64(size - 1), most: size - size/8}
}

// Len is how many places the newest day has taken, and how many it may.
func (c *Cards) Len() (used, most int) { return c.used, c.most }

// mix makes one key of a card's fingerprint and a class. Fingerprints are spread
// evenly already.
func mix(print uint64, class Class) uint64 { return print ^ uint64(class+1)*0x9E3779B97F4A7C15 }

// of gives the counter of a card for a day, where it is or where it would be; nil
// when there is no room for one more. A place that would be is empty: it belongs
// to the card only after Add.
func (c *Cards) of(key uint64, day int32) *card {
	for at := key & c.mask; ; at = (at + 1) & c.mask {
		e := &c.tab[at]
		if e.Day != day {
			if c.day == day && c.used >= c.most {
				return nil
			}
			return e
		}
		if e.key == key {
			return e
		}
	}
}

// Check says whether a transaction may come on top of what its card had.
func (c *Cards) Check(r *Rule, print uint64, class Class, day int32, amount int64) Verdict {
	if day <= 0 || day < c.day { // places of day 0 could not be told from empty ones
		return Pass // of a day that is over
	}
	e := c.of(mix(print, class), day)
	if e == nil {
		return NoRoom
	}
	return r.Check(&e.Use, day, amount)
}

// Add counts one; one for which there is no room is not counted.
func (c *Cards) Add(print uint64, class Class, day int32, amount int64) {
	if day <= 0 || day < c.day { // places of day 0 could not be told from empty ones
		return
	}
	if day > c.day {
		c.day, c.used = day, 0
	}
	key := mix(print, class)
	e := c.of(key, day)
	if e == nil {
		return
	}
	if e.Day != day {
		*e = card{key: key}
		c.used++
	}
	e.Add(day, amount)
}

// Take takes back one that Add counted.
func (c *Cards) Take(print uint64, class Class, day int32, amount int64) {
	if day != c.day {
		return
	}
	if e := c.of(mix(print, class), day); e != nil && e.Day == day {
		e.Take(day, amount)
	}
}
