package main

import (
	"encoding/json"
	"strings"
	"testing"

	"tongka/hsm"
	"tongka/hsm/soft"
)

const threeTerminals = `merchant,terminal,tmk,kinds,group,pik,mak,batch
M1,T1,U0123456789ABCDEF0123456789ABCDEF,sale,4,U0123456789ABCDEF0123456789ABCDEF,0123456789ABCDEF,12
M1,T2,U0123456789ABCDEF0123456789ABCDEF,,,,,
M2,T1,U0123456789ABCDEF0123456789ABCDEF,,,,,
`

func TestRegistryRoundTrip(t *testing.T) {
	path := place(t, same, threeTerminals)
	for _, sub := range []string{"show", "export"} {
		if r := call("", "registry", sub, "-c", path); r.code != exitFailed || !strings.Contains(r.err, "nothing is registered yet") {
			t.Errorf("%s before any import: %v", sub, r)
		}
	}
	for _, want := range []string{"added 3, 变更 · changed 0, 共 · total 3", "added 0, 变更 · changed 0, 共 · total 3"} {
		if r := call("", "registry", "import", "-c", path); r.code != exitDone || !strings.Contains(r.out, want) {
			t.Errorf("want %q: %v", want, r)
		}
	}
	r := call("merchant,terminal,tmk\nM3,T9,0123456789ABCDEF\n", "registry", "import", "-c", path, "-")
	if r.code != exitDone || !strings.Contains(r.out, "added 1,") {
		t.Error(r)
	}
	r = call("", "registry", "export", "-c", path)
	want := "M1,T1,U0123456789ABCDEF0123456789ABCDEF,unionpay,sale,4,U0123456789ABCDEF0123456789ABCDEF,0123456789ABCDEF,000012,,,,,,\n"
	if r.code != exitDone || strings.Count(r.out, "\n") != 5 || !strings.Contains(r.out, want) {
		t.Error(r)
	}
	again := place(t, same, r.out)
	if a := call("", "registry", "import", "-c", again); !strings.Contains(a.out, "added 4,") {
		t.Error(a)
	}
}

func TestRegistryShow(t *testing.T) {
	path := place(t, same, threeTerminals)
	if r := call("", "registry", "import", "-c", path); r.code != exitDone {
		t.Fatal(r)
	}
	r := call("", "registry", "show", "-c", path)
	if r.code != exitDone || !strings.Contains(r.out, "total 3") || !strings.Contains(r.out, "batch 000012 → ") || strings.Count(r.out, "未签到 · none") != 2 {
		t.Error(r)
	}
	if strings.Contains(r.out, "0123456789ABCDEF") {
		t.Error("a key is shown")
	}
	for args, want := range map[string]int{"": 3, "--merchant M1": 2, "--terminal T1": 2, "--merchant M1 --terminal T1": 1, "--merchant nobody": 0} {
		r := call("", append([]string{"registry", "show", "--json", "-c", path}, strings.Fields(args)...)...)
		var found []shown
		if err := json.Unmarshal([]byte(r.out), &found); err != nil || found == nil || len(found) != want {
			t.Errorf("%q: %d found, want %d; %v, %v", args, len(found), want, r, err)
		}
	}
}

func TestRegistryImportRefuses(t *testing.T) {
	bare := func(s string) string { return strings.Replace(s, ", import: terminals.csv", "", 1) }
	for name, c := range map[string]struct {
		r    result
		want string
	}{
		"no file":     {call("", "registry", "import", "-c", place(t, bare, "")), "no CSV file given"},
		"missing":     {call("", "registry", "import", "-c", place(t, same, ""), "none.csv"), "none.csv"},
		"faulty":      {call("merchant\n", "registry", "import", "-c", place(t, same, ""), "-"), "<stdin>:1:1: "},
		"bad config":  {call("", "registry", "import", "-c", place(t, func(string) string { return "node: 5\n" }, "")), "tongka.yaml:1:7: "},
		"no terminal": {call("", "registry", "import", "-c", place(t, same, "")), "the file is empty"},
	} {
		if c.r.code != exitFailed || !strings.Contains(c.r.err, c.want) {
			t.Errorf("%s: %v", name, c.r)
		}
	}
}

// A store that another process holds is refused with the likely reason.
func TestRegistryHeldByAnother(t *testing.T) {
	path := place(t, same, threeTerminals)
	r, _, err := openRegistry(path, true)
	if err != nil {
		t.Fatal(err)
	}
	got := call("", "registry", "show", "-c", path)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if got.code != exitFailed || !strings.Contains(got.err, "is the switch running?") {
		t.Error(got)
	}
}

// Check values are shown, of what a module can open; keys are not.
func TestRegistryShowsCheckValues(t *testing.T) {
	path := place(t, same, "merchant,terminal,tmk\n"+goodTMK)
	if r := call("", "registry", "import", "-c", path); r.code != exitDone {
		t.Fatal(r)
	}
	if r := call("of,name,key\nmaker,acme,"+goodKey+"\n", "registry", "transports", "import", "-", "-c", path); r.code != exitDone {
		t.Fatal(r)
	}
	if r := call("", "registry", "permit", "M1/T1", "-c", path); r.code == exitDone {
		t.Error("permitted without a transport key")
	}
	if r := call("of,name,key\nany,,"+goodKey+"\n", "registry", "transports", "import", "-", "-c", path); r.code != exitDone {
		t.Fatal(r)
	}
	if r := call("", "registry", "permit", "M1/T1", "--for", "1h", "-c", path); r.code != exitDone || !strings.Contains(r.out, "once, until") {
		t.Error(r)
	}
	r := call("", "registry", "show", "--kcv", "-c", path)
	if r.code != exitDone || !strings.Contains(r.out, "TMK 08D7B4") || !strings.Contains(r.out, "transport 08D7B4") || !strings.Contains(r.out, "may download a master key until") || strings.Contains(r.out, goodKey[1:]) {
		t.Error(r)
	}
	r = call("", "registry", "export", "--kcv", "-c", path)
	if rows := strings.Split(r.out, "\n"); r.code != exitDone || !strings.HasPrefix(rows[0], "merchant,terminal,tmk,tmk_kcv,mac,") || !strings.Contains(rows[1], goodKey+",08D7B4,") {
		t.Error(r)
	}
	if again := call(r.out, "registry", "import", "-", "-c", path); again.code == exitDone || !strings.Contains(again.err, "tmk_kcv") {
		t.Error(again)
	}
	r = call("", "registry", "transports", "export", "--kcv", "-c", path)
	if r.code != exitDone || !strings.Contains(r.out, "maker,acme,"+goodKey+",08D7B4\n") {
		t.Error(r)
	}
	if r := call("", "registry", "limits", "export", "--kcv", "-c", path); r.code == exitDone || !strings.Contains(r.err, "no keys in limits") {
		t.Error(r)
	}
	r = call("", "registry", "keys", "-c", path)
	if r.code != exitDone || !strings.Contains(r.out, "08D7B4      acme") || strings.Contains(r.out, goodKey[1:]) {
		t.Error(r)
	}
	if r := call("", "registry", "permit", "M1/T1", "--off", "-c", path); r.code != exitDone {
		t.Error(r)
	}
	if r := call("", "registry", "show", "-c", path); strings.Contains(r.out, "may download") {
		t.Error(r)
	}
}

// goodKey is 0123456789ABCDEFFEDCBA9876543210 as a TMK under the public test LMK.
var goodKey = func() string {
	k, err := soft.New(soft.TestLMK()).Wrap(hsm.TMK, []byte("\x01\x23\x45\x67\x89\xAB\xCD\xEF\xFE\xDC\xBA\x98\x76\x54\x32\x10"))
	if err != nil {
		panic(err)
	}
	return k.String()
}()

var goodTMK = "M1,T1," + goodKey + "\n"

func TestCheckRefusesSM4BehindASocket(t *testing.T) {
	path := place(t, func(s string) string {
		return strings.Replace(s, "{mode: soft, test_lmk: true}", `{mode: tcp, addresses: ["10.0.0.5:1500"]}`, 1)
	}, "merchant,terminal,tmk\nM1,T1,S0123456789ABCDEF0123456789ABCDEF\n")
	if r := call("", "check", "-c", path); r.code != exitFailed || !strings.Contains(r.err, "host commands have no MAC of SM4") {
		t.Error(r)
	}
}
