package engine

import (
	"fmt"
	"slices"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/txn"
)

// issuer is a bank.
type issuer struct {
	c     *chaos
	index int
	lines []*bankLine
	rows  map[string]*bankRow // by F37
	known map[string]*bankRow // by what F90 says of it: MTI, F11, F7
	deals map[uint64]*bankRow // by the deal's number
	held  []heldAnswer        // not sent yet
	macs  *chaosMAC           // nil: messages have no MAC
}

// heldAnswer goes by the line that its request came by; one about money may go
// by another.
type heldAnswer struct {
	line    *bankLine
	network bool
	frame   []byte
}

// bankRow is what a bank knows under one reference number.
type bankRow struct {
	kind             txn.Kind
	rrn, name        string // name: as F90 has it
	amount           uint64
	of               *bankRow // that F90 names
	parts            []*bankRow
	booked, reversed bool
}

// counts says that the row holds.
func (r *bankRow) counts() bool { return r.booked && !r.reversed }

func newIssuer(c *chaos, i int) *issuer {
	return &issuer{c: c, index: i, rows: map[string]*bankRow{}, known: map[string]*bankRow{}, deals: map[uint64]*bankRow{}}
}

// read takes what the switch has sent.
func (k *issuer) read() {
	if k.macs != nil {
		k.macs.before = false
	}
	for _, l := range k.lines {
		for _, frame := range k.c.take(l.ids[0], conn.ASCII4) {
			if l.mood == deaf {
				continue
			}
			q := k.c.parse(iso8583.Cups(), frame)
			if k.macs != nil {
				k.macs.hears(k.c, q)
			}
			k.got(l, q)
		}
	}
}

func (k *issuer) got(l *bankLine, q *iso8583.View) {
	amount, _ := q.Uint(4)
	number, _ := q.Uint(14)
	// What a bank does depends on the message alone, so that the order in which
	// it reads does not change the rest of a history.
	dice := int(((amount+number)*2654435761 + uint64(q.MTI()) + uint64(len(k.held))) >> 7 % 100)
	if k.c.calm {
		dice = 50
	}
	k.c.note("bank %d hears %v %d of %d by socket %d", k.index, q.MTI(), number, amount, l.sockets[0])
	proc, _ := q.Uint(3)
	switch m := q.MTI(); {
	case m == 0x0820:
		answer := k.reply(q, func(b *iso8583.Builder) { b.Put(39, []byte("00")); b.Copy(70, q, 70) })
		k.held = append(k.held, heldAnswer{l, true, answer})
	case m == 0x0830, m == 0x0810: // to what it said of its own accord
	case m == 0x0200, m == 0x0100, m == 0x0220 && proc == 200000 && q.Has(90):
		k.asked(l, q, number, amount, dice)
	case m == 0x0220, m == 0x0221, m == 0x0620, m == 0x0621:
		k.told(l, q, number, amount, dice)
	case m == 0x0420, m == 0x0421:
		k.reversal(l, q, amount, dice)
	default:
		k.c.t.Errorf("bank %d: %v", k.index, m)
	}
}

// enter makes the row of a request or notice that was not seen before; nil when
// its reversal has overtaken it, on another line: a bank remembers that.
func (k *issuer) enter(q *iso8583.View, number, amount uint64) *bankRow {
	t, rrn := k.c.t, string(q.Field(37))
	if k.deals[number] != nil {
		t.Errorf("deal %d was forwarded twice as new", number)
	}
	if early := k.rows[rrn]; early != nil {
		if !early.reversed || early.booked || early.amount != amount {
			t.Errorf("reference number %s was used before", rrn)
		}
		k.deals[number] = early
		return nil
	}
	d := k.c.deals[number-1]
	if proc, _ := q.Uint(3); proc != d.form.proc || amount != d.amount || bankOf(d.pan) != k.index {
		t.Errorf("bank %d got %v as F3 %06d of %d", k.index, d, proc, amount)
	}
	r := &bankRow{kind: d.form.kind, rrn: rrn, amount: amount, name: fmt.Sprintf("%04x%s%s", uint16(q.MTI()&^1), q.Field(11), q.Field(7))}
	k.rows[rrn], k.deals[number], k.known[r.name] = r, r, r
	if d.of == nil {
		return r
	}
	if r.of = k.known[string(q.Field(90)[:20])]; r.of != k.deals[d.of.number] {
		t.Errorf("%v names %q at the bank, which is not %v", d, q.Field(90), d.of)
	} else if r.of != nil {
		r.of.parts = append(r.of.parts, r)
	}
	return r
}

// asked decides a request: by the dice, and by what it holds itself.
func (k *issuer) asked(l *bankLine, q *iso8583.View, number, amount uint64, dice int) {
	rrn := string(q.Field(37))
	row := k.enter(q, number, amount)
	if row == nil {
		k.hold(l, k.reply(q, k.moneyAnswer("94", rrn)))
		return
	}
	code := "51"
	switch {
	case dice >= 75:
	case row.of != nil && !row.of.allows(row), row.of == nil && k.c.deals[number-1].of != nil:
		code = "12"
	default:
		code, row.booked = "00", true
	}
	answer := k.reply(q, k.moneyAnswer(code, rrn))
	switch {
	case dice < 10: // silent
	case dice < 20:
		k.hold(l, k.replyOf(q, amount+1, k.moneyAnswer("00", rrn)), answer) // of another amount, then right
	case dice < 30:
		k.hold(l, answer, answer)
	case dice >= 90:
		other := k.c.banks[1-k.index]
		other.hold(other.lines[0], answer) // on the wrong line, and not on the right one
	case dice >= 85:
		k.hold(l, k.reply(q, k.moneyAnswer("00", "000000000001")), answer)
	default:
		k.hold(l, answer)
	}
}

// told notes what it is told, once, and says so once or more.
func (k *issuer) told(l *bankLine, q *iso8583.View, number, amount uint64, dice int) {
	if dice < 10 { // not heard
		return
	}
	rrn, code := string(q.Field(37)), "00"
	if row := k.rows[rrn]; row != nil && row.booked {
		code = "94" // by two lines the repeat may come first
	} else if row = k.enter(q, number, amount); row == nil {
		k.c.t.Errorf("deal %d is told after it was taken back", number)
	} else {
		row.booked = true
	}
	switch {
	case dice < 20: // heard, not answered
	case dice < 30:
		k.hold(l, k.reply(q, k.moneyAnswer("96", rrn)))
	default:
		answer := k.reply(q, k.moneyAnswer(code, rrn))
		k.hold(l, answer, answer)
	}
}

func (k *issuer) moneyAnswer(code, rrn string) func(*iso8583.Builder) {
	return func(b *iso8583.Builder) {
		b.PutUint(15, 1122)
		b.Put(37, []byte(rrn))
		if code == "00" {
			b.Put(38, []byte("A00001"))
		}
		b.Put(39, []byte(code))
	}
}

func (k *issuer) reversal(l *bankLine, q *iso8583.View, amount uint64, dice int) {
	rrn, name := string(q.Field(37)), string(q.Field(90)[:20])
	row, code := k.rows[rrn], "00"
	if row == nil && dice < 10 {
		return // not heard, and its original, that it overtook on another line, is still to come
	}
	if row == nil {
		row, code = &bankRow{rrn: rrn, amount: amount, name: name}, "25"
		k.rows[rrn] = row
	}
	if row.amount != amount || row.name != name {
		k.c.t.Errorf("reference number %s is reversed with %d and F90 %s, it was %d and %s", rrn, amount, name, row.amount, row.name)
	}
	if dice < 10 { // not heard
		return
	}
	row.reversed = true
	switch {
	case dice < 20: // heard, not answered
	case dice < 30:
		k.hold(l, k.reply(q, k.moneyAnswer("96", rrn)))
	default:
		answer := k.reply(q, k.moneyAnswer(code, rrn))
		k.hold(l, answer, answer)
	}
}

func (k *issuer) reply(q *iso8583.View, fill func(*iso8583.Builder)) []byte {
	amount, _ := q.Uint(4)
	return k.replyOf(q, amount, fill)
}

func (k *issuer) replyOf(q *iso8583.View, amount uint64, fill func(*iso8583.Builder)) []byte {
	head := iso8583.AppendCupsHeader(nil, "48023310", "00010000")
	b := iso8583.Cups().Begin(head, q.MTI().Reply())
	if amount != 0 {
		b.PutUint(4, amount)
	}
	b.Copy(7, q, 7)
	b.Copy(11, q, 11)
	fill(&b)
	k.room(&b)
	out, err := b.End()
	if err != nil {
		k.c.t.Fatal(err)
	}
	iso8583.PatchCupsLength(out, len(out))
	k.seal(out)
	return out
}

// hold keeps answers about money until they are sent; on a mute line none is.
func (k *issuer) hold(l *bankLine, frames ...[]byte) {
	if l.mood == mute {
		return
	}
	for _, f := range frames {
		k.held = append(k.held, heldAnswer{line: l, frame: f})
	}
}

// speak sends one of the answers that are held, in no order; false when it cannot
// be sent now. One about money may go by another line; one to a network message
// is of no use to a connection that has gone.
func (k *issuer) speak() bool {
	if len(k.held) == 0 {
		return false
	}
	i := k.c.rng.IntN(len(k.held))
	a := k.held[i]
	lost := k.c.gone(a.line.ids[1])
	switch {
	case lost && (a.network || a.line.short):
		k.held = slices.Delete(k.held, i, i+1)
		return true
	case lost, !a.network && k.c.rng.IntN(8) == 0:
		a.line = k.lines[k.c.rng.IntN(len(k.lines))]
	}
	if k.c.gone(a.line.ids[1]) {
		return false
	}
	k.held = slices.Delete(k.held, i, i+1)
	k.c.note("bank %d answers by socket %d", k.index, a.line.sockets[1])
	if a.line.mood != dumb {
		k.c.give(a.line.ids[1], a.frame)
	}
	return true
}
