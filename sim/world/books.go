package world

import (
	"fmt"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/journal"
	"tongka/txn"
)

// books is what is on disk, as far as bytes that leave depend on it.
type books struct {
	intents  map[uint64]bool // by the last nine digits of the number
	outcomes map[uint64]txn.Code
	offered  map[uint64]bool   // reversals that have left before
	settled  map[uint64]bool   // of these, whose end is on disk
	newest   map[string]uint64 // of each bank and card, the reversal that left last
	view     iso8583.View
}

const span = 1_000_000_000

func newBooks() books {
	return books{intents: map[uint64]bool{}, outcomes: map[uint64]txn.Code{}, offered: map[uint64]bool{}, settled: map[uint64]bool{}, newest: map[string]uint64{}}
}

// durable notes a record that is on disk now.
func (b *books) durable(s *stagedFact) {
	switch s.kind {
	case journal.Intent:
		b.intents[uint64(s.id)%span] = true
	case journal.Outcome:
		b.outcomes[uint64(s.id)%span] = s.code
	case journal.Owing: // nobody here holds a debt, and none is parked
		b.settled[uint64(s.id)%span] = true
	}
}

// leaves holds a message against the disk: no request that moves money without
// its intent, no approval without its outcome.
func (b *books) leaves(l *wire, frame []byte) {
	spec, toBank := iso8583.Pos(), l.framing == conn.ASCII4
	if toBank {
		spec = iso8583.Cups()
	}
	var env iso8583.Envelope
	msg, err := spec.Split(frame, &env)
	if err == nil {
		err = spec.Parse(&b.view, msg)
	}
	if err != nil {
		l.w.violate("readable", "the switch sends %x: %v", frame, err)
		return
	}
	v := &b.view
	number := uint64(0)
	for _, c := range v.Field(37) {
		number = (number*10 + uint64(c-'0')) % span
	}
	proc, _ := v.Uint(3)
	switch mti := v.MTI(); {
	case toBank && (mti == 0x0200 || mti == 0x0220 || mti == 0x0100) && proc/10000 != 31:
		if !b.intents[number] {
			l.w.violate("no-forward-without-intent", "%v of %d", mti, number)
		}
	case toBank && (mti == 0x0420 || mti == 0x0421):
		if mti == 0x0420 && b.offered[number] {
			l.w.violate("repeat-says-so", "the reversal of %d leaves again as new", number)
		}
		b.offered[number] = true
		card := fmt.Sprintf("%d %s", l.peer.(*issuer).index, v.AppendText(nil, 2))
		if before, ok := b.newest[card]; ok && before != number && !b.settled[before] {
			l.w.violate("per-card-order", "the reversal of %d leaves before that of %d of the same card is settled", number, before)
		}
		b.newest[card] = number
	case !toBank && string(v.Field(39)) == "00" && (mti == 0x0210 || mti == 0x0230 || mti == 0x0110 || mti == 0x0410):
		if code, ok := b.outcomes[number]; !ok || code != txn.OK {
			l.w.violate("no-answer-without-outcome", "%v of %d", mti, number)
		}
	}
}

// compare holds what the terminals believe against what the banks hold: each
// transaction ends in exactly one way, and both sides say the same.
func (w *world) compare() {
	held := map[string]int{}
	for _, k := range w.issuers {
		for _, r := range k.rows {
			if r.booked && !r.reversed {
				held[r.key]++
			}
		}
	}
	believed := map[string]int{}
	for _, t := range w.tills {
		for _, j := range t.all {
			switch {
			case j.kind == balance, j.kind == load: // the card says how that ended
			case j.state == sent || j.state == reversing:
				w.violate("ends-in-exactly-one", "till %d: %s %d is still %s", t.index, kindNames[j.kind], j.id, beliefNames[j.state])
			case j.state == approved:
				believed[j.key(t)]++
			}
		}
	}
	w.compareChains()
	for _, t := range w.tills {
		for _, j := range t.all {
			if key := j.key(t); j.kind != load && held[key] != believed[key] {
				w.violate("ledger-equals-terminals", "till %d: %s %d of %d fen is %s (F39 %s): the bank holds %d of these, the terminals say %d",
					t.index, kindNames[j.kind], j.id, j.amount, beliefNames[j.state], j.code, held[key], believed[key])
			}
		}
	}
	if w.proc == nil {
		w.violate("zero-when-idle", "no process runs at the end")
		return
	}
	s := w.proc.shard.Snapshot()
	switch {
	case s == nil:
		w.violate("zero-when-idle", "the switch never showed itself")
	case s.Owed != 0:
		w.violate("nothing-owed-forgotten", "%d debts are left when all is quiet", s.Owed)
	case s.InFlight != 0:
		w.violate("zero-when-idle", "%d transactions in flight when all is quiet", s.InFlight)
	}
}

// compareChains holds what was taken of each sale against the sale: no more than
// there was, and all of it at most once.
func (w *world) compareChains() {
	for _, t := range w.tills {
		taken := map[*job]uint64{}
		for _, j := range t.all {
			if j.orig != nil && j.state == approved {
				taken[j.orig] += j.amount
			}
		}
		for _, j := range t.all {
			if taken[j] > j.amount {
				w.violate("no-more-than-there-was", "till %d: sale %d of %d fen, and %d were given back", t.index, j.id, j.amount, taken[j])
			}
		}
	}
}
