package main

import (
	"strings"
	"testing"
)

// What is done to the tables of a data folder is there afterwards, and audited.
func TestTablesOffline(t *testing.T) {
	path := place(t, same, threeTerminals)
	for _, c := range []struct{ in, args, want string }{
		{"", "import -c P", "added 3"},
		{"merchant,name,state\nM1,一号店,open\n", "merchants import -c P -", "added 1"},
		{"", "set -c P merchants M1 state closed", "merchants M1 state: open → closed"},
		{"", "merchants export -c P", "M1,一号店,,,*,0,,,closed"},
		{"subject,class,day_count\ncard,pay,3\n", "limits import -c P -", "added 1"},
		{"", "limits export -c P", "card,default,pay,0,0,3"},
		{"card,cause\n6225880000000003,lost\n", "blacklist replace -c P -", "version 1: 新增 · added 1"},
		{"6225880000000011\n", "blacklist add --cause stolen --level 2 -c P", "version 2: 新增 · added 1"},
		{"6225880000000011\n", "blacklist show -c P", "level 2"},
		{"6225880000000011\n", "blacklist remove -c P", "removed 1"},
		{"6225880000000011\n", "blacklist show -c P", "not on the list"},
		{"", "blacklist versions -c P", "全量 full"},
		{"", "blacklist export -c P", "black,0,lost"},
		{"", "export -c P", "M1,T1,"},
	} {
		r := call(c.in, append([]string{"registry"}, strings.Fields(strings.ReplaceAll(c.args, "P", path))...)...)
		if r.code != exitDone || !strings.Contains(r.out, c.want) || strings.Contains(r.out, "6225880000000") {
			t.Errorf("%s: %v, want %q", c.args, r, c.want)
		}
	}
	for args, want := range map[string]string{
		"set -c P merchants M9 state closed": `there is no "M9"`, "set -c P merchants M1 state ajar": "want one of: open, closed", "limits import -c P none.csv": "none.csv",
	} {
		if r := call("", append([]string{"registry"}, strings.Fields(strings.ReplaceAll(args, "P", path))...)...); r.code != exitFailed || !strings.Contains(r.err, want) {
			t.Errorf("%s: %v, want %q", args, r, want)
		}
	}
	r := call("", "ctl", "audit", "show", "-c", path)
	if !strings.Contains(r.out, "registry add blacklist ok (version 1, 1 cards → version 2, 2 cards: 1 added") || !strings.Contains(r.out, "registry remove blacklist ok") {
		t.Errorf("one card, audited:\n%s", r.out)
	}
	if r := call("62\n", "registry", "blacklist", "add", "-c", path); r.code != exitFailed || !strings.Contains(r.err, "blacklist: card 格式错") {
		t.Error(r)
	}
	if strings.Count(r.out, " ok ") != 7 || strings.Count(r.out, "refused") != 2 || strings.Contains(r.out, "6225880000000") {
		t.Errorf("audited:\n%s", r.out)
	}
	if r := call("", "ctl", "audit", "verify", "-c", path); r.code != exitDone {
		t.Error(r)
	}
}

// The same by the socket of a switch that runs: at once, and in the chain that the
// journal vouches for.
func TestTablesOnline(t *testing.T) {
	g := newGround(t)
	g.start()
	t.Cleanup(g.killLast)
	g.up()
	for _, c := range []struct{ in, args, want string }{
		{"card,cause\n6225880000000003,lost\n", "blacklist import -", "version 1"},
		{"6225880000000003", "blacklist show", "F39 41"},
		{"merchant,name\nM1,一号店\n", "merchants import -", "added 1"},
		{"", "set merchants M1 name 二号店", "一号店 → 二号店"},
		{"", "merchants export", "M1,二号店"},
	} {
		if r := call(c.in, append(append([]string{"registry"}, strings.Fields(c.args)...), "-c", g.file)...); r.code != exitDone || !strings.Contains(r.out, c.want) {
			t.Fatalf("%s: %v, want %q", c.args, r, c.want)
		}
	}
	if r := call("merchant\nx y\n", "registry", "merchants", "import", "-", "-c", g.file); r.code != exitFailed || !strings.Contains(r.err, "<stdin>:2:1: ") {
		t.Error(r)
	}
	g.auditHolds(4, "registry set")
}
