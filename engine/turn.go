package engine

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"tongka/conn"
	"tongka/fault"
	"tongka/flow"
	"tongka/timeout"
	"tongka/txn"
)

// Attach gives the shard its loop, and the loop its handler.
func (s *Shard) Attach(l conn.Loop) conn.Handler {
	s.loop = l
	return s
}

// begin opens a turn: the clock is read once for all that comes in it.
func (s *Shard) begin() {
	if !s.inTurn {
		s.inTurn = true
		s.now = s.cfg.Clock()
		s.owing.fresh = false
	}
}

// Tick ends a turn: deadlines, what is owed, one commit, one write per peer.
func (s *Shard) Tick(now int64) int64 {
	// The loop may have read its clock before we read ours: what comes in a turn did
	// not come after the turn's own stamp, by which it is looked for.
	if !s.inTurn || now > s.now {
		s.now = now
	}
	s.inTurn = true
	s.verifyHeld() // a command finds nothing half done
	s.performCommands()
	if !s.dead {
		s.turn()
	}
	s.answerCommands()
	if s.dead {
		return 0
	}
	s.inTurn = false
	return s.next()
}

func (s *Shard) turn() {
	s.wheel.Advance(s.now, s.expire)
	s.deliver()
	s.askModules()
	s.storeTotals()
	s.mark()
	if err := s.commit(); err != nil {
		s.fail(err)
		return
	}
	s.turns++
	s.unlockAll()
	s.flush()
	s.show()
}

// commit makes the turn's records durable. The answers' MACs are made while the
// disk writes.
func (s *Shard) commit() error {
	if !s.log.Staged() {
		s.sealAll()
		return nil
	}
	s.log.Stamp(s.now)
	began := s.cfg.Clock()
	if err := s.log.Commit(); err != nil {
		return err
	}
	s.stats.Commits++
	s.sealAll()
	if err := s.log.Sync(); err != nil {
		return err
	}
	took := s.cfg.Clock() - began
	s.disk.add(uint64(max(took, 0)) / 1000)
	if took > slowDisk {
		s.limited(fault.DiskSlow, "the disk was slow: all transactions waited for it", zap.Duration("took", time.Duration(took)))
	}
	return nil
}

// slowDisk is when a commit is worth a word to the operator, in ns. A disk in order
// takes less than a millisecond; terminals give up after seconds.
const slowDisk = int64(250 * time.Millisecond)

// fail ends all work: what the failed commit held is in doubt, so nothing of
// this turn may leave, and only the disk knows what is true now.
func (s *Shard) fail(err error) {
	s.dead = true
	s.zap.Error("the journal failed: this process must end and recover", fault.Field(fault.JournalFailed), zap.Error(err))
	s.cfg.Fatal(err)
}

// flush writes what the turn gathered, once per peer: links first, for a bank and
// a module work while terminals get their answers.
func (s *Shard) flush() {
	s.urgent = s.sendTo(s.urgent)
	s.dirty = s.sendTo(s.dirty)
	for _, id := range s.closing {
		if p := s.peer(id); p != nil && p.kind == terminalPeer && p.bad >= maxBad {
			s.loop.Reject(id)
			continue
		}
		s.loop.Close(id)
	}
	s.closing = s.closing[:0]
	if len(s.sent) > 0 {
		end := s.cfg.Clock()
		for _, at := range s.sent {
			s.latency.add(uint64(max(end-at, 0)) / 1000)
		}
		s.sent = s.sent[:0]
	}
}

// sendTo writes to each of the peers what is gathered for it, and gives the
// emptied list back.
func (s *Shard) sendTo(peers []conn.ID) []conn.ID {
	for _, id := range peers {
		p := s.peer(id)
		if p == nil {
			continue
		}
		out := p.out
		p.out = nil
		// A peer that is gone, or reads too slowly, is told by Closed; what it
		// does not get it asks for again, or its deadline passes.
		if len(out.b) > 0 { // what waits for its MAC leaves later
			_ = s.loop.Send(id, out.b)
		}
		s.release(p, out)
	}
	return peers[:0]
}

// out gives the buffer of a peer; nil when the peer is gone.
func (s *Shard) out(id conn.ID) *outbuf {
	p := s.peer(id)
	if p == nil {
		return nil
	}
	if p.out == nil {
		if p.own != nil {
			p.out, s.urgent = p.own, append(s.urgent, id)
			return p.out
		}
		s.dirty = append(s.dirty, id)
		if n := len(s.bufs); n > 0 {
			p.out, s.bufs = s.bufs[n-1], s.bufs[:n-1]
		} else {
			p.out = &outbuf{b: make([]byte, 0, usualAnswers)}
		}
	}
	return p.out
}

// A link has a buffer of its own, for it carries a whole turn's requests;
// terminals share buffers of a few answers' size, so that none grows with each
// that borrows it. What has grown beyond is let go.
const (
	usualAnswers = 512
	maxAnswers   = 16 << 10
	maxLink      = 1 << 20
	maxBufs      = 1024 // free ones that are kept, more than one turn usually needs
)

func (s *Shard) release(p *peer, o *outbuf) {
	switch {
	case o == p.own && cap(o.b) > maxLink:
		o.b = nil
	case o == p.own:
		o.b = o.b[:0]
	case cap(o.b) <= maxAnswers && len(s.bufs) < maxBufs:
		o.b = o.b[:0]
		s.bufs = append(s.bufs, o)
	}
}

func (s *Shard) peer(id conn.ID) *peer {
	if i := int(id.Index()); i < len(s.peers) && s.peers[i].id == id {
		return &s.peers[i]
	}
	return nil
}

// Opened notes a new connection.
func (s *Shard) Opened(id conn.ID, from conn.Peer) {
	s.begin()
	for int(id.Index()) >= len(s.peers) {
		s.peers = append(s.peers, peer{})
	}
	p := &s.peers[id.Index()]
	*p = peer{id: id, kind: terminalPeer, index: uint16(from.Index)}
	if from.Listener {
		p.from = from.Subscriber()
		return
	}
	w := s.wires[from.Index]
	p.kind, p.index, p.own = w.kind, w.index, new(outbuf)
	switch w.kind {
	case bankPeer:
		s.lineOpened(s.lines[w.index], id, w.receives)
	case hsmPeer:
		s.moduleOpened(int(p.index), id)
		s.zap.Info("security module connected", zap.String("module", s.cfg.HSMs[p.index].Name))
	default:
		// The front has been told of it and we have not, in the middle of a reload:
		// it is dialled again at once.
		s.hangUp(id)
	}
}

// Closed forgets a connection.
func (s *Shard) Closed(id conn.ID, err error) {
	s.begin()
	p := s.peer(id)
	if p == nil {
		return
	}
	kind, index := p.kind, p.index
	if p.out != nil {
		s.dropSeals(p.out)
		s.release(p, p.out)
	}
	s.leftFrom(p.origin)
	*p = peer{}
	switch kind {
	case bankPeer:
		n := s.lines[index]
		ours := err == nil && (n.State == flow.LineDown || n.State == flow.LineDraining)
		if n.Lasts() || n.InFlight > 0 && s.badLines.allow(s.now) {
			s.lost(err, ours, fault.LinkLost, "bank line lost", zap.String("link", s.links[n.link].cfg.Name), zap.Int("line", n.number))
		}
		s.lineClosed(n, id)
	case hsmPeer:
		s.lost(err, false, fault.ModuleLost, "security module lost", zap.String("module", s.cfg.HSMs[index].Name))
		s.hsmLost(int(index))
	}
}

// lost says that a line has ended. At an ordinary stop all of them do, and when
// an operator takes one out we hang up ourselves: nobody shall be woken for that.
func (s *Shard) lost(err error, ours bool, c fault.Code, what string, whose ...zap.Field) {
	level := zap.WarnLevel
	if ours || errors.Is(err, conn.ErrStopped) {
		level = zap.InfoLevel
	}
	s.zap.Log(level, what, append(whose, zap.Error(err), fault.Field(c))...)
}

// Frame takes one frame from a peer.
func (s *Shard) Frame(id conn.ID, b []byte) {
	p := s.peer(id)
	if p == nil || s.dead {
		return
	}
	s.begin()
	switch p.kind {
	case terminalPeer:
		if s.draining || s.finishing {
			s.owing.fresh = false
			if s.finishing {
				return
			}
		}
		s.terminalFrame(p, b)
	case bankPeer:
		s.verifyHeld() // what came first is done first
		s.bankFrame(p, b)
	case hsmPeer:
		s.hsmFrame(p, b)
	}
}

// What a timer's id says: what it is for, and of which use of which slot, line
// or question.
const (
	timerTxn  = uint64(0) << 60
	timerLine = uint64(1) << 60
	timerAsk  = uint64(2) << 60
	timerKind = uint64(15) << 60
)

func timerID(kind uint64, gen, index uint32) uint64 {
	return kind | uint64(gen&0xFFFFFFF)<<32 | uint64(index)
}

func (s *Shard) expire(id uint64) {
	gen, index := uint32(id>>32)&0xFFFFFFF, uint32(id)
	switch id & timerKind {
	case timerTxn:
		if sl := &s.slots[index]; sl.gen&0xFFFFFFF == gen && sl.armed {
			sl.armed = false
			s.timedOut(sl)
		}
	case timerLine:
		if n := s.lines[index]; n.gen&0xFFFFFFF == gen && n.armed {
			n.armed = false
			if n.Calling() {
				s.notDialled(n)
				return
			}
			s.lineEvent(n, flow.LineTimer)
		}
	case timerAsk:
		s.askExpired(index, gen)
	}
}

func (s *Shard) timedOut(sl *slot) {
	ev := flow.Event{Kind: flow.Expired, Now: s.now}
	if n := sl.line; n != nil && n.Use == sl.use && n.Calling() {
		ev.Deny = txn.LinkDown
	}
	s.expireSlot(sl, ev)
}

func (s *Shard) expireSlot(sl *slot, ev flow.Event) {
	s.leave(sl, missed)
	s.countTimeout(sl)
	s.pending.end(sl.ID, wasExpired)
	s.run(sl, ev)
}

func (s *Shard) arm(t *timeout.Token, at int64, id uint64) { *t = s.wheel.Arm(at, id) }

// markEvery is how often the recovery point moves, at the least.
const markEvery = int64(time.Second)

// mark writes where a restart has to begin to read: at the oldest intent in
// flight. What came before has ended, and is found by the index.
func (s *Shard) mark() {
	if s.now-s.marked < markEvery || !s.log.Staged() {
		return
	}
	s.marked = s.now
	s.markDay()
	from := s.newest
	for i := range s.slots {
		if sl := &s.slots[i]; (sl.State == flow.Waiting || sl.State == flow.Writing) && sl.intent != 0 && sl.intent < from {
			from = sl.intent
		}
	}
	s.log.Mark(s.uncountedFrom(from), s.lastID+1)
}

// showEvery is how often the picture for the console is made anew.
const showEvery = int64(250 * time.Millisecond)

// next is when the shard wants the next Tick at the latest.
func (s *Shard) next() int64 {
	at := s.shown + showEvery
	if t, ok := s.wheel.Next(); ok {
		at = min(at, t)
	}
	if t, ok := s.owed.Next(s.now); ok {
		at = min(at, t)
	}
	if t := s.pool.Wait(s.now); t != 0 {
		at = min(at, t)
	}
	return at
}
