package engine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"tongka/codec/iso8583"
	"tongka/conn"
)

// Malformed is the last frame of one place that could not be read, for people.
// It lives in memory only and a restart forgets it. No card data is in it: no byte
// of a field is kept, nor of a long run of digits.
type Malformed struct {
	Place  string // name of a listener, or of a bank with the number of its line, or of a module
	Kind   string // listener, link, module
	At     int64  // Unix nanoseconds
	Count  uint64 // frames refused here since the start
	Length int    // bytes of the frame, or those that had come of it
	Field  string // that was refused: F4, bitmap, TPDU …; empty when the framing refused it
	Offset int    // of the fault, from the frame's first byte; -1 when the refusal names none
	Why    string
	Read   string // fields in front of the fault, with their lengths
	Shown  string // the beginning in hexadecimal; ** is a byte that is not kept
}

// maxShown is how many bytes of a frame are kept at most.
const maxShown = 128

// place is a place that sends frames: what kind of peer, and which.
type place struct {
	kind  peerKind
	index uint16
}

// malformed are the last ones. Only whoever sends rubbish makes an entry: the path
// of a good frame does not come by.
type malformed struct {
	last  map[place]*Malformed
	shown []Malformed // what the snapshots share; nil when it is to be made anew
}

// keepMalformed keeps a frame that p has sent. v has read it as far as it could;
// nil when nobody tried. head is how many bytes stand in front of the MTI, -1 when
// that is not known.
func (s *Shard) keepMalformed(p *peer, b []byte, v *iso8583.View, head int, err error) {
	at := place{p.kind, p.index}
	m := s.malformed.last[at]
	if m == nil {
		if s.malformed.last == nil {
			s.malformed.last = map[place]*Malformed{}
		}
		m = &Malformed{}
		s.malformed.last[at] = m
	}
	s.malformed.shown = nil
	*m = Malformed{At: s.now, Count: m.Count + 1, Length: len(b), Offset: -1, Why: err.Error()}
	m.Kind, m.Place = s.nameOf(p)
	var fe *iso8583.FieldError
	if errors.As(err, &fe) {
		m.Field, m.Offset = fe.Place(), fe.Offset+max(head, 0)
	}
	if v != nil && v.Head() > 0 && v.MTI()&^0x1FFF == 0 && v.MTI() >= 0x0100 {
		m.Shown, m.Read = mask(b, head+v.Head(), 0), lengths(v)
		return
	}
	first := beginning
	if p.kind == hsmPeer { // header, verb and error code; behind them may be a key
		first = s.cfg.Dialect.HeaderLen + 4
	}
	m.Shown = mask(b, head, first)
}

// lengths lists the fields that were read before the fault, F4:12 for twelve digits.
func lengths(v *iso8583.View) string {
	var out []byte
	for n := 2; n <= 192; n++ {
		if v.Has(n) {
			out = fmt.Appendf(out, " F%d:%d", n, v.Len(n))
		}
	}
	return string(bytes.TrimPrefix(out, []byte(" ")))
}

func (s *Shard) nameOf(p *peer) (kind, name string) {
	switch p.kind {
	case terminalPeer:
		return "listener", s.cfg.Listeners[p.index].Name
	case bankPeer:
		n := s.lines[p.index]
		return "link", fmt.Sprintf("%s#%d", s.links[n.link].cfg.Name, n.number)
	}
	return "module", s.cfg.HSMs[p.index].Name
}

// Refused implements conn.Refuser: no frame could be made of what has come.
func (s *Shard) Refused(id conn.ID, b []byte, err error) {
	s.begin()
	if p := s.peer(id); p != nil && p.kind != noPeer {
		s.keepMalformed(p, b, nil, -1, err)
	}
}

// views of what was refused, shared by snapshots until there is another one.
func (s *Shard) malformedViews() []Malformed {
	if s.malformed.shown == nil && len(s.malformed.last) > 0 {
		places := slices.SortedFunc(maps.Keys(s.malformed.last), func(a, b place) int {
			return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.index, b.index))
		})
		all := make([]Malformed, len(places))
		for i, at := range places {
			all[i] = *s.malformed.last[at]
		}
		s.malformed.shown = all
	}
	return s.malformed.shown
}

// beginning is how many bytes are kept of what could not be taken for a message at
// all: enough to tell what else it is.
const beginning = 16

// mask writes a frame down as it may be shown. Of a message that is what stands in
// front of its first field: a wrong bit in a bitmap moves every value behind it into
// another field, so which bytes are harmless nobody can say. Of anything else it is
// the first bytes, without what looks like a card number.
func mask(b []byte, read, first int) string {
	var keep [maxShown]bool
	for i := range min(max(read, first), len(b), maxShown) {
		keep[i] = true
	}
	runs(b, keep[:])
	for i := range min(read, len(b), maxShown) {
		keep[i] = true
	}
	return write(b, keep[:])
}

// shortest is the length of a run of digits that may be a card number.
const shortest = 13

// runs takes away what looks like a card number, in BCD, ASCII or EBCDIC: long runs
// of decimal nibbles (blanks and the separators of tracks are no end of one), and
// of EBCDIC digits.
func runs(b []byte, keep []bool) {
	nibbles, ebcdic := 0, 0
	for i, c := range b {
		for _, n := range [2]byte{c >> 4, c & 15} {
			if n > 9 && n != 13 {
				nibbles = 0
				continue
			}
			if nibbles++; nibbles >= shortest {
				drop(keep, i-nibbles/2, i)
			}
		}
		if ebcdic++; c>>4 != 15 || c&15 > 9 {
			ebcdic = 0
		}
		if ebcdic >= shortest/2 {
			drop(keep, i-ebcdic+1, i)
		}
		if i > len(keep)+shortest { // a run that begins among what is kept was long by now
			return
		}
	}
}

func drop(keep []bool, from, to int) {
	for i := max(from, 0); i <= to && i < len(keep); i++ {
		keep[i] = false
	}
}

// write gives what is kept in hexadecimal, up to the last byte of it.
func write(b []byte, keep []bool) string {
	const digits = "0123456789ABCDEF"
	end := 0
	for i, k := range keep {
		if k {
			end = i + 1
		}
	}
	out := make([]byte, 0, 2*end)
	for i := range end {
		if keep[i] {
			out = append(out, digits[b[i]>>4], digits[b[i]&15])
		} else {
			out = append(out, '*', '*')
		}
	}
	return string(out)
}
