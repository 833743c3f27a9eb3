package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clearrun "tongka/clearing/run"
	"tongka/journal"
	"tongka/translate"
	"tongka/txn"
)

// clearGround is a data folder with a day of five sales and the bank's file of it,
// in which one amount is another.
func clearGround(t *testing.T) (config string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("x.yaml", `node: {acquirer: "1"}
data: data
listeners: [{name: pos, address: "127.0.0.1:0"}]
links: [{name: a, address: "127.0.0.1:1", destination: "1", zpk: "U0123456789ABCDEF0123456789ABCDEF"}]
routes: [{link: a}]
hsm: {mode: soft, test_lmk: true}
limits: {in_flight: 64}
`)
	write("clearing.yaml", "match: [{by: [rrn]}]\nfiles: [{name: a.csv, link: a, required: true}]\n")
	write("data/journal.key", strings.Repeat("01", 32)+"\n")
	key, err := journal.LoadKey(filepath.Join(dir, "data/journal.key"), filepath.Join(dir, "data/journal"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := journal.Open(journal.Options{Dir: filepath.Join(dir, "data/journal"), Key: key, NoWarm: true})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 10, 1, 9, 0, 0, 0, translate.Zone).UnixNano()
	lines := []string{"rrn,amount"}
	for i := range 5 {
		f := txn.Facts{ID: txn.ID(7 + i), Kind: txn.Sale, Amount: 100, Result: txn.Approved, At: at, Sent: at}
		log.Stamp(at)
		log.Append(&journal.Record{Kind: journal.Intent, Facts: f})
		log.Append(&journal.Record{Kind: journal.Outcome, Facts: f})
		lines = append(lines, fmt.Sprintf("274%09d,%d", f.ID, 100+i/4))
	}
	if err := log.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	write("data/clearing/in/20261001/a.csv", strings.Join(lines, "\n")+"\nend,5,501\n")
	return filepath.Join(dir, "x.yaml")
}

func clearRun(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = runIn(append([]string{"clear", "run"}, args...), streams{ctx: t.Context(), in: strings.NewReader(""), out: &o, err: &e})
	return code, o.String(), e.String()
}

func TestClearRun(t *testing.T) {
	file := clearGround(t)
	code, out, errs := clearRun(t, "-c", file, "--date", "20261001", "--steps", "register,intake")
	if code != exitDone || !strings.Contains(out, "未关闭 · open") || !strings.Contains(errs, "2/10 验证入库") {
		t.Fatalf("%d: %s %s", code, out, errs)
	}
	left := filepath.Join(filepath.Dir(file), "data/clearing/snapshot")
	if err := os.MkdirAll(left, 0o700); err != nil { // as a run that was killed leaves it
		t.Fatal(err)
	}
	code, out, errs = clearRun(t, "-c", file, "--date", "20261001", "--json", "--traces", "5")
	if _, err := os.Stat(left); err == nil {
		t.Error("a snapshot is left")
	}
	var s clearrun.Summary
	if err := json.Unmarshal([]byte(out), &s); code != exitDone || err != nil || !s.Closed || !s.Report.Balanced || s.Report.Counts.Differences != 1 || s.Report.Counts.Ours != 5 {
		t.Fatalf("%d: %s %s %v", code, out, errs, err)
	}
	if !strings.Contains(errs, "先前已完成 · done before") || s.Report.Cases[0].Ours.Txn != 11 || s.Report.Links[0].Link != "a" {
		t.Errorf("%s %+v", errs, s.Report.Cases)
	}
	if lines := s.Report.Traces[s.Report.Cases[0].Case]; len(lines) < 2 || !strings.Contains(lines[0], "  11  RRN 274000000011  ") {
		t.Errorf("traces %q", s.Report.Traces)
	}
	page, err := os.ReadFile(filepath.Join(s.Folder, clearrun.ReportHTML))
	if err != nil || !strings.Contains(string(page), "<code>switch journal show 11</code>") || strings.Contains(string(page), "http://") || !strings.Contains(string(page), "<svg") || !strings.Contains(string(page), "<summary>追踪 · trace</summary>") {
		t.Errorf("the page: %v", err)
	}
	if code, out, _ := clearRun(t, "-c", file, "--date", "20261001"); code != exitDone || !strings.Contains(out, "已关闭 · closed") || !strings.Contains(out, "金额不等 · amount differs: 1") {
		t.Errorf("%d: %s", code, out)
	}
}

func TestClearRunRefuses(t *testing.T) {
	file := clearGround(t)
	for want, args := range map[string][]string{
		"--date: ":            {"--date", "20261301"},
		"no step":             {"--date", "20261001", "--steps", "pay"},
		"--redo takes one":    {"--date", "20261001", "--redo", "clear,settle"},
		"--memory is":         {"--date", "20261001", "--memory", "0"},
		"--checkpoint: ":      {"--date", "20261001", "--checkpoint", "/nowhere"},
		"cuts: ":              {"--date", "20261001", "--cuts", "/nowhere"},
		"rules: ":             {"--date", "20261001", "--rules", "/nowhere"},
		"the day has not end": {"--date", "20991231", "--without", "a.csv"},
		"is required and not": {"--date", "20261002"},
	} {
		if code, _, errs := clearRun(t, append([]string{"-c", file}, args...)...); code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "clearing.yaml"), []byte("match: [{by: [rrn]}]\nfiles: []\nfee: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := clearRun(t, "-c", file, "--date", "20261001"); code != exitFailed || !strings.Contains(errs, `clearing.yaml:3:1: 未知的键 "fee"`) {
		t.Errorf("%d %s", code, errs)
	}
}

// A day pays the merchants what cards paid offline, by the file that came, once.
func TestClearRunPaysOffline(t *testing.T) {
	file := clearGround(t)
	dir := filepath.Dir(file)
	_, pack := placeOffline(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	from := filepath.Dir(pack)
	text = fmt.Appendf(text, "offline: {tac_keys: %s/tac.csv}\n", from)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := call("", "offline", "import", "-c", file, pack); r.code != exitDone || !strings.Contains(r.out, "T 18") {
		t.Fatal(r)
	}
	rules := "match: [{by: [rrn]}]\nfiles: [{name: a.csv, link: a, required: true}]\n"
	if err := os.WriteFile(filepath.Join(dir, "clearing.yaml"), []byte(rules+"offline: [{terminal: NO, merchant: X}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := clearRun(t, "-c", file, "--date", "20261001"); code != exitFailed || !strings.Contains(errs, "XF.zip:XF01.csv:1: ") {
		t.Fatalf("records of nobody: %d %s", code, errs)
	}
	if err := os.WriteFile(filepath.Join(dir, "clearing.yaml"), []byte(rules+"offline: [{merchant: \"104110045110001\"}]\ncities: [{name: bj, merchants: [\"104*\"]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := clearRun(t, "-c", file, "--date", "20261001", "--json", "--redo", "register")
	var s clearrun.Summary
	if err := json.Unmarshal([]byte(out), &s); code != exitDone || err != nil || !s.Closed || s.Report.Counts.Purses != 18 || s.Report.Fund.Consume >= 0 || s.Report.Fund.Consume != s.Report.Fund.Closing {
		t.Fatalf("%d: %s %s %v", code, out, errs, err)
	}
	var paid int64
	for _, p := range s.Report.Parties {
		if p.Role == "merchant" && p.Name == "104110045110001" {
			paid = p.Gross
		}
	}
	if paid != -s.Report.Fund.Consume {
		t.Errorf("the merchant gets %d, the fund pays %d", paid, s.Report.Fund.Consume)
	}
	if r := call("", "offline", "status", "-c", file); !strings.Contains(r.out, "S 18") {
		t.Error(r)
	}
}
