package card

import (
	"bytes"
	"encoding/hex"
	"testing"

	"tongka/card"
	"tongka/hsm"
)

var (
	number = [6]byte{0x31, 0x20, 0, 0, 0, 1}
	when   = [7]byte{0x20, 0x26, 0x01, 0x01, 0x09, 0x30, 0x00}
)

func aCard(t *testing.T, of Card) *Card {
	t.Helper()
	of.Serial, of.Issuer, of.City = card.Serial{0x00, 0x00, 0x31, 0x20, 0, 0, 0x01, 0x23, 0x45, 0x67}, [8]byte{0x86, 0x98}, [2]byte{0x31, 0x20}
	key := func(b byte) []byte { return bytes.Repeat([]byte{b, b + 0x11}, 8) }
	c, err := Issue(of, Masters{Load: key(0x11), TAC: key(0x22), Unload: key(0x33), Levels: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// said reads F58 as the switch does.
func said(t *testing.T, f58 []byte) (d card.Data) {
	t.Helper()
	if err := d.Parse(f58, card.TagBalance, card.TagSeq, card.TagRandom, card.TagMAC1, card.TagTerminal, card.TagSerial); err != nil {
		t.Fatal(err)
	}
	return d
}

// A load of both families and both algorithms: the card adds once, counts, and
// takes no MAC2 but its own.
func TestLoadOfACard(t *testing.T) {
	for _, of := range []Card{{Family: card.CityCard, Balance: 5000}, {Family: card.TUnion, Balance: 5000}, {Family: card.TUnion, Balance: 5000, Alg: 4, SM4: true}} {
		c := aCard(t, of)
		d := said(t, c.InitLoad(10_000, number))
		if d.Balance != 5000 || d.Seq != 0 || d.Alg != of.Alg || d.Family != of.Family || d.Terminal != number {
			t.Errorf("says %+v", d)
		}
		mac2 := c.load.MAC2(at(c.session))
		wrong := mac2
		wrong[0] ^= 1
		if _, ok := c.Credit(when, wrong); ok || c.Balance != 5000 {
			t.Error("a wrong MAC2 was taken")
		}
		if _, ok := c.Credit(when, mac2); ok {
			t.Error("MAC2 taken in a session that had ended")
		}
		again := said(t, c.InitLoad(10_000, number))
		if again.Random == d.Random || again.MAC1 == d.MAC1 {
			t.Error("a second INITIALIZE says the same")
		}
		if _, ok := c.Credit(when, mac2); ok {
			t.Error("the MAC2 of another session was taken")
		}
		c.InitLoad(10_000, number)
		s := at(c.session)
		tac, ok := c.Credit(when, c.load.MAC2(s))
		if !ok || c.Balance != 15_000 || c.Seq != 1 || tac != c.tac.TAC(s) {
			t.Errorf("balance %d, counter %d, %v", c.Balance, c.Seq, ok)
		}
	}
}

// An unload takes off; each operation's MAC2 is none of the other's.
func TestUnloadOfACard(t *testing.T) {
	c := aCard(t, Card{Family: card.CityCard, Balance: 5000})
	said(t, c.InitUnload(2000, number))
	mac2 := c.unload.MAC2(at(c.session))
	if _, ok := c.Credit(when, mac2); ok {
		t.Error("an unload was credited")
	}
	c.InitLoad(2000, number)
	if _, ok := c.Debit(when, c.load.MAC2(at(c.session))); ok {
		t.Error("a load was debited")
	}
	c.InitUnload(2000, number)
	s := at(c.session)
	if tac, ok := c.Debit(when, c.unload.MAC2(s)); !ok || c.Balance != 3000 || c.Seq != 1 || tac != c.tac.TAC(s) {
		t.Errorf("balance %d, counter %d, %v", c.Balance, c.Seq, ok)
	}
}

// The power goes: what was begun is gone, what was written stays; a purchase leaves
// the counter of loads alone.
func TestPowerOfACard(t *testing.T) {
	c := aCard(t, Card{Family: card.CityCard, Balance: 5000})
	c.InitLoad(10_000, number)
	mac2 := c.load.MAC2(at(c.session))
	c.Cut()
	if _, ok := c.Credit(when, mac2); ok {
		t.Error("taken without power")
	}
	if c.Spend(200); c.Balance != 4800 || c.Seq != 0 {
		t.Errorf("balance %d, counter %d", c.Balance, c.Seq)
	}
}

// The commands that a phone passes on give the same as a terminal's.
func TestCommandsOfACard(t *testing.T) {
	c := aCard(t, Card{Family: card.CityCard, Balance: 500})
	reply := c.APDU(card.AppendInitialise(nil, 1, 2000, &number))
	d := card.Data{Reply: reply}
	if !d.Initialised() || d.Balance != 500 || d.Seq != 0 {
		t.Fatalf("%x", reply)
	}
	if got := c.APDU(card.AppendCredit(nil, &when, &[4]byte{})); !bytes.Equal(got, []byte{0x93, 0x02}) {
		t.Errorf("wrong MAC2: %x", got)
	}
	c.APDU(card.AppendInitialise(nil, 1, 2000, &number))
	mac2 := c.load.MAC2(at(c.session))
	d = card.Data{Reply: c.APDU(card.AppendCredit(nil, &when, &mac2))}
	if d.Credited(); d.Status != card.Written || c.Balance != 2500 {
		t.Errorf("%v, balance %d", d.Status, c.Balance)
	}
	for _, bad := range []string{"", "80", "805001020B", "00A4040009A00000000386980701", "8050000200"} {
		b, _ := hex.DecodeString(bad)
		if got := c.APDU(b); !bytes.Equal(got, []byte{0x6D, 0}) {
			t.Errorf("%s: %x", bad, got)
		}
	}
}

func TestIssueRefusesKeys(t *testing.T) {
	for _, m := range []Masters{{Levels: 1}, {Load: make([]byte, 16), TAC: make([]byte, 8), Levels: 1}, {Load: make([]byte, 16), TAC: make([]byte, 16), Unload: make([]byte, 3), Levels: 1}} {
		if _, err := Issue(Card{}, m); err == nil {
			t.Errorf("%+v", m)
		}
	}
}

// at is what a session will sign at the test's time.
func at(s *hsm.Card) *hsm.Card {
	c := *s
	c.Time = when
	return &c
}
