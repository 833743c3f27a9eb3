package dialect

// Cups is the dialect between the switch and a bank or the card centre: ASCII,
// both bitmaps in 16 bytes, the MAC in F128, a header of 46 bytes in front. A
// message whose bit 1 is clear is read too; a built one always has both
// bitmaps. Source: the CUPS interface as member banks' programs show it.
func Cups() *Declaration {
	w := characters
	return &Declaration{
		Name: "cups", About: "银行与卡中心 / banks and the card centre", Framing: Centre, MTI: ASCII, Bitmap: Bytes, Wide: true,
		Fields: named(map[int]Field{
			2: w.nLL(19), 3: w.n(6), 4: w.n(12), 5: w.n(12), 6: w.n(12), 7: w.n(10), 9: w.n(8), 10: w.n(8),
			11: w.n(6), 12: w.n(6), 13: w.n(4), 14: w.n(4), 15: w.n(4), 16: w.n(4), 18: w.n(4), 19: w.n(3),
			22: w.n(3), 23: w.n(3), 25: w.n(2), 26: w.n(2), 28: w.ans(9), 32: w.nLL(11), 33: w.nLL(11),
			35: w.zLL(37), 36: w.zLLL(104), 37: w.ans(12), 38: w.ans(6), 39: w.ans(2), 41: w.ans(8), 42: w.ans(15), 43: w.ans(40),
			44: w.ansLL(25), 45: w.ansLL(79), 48: w.ansLLL(512), 49: w.ans(3), 50: w.ans(3), 51: w.ans(3), 52: w.b(8), 53: w.n(16),
			54: w.ansLLL(40), 55: chip(w.bLLL(255)), 56: w.ansLLL(255), 57: w.ansLLL(100), 58: w.ansLLL(100), 59: w.ansLLL(600),
			60: w.ansLLL(100), 61: w.ansLLL(200), 62: w.ansLLL(200), 63: w.ansLLL(512),
			70: w.n(3), 90: original(w.n(42)), 96: w.b(8), 100: w.nLL(11), 102: w.ansLL(28), 103: w.ansLL(28), 104: w.ansLLL(100),
			121: w.ansLLL(100), 122: w.ansLLL(100), 123: w.ansLLL(100), 128: w.b(8),
		}, &names87),
	}
}

// original are the sub-elements of F90 (ISO 8583:1987, 4.3.90).
func original(f Field) Field {
	f.Parts = &Parts{List: []Part{
		{Name: "原消息类型 / original message type", At: 0, Length: 4},
		{Name: "原跟踪号 / original trace", At: 4, Length: 6},
		{Name: "原传输时间 / original transmission time", At: 10, Length: 10},
		{Name: "原受理机构 / original acquirer", At: 20, Length: 11},
		{Name: "原发送机构 / original forwarder", At: 31, Length: 11},
	}}
	return f
}

// ASCII87 is ISO 8583:1987 in characters throughout: bitmaps and fixed binary
// fields are hexadecimal. Nothing stands before the MTI.
func ASCII87() *Declaration {
	return of87("ascii", "1987 版全字符（87A）/ ISO 8583:1987 in characters (87A)", allHex, Hex)
}

// ASCIIHexMap has hexadecimal bitmaps, and fixed binary fields as bytes.
func ASCIIHexMap() *Declaration {
	return of87("ascii-hexmap", "1987 版字符，位图为十六进制 / ISO 8583:1987 in characters, bitmaps in hexadecimal", characters, Hex)
}

// ASCIIRaw has bitmaps and fixed binary fields as bytes.
func ASCIIRaw() *Declaration {
	return of87("ascii-raw", "1987 版字符，位图为字节 / ISO 8583:1987 in characters, bitmaps as bytes", characters, Bytes)
}

// EBCDIC87 is ISO 8583:1987 in IBM's code; bitmaps and binary fields are bytes.
func EBCDIC87() *Declaration {
	return of87("ebcdic", "1987 版 EBCDIC / ISO 8583:1987 in EBCDIC", ibm, Bytes)
}

// Binary87 is ISO 8583:1987 packed: numbers of fixed length right aligned, those
// of variable length and the second track left aligned, the third in characters.
func Binary87() *Declaration {
	w := packed
	d := of87("87b", "1987 版压缩编码（87B）/ ISO 8583:1987, packed (87B)", w, Bytes)
	third := d.Fields[36]
	third.Coding = ASCII
	d.Fields[36] = third
	return d
}

// of87 is the whole table of ISO 8583:1987, which its variants share.
func of87(name, about string, w vocabulary, maps Coding) *Declaration {
	f := map[int]Field{
		2: w.nLL(19), 3: w.n(6), 4: w.n(12), 5: w.n(12), 6: w.n(12), 7: w.n(10), 8: w.n(8), 9: w.n(8), 10: w.n(8),
		11: w.n(6), 12: w.n(6), 13: w.n(4), 14: w.n(4), 15: w.n(4), 16: w.n(4), 17: w.n(4), 18: w.n(4), 19: w.n(3), 20: w.n(3), 21: w.n(3),
		22: w.n(3), 23: w.n(3), 24: w.n(3), 25: w.n(2), 26: w.n(2), 27: w.n(1), 28: w.amount(9), 29: w.amount(9), 30: w.amount(9), 31: w.amount(9),
		32: w.nLL(11), 33: w.nLL(11), 34: w.ansLL(28), 35: w.zLL(37), 36: w.zLLL(104), 37: w.ans(12), 38: w.ans(6), 39: w.ans(2),
		40: w.ans(3), 41: w.ans(8), 42: w.ans(15), 43: w.ans(40), 44: w.ansLL(99), 45: w.ansLL(79),
		49: w.ans(3), 50: w.ans(3), 51: w.ans(3), 52: w.b(8), 53: w.n(16), 54: w.ansLLL(120), 64: w.b(8),
		66: w.n(1), 67: w.n(2), 68: w.n(3), 69: w.n(3), 70: w.n(3), 71: w.n(4), 72: w.n(4), 73: w.n(6),
		74: w.n(10), 75: w.n(10), 76: w.n(10), 77: w.n(10), 78: w.n(10), 79: w.n(10), 80: w.n(10), 81: w.n(10),
		82: w.n(12), 83: w.n(12), 84: w.n(12), 85: w.n(12), 86: w.n(16), 87: w.n(16), 88: w.n(16), 89: w.n(16), 90: original(w.n(42)),
		91: w.ans(1), 92: w.ans(2), 93: w.ans(5), 94: w.ans(7), 95: w.ans(42), 96: w.b(8), 97: w.amount(17), 98: w.ans(25),
		99: w.nLL(11), 100: w.nLL(11), 101: w.ansLL(17), 102: w.ansLL(28), 103: w.ansLL(28), 128: w.b(8),
	}
	for _, n := range []int{46, 47, 48, 55, 56, 57, 58, 59, 60, 61, 62, 63} {
		f[n] = w.ansLLL(999)
	}
	for n := 104; n < 128; n++ {
		f[n] = w.ansLLL(999)
	}
	mti := w.fixed
	if mti == BCDRight {
		mti = BCD
	}
	return &Declaration{Name: name, About: about, MTI: mti, Bitmap: maps, Fields: named(f, &names87)}
}
