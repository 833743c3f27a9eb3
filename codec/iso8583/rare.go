package iso8583

import (
	"encoding/binary"

	"tongka/codec/iso8583/internal/bcd"
	"tongka/codec/iso8583/internal/dialect"
	"tongka/codec/iso8583/internal/table"
)

// What only some dialects have: a third bitmap, and checks of values.

// checked is a field with a check.
type checked struct {
	field int
	check Check
}

// parseRare reads the fields of a message whose dialect has a third bitmap or
// checks. A message that does have a third bitmap is read without a plan.
func (v *View) parseRare(off int) (err error) {
	s := v.spec
	switch {
	case s.third == dialect.NoThird || v.bits[1]&both == 0:
		err = v.parsePlanned(off, v.bits[0], v.bits[1])
	case s.third == dialect.ThirdFollows:
		if off = v.readThird(off); off < 0 {
			return &v.err
		}
		err = v.parseFields(off)
	default:
		err = v.parseFields(off) // it comes to the bitmap by itself
	}
	if err != nil {
		return err
	}
	return v.check()
}

// readThird reads the third bitmap at off, when bit 65 is set, and gives the
// offset behind it, or -1 with the error in v.
func (v *View) readThird(off int) int {
	if v.bits[1]&both == 0 {
		return off
	}
	v.third = off
	end := off + v.spec.mapSize
	if end > len(v.msg) {
		v.fail(65, off, Truncated, v.spec.mapSize, len(v.msg)-off)
		return -1
	}
	p := v.msg[off:end]
	if v.spec.maps == table.Raw {
		v.bits[2] = binary.BigEndian.Uint64(p)
	} else if i := bcd.ReadHex(&v.bits[2], p, v.spec.maps.HexOf()); i >= 0 {
		v.fail(65, off+i, BadHex, 0, int(p[i]))
		return -1
	}
	v.bits[1] &^= both
	return end
}

// check looks at the values of the fields that have a check.
func (v *View) check() error {
	var buf [64]byte
	for _, c := range v.spec.checks {
		if !v.Has(c.field) {
			continue
		}
		i := c.check.Bad(v.AppendText(buf[:0], c.field))
		if i < 0 {
			continue
		}
		return v.fail(c.field, v.wireOffset(c.field, i), Unfit, int(c.check), 0)
	}
	return nil
}

// wireOffset is where byte i of field n's canonical value stands in the message.
func (v *View) wireOffset(n, i int) int {
	f, span := &v.spec.fields[n], v.spans[n&255]
	switch f.Coding.Size(2) {
	case 1:
		if f.Coding == table.PackedRight && span.Len()&1 == 1 {
			i++ // the pad nibble
		}
		return span.At() + i/2
	case 4:
		return span.At() + 2*i
	}
	return span.At() + i
}
