package dialect

// Check is what a value must be beyond its coding. Dialects set it where they
// want it; it costs nothing where they do not.
type Check uint8

// Checks of canonical values.
const (
	NoCheck Check = iota
	Digits
	Alpha        // letters and spaces
	AlphaNumeric // letters, digits and spaces
	Printable    // ASCII from space to ~
	Luhn         // digits of which the last is the check digit of ISO/IEC 7812-1
	MMDD
	YYMM
	YYMMDD
	HHMMSS
	MMDDHHMMSS
	YYMMDDHHMMSS
	BERTLV // BER-TLV, whole
)

// Bad finds the first byte of a value that does not pass, -1 when all do. An empty
// value passes, and so do zeros for a date or a time, by which terminals say that
// they have none. Digits of dates are looked at two by two, so the byte
// may be the first of a pair.
func (c Check) Bad(value []byte) int {
	if len(value) == 0 {
		return -1
	}
	switch c {
	case NoCheck:
		return -1
	case Luhn:
		return badLuhn(value)
	case BERTLV:
		bad := -1
		for at := 0; bad < 0 && at < len(value); {
			var t Element
			t, bad = NextBER(value, at)
			at = t.End
		}
		return bad
	}
	if c < BERTLV && moments[c] != "" {
		return badMoment(value, moments[c])
	}
	for i, b := range value {
		if !c.allows(b) {
			return i
		}
	}
	return -1
}

func (c Check) allows(b byte) bool {
	digit, letter := b >= '0' && b <= '9', b|0x20 >= 'a' && b|0x20 <= 'z' || b == ' '
	switch c {
	case Digits:
		return digit
	case Alpha:
		return letter
	case AlphaNumeric:
		return digit || letter
	default:
		return b >= ' ' && b <= '~'
	}
}

// badLuhn gives the last digit when the sum is wrong.
func badLuhn(value []byte) int {
	sum := 0
	for i, b := range value {
		d := int(b) - '0'
		if d < 0 || d > 9 {
			return i
		}
		if (len(value)-i)%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	if sum%10 != 0 {
		return len(value) - 1
	}
	return -1
}

// moments are the pairs of digits that a date or time is made of.
var moments = [...]string{MMDD: "MD", YYMM: "YM", YYMMDD: "YMD", HHMMSS: "hms", MMDDHHMMSS: "MDhms", YYMMDDHHMMSS: "YMDhms"}

// days of a month; February has 29, since without the year nobody knows.
var days = [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func badMoment(value []byte, pairs string) int {
	if len(value) != 2*len(pairs) {
		return min(len(value)-1, 2*len(pairs))
	}
	zero, month := true, 0
	for i, b := range value {
		if b < '0' || b > '9' {
			return i
		}
		zero = zero && b == '0'
	}
	if zero {
		return -1
	}
	for i, what := range pairs {
		n := int(value[2*i]-'0')*10 + int(value[2*i+1]-'0')
		low, high := 0, 99
		switch what {
		case 'M':
			low, high, month = 1, 12, n
		case 'D':
			low, high = 1, days[month]
		case 'h':
			high = 23
		case 'm', 's':
			high = 59
		}
		if n < low || n > high {
			return 2 * i
		}
	}
	return -1
}

// Element is a BER-TLV object in a value: its parts are value[At:Tag] the tag,
// value[Value:End] the value.
type Element struct{ At, Tag, Value, End int }

// NextBER reads the object at an offset. Bad is the first byte that makes no
// sense, -1 when there is none. Tags have up to three bytes and lengths up to
// three, as EMV has them (EMV book 3, annex B); zeros between objects are skipped.
func NextBER(b []byte, at int) (e Element, bad int) {
	for at < len(b) && b[at] == 0 {
		at++
	}
	e = Element{at, at, at, at}
	if at == len(b) {
		return e, -1
	}
	p := at + 1
	if b[at]&0x1F == 0x1F {
		for more := true; more; p++ {
			if p >= len(b) || p-at > 2 {
				return e, min(p, len(b)-1)
			}
			more = b[p]&0x80 != 0
		}
	}
	if p >= len(b) {
		return e, len(b) - 1
	}
	length, first := int(b[p]), p
	if n := length & 0x7F; length > 0x7F {
		if n == 0 || n > 2 || p+n >= len(b) {
			return e, p
		}
		for length = 0; n > 0; n-- {
			p++
			length = length<<8 | int(b[p])
		}
	}
	e.Tag, e.Value, e.End = first, p+1, p+1+length
	if e.End > len(b) {
		return e, first
	}
	return e, -1
}
