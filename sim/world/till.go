package world

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm"
	"tongka/hsm/clear"
)

const (
	acquirer = "48023310"
	merchant = "898310048160001"
	// patience is how long a terminal waits for an answer: longer than the switch
	// waits for a bank.
	patience = int64(20 * time.Second)
)

var (
	tmkClear = mustHex("0123456789ABCDEFFEDCBA9876543210")
	zpkClear = mustHex("1111222233334444AAAABBBBCCCCDDDD")
	cards    = []string{"6225880000000003", "6225881111111116", "4000000000000002", "5200000000000007"}
)

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// belief is how a terminal sees what it did.
type belief uint8

const (
	sent belief = iota
	approved
	declined
	reversing
	reversed
	givenUp    // an enquiry without an answer, or a load whose card decides
	confirming // a load that the card has written
)

var beliefNames = [...]string{"sent", "approved", "declined", "reversing", "reversed", "given up", "confirming"}

// job is one operation of a terminal.
type job struct {
	*stimulus
	amount, trace uint64
	batch, card   string
	orig          *job
	state         belief
	code          string
	tries         uint64
	frame         []byte // the request as it was sent last
	undone        bool   // its reversal was taken
	strayed       bool   // its request went another way, and arrives beside its reversal
	unproved      bool   // it was refused because nobody could prove it
	purse         *purse // of a load
	about         []byte // F58 of it
}

// till is a terminal. It does one thing at a time, as terminals do: what is not
// answered it reverses, and a reversal it repeats until it is taken.
type till struct {
	w        *world
	index    int
	number   string
	line     *wire
	mak      *clear.Cipher
	asks     int // sign-ins that were sent
	keys     int // and keys that came: when as many, they are those of the switch
	batch    string
	trace    uint64
	job      *job
	queue    []*stimulus
	done     map[uint64]*job
	all      []*job
	signing  bool
	deadline uint64 // counts, so that an old one is known
	ear      iso8583.View
}

func (w *world) provision() error {
	tmk, err := w.module.Wrap(hsm.TMK, tmkClear)
	if err != nil {
		return err
	}
	csv := "merchant,terminal,tmk,mac\n"
	for i := range tills {
		t := &till{w: w, index: i, number: fmt.Sprintf("T%07d", i+1), batch: "000000", done: map[uint64]*job{}}
		csv += merchant + "," + t.number + "," + tmk.String() + ",unionpay\n"
		w.tills = append(w.tills, t)
	}
	_, _, err = w.reg.Import(strings.NewReader(csv), "world.csv")
	return err
}

// asked puts an operation behind those that wait.
func (t *till) asked(s *stimulus) {
	t.queue = append(t.queue, s)
	if t.job == nil {
		t.next()
	}
}

// next begins the next operation that makes sense.
func (t *till) next() {
	t.job = nil
	for len(t.queue) > 0 {
		s := t.queue[0]
		t.queue = t.queue[1:]
		j := &job{stimulus: s, amount: s.id*10 + 1000, card: cards[fate(t.w.o.Seed, aboutCard, s.id)%uint64(len(cards))]}
		if s.of != 0 {
			if j.orig = t.done[s.of]; j.orig == nil || j.orig.state != approved {
				continue
			}
			j.card, j.amount = j.orig.card, j.orig.amount
			if s.kind == refund {
				j.amount = 1 + s.id%j.orig.amount
			}
		}
		if s.kind == load {
			if j.purse, j.amount = t.takes(s); j.purse == nil {
				continue
			}
			j.card = j.purse.account
			t.w.result.Loads++
		}
		t.job = j
		t.all = append(t.all, j)
		t.done[s.id] = j
		break
	}
	if t.job == nil {
		return
	}
	if t.mak == nil {
		t.signIn()
		return
	}
	t.request()
}

// reach opens a line when there is none; false when nobody answers.
func (t *till) reach() bool {
	if t.line == nil || !t.line.open {
		t.line = t.w.connect(t, -1, conn.Binary2)
	}
	return t.line != nil
}

// wait looks again after a while, unless something happened.
func (t *till) wait(d int64) {
	t.deadline++
	mine := t.deadline
	t.w.after(d, func() {
		if mine == t.deadline {
			t.unanswered()
		}
	})
}

// unanswered is what a terminal does when nothing came.
func (t *till) unanswered() {
	j := t.job
	if t.line != nil && t.line.open && t.deadline%2 == 0 { // it dials anew: the old line may still carry what it took
		t.line.hangUp()
		t.line = nil
	}
	switch {
	case j == nil:
	case t.signing:
		t.signIn()
	case j.kind == load:
		t.silent(j)
	case j.state == sent && j.kind == balance:
		j.state = givenUp
		t.next()
	case j.state == sent && j.tries == 1 && fate(t.w.o.Seed, aboutRepeat, j.id)%3 == 0:
		t.request() // the same again: it has the same trace
	case j.state == sent:
		j.state = reversing
		t.request()
		if j.strayed {
			t.arrivesLate(j)
		}
	case j.state == reversing:
		t.request()
	}
}

func (t *till) signIn() {
	t.signing = true
	t.wait(patience)
	if !t.reach() {
		t.wait(int64(time.Second))
		return
	}
	t.w.note("signs in", uint64(t.index))
	t.asks++
	t.line.say(t.frame(0x0800, func(b *iso8583.Builder) {
		b.PutUint(11, 1)
		b.Put(41, []byte(t.number))
		b.Put(42, []byte(merchant))
		b.Put(60, []byte("00000001003"))
	}))
}

// request sends the operation of now, or its reversal.
func (t *till) request() {
	j := t.job
	t.wait(patience)
	if j.trace == 0 {
		t.trace++
		j.trace, j.batch = t.trace, t.batch
	}
	mti := [...]iso8583.MTI{sale: 0x0200, balance: 0x0200, void: 0x0200, refund: 0x0220, load: 0x0200}[j.kind]
	switch j.state {
	case reversing:
		mti = 0x0400
	case confirming:
		mti = 0x0220
	}
	frame := t.frame(mti, func(b *iso8583.Builder) { t.fill(b, j) })
	if j.state == sent {
		j.frame = frame
	}
	if j.state == sent && j.tries == 0 && j.kind == sale && fate(t.w.o.Seed, aboutGrey, j.id, 9)%64 == 0 {
		j.tries, j.strayed = 2, true // it is not repeated
		t.wait(int64(time.Second))
		return
	}
	if !t.reach() { // it goes nowhere, and may turn up again later
		t.wait(int64(time.Second))
		return
	}
	j.tries++
	t.w.note("till sends", uint64(t.index), uint64(mti), j.id)
	t.line.say(frame)
}

// fill puts the fields. Source: UnionPay direct POS specification.
func (t *till) fill(b *iso8583.Builder, j *job) {
	if j.kind == load {
		t.fillLoad(b, j)
		return
	}
	b.Put(2, []byte(j.card))
	b.PutUint(3, [...]uint64{sale: 0, balance: 310000, void: 200000, refund: 200000}[j.kind])
	if j.kind != balance {
		b.PutUint(4, j.amount)
	}
	b.PutUint(11, j.trace)
	b.PutUint(22, 21)
	b.PutUint(25, 0)
	if j.state == reversing {
		b.Put(39, []byte("98"))
	}
	b.Put(41, []byte(t.number))
	b.Put(42, []byte(merchant))
	b.Put(49, []byte("156"))
	b.Put(60, []byte([...]string{sale: "22", balance: "01", void: "23", refund: "25"}[j.kind]+t.batch))
	switch {
	case j.state == reversing && j.batch != t.batch:
		b.Put(61, fmt.Appendf(nil, "%s%06d", j.batch, j.trace))
	case j.state != reversing && j.orig != nil:
		b.Put(61, fmt.Appendf(nil, "%s%06d1121", j.orig.batch, j.orig.trace))
	}
}

var envelope = mustHex("6000030000602200000000")

func (t *till) frame(mti iso8583.MTI, fill func(*iso8583.Builder)) []byte {
	b := iso8583.Pos().Begin(append([]byte(nil), envelope...), mti)
	fill(&b)
	sealed := mti != 0x0800
	if sealed {
		b.Put(64, make([]byte, 8))
	}
	frame, err := b.End()
	if err != nil {
		panic(err) // the fields above are constant in form
	}
	if sealed {
		mac := t.mak.MAC(hsm.UnionPay, frame[len(envelope):len(frame)-8])
		copy(frame[len(frame)-8:], mac[:])
	}
	return frame
}

func (t *till) lost(l *wire) {
	if t.line != l {
		return
	}
	t.line = nil
	if t.job != nil {
		t.wait(int64(50*time.Millisecond) + int64(fate(t.w.o.Seed, aboutJitter, l.number)%uint64(time.Second)))
	}
}

// hear takes an answer.
func (t *till) hear(_ *wire, frame []byte) {
	v := &t.ear
	var env iso8583.Envelope
	msg, err := iso8583.Pos().Split(frame, &env)
	if err == nil {
		err = iso8583.Pos().Parse(v, msg)
	}
	if err != nil {
		t.w.violate("readable", "till %d: %x: %v", t.index, frame, err)
		return
	}
	code := string(v.Field(39))
	trace, _ := v.Uint(11)
	t.w.note("till hears "+code, uint64(t.index), uint64(v.MTI()), trace)
	if v.MTI() == 0x0810 {
		t.signedIn(v, code)
		return
	}
	for _, old := range t.all {
		if old.undone && old.trace == trace && old.batch == t.batch && v.MTI() != 0x0410 && code == "00" {
			t.w.violate("reversed-stays-reversed", "till %d: %s %d was reversed and is approved again", t.index, kindNames[old.kind], old.id)
		}
	}
	j := t.job
	if t.mak == nil || j == nil || t.signing || trace != j.trace {
		return
	}
	if code == "77" || code == "A0" { // whatever its MAC: the keys here are not those of the switch any more
		t.refused(j)
		t.mak = nil
		t.signIn()
		return
	}
	if !t.genuine(v, code) {
		return
	}
	if j.kind == load {
		t.hearLoad(j, v, code)
		return
	}
	switch {
	case v.MTI() == 0x0410 && j.state == reversing:
		if code == "00" || code == "25" || code == "12" {
			j.state, j.code, j.undone = reversed, code, true
			t.next()
		}
	case v.MTI() != 0x0410 && j.state == sent:
		if code == "09" { // somebody works on it: later
			t.wait(int64(time.Second))
			return
		}
		if j.unproved = code == "96"; j.unproved && j.tries > 1 { // another copy may still get through
			j.state = reversing
			t.request()
			return
		}
		j.state, j.code = declined, code
		if code == "00" {
			j.state = approved
			if fate(t.w.o.Seed, aboutLoss, j.id)%8 == 0 && j.kind != balance { // its printer fails
				j.state = reversing
				t.request()
				return
			}
		}
		t.next()
	}
}

// refused is for a request that the switch would not look at. Once it has the new batch
// the till sends it as a new one, for it was not done; and takes it back when an earlier
// copy, of which nothing was heard, may have been.
func (t *till) refused(j *job) {
	switch {
	case j.state != sent:
	case j.tries == 1 || j.kind == balance:
		j.trace, j.tries = 0, 0
	case j.kind != load: // its card's next contact finds out
		j.state = reversing
	}
}

// genuine says whether an answer's MAC is right; an approval must have one.
func (t *till) genuine(v *iso8583.View, code string) bool {
	if !v.Has(64) {
		if code == "00" {
			t.w.violate("sealed", "till %d: an approval without a MAC", t.index)
		}
		return true
	}
	want := t.mak.MAC(hsm.UnionPay, v.Before(64))
	same := string(want[:]) == string(v.Field(64))
	if !same && t.asks == t.keys {
		t.w.violate("sealed", "till %d: the MAC of an answer %s is wrong", t.index, code)
	}
	return same
}

func (t *till) signedIn(v *iso8583.View, code string) {
	if code == "00" {
		t.keys++
	}
	if code != "00" || !t.signing {
		return
	}
	key, err := clear.DecryptKey(tmkClear, v.Field(62)[20:36])
	if err == nil {
		t.mak, err = clear.NewCipher(key)
	}
	if err != nil {
		t.w.violate("keys", "till %d: %v", t.index, err)
		return
	}
	t.signing = false
	t.batch = string(v.AppendText(nil, 60)[2:8])
	t.deadline++
	switch {
	case t.job == nil:
	default:
		t.request()
	}
}

// key is how the bank knows the job: as issuer's key.
func (j *job) key(t *till) string {
	proc := [...]string{sale: "000000", balance: "310000", void: "200000", refund: "200000", load: loadProc}[j.kind]
	return fmt.Sprintf("%s%s%012d%s", t.number, proc, j.amount, j.card)
}
