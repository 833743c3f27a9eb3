package day

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var cst = time.FixedZone("CST", 8*3600)

func moment(t *testing.T, s string) int64 {
	t.Helper()
	m, err := time.ParseInLocation("2006-01-02 15:04:05", s, cst)
	if err != nil {
		t.Fatal(err)
	}
	return m.UnixNano()
}

func TestSchedule(t *testing.T) {
	late, early := Schedule{cst, 23 * time.Hour}, Schedule{cst, 2 * time.Hour}
	for _, c := range []struct {
		s    Schedule
		at   string
		want Date
	}{
		{late, "2026-10-01 22:59:59", 20261001}, {late, "2026-10-01 23:00:00", 20261002}, {late, "2026-12-31 23:00:00", 20270101},
		{early, "2026-10-02 01:59:59", 20261001}, {early, "2026-10-02 02:00:00", 20261002}, {early, "2028-03-01 00:30:00", 20280229},
		{Schedule{cst, 0}, "2026-10-01 00:00:00", 20261001}, {Schedule{cst, 0}, "2026-10-01 23:59:59", 20261001},
	} {
		if got := c.s.Of(moment(t, c.at)); got != c.want {
			t.Errorf("cut at %v: %s is of %s, want %s", c.s.At, c.at, got, c.want)
		}
	}
	for _, bad := range []Schedule{{cst, -1}, {cst, 24 * time.Hour}, {nil, 0}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is a schedule", bad)
		}
	}
	if late.Validate() != nil {
		t.Error("23:00 is refused")
	}
}

func TestDates(t *testing.T) {
	for s, want := range map[string]Date{"20261001": 20261001, "2026-10-01": 20261001, "20280229": 20280229} {
		if d, err := ParseDate(s); err != nil || d != want || d.String() != strings.ReplaceAll(s, "-", "") {
			t.Errorf("%s: %v, %v", s, d, err)
		}
	}
	for _, bad := range []string{"", "20261301", "20270229", "2026-1-01", "00000000", "19691231", "20261001 ", "二〇二六"} {
		if d, err := ParseDate(bad); err == nil {
			t.Errorf("%q is %v", bad, d)
		}
	}
	if d := Date(20261231).Add(1); d != 20270101 || d.Dashed() != "2027-01-01" {
		t.Error(d, d.Dashed())
	}
}

// Whatever comes between the cuts, in whatever order of times, each place is in
// exactly one window, and a second reading of the book finds the same.
func TestEachPlaceIsInOneWindow(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		path := filepath.Join(t.TempDir(), "cuts")
		b, err := OpenBook(path)
		if err != nil {
			t.Fatal(err)
		}
		end, date := uint64(rng.IntN(20)), Date(20261225)
		for i := range 2 + rng.IntN(12) {
			by := Scheduled
			if i == 0 {
				by = Origin
			}
			// A day may be empty, and the clock may have gone anywhere.
			if err := b.Decide(Cut{date, end, rng.Int64(), by}); err != nil {
				t.Fatal(err)
			}
			if rng.IntN(2) == 0 { // a restart
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				if b, err = OpenBook(path); err != nil {
					t.Fatal(err)
				}
			}
			end, date = end+uint64(rng.IntN(30)), date.Add(1)
		}
		cuts := b.Cuts()
		for place := range end + 10 {
			var in []Date
			for d := Date(20261220); d < 20270120; d = d.Add(1) {
				if from, to, ok := cuts.Window(d); ok && from <= place && place < to {
					in = append(in, d)
				}
			}
			if place < cuts[0].End {
				in = append(in, 0)
			}
			if place >= cuts[len(cuts)-1].End {
				in = append(in, cuts.Open())
			}
			if got := cuts.Of(place); !slices.Equal(in, []Date{got}) {
				t.Fatalf("seed %d: place %d is of %v, and Of says %v", seed, place, in, got)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsDecidedStays(t *testing.T) {
	b, err := OpenBook(filepath.Join(t.TempDir(), "cuts"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Decide(Cut{20261001, 5, 0, Scheduled}); err == nil {
		t.Error("a book without an origin")
	}
	for _, c := range []Cut{{20260930, 5, 0, Origin}, {20261001, 9, 1, Scheduled}} {
		if err := b.Decide(c); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []Cut{{20261001, 9, 1, Scheduled}, {20261001, 10, 1, Command}, {20261003, 12, 1, Command}, {20261002, 8, 1, Command},
		{20261002, 12, 1, Origin}} {
		if err := b.Decide(bad); err == nil {
			t.Errorf("%+v was decided", bad)
		}
	}
	if from, to, ok := b.Cuts().Window(20261001); !ok || from != 5 || to != 9 || b.Cuts().Open() != 20261002 {
		t.Errorf("window %d to %d, %v", from, to, ok)
	}
}

// A crash at any byte of a line leaves the cuts before it; anything else that is
// wrong is said with its line, and no cut is made up.
func TestTornAndDamagedBooks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cuts")
	b, err := OpenBook(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, by := range []Reason{Origin, Scheduled, Command} {
		if err := b.Decide(Cut{Date(20261001 + i), uint64(7 * i), int64(i), by}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.ReadFile(path)
	for n := range whole {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := OpenBook(path)
		if err != nil {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
		want := strings.Count(string(whole[:n]), "\n")
		if len(b.Cuts()) != want {
			t.Errorf("cut after %d bytes: %d cuts, want %d", n, len(b.Cuts()), want)
		}
		if want == 2 { // what was cut off is written over
			if err := b.Decide(Cut{20261003, 14, 2, Command}); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(path); string(got) != string(whole) {
				t.Errorf("cut after %d bytes and decided again:\n%s", n, got)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range whole {
		bad := slices.Clone(whole)
		bad[i] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := OpenBook(path)
		if err == nil {
			if i != len(whole)-1 { // without its end the last line is torn
				t.Errorf("byte %d is another, and nobody sees it: %q", i, bad)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		} else if !strings.Contains(err.Error(), path+":") {
			t.Errorf("byte %d: %v names no line", i, err)
		}
	}
}

// A book is read beside its owner, with what a crash left of a line.
func TestReadBook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cuts")
	if _, err := ReadBook(path); err == nil {
		t.Error("a book that is not there")
	}
	b, err := OpenBook(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Decide(Cut{Date: 20261001, End: 7, By: Origin}); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.ReadFile(path)
	if err := os.WriteFile(path, append(whole, "20261002 9"...), 0o600); err != nil {
		t.Fatal(err)
	}
	cuts, err := ReadBook(path)
	if after, _ := os.ReadFile(path); err != nil || len(cuts) != 1 || cuts[0].End != 7 || len(after) != len(whole)+10 {
		t.Errorf("%v, %v", cuts, err)
	}
}
