package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"tongka/journal"
	"tongka/translate"
	"tongka/txn"
)

// Batch is what is stored of one batch of a terminal.
type Batch struct {
	Terminal txn.Terminal
	Number   uint32
	Sums     [2]translate.Sums    // cards of this country, and others
	Verdict  [2]translate.Verdict // zero: not settled
	Items    uint32               // that were uploaded
	Faults   []BatchFault
}

// Balanced says that nobody has to look at the batch.
func (b *Batch) Balanced() bool {
	ok := func(v translate.Verdict) bool { return v == 0 || v == translate.Equal }
	return ok(b.Verdict[0]) && ok(b.Verdict[1]) && len(b.Faults) == 0
}

// Card is the item's card number; the zero PAN when it is none.
func (f *BatchFault) Card() txn.PAN {
	p, err := txn.ParsePAN(bytes.TrimLeft(f.PAN[:], "0"))
	if err != nil {
		return txn.PAN{}
	}
	return p
}

// EachBatch gives the stored batches in the order of terminals and numbers, in
// any goroutine. The figures of a batch that is not settled may be half a minute
// old. It ends at the first error of f and gives that one.
func EachBatch(r *journal.Reader, f func(*Batch) error) error {
	return r.Each([]byte(totalsPrefix), func(key, plain []byte) error {
		var b Batch
		var t totals
		id := key[len(totalsPrefix):]
		if len(id) != len(b.Terminal.Merchant)+len(b.Terminal.Number)+4 {
			return fmt.Errorf("%w: key %q", errTotalsForm, key)
		}
		id = id[copy(b.Terminal.Merchant[:], id):]
		id = id[copy(b.Terminal.Number[:], id):]
		if err := readTotals(plain, &t); err != nil {
			return err
		}
		b.Number, b.Sums, b.Verdict, b.Items = binary.BigEndian.Uint32(id), t.sums, t.verdict, t.seen.items
		for p := t.faults; len(p) > 0; p = p[faultSize:] {
			b.Faults = append(b.Faults, readFault(p))
		}
		return f(&b)
	})
}
