// Package codecspeed measures the codec by itself, in this process: what it takes
// to parse a terminal's sale of 18 fields and to translate it into the bank's
// dialect and back. It is the part of a transaction's cost that no disk, network
// or neighbour has a share in.
package codecspeed

import (
	"bytes"
	"errors"
	"time"

	"tongka/codec/iso8583"
)

// A round lasts well under a millisecond, so that some rounds are not disturbed
// on a machine that has other things to do; the fastest one counts.
const (
	perRound = 500
	rounds   = 500
)

// sale is a sale with chip data and PIN as a terminal sends it; the card number
// is made up.
var sale = []struct {
	n    int
	text string
}{
	{2, "6222020000000000005"}, {3, "000000"}, {4, "000000012345"}, {11, "000123"}, {14, "3012"}, {22, "051"}, {23, "001"},
	{25, "00"}, {26, "06"}, {35, "6222020000000000005D30122010000000000"}, {41, "10000147"}, {42, "801000949000001"}, {49, "156"},
	{52, "\x12\x34\x56\x78\x9A\xBC\xDE\xF0"}, {53, "2600000000000000"},
	{55, "\x9F\x26\x08\xAC\xF9\x58\xC8\x0F\xF7\x44\x03\x9F\x27\x01\x80"}, {60, "22000006000601"}, {64, "D2C1FB4B"},
}

var errDiffers = errors.New("codecspeed: a sale that went to the bank's dialect and back is not the same")

// work is one sale under way. The MAC is in F64 at the terminal, in F128 at the
// bank; the other fields are passed on.
type work struct {
	pos, cups   *iso8583.Spec
	passed      iso8583.Set
	msg         []byte
	v, w        iso8583.View
	there, back []byte
}

// Measure gives the nanoseconds that one sale takes: parse, to the bank and back.
// What the bank's dialect says is parsed once, beforehand. It takes some 70 ms.
func Measure() (ns float64, err error) {
	k := work{pos: iso8583.Pos(), cups: iso8583.Cups(), there: make([]byte, 0, 512), back: make([]byte, 0, 512)}
	if err := k.prepare(); err != nil {
		return 0, err
	}
	best := time.Duration(1<<63 - 1)
	for range rounds {
		start := time.Now()
		for range perRound {
			if err := k.once(); err != nil {
				return 0, err
			}
		}
		best = min(best, time.Since(start))
	}
	if !bytes.Equal(k.back, k.msg) {
		return 0, errDiffers
	}
	return float64(best.Nanoseconds()) / perRound, nil
}

// prepare builds the sale and what the bank is told.
func (k *work) prepare() (err error) {
	b := k.pos.Begin(nil, 0x0200)
	numbers := make([]int, 0, len(sale))
	for _, f := range sale {
		if b.Put(f.n, []byte(f.text)); f.n != 64 {
			numbers = append(numbers, f.n)
		}
	}
	if k.msg, err = b.End(); err != nil {
		return err
	}
	k.passed = iso8583.Fields(numbers...)
	if err = k.pos.Parse(&k.v, k.msg); err != nil {
		return err
	}
	if err = k.translate(&k.there, k.cups, &k.v, 128, 64); err != nil {
		return err
	}
	return k.cups.Parse(&k.w, bytes.Clone(k.there))
}

func (k *work) once() error {
	if err := k.pos.Parse(&k.v, k.msg); err != nil {
		return err
	}
	if err := k.translate(&k.there, k.cups, &k.v, 128, 64); err != nil {
		return err
	}
	return k.translate(&k.back, k.pos, &k.w, 64, 128)
}

// translate writes v in another dialect, with its MAC out of field from in to.
func (k *work) translate(dst *[]byte, s *iso8583.Spec, v *iso8583.View, to, from int) (err error) {
	var b iso8583.Builder
	b.Reset(s, (*dst)[:0], v.MTI())
	b.CopySet(v, k.passed)
	b.Copy(to, v, from)
	*dst, err = b.End()
	return err
}
