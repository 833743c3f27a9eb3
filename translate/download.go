package translate

import (
	"slices"

	"tongka/codec/iso8583"
)

// Network management codes (F60.3) of downloads. Source: UnionPay direct POS
// terminal specification, as programs that are in use read it. Of each pair the
// even one asks for a block and the odd one ends the download.
var (
	blockCodes  = []int16{360, 370, 373, 380, 390, 394, 396, 398}
	endCodes    = []int16{361, 371, 381, 391, 395, 397, 399}
	statusCodes = []int16{362, 372, 382} // by 0820: what the terminal holds
)

// initCode is a terminal that begins its life, and loads what is under its code.
const initCode = 101

// IsDownload says whether a code belongs to a download in a message of this type.
func IsDownload(mti iso8583.MTI, code int16) bool {
	if mti == 0x0820 {
		return slices.Contains(statusCodes, code)
	}
	return code == initCode || slices.Contains(blockCodes, code) || slices.Contains(endCodes, code)
}

// LoadCode says whether there can be data under a code.
func LoadCode(code int) bool {
	return code == initCode || slices.Contains(blockCodes, int16(code))
}

// Load is what a request of a download wants.
type Load struct {
	Code   int    // under which the data stands, 370 for 371 and 372
	End    bool   // the terminal has all of it
	Status bool   // the terminal says what version it holds
	Block  int    // which block, from 1
	Holds  string // the version that it holds
}

// maxVersion is the longest version that a terminal is believed to hold.
const maxVersion = 32

// ReadLoad reads a request of a download: F62 holds the number of the block in
// digits, none of them for the first, or the version that the terminal holds. ok
// is false when it holds something else.
func ReadLoad(v *iso8583.View, e *Echo) (l Load, ok bool) {
	code := int16(e.Net())
	l = Load{Code: int(code), Block: 1}
	var b [64]byte
	f62 := b[:0]
	if v.Len(62) > maxVersion {
		return l, false
	}
	f62 = v.AppendText(f62, 62)
	switch {
	case v.MTI() == 0x0820:
		l.Code, l.Status, l.Holds = int(code)-2, true, string(f62)
	case slices.Contains(endCodes, code):
		l.Code, l.End = int(code)-1, true
	case len(f62) > 0:
		l.Block = int(number(f62, 0, min(len(f62), 6)))
		return l, l.Block > 0 && len(f62) <= 6 && digitsOnly(f62)
	}
	return l, true
}
