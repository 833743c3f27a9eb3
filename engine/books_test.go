package engine

import (
	"slices"
	"strings"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/txn"
)

// The two sides whose books a chaos compares. A terminal does one thing at a
// time, as terminals do: what is not answered it repeats or reverses, and a
// reversal it repeats until it is taken. A bank books what it approves or is told
// of, once, and takes back what it is told to. Both know nothing of the switch's
// inside.

// till is a terminal.
type till struct {
	c        *chaos
	number   string
	conns    []conn.ID
	pik, mak *clear.Cipher
	batch    string
	trace    uint64
	current  *deal
	undone   *deal // the newest that is reversed
	asking   bool  // must sign in
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

func (t *till) putPIN(b *iso8583.Builder, digits string) {
	pan, _ := txn.ParsePAN([]byte(digits))
	pan12 := pan.Tail12()
	block, err := t.pik.EncryptPIN([]byte("123456"), &pan12, pinISO0)
	if err != nil {
		t.c.t.Fatal(err)
	}
	b.Put(52, block[:])
	b.Put(53, []byte("2600000000000000"))
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

// deal begins something new.
func (t *till) deal() {
	c := t.c
	d := t.draw()
	if d == nil {
		return
	}
	t.trace++
	d.trace, d.batch = t.trace, t.batch
	d.frame = t.frame(d.form.mti, t.fields(d, !d.form.told() && c.rng.IntN(2) == 0, ""))
	t.current = d
	c.deals = append(c.deals, d)
	if d.of != nil {
		c.note("%s: %v, naming %v", t.number, d, d.of)
	} else {
		c.note("%s: %v", t.number, d)
	}
	c.give(t.line(), d.frame)
}

func (t *till) repeat() {
	t.c.note("%s repeats %v", t.number, t.current)
	t.current.repeated = true
	t.c.give(t.line(), t.current.frame)
}

// haunt is a copy of something reversed that comes late, after everything.
func (t *till) haunt() {
	t.c.note("%s: %v comes once more", t.number, t.undone)
	t.undone.late = true
	t.c.give(t.line(), t.undone.frame)
}

// regret reverses what was approved before, whatever was done to it since.
func (t *till) regret() {
	var own []*deal
	for _, d := range t.c.deals {
		if d.till == t && d.state == dealApproved && d.form.reversible() {
			own = append(own, d)
		}
	}
	if len(own) > 0 {
		t.current = own[t.c.rng.IntN(len(own))]
		t.current.regretted = true
		t.reverse()
	}
}

// reverse names the original by its batch and trace, see fields. What moves no
// money is repeated instead.
func (t *till) reverse() {
	d := t.current
	if !d.form.reversible() {
		t.repeat()
		return
	}
	d.state = dealReversing
	t.c.note("%s reverses %v", t.number, d)
	t.c.give(t.line(), t.frame(0x0400, t.fields(d, false, "98")))
}

// act is one thing that a terminal may do on its own.
func (t *till) act() {
	dice := t.c.rng.IntN(100)
	s := t.current
	switch {
	case t.asking || t.mak == nil:
		if dice < 30 || t.c.calm { // or its own sign-ins would fill all slots
			t.signIn()
		}
	case dice < 2 && !t.c.calm:
		t.signIn()
	case s == nil && t.c.calm:
	case s == nil && t.undone != nil && dice < 15:
		t.haunt()
	case s == nil && dice < 22:
		t.regret()
	case s == nil:
		t.deal()
	case s.state == dealReversing:
		t.reverse()
	case t.c.calm && dice < 50, dice < 15:
		t.repeat()
	case dice < 25, t.c.calm:
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
	if u := t.undone; u != nil && trace == u.trace && v.MTI() != 0x0410 && code == "00" && u.late && !t.c.remote {
		t.c.t.Errorf("%s: %v was reversed and is approved again", t.number, u)
	}
	if s == nil || trace != s.trace {
		return
	}
	t.asking = t.asking || code == "77" || code == "A0"
	switch {
	case v.MTI() == 0x0410 && s.state == dealReversing:
		t.heardReversal(s, code)
	case v.MTI() != s.form.mti|0x10 || s.state != dealSent:
	case s.repeated && (code == "96" || code == "A0" || code == "09"):
		// It answers one of several copies: another may have come to a free slot.
	default:
		t.heard(s, v, code)
	}
}

func (t *till) heard(s *deal, v *iso8583.View, code string) {
	s.code, s.state, t.current = code, dealDeclined, nil
	if code != "00" {
		return
	}
	s.state, s.rrn = dealApproved, string(v.Field(37))
	t.c.approved[s.form.kind]++
	s.spends(true)
	if s.form.reversible() && t.c.rng.IntN(8) == 0 { // its printer fails
		t.current = s
		t.reverse()
	}
}

func (t *till) heardReversal(s *deal, code string) {
	switch code {
	case "00", "25", "12":
		s.code, s.state, t.current, t.undone = code, dealReversed, nil, s
		t.c.reversed[s.form.kind]++
		s.spends(false)
	case "22": // something was done to it since
		if !s.regretted && s.rrn == "" && s.form.kind != txn.Tip { // nobody had its number
			t.c.t.Errorf("%s: %v is not to be reversed, and nobody else knows of it", t.number, s)
		}
		s.state, t.current = dealApproved, nil
		t.c.kept++
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

// bankOf is what the routes of the harness say.
func bankOf(pan string) int {
	if strings.HasPrefix(pan, "62") {
		return 0
	}
	return 1
}
