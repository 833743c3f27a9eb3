package engine

import (
	"tongka/conn"
	"tongka/flow"
	"tongka/txn"
)

// Finish is the command that ends what is in flight, for a stop whose time is
// over: what waits for a bank is timed out with its reversal owed, what waits
// for a security module is refused, each durably and answered. From then on no
// request is taken; it will be repeated, and the next start knows no trace of
// it. Finish may be performed again to see what is left.
type Finish struct {
	TimedOut int // were with a bank
	Refused  int // had not left yet
	Left     int // answers that still wait for a module's MAC
}

func (c *Finish) perform(s *Shard) error {
	s.finishing = true
	for i := range s.slots {
		sl := &s.slots[i]
		switch sl.State {
		case flow.Waiting:
			c.TimedOut++
			if sl.armed {
				sl.armed = false
				s.wheel.Disarm(sl.timer)
			}
			s.timedOut(sl)
		case flow.Securing, flow.Writing:
			c.Refused++
			s.run(sl, flow.Event{Kind: flow.Secured, Deny: txn.SystemFault, Now: s.now})
		}
	}
	c.Left = len(s.slots) - len(s.free)
	return nil
}

// Owes implements conn.Drainer. A terminal is owed the answers of its requests
// in flight, and what stands in its buffer until the turn ends; a bank or a
// module is needed while anything is in flight with it.
func (s *Shard) Owes(id conn.ID) bool {
	s.begin()
	p := s.peer(id)
	switch {
	case p == nil:
		return false
	case p.out != nil:
		return true
	case p.kind == bankPeer:
		n := s.lines[p.index]
		if n.send != id && n.recv != id { // replaced: answers may still come by it
			return s.links[n.link].inFlight > 0
		}
		return n.InFlight > 0 || n.State == flow.LineDraining // it hangs up itself
	case p.kind == hsmPeer:
		return s.pool.Busy(int(p.index))
	}
	if !s.owing.fresh {
		s.owing.look(s)
	}
	return s.owing.has(id)
}

// owing is who is owed an answer, by the index of the connection: one look at
// all slots serves all that ask in the turn, as long as no request comes.
type owing struct {
	fresh bool
	at    []conn.ID
}

func (o *owing) look(s *Shard) {
	clear(o.at)
	for i := range s.slots {
		sl := &s.slots[i]
		if sl.State == flow.New {
			continue
		}
		for int(sl.conn.Index()) >= len(o.at) {
			o.at = append(o.at, 0)
		}
		o.at[sl.conn.Index()] = sl.conn
	}
	o.fresh = true
}

func (o *owing) has(id conn.ID) bool {
	i := int(id.Index())
	return i < len(o.at) && o.at[i] == id
}
