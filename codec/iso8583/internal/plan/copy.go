package plan

import (
	"tongka/codec/iso8583/internal/bcd"
	"tongka/codec/iso8583/internal/table"
)

// Way is how a value is transcoded from one coding to another.
type Way uint8

// Ways. ByValue is for pairs of codings that are seldom met.
const (
	ByValue       Way = iota
	AsIs              // the same bytes, but for pad nibbles
	ToChars           // packed to characters
	ToPacked          // digits to packed
	ToPackedTrack     // characters of a track to packed
	TextToPacked      // characters that must first be found to be digits

	// The first three ways for fields of fixed length that stand together.
	Bytes
	Chars
	Packed
)

// Ways says it for [to][from]; the size is for the compiler.
var Ways = [...][table.PackedTrack + 1]Way{
	table.Text:        {table.Text: AsIs, table.Raw: AsIs, table.Digits: AsIs, table.PackedLeft: ToChars, table.PackedRight: ToChars},
	table.Raw:         {table.Text: AsIs, table.Raw: AsIs, table.Digits: AsIs},
	table.Hexed:       {table.Hexed: AsIs},
	table.EText:       {table.EText: AsIs, table.EDigits: AsIs},
	table.EHexed:      {table.EHexed: AsIs},
	table.EDigits:     {table.EDigits: AsIs},
	table.ETrack:      {table.ETrack: AsIs, table.EDigits: AsIs},
	table.Digits:      {table.Digits: AsIs, table.PackedLeft: ToChars, table.PackedRight: ToChars},
	table.Track:       {table.Track: AsIs, table.Digits: AsIs, table.PackedTrack: ToChars},
	table.PackedLeft:  {table.PackedLeft: AsIs, table.Digits: ToPacked, table.Text: TextToPacked},
	table.PackedRight: {table.PackedRight: AsIs, table.Digits: ToPacked},
	table.PackedTrack: {table.PackedTrack: AsIs, table.Track: ToPackedTrack},
}

// Copy is how to copy fields of one dialect into another.
type Copy struct {
	First, Last int
	Steps       []Step
}

// Step is one field of variable length, or several of fixed length that stand
// together on both sides and are converted at once; ByValue is any one field, to
// be looked at by itself.
type Step struct {
	Way  Way
	N    uint8     // the number of the (first) field
	Bits [2]uint64 // the fields
	// How many bytes are read and written at least, whatever those behind the
	// fields are worth.
	Reads, Writes int
	// Of a field of variable length: the bytes of its prefix, the prefix by length
	// (the first byte is the lowest), and the greatest length.
	Begin  int
	Prefix *[1000]uint32
	Max    int
	// Of fields of fixed length: the bytes that they become.
	Size  int
	Words []bcd.Word
	from  int // bytes that they are
	span  span
}

// span is digits that follow each other without a pad nibble between them.
type span struct {
	words     int // where its words begin
	p, c      int // where it lies packed, and as characters
	n         int // digits
	lead, end bool
}

// NewCopy plans to copy the fields that are present; both dialects have them.
func NewCopy(to, from *table.Fields, present [2]uint64) (c Copy) {
	for n := range each(present) {
		if c.First == 0 {
			c.First = n
		}
		c.Last = n
		way := together(&to[n], &from[n])
		i := len(c.Steps) - 1
		if way < Bytes || i < 0 || c.Steps[i].Way != way {
			c.Steps = append(c.Steps, Step{Way: way, N: uint8(n), span: span{end: true}})
			i++
		}
		c.Steps[i].add(n, &to[n], &from[n])
	}
	return c
}

// together is the way of a field: with its neighbours, if their length is fixed.
// The pad nibble of an odd packed field may be anything, so that its bytes are
// not copied as they are.
func together(f, src *table.Field) Way {
	way := Ways[f.Coding][src.Coding]
	fixed := f.Prefix == 0 && src.Prefix == 0 && f.Max == src.Max
	open := f.Prefix != 0 && src.Prefix != 0 && f.Coding != table.PackedRight && src.Coding != table.PackedRight
	packed := way == AsIs && f.Coding >= table.PackedLeft
	hexed := f.Coding == table.Hexed || f.Coding == table.EHexed // a length of half the bytes
	switch {
	case open && !packed && !hexed && f.Max < 1000 && f.Prefix <= 4:
		return way
	case fixed && way == AsIs && (!packed || f.Max&1 == 0):
		return Bytes
	case fixed && way == ToChars:
		return Chars
	case fixed && way == ToPacked:
		return Packed
	}
	return ByValue
}

// add takes one more field into the step.
func (s *Step) add(n int, f, src *table.Field) {
	s.Bits[(n-1)>>6] |= 1 << 63 >> ((n - 1) & 63)
	if s.Way < Bytes {
		s.Begin, s.Prefix, s.Writes = int(f.Prefix), f.Lengths(), 4
		if s.Way != ByValue {
			s.Max = int(f.Max)
		}
		return
	}
	switch s.Way {
	case Chars:
		s.digits(s.from, s.Size, src)
		s.Reads, s.Writes = s.reach(bcd.ReachPacked, bcd.ReachChars)
	case Packed:
		s.digits(s.Size, s.from, f)
		s.Reads, s.Writes = s.reach(bcd.ReachChars, bcd.ReachPacked)
	}
	s.from, s.Size = s.from+int(src.Size), s.Size+int(f.Size)
	s.Reads, s.Writes = max(s.Reads, s.from), max(s.Writes, s.Size)
}

// digits adds a field to the span, or begins one, with packed bytes at p and
// characters at c.
func (s *Step) digits(p, c int, packed *table.Field) {
	odd := packed.Max&1 == 1
	lead := odd && packed.Coding == table.PackedRight
	if s.span.end || lead {
		s.span = span{words: len(s.Words), p: p, c: c, lead: lead}
	}
	s.span.n += int(packed.Max)
	s.span.end = odd && !lead
	s.Words = bcd.AppendWords(s.Words[:s.span.words], s.span.p, s.span.c, s.span.n, s.span.lead, s.Way == Chars)
}

func (s *Step) reach(read, write int) (reads, writes int) {
	last := &s.Words[len(s.Words)-1]
	return int(last.Src) + read, int(last.Dst) + write
}
