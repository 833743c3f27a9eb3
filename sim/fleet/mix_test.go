package fleet

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"tongka/hsm"
	"tongka/sim/book"
	"tongka/txn"
)

func TestParseMix(t *testing.T) {
	m, err := ParseMix("void=0.25,tip=0.5")
	if err != nil || m[txn.Void] != 0.25 || m[txn.Tip] != 0.5 {
		t.Errorf("%v %v", m, err)
	}
	if m, err := ParseMix("usual"); err != nil || len(m) != len(forms)-1 {
		t.Errorf("%v %v", m, err)
	}
	if m, err := ParseMix(""); m != nil || err != nil {
		t.Errorf("%v %v", m, err)
	}
	for text, says := range map[string]string{"void": `"void"`, "void=x": `"void=x"`, "vid=0.1": `"vid=0.1"`, "void=0.1,void=0.1": "each kind once", "=": `"="`,
		"void=0.6,tip=0.6": "come to 1.2", "void=-1": "wanted 0 to 1", "void=NaN": "wanted 0 to 1", "settle=0.1": "does not do settle", "sale=1": "does not do sale"} {
		if _, err := ParseMix(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
	if _, err := New(Config{Addr: "x", Terminals: terminals(1), Mix: Mix{txn.Void: math.Inf(1)}}); err == nil || !strings.Contains(err.Error(), "void") {
		t.Errorf("%v", err)
	}
}

// busy is a mix with few sales, so that a short run has all kinds.
var busy = Mix{txn.Void: 0.1, txn.Refund: 0.1, txn.PreAuth: 0.2, txn.PreAuthVoid: 0.05, txn.Completion: 0.1, txn.CompletionVoid: 0.05,
	txn.CompletionAdvice: 0.05, txn.Tip: 0.05, txn.OfflineSale: 0.05, txn.OfflineRefund: 0.05, txn.ScriptNotice: 0.05,
	txn.OfflineSettle: 0.05, txn.Adjust: 0.05}

// Every kind is played, each under a key of its own, in its own form and naming
// what was approved before.
func TestMixedRequests(t *testing.T) {
	f := newFake(t, hsm.UnionPay, friendly)
	fl := play(t, f, Config{Sales: 400, Mix: busy, PINShare: 0.5})
	sales := finish(t, fl)
	keys, amounts := map[book.SaleKey]bool{}, map[book.Kind]map[int64]bool{}
	for i := range sales {
		s := &sales[i]
		if keys[s.Key()] || s.State != book.Approved {
			t.Errorf("%+v: seen before %v", s, keys[s.Key()])
		}
		keys[s.Key()] = true
		if amounts[s.Kind] == nil {
			amounts[s.Kind] = map[int64]bool{}
		}
		amounts[s.Kind][s.Amount] = true
		if k := forms[kindOf(s)]; k.of != txn.Unknown {
			of := book.Kind("")
			if k.of != txn.Sale {
				of = book.Kind(k.of.String())
			}
			if !amounts[of][s.Of] {
				t.Errorf("%+v names no %v before it", s, k.of)
			}
		}
	}
	st := fl.Stats()
	for k := range busy {
		if n := len(amounts[book.Kind(k.String())]); n == 0 || st.Kinds[k] == 0 {
			t.Errorf("%v: %d in the book, %d counted", k, n, st.Kinds[k])
		}
	}
	usages := map[string]bool{}
	for _, r := range f.requests()[1:] {
		usages[r.mti.String()+r.f60[:2]] = true
		if told := strings.Contains("24 27 30 32 34 36", r.f60[:2]) || r.mti == 0x0620; !r.good || told && r.f52 != "" {
			t.Errorf("%s %s: MAC good %v, PIN %v", r.line(), r.f60, r.good, r.f52 != "")
		}
	}
	if len(usages) != len(forms) {
		t.Errorf("%d forms were seen: %v", len(usages), usages)
	}
}

// Whatever was not answered is taken back, in its own form; a notice of no money is
// given up. 22 says that it stands.
func TestMixedReversals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book.jsonl")
	f := newFake(t, hsm.UnionPay, func(r request) act {
		switch {
		case r.mti == 0x0400 && r.f60[:2] == "34":
			return act{code: "22"}
		case r.mti != 0x0400 && r.mti != 0x0800 && strings.Contains("23 25 20 34 36 24", r.f60[:2]), r.mti == 0x0620:
			return act{drop: true}
		}
		return friendly(r)
	})
	fl := play(t, f, Config{Sales: 150, Mix: busy, Books: path})
	sales := finish(t, fl)
	for i := range sales {
		s := &sales[i]
		want := book.Approved
		switch kindOf(s) {
		case txn.Void, txn.Refund, txn.Completion, txn.OfflineSale, txn.CompletionAdvice:
			want = book.Reversed
		case txn.ScriptNotice:
			want = book.Declined
		}
		if s.State != want {
			t.Errorf("%+v: want %s", s, want)
		}
	}
	asked := map[string]request{}
	for _, r := range f.requests() {
		if r.mti != 0x0400 {
			asked[r.trace] = r
		} else if o := asked[r.trace]; o.f60 != r.f60 || o.amount != r.amount || o.pan != r.pan {
			t.Errorf("%s takes back %s, which is another: %s %d, %s %d", r.line(), o.line(), r.f60, r.amount, o.f60, o.amount)
		}
	}
	if st := fl.Stats(); st.Unresolved != 0 || st.Reversed == 0 {
		t.Errorf("%+v", st)
	}
	// A fleet on the same book goes on behind it, and owes nothing.
	next, err := New(Config{Addr: "127.0.0.1:1", Terminals: terminals(1), Books: path})
	if err != nil {
		t.Fatal(err)
	}
	if term := next.terminals[0]; len(term.owed) != 0 || term.next <= sales[len(sales)-1].Number {
		t.Errorf("%d owed, next is %d", len(term.owed), term.next)
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
}

// A process that dies with a notice of no money open leaves nothing to take back: the
// next one gives it up, also in the book.
func TestKilledWithANoticeOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book.jsonl")
	b, _, err := book.OpenSales(path)
	if err != nil {
		t.Fatal(err)
	}
	owner := terminals(1)[0]
	s := book.Sale{Merchant: owner.Merchant, Terminal: owner.Number, Kind: "script-notice", Number: 7, Trace: 7, State: book.Open}
	if err := errors.Join(b.Add(&s), b.Close()); err != nil {
		t.Fatal(err)
	}
	next, err := New(Config{Addr: "127.0.0.1:1", Terminals: terminals(1), Books: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	kept, err := book.ReadSales(path)
	for _, got := range [][]book.Sale{next.Sales(), kept} {
		if err != nil || len(got) != 1 || got[0].State != book.Declined || got[0].Code != "98" {
			t.Errorf("%+v, %v", got, err)
		}
	}
}
