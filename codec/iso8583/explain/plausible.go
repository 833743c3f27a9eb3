package explain

import "tongka/codec/iso8583"

// plausible scores what a dialect made of a message: a real message's times
// are times and its terminal number is printable, whatever misreads one seldom
// gets these right. Every field read counts a little.
func plausible(v *iso8583.View, msg []byte) int {
	score := 0
	if m := v.MTI(); m>>12 == 0 && m>>8&15 >= 1 && m>>8&15 <= 9 && m&15 <= 5 {
		score += 5
	} else {
		score -= 10
	}
	if !packed(v.Spec()) && len(msg) >= 20 {
		if hexBitmap(msg[4:20]) == (v.Spec() == iso8583.ASCIIRaw() || v.Spec() == iso8583.Cups()) {
			score -= 10
		}
	}
	var buf [64]byte
	for n := 2; n <= 128; n++ {
		if !v.Has(n) {
			continue
		}
		score++
		if check := checks[n]; check != nil && v.Len(n) <= len(buf) && !check(v.AppendText(buf[:0], n)) {
			score -= 4
		}
	}
	return score
}

// hexBitmap says that sixteen bytes look like a bitmap in characters.
func hexBitmap(p []byte) bool {
	for _, c := range p {
		if _, ok := nibble(rune(c)); !ok {
			return false
		}
	}
	return true
}

var checks = [129]func([]byte) bool{
	7:  func(t []byte) bool { return monthDay(t[:4]) && clock(t[4:]) },
	12: clock,
	13: monthDay,
	22: entryMode,
	37: printable,
	38: printable,
	39: printable,
	41: printable,
	42: printable,
	49: printable,
}

func clock(t []byte) bool {
	return two(t) < 24 && two(t[2:]) < 60 && two(t[4:]) < 60
}

// monthDay takes 0000 too: some hosts send it for "no date".
func monthDay(t []byte) bool {
	m, d := two(t), two(t[2:])
	return m >= 1 && m <= 12 && d >= 1 && d <= 31 || m == 0 && d == 0
}

// entryMode knows the modes of ISO 8583:1987 and of the card schemes; the
// third digit says whether a PIN can be entered.
func entryMode(t []byte) bool {
	switch two(t) {
	case 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 79, 80, 81, 82, 90, 91, 92, 94, 95, 96, 97, 98, 99:
		return t[2] <= '3'
	}
	return false
}

func two(t []byte) int { return int(t[0]-'0')*10 + int(t[1]-'0') }

// printable says that all bytes are ASCII characters that print.
func printable(t []byte) bool {
	for _, c := range t {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
