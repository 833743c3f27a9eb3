package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The page needs nothing from elsewhere, and what a file says is no markup.
func TestPageIsSelfContained(t *testing.T) {
	f := made(t, 1, 1.1, 1.2)
	d := f.Shapes["D"]
	allocs := 0.25
	d.Open, d.Allocs, d.Unmeasured = &Open{Figures{CPU: 2, TPS: 7, P99: 9}, 20_000}, &allocs, map[string]string{"syscalls_per_txn": "<b>not root</b>"}
	f.Shapes["D"] = d
	f.Peers[`<script>alert("x")</script>`] = map[string]Figures{"A": {CPU: 1, TPS: 5}}
	var w bytes.Buffer
	if err := HTML(&w, f); err != nil {
		t.Fatal(err)
	}
	text := w.String()
	for _, bad := range []string{"http:", "https:", "<script", "src=", "href=", "url(", "@import", "<b>Made", "<b>not root"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	contains(t, text, "通卡压测", "Tongka bench", "D：500 台终端", "500 terminals × 1", "moov-io/iso8583", "latency by percentile", "TPS over time",
		"user + system", "6.00 + 4.00 µs", "an idle terminal: 650 B", "CPU 1.43", ">p99<", "20000 arrive a second", "Tongka, open loop", "allocations 0.250", "syscalls_per_txn")
	if n := strings.Count(text, "<svg"); n != 6 {
		t.Errorf("%d charts, want 6", n)
	}
	// Order is the one of the house and not of the alphabet.
	if strings.Index(text, "<h2>A") > strings.Index(text, "<h2>D") {
		t.Error("D stands before A")
	}
}

// Charts are well-formed, have a line for each system, and every point lies within.
func TestChartsStayWithinTheirFrame(t *testing.T) {
	f := made(t, 1, 1.1, 1.2)
	systems := f.systems("A")
	if len(systems) != 3 || systems[0].Name != "raw" || systems[1].Name != "switch" || systems[2].Name != "moov" {
		t.Fatalf("systems %v", systems)
	}
	for name, svg := range map[string]string{
		"latency": string(latencyChart(systems, f.Quantiles)), "time": string(timeChart(systems)), "split": string(splitChart(systems)),
	} {
		d := xml.NewDecoder(strings.NewReader(svg))
		lines := 0
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, svg)
			}
			e, ok := token.(xml.StartElement)
			if !ok || e.Name.Local != "polyline" {
				continue
			}
			lines++
			for _, a := range e.Attr {
				if a.Name.Local != "points" {
					continue
				}
				for _, p := range regexp.MustCompile(`[0-9.-]+,[0-9.-]+`).FindAllString(a.Value, -1) {
					var x, y float64
					if _, err := fmt.Sscanf(p, "%f,%f", &x, &y); err != nil || x < left || x > chartWidth || y < top || y > chartHeight {
						t.Errorf("%s: point %s", name, p)
					}
				}
			}
		}
		if name != "split" && lines != 3 {
			t.Errorf("%s: %d lines", name, lines)
		}
	}
}

func TestChartsOfNothing(t *testing.T) {
	for _, svg := range []string{string((&chart{}).svg()), string((&chart{log: true, lines: []line{{"a", "b", []float64{0, 0}}}}).svg()), string(bars{{"a", "b", 0, 0}}.svg())} {
		if !strings.Contains(svg, "not measured") {
			t.Error(svg)
		}
	}
	// One value alone still has a scale.
	if svg := string((&chart{log: true, marks: []string{"x"}, lines: []line{{"a", "b", []float64{100}}}}).svg()); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Error(svg)
	}
}

func TestTable(t *testing.T) {
	f := made(t, 1, 1, 1)
	en, zh := Table(f, false), Table(f, true)
	contains(t, en, "| D: 500 terminals × 1 | 130,000 | 90,000 | 0.69 | 7.00 → 10.00 µs | 1.43 | 3.5 → 5 ms | 7 → 10 ms |",
		"| moov-io/iso8583 | A | 6,000 | 170.00 µs | 20 ms |", "Measured on 2026-09-12", "medians of 3 rounds of 3 s", "takes 650 bytes")
	contains(t, zh, "| D：500 台终端，各 1 笔 | 130,000 | 90,000 |", "3 轮", "占 650 字节")
	if strings.Contains(en, "awake") || strings.Contains(zh, "唤醒") {
		t.Error("processors slept")
	}
	f.Machine.Awake = true
	contains(t, Table(f, false), "Idle processors were kept awake for all systems")
	contains(t, Table(f, true), "空闲处理器一律保持唤醒")
}

// run is Main with its output.
func run(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Main(args, &out, &errs)
	return code, out.String(), errs.String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const result = `{"time": "2026-09-12T10:00:00Z", "seconds": 3, "pairs": 1, "shapes": {"D": {"tps": 50000, "cpu_us": 10, "raw": {"tps": 100000, "cpu_us": 5}, "rounds": []}}}`

func TestTablesAreWrittenAndChecked(t *testing.T) {
	file := write(t, "r.json", result)
	zh := write(t, "README.zh-CN.md", "前\n<!-- figures:begin -->\n旧\n<!-- figures:end -->\n后\n")
	en := write(t, "README.md", "before\n<!-- figures:begin -->\nlies\n<!-- figures:end -->\nafter\n")
	if code, _, errs := run("table", file, zh, en, "--check"); code != 1 || !strings.Contains(errs, en) || !strings.Contains(errs, zh) {
		t.Errorf("stale: exit %d, %s", code, errs)
	}
	if code, _, errs := run("table", file, zh, en); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	b, err := os.ReadFile(en)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(b), "before\n<!-- figures:begin -->\n| load |", "| 100,000 | 50,000 |", "<!-- figures:end -->\nafter\n")
	if strings.Contains(string(b), "lies") {
		t.Error("the old table stays")
	}
	if code, _, errs := run("table", file, zh, en, "--check"); code != 0 {
		t.Errorf("fresh: exit %d, %s", code, errs)
	}
	for _, text := range []string{"none", "<!-- figures:end -->\n<!-- figures:begin -->\n", "<!-- figures:begin -->\n<!-- figures:begin -->\n<!-- figures:end -->\n"} {
		path := write(t, "X.md", text)
		if code, _, errs := run("table", file, path); code != 1 || !strings.Contains(errs, path) {
			t.Errorf("%q: exit %d, %s", text, code, errs)
		}
	}
}

// What the house quotes of itself is what was measured.
func TestReadmesQuoteThePublishedRun(t *testing.T) {
	if code, _, errs := run("table", "../published.json", "../../README.md", "../../README.zh-CN.md", "--check"); code != 0 {
		t.Errorf("make figures: %s", errs)
	}
}

func TestCommands(t *testing.T) {
	file := write(t, "r.json", result)
	page := filepath.Join(t.TempDir(), "new", "page.html")
	held, missed := write(t, "held.yaml", "shapes.D.tps: {min: 50000}\n"), write(t, "missed.yaml", "shapes.D.tps: {min: 50001}\n")
	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{0, "held", []string{"goals", file, "--goals", held}},
		{1, "1 of 1 goals missed", []string{"goals", file, "--goals", missed}},
		{1, "none.yaml", []string{"goals", file, "--goals", "none.yaml"}},
		{0, "B/A", []string{"compare", file, file}},
		{1, "none.json", []string{"compare", file, "none.json"}},
		{2, "命令行有误", []string{"compare", file}},
		{0, "", []string{"html", file, page}},
		{1, "not a result", []string{"html", held, page + "x"}},
		{0, "50,000", []string{"table", file}},
		{0, "负载", []string{"table", file, "--zh"}},
		{0, "compare two runs", []string{"compare", "--help"}},
	} {
		code, out, errs := run(c.args...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%v: exit %d, want %d, %q: %s%s", c.args, code, c.code, c.says, out, errs)
		}
	}
	if b, err := os.ReadFile(page); err != nil || !bytes.HasSuffix(b, []byte("</html>\n")) {
		t.Errorf("%v, %s", err, b)
	}
	if _, err := os.Stat(page + "x"); err == nil {
		t.Error("a page of nothing was written")
	}
}

// A peer that took part in some rounds has the middle of these.
func TestOverTimeOfWhoTookPart(t *testing.T) {
	rounds := []map[string]Figures{{"net": {OverTime: []float64{1, 2, 3}}, "raw": {}}, {"raw": {}}, {"net": {OverTime: []float64{3, 4}}}}
	if got := overTime(rounds, "net"); len(got) != 2 || got[0] != 2 || got[1] != 3 {
		t.Errorf("%v", got)
	}
	if got := overTime(rounds, "moov"); got != nil {
		t.Errorf("%v of nobody", got)
	}
}
