package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The debts that the bench makes are those that a switch finds and delivers, all
// of them.
func TestBenchOfDebts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	out, err := process(t, "bench", "--saf", "--debts=3000", "--pairs=1", "--seconds=1", "--warm-up=0.2", "--dir="+t.TempDir(), "--json="+file,
		"--min-deliveries=1").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		SAF struct {
			Debts      int     `json:"debts"`
			Ratio      float64 `json:"tps_ratio"`
			Deliveries float64 `json:"deliveries_per_second"`
			RSS        int64   `json:"rss_beside"`
		} `json:"saf"`
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if s := &got.SAF; s.Debts != 3000 || s.Ratio <= 0 || s.Deliveries <= 0 || s.RSS <= 0 {
		t.Errorf("%s\n%s", b, out)
	}
}

// benched runs the bench with windows that are as short as this machine can fill just
// now: when nobody was answered in one, the next is twice as long.
func benched(t *testing.T, flags ...string) (out []byte, err error) {
	t.Helper()
	for window := 0.5; window <= 16; window *= 2 {
		args := append([]string{"bench", "--pairs=1", "--warm-up=0.2", fmt.Sprintf("--seconds=%g", window), "--dir=" + t.TempDir()}, flags...)
		out, err = process(t, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "no answer within the window") {
			break
		}
	}
	return out, err
}

// A day's mix of the bench is one that a switch takes: any answer that a terminal would not
// take ends the run. Closed and open loop, and what is counted behind them.
func TestBenchOfMix(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	out, err := benched(t, "--shape=M", "--idle=0", "--peers=net", "--mix-rate=200", "--json="+file)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type figures struct {
		TPS float64 `json:"tps"`
		P99 float64 `json:"p99_us"`
	}
	var got struct {
		Shapes map[string]struct {
			figures
			Open   figures  `json:"open"`
			Allocs *float64 `json:"allocs_per_txn"`
			Memory *float64 `json:"rss_bytes"`
		} `json:"shapes"`
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if m := got.Shapes["M"]; m.TPS <= 0 || m.Open.P99 <= 0 || m.Allocs == nil || m.Memory == nil {
		t.Errorf("%s\n%s", b, out)
	}
}

// A bank that takes its time, or of whose lines one is stuck, and a module behind a socket: what
// a switch is configured with for them is a configuration that it takes.
func TestBenchOfSlowParties(t *testing.T) {
	for _, flags := range [][]string{{"--bank=lognormal:5ms,0.5", "--hsm=tcp:1ms", "--shape=M", "--mix-rate=100"}, {"--bank=stuck", "--shape=A"},
		{"--sustain=1s", "--rate=100", "--bank=fixed:2ms"}} {
		out, err := benched(t, append([]string{"--idle=0", "--peers=none"}, flags...)...)
		// So short a run has grown; that it ran is what is tested here.
		if err != nil && (flags[0] != "--sustain=1s" || !strings.Contains(string(out), "持续 sustained: ")) {
			t.Errorf("%v: %v: %s", flags, err, out)
		}
	}
}
