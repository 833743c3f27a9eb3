package engine

import (
	"fmt"
	"net/netip"

	"tongka/flow"
	"tongka/router"
	"tongka/router/limit"
	"tongka/txn"
)

// FlowControl bounds what a shard lets through. Address, Terminal and Merchant are
// the caps of each one; Payments and Enquiries are of the whole shard, so that a
// storm of enquiries takes nothing from sales. Reversals pass in any case.
type FlowControl struct {
	Code                        txn.Code // F39 over a limit
	Payments, Enquiries         limit.Cap
	Address, Terminal, Merchant limit.Cap
	Links                       []limit.Cap // by txn.LinkID
}

// gates are the counters of a shard's flow control. Those of a terminal and its
// merchant are found with the terminal's history and cost no look-up.
type gates struct {
	caps      *FlowControl // nil: no limits
	classes   [2]limit.Gate
	links     []limit.Gate
	merchants map[[15]byte]*limit.Gate
	origins   map[netip.Addr]*origin
	away      int      // of them, those without a connection
	linkOver  []uint64 // requests that found the links of their route full, by the one that was wanted
}

// validate says what is wrong; nil is no limits.
func (c *FlowControl) validate(links int) error {
	if c == nil || len(c.Links) == links && c.Code != (txn.Code{}) && !c.Code.Approved() {
		return nil
	}
	return fmt.Errorf("engine: flow control: caps of %d links of %d, code %v", len(c.Links), links, c.Code)
}

// limit puts limits into force, nil for none; links may have come.
func (s *Shard) limit(c *FlowControl) {
	more := len(s.links) - len(s.gates.links)
	s.gates.links = append(s.gates.links, make([]limit.Gate, more)...)
	s.gates.linkOver = append(s.gates.linkOver, make([]uint64, more)...)
	fresh := s.gates.caps == nil && c != nil
	s.gates.caps, s.cfg.FlowControl = c, c
	// What came while nothing was counted is under way all the same.
	for i := range s.slots {
		if sl := &s.slots[i]; fresh && !sl.entered && sl.State != flow.New && sl.hist != nil && flow.ClassOf(sl.Kind) != flow.Exempt {
			s.enter(sl, &FlowControl{})
		}
	}
}

// Ready says whether a link takes a request now.
func (s *Shard) Ready(id txn.LinkID) router.Readiness {
	switch {
	case len(s.links[id].serving) == 0:
		return router.Away
	case s.over(id) || !s.Up(id):
		return router.Busy
	}
	return router.Ready
}

// over says that flow control lets nothing more to a link now.
func (s *Shard) over(id txn.LinkID) bool {
	c := s.gates.caps
	if c == nil {
		return false
	}
	most := &c.Links[id]
	return most.InFlight != 0 && s.links[id].inFlight >= int(most.InFlight) || !s.gates.links[id].Has(most.Rate, s.now)
}

// FullCode is what a request is told that finds a link at its limit: that of flow
// control, or the windows of its lines.
func (s *Shard) FullCode(id txn.LinkID) txn.Code {
	if s.over(id) {
		return s.gates.caps.Code
	}
	if c := s.links[id].cfg.FullCode; c != (txn.Code{}) {
		return c
	}
	return txn.SystemFault
}

// pass lets a request in, or gives the code that refuses it. It comes before its
// MAC is looked at: what is too much must cost nothing.
func (s *Shard) pass(p *peer, sl *slot) txn.Code {
	c, class := s.gates.caps, flow.ClassOf(sl.Kind)
	if c == nil || class == flow.Exempt {
		return txn.Code{}
	}
	all, most := &s.gates.classes[class], &c.Payments
	over := &s.stats.OverPayments
	if class == flow.Enquiry {
		most, over = &c.Enquiries, &s.stats.OverEnquiries
	}
	h := sl.hist
	if sl.origin = s.cameFrom(p, c); sl.origin != nil && !sl.origin.gate.Open(&c.Address, s.now) {
		s.stats.OverAddress++
		s.refusedLine(sl, "its address is over its limit")
		return c.Code
	}
	switch {
	case !h.gate.Open(&c.Terminal, s.now):
		over = &s.stats.OverTerminal
	case !h.merchant.Open(&c.Merchant, s.now):
		over = &s.stats.OverMerchant
	case all.Open(most, s.now):
		s.enter(sl, c)
		return txn.Code{}
	}
	*over++
	s.refusedLine(sl, "over its limit")
	return c.Code
}

// enter counts a request and takes its tokens.
func (s *Shard) enter(sl *slot, c *FlowControl) {
	sl.entered = true
	if sl.origin != nil {
		sl.origin.gate.Enter(&c.Address, s.now)
	}
	sl.hist.gate.Enter(&c.Terminal, s.now)
	sl.hist.merchant.Enter(&c.Merchant, s.now)
	most := &c.Payments
	class := flow.ClassOf(sl.Kind)
	if class == flow.Enquiry {
		most = &c.Enquiries
	}
	s.gates.classes[class].Enter(most, s.now)
}

// exit ends what enter began.
func (s *Shard) exit(sl *slot) {
	if sl.entered {
		sl.entered = false
		if sl.origin != nil {
			sl.origin.gate.Leave()
		}
		sl.hist.gate.Leave()
		sl.hist.merchant.Leave()
		s.gates.classes[flow.ClassOf(sl.Kind)].Leave()
	}
	sl.origin = nil
}

// merchantGate gives the gate of a merchant, made when it is first heard of.
func (s *Shard) merchantGate(number *[15]byte) *limit.Gate {
	g := s.gates.merchants[*number]
	if g == nil {
		g = new(limit.Gate)
		s.gates.merchants[*number] = g
	}
	return g
}
