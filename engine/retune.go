package engine

import (
	"fmt"
	"slices"
	"time"

	"tongka/conn"
	"tongka/flow"
	"tongka/router"
	"tongka/storefwd"
	"tongka/txn"
)

// Retune is the command that replaces what may change while the shard runs, all
// of it or, with an error, nothing. What is in flight goes on by what it began
// with.
type Retune struct {
	// Prepare changes nothing but finds what is wrong with the rest, and makes room
	// for listeners that are new. It comes before the front has them.
	Prepare bool
	// Listeners are by their index in the front; where they are fewer than before,
	// the others stay.
	Listeners []Listener
	// Links begin with those that are there, by name and place; new ones follow.
	// Lines are told apart by the socket that sends: one that is missing takes
	// nothing more, one that is new waits for its connection.
	Links []Link
	// HSMs are those that are there, by place, and new ones; where they are fewer,
	// the others are not asked any more. A module in the process stays.
	HSMs       []HSM
	HSMTimeout time.Duration
	Routes     *router.Table
	// FlowControl is nil for no limits. What is in flight stays counted.
	FlowControl *FlowControl
	Rules       flow.Rules
	Day         Day
}

func (c *Retune) perform(s *Shard) error {
	next := s.cfg
	next.Listeners, next.Links, next.HSMTimeout, next.Routes = c.Listeners, c.Links, c.HSMTimeout, c.Routes
	next.FlowControl, next.Rules = c.FlowControl, c.Rules
	if next.Module == nil {
		next.HSMs = c.HSMs
	}
	if err := next.Validate(); err != nil {
		return err
	}
	if err := s.mayFollow(c.Links); err != nil {
		return err
	}
	if n := len(s.cfg.Listeners); n < len(c.Listeners) {
		s.cfg.Listeners = append(s.cfg.Listeners[:n:n], c.Listeners[n:]...)
	}
	if c.Prepare {
		return nil
	}
	s.cfg.Listeners = append(slices.Clone(c.Listeners), s.cfg.Listeners[len(c.Listeners):]...)
	s.cfg.HSMTimeout = c.HSMTimeout
	s.pool.SetTimeouts(c.HSMTimeout, s.cfg.Pool.KeyTimeout)
	s.cfg.Routes, s.env.Routes = c.Routes, c.Routes
	s.cfg.Rules, s.env.Rules = c.Rules, c.Rules
	s.retuneModules(next.HSMs)
	s.retuneLinks(c.Links)
	s.limit(c.FlowControl)
	s.cfg.Day = c.Day
	return s.bindLinks()
}

// mayFollow checks that links keep their places, also against those that an
// earlier life of this data folder had.
func (s *Shard) mayFollow(links []Link) error {
	if len(links) < len(s.links) {
		return fmt.Errorf("engine: %d links, and there were %d", len(links), len(s.links))
	}
	for i := range links {
		if i < len(s.links) && links[i].Name != s.links[i].cfg.Name {
			return fmt.Errorf("engine: link %d is %s and not %s", i+1, s.links[i].cfg.Name, links[i].Name)
		}
		if was, ok, err := s.log.Lookup(linkKey(i), nil); err != nil {
			return err
		} else if ok && string(was) != links[i].Name {
			return fmt.Errorf("engine: link %d was %s in this data folder and cannot be %s", i+1, was, links[i].Name)
		}
	}
	return nil
}

// retuneModules never shortens the list: commands under way name their module by
// its place. A module that is gone has no socket and so is not asked.
func (s *Shard) retuneModules(hsms []HSM) {
	for i := range s.hsms {
		s.hsms[i].gone = i >= len(hsms)
		s.pool.Leaves(i, s.hsms[i].gone)
	}
	if len(hsms) < len(s.hsms) {
		hsms = append(hsms[:len(hsms):len(hsms)], s.cfg.HSMs[len(hsms):]...)
	}
	s.cfg.HSMs = hsms
	for i := range hsms {
		if i == len(s.hsms) {
			s.addModule(&hsms[i])
		}
		s.wires[hsms[i].Socket] = wire{kind: hsmPeer, index: uint16(i)}
	}
}

func (s *Shard) retuneLinks(links []Link) {
	s.cfg.Links = links
	policies := make([]storefwd.Policy, len(links))
	s.env.AnswerTimeout = s.env.AnswerTimeout[:0]
	for i := range links {
		c := &links[i]
		policies[i] = c.Reversal
		s.env.AnswerTimeout = append(s.env.AnswerTimeout, int64(c.AnswerTimeout))
		if i == len(s.links) {
			s.links = append(s.links, link{was: flow.LineDialing, since: s.now})
		}
		l := &s.links[i]
		l.configured(c, s.now)
		old := l.lines
		l.cfg, l.lines = c, nil
		s.addLines(txn.LinkID(i), old)
		l.regroup()
	}
	s.owed.Retune(policies)
	s.checkKeys()
}

// Leave is the command that announces a stop: bank lines that the front lets go
// from then on sign off first.
type Leave struct{}

func (Leave) perform(s *Shard) error {
	s.leaving = true
	return nil
}

// Draining implements conn.Drainer: from the first call on the shard keeps
// account of who is owed an answer. What can go elsewhere does: a bank's line
// ends as if an operator took it out, and comes back with its next connection.
func (s *Shard) Draining(id conn.ID) {
	s.begin()
	s.draining = true
	switch p := s.peer(id); {
	case p == nil:
	case p.kind == hsmPeer:
		s.pool.Leaves(int(p.index), true)
	case p.kind == bankPeer:
		n := s.lines[p.index]
		if !n.Lasts() && !s.leaving {
			return // the next call goes to the new place
		}
		if n.State != flow.LineDown && n.State != flow.LineDraining {
			n.moves = true
			s.lineEvent(n, flow.Drain)
		}
	}
}

// moved puts a line that the front let go back into service, when it is there
// again at its new place.
func (s *Shard) moved(n *line) {
	if n.moves && !s.leaving {
		n.moves = false
		s.lineEvent(n, flow.Undrain)
	}
}
