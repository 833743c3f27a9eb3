package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"tongka/bench/internal/load"
	"tongka/bench/internal/proc"
)

func TestCountsArePerTransactionAndWithoutOurOwnLooks(t *testing.T) {
	before := tally{objects: 1_000, bytes: 10_000, calls: 50, device: 0, written: 4096}
	after := tally{objects: 9_000, bytes: 90_000, calls: 2_050, device: 512_000, written: 204_096}
	scrape := tally{objects: 6_000, bytes: 60_000}
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

func TestHeapOfASwitch(t *testing.T) {
	answer, code := "", 200
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/debug/vars" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(code)
		fmt.Fprint(w, answer)
	}))
	at := netip.MustParseAddrPort(s.Listener.Addr().String())
	answer = `{"cmdline": ["switch"], "memstats": {"Alloc": 1, "TotalAlloc": 98765432100, "Mallocs": 123456789}}`
	if objects, size, err := heapOf(t.Context(), at); err != nil || objects != 123456789 || size != 98765432100 {
		t.Errorf("%v objects, %v bytes, %v", objects, size, err)
	}
	for _, c := range []struct {
		answer string
		code   int
		want   string
	}{
		{`{"memstats": {"Mallocs": 1}}`, 200, "does not say memstats.Mallocs and TotalAlloc"},
		{`{"memstats": {"Mallocs": "many"}}`, 200, "/debug/vars"},
		{"没有这个页面 no such page", 404, "404 Not Found: 没有这个页面"},
	} {
		answer, code = c.answer, c.code
		if _, _, err := heapOf(t.Context(), at); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.answer, err)
		}
	}
	s.Close()
	if _, _, err := heapOf(t.Context(), at); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody there: %v", err)
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
