package engine

import (
	"tongka/codec/iso8583"
	"tongka/conn"
)

// mood is what is wrong with a bank's line.
type mood uint8

const (
	well mood = iota
	mute      // hears, books, and answers nothing about money
	deaf      // what the switch sends is lost on the way
	dumb      // what the bank sends is lost on the way
	moods
)

var moodNames = [...]string{"well", "mute", "deaf", "dumb"}

// bankLine is a line as the bank sees it: the socket that the switch sends by,
// and the one that it receives by, which may be the same.
type bankLine struct {
	sockets [2]int
	ids     [2]conn.ID
	mood    mood
	short   bool
}

func (l *bankLine) dial(c *chaos) {
	if l.short {
		l.ids = [2]conn.ID{noConn, noConn}
		c.closed[noConn] = false
		return
	}
	l.ids[0] = c.dial(l.sockets[0])
	l.ids[1] = l.ids[0]
	if l.sockets[1] != l.sockets[0] {
		l.ids[1] = c.dial(l.sockets[1])
	}
}

// noConn is never open.
const noConn = conn.ID(1)

// Dial implements conn.Loop.
func (c *chaos) Dial(link int) { c.calls = append(c.calls, link) }

// answerCall opens the connection that the shard asked for, or lets it fail; of
// some nothing is heard.
func (c *chaos) answerCall(link int) {
	for _, l := range c.banks[1].lines {
		dice := c.rng.IntN(10)
		switch {
		case l.sockets[0] != link:
		case c.calm || dice < 7:
			if !c.told(l.ids[0]) { // the old one has not ended
				c.lose(l.ids[0], nil)
			}
			id := c.dial(link)
			l.ids = [2]conn.ID{id, id}
		case dice < 9:
			c.note("socket %d is not reached", link)
			c.shard.NotDialled(link)
		}
	}
}

// redial brings back what is lost, each socket at its own time.
func (l *bankLine) redial(c *chaos) {
	if l.short {
		return
	}
	for i, id := range l.ids {
		if i == 1 && l.sockets[0] == l.sockets[1] {
			l.ids[1] = l.ids[0]
		} else if c.told(id) && (c.calm || c.rng.IntN(3) == 0) {
			l.ids[i] = c.dial(l.sockets[i])
		}
	}
}

func (c *chaos) anyLine() *bankLine {
	k := c.banks[c.rng.IntN(2)]
	return k.lines[c.rng.IntN(len(k.lines))]
}

// sicken changes how one line is; it may also become well. Or a bank signs on or
// off by itself, or an operator drains a line, or gives all of them back.
func (c *chaos) sicken() {
	bank := c.rng.IntN(2)
	number := c.rng.IntN(len(c.lines[bank]))
	l := c.banks[bank].lines[number]
	if c.banks[0].macs != nil && c.rng.IntN(2) == 0 {
		c.banks[0].bringKey()
		return
	}
	switch dice := c.rng.IntN(10); {
	case dice < 6:
		l.mood = mood(c.rng.IntN(int(moods)))
		c.note("the line of socket %d is %s", l.sockets[0], moodNames[l.mood])
	case dice < 8:
		net := uint64(1 + c.rng.IntN(3))
		c.note("bank %d says F70 %d by socket %d", bank, net, l.sockets[1])
		c.give(l.ids[1], c.ownAccord(c.banks[bank], net))
	default:
		c.drain(bank, number+1, dice == 8)
	}
}

// ownAccord is a network message of a bank.
func (c *chaos) ownAccord(k *issuer, net uint64) []byte {
	b := iso8583.Cups().Begin(iso8583.AppendCupsHeader(nil, "48023310", "00010000"), 0x0820)
	b.PutUint(11, 77)
	b.PutUint(70, net)
	k.room(&b)
	out, err := b.End()
	if err != nil {
		c.t.Fatal(err)
	}
	iso8583.PatchCupsLength(out, len(out))
	k.seal(out)
	return out
}

func (c *chaos) drain(bank, number int, back bool) {
	if back {
		number = 0
	}
	c.note("drain line %d of bank %d, back %v", number, bank, back)
	if err := c.do(Drain{Link: c.names[bank], Line: number, Back: back}); err != nil {
		c.t.Error(err)
	}
}
