package bench

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program is a bench whose parts are the given shell script.
func program(script string) (*bench, *bytes.Buffer) {
	var errors bytes.Buffer
	return &bench{o: &Options{}, self: []string{"/bin/sh", "-c", script}, errors: &errors}, &errors
}

func TestPartsThatBreak(t *testing.T) {
	cases := map[string]struct{ script, says string }{
		"talks nonsense": {"read spec; echo nonsense", "bench: bank: invalid character"},
		"says nothing":   {"exit 3", "exit status 3"},
		"dies":           {"kill -9 $$", "signal: killed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b, _ := program(c.script)
			_, _, err := b.startBank(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want %q", err, c.says)
			}
		})
	}
	b := &bench{self: []string{"/nonexistent"}}
	if _, err := b.role(t.Context(), roleBank, nil); err == nil || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("a program that is not there: %v", err)
	}
}

// What the part is told and what it says go through whole; its complaints reach
// whoever started the bench, and stopping twice is nothing.
func TestPartsHearAndSpeak(t *testing.T) {
	b, errors := program(`read spec; echo "$spec"; echo complaint >&2; read more || exit 0; exit 1`)
	c, err := b.role(t.Context(), roleRelay, held{7})
	if err != nil {
		t.Fatal(err)
	}
	var h held
	if err := c.hear(&h); err != nil || h.Connections != 7 {
		t.Fatalf("%+v, %v", h, err)
	}
	for range 2 {
		if err := c.stop(); err != nil {
			t.Fatal(err)
		}
	}
	if errors.String() != "complaint\n" {
		t.Errorf("complaints %q", errors)
	}
}

func TestEndOfTheRunEndsParts(t *testing.T) {
	b, _ := program("exec sleep 600")
	ctx, cancel := context.WithCancel(t.Context())
	c, err := b.role(ctx, roleLoad, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	var nothing struct{}
	if err := c.hear(&nothing); err == nil || c.cmd.ProcessState == nil {
		t.Fatalf("the part is still there (%v)", err)
	}
}

func TestReapKillsWhatDoesNotEnd(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := reap(cmd, time.Millisecond); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("error %v", err)
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := tail(path, 4); got != "two\n" {
		t.Errorf("%q", got)
	}
	if got := tail(path, 400); got != "one\ntwo\n" {
		t.Errorf("%q", got)
	}
	if got := tail(path+"x", 4); !strings.Contains(got, "no such file") {
		t.Errorf("%q", got)
	}
}
