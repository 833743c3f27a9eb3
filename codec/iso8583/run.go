package iso8583

import "math/bits"

// Run says where fields of one dialect, below 65 and in ascending order, stand
// in a message, or in bytes made for it. It is how an answer repeats what a
// request said, and how what never changes is put: many fields at the price of
// one. It holds no bytes: whoever keeps it keeps the message, or a copy.
//
// It has no pointer, and so many of them fit a cache line: what waits for a bank
// keeps six.
type Run struct {
	bits    uint64
	at, end uint16
	spec    uint32 // its dialect, see Spec.id
}

// Run finds the fields from..to (2 to 64) that are present, with all that belongs
// to them. Fields of the message between them belong to the run, too.
func (v *View) Run(from, to int) Run {
	r := Run{spec: v.spec.id, bits: v.bits[0] & (^uint64(0) >> (from - 1)) & (^uint64(0) << (64 - to))}
	if r.bits != 0 {
		first, last := bits.LeadingZeros64(r.bits)+1, 64-bits.TrailingZeros64(r.bits)
		end := v.spans[last&255]
		r.at = uint16(v.spans[first&255].At() - int(v.spec.fields[first].Prefix))
		r.end = uint16(end.At() + v.spec.fields[last].Coding.Size(end.Len()))
	}
	return r
}

// Encode makes bytes of what fill puts, for fields that never change, and the run
// that they are.
func (s *Spec) Encode(fill func(*Builder)) (Run, []byte, error) {
	b := s.Begin(nil, 0)
	fill(&b)
	if b.last > 64 && b.last != stopped {
		b.fail(b.last, OutOfOrder, 64, b.last)
	}
	out, err := b.End()
	if err != nil {
		return Run{}, nil, err
	}
	out = out[s.first:]
	return Run{spec: s.id, bits: b.low &^ both, end: uint16(len(out))}, out, nil
}

// Empty says that the run holds no field.
func (r *Run) Empty() bool { return r.bits == 0 }

// PutRun appends a run of this builder's own dialect, out of the message where it
// was found, or a copy of it. An empty one puts nothing.
func (b *Builder) PutRun(r *Run, msg []byte) {
	if r.bits == 0 {
		return
	}
	first := bits.LeadingZeros64(r.bits) + 1
	switch {
	case b.last >= first:
		if b.err == nil {
			b.fail(first, OutOfOrder, b.last, first)
		}
	case r.spec != b.spec.id:
		b.fail(first, NotInDialect, 0, 0)
	default:
		b.last = 64 - bits.TrailingZeros64(r.bits)
		b.low |= r.bits
		p := msg[r.at:r.end]
		copy(b.take(len(p)), p)
	}
}
