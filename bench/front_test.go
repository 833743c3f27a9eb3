package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongka/bench/internal/crowd"
	"tongka/bench/internal/load"
)

func TestFrontRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	code, stdout, stderr := runBench(t, "", quick(t, "--front", "--slow=40", "--connects=60", "--gather=0.1", "--json="+file)...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	lines(t, stdout, "接入 front", "独自 alone", "40 个慢发送者旁", "每秒 60 个短连接", "slow senders:")
	if strings.Contains(stdout, "裸转发 raw") {
		t.Error("shapes were measured, too")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Front map[string]any }
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if v, _ := got.Front["slow_bytes"].(float64); v <= 0 {
		t.Errorf("slow_bytes: %v", got.Front["slow_bytes"])
	}
	for _, key := range []string{"with_slow", "with_slow_and_connects"} {
		for _, ratio := range []string{"p50_ratio", "p90_ratio", "p99_ratio"} {
			if m, _ := got.Front[key].(map[string]any); m == nil || m[ratio] == nil || m[ratio].(float64) <= 0 {
				t.Errorf("%s: %v", key, got.Front[key])
			}
		}
	}
	for _, key := range []string{"alone", "with_slow", "with_slow_and_connects", "short_lived"} {
		if m, _ := got.Front[key].(map[string]any); m == nil || m["p99_us"].(float64) <= 0 || m["cpu_us"] != nil {
			t.Errorf("%s: %v", key, got.Front[key])
		}
	}
}

func TestFrontThatRefuses(t *testing.T) {
	code, _, stderr := runBench(t, "declines", quick(t, "--front", "--slow=5", "--connects=5", "--gather=0")...)
	if code != exitFailed || !strings.Contains(stderr, "front: bench: answers that are not approvals") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestFrontRatiosAndLimit(t *testing.T) {
	p99 := func(v float64) load.Result {
		all := make([]float64, len(load.Quantiles))
		all[p90] = 3 * v
		return load.Result{Answers: 10, Seconds: 1, CPU: 1, P50: v / 2, P99: 80 * v, SliceP99: []float64{v, v, v, v, 90 * v}, Percentiles: all}
	}
	met := func(v float64, unsent int64) honest {
		h := honest{p99(v), Disk{Commits: 10, Slow: 1, Mean: 1000, Seconds: 2}}
		h.Unsent, h.Refused = unsent, unsent/7
		return h
	}
	var f Front
	// The machine changes twice while others are there; neither makes a ratio of its own.
	f.add([]round{
		{met(100, 0), met(150, 0), met(300, 7), met(100, 0), p99(900), crowd.Result{Bytes: 5, Cut: 1}},
		{met(100, 0), met(440, 0), met(480, 8), met(1600, 2), p99(900), crowd.Result{Bytes: 6, Cut: 2}},
		{met(1600, 2), met(520, 0), met(680, 0), met(100, 0), p99(900), crowd.Result{Bytes: 7, Cut: 3}},
	})
	if f.WithSlow.P99Ratio != 1.3 || f.WithBoth.P99Ratio != 1.7 || f.WithBoth.P50Ratio != 1.7 || f.WithBoth.P90Ratio != 1.7 {
		t.Errorf("ratios: %+v, %+v", f.WithSlow, f.WithBoth)
	}
	if f.Alone.P99 != 100 || f.Alone.P90 != 300 || f.Bytes != 18 || f.Cut != 6 || f.WithBoth.CPU != 0 || f.Short.CPU != 0 || f.Short.P99 != 900 {
		t.Errorf("%+v", f)
	}
	if f.Alone.Unsent != 2 || f.WithSlow.Unsent != 0 || f.WithBoth.Unsent != 15 || f.WithBoth.Late != 2 || f.WithBoth.Disk.Commits != 30 || f.WithBoth.Disk.Slow != 3 {
		t.Errorf("unsent and disk: %+v", f)
	}
	var out strings.Builder
	f.print(&out)
	lines(t, out.String(), "p50 1.70, p90 1.70, p99 1.70", "not sent in time: 15, 超时 timed out (98, 91): 2", "over 8 ms 3 / 30")
	r := Report{Front: &f}
	if err := r.check(&Options{MaxFront: 2}); err != nil {
		t.Error(err)
	}
	if err := r.check(&Options{MaxFront: 1.5}); err == nil || !strings.Contains(err.Error(), "--max-front-ratio 1.5：1.30, 1.70") {
		t.Errorf("%v", err)
	}
}

// A system that answers nothing for a while costs sales that are counted, and the run
// goes on: what stalled may have been the disk of a machine that others use.
func TestFrontThatStalls(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	code, _, stderr := runBench(t, "stalls", quick(t, "--front", "--slow=5", "--connects=5", "--gather=0", "--seconds=1.5", "--json="+file)...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Front Front }
	if err := json.Unmarshal(b, &got); err != nil || got.Front.Alone.Unsent == 0 {
		t.Errorf("nothing was held up: %v, %s", err, b)
	}
}

func TestFrontOptions(t *testing.T) {
	bad := Options{Shape: []string{"D"}, Seconds: 1, Pairs: 1, Front: true, Raw: true, Gather: -1}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	lines(t, err.Error(), "--front --raw", "--slow 0", "--connects 0", "--gather -1")
	if err := (&Options{Shape: []string{"D"}, Seconds: 1, Pairs: 1, MaxFront: 2}).Validate(); err == nil || !strings.Contains(err.Error(), "--max-front-ratio") {
		t.Errorf("%v", err)
	}
	o := Options{Front: true, Pairs: 3, Slow: 10_000, Seconds: 3, WarmUp: 1, Gather: 10}
	if o.terminals() != idleTerminals+3*2000+500 || o.connections() < 21_000 || o.bound() < 4e9*60 || o.bound() > 10*60e9 {
		t.Errorf("%d terminals, %d connections, %v", o.terminals(), o.connections(), o.bound())
	}
}
