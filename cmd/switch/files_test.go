package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clearrun "tongka/clearing/run"
	"tongka/clearing/station"
)

const stationText = `sources: [{name: bank, folder: in, wait: 0s}]
kinds:
  - {name: own, sender: bank, files: "a*.csv", days_ago: 0}
  - {name: bus, sender: city, files: "XF*", to: offline, layout: bus-64, needs: [md5]}
`

// stationGround is clearGround with a station whose source has the bank's file.
func stationGround(t *testing.T) (config, in string) {
	t.Helper()
	config = clearGround(t)
	dir := filepath.Dir(config)
	in = filepath.Join(dir, "in")
	if err := os.Rename(filepath.Join(dir, "data/clearing/in/20261001"), in); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "station.yaml"), []byte(stationText), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, in
}

func filesDo(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = runIn(append([]string{"files"}, args...), streams{ctx: t.Context(), in: strings.NewReader(""), out: &o, err: &e})
	return code, o.String(), e.String()
}

// The day's run takes the station's files, and they go their way by its steps.
func TestFilesToTheRun(t *testing.T) {
	file, in := stationGround(t)
	for name, text := range map[string]string{"ab.csv": "rrn,amount\n1,x\nend,1,1\n", "XF1": strings.Repeat("x", 64), "XF1.md5": "00\n", "other.txt": "x"} {
		if err := os.WriteFile(filepath.Join(in, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, out, errs := filesDo(t, "import", "-c", file, "--date", "20261001", filepath.Join(in, "a.csv"), filepath.Join(in, "none.csv")); code != exitFailed ||
		!strings.Contains(out, "a.csv") || !strings.Contains(out, "已验 · verified") || !strings.Contains(errs, "none.csv") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	code, out, errs := filesDo(t, "scan", "-c", file)
	if code != exitDone || !strings.Contains(out, "ab.csv:2:3: amount") || !strings.Contains(out, "XF1.md5:1:1: 摘要不符") || !strings.Contains(out, "other.txt  须处理 · look at it") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	if code, out, errs := clearRun(t, "-c", file, "--date", "20261001", "--steps", "register,intake"); code != exitDone {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	if _, out, _ := filesDo(t, "list", "-c", file, "--state", "stored"); !strings.Contains(out, "a.csv") || !strings.Contains(out, "total 1") {
		t.Error(out)
	}
	code, out, errs = clearRun(t, "-c", file, "--date", "20261001", "--json")
	var s clearrun.Summary
	if err := json.Unmarshal([]byte(out), &s); code != exitDone || err != nil || !s.Closed || s.Report.Counts.Theirs != 5 {
		t.Fatalf("%d %s %s %v", code, out, errs, err)
	}
	var l station.List
	_, out, errs = filesDo(t, "list", "-c", file, "--json")
	if err := json.Unmarshal([]byte(out), &l); err != nil || len(l.Files) != 3 || l.Files[0].State != station.Archived {
		t.Fatalf("%s %s %v", out, errs, err)
	}
	if code, out, _ := filesDo(t, "list", "-c", file, "--errors"); code != exitDone || !strings.Contains(out, "ab.csv") || strings.Contains(out, "archived") || !strings.Contains(out, "other.txt") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := filesDo(t, "show", "-c", file, "a.csv"); code != exitDone || !strings.Contains(out, "已归档 · archived  pass") || !strings.Contains(out, "uid ") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := filesDo(t, "retry", "-c", file, "ab.csv"); code != exitFailed || !strings.Contains(out, "隔离") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, errs := filesDo(t, "reject", "-c", file, "ab.csv", "--why", "rubbish"); code != exitDone || !strings.Contains(out, "已拒绝") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	// Each order of a person is in the audit, in its order.
	_, _, _ = filesDo(t, "retry", "-c", file, "nobody.csv") // none of these happened
	audited := want(t, exitDone, "", "ctl", "audit", "show", "-c", file)
	at := 0
	for _, says := range []string{"desk-files-import", "desk-files-retry", "desk-files-reject"} {
		next := strings.Index(audited[at:], says)
		if next < 0 || strings.Count(audited, says) != 1 {
			t.Fatalf("%s: %s", says, audited)
		}
		at += next
	}
	want(t, exitDone, "", "ctl", "audit", "verify", "-c", file)
	// A file that comes for a closed day.
	if err := os.WriteFile(filepath.Join(in, "ac.csv"), []byte("rrn,amount\n7,1\nend,1,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := filesDo(t, "import", "-c", file, "--date", "20261001", filepath.Join(in, "ac.csv")); code != exitFailed || !strings.Contains(out, "20261001 已关闭") {
		t.Errorf("%d %s", code, out)
	}
}

// Files for the offline store come to it by a scan.
func TestFilesToTheOfflineStore(t *testing.T) {
	file, in := stationGround(t)
	if err := os.WriteFile(filepath.Join(in, "XF1"), make([]byte, 64), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(in, "XF1.md5"), []byte("3b5d3c7d207e37dceeedd301e35e2e58  XF1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := filesDo(t, "scan", "-c", file)
	if code != exitDone || !strings.Contains(out, "XF1:1:32: kind: 应为") {
		t.Fatalf("%d %s %s", code, out, errs)
	}
}

func TestFilesLint(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	data := write("d.csv", "rrn,amount\n1,x\nend,1,1\n")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitDone, "cup-acom"},
		{[]string{"cup-acom", "--show"}, exitDone, "between:"},
		{[]string{"own", data}, exitFailed, "d.csv:2:3: amount"},
		{[]string{write("bad.yaml", "record: {fields: [{name: a, length: 1}]}\nrows: {amount: a}\n")}, exitFailed, "bad.yaml:1:1: 缺少 name"},
		{[]string{write("station.yaml", "sources: [{name: a}]\n")}, exitFailed, "station.yaml:1:"},
		{[]string{write("good.yaml", stationText)}, exitDone, "正确 · fine"},
		{[]string{"cup-acon"}, exitFailed, "cup-acom"},
		{[]string{"/nowhere/x.yaml"}, exitFailed, "no such file"},
	} {
		code, out, errs := filesDo(t, append([]string{"lint"}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%v: %d %s %s", c.args, code, out, errs)
		}
	}
}

func TestFilesRefuse(t *testing.T) {
	file, _ := stationGround(t)
	for want, args := range map[string][]string{
		"--date: ":         {"list", "--date", "x"},
		"no state":         {"list", "--state", "gone"},
		"--every is":       {"scan", "--every", "1ms"},
		"no file \"9\" is": {"show", "9"},
		"config of the":    {"list", "--station", "/nowhere"},
	} {
		if code, _, errs := filesDo(t, append([]string{args[0], "-c", file}, args[1:]...)...); code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
}
