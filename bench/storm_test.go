package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongka/bench/internal/load"
)

func TestStormRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	code, stdout, stderr := runBench(t, "", quick(t, "--storm", "--storm-rate=50", "--json="+file)...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	lines(t, stdout, "风暴 storm: 消费 sales 50/s", "独自 alone", "beside the storm", "限流 refused")
	if strings.Contains(stdout, "裸转发 raw") {
		t.Error("shapes were measured, too")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Storm Storm }
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if s := got.Storm; s.Ratio <= 0 || s.Alone.TPS <= 0 || s.Beside.TPS <= 0 || s.Answered <= 0 || s.Asked <= 0 {
		t.Errorf("%+v", s)
	}
}

// A sale that is refused is no figure, whatever the storm is told.
func TestStormThatRefusesSales(t *testing.T) {
	code, _, stderr := runBench(t, "declines", quick(t, "--storm", "--storm-rate=50")...)
	if code != exitFailed || !strings.Contains(stderr, "storm: bench: answers that are not approvals") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestStormRatiosAndLimit(t *testing.T) {
	sales := func(n int64, p99 float64) load.Result { return load.Result{Answers: n, Seconds: 1, CPU: 1, P99: p99} }
	storm := load.Result{Answers: 100, Seconds: 2, Refused: 90}
	var st Storm
	st.add([]gale{
		{sales(1000, 100), sales(990, 200), storm},
		{sales(1000, 100), sales(900, 300), storm},
		{sales(500, 100), sales(480, 150), storm},
	})
	if st.Ratio != 0.96 || st.P99Ratio != 2 || st.Answered != 30 || st.Refused != 270 || st.Asked != 50 || st.Beside.CPU != 0 {
		t.Errorf("%+v", st)
	}
	r := Report{Storm: &st}
	if err := r.check(&Options{MinStorm: 0.95}); err != nil {
		t.Error(err)
	}
	if err := r.check(&Options{MinStorm: 0.97}); err == nil || !strings.Contains(err.Error(), "--min-storm-ratio 0.97：0.960") {
		t.Errorf("%v", err)
	}
}

func TestStormOptions(t *testing.T) {
	err := (&Options{Shape: []string{"D"}, Seconds: 1, Pairs: 1, Storm: true, Raw: true, StormRate: 20_000}).Validate()
	if err == nil {
		t.Fatal("no error")
	}
	lines(t, err.Error(), "--storm 不与", "--storm-rate 20000")
	if err := (&Options{Shape: []string{"D"}, Seconds: 1, Pairs: 1, MinStorm: 0.9}).Validate(); err == nil || !strings.Contains(err.Error(), "--min-storm-ratio") {
		t.Errorf("%v", err)
	}
	o := Options{Storm: true, Pairs: 3, StormRate: 1000, Seconds: 3, WarmUp: 1}
	if o.terminals() != idleTerminals+3*2000 || o.connections() < 1500 || o.enquiries() != 1000 || (&Options{StormRate: 1000}).enquiries() != 0 {
		t.Errorf("%d terminals, %d connections", o.terminals(), o.connections())
	}
}
