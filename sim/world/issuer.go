package world

import (
	"time"

	"tongka/codec/iso8583"
	"tongka/conn"
)

// mood is how a bank behaves.
type mood uint8

const (
	well mood = iota
	mute      // books and does not answer
	deaf      // hears nothing
	slow      // answers after the deadline
	moods
)

var moodNames = [...]string{"well", "mute", "deaf", "slow"}

// issuer is a bank: it books what it approves, once, and takes back what it is
// told to.
type issuer struct {
	w     *world
	index int
	lines []trunk
	mood  mood
	rows  map[string]*row   // by F37
	sales map[string]*row   // by what was asked: no two are alike
	owing map[string]string // the notice of each card that is not answered yet
	heard uint64
	ear   iso8583.View
}

type row struct {
	key              string
	account          string // of a load
	amount           uint64
	booked, reversed bool
	answered         bool // its reversal was: a copy may still come
}

func newIssuer(w *world, i int) *issuer {
	return &issuer{w: w, index: i, lines: w.shape.trunks[i], rows: map[string]*row{}, sales: map[string]*row{}, owing: map[string]string{}}
}

// dial is the switch's dialling: it connects when the bank is reached.
func (k *issuer) dial() {
	for i := range k.lines {
		if k.lines[i].short == 0 {
			k.dialLine(&k.lines[i])
		}
	}
}

func (k *issuer) dialLine(t *trunk) {
	t.wire = k.w.connect(k, t.socket, conn.ASCII4)
	t.wire.trunk = t
}

func (k *issuer) lost(l *wire) {
	t := l.trunk
	if t.wire != l || t.short > 0 {
		return
	}
	k.w.after(int64(100*time.Millisecond)+int64(fate(k.w.o.Seed, aboutJitter, l.number, 1)%uint64(time.Second)), func() {
		if t.wire == l && k.w.proc != nil {
			k.dialLine(t)
		}
	})
}

// back is where the answers to what came on a wire go: nil when nowhere.
func (k *issuer) back(l *wire) *wire {
	if l.trunk.socket == l.trunk.back {
		return l
	}
	for i := range k.lines {
		if t := &k.lines[i]; t.socket == l.trunk.back {
			return t.wire
		}
	}
	return nil
}

func (k *issuer) hear(l *wire, frame []byte) {
	if k.mood == deaf {
		return
	}
	q := &k.ear
	var env iso8583.Envelope
	spec := iso8583.Cups()
	msg, err := spec.Split(frame, &env)
	if err == nil {
		err = spec.Parse(q, msg)
	}
	if err != nil {
		k.w.violate("readable", "bank %d: %x: %v", k.index, frame, err)
		return
	}
	k.heard++
	if l.trunk.mute {
		k.w.violate("right-line", "bank %d: %v on a line that is for answers only", k.index, q.MTI())
	}
	amount, _ := q.Uint(4)
	k.w.note("bank hears", uint64(k.index), uint64(q.MTI()), amount)
	switch q.MTI() {
	case 0x0820:
		k.answer(l, q, "00", 0, 70)
	case 0x0200, 0x0220:
		k.money(l, q, amount)
	case 0x0420, 0x0421:
		k.reversal(l, q, amount)
	default:
		k.w.violate("known-messages", "bank %d: %v", k.index, q.MTI())
	}
}

// key is what a request is about: terminal, processing code and amount.
func key(q *iso8583.View) string {
	return string(q.Field(41)) + string(q.AppendText(nil, 3)) + string(q.AppendText(nil, 4)) + string(q.AppendText(nil, 2))
}

func (k *issuer) money(l *wire, q *iso8583.View, amount uint64) {
	if string(q.AppendText(nil, 3)) == "310000" {
		k.answer(l, q, "00", 0, 0)
		return
	}
	rrn := string(q.Field(37))
	before := k.rows[rrn]
	switch {
	case before == nil: // and when its reversal came first and was put off, it is as new
	case before.key != "":
		k.w.violate("nothing-twice-as-new", "bank %d: %s came twice", k.index, rrn)
	case before.reversed:
		before.key = key(q)
		k.answer(l, q, "94", 0, 0)
		return
	}
	name := key(q)
	r := &row{key: name, amount: amount, booked: fate(k.w.o.Seed, aboutDecline, amount, uint64(len(key(q))))%8 != 0}
	if string(q.AppendText(nil, 3)) == loadProc {
		r.account = string(q.AppendText(nil, 2))
	}
	k.rows[rrn] = r
	if k.w.o.cheats != 0 && amount == k.w.o.cheats*10+1000 {
		k.answer(l, q, "00", 0, 38)
		r.booked = false
		return
	}
	if string(q.AppendText(nil, 3)) == "000000" {
		if k.sales[name] != nil {
			k.w.violate("nothing-twice-as-new", "bank %d: %s was forwarded as new again", k.index, name)
		}
		k.sales[name] = r
	}
	code := "51"
	if r.booked {
		code = "00"
	}
	k.lie(l, q, amount, r.booked)
	k.answer(l, q, code, 0, 38)
	if fate(k.w.o.Seed, aboutLoss, amount, 7)%32 == 0 {
		k.answer(l, q, code, int64(3*time.Millisecond), 38) // twice
	}
}

// lie says that another transaction was approved, when this one is declined: of
// another amount, under another number, or as another bank.
func (k *issuer) lie(l *wire, q *iso8583.View, amount uint64, booked bool) {
	if booked {
		return
	}
	other, number, line := amount, string(q.Field(37)), l
	switch fate(k.w.o.Seed, aboutLie, amount) % 4 {
	case 0:
		other++
	case 1:
		number = "325999999999"
	case 2:
		if line = k.w.issuers[1-k.index].lines[0].wire; line == nil {
			return
		}
	default:
		return
	}
	k.say(line, 0, k.reply(q, "00", 38, other, number))
}

func (k *issuer) reversal(l *wire, q *iso8583.View, amount uint64) {
	rrn, card := string(q.Field(37)), string(q.AppendText(nil, 2))
	r, code := k.rows[rrn], "00"
	copied := r != nil && r.answered // on another line, late: it says nothing new
	if before := k.owing[card]; before != "" && before != rrn && !copied {
		k.w.violate("per-card-order", "bank %d: %s came before %s of the same card was answered", k.index, rrn, before)
	}
	if r == nil || !r.answered {
		k.owing[card] = rrn
	}
	if q.MTI() == 0x0420 && fate(k.w.o.Seed, aboutLie, amount, 1)%6 == 0 { // not now: it is to ask again
		if r == nil {
			r = &row{amount: amount}
			k.rows[rrn] = r
		}
		k.answer(l, q, "96", 0, 0)
		return
	}
	if r == nil {
		r, code = &row{amount: amount}, "25"
		k.rows[rrn] = r
	}
	if r.amount != amount {
		k.w.violate("same-amount", "bank %d: %s is reversed with %d, it was %d", k.index, rrn, amount, r.amount)
	}
	r.reversed = true
	if k.mood != mute && k.owing[card] == rrn {
		delete(k.owing, card)
		r.answered = true
	}
	k.answer(l, q, code, 0, 0)
}

// answer replies as the mood is. more is a field that goes with it.
func (k *issuer) answer(l *wire, q *iso8583.View, code string, after int64, more int) {
	amount, _ := q.Uint(4)
	k.say(l, after, k.reply(q, code, more, amount, string(q.Field(37))))
}

func (k *issuer) reply(q *iso8583.View, code string, more int, amount uint64, number string) []byte {
	b := iso8583.Cups().Begin(iso8583.AppendCupsHeader(nil, acquirer, "00010000"), q.MTI()&^1|0x0010)
	if q.Has(4) {
		b.PutUint(4, amount)
	}
	b.Copy(7, q, 7)
	b.Copy(11, q, 11)
	if q.Has(37) {
		b.PutUint(15, 1122)
		b.Put(37, []byte(number))
	}
	if more == 38 && code == "00" {
		b.Put(38, []byte("A00001"))
	}
	b.Put(39, []byte(code))
	if more == 70 {
		b.Copy(70, q, 70)
	}
	frame, err := b.End()
	if err != nil {
		panic(err) // what was read can be written
	}
	iso8583.PatchCupsLength(frame, len(frame))
	return frame
}

func (k *issuer) say(l *wire, after int64, frame []byte) {
	switch k.mood {
	case mute:
		return
	case slow:
		after += int64(12 * time.Second)
	}
	jitter := int64(fate(k.w.o.Seed, aboutDelay, uint64(k.index), k.heard) % uint64(3*time.Millisecond))
	k.w.after(after+int64(200*time.Microsecond)+jitter, func() {
		if to := k.back(l); to != nil && to.open {
			to.say(frame)
		}
	})
}
