package explain

import (
	"bytes"
	"slices"

	"tongka/codec/iso8583"
	"tongka/conn/framing"
)

// wrap is what a frame is wrapped in: its length and perhaps a trailer.
type wrap struct {
	name string
	head int             // bytes in front of the payload
	f    framing.Framing // nil: nothing
}

// guesses are the framings that are tried when none is given. Those whose length
// counts itself are not: a plain length that is off by two would pass for one,
// and that is a fault which people look for.
var guesses = []string{"binary2", "ascii4", "bcd2", "hex4", "binary4", "binary3", "binary2-pad2", "binary2-etx"}

// bare is no framing.
var bare = wrap{name: "none"}

func wrapOf(name string) (wrap, bool) {
	if name == bare.name {
		return bare, true
	}
	f, ok := framing.Named(name)
	if !ok {
		return wrap{}, false
	}
	return wrap{name, len(f.Begin(nil)), f}, true
}

func wraps(only string) (all []wrap, ok bool) {
	if only != "" {
		w, ok := wrapOf(only)
		return []wrap{w}, ok
	}
	for _, name := range guesses {
		if w, ok := wrapOf(name); ok {
			all = append(all, w)
		}
	}
	return append(all, bare), true
}

// open gives what is in the frame, and how many bytes follow it. claim is what a
// length of the two commonest kinds says when it is wrong; ok is false when the
// input is not wrapped so.
func (w *wrap) open(frame []byte) (payload []byte, tail, claim int, ok bool) {
	if w.f == nil {
		return frame, 0, 0, true
	}
	if p, used, err := w.f.Next(frame); err == nil && used == len(frame) && p != nil {
		return p, len(frame) - w.head - len(p), len(p), true
	}
	if w.name != "binary2" && w.name != "ascii4" {
		return nil, 0, 0, false
	}
	n, ok := claimed(frame, w.head)
	return frame[min(w.head, len(frame)):], 0, n, ok
}

// claimed is the number in front of a frame: two bytes, or four digits.
func claimed(frame []byte, head int) (n int, ok bool) {
	if len(frame) < head {
		return 0, false
	}
	if head == 2 {
		return int(frame[0])<<8 | int(frame[1]), true
	}
	for _, c := range frame[:head] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// candidate is one way to read the input: a length prefix or none, an envelope
// or none, a dialect. Detection tries them all.
type candidate struct {
	wrap    wrap
	envelop *iso8583.Spec // whose Split takes the envelope off; nil: the MTI comes first
	dialect *iso8583.Spec
	guess   bool // among several dialects
}

// head is how the MTI and the bitmap of a dialect lie.
type head struct {
	mti int  // bytes of the MTI: two packed ones, or four
	raw bool // the bitmap is bytes and not characters
}

func headOf(s *iso8583.Spec) head {
	b := s.Begin(nil, 0x0800)
	m, _ := b.End() // an empty message has nothing that can be wrong
	h := head{mti: 4}
	if m[0] == 8 {
		h.mti = 2
	}
	// The bitmap of an empty message has no bit or bit 1: as a byte, or as a digit
	// in ASCII or EBCDIC.
	h.raw = m[h.mti] == 0 || m[h.mti] == 0x80
	return h
}

func mtiSize(s *iso8583.Spec) int { return headOf(s).mti }

// envelopes that a dialect is seen in.
func envelopes(s *iso8583.Spec) []*iso8583.Spec {
	if mtiSize(s) == 2 {
		return []*iso8583.Spec{iso8583.Pos(), nil}
	}
	return []*iso8583.Spec{iso8583.Cups(), iso8583.BCD(), nil}
}

func candidates(o *Options) (all []candidate, err error) {
	frames, ok := wraps(o.Framing)
	if !ok {
		return nil, noFraming(o.Framing)
	}
	dialects := o.Dialects
	if len(dialects) == 0 {
		dialects = iso8583.Builtin()
	}
	for _, w := range frames {
		for _, d := range dialects {
			for _, e := range envelopes(d) {
				all = append(all, candidate{w, e, d, len(dialects) > 1})
			}
		}
	}
	return all, nil
}

// reading is a candidate tried.
type reading struct {
	candidate
	env     iso8583.Envelope
	view    iso8583.View
	base    int // of the MTI in the input
	tail    int // bytes behind the message that are the framing's
	score   int
	err     *iso8583.FieldError // nil: everything fits; its offset counts from the input's start
	charset *Charset            // the fault is a length counted in another character set
}

// try reads the input as the candidate says; nil when the candidate is out of
// the question. The score weighs evidence: a right length prefix and a centre
// header can hardly be chance, plausible fields speak for a dialect. Of a
// reading that fails, it says how far the message made sense.
func (c candidate) try(input []byte, start int) *reading {
	r := &reading{candidate: c}
	frame, tail, claim, ok := c.wrap.open(input[start:])
	if !ok {
		return nil
	}
	var wrong *iso8583.FieldError
	switch {
	case c.wrap.f == nil:
	case claim == len(frame):
		r.score += 20
	default:
		wrong = &iso8583.FieldError{Field: iso8583.InLength, Offset: start, Reason: iso8583.WrongTotal, Want: len(frame), Got: claim}
	}
	r.tail, r.base = tail, start+c.wrap.head
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
	if c.guess && of1993(c.dialect) && r.view.MTI()>>12 != 1 {
		return nil // what is of 1993 says so in its MTI
	}
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

func of1993(s *iso8583.Spec) bool { return s == iso8583.ASCII93() || s == iso8583.Binary93() }

// affinity is what the shape of the whole says for a dialect where two may
// read the same bytes.
func affinity(r *reading) int {
	n := 0
	if !slices.Contains(iso8583.Builtin(), r.dialect) {
		n++ // a dialect of the user's own goes before one of ours
	}
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
	case d == iso8583.Binary87():
		n -= 6 // seldom met, and reads much of what pos and bcd terminals send
	case of1993(d):
		n += 3 // its MTI said so
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
