package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const dialectFiles = "../../codec/iso8583/dialects/testdata/"

func TestDialectListAndShow(t *testing.T) {
	r := call("", "dialect", "list")
	for _, name := range []string{"pos", "cups", "87b", "93a", "ebcdic"} {
		if r.code != exitDone || !strings.Contains(r.out, "\n"+name+" ") {
			t.Errorf("%s is not in the list: %d\n%s", name, r.code, r.out)
		}
	}
	var rows []dialectRow
	if r := call("", "dialect", "list", "--json"); json.Unmarshal([]byte(r.out), &rows) != nil || len(rows) < 10 || rows[0].Name != "pos" {
		t.Errorf("%s", r.out)
	}
	var shown struct{ Table []fieldRow }
	r = call("", "dialect", "show", "87A", "--json")
	if json.Unmarshal([]byte(r.out), &shown) != nil || shown.Table[0] != (fieldRow{2, "主账号 / Primary account number", "number", "ascii", 19, "LL ascii", ""}) {
		t.Errorf("%s", r.out)
	}
	// What is shown is a file that says the same.
	path := filepath.Join(t.TempDir(), "pos.yaml")
	if err := os.WriteFile(path, []byte(call("", "dialect", "show", "pos").out), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := call("", "dialect", "diff", "pos", path); r.code != exitDone || r.out != "pos | pos：0 处不同 · 0 differences\n" {
		t.Errorf("%d %s%s", r.code, r.out, r.err)
	}
	if r := call("", "dialect", "show", "nope"); r.code != exitFailed || !strings.Contains(r.err, "built in: pos, bcd, cups") {
		t.Errorf("%d %s", r.code, r.err)
	}
}

func TestDialectImport(t *testing.T) {
	out := filepath.Join(t.TempDir(), "all.yaml")
	r := call("", "dialect", "import", dialectFiles+"moovall.json", "-o", out)
	if r.code != exitDone || !strings.Contains(r.err, "moovall.json:30:5: 域 65") {
		t.Errorf("%d %s", r.code, r.err)
	}
	if r := call("", "dialect", "diff", "--json", dialectFiles+"moovall.json", out); r.code != exitDone || r.out != "[]\n" {
		t.Errorf("%d %s%s", r.code, r.out, r.err)
	}
	if r := call("", "dialect", "import", dialectFiles+"moovall.json", "-o", out); r.code != exitFailed || !strings.Contains(r.err, "file exists") {
		t.Errorf("an older file is overwritten: %d %s", r.code, r.err)
	}
	if r := call("", "dialect", "import", dialectFiles+"spec87ascii.json"); r.code != exitDone || !strings.HasPrefix(r.out, "name: \"ISO 8583 v1987 ASCII\"\n") {
		t.Errorf("%d %s", r.code, r.err)
	}
}

func TestDialectLintAndDiff(t *testing.T) {
	r := call("", "dialect", "lint", dialectFiles+"lint.yaml")
	if r.code != exitDone || !strings.Contains(r.out, "lint.yaml:7:83: F43") || !strings.Contains(r.out, "7 处可疑 · 60 fields, 7 findings") {
		t.Errorf("%d %s", r.code, r.out)
	}
	if r := call("", "dialect", "lint", "--json", "cups"); r.out != "[]\n" {
		t.Errorf("%s", r.out)
	}
	r = call("", "dialect", "lint", dialectFiles+"many.yaml")
	if r.code != exitFailed || strings.Count(r.err, "switch: ") < 10 || strings.Count(r.err, "switch: ") != strings.Count(r.err, "\n") {
		t.Errorf("%d %s", r.code, r.err)
	}
	r = call("", "dialect", "diff", "pos", "bcd")
	if r.code != exitDone || !strings.Contains(r.out, "F48 coding         bcd | ascii\n") || !strings.Contains(r.out, "F70                – | number 3 bcd-right\n") {
		t.Errorf("%d %s", r.code, r.out)
	}
}
