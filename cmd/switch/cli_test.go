package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tongka/config"
	"tongka/conn/cert/certtest"
	"tongka/fault"
)

var rewrite = flag.Bool("rewrite", false, "renew the golden files")

// result is what one run of the program left behind.
type result struct {
	code     int
	out, err string
}

func (r result) String() string {
	return fmt.Sprintf("code %d\nout: %s\nerr: %s", r.code, r.out, r.err)
}

// call runs the program in the process.
func call(stdin string, args ...string) result {
	var out, err bytes.Buffer
	code := run(args, strings.NewReader(stdin), &out, &err)
	return result{code, out.String(), err.String()}
}

// golden compares got with the file, or renews the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// usage.txt holds command lines that are wrong, and what is said of each.
func TestUsage(t *testing.T) {
	const file = "testdata/usage.txt"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.SplitSeq(string(b), "\n") {
		command, ok := strings.CutPrefix(line, "$ switch ")
		if !ok {
			continue
		}
		r := call("", strings.Fields(command)...)
		fmt.Fprintf(&got, "%s\n%s%s= %d\n\n", line, r.out, r.err, r.code)
	}
	golden(t, file, got.String())
}

func TestNoCommand(t *testing.T) {
	r := call("")
	if r.code != exitUsage || !strings.Contains(r.err, `缺少命令 · expected one of "`) || !strings.Contains(r.err, "switch --help") {
		t.Error(r)
	}
}

// Help is in both languages, and none of the library's own words are left alone.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"check", "--help"}, {"decode", "-h"}, {"sim", "bank", "--help"}, {"registry", "--help"}} {
		r := call("", args...)
		if r.code != exitDone || r.err != "" {
			t.Errorf("%v: %v", args, r)
		}
		for line := range strings.SplitSeq(r.out, "\n") {
			for _, alone := range []string{"Usage:", "Flags:", "Commands:", "Arguments:", "Run ", "Show context"} {
				if strings.HasPrefix(line, alone) {
					t.Errorf("%v: English only: %q", args, line)
				}
			}
		}
		if !strings.Contains(r.out, "选项 · flags:") {
			t.Errorf("%v: no flags: %s", args, r.out)
		}
	}
}

func TestVersion(t *testing.T) {
	var b build
	r := call("", "version", "--json")
	if err := json.Unmarshal([]byte(r.out), &b); err != nil || r.code != exitDone || b.Module != "tongka" || !strings.HasPrefix(b.Go, "go1.") {
		t.Errorf("%v, %+v, %v", r, b, err)
	}
	if r := call("", "version"); !strings.HasPrefix(r.out, "通卡 Tongka ") {
		t.Error(r)
	}
}

func TestReadBuild(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Path: "m", Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-03-01T02:03:04Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	got := readBuild(info)
	if got.Module != "m" || got.Version != "v1.2.3" || got.Revision != "abc" || got.Time != "2026-03-01T02:03:04Z" || !got.Modified {
		t.Errorf("%+v", got)
	}
	if got := readBuild(nil); got.Module != "tongka" || got.Version != "(devel)" {
		t.Errorf("%+v", got)
	}
}

func TestConfigSchema(t *testing.T) {
	want, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if r := call("", "config", "schema"); r.code != exitDone || r.out != string(want) {
		t.Error(r)
	}
}

func TestCheckExample(t *testing.T) {
	r := call("", "check", "-c", "../../examples/tongka.yaml")
	if r.code != exitDone || r.err != "" {
		t.Fatal(r)
	}
	golden(t, "testdata/check.golden", filepath.ToSlash(r.out))
	var v verdict
	r = call("", "check", "--json", "-c", "../../examples/tongka.yaml")
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		t.Fatal(err)
	}
	if !v.OK || v.Terminals != 10 || v.Sum != sum(v.Memory) || v.Sum == 0 {
		t.Errorf("%+v", v)
	}
}

// The full example is right as it stands, and with what its head tells to make.
func TestCheckTheFullExample(t *testing.T) {
	if r := call("", "check", "-c", "../../examples/full.yaml"); r.code != exitDone || r.err != "" {
		t.Fatal(r)
	}
	dir := t.TempDir()
	for _, name := range []string{"full.yaml", "bins.csv", "terminals.csv"} {
		b, err := os.ReadFile("../../examples/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), bytes.ReplaceAll(b, []byte("\n#+"), []byte("\n")), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	own := certtest.NewCA(t).Issue(t, certtest.Leaf{Name: "switch"})
	for name, from := range map[string]string{"switch.pem": own.Cert, "ca.pem": own.Cert, "switch.key": own.Key} {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "ca-keys.bin"), []byte("keys"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := call("", "journal", "newkey", filepath.Join(dir, "journal-2025.key")); r.code != exitDone {
		t.Fatal(r)
	}
	r := call("", "check", "-c", filepath.Join(dir, "full.yaml"))
	if r.code != exitDone || r.err != "" || !strings.Contains(r.out, "TLS 双向 · mutual") || !strings.Contains(r.out, "半双工 · half-duplex") {
		t.Error(r)
	}
}

// place puts a config with its terminals into a folder of its own. edit changes
// the example before.
func place(t *testing.T, edit func(yaml string) string, csv string) string {
	t.Helper()
	b, err := os.ReadFile("../../examples/tongka.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "tongka.yaml")
	if err := os.WriteFile(path, []byte(edit(string(b))), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "terminals.csv"), []byte(csv), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func same(s string) string { return s }

func TestCheckNamesAllFaults(t *testing.T) {
	path := place(t, func(s string) string {
		return strings.NewReplacer("link: bank-a}", "link: bank-z}", "session_ttl", "sesion_ttl").Replace(s)
	}, "merchant,terminal,tmk\n")
	r := call("", "check", "-c", path)
	if r.code != exitFailed || r.out != "" {
		t.Fatal(r)
	}
	for _, want := range []string{
		`tongka.yaml:30:48: 没有线路 "bank-z" · no link "bank-z" (是否为 "bank-a" · did you mean "bank-a"?)`,
		`tongka.yaml:31:12: `, `tongka.yaml:35:12: `, `did you mean "session_ttl"?`, "3 faults",
	} {
		if !strings.Contains(r.err, want) {
			t.Errorf("%q is not in\n%s", want, r.err)
		}
	}
	var v verdict
	r = call("", "check", "--json", "-c", path)
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || r.code != exitFailed || v.OK || len(v.Faults) != 3 || r.err != "" {
		t.Errorf("%v, %v", r, err)
	}
}

func TestCheckReadsTerminals(t *testing.T) {
	r := call("", "check", "-c", place(t, same, "merchant,terminal,tmk\nM,T,U12\n,,\n"))
	if r.code != exitFailed || !strings.Contains(r.err, "terminals.csv:2:5: tmk") || !strings.Contains(r.err, "terminals.csv:3:1: ") {
		t.Error(r)
	}
	r = call("", "check", "-c", place(t, func(s string) string { return strings.Replace(s, "terminals.csv", "none.csv", 1) }, ""))
	if r.code != exitFailed || !strings.Contains(r.err, "none.csv") {
		t.Error(r)
	}
	if r = call("", "check", "-c", "none.yaml"); r.code != exitFailed || !strings.Contains(r.err, "none.yaml") {
		t.Error(r)
	}
	few := func(s string) string { return strings.Replace(s, "session_ttl", "max_terminals: 1, session_ttl", 1) }
	r = call("", "check", "-c", place(t, few, "merchant,terminal,tmk\nM,1,0123456789ABCDEF\nM,2,0123456789ABCDEF\n"))
	if r.code != exitFailed || !strings.Contains(r.err, "1 at most") {
		t.Error(r)
	}
}

// A config that uses what the example does not.
func TestCheckDescribesModules(t *testing.T) {
	path := place(t, func(s string) string {
		return strings.NewReplacer("{mode: soft, test_lmk: true}", `{mode: tcp, addresses: ["10.0.0.5:1500"]}`, ", import: terminals.csv", "").Replace(s)
	}, "")
	r := call("", "check", "-c", path)
	if r.code != exitDone || !strings.Contains(r.out, "HSM: 10.0.0.5:1500, ") || strings.Contains(r.out, "TEST KEYS") || strings.Contains(r.out, "终端 · terminals:") {
		t.Error(r)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteFaultIsSaid(t *testing.T) {
	for _, args := range [][]string{{"config", "schema"}, {"version", "--json"}, {"sim", "provision"}} {
		var stderr bytes.Buffer
		code := runIn(args, streams{ctx: context.Background(), in: strings.NewReader(""), out: brokenWriter{}, err: &stderr})
		if code != exitFailed || !strings.Contains(stderr.String(), io.ErrClosedPipe.Error()) {
			t.Errorf("%v: code %d, %s", args, code, &stderr)
		}
	}
}

func TestForeignPanicIsNotSwallowed(t *testing.T) {
	defer func() {
		if p := recover(); p == nil {
			t.Error("the panic is gone")
		}
	}()
	runIn([]string{"decode", "-"}, streams{ctx: context.Background(), in: panicReader{}, out: io.Discard, err: io.Discard})
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic(errors.New("broken")) }

// TestExplain: one code with its hint, all codes, and what is no code.
func TestExplain(t *testing.T) {
	var out, bad strings.Builder
	if code := run([]string{"explain", "tk-1001"}, nil, &out, &bad); code != exitDone || !strings.Contains(out.String(), "TK-1001") || !strings.Contains(out.String(), "what to do") {
		t.Errorf("%d %s %s", code, &out, &bad)
	}
	out.Reset()
	if code := run([]string{"explain", "--json"}, nil, &out, &bad); code != exitDone {
		t.Errorf("%d %s", code, &bad)
	}
	var all []toldFault
	if err := json.Unmarshal([]byte(out.String()), &all); err != nil || len(all) != len(fault.All()) || all[0].HintZH == "" {
		t.Errorf("%v: %d faults", err, len(all))
	}
	if code := run([]string{"explain", "TK-0000"}, nil, &out, &bad); code != exitFailed || !strings.Contains(bad.String(), "switch explain") {
		t.Errorf("%d %s", code, &bad)
	}
}
