package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

const diffBase = `
node: {acquirer: "48023310"}
listeners: [{name: pos, address: "127.0.0.1:8583"}, {name: kiosk, address: "127.0.0.1:8584"}]
links:
  - {name: a, address: "127.0.0.1:9001", destination: "1", zpk: "U0123456789ABCDEF0123456789ABCDEF"}
  - {name: b, address: "127.0.0.1:9002", destination: "2", zpk: "U0123456789ABCDEF0123456789ABCDEF"}
routes: [{link: a}]
hsm: {mode: soft, test_lmk: true}
`

func parsed(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

func TestCompare(t *testing.T) {
	const newLink = `  - {name: c, address: "127.0.0.1:9003", destination: "3", zpk: "U0123456789ABCDEF0123456789ABCDEF"}` + "\n"
	a := strings.Split(diffBase, "\n")
	for _, c := range []struct {
		name, old, new string
		want           []string // with "!" in front when it wants a restart
	}{
		{"nothing", "", "", nil},
		{"only the order of keys", `{name: pos, address: "127.0.0.1:8583"}`, `{address: "127.0.0.1:8583", name: pos}`, nil},
		{"a timeout", `destination: "1",`, `destination: "1", answer_timeout: 30s,`, []string{"links[a].answer_timeout: 25s → 30s"}},
		{"one deeper", `destination: "2",`, `destination: "2", reversal: {window: 4},`, []string{"links[b].reversal.window: 16 → 4"}},
		{"a key", `"1", zpk: "U01`, `"1", zpk: "U11`, []string{"links[a].zpk: *** → ***"}},
		{"who we are", `"48023310"`, `"48023311"`, []string{`!node.acquirer: "48023310" → "48023311"`, `!node.forwarder: "48023310" → "48023311"`,
			`links[a].source: "48023310" → "48023311"`, `links[b].source: "48023310" → "48023311"`}},
		{"routes", "routes: [{link: a}]", `routes: [{bin: ["62"], link: b}, {link: a}]`, []string{`routes: [{link: "a"}] → [{bin: ["62"], link: "b"}, {link: "a"}]`}},
		{"the log", "hsm:", "log: {level: debug}\nhsm:", []string{`log.level: "info" → "debug"`}},
		{"a data folder", "hsm:", "data: other\nhsm:", []string{`!data: "data" → "other"`, `!journal.key_file: "data/journal.key" → "other/journal.key"`,
			`!admin.socket: "data/admin.sock" → "other/admin.sock"`}},
		{"a link before the others", "  - {name: a", newLink + "  - {name: a", []string{`!+ links[c]: {name: "c"`}},
		{"the links in another order", a[4] + "\n" + a[5], a[5] + "\n" + a[4], []string{`!links: a, b → b, a`}},
		{"a link gone", a[5] + "\n", "", []string{`!- links[b]: {name: "b"`}},
		{"the rules", "hsm:", "rules: {tip_percent: 10}\nhsm:", []string{"rules.tip_percent: 20 → 10"}},
		{"stop", "hsm:", "stop: {deadline: 3s}\nhsm:", []string{"stop.deadline: 10s → 3s"}},
	} {
		if !strings.Contains(diffBase, c.old) {
			t.Fatalf("%s: %q is not in the base", c.name, c.old)
		}
		got := Compare(parsed(t, diffBase), parsed(t, strings.Replace(diffBase, c.old, c.new, 1)))
		if len(got) != len(c.want) {
			t.Errorf("%s: %v", c.name, got)
			continue
		}
		for i, want := range c.want {
			restart := strings.HasPrefix(want, "!")
			if !strings.HasPrefix(got[i].String(), strings.TrimPrefix(want, "!")) || got[i].Live == restart {
				t.Errorf("%s: %q, live %v; want %q", c.name, got[i], got[i].Live, want)
			}
		}
	}
}

// TestNoKeyIsShown: a diff goes into logs and the audit file.
func TestNoKeyIsShown(t *testing.T) {
	for _, text := range []string{strings.Replace(diffBase, `"1", zpk: "U01`, `"1", zpk: "U11`, 1), strings.Replace(diffBase, "name: b,", "name: z,", 1)} {
		for _, c := range Compare(parsed(t, diffBase), parsed(t, text)) {
			if strings.Contains(strings.ToUpper(c.String()), "456789ABCDEF") {
				t.Errorf("a key is shown: %s", c)
			}
		}
	}
}

// TestListRules: what the tags of a list allow.
func TestListRules(t *testing.T) {
	type item struct {
		Name string        `json:"name"`
		Wait time.Duration `json:"wait" reload:"now"`
		Size int           `json:"size"`
	}
	old := []item{{"a", 1, 1}, {"b", 1, 1}}
	for _, c := range []struct {
		tag  string
		new  []item
		live []bool
	}{
		{"add", []item{{"a", 1, 1}, {"b", 1, 1}, {"c", 1, 1}}, []bool{true}},
		{"add", []item{{"a", 1, 1}, {"c", 1, 1}, {"b", 1, 1}}, []bool{false}},
		{"add", []item{{"a", 2, 1}}, []bool{true, false}},
		{"add,remove", []item{{"b", 1, 2}}, []bool{true, false}},
		{"now", []item{{"c", 1, 1}, {"b", 1, 2}, {"a", 1, 1}}, []bool{true, true, true}},
		{"", []item{{"a", 2, 2}}, []bool{true, false, false}},
		{"add", nil, []bool{false, false}},
	} {
		var d differ
		d.diff("list", reflect.ValueOf(old), reflect.ValueOf(c.new), c.tag)
		var live []bool
		for _, ch := range d.changes {
			live = append(live, ch.Live)
		}
		if !reflect.DeepEqual(live, c.live) {
			t.Errorf("%q %v: %v", c.tag, c.new, d.changes)
		}
	}
}
