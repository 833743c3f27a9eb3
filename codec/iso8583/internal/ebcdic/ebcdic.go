// Package ebcdic holds tables between EBCDIC and ASCII: IBM's, in which all 256
// bytes have a partner, so that nothing is lost there and back.
package ebcdic

import "github.com/moov-io/iso8583/encoding"

// By byte of the other code.
var ToASCII, FromASCII = tables()

func tables() (to, from [256]byte) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	e, err := encoding.EBCDIC.Encode(all)
	if err != nil || len(e) != 256 {
		panic("the EBCDIC encoder does not take every byte") // every start would say so
	}
	for a, c := range e {
		from[a], to[c] = c, byte(a)
	}
	return to, from
}

// Translate writes p to d by a table.
func Translate(d, p []byte, table *[256]byte) {
	for i, c := range p {
		d[i] = table[c]
	}
}
