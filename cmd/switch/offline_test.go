package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongka/audit"
	configuration "tongka/config"
	"tongka/hsm"
	"tongka/offline"
	sim "tongka/sim/offline"
)

// placeOffline makes a config with its lists, and a package of 20 records, one of
// them with a wrong TAC and one a repeat.
func placeOffline(t *testing.T) (config, pack string) {
	t.Helper()
	config = place(t, func(s string) string {
		return s + "\noffline: {tac_keys: tac.csv, terminals: terminals-offline.csv, cards: cards.csv}\n"
	}, threeTerminals)
	dir := filepath.Dir(config)
	keys, err := sim.Keys()
	if err != nil {
		t.Fatal(err)
	}
	key := keys[hsm.CardKeyID{TAC: true}]
	m, err := sim.NewMaker("dongguan", 1)
	if err != nil {
		t.Fatal(err)
	}
	wrong := make([]sim.Wrong, 20)
	wrong[5], wrong[9] = sim.TAC, sim.Repeat
	csv, _, err := m.File(wrong)
	if err != nil {
		t.Fatal(err)
	}
	file, digest, list, err := sim.Package([]string{"XF01.csv"}, [][]byte{csv}, []int{20})
	if err != nil {
		t.Fatal(err)
	}
	terminals, cards := sim.Books()
	for name, text := range map[string]string{
		"tac.csv":   "family,algorithm,index,version,issuer,key\ncity,des,00,00,," + key.String() + "\n",
		"cards.csv": cards, "terminals-offline.csv": terminals,
		"XF.zip": string(file), "XF.zip.md5": digest + "  XF.zip\n", "XF.pkg": string(list), "bare.zip": string(file), "bad.csv": "x\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config, filepath.Join(dir, "XF.zip")
}

func TestOfflineImport(t *testing.T) {
	config, pack := placeOffline(t)
	dir := filepath.Dir(pack)
	for _, again := range []bool{false, true} { // the same file, and nothing new
		r := call("", "offline", "import", "-c", config, pack)
		if again != strings.Contains(r.out, "XF.zip: 重复文件") {
			t.Errorf("offered again %v: %v", again, r)
		}
		if r.code != exitDone || !strings.Contains(r.out, "完成 · done  记录 records 20") || !strings.Contains(r.out, "T 18  U 1  E 1") || !strings.Contains(r.out, "total 1\n") {
			t.Fatal(r)
		}
	}
	var files []offline.File
	r := call("", "offline", "status", "-c", config, "--json")
	if err := json.Unmarshal([]byte(r.out), &files); err != nil || len(files) != 1 || files[0].Stage != offline.Done {
		t.Error(r, err)
	}
	r = call("", "offline", "results", "-c", config, "XF.zip", "--out", dir)
	answer, err := os.ReadFile(filepath.Join(dir, "XF.zip.result.csv"))
	if err != nil || r.code != exitDone || strings.Count(string(answer), "\n") != 21 || !strings.HasPrefix(string(answer), "XF.zip,20,") {
		t.Error(r, err)
	}
	if digest, err := os.ReadFile(filepath.Join(dir, "XF.zip.result.csv.md5")); err != nil || string(digest) != sim.MD5(answer)+"  XF.zip.result.csv\n" {
		t.Errorf("%s %v", digest, err)
	}
	r = call("", "offline", "list", "-c", config, "XF.zip", "--state", "U", "--json")
	var rec offlineRecord
	if err := json.Unmarshal([]byte(r.out), &rec); err != nil || rec.Number != 6 || rec.Code != "1" || !strings.HasPrefix(rec.Card, "************") {
		t.Error(r, err)
	}
	if r := call("", "offline", "list", "-c", config, "XF.zip", "--limit", "3"); strings.Count(r.out, "\n") != 3 || r.code != exitDone {
		t.Error(r)
	}
}

func TestOfflineImportRefuses(t *testing.T) {
	config, pack := placeOffline(t)
	dir := filepath.Dir(pack)
	for args, want := range map[string]string{
		"import bare.zip":                 "its digest bare.zip.md5 is missing",
		"import bad.csv":                  "bad.csv:1:2: term-seq: 缺少",
		"import none.csv":                 "none.csv: no such file",
		"import XF.zip --layout city-361": `did you mean "city-316"`,
		"results none":                    `no file "none" is registered`,
		"list none --state X":             "wanted one of I T U E S",
	} {
		words := strings.Fields(strings.Replace(args, "import ", "import "+dir+"/", 1))
		r := call("", append([]string{"offline", words[0], "-c", config}, words[1:]...)...)
		if r.code != exitFailed || !strings.Contains(r.err, want) {
			t.Errorf("%s: %v", args, r)
		}
	}
	if r := call("", "offline", "import", "-c", config); r.code != exitDone {
		t.Error(r) // nothing is left to go on with
	}
	if err := os.WriteFile(filepath.Join(dir, "tac.csv"), []byte("family,algorithm,index,version,issuer,key\ncity,des,0,00,,U00\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := call("", "offline", "import", "-c", config, pack); r.code != exitFailed || !strings.Contains(r.err, "tac.csv:2:1: ") {
		t.Error(r)
	}
}

// Who offered what is in the audit file, whether the switch runs or not, and its
// chain holds.
func TestOfflineImportIsAudited(t *testing.T) {
	config, pack := placeOffline(t)
	dir := filepath.Dir(pack)
	call("", "offline", "import", "-c", config, pack)
	call("", "offline", "import", "-c", config, pack)
	call("", "offline", "import", "-c", config, filepath.Join(dir, "bare.zip"))
	call("", "offline", "import", "-c", config, filepath.Join(dir, "bad.csv"))
	lines := strings.Split(strings.TrimSpace(audited(t, config)), "\n")
	for i, want := range []string{`"result":"ok"`, `duplicate: taken in before`, `bare.zip.md5`, `faults`} {
		if len(lines) != 4 || !strings.Contains(lines[i], want) || !strings.Contains(lines[i], `"action":"offline-import"`) || !strings.Contains(lines[i], fmt.Sprintf(`"uid":%d`, os.Getuid())) {
			t.Fatalf("line %d of %d: %s, want %q", i+1, len(lines), lines[min(i, len(lines)-1)], want)
		}
	}
	for _, want := range []string{"XF.zip sha256 ", "done, 20 records, sum ", "T 18, U 1, E 1"} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("%s: %q is missing", lines[0], want)
		}
	}
}

func audited(t *testing.T, file string) string {
	t.Helper()
	cfg, err := configuration.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(cfg.AuditFile(), nil); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(cfg.AuditFile())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOfflineLayouts(t *testing.T) {
	r := call("", "offline", "layouts")
	if r.code != exitDone || strings.Count(r.out, "\n") != 5 {
		t.Error(r)
	}
	shown := call("", "offline", "layouts", "--show", "bus-64")
	path := filepath.Join(t.TempDir(), "my.yaml")
	if err := os.WriteFile(path, []byte(shown.out), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := call("", "offline", "layouts", "--lint", path); r.code != exitDone || !strings.Contains(r.out, "my.yaml:") {
		t.Error(r)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(shown.out, "length: 64", "length: 65", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := call("", "offline", "layouts", "--lint", path); r.code != exitFailed || !strings.Contains(r.err, "the fields are 64 bytes") {
		t.Error(r)
	}
}
