package translate

import (
	"errors"
	"fmt"
	"time"

	"tongka/codec/iso8583"
)

// Edition stands between a dialect of ISO 8583:1993 and all else here, which
// speaks of fields as 1987 has them: what comes is brought into a message of 1987
// before anybody looks at it, what leaves is made of one. Dialects of 1987 have
// none and pay nothing. It belongs to the goroutine of its door or bank.
//
// Of a 1993 message these differ: the type begins with 1; F12 has the date; F15
// has the year; F22 has twelve positions; the function (F24) says what 1987 says
// by the type, F25 and F70; F26 is the merchant category (F18); F39 is an action
// code; F53 holds bytes; F56 names the original (F90). Source: ISO 8583:1993 as
// widespread packagers have its fields; docs/dialects.md lists the tables.
type Edition struct {
	wire, plain *iso8583.Spec
	door        bool // terminals are on the other side, and not a bank
	actions     []action
	point       [12]byte // F22 towards a bank, but for what the transaction says
	mac         int      // field of a MAC towards a bank
	view        iso8583.View
	builder     iso8583.Builder
	scratch     []byte
}

// is1993 tells a dialect of 1993 by its action code and its date and time.
func is1993(s *iso8583.Spec) bool {
	d := s.Declaration()
	code, at := d.Fields[39], d.Fields[12]
	return code.Kind == iso8583.Numeric && code.Length == 3 && at.Kind == iso8583.Numeric && at.Length == 12
}

// newEdition is nil for a dialect of 1987. The error names every field that a
// dialect of 1993 lacks.
func newEdition(s *iso8583.Spec, door bool) (*Edition, error) {
	if !is1993(s) {
		return nil, nil
	}
	needs := bankNeeds93
	if door {
		needs = doorNeeds93
	}
	if err := lacksAny(s, common93, needs); err != nil {
		return nil, err
	}
	e := &Edition{wire: s, plain: iso8583.ASCIIRaw(), door: door, actions: actions[:]}
	copy(e.point[:], usualPoint)
	return e, nil
}

// Plain is the dialect of 1987 that messages are brought into.
func (e *Edition) Plain() *iso8583.Spec { return e.plain }

// In a message of 1987 that was made of a terminal's, two fields that no terminal
// of 1987 sends keep what its answer must repeat.
const (
	ownTrace = 9  // F11; in F11 stands the trace number of what a reversal takes back
	ownType  = 10 // the message type
)

// step makes one field of the other edition.
type step struct {
	to, from int
	make     func(e *Edition, b *iso8583.Builder, v *iso8583.View, ref int64) // nil copies
}

func same(fields ...int) (s []step) {
	for _, n := range fields {
		s = append(s, step{to: n, from: n})
	}
	return s
}

func join(parts ...[]step) (s []step) {
	for _, p := range parts {
		s = append(s, p...)
	}
	return s
}

// The steps to the older edition and to the newer, by ascending fields.
var (
	older = join(same(2, 3, 4, 7), []step{{ownTrace, 11, keepTrace}, {ownType, 0, keepType}, {11, 11, olderTrace}, {12, 12, olderTime}},
		same(14), []step{{15, 15, olderDate}, {18, 26, nil}, {22, 22, olderPoint}}, same(23, 24), []step{{25, 0, olderCondition}},
		same(32, 33, 35, 36, 37, 38), []step{{39, 39, olderCode}}, same(41, 42, 44, 48, 49, 52), []step{{53, 53, olderSecurity}},
		same(54, 55, 60, 61, 62, 63, 64), []step{{70, 24, olderNetwork}}, same(96, 100, 102, 103, 128))
	newer = join(same(2, 3, 4, 7), []step{{11, 11, newerTrace}, {12, 12, newerTime}}, same(14), []step{{15, 15, newerDate}, {22, 22, newerPoint}},
		same(23), []step{{24, 0, newerFunction}, {25, 90, newerReason}, {26, 18, nil}}, same(32, 33, 35, 36, 37, 38), []step{{39, 39, newerCode}},
		same(41, 42, 44, 48, 49, 52), []step{{53, 53, newerSecurity}}, same(54, 55), []step{{56, 90, newerOriginal}},
		same(60, 61, 62, 63), []step{{64, 0, newerMAC}}, same(96, 100, 102, 103), []step{{128, 128, newerMAC128}})
)

var errNot1993 = errors.New("a message type of ISO 8583:1993 begins with 1")

// Older appends the message in v as one of 1987, and reads that into out. A
// message that was read up to a fault is brought over as far as it goes.
func (e *Edition) Older(dst []byte, v, out *iso8583.View) ([]byte, error) {
	mti, wrong := e.olderType(v)
	msg, err := e.convert(dst, e.plain, older, v, mti, 0)
	// Of what is not brought over, out must not show an earlier message.
	if bad := e.plain.Parse(out, msg); err == nil {
		err = bad
	}
	if wrong != nil {
		err = wrong
	}
	return msg, err
}

// newer appends a message of 1987 as one of 1993. ref is a time near those that
// it names (Unix nanoseconds), for 1987 has no years.
func (e *Edition) newer(dst, msg []byte, ref int64) ([]byte, error) {
	if err := e.plain.Parse(&e.view, msg); err != nil {
		return dst, err
	}
	out, err := e.convert(dst, e.wire, newer, &e.view, e.newerType(&e.view), ref)
	if err != nil {
		return dst, err
	}
	return out, nil
}

func (e *Edition) convert(dst []byte, s *iso8583.Spec, steps []step, v *iso8583.View, mti iso8583.MTI, ref int64) ([]byte, error) {
	b := &e.builder // steps are called by a table, which would have it on the heap
	b.Reset(s, dst, mti)
	for i := range steps {
		switch st := &steps[i]; {
		case st.from != 0 && !v.Has(st.from):
		case st.make != nil:
			st.make(e, b, v, ref)
		case !absent(s, st.to):
			b.Copy(st.to, v, st.from)
		}
	}
	return b.End()
}

// absent says that a dialect has no such field: what only one side knows stays
// there.
func absent(s *iso8583.Spec, n int) bool {
	return s.Declaration().Fields[n].Kind == iso8583.Absent
}

func keepTrace(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	if e.door {
		x, _ := v.Uint(11)
		b.PutUint(ownTrace, x)
	}
}

func keepType(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	if e.door {
		b.PutUint(ownType, mtiDigits(uint16(v.MTI())))
	}
}

// olderTrace is the original's in a terminal's reversal: 1987 repeats it there.
func olderTrace(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	var buf [48]byte
	if e.door && isReversal(v.MTI()) && v.Has(56) {
		if f56 := v.AppendText(buf[:0], 56); len(f56) >= 10 {
			b.Put(11, f56[4:10])
			return
		}
	}
	b.Copy(11, v, 11)
}

func newerTrace(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	from := 11
	if e.door {
		from = ownTrace
	}
	x, _ := v.Uint(from)
	b.PutUint(11, x)
}

// olderTime takes F12 (YYMMDDhhmmss) apart.
func olderTime(_ *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	x, _ := v.Uint(12)
	b.PutUint(12, x%1_000_000)
	b.PutUint(13, x/1_000_000%10_000)
}

func newerTime(_ *Edition, b *iso8583.Builder, v *iso8583.View, ref int64) {
	clock, _ := v.Uint(12)
	date, _ := v.Uint(13)
	b.PutUint(12, (yearOf(date, ref)*10_000+date)*1_000_000+clock)
}

// olderDate drops the year of F15.
func olderDate(_ *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	x, _ := v.Uint(15)
	b.PutUint(15, x%10_000)
}

func newerDate(_ *Edition, b *iso8583.Builder, v *iso8583.View, ref int64) {
	date, _ := v.Uint(15)
	b.PutUint(15, yearOf(date, ref)*10_000+date)
}

// yearOf gives the two digits of the year in which a date (MMDD) is nearest to a
// time: the last of December, seen in January, is of the year before.
func yearOf(date uint64, ref int64) uint64 {
	year, month, _ := time.Unix(0, ref).In(Zone).Date()
	switch d := int(date/100) - int(month); {
	case d > 6:
		year--
	case d < -6:
		year++
	}
	return uint64(year % 100)
}

// olderSecurity reads F53: sixteen digits, packed into eight bytes or as they are.
func olderSecurity(_ *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	var raw [48]byte
	value := v.AppendText(raw[:0], 53)
	if len(value) != 8 {
		b.Put(53, value)
		return
	}
	var digits [16]byte
	for i, c := range value {
		digits[2*i], digits[2*i+1] = '0'+c>>4, '0'+c&15
	}
	b.Put(53, digits[:])
}

func newerSecurity(_ *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	var digits [16]byte
	var packed [8]byte
	if len(v.AppendText(digits[:0], 53)) != len(digits) {
		return
	}
	for i := range packed {
		packed[i] = digits[2*i]<<4 | digits[2*i+1]&15
	}
	b.Put(53, packed[:])
}

// newerMAC leaves the place of a MAC. A bank's message is made with it in F128,
// behind F90, which 1993 does not have.
func newerMAC(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	switch {
	case e.door:
		b.Copy(64, v, 64)
	case e.mac == 64 && v.Has(128):
		b.Put(64, noMAC[:])
	}
}

func newerMAC128(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	if e.mac == 128 {
		b.Put(128, noMAC[:])
	}
}

// newerReason says why a reversal is sent: no answer came in time.
func newerReason(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	if !e.door && isReversal(v.MTI()) {
		b.PutUint(25, 4021)
	}
}

// newerOriginal makes F56 of F90: type n4, trace n6, local date and time n12,
// acquirer LL n..11. What F90 has is the time of F7, which here is local time.
func newerOriginal(e *Edition, b *iso8583.Builder, v *iso8583.View, ref int64) {
	var buf [42]byte
	f90 := v.AppendText(buf[:0], 90)
	if len(f90) != len(buf) {
		return
	}
	var out [48]byte
	text := append(append(out[:0], '1'), f90[1:10]...) // no original is an enquiry, whose type would differ
	text = appendUint(text, yearOf(number(f90, 10, 14), ref), 2)
	text = append(text, f90[10:20]...)
	acquirer := f90[20:31]
	for len(acquirer) > 0 && acquirer[0] == '0' {
		acquirer = acquirer[1:]
	}
	text = appendUint(text, uint64(len(acquirer)), 2)
	b.Put(56, append(text, acquirer...))
}

// SetActions puts action codes of the counterpart's own before the usual ones:
// each three digits, an equals sign and a response code, such as 115=57.
func (e *Edition) SetActions(list []string) error {
	own := make([]action, 0, len(list)+len(actions))
	for _, s := range list {
		a, err := parseAction(s)
		if err != nil {
			return err
		}
		own = append(own, a)
	}
	e.actions = append(own, actions[:]...)
	return nil
}

// SetPoint says what F22 is towards a bank, but for the positions that the
// transaction tells: 7 (how the card was read), 8 and 9 (who verified the PIN).
func (e *Edition) SetPoint(p string) error {
	if len(p) != len(e.point) {
		return fmt.Errorf("服务点数据须为 12 个字符，此处 %d · a point of service of 12 characters is wanted, here %d", len(p), len(p))
	}
	copy(e.point[:], p)
	return nil
}
