package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tongka/bench/internal/load"
	"tongka/bench/internal/proc"
)

// series makes values: the first third rises steeply, as a switch that fills its caches, and
// then they go from a to b.
func series(n int, a, b float64) (x []float64) {
	for i := range n {
		switch at := float64(i) / float64(n); {
		case at < 1.0/3:
			x = append(x, a*at)
		default:
			x = append(x, a+(b-a)*(at-1.0/3)*1.5)
		}
	}
	return x
}

func TestSustainedIsJudged(t *testing.T) {
	spiked := series(180, 1500, 1500)
	for i := 130; i < 150; i++ { // compactions, or a host that stalls
		spiked[i] = 90_000
	}
	cases := map[string]struct {
		memory, p99 []float64
		behind      int64
		whole       float64
		says        []string
	}{
		"flat":                  {series(180, 300e6, 302e6), series(180, 3000, 3100), 5, 4000, nil},
		"spikes":                {series(180, 300e6, 300e6), spiked, 0, 4000, nil},
		"a leak":                {series(180, 300e6, 345e6), series(180, 3000, 3000), 0, 4000, []string{"memory grows: 1.07"}},
		"slower and slower":     {series(180, 300e6, 300e6), series(180, 3000, 9000), 0, 4000, []string{"p99 grows: 1.67"}},
		"slower where it is so": {series(180, 300e6, 300e6), series(180, 300, 1900), 0, 4000, nil},
		"behind":                {series(180, 300e6, 300e6), series(180, 3000, 3000), 201, 4000, []string{"201 were due"}},
		"slow as a whole":       {series(180, 300e6, 300e6), series(180, 3000, 3000), 0, 11_000, []string{"p99 11000 µs > 10000 µs"}},
		"too short":             {series(5, 300e6, 300e6), series(180, 3000, 3000), 0, 4000, []string{"too short to judge: 5, 180"}},
		"nothing":               {nil, nil, 0, 0, []string{"too short to judge: 0, 0"}},
		"everything":            {series(90, 300e6, 900e6), series(90, 3000, 90_000), 9_000, 60_000, []string{"memory grows", "p99 grows", "9000 were due", "p99 60000"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := load.Result{Answers: 36e6, Seconds: 1800, CPU: time.Second, P50: 400, P99: c.whole, SliceP99: c.p99, Behind: c.behind}
			s := newSustained(20_000, 10*time.Second, &r, c.memory)
			missed := s.judge(10_000)
			if len(missed) != len(c.says) {
				t.Errorf("missed %v, want %q", missed, c.says)
			}
			lines(t, errors.Join(append(missed, errors.New(""))...).Error(), c.says...)
			var out bytes.Buffer
			s.print(&out)
			lines(t, out.String(), "持续 sustained: 每秒 20000")
		})
	}
}

func TestSustainOptions(t *testing.T) {
	o := Options{Shape: []string{"A", "W"}, Seconds: 1, Pairs: 1, Rate: 20_000, Sustain: 30 * time.Minute, MaxP99: 10_000}
	if err := o.Validate(); err != nil {
		t.Errorf("%v", err)
	}
	if o.slice() != 10*time.Second || o.bound() < 32*time.Minute || o.bound() > 45*time.Minute || o.terminals() != idleTerminals+500 || o.peerNames() != nil {
		t.Errorf("slice %v, bound %v, %d terminals", o.slice(), o.bound(), o.terminals())
	}
	bad := Options{Shape: []string{"A"}, Seconds: 1, Pairs: 1, Sustain: 13 * time.Hour, Storm: true, StormRate: 1, HTML: "x"}
	if err := bad.Validate(); err == nil {
		t.Error("no error")
	} else {
		lines(t, err.Error(), "--sustain 13h", "wants --rate", "--sustain：不与")
	}
	if err := (&Options{Shape: []string{"A"}, Seconds: 1, Pairs: 1, MaxP99: 1}).Validate(); err == nil {
		t.Error("--max-p99 without a sustained run")
	}
}

// The fake switch knows sales only, so a mix ends the run with words; that it goes well is
// tested with a real one.
func TestSustainThatFails(t *testing.T) {
	code, _, stderr := runBench(t, "", "--sustain=1s", "--rate=50", "--warm-up=0.1", "--idle=0", "--dir="+t.TempDir())
	if code != 1 {
		t.Errorf("exit %d", code)
	}
	lines(t, stderr, "sustain: ", "not approvals")
}

func TestSustainedInTheFile(t *testing.T) {
	r := newReport(&Options{Rate: 100}, proc.Machine{})
	r.Sustained = &Sustained{Rate: 100, MemoryGrowth: 1.2, P99Growth: 1}
	if err := r.check(&Options{Sustain: time.Second}); err == nil {
		t.Error("a leak passes")
	}
	path := filepath.Join(t.TempDir(), "r.json")
	if err := r.publish(&Options{JSON: path}, nil, os.Stdout); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Sustained map[string]any `json:"sustained"`
	}
	if err := json.Unmarshal(b, &got); err != nil || got.Sustained["rss_growth"] != 1.2 {
		t.Errorf("%v, %v", got, err)
	}
}
