package engine

import (
	"strings"
	"testing"

	"tongka/translate"
	"tongka/txn"
)

func (l *watchedLog) Lookup(key, dst []byte) ([]byte, bool, error) {
	l.looks = append(l.looks, string(key))
	return l.Log.Lookup(key, dst)
}

// looked counts the keys with a prefix that were looked up since the last time.
func (w *world) looked(prefix string) (n int) {
	for _, key := range w.log.looks {
		if strings.HasPrefix(key, prefix) {
			n++
		}
	}
	w.log.looks = nil
	return n
}

// A batch that a terminal begins after others in the same life is empty without a look at
// the store, even if somebody once set its number back; and it is what it was after a crash.
func TestABatchBeginsEmpty(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sells(bank, 7, 100)
	old := &totals{batch: nextBatch(nextBatch(1)), sums: [2]translate.Sums{debits(9, 900)}}
	var term txn.Terminal
	for id := range w.shard.histories {
		term = id
	}
	w.log.Put(totalsKey(nil, &term, old.batch), appendTotals(nil, old))
	w.pass(0)
	w.looked("")
	for p.signIn(); p.batch != "000003"; p.signIn() {
	}
	p.sells(bank, 8, 250)
	w.want("looks for totals", w.looked(totalsPrefix), 0)
	w.crash()
	p.id = w.connect(-1)
	code, got := p.settles(9, p.batch, debits(1, 250), translate.Sums{})
	w.want("settled after a crash", code+got[30:31], "001")
	if w.looked(totalsPrefix) == 0 {
		t.Error("an older life's batch was not looked for")
	}
}

// While a batch lives, another sign-in of the same number, or a return to an older batch,
// does not make it empty.
func TestABatchThatIsUsedIsLookedFor(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sells(bank, 7, 100)
	p.signIn()
	p.sells(bank, 8, 250)
	var of txn.Terminal
	for id := range w.shard.histories {
		of = id
	}
	h := w.shard.histories[of]
	used := h.batch
	w.shard.begins(h, &of, used) // two sign-ins were with a module at once
	w.pass(0)
	w.want("the batch", w.shard.totalsOf(h, &of, used).sums[0], debits(1, 250))
	h.totals = nil // trimmed, as far as the store has it
	w.shard.begins(h, &of, used)
	w.shard.begins(h, &of, used-1)
	w.want("begun", h.begun, uint32(0))
}

// The chain of a sale that nobody has touched is not looked for; that of one that was
// touched is, and after a crash both.
func TestChainsOfThisLife(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	for trace := range uint64(3) {
		p.approved(bank, 7+trace, 1000)
	}
	w.looked("")
	w.want("refund", p.through(bank, refund(20, 7, 600), "00"), "00")
	w.want("looks for chains", w.looked("chain/"), 0)
	w.want("too much", p.through(bank, refund(21, 7, 600), "00") == "00", false)
	w.want("looks at a chain", w.looked("chain/") > 0, true)
	w.crash()
	bank = w.bankUp(0)
	p.id = w.connect(-1)
	w.looked("")
	w.want("too much after a crash", p.through(bank, refund(22, 7, 600), "00") == "00", false)
	w.want("the rest", p.through(bank, refund(23, 7, 400), "00"), "00")
	w.want("the other", p.through(bank, refund(24, 8, 1000), "00"), "00")
	w.want("looks", w.looked("chain/") >= 3, true)
	w.want("a share of the table", w.shard.chained.may(w.shard.lastID+chainedBits), w.shard.chained.may(w.shard.lastID))
}
