package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"tongka/bench/internal/load"
	"tongka/bench/internal/proc"
)

func TestCountsArePerTransactionAndWithoutOurOwnLooks(t *testing.T) {
	before := tally{heap: 1_000, bytes: 10_000, calls: 50, device: 0, written: 4096}
	after := tally{heap: 9_000, bytes: 90_000, calls: 2_050, device: 512_000, written: 204_096}
	scrape := tally{heap: 6_000, bytes: 60_000}
	var c Counts
	c.add(&before, &after, &scrape, &load.Result{Answers: 1_000})
	for name, pair := range map[string][2]float64{
		"allocations": {*c.Allocs, 2}, "bytes": {*c.AllocBytes, 20}, "calls": {*c.Syscalls, 2}, "device": {*c.Disk, 512}, "written": {*c.Written, 200},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v each, want %v", name, pair[0], pair[1])
		}
	}
	// Less than what a look costs is nothing, and not less than that.
	c.add(&before, &before, &scrape, &load.Result{Answers: 1_000})
	if *c.Allocs != 0 {
		t.Errorf("%v allocations of none", *c.Allocs)
	}
}

// What cannot be counted here is null, with a reason for whoever reads the file or the table.
func TestWhatCannotBeCountedSaysWhy(t *testing.T) {
	var c Counts
	after := tally{callsErr: errors.New("perf_event_open: operation not permitted"), deviceErr: errors.New("no device 0:44")}
	c.add(&tally{}, &after, &tally{}, &load.Result{Answers: 10})
	s := Shape{Counts: c}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	lines(t, string(b), `"syscalls_per_txn":null`, `"disk_bytes_per_txn":null`, `"allocs_per_txn":0`, `"syscalls_per_txn":"perf_event_open: operation not permitted"`)
	var out bytes.Buffer
	c.print(&out, "  ")
	lines(t, out.String(), "分配 allocations 0.000", "未测得 not measured: syscalls_per_txn：perf_event_open", "disk_bytes_per_txn：no device")
	if strings.Contains(out.String(), "system calls") {
		t.Error("a figure where there is none")
	}
}

func TestCounterOfASwitch(t *testing.T) {
	if _, err := counter(nil, allocsMetric, nil); err == nil || !strings.Contains(err.Error(), allocsMetric) {
		t.Errorf("a switch that does not say it: %v", err)
	}
	bad := errors.New("nobody there")
	if _, err := counter(nil, allocsMetric, bad); err != bad {
		t.Errorf("%v", err)
	}
}

// With --raw there is no switch, and its figures are null.
func TestNoCensusOfRaw(t *testing.T) {
	r := newReport(&Options{Seconds: 1, Pairs: 1}, proc.Machine{})
	if err := r.add("D", map[string][]load.Result{"raw": {result(1, 1, 1)}}, nil, nil); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r.Shapes["D"])
	if err != nil {
		t.Fatal(err)
	}
	lines(t, string(b), `"allocs_per_txn":null`)
}
