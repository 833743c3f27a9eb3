package explain

import (
	"bytes"

	"tongka/codec/iso8583"
)

// candidate is one way to read the input: a length prefix or none, an envelope
// or none, a dialect. Detection tries them all.
type candidate struct {
	prefix  int           // bytes of the length prefix: 0, 2 binary, 4 ASCII digits
	envelop *iso8583.Spec // whose Split takes the envelope off; nil: the MTI comes first
	dialect *iso8583.Spec
}

// dialects in the order of preference among equals.
func dialects() []*iso8583.Spec {
	return []*iso8583.Spec{iso8583.Pos(), iso8583.BCD(), iso8583.Cups(), iso8583.ASCII(), iso8583.ASCIIHexMap(), iso8583.ASCIIRaw()}
}

// packed says that a dialect's MTI is two packed bytes.
func packed(s *iso8583.Spec) bool { return s == iso8583.Pos() || s == iso8583.BCD() }

// envelopes that a dialect is seen in.
func envelopes(s *iso8583.Spec) []*iso8583.Spec {
	if packed(s) {
		return []*iso8583.Spec{iso8583.Pos(), nil}
	}
	return []*iso8583.Spec{iso8583.Cups(), iso8583.BCD(), nil}
}

func candidates(only string) []candidate {
	var all []candidate
	for _, prefix := range []int{2, 4, 0} {
		for _, d := range dialects() {
			if only != "" && d.Name() != only && (only != "ascii" || packed(d) || d == iso8583.Cups()) {
				continue
			}
			for _, e := range envelopes(d) {
				all = append(all, candidate{prefix, e, d})
			}
		}
	}
	return all
}

// claim is what the length prefix of a frame says and whether it is one.
func claim(frame []byte, prefix int) (n int, ok bool) {
	if len(frame) < prefix {
		return 0, false
	}
	if prefix == 2 {
		return int(frame[0])<<8 | int(frame[1]), true
	}
	for _, c := range frame[:prefix] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// reading is a candidate tried.
type reading struct {
	candidate
	env   iso8583.Envelope
	view  iso8583.View
	base  int // of the MTI in the input
	score int
	err   *iso8583.FieldError // nil: everything fits; its offset counts from the input's start
}

// try reads the input as the candidate says; nil when the candidate is out of
// the question. The score weighs evidence: a right length prefix and a centre
// header can hardly be chance, plausible fields speak for a dialect. Of a
// reading that fails, it says how far the message made sense.
func (c candidate) try(input []byte, start int) *reading {
	r := &reading{candidate: c}
	frame := input[start:]
	var wrong *iso8583.FieldError
	if c.prefix > 0 {
		n, ok := claim(frame, c.prefix)
		if !ok {
			return nil
		}
		if n == len(frame)-c.prefix {
			r.score += 20
		} else {
			wrong = &iso8583.FieldError{Field: iso8583.InLength, Offset: start, Reason: iso8583.WrongTotal, Want: len(frame) - c.prefix, Got: n}
		}
	}
	frame, r.base = frame[c.prefix:], start+c.prefix
	msg := frame
	if c.envelop != nil {
		m, err := c.envelop.Split(frame, &r.env)
		r.score += envelopeScore(&r.env)
		if err != nil {
			r.fails(err)
			return r
		}
		msg = m
		r.base += len(frame) - len(msg)
	}
	err := c.dialect.Parse(&r.view, msg)
	r.score += plausible(&r.view, msg) + affinity(r)
	switch {
	case err != nil:
		r.fails(err)
	case wrong != nil:
		r.err = wrong
		r.score += 15 // all of it fits but the prefix
	}
	return r
}

// fails notes an error of Split or Parse with its offset in the input.
func (r *reading) fails(err error) {
	if e, ok := err.(*iso8583.FieldError); ok {
		moved := *e
		moved.Offset += r.base
		r.err = &moved
	}
}

func envelopeScore(e *iso8583.Envelope) int {
	switch {
	case len(e.Header) > 6:
		return 20
	case e.Header != nil:
		return 8
	case e.TPDU != nil:
		return 5
	}
	return 0
}

// affinity is what the shape of the whole says for a dialect where two may
// read the same bytes.
func affinity(r *reading) int {
	n := 0
	switch d := r.dialect; {
	case d == iso8583.Pos():
		if r.env.Header != nil || r.view.Has(60) {
			n += 3
		}
		if r.view.Has(24) {
			n -= 2 // a Hypercom NII, which UnionPay terminals do not send
		}
	case d == iso8583.BCD():
		if r.view.Has(24) && r.env.Header == nil {
			n += 3
		}
	case d == iso8583.Cups():
		if len(r.env.Header) > 6 || r.view.Has(128) {
			n += 3
		}
	}
	return n
}

// httpBody finds the frame in a terminal's HTTP request or in its answer: the
// offset of the body, 0 when the input is no HTTP.
func httpBody(input []byte) int {
	if !bytes.HasPrefix(input, []byte("POST ")) && !bytes.HasPrefix(input, []byte("HTTP/1.")) {
		return 0
	}
	if i := bytes.Index(input, []byte("\r\n\r\n")); i >= 0 {
		return i + 4
	}
	return 0
}
