package mix

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"tongka/card"
	"tongka/hsm"
	"tongka/hsm/clear"
)

// Master keys of the made-up cards, T-Union with one level, index and version 1. The
// switch under test is given them under its LMK.
var (
	LoadMaster = [16]byte{0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF}
	TACMaster  = [16]byte{0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10, 0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01}
)

// What the cards say of themselves and of the kiosk.
var (
	issuer = [8]byte{0x86, 0x98, 0x31, 0x20}
	city   = [2]byte{0x31, 0x20}
	kiosk  = [6]byte{0x31, 0x20, 0x00, 0x00, 0x00, 0x01}
)

// purse is an e-purse card that costs the load generator three blocks of DES a code: the
// card of package sim/card, which the tests hold it against, expands its keys anew for
// each. Source: PBOC 2.0 part 1, INITIALIZE FOR LOAD and CREDIT FOR LOAD.
type purse struct {
	serial  card.Serial
	balance uint32
	seq     uint16
	drawn   uint32 // randoms that it has given
	load    *clear.Purse
	tac     clear.Cipher // both halves folded
	session clear.Cipher // of the load under way
	open    bool         // there is one
	about   hsm.Card     // and what is known of it
	text    []byte
}

// newPurse makes card i, empty.
func newPurse(i int) (*purse, error) {
	p := &purse{serial: card.Serial{0x31, 0x04, 0x89, 0x20}, seq: 1, text: make([]byte, 0, 64)}
	binary.BigEndian.PutUint32(p.serial[6:], uint32(i))
	levels := &hsm.Card{Levels: 1, Div: [hsm.MaxLevels][8]byte{[8]byte(p.serial[2:])}}
	var err error
	if p.load, err = clear.NewPurse(LoadMaster[:], levels); err != nil {
		return nil, err
	}
	tac, err := clear.NewPurse(TACMaster[:], levels)
	if err != nil {
		return nil, err
	}
	var folded [8]byte
	subtle.XORBytes(folded[:], tac.Key()[:8], tac.Key()[8:])
	p.tac.Expand(folded[:])
	return p, nil
}

// begin appends F58 of a load. The counter of a card has 16 bits.
func (p *purse) begin(dst []byte, fen uint32) ([]byte, error) {
	if p.seq == 0 {
		return dst, fmt.Errorf("a card was loaded 65,535 times: the run is too long for so few terminals")
	}
	p.drawn++
	p.about = hsm.Card{Kind: hsm.PurseLoad, Balance: p.balance, Amount: fen, Seq: p.seq, Terminal: kiosk}
	binary.BigEndian.PutUint32(p.about.Random[:], p.drawn*0x9E3779B1)
	p.load.Session(&p.about, &p.session)
	p.open = true
	dst = card.AppendTag(dst, card.TagFamily, byte(card.TUnion))
	dst = card.AppendTag(dst, card.TagIssuer, issuer[:]...)
	dst = card.AppendTag(dst, card.TagCity, city[:]...)
	dst = card.AppendTag(dst, card.TagSerial, p.serial[:]...)
	dst = card.AppendTag32(dst, card.TagBalance, p.balance)
	dst = card.AppendTag(dst, card.TagSeq, byte(p.seq>>8), byte(p.seq))
	dst = card.AppendTag(dst, card.TagKey, 1, 1, 0)
	dst = card.AppendTag(dst, card.TagRandom, p.about.Random[:]...)
	mac1 := p.session.PurseCode(p.about.MAC1Data(p.text[:0]))
	dst = card.AppendTag(dst, card.TagMAC1, mac1[:]...)
	return card.AppendTag(dst, card.TagTerminal, kiosk[:]...), nil
}

// credit takes what the answer brought; false when the MAC2 is wrong. The TAC signs what
// was written.
func (p *purse) credit(time [7]byte, mac2 [4]byte) (tac [4]byte, ok bool) {
	if !p.open {
		return tac, false
	}
	p.open = false
	p.about.Time = time
	if p.session.PurseCode(p.about.MAC2Data(p.text[:0])) != mac2 {
		return tac, false
	}
	tac = p.tac.PurseCode(p.about.TACData(p.text[:0]))
	p.balance += p.about.Amount
	p.seq++
	return tac, true
}

// confirmation appends F58 of what was written.
func (p *purse) confirmation(dst []byte, tac [4]byte) []byte {
	dst = card.AppendTag(dst, card.TagFamily, byte(card.TUnion))
	dst = card.AppendTag(dst, card.TagSerial, p.serial[:]...)
	dst = card.AppendTag(dst, card.TagSeq, byte(p.about.Seq>>8), byte(p.about.Seq))
	dst = card.AppendTag(dst, card.TagStatus, byte(card.Written))
	dst = card.AppendTag(dst, card.TagTAC, tac[:]...)
	return card.AppendTag32(dst, card.TagAfter, p.balance)
}
