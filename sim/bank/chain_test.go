package bank

import (
	"path/filepath"
	"strings"
	"testing"

	"tongka/sim/book"
	"tongka/txn"
)

// naming is request number n of a kind, which names request number of.
func naming(n, of int, changes fields) fields {
	f := sale(n).with(changes)
	if of != 0 {
		o := sale(of)
		f[90] = "0200" + o[11] + o[7] + "00048023310" + "00048023310"
	}
	return f
}

// Each kind is booked under its name, and each original takes what it can bear.
func TestKindsAndTheirOriginals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bank.jsonl")
	b, l := start(t, Config{Books: path})
	void := fields{3: "200000", 4: sale(1)[4]}
	refund := func(fen string) fields { return fields{3: "200000", 4: "0000000000" + fen} }
	preAuth := fields{3: "030000", 25: "06"}

	l.ask(0x0200, sale(1), "00")
	l.ask(0x0200, naming(2, 9, void), "25")
	l.ask(0x0200, naming(3, 1, fields{3: "200000", 4: "000000000100"}), "13")
	l.ask(0x0200, naming(4, 1, void), "00")
	l.ask(0x0200, naming(5, 1, void), "12")
	l.ask(0x0220, naming(6, 1, refund("01")), "12")
	l.ask(0x0420, undo(4).with(void), "00") // the void was none
	l.ask(0x0220, naming(7, 1, refund("60")), "00")
	l.ask(0x0200, naming(8, 1, void), "12")
	l.ask(0x0220, naming(10, 1, refund("42")), "13")
	l.ask(0x0220, naming(11, 1, fields{3: "000000", 4: "000000000005"}), "00") // a tip
	l.ask(0x0221, naming(11, 1, fields{3: "000000", 4: "000000000005"}), "94") // and its repeat
	l.ask(0x0220, naming(12, 1, refund("46")), "00")                           // all, with the tip

	l.ask(0x0100, sale(20).with(preAuth), "00")
	l.ask(0x0200, naming(21, 20, fields{25: "06"}), "00")
	l.ask(0x0100, naming(22, 20, preAuth.with(void).with(fields{4: sale(20)[4]})), "12")
	l.ask(0x0200, naming(23, 21, fields{3: "200000", 25: "06", 4: sale(21)[4]}), "00")
	l.ask(0x0221, sale(24), "00")
	l.ask(0x0220, sale(25).with(fields{3: "200000"}), "00")
	l.ask(0x0620, naming(26, 1, fields{4: ""}), "00")
	l.ask(0x0621, naming(26, 1, fields{4: ""}), "94")
	l.ask(0x0220, naming(27, 24, fields{}), "00")
	l.ask(0x0220, naming(28, 0, fields{90: strings.Repeat("0", 42)}), "30")

	want := map[int]book.Kind{1: "", 4: "void", 7: "refund", 11: "tip", 20: "pre-auth", 21: "completion", 22: "pre-auth-void", 23: "completion-void",
		24: "offline-sale", 25: "offline-refund", 26: "script-notice", 27: "adjust"}
	got := map[int]book.Kind{}
	for _, k := range b.Bookings() {
		if _, ok := want[int(k.STAN)]; ok {
			got[int(k.STAN)] = k.Kind
		}
	}
	for n, k := range want {
		if got[n] != k {
			t.Errorf("number %d is booked as %q, want %q", n, got[n], k)
		}
	}
	if s := b.Stats(); s.Unfit != 7 || s.NoticeRepeats != 2 {
		t.Errorf("%+v", s)
	}

	// Opened anew it knows what became of each.
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	_, l = start(t, Config{Books: path})
	l.ask(0x0220, naming(30, 1, refund("01")), "13")
	l.ask(0x0420, undo(12).with(refund("46")), "00")
	l.ask(0x0220, naming(31, 1, refund("46")), "00")
	l.ask(0x0200, naming(32, 20, fields{25: "06"}), "12")
}

// A notice that comes behind its own reversal is called known: it holds nothing,
// and there is nothing to be done about it.
func TestNoticeBehindItsReversal(t *testing.T) {
	b, l := start(t, Config{})
	l.ask(0x0420, undo(1), "25")
	l.ask(0x0220, sale(1), txn.Duplicate.String())
	if s := b.Stats(); s.Booked != 0 || s.Notices != 1 {
		t.Errorf("%+v", s)
	}
}
