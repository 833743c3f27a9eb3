package world

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var (
	from   = flag.Uint64("world.from", 0, "first seed of TestHistories")
	runs   = flag.Uint64("world.runs", 12, "how many seeds TestHistories plays in memory; every tenth also on Pebble")
	length = flag.Int("world.length", 1000, "operations of each history")
)

// TestHistories plays seeds until a promise is broken. To look further:
// -world.from, -world.runs, -world.length.
func TestHistories(t *testing.T) {
	for seed := *from; seed < *from+*runs; seed++ {
		for _, pebble := range []bool{false, true} {
			if pebble && seed%10 != 0 {
				continue
			}
			r, err := Run(Options{Seed: seed, Transactions: *length, Pebble: pebble})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Violations) > 0 {
				t.Fatalf("caught by seed %d (Pebble %v): %+v", seed, pebble, r.Violations[0])
			}
			if *length >= 1000 && r.Crashes == 0 {
				t.Errorf("seed %d: nothing crashed", seed)
			}
		}
	}
}

// One seed is one history, in this process and in another; another seed is another.
func TestOneSeedIsOneHistory(t *testing.T) {
	if os.Getenv("TONGKA_WORLD_HASH") != "" {
		fmt.Println("hashes", hashes(t))
		return
	}
	mine := hashes(t)
	if again := hashes(t); again != mine {
		t.Errorf("%s, and again %s", mine, again)
	}
	other := exec.Command(os.Args[0], "-test.run", "^TestOneSeedIsOneHistory$")
	other.Env = append(os.Environ(), "TONGKA_WORLD_HASH=1")
	out, err := other.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "hashes "+mine+"\n") {
		t.Errorf("another process: %v\n%s\nwant %s", err, out, mine)
	}
}

func hashes(t *testing.T) string {
	t.Helper()
	var all []string
	seen := map[uint64]bool{}
	for seed := range uint64(4) {
		for _, pebble := range []bool{false, true} {
			r, err := Run(Options{Seed: seed, Transactions: 300, Pebble: pebble})
			if err != nil || len(r.Violations) > 0 {
				t.Fatalf("seed %d: %v %v", seed, err, r)
			}
			all = append(all, fmt.Sprintf("%016x", r.Hash))
			seen[r.Hash] = true
		}
	}
	if len(seen) < 4 {
		t.Errorf("four seeds gave %d histories", len(seen))
	}
	return strings.Join(all, " ")
}

// A history that fails is cut down to what makes it fail.
func TestShrink(t *testing.T) {
	// Not in every history does the operation reach its bank and stand.
	o, r := Options{Transactions: 300, cheats: 200}, &Result{}
	for ; len(r.Violations) == 0 && o.Seed < 20; o.Seed++ {
		var err error
		if r, err = Run(o); err != nil {
			t.Fatal(err)
		}
	}
	if o.Seed--; len(r.Violations) == 0 || r.Violations[0].Checker != "ledger-equals-terminals" {
		t.Fatalf("a bank that cheats is not found out: %+v", r.Violations)
	}
	small, err := Shrink(o, r, 400)
	if err != nil {
		t.Fatal(err)
	}
	if len(small.Violations) == 0 || len(small.Shortest) == 0 || len(small.Shortest) > 3 {
		t.Errorf("cut down to %d: %v", len(small.Shortest), small.Shortest)
	}
}

func TestTraceTellsWhatHappened(t *testing.T) {
	o := Options{Seed: 1, Transactions: 50}
	plain, err := Run(o)
	if err != nil {
		t.Fatal(err)
	}
	told, err := Trace(o)
	if err != nil {
		t.Fatal(err)
	}
	if told.Hash != plain.Hash || len(plain.Trail) != 0 || len(told.Trail) < 100 || !strings.Contains(strings.Join(told.Trail, "\n"), "bank hears") {
		t.Errorf("hashes %x %x, %d lines", plain.Hash, told.Hash, len(told.Trail))
	}
}
