package engine

import (
	"encoding/binary"
	"slices"

	"go.uber.org/zap"

	"tongka/fault"
	"tongka/flow"
	"tongka/hsm"
	"tongka/registry"
	"tongka/translate"
	"tongka/txn"
)

// dayWork is what a settlement, an upload or a download has come to before it is
// decided.
type dayWork struct {
	f48     []byte // digits of the answer
	f62     []byte // or a block of a download
	verdict [2]translate.Verdict
	seen    upload
	faults  []byte // stored forms of BatchFault
	offline *offlineWork
	// A master key that is made or taken, and what it is sent under.
	key       *registry.KeyLoad
	transport hsm.Key
}

// newKeys begins what a sign-in makes: how many keys, and how long.
func (s *Shard) newKeys(sl *slot) *newKeys {
	k := &newKeys{session: s.newSession(sl), pik: 16, mak: 16, makSize: 16}
	switch {
	case sl.echo.Net() == translate.SM4Keys: // all of 16 bytes
	case sl.echo.Net() == translate.SingleKeys:
		k.pik, k.mak, k.makSize = 8, 8, 8
	case slices.Contains(s.cfg.Day.ShortMAK, sl.term.Group):
		k.makSize = 8
	}
	if sl.HasTDK {
		k.tdk = 16
	}
	return k
}

// signOut ends a terminal's session: its keys serve no more. The record is there
// already; with no session there is nothing to end.
func (s *Shard) signOut(sl *slot) {
	if sl.sess == nil || !s.current(sl) {
		return
	}
	ended := *sl.sess
	ended.Until = s.now
	s.keepSession(sl, &ended)
	s.stats.SignOffs++
}

// current says that nobody has signed in under a terminal's name since the request
// came: a security module may have had it for a while.
func (s *Shard) current(sl *slot) bool {
	t := s.reg.Snapshot().Terminal(&sl.Terminal)
	return t != nil && t.Last() == sl.sess
}

// keepSession puts another session in the place of a terminal's, in the batch of
// this turn.
func (s *Shard) keepSession(sl *slot, session *registry.Session) {
	s.aux = registry.AppendSession(s.aux[:0], &sl.Terminal, session)
	s.log.Put(sessionKey(s.keyBuf[:0], &sl.Terminal), s.aux)
	s.reg.Install(sl.term, session)
}

// addUp compares the totals that a terminal has of a batch with ours. While
// anything of the terminal is under way, nobody can say what they are.
func (s *Shard) addUp(sl *slot) flow.Event {
	ev := flow.Event{Kind: flow.Found, Fate: flow.Known, Now: s.now}
	if !s.viewOf(sl) {
		ev.Deny = txn.SystemFault
		return ev
	}
	theirs, err := translate.ReadTotals(s.view)
	switch {
	case err != nil:
		s.refusedLine(sl, err.Error())
		ev.Deny = txn.BadFormat
		return ev
	case sl.Batch > sl.sess.Batch && sl.Batch-sl.sess.Batch < lastBatch/2:
		ev.Deny = txn.SignInAgain // there was no such batch
		return ev
	case s.underWay(sl):
		ev.Deny = txn.InProgress
		return ev
	}
	t := s.totalsOf(sl.hist, &sl.Terminal, sl.Batch)
	w := &dayWork{verdict: [2]translate.Verdict{translate.Equal, translate.Equal}}
	sl.day = w
	if t.broken {
		w.verdict = [2]translate.Verdict{translate.Failed, translate.Failed}
		w.f48 = translate.AppendTotals(nil, &theirs, w.verdict)
		ev.Deny = txn.SystemFault
		return ev
	}
	for i := range theirs {
		if theirs[i] != t.sums[i] {
			w.verdict[i] = translate.Unequal
		}
	}
	w.f48 = translate.AppendTotals(nil, &t.sums, w.verdict)
	return ev
}

const lastBatch = 999_999

// underWay says that another request of the terminal that moves money has not come
// to its end. All slots are looked at only when the terminal has another request.
func (s *Shard) underWay(sl *slot) bool {
	for i := 0; i < len(s.slots) && sl.hist.taken > 1; i++ {
		o := &s.slots[i]
		if o != sl && (o.State == flow.Waiting || o.State == flow.Securing) && o.Terminal == sl.Terminal && flow.MovesMoney(o.Kind) {
			return true
		}
	}
	return false
}

// closeBatch keeps the verdict on a batch. The session's own batch is over with
// it: the terminal goes on with the next one, or signs in.
func (s *Shard) closeBatch(sl *slot) {
	t := s.totalsOf(sl.hist, &sl.Terminal, sl.Batch)
	t.verdict = sl.day.verdict
	s.store(&sl.Terminal, t)
	s.stats.BatchesSettled++
	if t.verdict != [2]translate.Verdict{translate.Equal, translate.Equal} {
		s.stats.BatchesUnequal++
		s.zap.Warn("batch does not balance", fault.Field(fault.BatchUnequal), zap.ByteString("merchant", sl.Terminal.Merchant[:]),
			zap.ByteString("terminal", sl.Terminal.Number[:]), zap.Uint32("batch", sl.Batch))
	}
	if sl.sess.Batch == sl.Batch && s.current(sl) {
		next := *sl.sess
		next.Batch = nextBatch(sl.Batch)
		s.keepSession(sl, &next)
		s.begins(sl.hist, &sl.Terminal, next.Batch)
	}
}

func nextBatch(b uint32) uint32 { return b%lastBatch + 1 }

// keptBatches is how many batches of a terminal the store keeps the totals of.
const keptBatches = 64

// begins removes what is kept of the batch that is too old when a new one begins. The new
// one's totals need not be asked for when its number is above all that the terminal used
// in this life: nothing is stored under it, and what an older life may have left, before
// somebody set the number back, goes with the old one's.
func (s *Shard) begins(h *history, of *txn.Terminal, batch uint32) {
	old := (batch+lastBatch-1-keptBatches)%lastBatch + 1
	s.log.Delete(totalsKey(s.keyBuf[:0], of, old))
	if h.batch != 0 && batch > h.batch && h.batchAtHand(batch) == nil {
		s.log.Delete(totalsKey(s.keyBuf[:0], of, batch))
		h.begun = batch
	}
}

// matchItems compares each item of an upload with the journal.
func (s *Shard) matchItems(sl *slot) flow.Event {
	ev := flow.Event{Kind: flow.Found, Fate: flow.Known, Now: s.now}
	if !s.viewOf(sl) {
		ev.Deny = txn.SystemFault
		return ev
	}
	var u translate.Upload
	if err := translate.ReadUpload(s.view, &sl.echo, &u); err != nil {
		s.refusedLine(sl, err.Error())
		ev.Deny = txn.BadFormat
		return ev
	}
	if u.Records != nil {
		ev.Deny = s.takeOffline(sl, &u)
		return ev
	}
	t := s.totalsOf(sl.hist, &sl.Terminal, sl.Batch)
	if t.broken {
		ev.Deny = txn.SystemFault
		return ev
	}
	w := &dayWork{seen: upload{items: uint32(u.Items)}}
	sl.day = w
	if u.End && u.Count != int(t.seen.items) {
		w.fault(&BatchFault{Why: WrongCount, Theirs: int64(u.Count), Ours: int64(t.seen.items)})
	}
	for i := range u.Items {
		f, err := s.match(sl, &u.Item[i])
		if err != nil {
			s.zap.Error("journal not read", fault.Field(fault.JournalUnread), zap.Error(err))
			ev.Deny = txn.SystemFault
			return ev
		}
		if f.Why != Matches {
			w.fault(&f)
		}
	}
	return ev
}

func (w *dayWork) fault(f *BatchFault) {
	w.faults = appendFault(w.faults, f)
	w.seen.faults++
}

// uploaded are the types of request that an item can have been.
var uploaded = [...]uint16{0x0200, 0x0220, 0x0100}

// match holds one item against the journal.
func (s *Shard) match(sl *slot, it *translate.Item) (f BatchFault, err error) {
	f = BatchFault{Why: NotFound, Trace: it.Trace, PAN: it.PAN, Theirs: it.Amount}
	of := txn.Facts{Terminal: sl.Terminal, Batch: sl.Batch, Trace: it.Trace}
	for _, of.MTI = range uploaded {
		r, ok, err := s.known(sl.hist, &of)
		if err != nil {
			return f, err
		}
		if _, live := r.live(); !ok || live || r.lsn() == 0 {
			continue
		}
		if !s.get(r.lsn()) {
			return f, errUnread
		}
		ours := &s.rec.Facts
		f.Ours = ours.Amount
		switch {
		case ours.PAN.Len() > 0 && rightAligned(&ours.PAN) != it.PAN:
			f.Why = OtherCard
		case r.result() != txn.Approved:
			f.Why = NotApproved
		case ours.Amount != it.Amount:
			f.Why = OtherAmount
		default:
			f.Why = Matches
		}
		return f, nil
	}
	return f, nil
}

// rightAligned writes a card number as an item has it.
func rightAligned(p *txn.PAN) (d [20]byte) {
	for i := range d {
		d[i] = '0'
	}
	p.AppendDigits(d[len(d)-p.Len() : len(d)-p.Len()])
	return d
}

// mostFaults bounds what one batch leaves on disk: as many as a batch can hold.
const mostFaults = 2000

// noteItems keeps what an upload's items were found to be.
func (s *Shard) noteItems(sl *slot) {
	if sl.day.offline != nil {
		s.noteOffline(sl)
		return
	}
	t := s.totalsOf(sl.hist, &sl.Terminal, sl.Batch)
	w := sl.day
	t.seen.items += w.seen.items
	t.seen.faults += w.seen.faults
	s.stats.BatchItems += uint64(w.seen.items)
	s.stats.BatchFaults += uint64(w.seen.faults)
	if len(t.faults)+len(w.faults) <= mostFaults*faultSize {
		t.faults = append(t.faults, w.faults...)
	}
	s.store(&sl.Terminal, t)
}

// Why says what is wrong with an item of a batch upload.
type Why uint8

// Reasons.
const (
	Matches Why = iota
	NotFound
	OtherCard
	OtherAmount
	NotApproved
	WrongCount // the end of an upload says another number of items than came
)

var whyWords = [...]txn.Words{{ZH: "相符", EN: "matches"}, {ZH: "无此交易", EN: "not found"}, {ZH: "卡号不符", EN: "other card"},
	{ZH: "金额不符", EN: "other amount"}, {ZH: "我方未成功或已冲正", EN: "not approved, or reversed"}, {ZH: "上送笔数不符", EN: "wrong count"}}

// Words gives the reason's meaning.
func (w Why) Words() txn.Words {
	if int(w) < len(whyWords) {
		return whyWords[w]
	}
	return txn.Words{ZH: "未知", EN: "unknown"}
}

// BatchFault is one item of a batch upload that the journal does not bear out.
type BatchFault struct {
	Why    Why
	Trace  uint32
	PAN    [20]byte // digits, right aligned, zeros before them
	Theirs int64    // fen, or items
	Ours   int64
}

// The stored form, little endian: why:1 trace:4 pan:20 theirs:8 ours:8.
const faultSize = 1 + 4 + 20 + 8 + 8

func appendFault(dst []byte, f *BatchFault) []byte {
	dst = append(dst, byte(f.Why))
	dst = binary.LittleEndian.AppendUint32(dst, f.Trace)
	dst = append(dst, f.PAN[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.Theirs))
	return binary.LittleEndian.AppendUint64(dst, uint64(f.Ours))
}

func readFault(b []byte) BatchFault {
	le := binary.LittleEndian
	return BatchFault{Why(b[0]), le.Uint32(b[1:]), [20]byte(b[5:25]), int64(le.Uint64(b[25:])), int64(le.Uint64(b[33:]))}
}
