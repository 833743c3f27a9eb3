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
	for _, key := range []string{"p99_ratio_slow", "p99_ratio_slow_and_connects", "slow_bytes"} {
		if v, _ := got.Front[key].(float64); v <= 0 {
			t.Errorf("%s: %v", key, got.Front[key])
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
		return load.Result{Answers: 10, Seconds: 1, CPU: 1, P50: v / 2, P99: 80 * v, SliceP99: []float64{v, v, v, v, 90 * v}}
	}
	var f Front
	f.add([]round{
		{p99(100), p99(150), p99(300), p99(900), crowd.Result{Bytes: 5, Cut: 1}},
		{p99(1000), p99(1100), p99(1200), p99(900), crowd.Result{Bytes: 6, Cut: 2}},
		{p99(100), p99(130), p99(170), p99(900), crowd.Result{Bytes: 7, Cut: 3}},
	})
	if f.SlowRatio != 1.3 || f.BothRatio != 1.7 || f.Alone.P99 != 100 || f.Bytes != 18 || f.Cut != 6 || f.WithBoth.CPU != 0 {
		t.Errorf("%+v", f)
	}
	r := Report{Front: &f}
	if err := r.check(&Options{MaxFront: 2}); err != nil {
		t.Error(err)
	}
	if err := r.check(&Options{MaxFront: 1.5}); err == nil || !strings.Contains(err.Error(), "--max-front-ratio 1.5：1.30, 1.70") {
		t.Errorf("%v", err)
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
	if o.terminals() != idleTerminals+3*2000 || o.connections() < 21_000 || o.bound() < 4e9*60 || o.bound() > 10*60e9 {
		t.Errorf("%d terminals, %d connections, %v", o.terminals(), o.connections(), o.bound())
	}
}
