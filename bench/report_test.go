package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tongka/bench/internal/load"
	"tongka/bench/internal/proc"
)

// result is a measurement of one second.
func result(answers int64, cpuMicros, p99 float64) load.Result {
	all := make([]float64, len(load.Quantiles))
	for i, q := range load.Quantiles {
		all[i] = p99 * q / 100
	}
	cpu := time.Duration(cpuMicros * float64(answers) * 1e3)
	h := hdrhistogram.New(1, int64(time.Minute), 2)
	_ = h.RecordValues(int64(p99*1e3), 10)
	encoded, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		panic(err)
	}
	return load.Result{Histogram: string(encoded), Machine: 2 * cpu, Answers: answers, Seconds: 1, CPU: cpu, User: cpu * 6 / 10, System: cpu * 4 / 10, P50: p99 / 2, P99: p99,
		Percentiles: all, OverTime: []float64{float64(answers), float64(answers)}}
}

func TestRatiosAreMediansOfNeighbours(t *testing.T) {
	o := Options{Seconds: 1, Pairs: 3}
	r := newReport(&o, proc.Machine{})
	// The machine was slow during the second pair and met both.
	if err := r.add("D", map[string][]load.Result{
		"raw":    {result(100_000, 7, 100), result(50_000, 14, 200), result(120_000, 7, 100)},
		"switch": {result(60_000, 14, 300), result(30_000, 28, 600), result(60_000, 14, 200)},
		"moov":   {result(5_000, 140, 3000), result(2_000, 560, 6000), result(5_000, 140, 2000)},
	}, nil, nil); err != nil {
		t.Fatal(err)
	}
	s := r.Shapes["D"]
	near := func(what string, got, want float64) {
		t.Helper()
		if got < want*0.999 || got > want*1.001 {
			t.Errorf("%s: %g, want %g", what, got, want)
		}
	}
	near("TPS", s.TPS, 60_000)
	near("raw TPS", s.Raw.TPS, 100_000)
	near("CPU", s.CPU, 14)
	near("raw CPU", s.Raw.CPU, 7)
	near("user time", s.User, 14*0.6)
	near("system time", s.Raw.System, 7*0.4)
	near("p99", s.P99, 300)
	near("raw p50", s.Raw.P50, 50)
	near("TPS ratio", s.TPSRatio, 0.6)
	near("CPU ratio", s.CPURatio, 2)
	near("p99 ratio", s.P99Ratio, 3)
	near("moov's CPU over the switch's", r.Peers["moov"]["D"].CPURatio, 10)
	near("the machine's CPU", s.Machine, 28)
	near("moov's TPS", r.Peers["moov"]["D"].TPS, 5000)
	near("the highest percentile", s.Percentiles[len(s.Percentiles)-1], 300)
	if len(s.Rounds) != 3 || s.Rounds[1]["switch"].TPS != 30_000 || len(s.Rounds[2]["moov"].OverTime) != 2 {
		t.Errorf("rounds: %+v", s.Rounds)
	}
	near("median of four", median([]float64{4, 1, 3, 2}), 2.5)
}

func TestLimits(t *testing.T) {
	r := newReport(&Options{}, proc.Machine{})
	r.Shapes["A"] = Shape{TPSRatio: 0.4, CPURatio: 2, P99Ratio: 3}
	r.Shapes["D"] = Shape{TPSRatio: 0.6, CPURatio: 1.5, P99Ratio: 2}
	r.Idle = &Idle{Each: 2000}
	held := Options{
		MinTPSRatio: map[string]float64{"A": 0.4, "D": 0.5}, MaxCPURatio: map[string]float64{"A": 2},
		MaxP99Ratio: map[string]float64{"D": 2}, MaxIdle: 2000,
	}
	if err := r.check(&held); err != nil {
		t.Errorf("limits that are held: %v", err)
	}
	missed := Options{
		MinTPSRatio: map[string]float64{"A": 0.41, "D": 0.5}, MaxCPURatio: map[string]float64{"D": 1.4},
		MaxP99Ratio: map[string]float64{"A": 2.9}, MaxIdle: 1999,
	}
	err := r.check(&missed)
	if err == nil {
		t.Fatal("limits that are missed: no error")
	}
	lines(t, err.Error(), "--min-tps-ratio A=0.41", "--max-cpu-ratio D=1.4", "--max-p99-ratio A=2.9", "--max-idle 1999")
	if strings.Contains(err.Error(), "D=0.5") {
		t.Error("a limit that is held is named")
	}
}

func TestTable(t *testing.T) {
	r := newReport(&Options{Seconds: 3, Pairs: 2}, proc.Machine{CPU: "x", Cores: 2, FileSystem: "tmpfs"})
	if err := r.add("D", map[string][]load.Result{"raw": {result(100_000, 7, 100)}, "switch": {result(60_000, 14, 300)}, "net": {result(50_000, 21, 200)}},
		&Disk{Commits: 300, Mean: 612, Slow: 4, Share: 0.184}, nil); err != nil {
		t.Fatal(err)
	}
	r.Codec = 273.4
	var b bytes.Buffer
	r.print(&b)
	text := b.String()
	lines(t, text, "translate both ways, 18 fields: 273 ns", "D 500 × 1", "tmpfs, where a sync costs nothing", "2.00    0.60    3.00", "net 转发 net", "21.00      50000", "14.00      60000       150       300", "a commit 612 µs", "over 8 ms 4 / 300", "of the time 18%")
	// Figures of both systems stand below each other whatever the script.
	var ends []int
	for _, line := range strings.Split(text, "\n") {
		for _, word := range []string{"100000", " 60000", " 50000"} {
			if i := strings.Index(line, word); i >= 0 {
				ends = append(ends, cellWidth(line[:i+len(word)]))
			}
		}
	}
	if len(ends) != 3 || ends[0] != ends[1] || ends[0] != ends[2] {
		t.Errorf("TPS ends at cells %v in:\n%s", ends, text)
	}
}

func TestOptionsSayEverythingThatIsWrong(t *testing.T) {
	good := Options{Shape: []string{"D"}, Seconds: 1, Pairs: 1, Idle: 1}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	bad := Options{
		Shape: []string{"X", "D", "D"}, WarmUp: -1, Idle: -1, Raw: true, MaxIdle: 1,
		MinTPSRatio: map[string]float64{"A": 1}, Peers: []string{"jpos", "net", "net", "none"},
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	bad2 := Options{Shape: []string{"W"}, Seconds: 1, Pairs: 1, Rate: 200_000, Storm: true, StormRate: 1, HGRM: "x"}
	if err := bad2.Validate(); err == nil {
		t.Error("no error")
	} else {
		lines(t, err.Error(), "--rate 200000", "shape W", "--rate：不与", "--hgrm：不与")
	}
	lines(t, err.Error(), "--shape X", "--shape D：重复", "--seconds 0", "--warm-up -1", "--pairs 0", "--idle -1",
		"--min-tps-ratio A", "--peers jpos", "--peers net：重复", "--peers none：", "no ratio with --raw", "--max-idle")
}

// Every measurement of a switch takes fresh terminals, and so does the idle one.
func TestTerminalsSuffice(t *testing.T) {
	o := Options{Shape: []string{"A", "D", "W", "C", "M"}, Pairs: 3, Seconds: 3, WarmUp: 1, MixRate: 100}
	if got, want := o.terminals(), idleTerminals+(3+1)*(50+500+16+500+500)+3*500; got != want {
		t.Errorf("%d terminals, want %d", got, want)
	}
	if o.bound() < 2*time.Minute || o.bound() > 20*time.Minute {
		t.Errorf("a default run may take %v", o.bound())
	}
}

// A switch that is behind the rate of an open loop is said to be.
func TestOpenLoopSaysWhoIsBehind(t *testing.T) {
	r := newReport(&Options{Seconds: 1, Pairs: 2, Rate: 20_000}, proc.Machine{})
	late := result(15_000, 14, 300)
	late.Behind = 5_000
	if err := r.add("D", map[string][]load.Result{"raw": {result(20_000, 7, 100), result(20_000, 7, 100)}, "switch": {late, result(20_000, 14, 300)}}, nil, nil); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	r.print(&b)
	lines(t, b.String(), "20000 arrive a second", "up to 5000 were due and not sent")
	if got := r.Shapes["D"].Rounds[0]["switch"].Behind; got != 5_000 {
		t.Errorf("%d behind in the round", got)
	}
}

func TestHistogramsOfAllRounds(t *testing.T) {
	hs := histograms{}
	if err := hs.add("D.switch", []load.Result{result(1, 1, 100), result(1, 1, 400)}); err != nil {
		t.Fatal(err)
	}
	if err := hs.add("D.raw", []load.Result{{Histogram: "nonsense"}}); err == nil || !strings.Contains(err.Error(), "D.raw: histogram of round 1") {
		t.Errorf("error %v", err)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if err := hs.save(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "D.switch.hgrm"))
	if err != nil {
		t.Fatal(err)
	}
	// Microseconds of all twenty answers, in the form that HdrHistogram's tools read.
	lines(t, string(text), "Value", "Percentile", "TotalCount", "1/(1-Percentile)", "Total count    =           20")
	if got := hs["D.switch"].ValueAtQuantile(100); got < 396_000 || got > 404_000 {
		t.Errorf("the slowest took %d ns", got)
	}
	if err := hs.save(filepath.Join(dir, "D.switch.hgrm", "below")); err == nil {
		t.Error("a folder below a file")
	}
}

// Shape M has an open loop beside the rounds; who translates sales only takes no part, and
// peers only in the first rounds.
func TestMix(t *testing.T) {
	b := bench{o: &Options{Pairs: 4}}
	systems := []*target{{name: "raw"}, {name: "switch"}, {name: "net"}, {name: "moov"}}
	for _, c := range []struct {
		shape string
		round int
		want  int
	}{{"D", 0, 4}, {"D", 2, 4}, {"D", 3, 2}, {"M", 0, 3}, {"M", 3, 2}} {
		if got := b.taking(systems, c.shape, c.round); len(got) != c.want {
			t.Errorf("%s, round %d: %d systems, want %d", c.shape, c.round, len(got), c.want)
		}
	}
	r := newReport(&Options{Seconds: 1, Pairs: 2}, proc.Machine{})
	if err := r.add("M", map[string][]load.Result{"raw": {result(40_000, 7, 100), result(40_000, 7, 100)},
		"switch": {result(20_000, 14, 300), result(20_000, 14, 300)}, "net": {result(30_000, 28, 200)}}, nil, nil); err != nil {
		t.Fatal(err)
	}
	late := result(20_000, 16, 900)
	late.Behind = 700
	if err := r.addOpen("M", 20_000, []load.Result{late, result(20_000, 16, 700)}); err != nil {
		t.Fatal(err)
	}
	if o := r.Shapes["M"].Open; o.P99 != 800 || o.Rate != 20_000 || o.Behind != 700 || r.took["M.open"] == nil {
		t.Errorf("%+v", o)
	}
	if p := r.Peers["net"]["M"]; p.CPURatio < 1.99 || p.CPURatio > 2.01 || len(r.Shapes["M"].Rounds[1]) != 2 {
		t.Errorf("%+v", p)
	}
	r.Peers["moov"] = map[string]Peer{"A": {}}
	var out bytes.Buffer
	r.print(&out)
	lines(t, out.String(), "M 混合 mix", "开环 open 20000/s", "up to 700 were due", "net 转发 net")
	if strings.Contains(out.String(), "moov") {
		t.Error("a row of a peer that took no part")
	}
	bad := Options{Shape: []string{"M"}, Seconds: 1, Pairs: 1, PIN: true, MixRate: -1}
	if err := bad.Validate(); err == nil {
		t.Error("no error")
	} else {
		lines(t, err.Error(), "--pin：", "--mix-rate -1")
	}
}

func TestPartiesBesideTheSwitch(t *testing.T) {
	good := Options{Shape: []string{"D"}, Seconds: 1, Pairs: 1, Bank: "lognormal:20ms,0.5", HSM: "tcp:1ms"}
	if err := good.Validate(); err != nil {
		t.Errorf("%v", err)
	}
	if good.bank().Median != 20*time.Millisecond {
		t.Errorf("%+v", good.bank())
	}
	bad := Options{Shape: []string{"M"}, Seconds: 1, Pairs: 1, Bank: "stuck", HSM: "tcp:1h", Storm: true, StormRate: 1}
	if err := bad.Validate(); err == nil {
		t.Error("no error")
	} else {
		lines(t, err.Error(), "--bank stuck", "--bank：不与", `--hsm "tcp:1h"`)
	}
	for _, text := range []string{"tcp:", "tcp:x", "udp:1ms", "tcp:-1ms"} {
		if _, err := parseHSM(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	r := newReport(&good, proc.Machine{})
	refusing := result(100, 1, 1)
	refusing.Refused = 2
	if err := r.add("D", map[string][]load.Result{"raw": {result(100, 1, 1)}, "switch": {refusing}}, nil, nil); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r.print(&out)
	lines(t, out.String(), "bank: lognormal:20ms,0.5", "security module: tcp:1ms", "not approved (98, 91)：2.000%")
}
