package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// made is a run with rounds whose CPU and TPS are scaled by the factors given.
func made(t testing.TB, cpu ...float64) *File {
	t.Helper()
	f := map[string]any{
		"time": time.Date(2026, 9, 12, 10, 0, 0, 0, time.UTC), "seconds": 3.0, "pairs": len(cpu),
		"machine":   map[string]any{"cpu": "<b>Made & up</b>", "cores": 2, "kernel": "6.1", "go": "go1.26", "file_system": "ext4", "load_1m": 0.5},
		"quantiles": []float64{1, 50, 99, 100}, "idle_bytes_per_terminal": 650.0, "codec_ns": 266.0,
	}
	shapes := map[string]any{}
	for _, name := range []string{"D", "A"} {
		var rounds []any
		for _, k := range cpu {
			sample := func(us, tps float64) map[string]any {
				return map[string]any{"cpu_us": us, "tps": tps, "p50_us": 500 * us, "p99_us": 1000 * us,
					"percentiles_us": []float64{us, 500 * us, 1000 * us, 2000 * us}, "tps_over_time": []float64{tps, tps * 1.1, tps * 0.9}}
			}
			rounds = append(rounds, map[string]any{"raw": sample(7, 130_000), "switch": sample(10*k, 90_000/k), "moov": sample(170*k, 6000)})
		}
		shapes[name] = map[string]any{"cpu_us": 10 * cpu[0], "user_us": 6.0, "sys_us": 4.0, "tps": 90_000.0, "p50_us": 5000.0, "p99_us": 10_000.0,
			"cpu_ratio_raw": 1.43 * cpu[0], "tps_ratio_raw": 0.69, "p99_ratio_raw": 1.43,
			"percentiles_us": []float64{10, 5000, 10_000, 20_000}, "rounds": rounds,
			"raw": map[string]any{"cpu_us": 7.0, "tps": 130_000.0, "p50_us": 3500.0, "p99_us": 7000.0, "percentiles_us": []float64{7, 3500, 7000, 14_000}}}
	}
	f["shapes"] = shapes
	f["peers"] = map[string]any{"moov": map[string]any{"A": map[string]any{"cpu_us": 170.0, "tps": 6000.0, "p50_us": 9000.0, "p99_us": 20_000.0, "cpu_ratio_switch": 17.0,
		"percentiles_us": []float64{100, 9000, 20_000, 30_000}}}}
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func contains(t *testing.T, text string, needles ...string) {
	t.Helper()
	for _, n := range needles {
		if !strings.Contains(text, n) {
			t.Errorf("%q is not in:\n%s", n, text)
		}
	}
}

func goals(t *testing.T, text string) Goals {
	t.Helper()
	g, faults := parseGoals("goals.yaml", []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return g
}

func TestGoals(t *testing.T) {
	g := goals(t, `
shapes.D.cpu_ratio_raw: {max: 1.5, stretch: 1.4}
shapes.D.tps: {min: 100000, stretch: 200000}
shapes.D.tps_ratio_raw: {min: 0.69, stretch: 0.6}
shapes.D.allocs_per_txn: {max: 0}
shapes.A.syscalls_per_txn: {max: 2.5, if_measured: true}
shapes.W.cpu_us: {max: 3}
peers.moov.A.cpu_ratio_switch: {min: 15}
peers.net.A.cpu_us: {max: 1}
idle_bytes_per_terminal: {max: 600}
`)
	var w bytes.Buffer
	if missed := g.Judge(&w, made(t, 1)); missed != 3 {
		t.Errorf("%d missed, want 3", missed)
	}
	contains(t, w.String(),
		"held    shapes.D.cpu_ratio_raw = 1.43，目标 goal ≤ 1.5；更高目标 stretch ≤ 1.4\n",
		"MISSED  shapes.D.tps = 90000，目标 goal ≥ 100000；",
		"held    shapes.D.tps_ratio_raw = 0.69，目标 goal ≥ 0.69；更高目标已达 stretch reached ≥ 0.6\n",
		"MISSED  shapes.D.allocs_per_txn：未测得",
		"unknown shapes.A.syscalls_per_txn", "absent  shapes.W.cpu_us", "absent  peers.net.A.cpu_us",
		"held    peers.moov.A.cpu_ratio_switch = 17", "MISSED  idle_bytes_per_terminal = 650")
}

func TestFaultsOfGoals(t *testing.T) {
	cases := map[string]string{
		"":                                       "1:1: 空文件",
		"[1, 2]":                                 "1:1: 须为 指标",
		"shapes.D.tps: 5":                        "1:15: shapes.D.tps：须为映射",
		"shapes.D.tps: {}":                       "want one of max and min",
		"shapes.D.tps: {max: x}":                 "1:21: shapes.D.tps.max：须为数",
		"shapes.D.tps: {maks: 1}":                `did you mean "max"`,
		"shape.D.tps: {min: 1}":                  `1:1: shape.D.tps：没有 "shape"`,
		"shapes.Q.tps: {min: 1}":                 `没有 "Q"`,
		"shapes.D: {min: 1}":                     "which figure?",
		"peers.moof.A.tps: {min: 1}":             `did you mean "moov"`,
		"peers.moov.A: {min: 1}":                 "which figure?",
		"shapes.D.tps: {min: 1, max: 2}":         "want one of max and min",
		"shapes.D.tps: {min: 1, if_measured: 3}": "want true or false",
		"shapes.D.tps: {min: 1}\nshapes.D.tps: {min: 2}": "2:1: shapes.D.tps：重复",
		"a: {": "YAML",
	}
	for text, says := range cases {
		_, faults := parseGoals("g", []byte(text))
		if len(faults) == 0 || !strings.Contains(faults.Error(), says) {
			t.Errorf("%q: %v, want %q", text, faults, says)
		}
	}
}

// The goals of the house can be read, and say what was set.
func TestOwnGoals(t *testing.T) {
	g, err := ReadGoals("../goals.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(g) != 17 {
		t.Errorf("%d goals", len(g))
	}
	if d := g[0]; d.Figure != "shapes.D.cpu_ratio_raw" || !d.Most || d.Bound != 1.5 || *d.Stretch != 1.4 {
		t.Errorf("%+v", d)
	}
}

func TestCompare(t *testing.T) {
	a, faster, same := made(t, 1, 1.1, 1.05), made(t, 0.8, 0.85, 0.9), made(t, 1.1, 1.2, 1.15)
	var w bytes.Buffer
	Compare(&w, a, faster)
	for _, line := range strings.Split(w.String(), "\n") {
		if strings.HasPrefix(line, "D  cpu_ratio_raw") && (!strings.Contains(line, "-19.0%") || !strings.Contains(line, "better")) ||
			strings.HasPrefix(line, "D  tps ") && !strings.Contains(line, "better") ||
			strings.HasPrefix(line, "D  raw") && !strings.Contains(line, "noise") {
			t.Error(line)
		}
	}
	contains(t, w.String(), "D  cpu_ratio_raw", "D  tps ", "D  raw tps", "A  cpu_us", "10.5 (10 … 11)")
	w.Reset()
	Compare(&w, faster, a)
	contains(t, w.String(), "worse")
	w.Reset()
	Compare(&w, a, same)
	if strings.Contains(w.String(), "worse") || strings.Contains(w.String(), "better") {
		t.Errorf("spreads that touch are not noise:\n%s", w.String())
	}
	w.Reset()
	Compare(&w, made(t, 1, 1), made(t, 2, 2))
	contains(t, w.String(), "too few rounds: 2")
	if strings.Contains(w.String(), "kept awake") {
		t.Errorf("both were measured alike:\n%s", w.String())
	}
	delete(faster.Shapes, "A")
	faster.Machine.Awake = true
	faster.Machine.Cores = 64
	w.Reset()
	Compare(&w, a, faster)
	contains(t, w.String(), "The machines differ", "kept awake in one and slept in the other", "not in B")
	w.Reset()
	Compare(&w, faster, a)
	contains(t, w.String(), "not in A")
}

func TestFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	for text, says := range map[string]string{
		`{"shapes": {"D": {"tps": "many"}}}`: "byte 31, shapes.",
		`{"shapes": {`:                       "byte 12",
		`{}`:                                 "shapes is empty",
		`[]`:                                 "byte 1",
	} {
		path := filepath.Join(dir, "x.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "none")} {
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
