package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the switch needs for the kiosks' cards is printed, and can be read by it.
func TestSimKioskSetup(t *testing.T) {
	var yaml, csv, errs strings.Builder
	if code := run([]string{"sim", "kiosk", "--setup", "config"}, strings.NewReader(""), &yaml, &errs); code != 0 || !strings.HasPrefix(yaml.String(), "cards:\n") || strings.Count(yaml.String(), "family:") != 6 {
		t.Errorf("exit %d, %s%s", code, &yaml, &errs)
	}
	if code := run([]string{"sim", "kiosk", "--setup", "orders", "--cards", "4", "--orders", "3"}, strings.NewReader(""), &csv, &errs); code != 0 || strings.Count(csv.String(), "\n") != 1+4*3 {
		t.Errorf("exit %d, %s%s", code, &csv, &errs)
	}
}

// A command line that cannot be played is refused in both languages.
func TestSimKioskRefusals(t *testing.T) {
	for args, says := range map[string]string{
		"":                                             "--connect or --setup is wanted",
		"--setup=both":                                 "--setup",
		"--setup=config --cards=0":                     "wanted 1 to",
		"--connect=127.0.0.1:1 --count=0":              "wanted 1 to",
		"--connect=127.0.0.1:1 --cards=1":              "wanted 4 to",
		"--connect=127.0.0.1:1 --mishaps=1.1":          "wanted 0 to 1",
		"--connect=127.0.0.1:1 --mishaps=NaN":          "wanted 0 to 1",
		"--connect=127.0.0.1:1 --orders=-1":            "orders -1",
		"--connect=127.0.0.1:1 --rate=-1":              "rate -1",
		"--connect=127.0.0.1:1 --books=" + t.TempDir(): "is a directory",
	} {
		var out, errs strings.Builder
		code := run(append([]string{"sim", "kiosk"}, strings.Fields(args)...), strings.NewReader(""), &out, &errs)
		if code == 0 || !strings.Contains(errs.String(), says) || strings.Contains(errs.String(), "panic") {
			t.Errorf("%q: exit %d, %q, want %q", args, code, &errs, says)
		}
	}
}

// A book of kiosks is compared with the banks', with or without terminals.
func TestSimCompareKiosks(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bank := write("bank.jsonl", `{"bank":"b","merchant":"m","terminal":"t","kind":"load-cash","amount":101,"rrn":"1","stan":1,"sent":1,"state":"booked","code":"00"}
{"bank":"b","merchant":"m","terminal":"t","amount":5,"rrn":"2","stan":2,"sent":2,"state":"booked","code":"00"}
`)
	good := write("kiosks.jsonl", `{"of":{"n":0,"name":"3120*1000","initial":500,"balance":601},"wish":{"n":0,"kind":"load-cash","card":0,"amount":101,"state":"approved","asked":1,"debits":1,"written":true}}
`)
	bad := write("none.jsonl", "")
	for kiosks, want := range map[string]int{good: 0, bad: exitFailed} {
		var out, errs strings.Builder
		if code := run([]string{"sim", "compare", "--kiosks", kiosks, "--banks", bank, "--json"}, strings.NewReader(""), &out, &errs); code != want {
			t.Errorf("%s: exit %d, want %d: %s%s", kiosks, code, want, &out, &errs)
		}
		var v struct {
			Lost  *int `json:"lost"`
			Cards struct{ Duplicated, Written int }
		}
		if err := json.Unmarshal([]byte(out.String()), &v); err != nil || v.Lost == nil || v.Cards.Duplicated != want || v.Cards.Written != 1-want {
			t.Errorf("%s: %v: %s", kiosks, err, &out)
		}
	}
	var out, errs strings.Builder
	if code := run([]string{"sim", "compare", "--banks", bank}, strings.NewReader(""), &out, &errs); code == 0 || !strings.Contains(errs.String(), "--terminals or --kiosks is wanted") {
		t.Errorf("exit %d: %s", code, &errs)
	}
}
