package kiosk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/audit"
	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/node"
	"tongka/sim/bank"
	"tongka/sim/book"
	"tongka/sim/fleet"
	"tongka/txn"
)

// patience ends a test that waits for what never comes.
const patience = 60 * time.Second

// town is a real switch and a bank, for kiosks.
type town struct {
	t    *testing.T
	dir  string
	bank *bank.Bank
	node *node.Node
}

const (
	townCards  = 20
	townOrders = 4
)

func newTown(t *testing.T, kiosks int) *town {
	t.Helper()
	w := &town{t: t, dir: t.TempDir()}
	zpk := []byte("0123456789abcdef")
	var err error
	if w.bank, err = bank.New(bank.Config{Listen: "127.0.0.1:0", ZPK: zpk}); err != nil {
		t.Fatal(err)
	}
	if err := w.bank.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.bank.Close() })
	key, err := soft.New(soft.TestLMK()).Wrap(hsm.ZPK, zpk)
	if err != nil {
		t.Fatal(err)
	}
	cards, orders, err := Setup(townCards, townOrders)
	if err != nil {
		t.Fatal(err)
	}
	csv := []byte("merchant,terminal,tmk,mac\n")
	for _, k := range kiosksOf(kiosks) {
		tmk, err := soft.New(soft.TestLMK()).Wrap(hsm.TMK, k.TMK)
		if err != nil {
			t.Fatal(err)
		}
		csv = fmt.Appendf(csv, "%s,%s,%s,unionpay\n", k.Merchant, k.Number, tmk)
	}
	text := fmt.Sprintf(`node: {acquirer: "48023310"}
data: .
listeners: [{name: pos, address: "127.0.0.1:0"}]
links: [{name: bank, address: "%s", destination: "00010000", zpk: "%s", answer_timeout: 1s, reversal: {interval: 200ms, max_interval: 1s}}]
routes: [{link: bank}]
hsm: {mode: soft, test_lmk: true}
registry: {import: t.csv}
limits: {in_flight: 256}
console: {address: ""}
%s`, w.bank.Addr(), key, cards)
	for name, b := range map[string][]byte{"switch.yaml": []byte(text), "t.csv": csv, "orders.csv": orders} {
		if err := os.WriteFile(filepath.Join(w.dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.start()
	t.Cleanup(w.stop)
	a := w.node.Act(t.Context(), audit.Who{}, admin.Action{Verb: admin.OrdersImport, What: filepath.Join(w.dir, "orders.csv")})
	if !a.OK {
		t.Fatalf("%+v", a)
	}
	return w
}

func kiosksOf(n int) (all []fleet.Terminal) {
	for i := range n {
		all = append(all, fleet.Terminal{Merchant: "898310054110001", Number: fmt.Sprintf("2000000%d", i), TMK: []byte("0123456789ABCDEF"),
			MAC: hsm.UnionPay, PANs: []string{"6225880000000003", "6225880000000011"}})
	}
	return all
}

func (w *town) start() {
	w.t.Helper()
	cfg, err := config.Load(filepath.Join(w.dir, "switch.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	if w.node, err = node.Start(cfg, node.Options{Logger: zap.NewNop(), Fatal: func(err error) { w.t.Error(err) }}); err != nil {
		w.t.Fatal(err)
	}
	w.until("the bank is up", func() bool {
		p := w.node.Snapshot()
		return p != nil && p.Links[0].State == "up"
	})
}

func (w *town) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.node.Stop(ctx); err != nil {
		w.t.Error(err)
	}
}

func (w *town) until(what string, done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !done(); {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}

// open makes kiosks that go to this switch.
func (w *town) open(cfg Config) *Park {
	w.t.Helper()
	cfg.Addr, cfg.Cards, cfg.Orders = w.node.Addr(0).String(), townCards, townOrders
	if cfg.AnswerTimeout == 0 {
		cfg.AnswerTimeout = 5 * time.Second
	}
	p, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { p.Close() })
	return p
}

// agree settles everything and holds the cards against the bank.
func (w *town) agree(p *Park) book.CardVerdict {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.Settle(ctx); err != nil {
		w.t.Fatalf("%v: %+v", err, p.Stats())
	}
	since := time.Now().UnixNano()
	w.until("nothing is owed", func() bool {
		s := w.node.Snapshot()
		return s.At > since && s.Owed == 0 && s.InFlight == 0
	})
	b := p.Book()
	v := book.CompareCards(&b, w.bank.Bookings())
	if !v.OK() || v.Unresolved != 0 || v.Paid != v.OnCards+v.ParkedFen {
		w.t.Errorf("%s\n%v", v.String(), v.Says)
	}
	for _, s := range v.Kinds {
		if s.Approved != s.Held || s.ApprovedFen != s.HeldFen {
			w.t.Errorf("%+v", s)
		}
	}
	return v
}

// Everything breaks, and what was paid is on the cards all the same.
func TestEverythingBreaks(t *testing.T) {
	w := newTown(t, 4)
	p := w.open(Config{Kiosks: kiosksOf(4), Visits: 100, Mishaps: 0.6, Seed: 1})
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Wait(ctx); err != nil {
		t.Fatalf("%v %+v", err, p.Stats())
	}
	v := w.agree(p)
	st := p.Stats()
	t.Logf("%s\n%+v\n%+v", v.String(), st, v.Kinds)
	if st.Rewrites == 0 || st.Torn == 0 || st.Cut == 0 || st.Voided == 0 {
		t.Errorf("something never happened: %+v", st)
	}
	for _, k := range []txn.Kind{txn.LoadAccount, txn.LoadOther, txn.LoadCash, txn.LoadVoid, txn.Unload, txn.LoadConfirm, txn.OrderQuery, txn.OrderLoad, txn.AirLoad, txn.Balance} {
		if n := st.Kinds[book.Kind(k.String())]; n.Approved == 0 {
			t.Errorf("no %v was approved: %+v", k, n)
		}
	}
	if len(v.Parked) != 0 {
		t.Errorf("parked: %+v", v.Parked)
	}
}

// The day of a kiosk: every step ends as it should, one card waits for a person,
// and on a second day, with the same book, nothing that was open is forgotten.
func TestDay(t *testing.T) {
	w := newTown(t, 3)
	books := filepath.Join(w.dir, "kiosks.jsonl")
	for day := range 2 {
		p := w.open(Config{Kiosks: kiosksOf(3), Visits: 1, Seed: 3, Led: true, Books: books})
		kinds := map[txn.Kind]int{}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if err := p.Day(t.Context(), func(s Step) {
			kinds[s.Kind]++
			if !s.Good || s.ZH == "" || s.EN == "" {
				t.Errorf("day %d: %+v", day, s)
			}
		}); err != nil {
			t.Fatal(err)
		}
		for _, k := range []txn.Kind{txn.SignIn, txn.Balance, txn.LoadAccount, txn.LoadOther, txn.LoadCash, txn.LoadVoid, txn.Unload, txn.LoadConfirm, txn.Reversal, txn.OrderQuery, txn.OrderLoad, txn.AirLoad} {
			if kinds[k] == 0 {
				t.Errorf("day %d: no %v", day, k)
			}
		}
		v := w.agree(p)
		if len(v.Parked) != day+1 || v.ParkedFen == 0 || v.Parked[day].Owing != v.Parked[day].Amount {
			t.Errorf("day %d: %s %+v", day, v.String(), v.Parked)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A card whose first deed is an unload holds less than it was given, and all the
// same must be seen once more before its account is credited.
func TestUnloadUnproven(t *testing.T) {
	w := newTown(t, 2)
	p := w.open(Config{Kiosks: kiosksOf(2), Visits: 1, Seed: 1})
	h, k := p.cards[0], p.kiosks[0]
	wish, ok := p.want(h, txn.Unload, 0)
	if err := k.ready(t.Context()); err != nil || !ok {
		t.Fatal(err)
	}
	if a := k.load(t.Context(), h, &wish, writtenSilent); a.code != txn.OK || !wish.Written || h.state.Value() >= 0 {
		t.Fatalf("%+v %+v", a, h.state)
	}
	if n := len(w.bank.Bookings()); n != 0 {
		t.Fatalf("%d bookings before the card was seen again", n)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	w.agree(p)
}
