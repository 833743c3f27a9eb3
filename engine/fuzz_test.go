package engine

import (
	"testing"
	"time"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm"
)

// arena is a world that is fed one hostile frame after another, and put in order
// after each.
type arena struct {
	*world
	p     *pos
	bank  conn.ID
	trace uint64
}

func newArena(f *testing.F) *arena {
	w := newWorld(f)
	a := &arena{world: w, trace: 1000}
	a.bank = w.bankUp(0)
	a.p = w.terminal()
	return a
}

// settle lets time pass until nothing is in flight or owed: the bank takes every
// reversal and every echo.
func (a *arena) settle() {
	for range 60 {
		if a.closed[a.bank] {
			a.shard.Closed(a.bank, nil)
			a.bank = a.connect(0)
		}
		a.pass(0)
		for _, frame := range a.take(a.bank, conn.ASCII4) {
			q := a.parse(iso8583.Cups(), frame)
			switch q.MTI() {
			case 0x0420, 0x0421:
				a.bankAnswers(a.bank, q, "00")
			case 0x0820:
				a.bankSays(a.bank, 0x0830, func(b *iso8583.Builder) {
					b.Copy(7, q, 7)
					b.Copy(11, q, 11)
					b.Put(39, []byte("00"))
					b.Copy(70, q, 70)
				})
			}
		}
		if len(a.shard.free) == len(a.shard.slots) && a.shard.owed.Total() == 0 && a.shard.Up(0) {
			return
		}
		a.pass(time.Second)
	}
	a.t.Errorf("%d of %d slots free, %d owed, link up %v", len(a.shard.free), len(a.shard.slots), a.shard.owed.Total(), a.shard.Up(0))
}

// sale makes one, and gives the bank's view of it.
func (a *arena) sale(t *testing.T) *iso8583.View {
	a.trace++
	a.p.sale(a.trace%1_000_000, 1250, false)
	frames := a.take(a.bank, conn.ASCII4)
	if len(frames) != 1 { // the session has ended, as time passes here
		a.settle()
		a.p.id = a.connect(-1)
		a.p.signIn()
		a.p.sale(a.trace%1_000_000, 1250, false)
		if frames = a.take(a.bank, conn.ASCII4); len(frames) != 1 {
			t.Fatalf("the bank got %d messages of a sale", len(frames))
		}
	}
	return a.parse(iso8583.Cups(), frames[0])
}

func spoil(frame, with []byte) []byte {
	for i := range min(len(frame), len(with)) {
		frame[i] ^= with[i]
	}
	return frame
}

// How FuzzFrames uses its bytes.
const (
	fromTerminal = iota // as they are
	fromBank
	spoiltSale   // over a sale, its MAC made anew
	spoiltAnswer // over the bank's answer to a sale in flight
	fuzzWays
)

// FuzzFrames feeds frames to the shard that no honest peer sends. It never
// panics, keeps no slot, and never approves what the bank did not.
func FuzzFrames(f *testing.F) {
	a := newArena(f)
	sale := a.p.send(0x0200, a.p.mak, a.p.money(1, 1250, true, ""))
	reversal := a.p.send(0x0400, a.p.mak, a.p.money(1, 1250, false, "98"))
	answer := a.answer(a.sale(nil))
	for _, frame := range [][]byte{sale, reversal, answer, {}, {0x60}} {
		for way := range byte(fuzzWays) {
			f.Add(way, frame)
		}
	}
	f.Add(byte(spoiltSale), make([]byte, 80))
	f.Add(byte(spoiltAnswer), make([]byte, 200))
	f.Fuzz(func(t *testing.T, way byte, data []byte) {
		a.t = t
		a.p.id = a.connect(-1)
		switch way % fuzzWays {
		case fromTerminal:
			a.shard.Frame(a.p.id, append([]byte(nil), data...))
		case fromBank:
			a.sale(t)
			a.shard.Frame(a.bank, append([]byte(nil), data...))
		case spoiltSale:
			a.trace++
			a.give(a.spoiltSale(data))
		case spoiltAnswer:
			q := a.sale(t)
			honest := a.answer(q)
			a.shard.Frame(a.bank, spoil(honest, data))
			a.pass(0)
			a.believed(q)
		}
		a.pass(0)
		delete(a.sent, a.p.id)
		a.shard.Closed(a.p.id, nil)
		a.pass(11 * time.Second)
		a.settle()
	})
}

// give sends a frame of the terminal.
func (a *arena) give(frame []byte) { a.shard.Frame(a.p.id, frame) }

// spoiltSale is a sale with data over its message, and with the MAC of that.
func (a *arena) spoiltSale(data []byte) []byte {
	away := a.p.id
	a.p.id = 0 // made, not sent
	frame := a.p.send(0x0200, a.p.mak, a.p.money(a.trace%1_000_000, 1250, false, ""))
	a.p.id = away
	spoil(frame[envelopeSize:len(frame)-8], data)
	mac := a.p.mak.MAC(hsm.UnionPay, frame[envelopeSize:len(frame)-8])
	copy(frame[len(frame)-8:], mac[:])
	return frame
}

// answer is the bank's yes to a request.
func (a *arena) answer(q *iso8583.View) []byte {
	b := iso8583.Cups().Begin(iso8583.AppendCupsHeader(nil, "48023310", "00010000"), 0x0210)
	b.Copy(4, q, 4)
	b.Copy(7, q, 7)
	b.Copy(11, q, 11)
	b.PutUint(15, 1122)
	b.Copy(37, q, 37)
	b.Put(38, []byte("A00001"))
	b.Put(39, []byte("00"))
	out, err := b.End()
	if err != nil {
		a.t.Fatal(err)
	}
	iso8583.PatchCupsLength(out, len(out))
	return out
}

// believed checks that an approval is of this very sale.
func (a *arena) believed(q *iso8583.View) {
	for _, frame := range a.take(a.p.id, conn.Binary2) {
		v := a.parse(iso8583.Pos(), frame)
		amount, _ := v.Uint(4)
		want, _ := q.Uint(4)
		if string(v.Field(39)) == "00" && (amount != want || string(v.Field(37)) != string(q.Field(37))) {
			a.t.Errorf("approved with F4 %d F37 %s, asked with F4 %d F37 %s", amount, v.Field(37), want, q.Field(37))
		}
	}
}
