package iso8583

import "math/bits"

// Run is fields of one dialect, below 65 and in ascending order, as they stand
// on the wire. It is how an answer repeats what a request said, and how what
// never changes is put: many fields at the price of one. The bytes are lent by
// whoever made the run.
type Run struct {
	spec *Spec
	bits uint64
	wire []byte
}

// Run gives the fields from..to (2 to 64) that are present, with all that
// belongs to them. Fields of the message between them belong to the run, too.
func (v *View) Run(from, to int) Run {
	mask := ^uint64(0) >> (from - 1) & (^uint64(0) << (64 - to))
	r := Run{spec: v.spec, bits: v.bits[0] & mask}
	if r.bits == 0 {
		return r
	}
	first, last := bits.LeadingZeros64(r.bits)+1, 64-bits.TrailingZeros64(r.bits)
	f := &v.spec.fields[last]
	end := v.spans[last].At() + int(f.Size)
	if f.Prefix != 0 {
		end = v.spans[last].At() + f.Coding.Size(v.spans[last].Len())
	}
	r.wire = v.msg[v.spans[first].At()-int(v.spec.fields[first].Prefix) : end]
	return r
}

// Encode makes a run of what fill puts, for fields that never change.
func (s *Spec) Encode(fill func(*Builder)) (Run, error) {
	b := s.Begin(nil, 0)
	from := len(b.buf)
	fill(&b)
	if b.last > 64 && b.last != stopped {
		b.fail(b.last, OutOfOrder, 64, b.last)
	}
	out, err := b.End()
	if err != nil {
		return Run{}, err
	}
	return Run{spec: s, bits: b.low &^ both, wire: out[from:]}, nil
}

// Empty says that the run holds no field.
func (r *Run) Empty() bool { return r.bits == 0 }

// KeptAt gives the run with its bytes at the same offset of a copy of the
// message that it was taken from.
func (r *Run) KeptAt(v *View, kept []byte) Run {
	if r.bits == 0 {
		return *r
	}
	at := cap(v.msg) - cap(r.wire)
	return Run{spec: r.spec, bits: r.bits, wire: kept[at : at+len(r.wire) : at+len(r.wire)]}
}

// PutRun appends a run of this builder's own dialect. An empty one puts nothing.
func (b *Builder) PutRun(r *Run) {
	if r.bits == 0 {
		return
	}
	first := bits.LeadingZeros64(r.bits) + 1
	switch {
	case b.last >= first:
		if b.err == nil {
			b.fail(first, OutOfOrder, b.last, first)
		}
	case r.spec != b.spec:
		b.fail(first, NotInDialect, 0, 0)
	default:
		b.last = 64 - bits.TrailingZeros64(r.bits)
		b.low |= r.bits
		copy(b.take(len(r.wire)), r.wire)
	}
}
