package explain

import "tongka/codec/iso8583"

// plausible scores what a dialect made of a message: a real message's times
// are times and its terminal number is printable, whatever misreads one seldom
// gets these right. Every field read counts a little.
func plausible(v *iso8583.View, msg []byte) int {
	score := 0
	if m := v.MTI(); m>>12 <= 2 && m>>8&15 >= 1 && m>>8&15 <= 9 && m&15 <= 5 {
		score += 5
	} else {
		score -= 10
	}
	if h := headOf(v.Spec()); h.mti > 2 && len(msg) >= 20 && hexBitmap(msg[4:20]) && h.raw {
		score -= 10
	}
	var buf [64]byte
	for n := 2; n <= lastField; n++ {
		if !v.Has(n) {
			continue
		}
		score++
		if check := checkOf(n); check != nil && v.Len(n) <= len(buf) && !check(v.AppendText(buf[:0], n)) {
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

// checkOf gives what a field's value must be like in any dialect that declares it
// with the length that the check knows.
func checkOf(n int) func([]byte) bool {
	switch n {
	case 7:
		return sized(10, func(t []byte) bool { return monthDay(t[:4]) && clock(t[4:]) })
	case 12:
		return func(t []byte) bool {
			return len(t) != 6 && len(t) != 12 || clock(t[len(t)-6:])
		}
	case 13:
		return sized(4, monthDay)
	case 22:
		return sized(3, entryMode)
	case 37, 38, 39, 41, 42, 49:
		return printable
	}
	return nil
}

// sized is a check for values of one length; others pass.
func sized(n int, check func([]byte) bool) func([]byte) bool {
	return func(t []byte) bool { return len(t) != n || check(t) }
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
