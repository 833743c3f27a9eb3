package router

import (
	"fmt"
	"strconv"
	"strings"
)

// maxDigits is how many digits of a card number are looked at.
const maxDigits = 10

// Range is card numbers by their first ten digits; both ends belong to it.
type Range struct{ Lo, Hi uint64 }

// width is how many different beginnings the range holds, less one.
func (r Range) width() uint64 { return r.Hi - r.Lo }

// ParseRange reads a prefix, "622588", or two of one length, "622500-622599",
// of 1 to 10 digits.
func ParseRange(s string) (Range, error) {
	from, to, two := strings.Cut(s, "-")
	if !two {
		to = from
	}
	lo, err := prefix(from)
	if err != nil {
		return Range{}, err
	}
	hi, err := prefix(to)
	if err != nil {
		return Range{}, err
	}
	switch {
	case len(from) != len(to):
		return Range{}, fmt.Errorf("%q：两端位数须相同 · %q: both ends need the same number of digits", s, s)
	case lo > hi:
		return Range{}, fmt.Errorf("%q：起点大于终点 · %q: the first end is above the second", s, s)
	}
	r := Range{lo, hi}
	for range maxDigits - len(from) {
		r.Lo, r.Hi = r.Lo*10, r.Hi*10+9
	}
	return r, nil
}

func prefix(s string) (uint64, error) {
	if len(s) == 0 || len(s) > maxDigits || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("%q 须为 1 至 %d 位数字 · %q, wanted 1 to %d digits", s, maxDigits, s, maxDigits)
	}
	return strconv.ParseUint(s, 10, 64)
}

// String writes the range as digits, shortened to a prefix where it is one.
func (r Range) String() string {
	lo, hi := fmt.Sprintf("%010d", r.Lo), fmt.Sprintf("%010d", r.Hi)
	n := maxDigits
	for n > 1 && lo[n-1] == '0' && hi[n-1] == '9' {
		n--
	}
	if lo[:n] == hi[:n] {
		return lo[:n]
	}
	return lo[:n] + "-" + hi[:n]
}

// ParseMerchant checks a merchant number (F42) or a prefix of one that ends in *.
func ParseMerchant(s string) error {
	_, err := merchant(s)
	return err
}

// merchant gives the numbers that s stands for; shorter ones travel with spaces
// behind them.
func merchant(s string) (m span15, err error) {
	text, open := strings.CutSuffix(s, "*")
	bad := len(text) > len(m.lo) || text == ""
	for _, c := range []byte(text) {
		bad = bad || c <= ' ' || c > '~' || c == '*'
	}
	if bad {
		return m, fmt.Errorf("商户号 %q 须为 1 至 15 个可见字符，前缀以 * 结尾 · merchant %q, wanted 1 to 15 visible characters, a prefix ends in *", s, s)
	}
	n := copy(m.lo[:], text)
	copy(m.hi[:], text)
	for i := n; i < len(m.lo); i++ {
		m.lo[i], m.hi[i] = ' ', ' '
		if open {
			m.lo[i], m.hi[i] = 0, 0xFF
		}
	}
	return m, nil
}

// Window is a part of the day, in minutes from midnight, China standard time. To
// does not belong to it. One that ends before it begins goes over midnight.
type Window struct{ From, To uint16 }

const dayMinutes = 24 * 60

// ParseWindow reads "08:00-20:00", up to "24:00".
func ParseWindow(s string) (w Window, err error) {
	from, to, ok := strings.Cut(s, "-")
	if ok {
		w.From, ok = minutes(from)
	}
	if ok {
		w.To, ok = minutes(to)
	}
	if !ok || w.From == dayMinutes || w.From == w.To {
		return Window{}, fmt.Errorf("时段 %q 须如 08:00-20:00 · hours %q, wanted such as 08:00-20:00", s, s)
	}
	return w, nil
}

func minutes(s string) (uint16, bool) {
	if len(s) != 5 || s[2] != ':' || strings.Trim(s[:2]+s[3:], "0123456789") != "" {
		return 0, false
	}
	n := uint16(s[0]-'0')*600 + uint16(s[1]-'0')*60 + uint16(s[3]-'0')*10 + uint16(s[4]-'0')
	return n, s[3] < '6' && n <= dayMinutes
}

func (w Window) holds(minute uint16) bool {
	if w.From < w.To {
		return w.From <= minute && minute < w.To
	}
	return minute >= w.From || minute < w.To
}

// in says that w lies within o.
func (w Window) in(o Window) bool {
	length := func(w Window) uint16 { return (w.To + dayMinutes - w.From - 1) % dayMinutes } // less one: a whole day is a length, too
	begin := (w.From + dayMinutes - o.From) % dayMinutes
	return length(o) == dayMinutes-1 || begin+length(w) <= length(o)
}

func open(windows []Window, minute uint16) bool {
	for _, w := range windows {
		if w.holds(minute) {
			return true
		}
	}
	return false
}
