package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"tongka/fault"
	"tongka/flow"
	"tongka/journal"
	"tongka/router"
	"tongka/translate"
	"tongka/txn"
)

// What a batch comes to is kept with the history of its terminal. A sale only
// adds to it, in memory: its record is the truth, and what was added since the
// stored form was written is added again from the records after a crash. So
//
//   - the stored form says up to which record it has counted (upto);
//   - the recovery point stays at or before the first record that some stored form
//     has not counted (first), for which those wait in a queue in that order;
//   - what a record alone does not tell (a void, a reversal, a settlement) is
//     written through, in the batch of that record.
//
// Stored forms that wait long enough go into the batch of a turn that writes
// anyhow, a few at a time.

// totals is one batch of one terminal. A class of cards is 0, this country's, or
// 1, another's.
type totals struct {
	next    *totals // of an older batch
	batch   uint32
	sums    [2]translate.Sums
	upto    journal.LSN
	first   journal.LSN // 0: the stored form is complete
	verdict [2]translate.Verdict
	seen    upload
	faults  []byte // stored forms of BatchFault
	turn    uint64 // in which it was stored last
	broken  bool   // the stored form could not be read: nobody knows
}

// upload counts the items of a batch upload.
type upload struct{ items, faults uint32 }

// waiting is a place in the queue of what is to be stored.
type waiting struct {
	of    txn.Terminal
	t     *totals
	first journal.LSN
	at    int64
}

// side says where a kind is counted. Source: UnionPay direct POS terminal
// specification, batch settlement: sales and completions are debits; refunds,
// voids and loads are credits; nothing else is counted.
type side int8

const (
	uncounted side = iota
	debit
	credit
)

var sides = [txn.Kinds]side{txn.Sale: debit, txn.Completion: debit, txn.CompletionAdvice: debit,
	txn.Refund: credit, txn.Void: credit, txn.CompletionVoid: credit,
	txn.LoadAccount: credit, txn.LoadCash: credit, txn.LoadOther: credit}

// add counts a transaction, or with sign -1 takes it out again.
func (t *totals) add(k txn.Kind, class int, amount int64, sign int) {
	s := &t.sums[class]
	switch sides[k] {
	case debit:
		s.Debit += int64(sign) * amount
		s.Debits += sign
	case credit:
		s.Credit += int64(sign) * amount
		s.Credits += sign
	}
}

// class tells cards of this country from others.
func (s *Shard) class(pan *txn.PAN) int {
	if len(s.cfg.Day.Foreign) == 0 || pan.Len() == 0 {
		return 0
	}
	p := pan.Prefix()
	for _, r := range s.cfg.Day.Foreign {
		if r.Lo <= p && p <= r.Hi {
			return 1
		}
	}
	return 0
}

// tally counts an approved transaction whose outcome has just been staged.
func (s *Shard) tally(sl *slot) {
	f := &sl.Facts
	switch {
	case f.Kind == txn.Reversal:
		s.untally(sl)
		return
	case sides[f.Kind] == uncounted && !voids(f.Kind):
		return
	}
	t := s.totalsOf(sl.hist, &f.Terminal, f.Batch)
	t.add(f.Kind, s.class(&f.PAN), f.Amount, 1)
	if voids(f.Kind) {
		s.voided(t, f.Kind, sl.Ref, -1)
		s.store(&f.Terminal, t)
		return
	}
	s.counted(&f.Terminal, t)
}

// untally takes a transaction out of its batch that its terminal has reversed.
func (s *Shard) untally(sl *slot) {
	o := sl.Ref
	if o == nil || o.Result != txn.Approved || sides[o.Kind] == uncounted && !voids(o.Kind) {
		return
	}
	t := s.totalsOf(sl.hist, &o.Terminal, o.Batch)
	t.add(o.Kind, s.class(&o.PAN), o.Amount, -1)
	if voids(o.Kind) {
		s.voided(t, o.Kind, o, 1)
	}
	s.store(&o.Terminal, t)
}

func voids(k txn.Kind) bool { return k == txn.Void || k == txn.CompletionVoid || k == txn.LoadVoid }

// voided takes what was voided out of the batch, or back: the amount and the batch
// are the void's own, and it may name one kind only.
func (s *Shard) voided(t *totals, k txn.Kind, f *flow.Ref, sign int) {
	if s.cfg.Day.CountVoided || f == nil {
		return
	}
	t.add(flow.MayName(k)[0], s.class(&f.PAN), f.Amount, sign)
}

// counted notes that the newest record is counted, and not stored.
func (s *Shard) counted(of *txn.Terminal, t *totals) {
	t.upto = s.newest
	if t.first == 0 {
		t.first = s.newest
		s.unstored = append(s.unstored, waiting{*of, t, t.first, s.now})
	}
}

// store writes totals through, with all that the newest record says.
func (s *Shard) store(of *txn.Terminal, t *totals) {
	if t.broken {
		return
	}
	t.upto, t.first, t.turn = max(t.upto, s.newest), 0, s.turns
	s.aux = appendTotals(s.aux[:0], t)
	s.log.Put(totalsKey(s.keyBuf[:0], of, t.batch), s.aux)
}

const (
	// storeAfter is how long totals wait, so that a busy terminal's are written once
	// for many sales. It is also about what a restart reads again.
	storeAfter = int64(30 * time.Second)
	storeMost  = 4 // at a time; more when the queue is late
)

// storeTotals writes those that have waited long enough into a turn that writes
// anyhow.
func (s *Shard) storeTotals() {
	if len(s.unstored) == s.storedTo || !s.log.Staged() {
		return
	}
	for n := 0; s.storedTo < len(s.unstored); {
		w := &s.unstored[s.storedTo]
		age := s.now - w.at
		if w.t.first == w.first && (age < storeAfter || n >= storeMost && age < 2*storeAfter || n >= 16*storeMost) {
			break
		}
		if w.t.first == w.first { // else it was written through, and may wait again
			s.store(&w.of, w.t)
			n++
		}
		w.t = nil
		s.storedTo++
	}
	// The queue is moved to its beginning when half of it is done, so it costs what
	// it holds and not what it held.
	if s.storedTo > len(s.unstored)/2 {
		s.unstored = s.unstored[:copy(s.unstored, s.unstored[s.storedTo:])]
		s.storedTo = 0
	}
}

// uncountedFrom is the first record that no stored form has counted; otherwise
// when there is none.
func (s *Shard) uncountedFrom(otherwise journal.LSN) journal.LSN {
	for i := s.storedTo; i < len(s.unstored); i++ {
		if w := &s.unstored[i]; w.t.first == w.first {
			return min(otherwise, w.first)
		}
	}
	return otherwise
}

// recount adds a record that a restart reads to the totals that lack it.
func (s *Shard) recount(lsn journal.LSN, r *journal.Record) {
	f := &r.Facts
	if r.Kind != journal.Outcome || f.Result != txn.Approved || sides[f.Kind] == uncounted {
		return
	}
	t := s.totalsOf(s.historyOf(&f.Terminal), &f.Terminal, f.Batch)
	if lsn <= t.upto {
		return
	}
	t.add(f.Kind, s.class(&f.PAN), f.Amount, 1)
	s.counted(&f.Terminal, t)
}

// atHand is how many batches of a terminal are kept in memory at least.
const atHand = 2

// totalsOf gives the totals of a batch, read from the store when they are not at
// hand; those of a batch that has none are zero.
func (s *Shard) totalsOf(h *history, of *txn.Terminal, batch uint32) *totals {
	if t := h.batchAtHand(batch); t != nil {
		return t
	}
	t := &totals{batch: batch, next: h.totals}
	if batch == h.begun {
		h.begun = 0
	} else if err := s.readTotals(of, t); err != nil {
		t.broken = true
		s.zap.Error("totals of a batch not read", fault.Field(fault.TotalsUnread), zap.ByteString("terminal", of.Number[:]), zap.Uint32("batch", batch), zap.Error(err))
	}
	h.totals = t
	s.trim(h)
	return t
}

func (h *history) batchAtHand(batch uint32) *totals {
	for t := h.totals; t != nil; t = t.next {
		if t.batch == batch {
			return t
		}
	}
	return nil
}

// readTotals takes what is stored of t's batch, which may be nothing.
func (s *Shard) readTotals(of *txn.Terminal, t *totals) error {
	b, ok, err := s.log.Lookup(totalsKey(s.keyBuf[:0], of, t.batch), s.looked[:0])
	s.looked = b
	if err != nil || !ok {
		return err
	}
	return readTotals(b, t)
}

// trim forgets old batches. What this turn has written cannot be read again before
// its commit, and what waits for the store is not there at all: those stay.
func (s *Shard) trim(h *history) {
	n := 0
	for at := &h.totals; *at != nil; {
		t := *at
		if n++; n > atHand && t.first == 0 && t.turn != s.turns {
			*at = t.next
			continue
		}
		at = &t.next
	}
}

const totalsPrefix = "totals/"

func totalsKey(dst []byte, of *txn.Terminal, batch uint32) []byte {
	dst = append(dst, totalsPrefix...)
	dst = append(append(dst, of.Merchant[:]...), of.Number[:]...)
	return binary.BigEndian.AppendUint32(dst, batch)
}

// The stored form of totals, little endian, and then the faults:
//
//	version:1 = 1 verdict:1 verdict:1 upto:8 items:4 faults:4 (debit:8 credit:8 debits:4 credits:4) twice
const (
	totalsVersion = 1
	totalsHead    = 1 + 2 + 8 + 4 + 4 + 2*(8+8+4+4)
)

var errTotalsForm = errors.New("stored totals of a batch")

func appendTotals(dst []byte, t *totals) []byte {
	le := binary.LittleEndian
	dst = append(dst, totalsVersion, byte(t.verdict[0]), byte(t.verdict[1]))
	dst = le.AppendUint64(dst, uint64(t.upto))
	dst = le.AppendUint32(dst, t.seen.items)
	dst = le.AppendUint32(dst, t.seen.faults)
	for i := range t.sums {
		s := &t.sums[i]
		dst = le.AppendUint64(dst, uint64(s.Debit))
		dst = le.AppendUint64(dst, uint64(s.Credit))
		dst = le.AppendUint32(dst, uint32(int32(s.Debits)))
		dst = le.AppendUint32(dst, uint32(int32(s.Credits)))
	}
	return append(dst, t.faults...)
}

// readTotals is the inverse; the error names the byte.
func readTotals(b []byte, t *totals) error {
	switch {
	case len(b) < totalsHead || (len(b)-totalsHead)%faultSize != 0:
		return fmt.Errorf("%w: byte %d: cut short", errTotalsForm, len(b))
	case b[0] != totalsVersion:
		return fmt.Errorf("%w: byte 0: version %d, want %d", errTotalsForm, b[0], totalsVersion)
	}
	le := binary.LittleEndian
	t.verdict = [2]translate.Verdict{translate.Verdict(b[1]), translate.Verdict(b[2])}
	t.upto = journal.LSN(le.Uint64(b[3:]))
	t.seen = upload{le.Uint32(b[11:]), le.Uint32(b[15:])}
	for i := range t.sums {
		p := b[19+24*i:]
		t.sums[i] = translate.Sums{Debit: int64(le.Uint64(p)), Credit: int64(le.Uint64(p[8:])),
			Debits: int(int32(le.Uint32(p[16:]))), Credits: int(int32(le.Uint32(p[20:])))}
	}
	if len(b) > totalsHead {
		t.faults = append([]byte(nil), b[totalsHead:]...)
	}
	return nil
}

// Day is what terminals' days are run by.
type Day struct {
	// Foreign are the ranges of cards that count as another country's.
	Foreign []router.Range
	// CountVoided leaves what was voided where it was counted; the void of a sale or
	// completion is a credit in any case.
	CountVoided bool
	// ShortMAK are the groups of terminals whose MAC key is 8 bytes long.
	ShortMAK []uint16
	// Downloads are what terminals load; of two that fit one terminal, the first.
	Downloads []Download
	// Signals begin F62 of a download's answer.
	Signals Signals
	// Keys are the codes of downloads of master keys; empty: the usual ones.
	Keys KeyCodes
}
