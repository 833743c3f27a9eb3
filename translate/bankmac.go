package translate

import (
	"errors"
	"fmt"
	"slices"

	"tongka/codec/iso8583"
)

// Class groups a bank's messages by what they are about. A request and its answer
// are of one class.
type Class uint8

// Classes, as a configuration names them.
const (
	Requests  Class = iota // 01xx, 02xx
	Advices                // 0220 and its like, 06xx
	Reversals              // 04xx
	NetworkMessages
	KeyChanges // network messages about a change of keys
	classes
)

var classNames = [classes]string{"request", "advice", "reversal", "network", "keys"}

// String is the class's name in a configuration.
func (c Class) String() string { return classNames[c] }

// ParseClass reads such a name.
func ParseClass(s string) (Class, bool) {
	i := slices.Index(classNames[:], s)
	return Class(max(i, 0)), i >= 0
}

// ClassOf tells the class by the message type and F70 (0 without one).
func ClassOf(mti iso8583.MTI, net uint16) Class {
	switch mti >> 8 & 15 {
	case 8:
		if net == NetKeyReset {
			return KeyChanges
		}
		return NetworkMessages
	case 4:
		return Reversals
	case 6:
		return Advices
	case 2:
		if mti&0x0020 != 0 {
			return Advices
		}
	}
	return Requests
}

// MACRule says which messages of a bank carry a MAC, where, and over what it is
// made.
type MACRule struct {
	Of    []Class
	Field int // 64 or 128; 0 is 128 in a message with fields above 64, else 64
	// Whole takes the bytes from the MTI to the MAC; otherwise it is the text of the
	// fields below that are there.
	Whole bool
	// Fields are those of the text, KeyFields those of network messages and changes
	// of keys; nil takes the card centre's.
	Fields, KeyFields []int
	// Raw leaves the text as it is, but for upper case. Otherwise what is not a
	// letter, a digit, a space, a comma or a point goes, and spaces are single.
	Raw bool
}

// The fields of a card centre's MAC. Source: one program of a member (GetMacBuf);
// no message with its key was ever published to try them on.
var (
	centreFields    = []int{2, 3, 4, 7, 11, 18, 25, 28, 32, 33, 38, 39, 41, 42, 90, 102, 103}
	centreKeyFields = []int{2, 3, 4, 7, 11, 18, 25, 28, 32, 33, 38, 39, 41, 42, 53, 70, 90, 100}
)

// ofF90 is how much of F90 the text has: message type, trace number and time.
const ofF90 = 20

// bankMAC is a rule, compiled for a dialect.
type bankMAC struct {
	of    [classes]bool
	field int
	whole bool
	raw   bool
	text  [2][]macField // of money, of network messages
	room  [129]int      // bytes that F64 and F128 take
}

type macField struct{ n, prefix int }

// SetMAC has the bank's messages carry MACs. The error names what the dialect
// cannot carry.
func (k *Bank) SetMAC(r *MACRule) error {
	d := k.Spec.Declaration()
	m := &bankMAC{field: r.Field, whole: r.Whole, raw: r.Raw}
	for _, c := range r.Of {
		m.of[c] = true
	}
	fits := func(n int) bool {
		f := d.Fields[n]
		return f.Kind == iso8583.Binary && f.Prefix == 0 && f.Length == 8
	}
	switch {
	case k.Edition != nil && !r.Whole:
		return fmt.Errorf("1993 版线路的 MAC 须为 data: message · a MAC of messages of 1993 wants data: message; the text of fields is of 1987")
	case k.Edition != nil && r.Field == 0:
		m.field = 64 // nothing that we send has fields above
	case r.Field == 0 && (d.Wide || !fits(64)):
		m.field = 128
	case r.Field == 0 && !fits(128):
		m.field = 64
	}
	if m.field != 0 && !fits(m.field) {
		f := d.Fields[m.field]
		return fmt.Errorf("方言 %s 的域 F%d 不能容纳 MAC，此处为 %s · dialect %s: F%d: wanted binary 8 for a MAC, here %s",
			d.Name, m.field, describe(&f), d.Name, m.field, describe(&f))
	}
	if k.Edition == nil && r.Field == 64 {
		return errors.New("域 64 之后尚有域 70、90，MAC 须置于报文末尾；请省去 field · F70 and F90 stand behind F64, and a MAC is the end of its message: leave field out, for F64 or F128 by the message")
	}
	for _, n := range []int{64, 128} {
		if f := d.Fields[n]; fits(n) {
			m.room[n] = f.Size(8)
		}
	}
	for i, list := range [...][]int{r.Fields, r.KeyFields} {
		if list == nil {
			list = [...][]int{centreFields, centreKeyFields}[i]
		}
		for _, n := range list {
			if f, known := d.Fields[n]; known && n != 64 && n != 128 {
				m.text[i] = append(m.text[i], macField{n, f.Prefix})
			}
		}
	}
	if k.mac = m; k.Edition != nil {
		k.Edition.mac = m.field
	}
	return nil
}

// Sealed says that messages of a class carry a MAC, and that their answers must.
func (k *Bank) Sealed(c Class) bool { return k.mac != nil && k.mac.of[c] }

// Seals says that some messages do.
func (k *Bank) Seals() bool { return k.mac != nil }

// room leaves the place of the MAC at the end of a message, zeros for now.
func (k *Bank) room(b *iso8583.Builder, mti iso8583.MTI, net uint16, above64 bool) {
	if k.mac == nil || !k.mac.of[ClassOf(mti, net)] {
		return
	}
	field := k.mac.field
	if field == 0 {
		if field = 64; above64 {
			field = 128
		}
	}
	if k.Edition != nil {
		field = 128 // from where it goes to its place
	}
	b.Put(field, noMAC[:])
}

// macAt is the field of a message's MAC, 0 when it has none.
func (m *bankMAC) macAt(v *iso8583.View) int {
	switch {
	case m.field != 0 && v.Has(m.field):
		return m.field
	case m.field == 0 && v.Has(128):
		return 128
	case m.field == 0 && v.Has(64):
		return 64
	}
	return 0
}

// MACInput appends what the MAC of a message is made over, and gives the MAC that
// stands in it; false when there is none. v is a message of this bank, whichever
// side it is from.
func (k *Bank) MACInput(dst []byte, v *iso8583.View, c Class) (input []byte, mac [8]byte, ok bool) {
	m := k.mac
	at := m.macAt(v)
	if at == 0 {
		return dst, mac, false
	}
	v.AppendText(mac[:0], at)
	if m.whole {
		return append(dst, v.Before(at)...), mac, true
	}
	list := m.text[0]
	if c == NetworkMessages || c == KeyChanges {
		list = m.text[1]
	}
	from := len(dst)
	dst = appendUint(dst, mtiDigits(uint16(v.MTI())), 4)
	for _, f := range list {
		if !v.Has(f.n) {
			continue
		}
		dst = append(dst, ' ')
		if f.prefix > 0 {
			dst = appendUint(dst, uint64(v.Len(f.n)), f.prefix)
		}
		value := len(dst)
		if dst = v.AppendText(dst, f.n); f.n == 90 {
			dst = dst[:min(len(dst), value+ofF90)]
		}
	}
	return dst[:from+m.tidy(dst[from:])], mac, true
}

// tidy brings the text into its form, in place, and gives its length. Source: the
// card centre's rule for MAC text; that other characters go and spaces become
// single is not confirmed.
func (m *bankMAC) tidy(text []byte) (n int) {
	for _, c := range text {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		known := c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ',' || c == '.' || c == ' ' && n > 0 && text[n-1] != ' '
		if m.raw || known {
			text[n] = c
			n++
		}
	}
	for !m.raw && n > 0 && text[n-1] == ' ' {
		n--
	}
	return n
}

// PutBankMAC writes the MAC at the end of a message that was rendered with room
// for it. v is that message.
func (k *Bank) PutBankMAC(msg []byte, v *iso8583.View, mac *[8]byte) {
	if at := k.mac.macAt(v); at != 0 { // the rule may have changed since
		PutMAC(msg[len(msg)-k.mac.room[at]:], mac)
	}
}
