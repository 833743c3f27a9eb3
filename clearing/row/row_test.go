package row

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"tongka/txn"
)

func random(rng *rand.Rand) (r Row) {
	r = Row{ID: rng.Uint64(), RRN: rng.Uint64(), Sent: rng.Uint64(), At: rng.Int64(), Amount: rng.Int64(), STAN: rng.Uint32(), Date: 20261001,
		Link: txn.LinkID(rng.Uint32()), File: uint16(rng.Uint32()), Kind: txn.Kind(rng.IntN(int(txn.Kinds))), Of: txn.Kind(rng.IntN(int(txn.Kinds))),
		Status: Status(1 + rng.IntN(5)), Flags: Flags(rng.IntN(4))}
	for _, b := range [][]byte{r.Key[:], r.Card[:], r.Merchant[:], r.Terminal[:]} {
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
	}
	return r
}

func TestRowsKeepAllOfThem(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		r, got := random(rng), Row{}
		b := r.Append(nil)
		if len(b) != Size || !bytes.HasPrefix(b, r.Key[:]) {
			t.Fatalf("%d bytes, key %x", len(b), b[:KeySize])
		}
		if err := got.Read(b); err != nil || got != r {
			t.Fatalf("%+v came back as %+v, %v", r, got, err)
		}
	}
}

func TestRowsRefuse(t *testing.T) {
	r := random(rand.New(rand.NewPCG(1, 1)))
	good := r.Append(nil)
	for at, v := range map[int]byte{KeySize: 0, KeySize + 9: 200, KeySize + 10: 200, KeySize + 1: 0xFF} {
		bad := bytes.Clone(good)
		bad[at] = v
		if err := r.Read(bad); err == nil || !strings.Contains(err.Error(), "row at byte") {
			t.Errorf("byte %d as %d: %v", at, v, err)
		}
	}
	if err := r.Read(good[1:]); err == nil {
		t.Error("a short row")
	}
	if err := r.Read(bytes.Clone(good)); err != nil {
		t.Error(err)
	}
}

// No more of a card lies in a file than a receipt shows.
func TestCardsAreMasked(t *testing.T) {
	p, _ := txn.ParsePAN([]byte("6225880000000123457"))
	var r Row
	r.SetCard(&p)
	if b := r.Append(nil); r.Masked() != "622588***3457" || bytes.Contains(b, []byte("0000000123")) {
		t.Errorf("%s in %q", r.Masked(), b)
	}
	r.SetCard(&txn.PAN{})
	if r.Masked() != "" {
		t.Error(r.Masked())
	}
}

func TestKeys(t *testing.T) {
	a := Row{RRN: 1, STAN: 2, Sent: 3, Amount: 4, Terminal: [8]byte{'T'}, Link: 9}
	for _, s := range []string{"rrn", "stan, sent,amount", "terminal,stan"} {
		fs, err := ParseFields(s)
		if err != nil {
			t.Fatal(err)
		}
		b := a
		b.ID, b.At, b.Status = 77, 88, Reversed
		a.SetKey(fs)
		b.SetKey(fs)
		if a.Key != b.Key {
			t.Errorf("%s: what is no part of the key changes it", s)
		}
		b.Link = 8
		if b.SetKey(fs); a.Key == b.Key {
			t.Errorf("%s: two links have one key", s)
		}
		for _, f := range fs {
			b = a
			switch f {
			case ByRRN:
				b.RRN++
			case BySTAN:
				b.STAN++
			case BySent:
				b.Sent++
			case ByAmount:
				b.Amount++
			case ByTerminal:
				b.Terminal[7]++
			}
			if b.SetKey(fs); a.Key == b.Key {
				t.Errorf("%s: %s is not in the key", s, f)
			}
		}
	}
	for _, bad := range []string{"", "pan", "rrn,", "rrn,rrn", "rrn,stan,sent,amount"} {
		if _, err := ParseFields(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestSigns(t *testing.T) {
	for kind, want := range map[txn.Kind]int64{txn.Sale: 5, txn.Void: -5, txn.Refund: -5, txn.LoadCash: 5, txn.LoadVoid: -5, txn.PreAuth: 0, txn.Balance: 0} {
		r := Row{Kind: kind, Amount: 5, Status: Settled}
		back := Row{Kind: txn.Reversal, Of: kind, Amount: 5, Status: Settled}
		if r.Net() != want || back.Net() != -want {
			t.Errorf("%s: %d and %d", kind, r.Net(), back.Net())
		}
		if r.Status = Reversed; r.Net() != 0 || r.Signed() != want {
			t.Errorf("%s: taken back it moves %d", kind, r.Net())
		}
	}
	for s := Settled; s <= CardInvalid; s++ {
		if got, ok := ParseStatus(s.String()); !ok || got != s {
			t.Errorf("%s: %v, %v", s, got, ok)
		}
	}
	if _, ok := ParseStatus(""); ok {
		t.Error("no word is a status")
	}
}
