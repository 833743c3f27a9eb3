package world

import (
	"time"

	"tongka/conn"
	"tongka/hsm/payshield"
)

// box is a security module behind a socket. It is asked by host commands, and it
// can fall silent, deaf or slow like a bank.
type box struct {
	w      *world
	index  int
	socket int
	line   *wire
	mood   mood
	server *payshield.Server
	heard  uint64
}

func newBox(w *world, i, socket int) *box {
	var d payshield.Dialect
	if err := d.Define("UB", payshield.Layout{}); err != nil {
		panic(err) // its own layout
	}
	return &box{w: w, index: i, socket: socket, server: payshield.NewServer(w.module, d)}
}

func (b *box) dial() { b.line = b.w.connect(b, b.socket, conn.Binary2) }

func (b *box) lost(l *wire) {
	if b.line != l {
		return
	}
	b.w.after(int64(100*time.Millisecond)+int64(fate(b.w.o.Seed, aboutJitter, l.number, 2)%uint64(time.Second)), func() {
		if b.line == l && b.w.proc != nil {
			b.dial()
		}
	})
}

// hear answers a command. Now and then one gets no answer, or one that is so late
// that nobody waits for it any more, and some come twice: it must not be taken for
// that of another.
func (b *box) hear(l *wire, frame []byte) {
	b.heard++
	dice := fate(b.w.o.Seed, aboutModule, uint64(b.index), b.heard)
	luck := dice % 256
	if b.w.visits > 0 { // when the cards come once more nothing breaks: the last of them has no next contact
		luck = 255
	}
	if b.mood == deaf || b.mood == mute || luck == 0 {
		return
	}
	answer := b.server.Answer(nil, frame)
	after := int64(200*time.Microsecond) + int64(dice%uint64(time.Millisecond))
	if b.mood == slow || luck == 1 {
		after += int64(moduleTimeout) + int64(dice%uint64(2*time.Second))
	}
	say := func() {
		if l.open {
			l.say(answer)
		}
	}
	b.w.after(after, say)
	if dice>>8%4 == 0 { // once more, when its header may have been given to another
		b.w.after(after+int64(dice>>16%uint64(2*time.Second)), say)
	}
}

const moduleTimeout = time.Second
