package registry

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"tongka/registry/limits"
)

func TestHours(t *testing.T) {
	beijingTime := time.FixedZone("", 8*3600)
	at := func(day, hour, minute int) int64 { // the first of March 2026 is a Sunday
		return time.Date(2026, 3, day, hour, minute, 0, 0, beijingTime).UnixNano()
	}
	for _, c := range []struct {
		hours string
		at    int64
		open  bool
	}{
		{"", at(1, 3, 0), true},
		{"08:00-22:00", at(1, 7, 59), false}, {"08:00-22:00", at(1, 8, 0), true}, {"08:00-22:00", at(1, 21, 59), true}, {"08:00-22:00", at(1, 22, 0), false},
		{"00:00-24:00", at(4, 23, 59), true}, {"00:00-24:00", at(4, 0, 0), true},
		{"mon-fri 09:00-18:00; sat 10:00-12:00", at(1, 10, 0), false}, {"mon-fri 09:00-18:00; sat 10:00-12:00", at(2, 10, 0), true},
		{"mon-fri 09:00-18:00; sat 10:00-12:00", at(7, 11, 59), true}, {"mon-fri 09:00-18:00; sat 10:00-12:00", at(7, 12, 0), false},
		{"fri 20:00-04:00", at(6, 23, 0), true}, {"fri 20:00-04:00", at(7, 3, 59), true}, {"fri 20:00-04:00", at(7, 4, 0), false}, {"fri 20:00-04:00", at(6, 3, 0), false},
		{"sat-sun 10:00-11:00", at(1, 10, 30), true}, {"sat-sun 10:00-11:00", at(2, 10, 30), false},
	} {
		h, err := ParseHours(c.hours)
		if err != nil || h.Open(c.at) != c.open {
			t.Errorf("%q at %v: %v, %v", c.hours, time.Unix(0, c.at).In(beijingTime), h.Open(c.at), err)
		}
		if again, err := ParseHours(h.String()); err != nil || again != h {
			t.Errorf("%q is written as %q, %v", c.hours, h, err)
		}
	}
	for _, bad := range []string{"8-22", "08:00", "08:00-25:00", "08:60-09:00", "24:00-01:00", "08:00-08:00", "moon 08:00-09:00", "mon 08:00-09:00 x", "mon-tue 08:00-09:00; tue 10:00-11:00", ";", "-"} {
		if h, err := ParseHours(bad); err == nil || h != (Hours{}) {
			t.Errorf("%q is taken as %q", bad, h)
		}
	}
}

const someMerchants = "merchant,name,mcc,category,kinds,group,limits,hours,state\n123456789012345,通卡超市,5411,retail,sale|balance,3,small,08:00-22:00,closed\nM1,,,,,,,,\n"

func number(s string) (n [15]byte) { return ident(s, "").Merchant }

func TestMerchantsComeAndStay(t *testing.T) {
	dir := t.TempDir()
	r := open(t, Options{Dir: dir})
	n := number("M1")
	if _, listed := r.Snapshot().Merchant(&n); listed {
		t.Error("a table of merchants from nowhere")
	}
	gbk, err := simplifiedchinese.GBK.NewEncoder().String(someMerchants)
	if err != nil {
		t.Fatal(err)
	}
	if a, c, err := r.ImportMerchants(strings.NewReader(gbk), "m.csv"); a != 2 || c != 0 || err != nil {
		t.Fatal(a, c, err)
	}
	if a, c, err := r.ImportMerchants(strings.NewReader(someMerchants), "m.csv"); a != 0 || c != 0 || err != nil {
		t.Errorf("the same in UTF-8: %d, %d, %v", a, c, err)
	}
	importText(t, r, two) // terminals do not touch merchants
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, Options{Dir: dir})
	n = number("123456789012345")
	m, listed := r.Snapshot().Merchant(&n)
	if m == nil || !listed || m.Name != "通卡超市" || m.MCC != "5411" || !m.Closed || m.Kinds.String() != "sale|balance" || m.Limits != "small" || m.Group != 3 {
		t.Fatalf("%+v", m)
	}
	var out bytes.Buffer
	if err := r.ExportMerchants(&out); err != nil || !strings.Contains(out.String(), "123456789012345,通卡超市,5411,retail,sale|balance,3,small,sun 08:00-22:00;") {
		t.Errorf("%v\n%s", err, &out)
	}
	other := open(t, Options{})
	if a, _, err := other.ImportMerchants(&out, "again.csv"); a != 2 || err != nil {
		t.Errorf("an export read again: %d, %v", a, err)
	}
}

func TestMerchantAndLimitFaults(t *testing.T) {
	r := open(t, Options{Max: 1})
	var faults Faults
	_, _, err := r.ImportMerchants(strings.NewReader("merchant,name,mcc,kinds,hours,state,group\n,\x07,54x1,sael,8-9,shut,70000\nM1,,,,,,\nM1,,,,,,\n"), "m.csv")
	if !errors.As(err, &faults) || len(faults) != 8 {
		t.Errorf("%d faults: %v", len(faults), err)
	}
	_, _, err = r.ImportLimits(strings.NewReader("subject,profile,class,single,day_count\nbank,,tip,-1,4294967296\ncard,gold,,,\n"), "l.csv")
	if !errors.As(err, &faults) || len(faults) != 5 {
		t.Errorf("%d faults: %v", len(faults), err)
	}
	if _, _, err := r.ImportMerchants(strings.NewReader("merchant\nA\nB\n"), "m.csv"); err == nil {
		t.Error("more merchants than may be")
	}
	if _, _, err := r.ImportMerchants(strings.NewReader("merchant,name\nA,\xff\xff\xff\n"), "m.csv"); err == nil {
		t.Error("neither UTF-8 nor GBK")
	}
	if _, listed := r.Snapshot().Merchant(new([15]byte)); listed || r.Snapshot().Limits() != nil {
		t.Error("something was applied")
	}
}

func TestLimitsComeStayAndGo(t *testing.T) {
	dir := t.TempDir()
	r := open(t, Options{Dir: dir})
	const text = "subject,profile,class,single,day_sum,day_count\nterminal,small,pay,500,1000,3\nterminal,small,ask,,,9\ncard,,pay,,2000,\n"
	if a, c, err := r.ImportLimits(strings.NewReader(text), "l.csv"); a != 3 || c != 0 || err != nil {
		t.Fatal(a, c, err)
	}
	before := r.Snapshot().Limits()
	if a, c, err := r.ImportLimits(strings.NewReader("subject,profile,class,day_count\nterminal,small,pay,4\ncard,default,pay,\n"), "l.csv"); a != 0 || c != 2 || err != nil {
		t.Fatal(a, c, err)
	}
	if before.Find(limits.Terminal, "small")[limits.Pay].Count != 3 || before.Find(limits.Card, "") == nil {
		t.Error("the old set changed")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, Options{Dir: dir})
	set := r.Snapshot().Limits()
	if p := set.Find(limits.Terminal, "small"); p == nil || p[limits.Pay] != (limits.Rule{Count: 4}) || p[limits.Ask].Count != 9 || set.Find(limits.Card, "") != nil {
		t.Errorf("%+v", p)
	}
	var out bytes.Buffer
	if err := r.ExportLimits(&out); err != nil || out.String() != "subject,profile,class,single,day_sum,day_count\nterminal,small,pay,0,0,4\nterminal,small,ask,0,0,9\n" {
		t.Errorf("%v\n%s", err, &out)
	}
	if _, _, err := r.ImportLimits(strings.NewReader("subject,profile,class\nterminal,small,pay\nterminal,small,ask\n"), "l.csv"); err != nil || r.Snapshot().Limits() != nil {
		t.Errorf("all limits are gone, and a set is left: %v", err)
	}
}

func TestDetailsComeStayAndGo(t *testing.T) {
	dir := t.TempDir()
	r := open(t, Options{Dir: dir})
	const head = "merchant,terminal,tmk,transport,tdk,limits,hours\nM1,T1,U00000000000000000000000000000001,"
	id := ident("M1", "T1")
	if a, c := importText(t, r, head+"U00000000000000000000000000000002,1,small,08:00-22:00\n"); a != 1 || c != 0 {
		t.Errorf("%d, %d", a, c)
	}
	r.Install(r.Snapshot().Terminal(&id), &Session{Batch: 7, Until: time.Now().Add(time.Hour).UnixNano()})
	if a, c := importText(t, r, "merchant,terminal,tmk\nM1,T1,U00000000000000000000000000000001\n"); a != 0 || c != 0 {
		t.Errorf("a file without the columns: %d, %d", a, c)
	}
	var out bytes.Buffer
	if err := errors.Join(r.Export(&out), r.Close()); err != nil || !strings.Contains(out.String(), "U00000000000000000000000000000002,1,small,sun 08:00-22:00") {
		t.Errorf("%v\n%s", err, &out)
	}
	r = open(t, Options{Dir: dir})
	d := r.Snapshot().Details(&id)
	if d == nil || d.Transport != key(t, 2) || !d.TDK || d.Limits != "small" || d.Hours == (Hours{}) {
		t.Fatalf("%+v", d)
	}
	if a, c := importText(t, r, head+",,,\n"); a != 0 || c != 1 {
		t.Errorf("%d, %d", a, c)
	}
	if r.Snapshot().Details(&id) != nil || r.Snapshot().Terminal(&id).Last().Batch != 7 {
		t.Error("details that stay, or a session that went")
	}
}
