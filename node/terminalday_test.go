package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/audit"
	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/sim"
	"tongka/sim/book"
	"tongka/txn"
)

// dayWorld is a switch with a bank and a fleet whose terminals do what they are told.
type dayWorld struct {
	t     *testing.T
	ctx   context.Context
	node  *Node
	bank  *sim.Bank
	fleet *sim.Fleet
	day   *sim.Day
	stop  func()
}

// dayFor starts them. settings go into the configuration; files stand beside it.
func dayFor(t *testing.T, settings string, files map[string][]byte, change func(*sim.TerminalConfig)) *dayWorld {
	t.Helper()
	w := &dayWorld{t: t}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	w.ctx = ctx
	zpk := unhex("5B1C7F2A8CE3A4D60E9B37624FD1A8C2")
	var err error
	if w.bank, err = sim.NewBank(sim.BankConfig{Name: "bank", Listen: "127.0.0.1:0", ZPK: zpk}); err != nil {
		t.Fatal(err)
	}
	if err := w.bank.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.bank.Close() })
	terminals, csv, err := sim.Provision(1, 7)
	if err != nil {
		t.Fatal(err)
	}
	key, err := soft.New(soft.TestLMK()).Wrap(hsm.ZPK, zpk)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := fmt.Sprintf(`node: {acquirer: "48023310"}
data: .
listeners: [{name: pos, address: "127.0.0.1:0"}]
links: [{name: bank, address: "%s", destination: "00010000", zpk: "%s"}]
routes: [{link: bank}]
hsm: {mode: soft, test_lmk: true}
registry: {import: t.csv}
limits: {in_flight: 64}
console: {address: ""}
%s`, w.bank.Addr(), key, settings)
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("t.csv", csv)
	for name, b := range files {
		write(name, b)
	}
	cfg, err := config.Load(write("switch.yaml", []byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	if w.node, err = Start(cfg, Options{Logger: zap.NewNop(), Fatal: func(err error) { t.Error(err) }}); err != nil {
		t.Fatal(err)
	}
	w.stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := w.node.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.stop)
	s := &started{t: t, node: w.node}
	s.until("the link is up", func() bool {
		p := w.node.Snapshot()
		return p != nil && p.Links[0].State == "up"
	})
	if change != nil {
		change(&terminals[0])
	}
	w.fleet, err = sim.NewFleet(sim.FleetConfig{Addr: w.node.Addr(0).String(), Terminals: terminals, AnswerTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.fleet.Close() })
	if w.day, err = w.fleet.Day(0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.day.Close)
	return w
}

// ok wants a step to go well.
func (w *dayWorld) ok(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// refused wants a step to be answered with a code.
func (w *dayWorld) refused(what string, err error, code string) {
	w.t.Helper()
	var r sim.Refusal
	if !errors.As(err, &r) || r.Code.String() != code {
		w.t.Fatalf("%s: %v, want F39 %s", what, err, code)
	}
}

// makes wants a request to be approved.
func (w *dayWorld) makes(kind txn.Kind, of *book.Sale) *book.Sale {
	w.t.Helper()
	s, err := w.day.Make(w.ctx, kind, of)
	if err != nil || s.State != book.Approved {
		w.t.Fatalf("%v: %+v, %v", kind, s, err)
	}
	return &s
}

func TestATerminalsDay(t *testing.T) {
	ca := bytes.Repeat([]byte("CA key "), 100)
	w := dayFor(t, `day: {downloads: [{code: 370, file: ca.bin, version: "3", block: 100}, {code: 360, file: p.txt}]}
`, map[string][]byte{"ca.bin": ca, "p.txt": []byte("parameters")}, nil)
	d := w.day
	w.refused("a sale before the sign-in", func() error { _, err := d.Make(w.ctx, txn.Sale, nil); return err }(), "77")
	for _, keys := range []string{"001", "004", "003"} {
		w.ok("sign-in "+keys, d.SignInFor(w.ctx, keys))
		w.makes(txn.Void, w.makes(txn.Sale, nil))
	}
	version, newer, err := d.Newer(w.ctx, 370, "2")
	if err != nil || !newer || version != "3" {
		t.Fatalf("CA keys: version %q, newer %v, %v", version, newer, err)
	}
	// Broken off in the middle, and taken up where it was.
	first, more, err := d.Block(w.ctx, 370, 1)
	if err != nil || !more || !bytes.Equal(first, ca[:100]) {
		t.Fatalf("block 1: %q, %v, %v", first, more, err)
	}
	d.Close()
	second, _, err := d.Block(w.ctx, 370, 2)
	if err != nil || !bytes.Equal(second, ca[100:200]) {
		t.Fatalf("block 2 on another connection: %q, %v", second, err)
	}
	all, blocks, err := d.Load(w.ctx, 370)
	if err != nil || blocks != 7 || !bytes.Equal(all, ca) {
		t.Fatalf("%d bytes in %d blocks, %v", len(all), blocks, err)
	}
	if b, _, err := d.Load(w.ctx, 390); err != nil || b != nil {
		t.Fatalf("a blacklist that is not there: %q, %v", b, err)
	}
	w.ok("echo", d.Echo(w.ctx))
	sale, big := w.makes(txn.Sale, nil), w.makes(txn.Sale, nil)
	w.makes(txn.Void, sale)
	w.makes(txn.Refund, big)
	if f54, err := d.Balance(w.ctx); err != nil || f54 == "" {
		t.Fatalf("balance %q, %v", f54, err)
	}
	pre := w.makes(txn.PreAuth, nil)
	done := w.makes(txn.Completion, pre)
	w.makes(txn.CompletionVoid, done)
	w.makes(txn.PreAuthVoid, w.makes(txn.PreAuth, nil))
	w.makes(txn.CompletionAdvice, w.makes(txn.PreAuth, nil))
	tipped := w.makes(txn.Sale, nil)
	w.makes(txn.Tip, tipped)
	w.makes(txn.ScriptNotice, tipped)
	w.makes(txn.OfflineSale, nil)
	wrong := w.makes(txn.Sale, nil)
	if s, err := d.TakeBack(w.ctx, wrong); err != nil || s.State != book.Reversed {
		t.Fatalf("reversal: %+v, %v", s, err)
	}
	batch := d.Batch()
	v, err := d.Settle(w.ctx, 0)
	if err != nil || !v.Balanced || v.Ours != v.Theirs || v.Ours.Debits == 0 || v.Ours.Credits == 0 {
		t.Fatalf("settlement: %+v, %v", v, err)
	}
	if d.Batch() != batch+1 {
		t.Errorf("batch %d after %d", d.Batch(), batch)
	}
	// The next batch does not balance: its items are uploaded.
	w.makes(txn.Sale, nil)
	v, err = d.Settle(w.ctx, 5)
	if err != nil || v.Balanced || v.Theirs.Debit != v.Ours.Debit-5 {
		t.Fatalf("settlement that is wrong by 5: %+v, %v", v, err)
	}
	if n, err := d.Upload(w.ctx); err != nil || n != 1 {
		t.Fatalf("upload of %d, %v", n, err)
	}
	w.ok("sign-off", d.SignOff(w.ctx))
	_, err = d.Settle(w.ctx, 0)
	w.refused("settlement after the sign-off", err, "77")

	verdict := sim.Compare(w.fleet.Sales(), w.bank.Bookings())
	if verdict.Lost+verdict.Duplicated+verdict.Differs+verdict.Unresolved > 0 {
		// A notice may still be on its way.
		s := &started{t: t, node: w.node}
		s.until("books agree", func() bool {
			v := sim.Compare(w.fleet.Sales(), w.bank.Bookings())
			return v.Lost+v.Duplicated+v.Differs+v.Unresolved == 0
		})
	}
}

// The master key is downloaded, confirmed, and serves; all of it stands in the audit.
func TestATerminalDownloadsItsMasterKey(t *testing.T) {
	transport := unhex("7A7A7A7A11111111FEFEFEFE20202020")
	w := dayFor(t, "", nil, func(c *sim.TerminalConfig) { c.Transport, c.Serial = transport, "SN-0001" })
	d := w.day
	w.refused("without permission", d.AskKey(w.ctx), "58")
	wrapped, err := soft.New(soft.TestLMK()).Wrap(hsm.TMK, transport)
	if err != nil {
		t.Fatal(err)
	}
	id := w.node.reg.Snapshot().At(0).ID
	key := strings.TrimSpace(string(id.Merchant[:])) + "/" + strings.TrimSpace(string(id.Number[:]))
	do := func(e admin.Edit, in string) admin.Answer {
		return w.node.Registry(w.ctx, audit.Who{UID: 1, Via: "socket"}, e, strings.NewReader(in))
	}
	if a := do(admin.Edit{Table: "terminals", Verb: "permit", Key: key, Value: "1h"}, ""); a.OK {
		t.Error("permitted without a transport key")
	}
	if a := do(admin.Edit{Table: "transports", Verb: "import", File: "k.csv"}, "of,name,key\nany,,"+wrapped.String()+"\n"); !a.OK {
		t.Fatalf("%+v", a)
	}
	if a := do(admin.Edit{Table: "terminals", Verb: "permit", Key: key, Value: "1h"}, ""); !a.OK {
		t.Fatalf("%+v", a)
	}
	w.ok("the request", d.AskKey(w.ctx))
	w.ok("its repeat", d.AskKey(w.ctx))
	w.ok("the confirmation", d.TakeKey(w.ctx))
	w.ok("a sign-in under the new key", d.SignIn(w.ctx))
	w.makes(txn.Sale, nil)
	w.stop()
	b, err := os.ReadFile(w.node.cfg.AuditFile())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"master key refused"`, `"registry permit"`, `"master key made"`, `"master key taken"`, `check value `} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the audit file lacks %s:\n%s", want, b)
		}
	}
	if strings.Contains(string(b), wrapped.String()[1:]) {
		t.Error("the audit file holds a key")
	}
}

// A fleet whose terminals download their master keys first: who is not permitted sells
// nothing and says why, and begins when he is.
func TestAFleetDownloadsItsMasterKeys(t *testing.T) {
	transport := unhex("7A7A7A7A11111111FEFEFEFE20202020")
	w := dayFor(t, "", nil, nil)
	terminals, _, err := sim.Provision(1, 7)
	if err != nil {
		t.Fatal(err)
	}
	terminals[0].Transport, terminals[0].TMK = transport, make([]byte, 16) // it never had the one of the registry
	f, err := sim.NewFleet(sim.FleetConfig{Addr: w.node.Addr(0).String(), Terminals: terminals, Sales: 2, LoadKeys: true, AnswerTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	s := &started{t: t, node: w.node}
	s.until("it is refused", func() bool { return f.Stats().Fault.Code == "58" })
	wrapped, err := soft.New(soft.TestLMK()).Wrap(hsm.TMK, transport)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []struct {
		edit admin.Edit
		in   string
	}{
		{admin.Edit{Table: "transports", Verb: "import", File: "k.csv"}, "of,name,key\nany,," + wrapped.String() + "\n"},
		{admin.Edit{Table: "terminals", Verb: "permit", Key: terminals[0].Merchant + "/" + terminals[0].Number, Value: "1h"}, ""},
	} {
		if a := w.node.Registry(w.ctx, audit.Who{UID: 1, Via: "socket"}, e.edit, strings.NewReader(e.in)); !a.OK {
			t.Fatalf("%+v", a)
		}
	}
	if err := f.Wait(w.ctx); err != nil || f.Stats().Approved != 2 {
		t.Errorf("%v, %+v", err, f.Stats())
	}
}

// A terminal with SM4: its keys, its MACs and its master key's download.
func TestADayWithSM4(t *testing.T) {
	tmk, transport := unhex("0123456789ABCDEFFEDCBA9876543210"), unhex("7A7A7A7A11111111FEFEFEFE20202021")
	w := dayFor(t, "", nil, func(c *sim.TerminalConfig) { c.TMK, c.Transport, c.SM4 = tmk, transport, true })
	d := w.day
	w.refused("a master key of 3DES", d.SignIn(w.ctx), "A7")
	m := soft.New(soft.TestLMK())
	one, err := m.WrapSM4(hsm.TMK, tmk)
	if err != nil {
		t.Fatal(err)
	}
	two, err := m.WrapSM4(hsm.TMK, transport)
	if err != nil {
		t.Fatal(err)
	}
	id := w.node.reg.Snapshot().At(0).ID
	merchant, number := strings.TrimSpace(string(id.Merchant[:])), strings.TrimSpace(string(id.Number[:]))
	do := func(e admin.Edit, in string) {
		t.Helper()
		if a := w.node.Registry(w.ctx, audit.Who{UID: 1, Via: "socket"}, e, strings.NewReader(in)); !a.OK {
			t.Fatalf("%+v", a)
		}
	}
	do(admin.Edit{Table: "terminals", Verb: "import", File: "t.csv"}, fmt.Sprintf("merchant,terminal,tmk,transport\n%s,%s,%v,%v\n", merchant, number, one, two))
	w.ok("sign-in", d.SignIn(w.ctx))
	sale := w.makes(txn.Sale, nil)
	w.makes(txn.Void, sale)
	do(admin.Edit{Table: "terminals", Verb: "permit", Key: merchant + "/" + number, Value: "1h"}, "")
	w.ok("a new master key", d.LoadKey(w.ctx))
	w.ok("sign-in under it", d.SignIn(w.ctx))
	w.makes(txn.Sale, nil)
	if v, err := d.Settle(w.ctx, 0); err != nil || !v.Balanced {
		t.Fatalf("settlement: %+v, %v", v, err)
	}
}
