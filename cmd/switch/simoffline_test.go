package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"tongka/offline"
)

// What sim offline makes, offline import takes, all into one store: every layout that has records, each
// fault of a record by its code, and a zip not without its digest.
func TestSimOfflineIsTakenIn(t *testing.T) {
	path := place(t, func(s string) string {
		return s + "offline: {tac_keys: offline-tac.csv, terminals: offline-terminals.csv, cards: offline-cards.csv}\n"
	}, threeTerminals)
	dir := filepath.Dir(path)
	for name, format := range map[string]string{"dongguan": "sim-dongguan-1.zip", "city-316": "sim-city-316-1", "bus-64": "sim-bus-64-1", "recharge-205": "sim-recharge-205-1"} {
		made := call("", "sim", "offline", "--out", dir, "--layout", name, "--count", "20", "--faults")
		if made.code != exitDone || !strings.Contains(made.out, "offline import") {
			t.Fatalf("%s: %v", name, made)
		}
		r := call("", "offline", "import", "-c", path, "--layout", name, "--json", filepath.Join(dir, format))
		var files []offline.File
		if err := json.Unmarshal([]byte(r.out), &files); err != nil || r.code != exitDone || len(files) != 1 {
			t.Fatalf("%s: %v, %v", name, r, err)
		}
		f := &files[0]
		if f.Stage != offline.Done || f.States["T"] != 20 || f.States["U"] == 0 || f.States["E"] == 0 || f.Records != f.States["T"]+f.States["U"]+f.States["E"] {
			t.Errorf("%s: %+v", name, *f)
		}
	}
	for args, want := range map[string]string{"--count 0": "须为 1 至", "--layout nothing": "dongguan", "--layout recharge-al": "dongguan", "--seed 32": "至多"} {
		if r := call("", append([]string{"sim", "offline", "--out", t.TempDir()}, strings.Fields(args)...)...); r.code != exitUsage || !strings.Contains(r.err, want) {
			t.Errorf("%s: %v", args, r)
		}
	}
}
