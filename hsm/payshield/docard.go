package payshield

import (
	"bytes"

	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/soft"
)

// chip is KQ: verify a chip card's cryptogram, answer it, or both; modes 3 and 4
// also verify what the card says for itself. The data comes in whole blocks, filled by
// the host. Scheme 0 is Visa's, 1 M/Chip.
func chip(s *Server, f *Fields) hsm.Code {
	c := f.chip()
	switch f.one(fScheme) {
	case '0':
		c.Session = soft.CardKey
	case '1':
		c.Session = soft.MChipKey
	default:
		return hsm.BadInput
	}
	arqc, mode := [8]byte(f.v[fARQC]), f.one(fMode)
	if mode != '2' {
		if code := s.m.VerifyARQC(hsm.MKAC, f.v[fKey], c, arqc); !code.OK() {
			return code
		}
	}
	if mode == '3' || mode == '4' {
		if code := s.m.VerifyScript(soft.MKSMI, f.v[fKey2], c, arqc, f.v[fAuth], [4]byte(f.v[fMAC])); !code.OK() {
			return code
		}
	}
	if mode == '0' || mode == '3' {
		return hsm.Done
	}
	return s.arpc1(f, c, arqc)
}

// chipEMV is KW: schemes 0 and 1 have the key tree of EMV 2000, 2 and 3 the common
// session key; 1 and 3 derive the card's key by option B. Modes 3 and 4 answer by
// method 2, whose answer carries the card status update behind it.
func chipEMV(s *Server, f *Fields) hsm.Code {
	c := f.chip()
	c.Session, c.OptionB = soft.CommonKey, f.is(fScheme, []string{"1", "3"})
	if f.is(fScheme, []string{"0", "1"}) {
		c.Session, c.Tree = soft.TreeKey, clear.BinaryTree
		if f.one(fTree) == '1' {
			c.Tree = clear.WideTree
		}
		c.Tree.IV = [16]byte(f.v[fIVAC])
	}
	arqc, mode := [8]byte(f.v[fARQC]), f.one(fMode)
	if mode != '2' && mode != '4' {
		if code := s.m.VerifyARQC(hsm.MKAC, f.v[fKey], c, arqc); !code.OK() {
			return code
		}
	}
	switch mode {
	case '0':
		return hsm.Done
	case '1', '2':
		return s.arpc1(f, c, arqc)
	}
	arpc, code := s.m.ARPC2(hsm.MKAC, f.v[fKey], c, arqc, [4]byte(f.v[fCSU]), f.v[fAuth])
	s.put(f, fARPC, append(arpc[:], f.v[fCSU]...)...)
	return code
}

// chip takes what both commands say of the card; KW has no unpredictable number.
func (f *Fields) chip() *soft.Chip {
	c := &soft.Chip{Account: f.v[fPAN], ATC: [2]byte(f.v[fATC]), Data: f.v[fData]}
	copy(c.UN[:], f.v[fUN])
	return c
}

func (s *Server) arpc1(f *Fields, c *soft.Chip, arqc [8]byte) hsm.Code {
	arpc, code := s.m.ARPC(hsm.MKAC, f.v[fKey], c, arqc, [2]byte(f.v[fARC]))
	s.put(f, fARPC, arpc[:]...)
	return code
}

// cardMAC is UB: a MAC of eight digits by the card's key as it is (scheme 0), by
// a session key (1 and 3) or by the folded TAC key (2), over data that is padded
// here unless the host did it.
func cardMAC(s *Server, f *Fields) hsm.Code {
	data := make([]byte, len(f.v[fData])/2)
	if hsm.DecodeHex(data, f.v[fData]) >= 0 {
		return hsm.BadInput
	}
	var card hsm.Card
	if f.one(fAlg) == 'S' {
		card.Alg = hsm.CardSM4
	}
	for div := f.v[fDiv]; len(div) > 0; div = div[16:] {
		hsm.DecodeHex(card.Div[card.Levels][:], div[:16])
		card.Levels++
	}
	if int(card.Levels) != f.number(fDivCount, 10) {
		return hsm.BadInput // deeper than any card is known to be
	}
	if len(bytes.Trim(f.v[fIV], "0")) > 0 {
		return hsm.BadInput // purse codes start from zeros
	}
	if f.number(fLength, 10) != 4 && f.number(fLength, 10) != 8 {
		return hsm.BadDataLength
	}
	p, code := s.m.Purse(f.keyType(fType), f.v[fKey], &card)
	if !code.OK() {
		return code
	}
	kind := map[byte]clear.PurseKey{'0': clear.LeafKey, '1': clear.SessionKey, '2': clear.FoldedKey, '3': clear.SessionKey}[f.one(fScheme)]
	mac, err := p.MAC(kind, f.iv(fSession), data, f.one(fPad) == '1')
	if err != nil {
		return hsm.BadDataLength
	}
	if f.one(fMode) == '1' {
		s.putHex(f, fMAC, mac[:])
		return hsm.Done
	}
	return sameHex(mac[:], f.v[fMAC])
}
