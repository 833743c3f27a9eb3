package world

import (
	"time"

	"tongka/codec/iso8583"
	"tongka/conn"
)

// arrivesLate brings a request by a connection of its own, about when its reversal
// arrives: before it, behind it, or after what comes next.
func (t *till) arrivesLate(j *job) {
	t.w.after(int64(fate(t.w.o.Seed, aboutGrey, j.id, 10)%uint64(4*time.Millisecond)), func() {
		if l := t.w.connect(nobody{}, -1, conn.Binary2); l != nil {
			t.w.note("strayed", uint64(t.index), j.id)
			l.say(j.frame)
			t.w.after(patience, l.hangUp)
		}
	})
}

// nobody is where answers are lost.
type nobody struct{}

func (nobody) hear(*wire, []byte) {}
func (nobody) lost(*wire)         {}

// haunted sends an old request again, as a network may that kept it: it must have
// no effect, whatever became of the first.
func (t *till) haunted(id uint64) {
	if len(t.all) == 0 || t.mak == nil || !t.reach() {
		return
	}
	// One of the newest, or any: the switch has few at hand.
	old := t.all[len(t.all)-1-int(fate(t.w.o.Seed, aboutGhost, id, 1)%uint64(min(len(t.all), 3)))]
	if fate(t.w.o.Seed, aboutGhost, id, 2)%2 == 0 {
		old = t.all[fate(t.w.o.Seed, aboutGhost, id, 3)%uint64(len(t.all))]
	}
	if old == t.job || old.frame == nil || old.batch != t.batch || old.unproved {
		return // what was refused while no module could prove it is not remembered: a copy is new
	}
	t.w.note("till is haunted", uint64(t.index), old.id)
	t.line.say(old.frame)
}

// forged is a request that somebody without the key has changed.
func (t *till) forged(id uint64) {
	if len(t.all) == 0 || t.mak == nil {
		return
	}
	old := t.all[len(t.all)-1]
	if old.frame == nil {
		return
	}
	said := append([]byte(nil), old.frame...)
	at := len(envelope) + int(fate(t.w.o.Seed, aboutForgery, id, 1)%uint64(len(said)-len(envelope)))
	said[at] ^= 1 << (fate(t.w.o.Seed, aboutForgery, id, 2) % 8)
	if l := t.w.connect(stranger{t.w}, -1, conn.Binary2); l != nil {
		t.w.note("forgery", uint64(t.index), uint64(at))
		l.say(said)
		t.w.after(patience, l.hangUp)
	}
}

// stranger is somebody who has no key, so that nothing may be approved for him.
type stranger struct{ w *world }

func (stranger) lost(*wire) {}
func (s stranger) hear(_ *wire, frame []byte) {
	var v iso8583.View
	var env iso8583.Envelope
	if msg, err := iso8583.Pos().Split(frame, &env); err == nil && iso8583.Pos().Parse(&v, msg) == nil && string(v.Field(39)) == "00" && v.Has(64) {
		s.w.violate("no-forgery", "a forged request is approved: %v", v.MTI())
	}
}
