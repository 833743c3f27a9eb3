package engine

import (
	"errors"

	"go.uber.org/zap"

	"tongka/flow"
	"tongka/journal"
	"tongka/translate"
	"tongka/txn"
)

// Place is the command that finds a place in the journal for the end of a business
// day: every record that is there is before it, every later one is not. Nothing is
// changed: the day has ended once the place is written down.
type Place struct {
	At  journal.LSN
	Now int64 // of the turn
}

func (c *Place) perform(s *Shard) error {
	c.At, c.Now = s.log.Next(), s.now
	return nil
}

// CutEvent is what a bank says about the change of the business day.
type CutEvent struct {
	Link   txn.LinkID
	Net    uint16 // NetDayCutBegins or NetDayCutEnds
	Theirs bool   // the bank began; otherwise it answers what we told it
	Code   txn.Code
}

// dayNotice is what a bank was told last of the day; an answer ends it. It lives as
// long as the process: what was not answered is told again by who keeps count.
type dayNotice struct {
	net  uint16 // 0: nothing is out
	stan uint32
}

// ErrNotTold is when a bank cannot be told now: it has no line in service.
var ErrNotTold = errors.New("engine: no line of this link is in service")

var errNoNotice = errors.New("engine: no message of the business day")

// TellCut is the command that tells a bank that the business day changes (0820 with
// F70 201 when it begins to, 202 when it has), by any line in service. What it
// answers comes as a CutEvent.
type TellCut struct {
	Link string
	Net  uint16
}

func (c *TellCut) perform(s *Shard) error {
	if c.Net != translate.NetDayCutBegins && c.Net != translate.NetDayCutEnds {
		return errNoNotice
	}
	for i := range s.links {
		l := &s.links[i]
		if l.cfg.Name != c.Link {
			continue
		}
		n := l.lineForNotice()
		if n == nil {
			return ErrNotTold
		}
		l.notice = dayNotice{c.Net, s.networkSTAN()}
		s.sendNetwork(n, translate.Network{MTI: 0x0820, Net: c.Net, STAN: l.notice.stan})
		return nil
	}
	return ErrNoLink
}

// lineForNotice is a line that a message may go out on which is no request: any
// that serves and has nothing out, or is not half-duplex.
func (l *link) lineForNotice() *line {
	for _, n := range l.serving {
		if n.State == flow.LineUp && n.send != 0 && (!n.Limits.HalfDuplex || n.InFlight == 0 && n.netAsked == 0) {
			return n
		}
	}
	return nil
}

// cutAnswer takes the answer to what a bank was told about the day; false when the
// message is none. An old one changes nothing.
func (s *Shard) cutAnswer(n *line, m *translate.BankMessage) bool {
	l := &s.links[n.link]
	ours := l.notice.net != 0 && m.STAN == l.notice.stan && (m.Net == 0 || m.Net == l.notice.net)
	if !ours {
		if m.Net == translate.NetDayCutBegins || m.Net == translate.NetDayCutEnds {
			s.stats.Unmatched++
			return true
		}
		return false
	}
	if s.cutTold(CutEvent{Link: n.link, Net: l.notice.net, Code: m.Code}) {
		l.notice = dayNotice{}
	}
	if m.Code != txn.OK {
		s.refusal(n, "change of the business day refused by the bank", m)
	}
	return true
}

// cutTold hands on what a bank says. Where nobody wants to know, it is answered and
// that is all.
func (s *Shard) cutTold(e CutEvent) bool {
	if e.Theirs {
		s.zap.Info("bank changes its business day", zap.String("link", s.links[e.Link].cfg.Name), zap.Uint16("code", e.Net))
	}
	return s.cfg.Books.CutTold == nil || s.cfg.Books.CutTold(e)
}
