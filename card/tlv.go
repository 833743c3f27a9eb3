package card

import (
	"encoding/binary"
	"fmt"
)

// Tags of F58. Each element is a tag, a length and the value, one byte each of
// the first two; numbers are big endian.
const (
	TagFamily   = 0x01
	TagIssuer   = 0x02
	TagCity     = 0x03
	TagSerial   = 0x04
	TagBalance  = 0x05
	TagSeq      = 0x06
	TagKey      = 0x07 // index, version, algorithm
	TagRandom   = 0x08
	TagMAC1     = 0x09
	TagTerminal = 0x0A
	TagMAC2     = 0x0B // to the terminal
	TagTime     = 0x0C // to the terminal: YYYYMMDDhhmmss packed, as MAC2 holds it
	TagTAC      = 0x0D
	TagStatus   = 0x0E
	TagAfter    = 0x0F
	TagRewrite  = 0x10 // to the terminal: an earlier load is written, nothing was debited now
	TagOrder    = 0x20
	TagAmount   = 0x21 // to the terminal: of an order, fen
	TagUntil    = 0x22 // to the terminal: YYYYMMDD packed, the last day of an order
	TagRound    = 0x30
	TagScript   = 0x31 // to the terminal: a command for the card
	TagReply    = 0x32 // the card's answer to it, with its status word

	maxTag = 0x3F
)

// element says how long a value is and where it goes.
type element struct {
	tag         byte
	least, most int
	put         func(*Data, []byte) bool
}

// elements are what a terminal may say, in no particular order.
var elements = [...]element{
	{TagFamily, 1, 1, func(d *Data, b []byte) bool { d.Family = Family(b[0]); return b[0] != 0 }},
	{TagIssuer, 8, 8, func(d *Data, b []byte) bool { return copy(d.Issuer[:], b) > 0 }},
	{TagCity, 2, 2, func(d *Data, b []byte) bool { copy(d.City[:], b); return decimal(b) }},
	{TagSerial, 10, 10, func(d *Data, b []byte) bool { return copy(d.Serial[:], b) > 0 }},
	{TagBalance, 4, 4, func(d *Data, b []byte) bool { d.Balance = binary.BigEndian.Uint32(b); return true }},
	{TagSeq, 2, 2, func(d *Data, b []byte) bool { d.Seq = binary.BigEndian.Uint16(b); return true }},
	{TagKey, 3, 3, func(d *Data, b []byte) bool { d.KeyIndex, d.KeyVer, d.Alg = b[0], b[1], b[2]; return true }},
	{TagRandom, 4, 4, func(d *Data, b []byte) bool { return copy(d.Random[:], b) > 0 }},
	{TagMAC1, 4, 4, func(d *Data, b []byte) bool { return copy(d.MAC1[:], b) > 0 }},
	{TagTerminal, 6, 6, func(d *Data, b []byte) bool { return copy(d.Terminal[:], b) > 0 }},
	{TagTAC, 4, 4, func(d *Data, b []byte) bool { return copy(d.TAC[:], b) > 0 }},
	{TagAfter, 4, 4, func(d *Data, b []byte) bool { d.After = binary.BigEndian.Uint32(b); return true }},
	{TagStatus, 1, 1, func(d *Data, b []byte) bool {
		d.Status = Status(b[0])
		return d.Status >= Written && d.Status <= NotKnown
	}},
	{TagOrder, 1, len(Number{}), func(d *Data, b []byte) (ok bool) { d.Order, ok = ParseNumber(b); return ok }},
	{TagRound, 1, 1, func(d *Data, b []byte) bool { d.Round = b[0]; return b[0] >= 1 && b[0] <= 3 }},
	{TagReply, 2, 40, func(d *Data, b []byte) bool { d.Reply = b; return true }},
}

func find(tag byte) *element {
	for i := range elements {
		if elements[i].tag == tag {
			return &elements[i]
		}
	}
	return nil
}

// Parse reads F58. wants are the tags that must be there. An error names the
// field and the byte in it. Reply is lent from b.
func (d *Data) Parse(b []byte, wants ...byte) error {
	*d = Data{}
	for at := 0; at < len(b); {
		e, err := check(d, b, at)
		if err != nil {
			return err
		}
		n := int(b[at+1])
		if !e.put(d, b[at+2:at+2+n]) {
			return fmt.Errorf("F58: byte %d: value of tag %02X not valid", at+2, b[at])
		}
		d.saw(b[at])
		at += 2 + n
	}
	for _, tag := range wants {
		if !d.Has(tag) {
			return fmt.Errorf("F58: byte %d: tag %02X is missing", len(b), tag)
		}
	}
	return nil
}

// check finds the element at a byte and holds its length against the table.
func check(d *Data, b []byte, at int) (*element, error) {
	e := find(b[at])
	switch {
	case e == nil:
		return nil, fmt.Errorf("F58: byte %d: tag %02X is not known", at, b[at])
	case d.Has(b[at]):
		return nil, fmt.Errorf("F58: byte %d: tag %02X comes twice", at, b[at])
	case at+1 >= len(b):
		return nil, fmt.Errorf("F58: byte %d: tag %02X has no length", at+1, b[at])
	}
	n := int(b[at+1])
	if n < e.least || n > e.most {
		return nil, fmt.Errorf("F58: byte %d: tag %02X has %d bytes, want %d to %d", at+1, b[at], n, e.least, e.most)
	}
	if left := len(b) - at - 2; n > left {
		return nil, fmt.Errorf("F58: byte %d: tag %02X has %d bytes, %d are left", at+2, b[at], n, left)
	}
	return e, nil
}

// AppendTag appends one element. A value has at most 255 bytes.
func AppendTag(dst []byte, tag byte, value ...byte) []byte {
	return append(append(dst, tag, byte(len(value))), value...)
}

// AppendTag32 appends one element of four bytes.
func AppendTag32(dst []byte, tag byte, v uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, tag, 4), v)
}

func decimal(b []byte) bool {
	for _, c := range b {
		if c>>4 > 9 || c&15 > 9 {
			return false
		}
	}
	return true
}

// Initialised takes the card's answer to INITIALIZE FOR LOAD, as an app passes it
// on: balance 4, counter 2, key version, algorithm, random 4, MAC1 4, 9000
// (source: PBOC 2.0 part 1). False when it is none.
func (d *Data) Initialised() bool {
	b := d.Reply
	if len(b) != 18 || b[16] != 0x90 || b[17] != 0 {
		return false
	}
	d.Balance, d.Seq = binary.BigEndian.Uint32(b), binary.BigEndian.Uint16(b[4:])
	d.KeyVer, d.Alg = b[6], b[7]
	copy(d.Random[:], b[8:])
	copy(d.MAC1[:], b[12:])
	return true
}

// Credited takes the card's answer to CREDIT FOR LOAD: TAC 4 and 9000 when it was
// written; a status word alone says that it was not.
func (d *Data) Credited() {
	b := d.Reply
	switch {
	case len(b) == 6 && b[4] == 0x90 && b[5] == 0:
		d.Status = Written
		copy(d.TAC[:], b)
	case len(b) == 2 && b[0] != 0x90:
		d.Status = NotWritten
	default:
		d.Status = NotKnown
	}
}

// AppendInitialise appends the command INITIALIZE FOR LOAD.
func AppendInitialise(dst []byte, key uint8, amount uint32, terminal *[6]byte) []byte {
	dst = append(dst, 0x80, 0x50, 0x00, 0x02, 0x0B, key)
	dst = binary.BigEndian.AppendUint32(dst, amount)
	return append(append(dst, terminal[:]...), 0x10)
}

// AppendCredit appends the command CREDIT FOR LOAD.
func AppendCredit(dst []byte, time *[7]byte, mac2 *[4]byte) []byte {
	dst = append(dst, 0x80, 0x52, 0x00, 0x00, 0x0B)
	return append(append(append(dst, time[:]...), mac2[:]...), 0x04)
}
