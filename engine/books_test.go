package engine

import (
	"fmt"
	"slices"
	"strings"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/txn"
)

// The two sides whose books a chaos compares. A terminal does one sale at a
// time, as terminals do: what is not answered it repeats or reverses, and a
// reversal it repeats until it is taken. A bank books what it approves, once,
// and takes back what it is told to. Both know nothing of the switch's inside.

// saleState is how a terminal sees its sale.
type saleState uint8

const (
	saleSent saleState = iota
	saleApproved
	saleDeclined
	saleReversing
	saleReversed
)

var saleNames = [...]string{"sent", "approved", "declined", "reversing", "reversed"}

func (s saleState) String() string { return saleNames[s] }

// madeSale is one sale of a terminal. Its amount is its name: no two are equal.
type madeSale struct {
	amount, trace uint64
	batch, pan    string
	frame         []byte
	code          string // F39 of the answer that the terminal took
	repeated      bool
	late          bool // a copy came after its reversal
	state         saleState
}

// till is a terminal.
type till struct {
	c        *chaos
	number   string
	conns    []conn.ID
	pik, mak *clear.Cipher
	batch    string
	trace    uint64
	current  *madeSale
	undone   *madeSale // the newest that is reversed
	made     []*madeSale
	asking   bool // must sign in
}

var cards = []string{"6225880000000003", "6225881111111116", "4000000000000002", "5200000000000007"}

// line gives a connection to speak on: one that there is, or a new one beside
// it, so that answers must find their way.
func (t *till) line() conn.ID {
	t.conns = slices.DeleteFunc(t.conns, func(id conn.ID) bool { return t.c.gone(id) })
	if len(t.conns) == 0 || !t.c.calm && t.c.rng.IntN(8) == 0 {
		t.conns = append(t.conns, t.c.dial(-1))
	}
	return t.conns[t.c.rng.IntN(len(t.conns))]
}

func (t *till) frame(mti iso8583.MTI, fill func(*iso8583.Builder)) []byte {
	frame := mustHex("6000030000602200000000")
	at := len(frame)
	b := iso8583.Pos().Begin(frame, mti)
	fill(&b)
	if mti != 0x0800 {
		b.Put(64, make([]byte, 8))
	}
	frame, err := b.End()
	if err != nil {
		t.c.t.Fatal(err)
	}
	if mti != 0x0800 {
		mac := t.mak.MAC(hsm.UnionPay, frame[at:len(frame)-8])
		copy(frame[len(frame)-8:], mac[:])
	}
	return frame
}

func (t *till) signIn() {
	t.c.note("%s signs in", t.number)
	t.c.give(t.line(), t.frame(0x0800, func(b *iso8583.Builder) {
		b.PutUint(11, 1)
		b.Put(41, []byte(t.number))
		b.Put(42, []byte(terminalMerchant))
		b.Put(60, []byte("00000001003"))
	}))
}

func (t *till) sell() {
	c := t.c
	c.amount++
	t.trace++
	s := &madeSale{amount: c.amount, trace: t.trace, batch: t.batch, pan: cards[c.rng.IntN(len(cards))]}
	s.frame = t.frame(0x0200, t.money(s, c.rng.IntN(2) == 0, ""))
	t.current = s
	t.made = append(t.made, s)
	c.note("%s sells %d", t.number, s.amount)
	c.give(t.line(), s.frame)
}

func (t *till) repeat() {
	t.c.note("%s repeats %d", t.number, t.current.amount)
	t.current.repeated = true
	t.c.give(t.line(), t.current.frame)
}

// haunt is a copy of a reversed sale that comes late, after everything.
func (t *till) haunt() {
	t.c.note("%s: %d comes once more", t.number, t.undone.amount)
	t.undone.late = true
	t.c.give(t.line(), t.undone.frame)
}

// reverse names the original by its batch and trace: in F60 and F11, and in F61
// when the terminal has signed in again since, for that begins a new batch.
func (t *till) reverse() {
	s := t.current
	s.state = saleReversing
	t.c.note("%s reverses %d", t.number, s.amount)
	t.c.give(t.line(), t.frame(0x0400, t.money(s, false, "98")))
}

func (t *till) money(s *madeSale, pin bool, reason string) func(*iso8583.Builder) {
	return func(b *iso8583.Builder) {
		b.Put(2, []byte(s.pan))
		b.PutUint(3, 0)
		b.PutUint(4, s.amount)
		b.PutUint(11, s.trace)
		b.PutUint(22, 21)
		b.PutUint(25, 0)
		if reason != "" {
			b.Put(39, []byte(reason))
		}
		b.Put(41, []byte(t.number))
		b.Put(42, []byte(terminalMerchant))
		b.Put(49, []byte("156"))
		if pin {
			pan, _ := txn.ParsePAN([]byte(s.pan))
			pan12 := pan.Tail12()
			block, err := t.pik.EncryptPIN([]byte("123456"), &pan12, pinISO0)
			if err != nil {
				t.c.t.Fatal(err)
			}
			b.Put(52, block[:])
			b.Put(53, []byte("2600000000000000"))
		}
		b.Put(60, []byte("22"+t.batch))
		if reason != "" && s.batch != t.batch {
			b.Put(61, fmt.Appendf(nil, "%s%06d", s.batch, s.trace))
		}
	}
}

// act is one thing that a terminal may do on its own.
func (t *till) act() {
	dice := t.c.rng.IntN(100)
	s := t.current
	switch {
	case t.asking || t.mak == nil || dice < 3 && !t.c.calm:
		t.signIn()
	case s == nil && t.c.calm:
	case s == nil && t.undone != nil && dice < 25:
		t.haunt()
	case s == nil:
		t.sell()
	case s.state == saleReversing:
		t.reverse()
	case t.c.calm && dice < 50, dice < 30:
		t.repeat()
	case dice < 60:
		t.reverse()
	}
}

// read takes what has come on all connections.
func (t *till) read() {
	for _, id := range t.conns {
		for _, frame := range t.c.take(id, conn.Binary2) {
			t.got(t.c.parse(iso8583.Pos(), frame))
		}
	}
}

func (t *till) got(v *iso8583.View) {
	code := string(v.Field(39))
	t.c.note("%s hears %v %s", t.number, v.MTI(), code)
	if v.MTI() == 0x0810 {
		t.signedIn(v, code)
		return
	}
	if v.Has(64) {
		if t.mak == nil {
			return
		}
		if want := t.mak.MAC(hsm.UnionPay, v.Before(64)); string(want[:]) != string(v.Field(64)) {
			t.asking = true // no answer: sealed under other keys, or without a module
			return
		}
	} else if code == "00" {
		t.c.t.Errorf("%s: an approval without a MAC", t.number)
		return
	}
	s := t.current
	trace, _ := v.Uint(11)
	if u := t.undone; u != nil && trace == u.trace && v.MTI() == 0x0210 && code == "00" && u.late && !t.c.remote {
		t.c.t.Errorf("%s: the sale of %d was reversed and is approved again", t.number, u.amount)
	}
	if s == nil || trace != s.trace {
		return
	}
	t.asking = t.asking || code == "77" || code == "A0"
	switch {
	case v.MTI() == 0x0210 && s.state == saleSent && s.repeated && (code == "96" || code == "A0"):
		// It answers one of several copies: another may have come to a free slot.
	case v.MTI() == 0x0210 && s.state == saleSent:
		s.code, s.state, t.current = code, saleDeclined, nil
		if code == "00" {
			s.state = saleApproved
			if t.c.rng.IntN(8) == 0 { // its printer fails
				t.current = s
				s.state = saleReversing
			}
		}
	case v.MTI() == 0x0410 && s.state == saleReversing && (code == "00" || code == "25" || code == "12"):
		s.code, s.state, t.current, t.undone = code, saleReversed, nil, s
	}
}

func (t *till) signedIn(v *iso8583.View, code string) {
	if code != "00" {
		return
	}
	t.asking = false
	t.batch = string(v.AppendText(nil, 60)[2:8])
	p := pos{w: t.c.world}
	t.pik, t.mak = p.unwrap(v.Field(62)[:20]), p.unwrap(v.Field(62)[20:])
}

// issuer is a bank.
type issuer struct {
	c     *chaos
	index int
	lines []*bankLine
	rows  map[string]*bankRow // by F37
	sold  map[uint64]*bankRow // by amount
	held  []heldAnswer        // not sent yet
}

// heldAnswer goes by the line that its request came by; one about money may go
// by another.
type heldAnswer struct {
	line    *bankLine
	network bool
	frame   []byte
}

type bankRow struct {
	amount           uint64
	booked, reversed bool
}

// read takes what the switch has sent.
func (k *issuer) read() {
	for _, l := range k.lines {
		for _, frame := range k.c.take(l.ids[0], conn.ASCII4) {
			if l.mood != deaf {
				k.got(l, k.c.parse(iso8583.Cups(), frame))
			}
		}
	}
}

func (k *issuer) got(l *bankLine, q *iso8583.View) {
	amount, _ := q.Uint(4)
	// What a bank does depends on the message alone, so that the order in which
	// it reads does not change the rest of a history.
	dice := int((amount*2654435761 + uint64(q.MTI()) + uint64(len(k.held))) >> 7 % 100)
	if k.c.calm {
		dice = 50
	}
	k.c.note("bank %d hears %v %d by socket %d", k.index, q.MTI(), amount, l.sockets[0])
	switch q.MTI() {
	case 0x0820:
		answer := k.reply(q, func(b *iso8583.Builder) { b.Put(39, []byte("00")); b.Copy(70, q, 70) })
		k.held = append(k.held, heldAnswer{l, true, answer})
	case 0x0830: // to what it said of its own accord
	case 0x0200:
		k.sale(l, q, amount, dice)
	case 0x0420, 0x0421:
		k.reversal(l, q, amount, dice)
	default:
		k.c.t.Errorf("bank %d: %v", k.index, q.MTI())
	}
}

func (k *issuer) sale(l *bankLine, q *iso8583.View, amount uint64, dice int) {
	rrn := string(q.Field(37))
	if k.sold[amount] != nil {
		k.c.t.Errorf("the sale of %d was forwarded twice as new", amount)
	}
	if early := k.rows[rrn]; early != nil && early.reversed && !early.booked && early.amount == amount {
		// Its reversal has overtaken it, on another line. A bank remembers that.
		k.sold[amount] = early
		k.hold(l, k.reply(q, k.moneyAnswer(q, "94", amount, rrn)))
		return
	} else if early != nil {
		k.c.t.Errorf("reference number %s was used before", rrn)
	}
	row := &bankRow{amount: amount, booked: dice < 75}
	k.rows[rrn], k.sold[amount] = row, row
	code := "51"
	if row.booked {
		code = "00"
	}
	answer := k.reply(q, k.moneyAnswer(q, code, amount, rrn))
	switch {
	case dice < 10: // silent
	case dice < 20:
		k.hold(l, k.reply(q, k.moneyAnswer(q, "00", amount+1, rrn)), answer) // of another amount, then right
	case dice < 30:
		k.hold(l, answer, answer)
	case dice >= 90:
		other := k.c.banks[1-k.index]
		other.hold(other.lines[0], answer) // on the wrong line, and not on the right one
	case dice >= 85:
		k.hold(l, k.reply(q, k.moneyAnswer(q, "00", amount, "000000000001")), answer)
	default:
		k.hold(l, answer)
	}
}

func (k *issuer) moneyAnswer(q *iso8583.View, code string, amount uint64, rrn string) func(*iso8583.Builder) {
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
	rrn := string(q.Field(37))
	row, code := k.rows[rrn], "00"
	if row == nil {
		row, code = &bankRow{amount: amount}, "25"
		k.rows[rrn] = row
	}
	if row.amount != amount {
		k.c.t.Errorf("reference number %s is reversed with %d, it was %d", rrn, amount, row.amount)
	}
	if dice < 10 { // not heard
		return
	}
	row.reversed = true
	switch {
	case dice < 20: // heard, not answered
	case dice < 30:
		k.hold(l, k.reply(q, k.moneyAnswer(q, "96", amount, rrn)))
	default:
		answer := k.reply(q, k.moneyAnswer(q, code, amount, rrn))
		k.hold(l, answer, answer)
	}
}

func (k *issuer) reply(q *iso8583.View, fill func(*iso8583.Builder)) []byte {
	head := iso8583.AppendCupsHeader(nil, "48023310", "00010000")
	b := iso8583.Cups().Begin(head, q.MTI().Reply())
	b.Copy(4, q, 4)
	b.Copy(7, q, 7)
	b.Copy(11, q, 11)
	fill(&b)
	out, err := b.End()
	if err != nil {
		k.c.t.Fatal(err)
	}
	iso8583.PatchCupsLength(out, len(out))
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
	case lost && a.network:
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

// compare holds what the terminals believe against what the banks hold.
func (c *chaos) compare() {
	for _, t := range c.tills {
		for _, s := range t.made {
			row := c.banks[bankOf(s.pan)].sold[s.amount]
			net := row != nil && row.booked && !row.reversed
			if want := s.state == saleApproved; net != want {
				c.t.Errorf("sale of %d by %s: the terminal says %v (F39 %s), the bank's books say booked %v", s.amount, t.number, s.state, s.code, net)
			}
		}
	}
}

// bankOf is what the routes of the harness say.
func bankOf(pan string) int {
	if strings.HasPrefix(pan, "62") {
		return 0
	}
	return 1
}
