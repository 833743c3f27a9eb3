package engine

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"tongka/card"
	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/flow"
	"tongka/hsm"
	"tongka/registry/blacklist"
	simcard "tongka/sim/card"
)

var (
	loadMaster = bytes.Repeat([]byte{0x12, 0x35}, 8)
	tacMaster  = bytes.Repeat([]byte{0x33, 0x45}, 8)
	outMaster  = bytes.Repeat([]byte{0x52, 0x67}, 8) // of unloads
	kioskNo    = [6]byte{0x31, 0x20, 0, 0, 0, 0x01}
	virtualNo  = [6]byte{0x31, 0x20, 0xFF, 0, 0, 0x01}
)

// loads is a world that takes cards.
type loads struct {
	*world
	alerts []CardAlert
	listed *blacklist.Book
	cards  *Cards
}

func newLoads(t testing.TB) *loads {
	l := &loads{}
	var err error
	if l.listed, err = blacklist.Open(blacklist.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.listed.Close() })
	w := newWorld(t)
	l.world = w
	l.cards = &Cards{Ceiling: 100_000, Single: 50_000, Cities: map[[2]byte]bool{{0x31, 0x20}: true}, Keys: hsm.CardKeys{},
		Levels: [3]uint8{card.CityCard: 2, card.TUnion: 1}, Virtual: virtualNo, AirKey: 1,
		Alert: func(a CardAlert) { l.alerts = append(l.alerts, a) }}
	for _, family := range []hsm.Family{hsm.CityCard, hsm.TUnion} {
		id := hsm.CardKeyID{Family: family, Index: 1, Version: 1}
		l.cards.Keys[id] = w.wrap(hsm.MKAC, loadMaster)
		l.cards.Keys[tacKey(id)] = w.wrap(hsm.MKAC, tacMaster)
		id.Unload = true
		l.cards.Keys[id] = w.wrap(hsm.MKAC, outMaster)
	}
	w.shape = func(c *Config) { c.Cards, c.Books.Blacklist = l.cards, l.listed }
	w.crash()
	return l
}

func (l *loads) masters(family card.Family) simcard.Masters {
	return simcard.Masters{Load: loadMaster, TAC: tacMaster, Unload: outMaster, Levels: l.cards.Levels[family]}
}

func (l *loads) issue(n byte, family card.Family) *simcard.Card {
	l.t.Helper()
	c, err := simcard.Issue(simcard.Card{Family: family, Serial: card.Serial{0x20, 0, 0, 0, 0, 0, 0, 0, 0x12, n},
		Issuer: [8]byte{0x86, 0x98, 0x31, 0x20}, City: [2]byte{0x31, 0x20}, Balance: 500}, l.masters(family))
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// topUp is one request about a card.
type topUp struct {
	mti           iso8583.MTI
	proc          uint64
	usage         string
	trace, amount uint64
	pan           string
	f58           []byte
	of            uint64 // trace that F61 names
}

const payer = "6225880000000003"

func recharge(trace, amount uint64, f58 []byte) topUp {
	return topUp{mti: 0x0200, proc: 600000, usage: "45", trace: trace, amount: amount, pan: payer, f58: f58}
}

func (p *pos) card(q topUp) {
	p.w.t.Helper()
	p.send(q.mti, p.mak, func(b *iso8583.Builder) {
		if q.pan != "" {
			b.Put(2, []byte(q.pan))
		}
		b.PutUint(3, q.proc)
		if q.amount != 0 {
			b.PutUint(4, q.amount)
		}
		b.PutUint(11, q.trace)
		b.PutUint(22, 51)
		b.PutUint(25, 91)
		if q.mti == 0x0400 {
			b.Put(39, []byte("98"))
		}
		p.identity(b)
		b.Put(49, []byte("156"))
		if q.f58 != nil {
			b.Put(58, q.f58)
		}
		b.Put(60, []byte(q.usage+p.batch))
		if q.of != 0 {
			b.Put(61, fmt.Appendf(nil, "%s%06d1122", p.batch, q.of))
		}
	})
	p.w.pass(0)
}

// confirm tells how the writing went.
func confirm(trace uint64, c *simcard.Card, seq uint16, status card.Status, tac [4]byte) topUp {
	b := card.AppendTag(nil, card.TagFamily, byte(c.Family))
	b = card.AppendTag(b, card.TagSerial, c.Serial[:]...)
	b = card.AppendTag(b, card.TagSeq, binary.BigEndian.AppendUint16(nil, seq)...)
	b = card.AppendTag(b, card.TagStatus, byte(status))
	if status == card.Written {
		b = card.AppendTag(b, card.TagTAC, tac[:]...)
		b = card.AppendTag32(b, card.TagAfter, c.Balance)
	}
	return topUp{mti: 0x0220, proc: 600000, usage: "55", trace: trace, f58: b}
}

// answer is what an answer says of the card.
type answer struct {
	code    string
	mac2    [4]byte
	time    [7]byte
	rewrite bool
	script  string
	orders  string // numbers, each with a blank behind
}

func (p *pos) about() (a answer) {
	p.w.t.Helper()
	return aboutCard(p.got())
}

func aboutCard(v *iso8583.View) (a answer) {
	a.code = string(v.Field(39))
	for b := v.Field(58); len(b) > 0; b = b[2+b[1]:] {
		value := b[2 : 2+b[1]]
		switch b[0] {
		case card.TagMAC2:
			a.mac2 = [4]byte(value)
		case card.TagTime:
			a.time = [7]byte(value)
		case card.TagRewrite:
			a.rewrite = true
		case card.TagScript:
			a.script = string(value)
		case card.TagOrder:
			a.orders += string(value) + " "
		}
	}
	return a
}

// debited answers the bank's message with a yes and gives it.
func (w *world) debited(bank conn.ID, code string) *iso8583.View {
	w.t.Helper()
	q := w.bankGot(bank)
	w.bankAnswers(bank, q, code)
	return q
}

func (l *loads) purse(c *simcard.Card) card.Purse {
	l.t.Helper()
	var load flow.Load
	if err := l.shard.readPurse(l.shard.cards.of(c.Family, &c.Serial), &load); err != nil {
		l.t.Fatal(err)
	}
	return load.Purse
}

// The name of a card is the HMAC under the folder's secret, however many were named
// before, and a name asks for no memory.
func TestNamesOfCards(t *testing.T) {
	l := newLoads(t)
	secret, ok, err := l.log.Lookup([]byte(cardSecret), nil)
	if err != nil || !ok || len(secret) != 32 {
		t.Fatalf("the secret: %d bytes, %v, %v", len(secret), ok, err)
	}
	for i := range byte(4) {
		family, serial := card.Family(i%2), card.Serial{9: i}
		h := hmac.New(sha256.New, secret)
		h.Write(append([]byte{byte(family)}, serial[:]...))
		if got := l.shard.cards.of(family, &serial); got.class != cardObject || !bytes.Equal(got.id[:16], h.Sum(nil)[:16]) {
			t.Errorf("card %d is called %X", i, got.id)
		}
	}
	serial := new(card.Serial)
	if n := testing.AllocsPerRun(100, func() { l.shard.cards.of(card.CityCard, serial) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// quiet says that nobody holds anything.
func (l *loads) quiet() {
	l.t.Helper()
	if len(l.shard.chains) != 0 {
		l.t.Errorf("held at the end: %v", l.shard.chains)
	}
	l.idle()
}

// The normal day of both families and of the three kinds of payment.
func TestLoadAndConfirm(t *testing.T) {
	for i, kind := range []struct {
		proc, toBank string
		usage        string
	}{{"600000", "600000", "45"}, {"620000", "650000", "47"}, {"630000", "630000", "46"}} {
		for _, family := range []card.Family{card.CityCard, card.TUnion} {
			l := newLoads(t)
			bank := l.bankUp(0)
			p := l.terminal()
			c := l.issue(byte(i), family)
			q := recharge(7, 10_000, c.InitLoad(10_000, kioskNo))
			fmt.Sscan(kind.proc, &q.proc)
			q.usage = kind.usage
			p.card(q)
			sent := l.debited(bank, "00")
			l.want("F3 at the bank", string(sent.AppendText(nil, 3)), kind.toBank)
			a := p.about()
			l.want("code", a.code, "00")
			tac, ok := c.Credit(a.time, a.mac2)
			l.want("the card takes it", ok, true)
			l.want("balance", c.Balance, uint32(10_500))
			l.want("before the confirmation", l.purse(c).State, card.Left)
			p.card(confirm(8, c, c.Seq-1, card.Written, tac))
			l.want("confirmation", p.about().code, "00")
			l.want("behind it", l.purse(c).State, card.Closed)
			p.card(confirm(9, c, c.Seq-1, card.Written, tac))
			l.want("again", p.about().code, "00")
			l.bankSilent(bank)
			l.want("alerts", len(l.alerts), 0)
			l.quiet()
		}
	}
}

// Everything that is wrong with a request: its code, and nothing moves.
func TestLoadRefusals(t *testing.T) {
	l := newLoads(t)
	bank := l.bankUp(0)
	p := l.terminal()
	c := l.issue(1, card.CityCard)
	change := func(tag byte, at int, to byte) []byte {
		b := c.InitLoad(10_000, kioskNo)
		for i := 0; i < len(b); i += 2 + int(b[i+1]) {
			if b[i] == tag {
				b[i+2+at] = to
			}
		}
		return b
	}
	trace := uint64(10)
	refused := func(what, code string, alarm flow.Alarm, amount uint64, f58 []byte) {
		t.Helper()
		trace++
		l.alerts = nil
		p.card(recharge(trace, amount, f58))
		l.want(what, p.about().code, code)
		l.bankSilent(bank)
		if alarm == flow.NoAlarm {
			l.want(what+": alerts", len(l.alerts), 0)
		} else if len(l.alerts) != 1 || l.alerts[0].Alarm != alarm || l.alerts[0].Card != "2000*1201" {
			t.Errorf("%s: alerts %+v", what, l.alerts)
		}
		l.want(what+": the card", l.purse(c).State, card.Unseen)
	}
	refused("wrong MAC1", "63", flow.WrongMAC1, 10_000, change(card.TagMAC1, 0, 0xEE))
	refused("another amount than the card's", "63", flow.WrongMAC1, 10_001, c.InitLoad(10_000, kioskNo))
	refused("another balance", "63", flow.WrongMAC1, 10_000, change(card.TagBalance, 3, 1))
	refused("key version", "A7", flow.NoAlarm, 10_000, change(card.TagKey, 1, 9))
	refused("family", "14", flow.NoAlarm, 10_000, change(card.TagFamily, 0, 7))
	refused("city", "15", flow.NoAlarm, 10_000, change(card.TagCity, 0, 0x44))
	refused("over the limit of a load", "61", flow.NoAlarm, 50_001, c.InitLoad(50_001, kioskNo))
	c.Balance = 60_000
	refused("over the ceiling", "61", flow.NoAlarm, 50_000, c.InitLoad(50_000, kioskNo))
	c.Balance = 500
	refused("more than fits", "61", flow.NoAlarm, 4_294_968_296, c.InitLoad(1000, kioskNo))
	list := "serial,cause\n20000000000000001201,lost\n"
	if _, err := l.listed.Import(strings.NewReader(list), "list.csv", blacklist.How{}); err != nil {
		t.Fatal(err)
	}
	refused("blacklisted", "41", flow.Blacklisted, 10_000, c.InitLoad(10_000, kioskNo))
	c = l.issue(2, card.CityCard)
	whole := c.InitLoad(10_000, kioskNo)
	for n := range whole {
		refused(fmt.Sprintf("cut at %d", n), "30", flow.NoAlarm, 10_000, whole[:max(n, 1)])
	}
	refused("junk behind", "30", flow.NoAlarm, 10_000, append(c.InitLoad(10_000, kioskNo), 0xFF))
	l.quiet()
}

// What was sent before is not taken again under another trace: nothing moves.
func TestReplayedMAC1(t *testing.T) {
	l := newLoads(t)
	bank := l.bankUp(0)
	p := l.terminal()
	c := l.issue(1, card.CityCard)
	f58 := c.InitLoad(10_000, kioskNo)
	p.card(recharge(7, 10_000, f58))
	l.debited(bank, "00")
	first := p.about()
	p.card(recharge(7, 10_000, f58)) // the terminal did not hear: the same trace
	l.want("a repeat", p.about(), first)
	p.card(recharge(8, 10_000, f58))
	l.want("replayed while open", p.about().code, "34")
	c.Credit(first.time, first.mac2)
	p.card(confirm(9, c, 0, card.Written, [4]byte{1}))
	l.want("wrong TAC", p.about().code, "63")
	if n := len(l.alerts); n != 2 || l.alerts[0].Alarm != flow.ReplayedMAC1 || l.alerts[1].Alarm != flow.CardParked || l.alerts[1].Reason != card.WrongTAC {
		t.Errorf("alerts %+v", l.alerts)
	}
	p.card(recharge(10, 10_000, c.InitLoad(10_000, kioskNo)))
	l.want("a parked card", p.about().code, "01")

	other := l.issue(2, card.CityCard)
	f58 = other.InitLoad(10_000, kioskNo)
	p.card(recharge(11, 10_000, f58))
	l.debited(bank, "00")
	a := p.about()
	tac, _ := other.Credit(a.time, a.mac2)
	p.card(confirm(12, other, 0, card.Written, tac))
	l.want("closed", p.about().code, "00")
	p.card(recharge(13, 10_000, f58))
	l.want("replayed when closed", p.about().code, "34")
	l.bankSilent(bank)
	l.quiet()
}

// The next contact decides, at any terminal.
func TestNextContact(t *testing.T) {
	for _, c := range []struct {
		name    string
		written bool
		spend   uint32
		amount  uint64
		spent   bool
		code    string
		rewrite bool
		reason  card.Reason
	}{
		{"written", true, 0, 3_000, false, "00", false, card.NoReason},
		{"not written, the same", false, 0, 10_000, false, "00", true, card.NoReason},
		{"not written, another amount", false, 0, 3_000, false, "01", false, card.OtherAmount},
		{"written and spent since", true, 200, 3_000, false, "01", false, card.BalanceOdd},
		{"written and spent since, which is allowed", true, 200, 3_000, true, "00", false, card.NoReason},
		{"not written and spent since, which is allowed", false, 200, 10_000, true, "00", true, card.NoReason},
	} {
		l := newLoads(t)
		l.cards.Spent = c.spent
		bank := l.bankUp(0)
		p := l.terminal()
		k := l.issue(1, card.CityCard)
		p.card(recharge(7, 10_000, k.InitLoad(10_000, kioskNo)))
		l.debited(bank, "00")
		if a := p.about(); c.written {
			k.Credit(a.time, a.mac2)
		}
		k.Cut()
		k.Spend(c.spend)
		l.crash() // it is not memory that knows
		bank = l.bankUp(0)
		p.id = l.connect(-1)
		p.signIn()
		before := k.Balance
		p.card(recharge(8, c.amount, k.InitLoad(uint32(c.amount), kioskNo)))
		if c.code == "00" && !c.rewrite {
			l.debited(bank, "00")
		}
		l.bankSilent(bank)
		a := p.about()
		l.want(c.name, a.code, c.code)
		l.want(c.name+": rewrite", a.rewrite, c.rewrite)
		if c.code != "00" {
			l.want(c.name+": state", l.purse(k).State, card.Parked)
			l.want(c.name+": reason", l.purse(k).Reason, c.reason)
			l.want(c.name+": alerts", len(l.alerts), 1)
			continue
		}
		tac, ok := k.Credit(a.time, a.mac2)
		l.want(c.name+": the card takes it", ok && k.Balance == before+uint32(c.amount), true)
		p.card(confirm(9, k, k.Seq-1, card.Written, tac))
		l.want(c.name+": confirmed", p.about().code, "00")
		l.quiet()
	}
}

// A terminal's reversal: before the bank's answer it is taken back, and once MAC2
// has left the card decides.
func TestReversalOfALoad(t *testing.T) {
	l := newLoads(t)
	bank := l.bankUp(0)
	p := l.terminal()
	c := l.issue(1, card.CityCard)
	q := recharge(7, 10_000, c.InitLoad(10_000, kioskNo))
	back := q
	back.mti, back.f58 = 0x0400, nil
	p.card(q)
	asked := l.bankGot(bank)
	p.card(back)
	l.want("before the answer", p.code(), "00")
	l.want("owed", l.shard.owed.Total(), 1)
	l.bankAnswers(bank, l.bankGot(bank), "00")
	l.bankAnswers(bank, asked, "00") // late
	p.silent()

	q = recharge(8, 10_000, c.InitLoad(10_000, kioskNo))
	p.card(q)
	l.debited(bank, "00")
	first := p.about()
	back = q
	back.mti, back.f58 = 0x0400, nil
	p.card(back)
	l.want("when MAC2 has left", p.code(), "22")
	p.card(back)
	l.want("as often as it likes", p.code(), "22")
	l.want("owed", l.shard.owed.Total(), 0)
	p.card(q)
	l.want("the load's repeat", p.about(), first)
	p.card(confirm(9, c, 0, card.NotWritten, [4]byte{}))
	l.want("not written", p.about().code, "00")
	l.want("noted", l.purse(c).Failed, true)
	l.pass(time.Hour)
	l.want("still not owed", l.shard.owed.Total(), 0)
	l.quiet()
}

// A bank that does not answer, and one that declines.
func TestLoadWithoutTheBank(t *testing.T) {
	l := newLoads(t)
	bank := l.bankUp(0)
	p := l.terminal()
	c := l.issue(1, card.CityCard)
	p.card(recharge(7, 10_000, c.InitLoad(10_000, kioskNo)))
	l.debited(bank, "51")
	l.want("declined", p.about().code, "51")
	p.card(recharge(8, 10_000, c.InitLoad(10_000, kioskNo)))
	l.bankGot(bank)
	l.pass(11 * time.Second)
	l.want("timed out", p.about().code, "98")
	l.want("owed", l.shard.owed.Total(), 1)
	l.want("the card", l.purse(c).State, card.Unseen)
	if got := l.bankGot(bank); got.MTI() != 0x0420 {
		t.Errorf("the bank got %v", got.MTI())
	}
	l.quiet()
}
