package translate

import "tongka/codec/iso8583"

// usualPoint is F22 of 1993 towards a bank when nothing else is configured: a
// terminal with a chip reader and a PIN pad, attended, on the merchant's premises,
// cardholder and card present, printing and showing. Positions 7 to 9 say what the
// transaction itself says.
const usualPoint = "510101001141"

// How a card was read: position 7 of F22 in 1993, and the first two digits of 1987.
// Contactless came after 1993; 7 is what most have agreed on. Source: ISO 8583:1993,
// point of service data code; UnionPay specification, F22.
var inputModes = [...]struct {
	wire byte
	mode uint16
}{{'2', 2}, {'5', 5}, {'7', 7}, {'1', 1}, {'6', 1}, {'3', 3}, {'4', 4}, {'0', 0}, {'2', 90}, {'5', 95}, {'7', 91}, {'7', 98}}

// Positions of F22, from 0.
const (
	inputAt  = 6
	methodAt = 7
	entityAt = 8
)

// olderPoint reads how the card was read, and whether a PIN was asked for. The
// other positions tell about the terminal, which 1987 never mentions.
func olderPoint(_ *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	var buf [16]byte
	p := v.AppendText(buf[:0], 22)
	if len(p) != 12 {
		return
	}
	var mode uint16
	for _, m := range inputModes {
		if m.wire == p[inputAt] {
			mode = m.mode
			break
		}
	}
	pin := uint16(2)
	if p[methodAt] == '1' {
		pin = 1
	}
	b.PutUint(22, uint64(10*mode+pin))
}

// newerPoint writes F22 towards a bank; an answer to a terminal has none.
func newerPoint(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	if e.door {
		return
	}
	x, _ := v.Uint(22)
	p := e.point
	p[inputAt] = '0'
	for _, m := range inputModes {
		if uint64(m.mode) == x/10 {
			p[inputAt] = m.wire
			break
		}
	}
	p[methodAt], p[entityAt] = '0', '0'
	if x%10 == 1 && v.Has(52) {
		p[methodAt], p[entityAt] = '1', '3' // a PIN, for whom it may concern at the issuer
	}
	b.Put(22, p[:])
}
