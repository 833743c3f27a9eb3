package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/admin"
	"tongka/card"
	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/offline"
	"tongka/sim"
	simcard "tongka/sim/card"
	"tongka/sim/fleet"
	simoffline "tongka/sim/offline"
	"tongka/txn"
)

// counter is a running switch that loads cards, with one terminal at it.
type counter struct {
	*ground
	dir  string
	line *fleet.Line
	keys simcard.Masters
}

var kioskNumber = [6]byte{0x31, 0x20, 5: 1}

func newCounter(t *testing.T, more ...string) *counter {
	g := newGround(t)
	c := &counter{ground: g, dir: filepath.Dir(g.file), keys: simcard.Masters{Load: bytes.Repeat([]byte{0x12, 0x35}, 8),
		TAC: bytes.Repeat([]byte{0x33, 0x45}, 8), Unload: bytes.Repeat([]byte{0x52, 0x67}, 8), Levels: 1}}
	var keys string
	for use, master := range map[string][]byte{"load": c.keys.Load, "tac": c.keys.TAC, "unload": c.keys.Unload} {
		k, err := soft.New(soft.TestLMK()).Wrap(hsm.MKAC, master)
		if err != nil {
			t.Fatal(err)
		}
		keys += fmt.Sprintf("    - {family: city, use: %s, index: 1, version: 1, key: %s}\n", use, k)
	}
	g.edit("log:", "admin: {tokens: tokens}\ncards:\n  ceiling: 100000\n  single: 50000\n  city_levels: 1\n  keys:\n"+keys+strings.Join(more, "")+"log:")
	var tokens string
	for name, token := range map[string]string{"alice": strings.Repeat("a", 24), "bob": strings.Repeat("b", 24)} {
		tokens += name + ":" + token + "\n"
		c.write(name, token+"\n")
	}
	c.write("tokens", tokens)
	c.offlineLists()
	if err := g.bank.Behave(sim.Behaviour{}); err != nil {
		t.Fatal(err)
	}
	g.start()
	t.Cleanup(g.killLast)
	g.up()
	cfg, err := config.Load(g.file)
	if err != nil {
		t.Fatal(err)
	}
	terminals, _, err := sim.Provision(40, 7)
	if err != nil {
		t.Fatal(err)
	}
	if c.line, err = fleet.NewLine(terminals[0], cfg.Listeners[0].Address, 5*time.Second, 1); err != nil {
		t.Fatal(err)
	}
	if err := c.line.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.line.Drop)
	return c
}

func (c *counter) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *counter) issue(n byte) *simcard.Card {
	c.t.Helper()
	k, err := simcard.Issue(simcard.Card{Family: card.CityCard, Serial: card.Serial{0x20, 8: 0x12, 9: n}, City: [2]byte{0x31, 0x20}, Balance: 5000}, c.keys)
	if err != nil {
		c.t.Fatal(err)
	}
	return k
}

// ask sends a request about a card and gives the code, and what the answer says of
// MAC2 and time.
func (c *counter) asks(mti uint16, proc, usage string, amount int64, f58 []byte) (code string, mac2 [4]byte, at [7]byte) {
	c.t.Helper()
	pan, _ := txn.ParsePAN([]byte("6225880000000003"))
	q := &fleet.Request{MTI: 0x0200, Proc: proc, Amount: amount, Trace: c.line.Number(), Cond: "91", Usage: usage, Net: "000", Card: f58, PAN: &pan}
	if mti == 0x0220 {
		q.MTI, q.PAN = 0x0220, nil
	}
	got, about, _, err := c.line.Ask(q)
	if err != nil {
		c.t.Fatal(err)
	}
	for b := about; len(b) > 1; b = b[2+int(b[1]):] {
		switch v := b[2 : 2+int(b[1])]; b[0] {
		case card.TagMAC2:
			mac2 = [4]byte(v)
		case card.TagTime:
			at = [7]byte(v)
		}
	}
	return got.String(), mac2, at
}

func (c *counter) load(amount uint32, f58 []byte) (string, [4]byte, [7]byte) {
	return c.asks(0x0200, "600000", "45", int64(amount), f58)
}

// confirms says that a card was written.
func (c *counter) confirms(k *simcard.Card, seq uint16, tac [4]byte, after uint32) string {
	b := card.AppendTag(nil, card.TagFamily, byte(k.Family))
	b = card.AppendTag(b, card.TagSerial, k.Serial[:]...)
	b = card.AppendTag(b, card.TagSeq, binary.BigEndian.AppendUint16(nil, seq)...)
	b = card.AppendTag(b, card.TagStatus, byte(card.Written))
	b = card.AppendTag(b, card.TagTAC, tac[:]...)
	code, _, _ := c.asks(0x0220, "600000", "55", 0, card.AppendTag32(b, card.TagAfter, after))
	return code
}

func (c *counter) want(what, got, want string) {
	c.t.Helper()
	if got != want {
		c.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func (c *counter) as(name string, args ...string) result {
	return call("", append(append([]string{"ctl", "cards"}, args...), "-c", c.file, "--token", filepath.Join(c.dir, name))...)
}

// parked reads the list of cards that wait.
func (c *counter) parked() (all []admin.ParkedCard) {
	c.t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(c.as("alice", "parked", "--json").out), "\n") {
		var p admin.ParkedCard
		if line == "" {
			continue
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			c.t.Fatalf("%q: %v", line, err)
		}
		all = append(all, p)
	}
	return all
}

// Cards that wait for a person: listed, shown, decided by two and audited, each
// decision with what it does to the bank.
func TestParkedCardsOfARunningSwitch(t *testing.T) {
	c := newCounter(t)
	decide := map[string]string{"complete": "the load is closed", "take-back": "owed the reversal", "write-off": "written off"}
	booked := func() int64 { return c.bank.Stats().Booked }
	n := byte(0)
	for do, says := range decide {
		n++
		k := c.issue(n)
		before := booked()
		code, _, _ := c.load(10_000, k.InitLoad(10_000, kioskNumber))
		c.want("load", code, "00")
		code, _, _ = c.load(3000, k.InitLoad(3000, kioskNumber))
		c.want("another amount", code, "01")
		c.until("the card waits", func() bool { return strings.Contains(c.ask("ctl", "status"), "cards for a person 1\n") })
		all := c.parked()
		if len(all) != 1 || all[0].Reason != "other-amount" || all[0].Amount != 10_000 || !all[0].Shown || all[0].Link != "bank" || strings.Contains(fmt.Sprint(all), "6225880000000003") {
			t.Fatalf("%+v", all)
		}
		load := fmt.Sprint(all[0].Load)
		if out := c.ask("ctl", "cards", "show", load); !strings.Contains(out, "未写卡") || !strings.Contains(out, "complete take-back write-off") {
			t.Errorf("show: %s", out)
		}
		r := c.as("alice", "decide", load, do, "--why", "looked at the card")
		number := r.out[strings.LastIndex(r.out, " ")+1:]
		if r.code != 0 || !strings.Contains(r.out, "ctl cards confirm") {
			t.Fatal(r)
		}
		number = strings.TrimSpace(number)
		if r := c.as("alice", "confirm", number); r.code == 0 || !strings.Contains(r.err, "another person") {
			t.Errorf("one person alone: %v", r)
		}
		if r := c.as("bob", "proposals"); !strings.Contains(r.out, do) || !strings.Contains(r.out, "token alice") {
			t.Errorf("proposals: %v", r)
		}
		if r := c.as("bob", "confirm", number); r.code != 0 || !strings.Contains(r.out, says) {
			t.Errorf("%s: %v", do, r)
		}
		if r := c.as("bob", "confirm", number); r.code == 0 {
			t.Errorf("confirmed twice: %v", r)
		}
		if r := c.as("alice", "decide", load, do, "--why", "again"); r.code == 0 || !strings.Contains(r.err, "no card waits") {
			t.Errorf("decided twice: %v", r)
		}
		want := before + 1
		if do == "take-back" {
			want = before
		}
		c.until("the bank has what it should", func() bool { return booked() == want })
		c.nothingOwed()
		code, _, _ = c.load(100, k.InitLoad(100, kioskNumber))
		c.want("the next load", code, "00")
	}
	if r := c.as("alice", "show", "7"); r.code == 0 {
		t.Errorf("a load that is not there: %v", r)
	}
	if r := c.as("alice", "decide", "7", "undo", "--why", "x"); r.code == 0 {
		t.Errorf("no decision: %v", r)
	}
	audit := c.ask("ctl", "audit", "show")
	for do := range decide {
		if !strings.Contains(audit, "card-"+do+"-proposed") || !strings.Contains(audit, "card-"+do+" ") {
			t.Errorf("%s is not audited: %s", do, audit)
		}
	}
}

// What smells of fraud about a card is in the audit file of the running switch,
// what is only wrong is not; nothing of it reaches the bank.
func TestFraudIsAudited(t *testing.T) {
	c := newCounter(t)
	change := func(f58 []byte, tag byte, at int) []byte {
		for i := 0; i < len(f58); i += 2 + int(f58[i+1]) {
			if f58[i] == tag {
				f58[i+2+at] ^= 0x5A
			}
		}
		return f58
	}
	load := func(f58 []byte) string { code, _, _ := c.load(10_000, f58); return code }
	k := c.issue(1)
	c.want("wrong MAC1", load(change(k.InitLoad(10_000, kioskNumber), card.TagMAC1, 0)), "63")
	c.want("unknown key version", load(change(k.InitLoad(10_000, kioskNumber), card.TagKey, 1)), "A7")
	code, _, _ := c.load(50_001, k.InitLoad(50_001, kioskNumber))
	c.want("over-limit", code, "61")
	c.want("cut off", load(k.InitLoad(10_000, kioskNumber)[:40]), "30")
	f58 := k.InitLoad(10_000, kioskNumber)
	c.want("a good one", load(f58), "00")
	c.want("replayed MAC1", load(f58), "34")
	c.want("TAC mismatch", c.confirms(k, 0, [4]byte{1}, 15_000), "63")
	c.write("list.csv", "serial,cause\n20000000000000001202,lost\n")
	c.ask("registry", "blacklist", "import", filepath.Join(c.dir, "list.csv"))
	c.want("blacklisted", load(c.issue(2).InitLoad(10_000, kioskNumber)), "41")
	if got := c.bank.Stats().Booked; got != 1 {
		t.Errorf("the bank has %d bookings, want 1", got)
	}
	var audit string
	c.until("it is audited", func() bool {
		audit = c.ask("ctl", "audit", "show")
		return strings.Contains(audit, "blacklisted")
	})
	for _, word := range []string{"wrong-mac1", "replayed-mac1", "card-parked", "wrong-tac", "blacklisted"} {
		if strings.Count(audit, word) != 1 {
			t.Errorf("%q stands %d times in the audit file: %s", word, strings.Count(audit, word), audit)
		}
	}
	if n := strings.Count(audit, "card 2000*12"); n != 4 {
		t.Errorf("%d lines about cards, want 4: %s", n, audit)
	}
}

// A card pays into an account, and the bank has it once.
func TestUnloadThroughTheProgram(t *testing.T) {
	c := newCounter(t)
	k := c.issue(1)
	code, mac2, at := c.asks(0x0200, "640000", "59", 2000, k.InitUnload(2000, kioskNumber))
	c.want("unload", code, "00")
	tac, ok := k.Debit(at, mac2)
	if !ok {
		t.Fatal("the card does not pay")
	}
	c.want("confirmed", c.confirms(k, 0, tac, 3000), "00")
	c.want("confirmed again", c.confirms(k, 0, tac, 3000), "00")
	c.until("the bank was told", func() bool { return c.bank.Stats().Notices == 1 })
	c.nothingOwed()
	all := c.bank.Bookings()
	if len(all) != 1 || all[0].Kind != "unload" || all[0].Amount != 2000 {
		t.Errorf("%+v", all)
	}
}

// offlineLists writes what records of offline transactions are held against.
func (c *counter) offlineLists() {
	c.t.Helper()
	lists, err := simoffline.Lists()
	if err != nil {
		c.t.Fatal(err)
	}
	for name, b := range lists {
		c.write(name, string(b))
	}
}

// upload sends records in F62.
func (c *counter) upload(records []byte, sum uint64) string {
	c.t.Helper()
	code, _, _, err := c.line.Ask(&fleet.Request{MTI: 0x0320, Proc: "000000", Amount: int64(sum), Trace: c.line.Number(), Cond: "00", Usage: "36", Net: "000", Data: records})
	if err != nil {
		c.t.Fatal(err)
	}
	return code.String()
}

// Offline purchases come in messages, are on disk before their answer, and in the
// offline store after it, verified and audited; the process is killed on the way.
func TestOfflineTransactionsInMessages(t *testing.T) {
	c := newCounter(t, simoffline.Section)
	m, err := simoffline.NewMaker("bus-64", 3)
	if err != nil {
		t.Fatal(err)
	}
	records, sum, err := m.File(make([]simoffline.Wrong, 8))
	if err != nil {
		t.Fatal(err)
	}
	bad, badSum, err := m.File([]simoffline.Wrong{simoffline.TAC, simoffline.NoFault})
	if err != nil {
		t.Fatal(err)
	}
	c.want("eight", c.upload(records, sum), "00")
	c.want("the same under another trace", c.upload(records, sum), "94")
	c.want("another sum", c.upload(bad, badSum+1), "13")
	c.want("cut off", c.upload(bad[:100], badSum), "30")
	c.want("one of them with a wrong TAC", c.upload(bad, badSum), "00")
	if err := c.child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.child.Wait() // it was killed
	c.start()
	c.up()
	var files []offline.File
	stored := func() (n uint32) {
		files = nil
		r := call("", "offline", "status", "-c", c.file, "--json")
		if r.code != exitDone { // the switch is at it in this moment
			return 0
		}
		if err := json.Unmarshal([]byte(r.out), &files); err != nil {
			t.Fatal(err)
		}
		for i := range files {
			if n += files[i].Records; files[i].Stage != offline.Done {
				return 0
			}
		}
		return n
	}
	c.until("all is in the store", func() bool { return stored() == 10 })
	var good, wrong uint32
	for i := range files {
		good, wrong = good+files[i].States["T"], wrong+files[i].States["U"]
	}
	if good != 9 || wrong != 1 {
		t.Errorf("%d verified, %d with a wrong TAC: %+v", good, wrong, files)
	}
	c.line.Drop() // the process that it was connected to is gone
	if err := c.line.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.want("the same behind a restart", c.upload(records, sum), "94")
	c.until("it is audited", func() bool { return strings.Contains(c.ask("ctl", "audit", "show"), "messages-") })
	r := call("", "offline", "import", "-c", c.file, filepath.Join(c.dir, "offline-cards.csv"))
	if out := c.ask("ctl", "audit", "show"); r.code == exitDone || !strings.Contains(out, "offline-cards.csv sha256") {
		t.Errorf("a file beside the running switch: %v, %s", r, out)
	}
}
