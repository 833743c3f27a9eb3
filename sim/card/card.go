// Package card is an e-purse card: it keeps a balance and a counter, makes MAC1
// and TAC, checks MAC2, and can lose its power before or after it has written.
// Source: PBOC 2.0 part 1, INITIALIZE FOR LOAD and CREDIT FOR LOAD; those for unload
// by the same paper's numbers, which no public trace confirms.
package card

import (
	"encoding/binary"

	"tongka/card"
	"tongka/hsm"
	"tongka/hsm/clear"
)

// Card is one card. It belongs to one goroutine.
type Card struct {
	Family  card.Family
	Serial  card.Serial
	Issuer  [8]byte
	City    [2]byte
	Balance uint32
	Seq     uint16 // online counter
	Drawn   uint32 // randoms that it has given, so that none comes twice in its life
	Alg     uint8  // as INITIALIZE gives it
	SM4     bool   // what it works with; else 3DES

	load, unload, tac *clear.Purse
	session           *hsm.Card // of INITIALIZE, until the power is gone
}

// Masters are master keys in clear, 16 bytes each. Without Unload the card knows no
// unload. Levels is as the switch has it configured: 1 the card, 2 issuer and card.
type Masters struct {
	Load, TAC, Unload []byte
	Levels            uint8
}

// Issue makes a card.
func Issue(c Card, m Masters) (*Card, error) {
	d := c.keys(m.Levels)
	for _, k := range []struct {
		to     **clear.Purse
		master []byte
	}{{&c.load, m.Load}, {&c.tac, m.TAC}, {&c.unload, m.Unload}} {
		if k.master == nil && k.to == &c.unload {
			continue
		}
		var err error
		if *k.to, err = clear.NewPurse(k.master, d); err != nil {
			return nil, err
		}
	}
	return &c, nil
}

func (c *Card) keys(levels uint8) *hsm.Card {
	d := &hsm.Card{Levels: levels}
	if c.SM4 {
		d.Alg = hsm.CardSM4
	}
	d.Div[levels-1] = [8]byte(c.Serial[2:])
	if levels == 2 {
		d.Div[0] = c.Issuer
	}
	return d
}

// InitLoad begins a load and gives F58 as the terminal sends it.
func (c *Card) InitLoad(amount uint32, terminal [6]byte) []byte {
	return c.request(c.begin(hsm.PurseLoad, amount, terminal))
}

// InitUnload begins an unload and gives F58 as the terminal sends it.
func (c *Card) InitUnload(amount uint32, terminal [6]byte) []byte {
	return c.request(c.begin(hsm.PurseUnload, amount, terminal))
}

func (c *Card) request(mac1 [4]byte) []byte {
	s := c.session
	b := c.Identity()
	b = card.AppendTag32(b, card.TagBalance, s.Balance)
	b = card.AppendTag(b, card.TagSeq, binary.BigEndian.AppendUint16(nil, s.Seq)...)
	b = card.AppendTag(b, card.TagKey, 1, 1, c.Alg)
	b = card.AppendTag(b, card.TagRandom, s.Random[:]...)
	b = card.AppendTag(b, card.TagMAC1, mac1[:]...)
	return card.AppendTag(b, card.TagTerminal, s.Terminal[:]...)
}

// Identity is F58 of who the card is.
func (c *Card) Identity() []byte {
	b := card.AppendTag(nil, card.TagFamily, byte(c.Family))
	b = card.AppendTag(b, card.TagIssuer, c.Issuer[:]...)
	b = card.AppendTag(b, card.TagCity, c.City[:]...)
	return card.AppendTag(b, card.TagSerial, c.Serial[:]...)
}

// begin draws a random that no load of this card had before.
func (c *Card) begin(kind byte, amount uint32, terminal [6]byte) [4]byte {
	c.Drawn++
	s := &hsm.Card{Kind: kind, Balance: c.Balance, Amount: amount, Seq: c.Seq, Terminal: terminal}
	binary.BigEndian.PutUint32(s.Random[:], c.Drawn*0x9E3779B1)
	c.session = s
	return c.key(s).MAC1(s)
}

func (c *Card) key(s *hsm.Card) *clear.Purse {
	if s.Kind == hsm.PurseUnload {
		return c.unload
	}
	return c.load
}

// Credit takes what a load's answer brought; false when the MAC2 is wrong or
// no load was begun. The TAC signs what was written.
func (c *Card) Credit(time [7]byte, mac2 [4]byte) (tac [4]byte, ok bool) {
	return c.write(hsm.PurseLoad, time, mac2)
}

// Debit is Credit for an unload.
func (c *Card) Debit(time [7]byte, mac2 [4]byte) (tac [4]byte, ok bool) {
	return c.write(hsm.PurseUnload, time, mac2)
}

func (c *Card) write(kind byte, time [7]byte, mac2 [4]byte) (tac [4]byte, ok bool) {
	s := c.session
	c.session = nil
	if s == nil || s.Kind != kind {
		return tac, false
	}
	s.Time = time
	if c.key(s).MAC2(s) != mac2 {
		return tac, false
	}
	tac = c.tac.TAC(s)
	if kind == hsm.PurseUnload {
		c.Balance -= s.Amount
	} else {
		c.Balance += s.Amount
	}
	c.Seq++
	return tac, true
}

// Cut takes the power: what was begun is forgotten, what was written stays.
func (c *Card) Cut() { c.session = nil }

// Spend is an offline purchase; the online counter does not move.
func (c *Card) Spend(amount uint32) { c.Balance -= amount }

// APDU answers a command as the card does: data and status word.
func (c *Card) APDU(cmd []byte) []byte {
	switch {
	case len(cmd) == 17 && cmd[1] == 0x50 && cmd[2] == 0x00 && cmd[3] == 0x02:
		mac1 := c.begin(hsm.PurseLoad, binary.BigEndian.Uint32(cmd[6:]), [6]byte(cmd[10:16]))
		b := binary.BigEndian.AppendUint32(nil, c.session.Balance)
		b = binary.BigEndian.AppendUint16(b, c.session.Seq)
		b = append(append(append(b, 1, c.Alg), c.session.Random[:]...), mac1[:]...)
		return append(b, 0x90, 0x00)
	case len(cmd) == 17 && cmd[1] == 0x52:
		tac, ok := c.Credit([7]byte(cmd[5:12]), [4]byte(cmd[12:16]))
		if !ok {
			return []byte{0x93, 0x02} // MAC wrong
		}
		return append(tac[:], 0x90, 0x00)
	}
	return []byte{0x6D, 0x00}
}
