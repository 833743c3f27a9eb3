package clearing

import (
	"errors"
	"os"
	"testing"

	"tongka/clearing/fee"
	"tongka/clearing/recon"
	"tongka/clearing/row"
)

func newDay(t *testing.T, dir string, memory int) *Day {
	t.Helper()
	d, err := NewDay(Options{Dir: dir, Memory: memory, Fields: row.Fields{row.ByRRN}, Fees: PlayFees()})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A played day is found out: each planted difference once, nothing else, in little
// memory as in much, and the money that both agree on is booked to the fen.
func TestPlayedDays(t *testing.T) {
	for _, n := range []int64{1, 2, 99, 100, 600, 7001} {
		var first *Outcome
		for _, memory := range []int{1, 1 << 20} {
			dir := t.TempDir()
			d := newDay(t, dir, memory)
			want, err := Play(n, d.Ours, d.Theirs)
			if err != nil {
				t.Fatal(err)
			}
			var agreed int64
			out, err := d.Settle(func(r *recon.Result) error {
				if r.Class == recon.Matched && r.HasOurs {
					agreed += r.Ours.Net()
				}
				return nil
			})
			if err != nil || out.Differences() != want || out.Unbalanced() != 0 || out.Positions.Sum() != 0 {
				t.Fatalf("%d rows: %d differences, want %d (%v)", n, out.Differences(), want, err)
			}
			var merchants int64
			for _, p := range out.Positions.Parties() {
				if p.Role == fee.Merchant {
					merchants += out.Positions.Get(p).Net
				}
			}
			if merchants != agreed-out.Positions.Fees || n > 99 && out.Positions.Fees == 0 {
				t.Errorf("%d rows: merchants get %d of %d, fees %d", n, merchants, agreed, out.Positions.Fees)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("%d rows: %d files stay", n, len(left))
			}
			if first == nil {
				first = out
			} else if *first.Totals != *out.Totals || first.Positions.Fees != out.Positions.Fees {
				t.Errorf("%d rows: more memory, another day: %+v, %+v", n, first.Totals, out.Totals)
			}
		}
		if kinds := first.Count; n >= 600 {
			for _, c := range []recon.Class{recon.AmountDiffers, recon.StatusDiffers, recon.TheirsOnly, recon.OursOnly, recon.Duplicate} {
				if kinds[c] == 0 {
					t.Errorf("%d rows: none %s", n, c)
				}
			}
		}
	}
}

func TestDaysRefuse(t *testing.T) {
	if _, err := NewDay(Options{Dir: t.TempDir(), Fees: PlayFees()}); err == nil {
		t.Error("a day without fields to match by")
	}
	if _, err := NewDay(Options{Fields: row.Fields{row.ByRRN}, Fees: PlayFees()}); err == nil {
		t.Error("a day without a folder")
	}
	dir, stop := t.TempDir(), errors.New("stop")
	d := newDay(t, dir, 1)
	if _, err := Play(100, d.Ours, d.Theirs); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Settle(func(*recon.Result) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("after an error %d files stay", len(left))
	}
	d = newDay(t, dir, 1)
	for _, add := range []func(*row.Row) error{d.Ours, d.Theirs} {
		if _, err := Play(50, func(*row.Row) error { return stop }, add); !errors.Is(err, stop) {
			t.Error(err)
		}
	}
}
