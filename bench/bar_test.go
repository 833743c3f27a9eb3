package bench

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestBar(t *testing.T) {
	var w bytes.Buffer
	clock := time.Unix(0, 0)
	b := &bar{w: &w, now: func() time.Time { return clock }}
	b.begin(4)
	for _, what := range []string{"A raw", "A switch", "D raw", "D switch"} {
		b.step(what)
		clock = clock.Add(5 * time.Second)
	}
	b.end()
	drawn := strings.Split(w.String(), "\r")[1:]
	want := []string{
		"[" + strings.Repeat("·", 30) + "] 1/4 A raw\x1b[K",
		"[" + strings.Repeat("█", 7) + strings.Repeat("·", 23) + "] 2/4 A switch，约余 about 15 s\x1b[K",
		"[" + strings.Repeat("█", 15) + strings.Repeat("·", 15) + "] 3/4 D raw，约余 about 10 s\x1b[K",
		"[" + strings.Repeat("█", 22) + strings.Repeat("·", 8) + "] 4/4 D switch，约余 about 5 s\x1b[K",
		"\x1b[K",
	}
	if len(drawn) != len(want) {
		t.Fatalf("%d lines: %q", len(drawn), drawn)
	}
	for i := range want {
		if drawn[i] != want[i] {
			t.Errorf("line %d: %q, want %q", i, drawn[i], want[i])
		}
	}
}

// A log is no place for a bar; a terminal is.
func TestBarOnTerminalsOnly(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if newBar(file) != nil || newBar(new(bytes.Buffer)) != nil {
		t.Error("a bar on what is no terminal")
	}
	none := newBar(file)
	none.begin(1)
	none.step("A")
	none.end()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	if newBar(terminal) == nil {
		t.Error("no bar on a terminal")
	}
}
