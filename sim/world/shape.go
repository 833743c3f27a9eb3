package world

import (
	"time"

	"tongka/conn"
	"tongka/engine"
	"tongka/flow"
)

// trunk is one socket between the switch and a bank.
type trunk struct {
	socket int
	back   int   // the socket of the answers: the same, or the other of a pair
	mute   bool  // of a pair: nothing is asked here
	half   bool  // one message at a time
	short  int   // of a short-lived line: messages on one connection; 0: it lasts
	wire   *wire // nil or closed: not connected
}

// shape is how a seed's switch is connected: how many lines each bank has and of
// which sort, and whether security modules are in the process or behind sockets.
type shape struct {
	trunks [banks][]trunk
	boxes  []int // sockets of the modules; none: in the process
}

// shapeOf draws the shape of a seed: half of the banks have one plain line.
func shapeOf(seed uint64) *shape {
	s := &shape{}
	next := 0
	socket := func() int { next++; return next - 1 }
	for b := range s.trunks {
		switch fate(seed, aboutShape, uint64(b)) % 6 {
		default:
			n := socket()
			s.trunks[b] = []trunk{{socket: n, back: n}}
		case 3: // three lines, the last for when the others are down
			for range 3 {
				n := socket()
				s.trunks[b] = append(s.trunks[b], trunk{socket: n, back: n})
			}
		case 4: // two lines that take one message at a time, half of them dialled on demand
			short := [...]int{0, 1, 4, 0}[fate(seed, aboutShape, uint64(b), 1)%4]
			for range 2 {
				n := socket()
				s.trunks[b] = append(s.trunks[b], trunk{socket: n, back: n, half: true, short: short})
			}
		case 5: // two lines of two sockets each
			for range 2 {
				ask, answer := socket(), socket()
				s.trunks[b] = append(s.trunks[b], trunk{socket: ask, back: answer}, trunk{socket: answer, back: answer, mute: true})
			}
		}
	}
	if fate(seed, aboutShape, banks)%5 == 0 {
		s.boxes = []int{socket(), socket()}
	}
	return s
}

// lines is the same for the engine.
func (s *shape) lines(bank int) (all []engine.Line) {
	for i, t := range s.trunks[bank] {
		if t.mute {
			continue
		}
		l := engine.Line{Send: t.socket, Receive: t.back, Priority: 1, HalfDuplex: t.half}
		if t.short > 0 {
			l.Short = flow.Short{Messages: t.short, Keep: int64(time.Second), Dial: int64(2 * time.Second)}
		}
		if i == 2 && t.socket == t.back {
			l.Priority = 2
		}
		all = append(all, l)
	}
	return all
}

func (s *shape) modules() (all []engine.HSM) {
	for i, socket := range s.boxes {
		all = append(all, engine.HSM{Name: []string{"hsm-1", "hsm-2"}[i], Socket: socket, Framing: conn.Binary2})
	}
	return all
}
