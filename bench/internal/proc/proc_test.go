package proc

import (
	"os"
	"strings"
	"testing"
	"time"
)

// The clock of a process must move with the work that it does and not with the
// time that passes.
func TestCPUCountsWork(t *testing.T) {
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	x := uint64(1)
	var used time.Duration
	for end := time.Now().Add(time.Minute); used < 20*time.Millisecond && time.Now().Before(end); {
		for range 100_000 {
			x = x*6364136223846793005 + 1
		}
		after, err := CPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		used = after - before
	}
	if used < 20*time.Millisecond || x == 0 {
		t.Fatalf("5 s of work count as %v", used)
	}
}

func TestCPUOfNobody(t *testing.T) {
	if _, err := CPU(1 << 22); err == nil {
		t.Fatal("a process that does not exist has a CPU clock")
	}
}

func TestRSS(t *testing.T) {
	before, err := RSS(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64<<20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	after, err := RSS(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if grown := after - before; grown < 60<<20 || len(b) != 64<<20 {
		t.Fatalf("64 MiB more show as %d bytes", grown)
	}
	if _, err := rollup([]byte("Pss: 12 kB\n")); err == nil {
		t.Fatal("no Rss line and no error")
	}
}

func TestLook(t *testing.T) {
	m := Look(t.TempDir())
	if m.Cores < 1 || !strings.HasPrefix(m.Go, "go") || m.Kernel == "" || m.CPU == "unknown" || m.FileSystem == "unknown" {
		t.Fatalf("%+v", m)
	}
	if fileSystem("/nonexistent") != "unknown" {
		t.Fatal("a folder that is not there has a file system")
	}
	if (&Machine{FileSystem: "ext4"}).Volatile() || !(&Machine{FileSystem: "tmpfs"}).Volatile() {
		t.Fatal("only tmpfs is volatile")
	}
}

func TestRaiseFiles(t *testing.T) {
	if n, err := RaiseFiles(); err != nil || n < 256 {
		t.Fatalf("%d files, %v", n, err)
	}
}

func TestSplit(t *testing.T) {
	for text, bad := range map[string]bool{
		"7 (a ) (b) S 1 2 3 4 5 6 7 8 9 10 1234 567 0 0 20": false,
		"7 (a) S 1 2 3":                        true,
		"":                                     true,
		"7 (a) S 1 2 3 4 5 6 7 8 9 10 x 567 0": true,
	} {
		user, system, err := split([]byte(text))
		if bad != (err != nil) || !bad && (user != 1234 || system != 567) {
			t.Errorf("%q: %d, %d, %v", text, user, system, err)
		}
	}
	if _, _, err := Split(os.Getpid()); err != nil {
		t.Error(err)
	}
	if _, _, err := Split(-1); err == nil {
		t.Error("a process that is not there")
	}
}

func TestBusy(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"cpu  100 20 3 4000 500 6 7 80 0 0\ncpu0 1": 1360 * time.Millisecond,
		"cpu 1 2 3":               -1,
		"cpu a 2 3 4 5 6 7 8 9":   -1,
		"intr 1 2 3 4 5 6 7 8 9":  -1,
		"":                        -1,
		"cpu 1 2 3 4 5 6 x 8 9 0": -1,
	} {
		got, err := busy([]byte(text))
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if d, err := Busy(); err != nil || d <= 0 {
		t.Errorf("this machine: %v, %v", d, err)
	}
}
