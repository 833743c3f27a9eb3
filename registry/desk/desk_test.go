package desk

import (
	"errors"
	"strings"
	"testing"

	"tongka/registry"
	"tongka/registry/blacklist"
)

func open(t *testing.T) *Desk {
	t.Helper()
	r, err := registry.Open(registry.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := blacklist.Open(blacklist.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	})
	return &Desk{Registry: r, Blacklist: b}
}

func (d *Desk) do(t *testing.T, o Order, in string) Result {
	t.Helper()
	r, err := d.Do(o, strings.NewReader(in))
	if err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	return r
}

const tmk = "U00000000000000000000000000000001"

func TestSet(t *testing.T) {
	d := open(t)
	d.do(t, Order{Table: "terminals", Verb: "import"}, "merchant,terminal,tmk,pik,mak\nM1,T1,"+tmk+","+tmk+","+tmk+"\nM1,T2,"+tmk+",,\n")
	d.do(t, Order{Table: "merchants", Verb: "import"}, "merchant,name\nM1,一号店\n")
	d.do(t, Order{Table: "limits", Verb: "import"}, "subject,profile,class,day_count\ncard,,pay,9\n")
	for _, c := range []struct{ table, key, column, value, before, after string }{
		{"terminals", "M1/T1", "kinds", "sale", "*", "sale"},
		{"terminals", "M1/T1", "tmk", "U00000000000000000000000000000002", "***", "***"},
		{"merchants", "M1", "state", "closed", "open", "closed"},
		{"limits", "card/default/pay", "day_count", "3", "9", "3"},
	} {
		r := d.do(t, Order{Table: c.table, Verb: "set", Key: c.key, Column: c.column, Value: c.value}, "")
		if r.Before != c.before || r.After != c.after || !r.Changed || strings.Contains(r.Text, "U0000") {
			t.Errorf("%+v: %+v", c, r)
		}
		if out := d.do(t, Order{Table: c.table, Verb: "export"}, "").Text; !strings.Contains(out, c.value) || strings.Contains(out, "M1,T1") && c.column == "tmk" && strings.Count(out, tmk) != 1 {
			t.Errorf("%+v:\n%s", c, out) // the old key's session has ended with it: only T2 has the old key
		}
	}
	for _, o := range []Order{
		{Table: "terminals", Verb: "set", Key: "M1/T1", Column: "terminal", Value: "T9"},
		{Table: "terminals", Verb: "set", Key: "M1/T1", Column: "pik", Value: tmk},
		{Table: "terminals", Verb: "set", Key: "M1/T1", Column: "nothing", Value: "1"},
		{Table: "terminals", Verb: "set", Key: "M1/T9", Column: "group", Value: "1"},
		{Table: "terminals", Verb: "set", Key: "M1/T1", Column: "group", Value: "x"},
		{Table: "banks", Verb: "set"}, {Table: "limits", Verb: "eat"}, {Table: "blacklist", Verb: "set"},
	} {
		if r, err := d.Do(o, nil); err == nil {
			t.Errorf("%+v: %+v", o, r)
		}
	}
}

// A value that cannot be set is refused by the names that the person used.
func TestSetNamesWhatIsWrong(t *testing.T) {
	d := open(t)
	d.do(t, Order{Table: "terminals", Verb: "import"}, "merchant,terminal,tmk\nM1,T1,"+tmk+"\n")
	for column, want := range map[string]string{"hours": "terminals M1/T1 hours: ", "tmk": "terminals M1/T1 tmk: ", "kinds": "terminals M1/T1 kinds: "} {
		_, err := d.Do(Order{Table: "terminals", Verb: "set", Key: "M1/T1", Column: column, Value: "a b"}, nil)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "set:") {
			t.Errorf("%s: %v", column, err)
		}
	}
}

func TestBlacklistOrders(t *testing.T) {
	d := open(t)
	r := d.do(t, Order{Table: "blacklist", Verb: "import", File: "b.csv"}, "card,cause\n6225880000000003,lost\n")
	if r.Before != "version 0, 0 cards" || !strings.HasPrefix(r.After, "version 1, 1 cards") || !r.Changed {
		t.Errorf("%+v", r)
	}
	for in, want := range map[string]string{"6225880000000003\n": "F39 41", "6225880000000011": "not on the list"} {
		if got := d.do(t, Order{Table: "blacklist", Verb: "find"}, in); !strings.Contains(got.Text, want) || got.Changed {
			t.Errorf("%s: %+v", in, got)
		}
	}
	d.do(t, Order{Table: "blacklist", Verb: "replace"}, "serial\n12345678\n")
	if got := d.do(t, Order{Table: "blacklist", Verb: "versions"}, "").Text; strings.Count(got, "\n") != 3 || !strings.Contains(got, "full") {
		t.Error(got)
	}
	if got := d.do(t, Order{Table: "blacklist", Verb: "export"}, "").Text; strings.Count(got, "\n") != 2 || strings.Contains(got, "12345678,") {
		t.Error(got)
	}
	for _, bad := range []string{"", "abc", "622588000000000000000000000000000000"} {
		if _, err := d.Do(Order{Table: "blacklist", Verb: "find"}, strings.NewReader(bad)); err == nil {
			t.Errorf("%q is looked for", bad)
		}
	}
	if r, err := d.Do(Order{Table: "blacklist", Verb: "import"}, strings.NewReader("card\nx\n")); err == nil || !strings.HasPrefix(r.Before, "version 2") {
		t.Errorf("%+v, %v", r, err)
	}
}
