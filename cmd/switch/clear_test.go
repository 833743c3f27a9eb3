package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func clearBench(ctx context.Context, args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = runIn(append([]string{"clear", "bench"}, args...), streams{ctx: ctx, in: strings.NewReader(""), out: &o, err: &e})
	return code, o.String(), e.String()
}

func TestClearBench(t *testing.T) {
	dir := t.TempDir()
	code, out, errs := clearBench(t.Context(), "--rows", "60000", "--memory", "1", "--dir", dir, "--json")
	var got map[string]float64
	if err := json.Unmarshal([]byte(out), &got); code != exitDone || err != nil {
		t.Fatalf("%d: %s %s %v", code, out, errs, err)
	}
	for _, key := range []string{"rows", "seconds", "peak_mb", "differences", "unbalanced"} {
		if _, ok := got[key]; !ok {
			t.Errorf("no %s in %s", key, out)
		}
	}
	if len(got) != 5 || got["rows"] != 60000 || got["differences"] != 600 || got["unbalanced"] != 0 || got["peak_mb"] <= 0 {
		t.Errorf("%s", out)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%d files stay", len(left))
	}
	if code, out, _ = clearBench(t.Context(), "--rows", "100", "--dir", dir); code != exitDone || !strings.Contains(out, "未平 · unbalanced: 0") {
		t.Errorf("%d: %s", code, out)
	}
}

func TestClearBenchRefusesAndStops(t *testing.T) {
	for _, args := range [][]string{{"--rows", "0"}, {"--memory", "0"}, {"--memory", "99999"}, {"--rows", "9999999999"}, {"--rows", "9", "--dir", "/nowhere"}} {
		if code, _, errs := clearBench(t.Context(), args...); code != exitFailed || errs == "" {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if code, _, _ := clearBench(ctx, "--rows", "50000", "--dir", dir); code != exitFailed {
		t.Errorf("%d: it does not stop", code)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("stopped, and %d files stay", len(left))
	}
}

// What is asked for and missed is an error, behind the figures.
func TestClearBenchLimits(t *testing.T) {
	t.Setenv("TONGKA_IS_SWITCH", "1") // what it starts is this program
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"it took":             {"--max-seconds", "0.000001"},
		"the peak of memory":  {"--max-mb", "0.5"},
		"grows with the rows": {"--flat", "0.01"},
	} {
		code, out, errs := clearBench(t.Context(), append([]string{"--rows", "1000", "--dir", dir, "--json"}, args...)...)
		if code != exitFailed || !strings.Contains(errs, want) || !strings.Contains(out, `"rows"`) {
			t.Errorf("%v: %d %s %s", args, code, out, errs)
		}
	}
	if code, out, errs := clearBench(t.Context(), "--rows", "1000", "--dir", dir, "--json", "--flat", "50", "--max-mb", "4096", "--max-seconds", "600"); code != exitDone {
		t.Errorf("%d %s %s", code, out, errs)
	}
}
