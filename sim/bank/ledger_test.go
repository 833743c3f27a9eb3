package bank

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tongka/sim/book"
	"tongka/txn"
)

func openTest(t *testing.T, path string, limit int) *ledger {
	t.Helper()
	l, err := openLedger("a", path, limit)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func booking(n int) book.Booking {
	return book.Booking{
		Bank: "a", Merchant: "898310054110000", Terminal: "10000001", Amount: int64(100 + n),
		RRN: fmt.Sprintf("%012d", n), STAN: uint32(n), Sent: 1121220000, PAN: "622588******0001",
	}
}

// TestLedgerAgainstModel throws sales and reversals at the ledger in any order
// and compares it with the rule in its shortest form: what is reversed before or
// after holds no money, what was sold first and never reversed does. The book is
// opened anew now and then, as after a kill.
func TestLedgerAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		path := filepath.Join(t.TempDir(), "bank.jsonl")
		l := openTest(t, path, 1000)
		sold, undone := map[int]bool{}, map[int]bool{}
		for range 300 {
			n := r.IntN(40)
			switch k := r.IntN(20); {
			case k == 0:
				// The old file stays open and unclosed, as a killed process leaves it.
				if err := l.book.Flush(); err != nil {
					t.Fatal(err)
				}
				l = openTest(t, path, 1000)
			case k < 10:
				want := txn.OK
				if sold[n] {
					want = txn.Duplicate
				} else if undone[n] {
					want = suspected
				}
				if got, err := l.sale(booking(n), txn.Code{}); got != want || err != nil {
					t.Fatalf("seed %d: sale %d: %s %v, want %s", seed, n, got, err, want)
				}
				sold[n] = sold[n] || !undone[n]
			default:
				want := txn.OK
				if !sold[n] {
					want = txn.NoOriginal
				}
				if got, err := l.reverse(booking(n)); got != want || err != nil {
					t.Fatalf("seed %d: reversal %d: %s %v, want %s", seed, n, got, err, want)
				}
				undone[n] = true
			}
		}
		want := map[int64]bool{}
		for n := range sold {
			if sold[n] && !undone[n] {
				want[int64(100+n)] = true
			}
		}
		got := map[int64]bool{}
		for _, b := range l.all {
			if b.State == book.Booked {
				got[b.Amount] = true
			}
		}
		if d := cmp.Diff(want, got); d != "" || l.stats.Booked != int64(len(want)) {
			t.Errorf("seed %d: %d booked; money held (-want +got):\n%s", seed, l.stats.Booked, d)
		}
	}
}

// Names are kept once, and a booking's own RRN is no name.
func TestLedgerKeepsNamesOnce(t *testing.T) {
	l := openTest(t, "", 10)
	a, b := l.name([]byte("10000001")), l.name([]byte("10000001"))
	if a != b || len(l.names) != 1 {
		t.Errorf("%q %q, %d names", a, b, len(l.names))
	}
	if n := testing.AllocsPerRun(100, func() { l.name([]byte("10000001")) }); n != 0 {
		t.Errorf("%v allocations for a name that is known", n)
	}
}

// FuzzFrames: nothing that a line can bring makes a bank panic or answer in
// frames that are not whole.
func FuzzFrames(f *testing.F) {
	f.Add(frame(f, 0x0200, sale(1)))
	f.Add(frame(f, 0x0420, undo(1)))
	f.Add(frame(f, 0x0820, fields{7: "1121220000", 11: "000001", 70: "001"}))
	f.Add([]byte("00000004abcd9999"))
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := New(Config{Listen: "x", Limit: 10, ZPK: make([]byte, 16)})
		if err != nil {
			t.Fatal(err)
		}
		c := &bankConn{bank: b}
		for len(in) > 0 {
			body, n, err := nextFrame(in)
			if n == 0 || err != nil {
				return
			}
			if n != len(body)+4 || n > len(in) {
				t.Fatalf("a frame of %d bytes takes %d of %d", len(body), n, len(in))
			}
			in = in[n:]
			from := len(c.out)
			if c.handle(body) != nil {
				return
			}
			if out := c.out[from:]; len(out) > 0 {
				if whole, used, err := nextFrame(out); err != nil || used != len(out) || len(whole) < cupsHeaderLen {
					t.Fatalf("answer %q is not one frame: %v", out, err)
				}
			}
		}
	})
}
