package bench

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tongka/bench/internal/sale"
	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/registry"
	"tongka/txn"
)

// What the bench writes is what the switch reads: its config, its registry, and
// keys with which a security module verifies the generator's MACs.
func TestProvision(t *testing.T) {
	dir := t.TempDir()
	bank := netip.MustParseAddrPort("127.0.0.1:4000")
	p, err := provision(dir, 20, settings{Bank: bank, Connections: 1234})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(p.config)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listeners[0].Address != p.pos.String() || c.Console.Address != p.console.String() || p.pos == p.console ||
		c.Links[0].Address != bank.String() || c.Listeners[0].MaxConnections != 1234 || c.Routes[0].Link != c.Links[0].Name {
		t.Errorf("config %+v", c)
	}
	if c.Registry.Import != filepath.Join(dir, "terminals.csv") || c.Data != filepath.Join(dir, "data") {
		t.Errorf("import %s, data %s", c.Registry.Import, c.Data)
	}
	sleepy, err := provision(t.TempDir(), 1, settings{Bank: bank, Connections: 1, Sleep: true})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := config.Load(sleepy.config); err != nil || s.Processors.AwakeAbove != 0 || c.Processors.AwakeAbove == 0 {
		t.Errorf("%v: awake above %d, and %d when they may sleep", err, c.Processors.AwakeAbove, s.Processors.AwakeAbove)
	}
	reg, err := registry.Open(registry.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	list, err := os.Open(c.Registry.Import)
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	if added, _, err := reg.Import(list, "terminals.csv"); err != nil || added != 20 {
		t.Fatalf("%d terminals, %v", added, err)
	}
	for _, i := range []int{0, 19} {
		verify(t, reg, i)
	}
}

// verify checks the MAC of terminal i as the switch would.
func verify(t *testing.T, reg *registry.Registry, i int) {
	t.Helper()
	term := sale.NewTerminal(i)
	id := txn.Terminal{Merchant: [15]byte([]byte(term.Merchant)), Number: [8]byte([]byte(term.Number))}
	entry := reg.Snapshot().Terminal(&id)
	if entry == nil {
		t.Fatalf("terminal %d is not registered", i)
	}
	session := entry.Session(time.Now().UnixNano())
	if session == nil || session.Batch != 1 {
		t.Fatalf("terminal %d is not signed in: %+v", i, session)
	}
	r, err := sale.NewRequest(&term, false)
	if err != nil {
		t.Fatal(err)
	}
	frame := r.Frame(77)
	module := soft.New(soft.TestLMK())
	q := hsm.Request{Verb: hsm.VerifyMAC, Alg: hsm.UnionPay, Key: session.MAK, Data: frame[13 : len(frame)-8]}
	copy(q.MAC[:], frame[len(frame)-8:])
	var reply hsm.Reply
	if module.Do(&q, &reply); !reply.Code.OK() {
		t.Errorf("terminal %d: the module answers %s to its MAC", i, reply.Code)
	}
	q.MAC[0] ^= 1
	if module.Do(&q, &reply); reply.Code.OK() {
		t.Errorf("terminal %d: a wrong MAC is right", i)
	}
}
