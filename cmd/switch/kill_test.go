package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/sim"
	"tongka/sim/drill"
	"tongka/sim/port"
)

// TestMain lets the test binary be the switch: the crash tests start it as a
// process of its own, to kill it.
func TestMain(m *testing.M) {
	if os.Getenv("TONGKA_IS_SWITCH") == "1" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	if n := os.Getenv("TONGKA_CLEAN_DIE"); n != "" {
		os.Exit(cleanAndDie(n, os.Args[1], os.Args[2]))
	}
	os.Exit(m.Run())
}

// process starts this program with a command line.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "TONGKA_IS_SWITCH=1")
	return c
}

// kill ends a process as a power cut would.
func kill(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // says that it was killed
}

// heldPort is an address for a process that is yet to start, and the test's own
// until its end.
func heldPort(t *testing.T) string {
	t.Helper()
	h, all, err := port.Hold(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return all[0].String()
}

// ground is what stays while the switch dies: a bank and a fleet of terminals,
// with books of their own, in this process.
type ground struct {
	t       *testing.T
	bank    *sim.Bank
	fleet   *sim.Fleet
	file    string
	console string
	child   *exec.Cmd
}

func newGround(t *testing.T) *ground {
	g := &ground{t: t, console: heldPort(t)}
	dir, door := t.TempDir(), heldPort(t)
	zpk := []byte("0123456789abcdef")
	var err error
	g.bank, err = sim.NewBank(sim.BankConfig{Listen: "127.0.0.1:0", ZPK: zpk, Books: filepath.Join(dir, "bank.jsonl"),
		Behaviour: sim.Behaviour{Delay: 5 * time.Millisecond, DelayJitter: 30 * time.Millisecond, DeclineRate: 0.05}})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.bank.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.bank.Close() })
	terminals, csv, err := sim.Provision(40, 7)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := soft.New(soft.TestLMK()).Wrap(hsm.ZPK, zpk)
	if err != nil {
		t.Fatal(err)
	}
	g.file = filepath.Join(dir, "switch.yaml")
	text := fmt.Sprintf(`node: {acquirer: "48023310"}
data: data
listeners: [{name: pos, address: "%s"}]
links: [{name: bank, address: "%s", destination: "00010000", zpk: "%s", answer_timeout: 1s,
  reversal: {interval: 200ms, max_interval: 1s, answer_timeout: 1s}}]
routes: [{link: bank}]
hsm: {mode: soft, test_lmk: true}
registry: {import: t.csv}
limits: {in_flight: 1024}
console: {address: "%s"}
log: {file: switch.log}
`, door, g.bank.Addr(), wrapped, g.console)
	for name, b := range map[string][]byte{"switch.yaml": []byte(text), "t.csv": csv} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g.fleet, err = sim.NewFleet(sim.FleetConfig{Addr: door, Terminals: terminals, Rate: 800, PINShare: 0.3, Mix: sim.UsualMix(),
		AnswerTimeout: 3 * time.Second, Books: filepath.Join(dir, "terminals.jsonl")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.fleet.Close() })
	return g
}

func (g *ground) start() {
	g.t.Helper()
	g.child = process(g.t, "run", "-c", g.file)
	g.child.Stderr = os.Stderr // what it says when it dies of itself
	if err := g.child.Start(); err != nil {
		g.t.Fatal(err)
	}
}

// until polls for something that another process will do.
func (g *ground) until(what string, ok func() bool) {
	g.t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); {
		if time.Now().After(end) {
			st := g.fleet.Stats()
			g.t.Fatalf("%s: not within a minute; %+v", what, st)
		}
		time.Sleep(20 * time.Millisecond) // between two looks at another process
	}
}

// nothingOwed waits until the running switch has done all that was begun before.
func (g *ground) nothingOwed() {
	g.t.Helper()
	quiet := time.Now()
	g.until("nothing is owed", func() bool {
		n, ok := drill.Owed(g.console, quiet)
		return ok && n == 0
	})
}

// TestKillMinusNine kills the real process ten times at random moments under load,
// with terminals, bank and security module in processes of their own. At the end
// their books must agree to the cent.
func TestKillMinusNine(t *testing.T) {
	c := process(t, "sim", "crash", "--kills", "10", "--json", "--dir", t.TempDir())
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	t.Logf("%s", said.Bytes())
	if want := `{"kills":10,"power_cuts":0,"lost":0,"duplicated":0}` + "\n"; err != nil || string(out) != want {
		t.Errorf("%v: %s, want %s", err, out, want)
	}
}

func TestCrashAsksForWhatMakesSense(t *testing.T) {
	for _, args := range []string{"--kills=0", "--kills=-1", "--power-cuts=-1", "--kills=1000000", "--rate=0", "--kills=x"} {
		if out, err := process(t, "sim", "crash", args).CombinedOutput(); err == nil || bytes.Contains(out, []byte("panic")) {
			t.Errorf("%s: %v: %s", args, err, out)
		}
	}
}

// TestKillTheDemo kills the demo while one of its banks is silent, and lets it
// go on with the same data folder.
func TestKillTheDemo(t *testing.T) {
	dir := t.TempDir()
	first := process(t, "demo", "--for", "1m", "--rate", "300", "--json", "--data", dir)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	books := filepath.Join(dir, "terminals.jsonl")
	lines := func() int {
		b, _ := os.ReadFile(books)
		return strings.Count(string(b), "\n")
	}
	for end := time.Now().Add(60 * time.Second); lines() < 1500; {
		if time.Now().After(end) {
			kill(t, first)
			t.Fatalf("the demo wrote %d lines in a minute", lines())
		}
		time.Sleep(50 * time.Millisecond) // between two looks at another process
	}
	kill(t, first)
	second := process(t, "demo", "--for", "3s", "--rate", "300", "--json", "--data", dir)
	var said bytes.Buffer
	second.Stderr = &said
	out, err := second.Output()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, out, said.Bytes())
	}
	var sum struct {
		Sent, Approved, Lost, Duplicated, Owed, Unresolved *int
		Cards                                              sim.CardVerdict
	}
	if err := json.Unmarshal(out, &sum); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if c := sum.Cards; c.Written == 0 || c.Paid != c.OnCards+c.ParkedFen || c.Unresolved != 0 {
		t.Errorf("cards: %+v", c)
	}
	if *sum.Lost != 0 || *sum.Duplicated != 0 || *sum.Owed != 0 || *sum.Unresolved != 0 || *sum.Approved == 0 {
		t.Errorf("%s", out)
	}
}
