package dialect

// Pos is the dialect between a UnionPay POS terminal and the switch ("POS
// terminal specification", packed form): fields 2 to 64, MAC in 64. F22 is left
// aligned and F23 right aligned, as terminals in the field do. The maxima of
// the fields for private use are wider than the specification's, because
// terminals in the field exceed those (F60 with 19 digits, say).
func Pos() *Declaration {
	w := packed
	return &Declaration{
		Name: "pos", About: "银联直联 POS 终端 / UnionPay POS terminals", Framing: TPDUHeader, MTI: BCD, Bitmap: Bytes,
		Fields: named(map[int]Field{
			2: w.nLL(19), 3: w.n(6), 4: w.n(12), 5: w.n(12), 6: w.n(12), 7: w.n(10), 9: w.n(8), 10: w.n(8),
			11: w.n(6), 12: w.n(6), 13: w.n(4), 14: w.n(4), 15: w.n(4), 16: w.n(4), 17: w.n(4), 18: w.n(4),
			22: w.nLeft(3), 23: w.n(3), 24: w.n(3), 25: w.n(2), 26: w.n(2), 32: w.nLL(11), 33: w.nLL(11),
			35: w.zLL(37), 36: w.zLLL(104), 37: w.ans(12), 38: w.ans(6), 39: w.ans(2), 41: w.ans(8), 42: w.ans(15), 43: w.ans(40),
			44: w.ansLL(99), 45: w.ansLL(79), 46: w.ansLLL(999), 47: w.ansLLL(999), 48: w.nLLL(999), 49: w.ans(3), 50: w.ans(3), 51: w.ans(3),
			52: w.b(8), 53: w.n(16), 54: w.ansLLL(120), 55: chip(w.bLLL(999)), 56: w.ansLLL(999), 57: w.ansLLL(999),
			58: w.ansLLL(999), 59: w.ansLLL(999), 60: w.nLLL(99), 61: w.nLLL(99), 62: w.ansLLL(999), 63: w.ansLLL(999), 64: w.b(8),
		}, &names87),
	}
}

// Hypercom is the dialect of other packed terminals (Hypercom and its heirs): a
// TPDU, no header, F48 and F60 to F63 text or bytes. Up to 128 fields. Some of
// them send four digits in F22: the first three count, as in Pos, and the
// fourth is dropped. Source: ISO 8583:1987, packed.
func Hypercom() *Declaration {
	w := packed
	f := map[int]Field{
		2: w.nLL(19), 3: w.n(6), 4: w.n(12), 5: w.n(12), 6: w.n(12), 7: w.n(10), 8: w.n(8), 9: w.n(8), 10: w.n(8),
		11: w.n(6), 12: w.n(6), 13: w.n(4), 14: w.n(4), 15: w.n(4), 16: w.n(4), 17: w.n(4), 18: w.n(4), 19: w.n(3), 20: w.n(3), 21: w.n(3),
		22: w.nLeft(3), 23: w.n(3), 24: w.n(3), 25: w.n(2), 26: w.n(2), 27: w.n(1), 32: w.nLL(11), 33: w.nLL(11), 34: w.nLL(28),
		35: w.zLL(37), 36: w.zLLL(104), 37: w.ans(12), 38: w.ans(6), 39: w.ans(2), 40: w.ans(3), 41: w.ans(8), 42: w.ans(15), 43: w.ans(40),
		44: w.ansLL(99), 45: w.ansLL(79), 49: w.ans(3), 50: w.ans(3), 51: w.ans(3), 52: w.b(8), 53: w.n(16), 55: chip(w.bLLL(999)), 64: w.b(8),
		70: w.n(3), 90: w.n(42), 95: w.ans(42), 96: w.b(8), 100: w.nLL(11), 102: w.ansLL(28), 103: w.ansLL(28), 128: w.b(8),
	}
	for _, n := range []int{46, 47, 48, 54, 56, 57, 58, 59, 60, 61, 62, 63} {
		f[n] = w.ansLLL(999)
	}
	loose := f[22]
	loose.Loose = true
	f[22] = loose
	return &Declaration{
		Name: "bcd", About: "压缩编码终端，仅 TPDU / packed terminals behind a TPDU (Hypercom)",
		Framing: TPDUOnly, MTI: BCD, Bitmap: Bytes, Fields: named(f, &names87),
	}
}

// chip says that a field holds BER-TLV.
func chip(f Field) Field {
	f.Parts = &Parts{Form: BER}
	return f
}
