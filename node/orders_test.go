package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongka/admin"
	"tongka/card"
	"tongka/engine"
	"tongka/flow"
)

const orderHead = "number,family,serial,amount,until\n"

func TestReadOrders(t *testing.T) {
	orders, err := readOrders(strings.NewReader(orderHead+"A-1,city,20003120000001234567,5000,2026-12-31\nA-2,t-union,03105170010170907984,1,2027-01-01\n"), "o.csv")
	if err != nil || len(orders) != 2 {
		t.Fatal(orders, err)
	}
	o := orders[0]
	if o.Number.String() != "A-1" || o.Family != card.CityCard || o.Serial.String() != "2000*4567" || o.Amount != 5000 || o.Until != 1798732800e9 {
		t.Errorf("%+v", o)
	}
	if orders[1].Family != card.TUnion {
		t.Errorf("%+v", orders[1])
	}
	for _, c := range []struct{ line, says string }{
		{"A_1,city,20003120000001234567,5000,2026-12-31", "o.csv:2:1: 订单号"},
		{"A-1,bus,20003120000001234567,5000,2026-12-31", "o.csv:2:5: "},
		{"A-1,city,2000312000000123456,5000,2026-12-31", "o.csv:2:10: 序列号"},
		{"A-1,city,2000312000000123456X,5000,2026-12-31", "o.csv:2:10: 序列号"},
		{"A-1,city,200031200000012345670,5000,2026-12-31", "o.csv:2:10: 序列号"},
		{"A-1,city,20003120000001234567,0,2026-12-31", "o.csv:2:31: 金额"},
		{"A-1,city,20003120000001234567,-5,2026-12-31", "o.csv:2:31: "},
		{"A-1,city,20003120000001234567,5000,31.12.2026", "o.csv:2:36: 日期"},
		{"A-1", "o.csv:2:"},
	} {
		if _, err := readOrders(strings.NewReader(orderHead+c.line+"\n"), "o.csv"); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.line, err)
		}
	}
}

// Orders of a running switch: taken in once, listed, cancelled, and alarms about
// cards in the audit file.
func TestOrdersOfARunningSwitch(t *testing.T) {
	l := newLives(t)
	l.edit("limits: {in_flight: 64}", `limits: {in_flight: 64}
cards: {ceiling: 100000, cities: ["3120"], keys: [{family: city, use: load, index: 1, version: 1, key: U0123456789ABCDEF0123456789ABCDEF}]}`)
	l.stop()
	l.start()
	path := filepath.Join(t.TempDir(), "o.csv")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(orderHead+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(verb admin.Verb, what string, ok bool, says string) {
		t.Helper()
		a := l.act(admin.Action{Verb: verb, What: what})
		if got := a.En + "\n" + strings.Join(a.Lines, "\n") + "\n" + a.Text; a.OK != ok || !strings.Contains(got, says) {
			t.Errorf("%s %s: %+v, want %q", verb, what, a, says)
		}
	}
	write("A-1,city,20003120000001234567,5000,2099-12-31\nA-2,city,20003120000001234567,100,2099-12-31\n")
	expect(admin.OrdersImport, path, true, "2 orders taken in, 0 were there")
	expect(admin.OrdersImport, path, true, "0 orders taken in, 2 were there")
	write("A-1,city,20003120000001234567,5001,2099-12-31\n")
	expect(admin.OrdersImport, path, false, "other contents")
	write("A-1,city,x,5001,2099-12-31\n")
	expect(admin.OrdersImport, path, false, ":2:10:")
	expect(admin.OrdersImport, path+"x", false, "no such file")
	expect(admin.OrderCancel, "A-2", true, "cancelled")
	expect(admin.OrderCancel, "A-3", false, "not there")
	expect(admin.OrderCancel, "?", false, "no order number")
	expect(admin.OrdersList, "paid", true, "A-1,2000*4567,5000,2099-12-31,paid,0\n")
	expect(admin.OrdersList, "A-2", true, "cancelled")
	if a := l.act(admin.Action{Verb: admin.OrdersList, What: "all"}); strings.Count(a.Text, "\n") != 3 {
		t.Errorf("all: %q", a.Text)
	}

	l.node.alerted(engine.CardAlert{At: 1, Alarm: flow.CardParked, Reason: card.WrongTAC, Card: "2000*4567", Amount: 12345, Load: 77})
	l.stop()
	text, err := os.ReadFile(l.node.cfg.AuditFile())
	if err != nil || !strings.Contains(string(text), `card 2000*4567, load 77`) || !strings.Contains(string(text), "card-parked") || !strings.Contains(string(text), "wrong-tac") {
		t.Errorf("the audit file: %s, %v", text, err)
	}
	l.start()
}
