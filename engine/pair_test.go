package engine

import (
	"fmt"
	"slices"
	"testing"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/txn"
)

// Requests of one turn are verified in pairs: each gets its own verdict, in the
// order in which they came, also the one that is left over.
func TestEachOfATurnGetsItsOwnVerdict(t *testing.T) {
	const terminals = 5
	for bad := range 1 << terminals {
		w := newWorld(t)
		bank := w.bankUp(0)
		p := w.terminal()
		for i := range uint64(terminals) {
			mak := p.mak
			if bad>>i&1 == 1 {
				mak = p.pik
			}
			p.send(0x0200, mak, p.money(10+i, 100+i, false, ""))
		}
		w.pass(0)
		var refused, passed []string
		for _, b := range w.take(p.id, conn.Binary2) {
			v := w.parse(iso8583.Pos(), b)
			w.want("F39", string(v.Field(39)), string(txn.BadMAC[:]))
			refused = append(refused, string(v.AppendText(nil, 11)))
		}
		for _, b := range w.take(bank, conn.ASCII4) {
			passed = append(passed, string(w.parse(iso8583.Cups(), b).AppendText(nil, 4)))
		}
		var wantRefused, wantPassed []string
		for i := range terminals {
			if bad>>i&1 == 1 {
				wantRefused = append(wantRefused, fmt.Sprintf("%06d", 10+i))
			} else {
				wantPassed = append(wantPassed, fmt.Sprintf("%012d", 100+i))
			}
		}
		if !slices.Equal(refused, wantRefused) || !slices.Equal(passed, wantPassed) {
			t.Fatalf("bad %05b: refused %v, want %v; forwarded %v, want %v", bad, refused, wantRefused, passed, wantPassed)
		}
	}
}
