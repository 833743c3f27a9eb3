package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/sim"
	"tongka/sim/port"
)

// withLines starts a switch and a fleet's registry for links as the file has
// them; every ZPK in it is the text ZPK.
func withLines(t *testing.T, links string) (*started, []sim.TerminalConfig) {
	t.Helper()
	return withDoor(t, "", links)
}

// withDoor is withLines with a door of another dialect; empty is pos.
func withDoor(t *testing.T, dialect, links string) (*started, []sim.TerminalConfig) {
	t.Helper()
	if dialect == "" {
		dialect = "pos"
	}
	terminals, csv, err := sim.Provision(8, 1)
	if err != nil {
		t.Fatal(err)
	}
	zpk, err := soft.New(soft.TestLMK()).Wrap(hsm.ZPK, unhex("1111222233334444AAAABBBBCCCCDDDD"))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`node: {acquirer: "48023310"}
data: data
listeners: [{name: pos, address: "127.0.0.1:0", dialect: %s}]
links:
  - {name: bank, destination: "00010000", zpk: "%s", answer_timeout: 1s, echo_interval: 1s, echo_timeout: 1s,
     reversal: {interval: 100ms, max_interval: 1s, answer_timeout: 1s}, %s}
routes: [{link: bank}]
hsm: {mode: soft, test_lmk: true}
registry: {import: t.csv}
limits: {in_flight: 64}
console: {address: ""}
`, dialect, zpk, links)
	dir := t.TempDir()
	for name, b := range map[string][]byte{"t.csv": csv, "switch.yaml": []byte(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "switch.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s := &started{t: t}
	s.node, err = Start(cfg, Options{Logger: zap.NewNop(), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.node.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, terminals
}

// bankAt plays a bank until the test ends.
func bankAt(t *testing.T, c sim.BankConfig) *sim.Bank {
	t.Helper()
	b, err := sim.NewBank(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// linesIn counts the bank's lines in a state.
func (s *started) linesIn(state string) (n int) {
	if p := s.node.Snapshot(); p != nil {
		for _, l := range p.Links[0].Lines {
			if l.State == state {
				n++
			}
		}
	}
	return n
}

// One of three lines takes sales and answers none. It costs a few of them, each
// of which is reversed, and no money.
func TestOneOfThreeLinesGoesSilent(t *testing.T) {
	bank := bankAt(t, sim.BankConfig{Name: "bank", Listen: "127.0.0.1:0"})
	line := fmt.Sprintf("{address: %q}", bank.Addr())
	s, terminals := withLines(t, "max_missed: 3, lines: ["+line+", "+line+", "+line+"]")
	s.until("three lines are up", func() bool { return s.linesIn("up") == 3 })
	if err := bank.BehaveLine(2, sim.Behaviour{Silent: true}); err != nil {
		t.Fatal(err)
	}
	fleet, err := sim.NewFleet(sim.FleetConfig{Addr: s.node.Addr(0).String(), Terminals: terminals, Sales: 60, AnswerTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	if err := fleet.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := fleet.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	s.until("nothing is owed", func() bool { return s.node.Snapshot().Owed == 0 })
	p := s.node.Snapshot()
	v := sim.Compare(fleet.Sales(), bank.Bookings())
	if v.Sales != 480 || v.Lost != 0 || v.Duplicated != 0 || v.Differs != 0 || v.Unresolved != 0 {
		t.Errorf("%+v", v)
	}
	var missed, bad uint64
	for _, l := range p.Links[0].Lines {
		missed += l.TimedOut
		bad = max(bad, l.TimedOut)
	}
	// Three take it out; beside them at most one of each terminal was on its way,
	// and later one on each trial.
	if bad != missed || missed < 3 || missed > 3+8+8 {
		t.Errorf("%d of %d timed out on one line: %+v", bad, missed, p.Links[0].Lines)
	}
	if err := bank.BehaveLine(2, sim.Behaviour{}); err != nil {
		t.Fatal(err)
	}
	s.until("it is back", func() bool { return s.linesIn("up") == 3 })
}

// The bank dials us.
func TestLineThatTheBankDials(t *testing.T) {
	held, all, err := port.Hold(1)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	addr := all[0].String()
	s, _ := withLines(t, fmt.Sprintf("lines: [{listen: %q, allow: [\"127.0.0.0/8\"]}]", addr))
	if n := s.linesIn("up"); n != 0 {
		t.Fatalf("%d lines are up before the bank came", n)
	}
	bank := bankAt(t, sim.BankConfig{Name: "bank", Connect: addr})
	s.until("the line is up", func() bool { return s.linesIn("up") == 1 })
	if n := bank.Stats().SignOns; n != 1 {
		t.Errorf("%d sign-ons", n)
	}
}

// A bank that refuses us is asked again on the same connection.
func TestSignOnRefused(t *testing.T) {
	bank := bankAt(t, sim.BankConfig{Name: "bank", Listen: "127.0.0.1:0", Behaviour: sim.Behaviour{Refuse: [2]byte{'9', '1'}}})
	s, _ := withLines(t, fmt.Sprintf("address: %q", bank.Addr()))
	s.until("it was refused twice", func() bool { return bank.Stats().SignOns == 2 })
	if n := s.linesIn("signing-on"); n != 1 {
		t.Errorf("%d lines are signing on", n)
	}
	if err := bank.Behave(sim.Behaviour{}); err != nil {
		t.Fatal(err)
	}
	s.until("the line is up", func() bool { return s.linesIn("up") == 1 })
	if n := bank.Stats().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

// One line of two is drained by its number; what is no line is refused.
func TestDrainOneLine(t *testing.T) {
	bank := bankAt(t, sim.BankConfig{Name: "bank", Listen: "127.0.0.1:0"})
	line := fmt.Sprintf("{address: %q}", bank.Addr())
	s, _ := withLines(t, "lines: ["+line+", "+line+"]")
	s.until("both lines are up", func() bool { return s.linesIn("up") == 2 })
	for what, ok := range map[string]bool{"bank#2": true, "bank#3": false, "bank#0": false, "bank#x": false, "moon#1": false} {
		if a := s.node.drain(t.Context(), admin.Action{Verb: admin.Drain, What: what}); a.OK != ok {
			t.Errorf("%s: %+v", what, a)
		}
	}
	s.until("one is out of service", func() bool { return s.linesIn("down") == 1 })
	if s.linesIn("up") != 1 {
		t.Error("the other one went, too")
	}
	if a := s.node.drain(t.Context(), admin.Action{Verb: admin.Undrain, What: "bank#2"}); !a.OK {
		t.Errorf("%+v", a)
	}
	s.until("both lines are up again", func() bool { return s.linesIn("up") == 2 })
}
