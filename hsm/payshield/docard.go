package payshield

import (
	"bytes"

	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/soft"
)

// chip is KQ: verify a chip card's cryptogram, answer it, or both. The data comes
// in whole blocks, filled by the host. Scheme 0 is Visa's, 1 M/Chip.
func chip(s *Server, f *Fields) hsm.Code {
	c := f.chip()
	if c.MChip = f.one(fScheme) == '1'; !c.MChip && f.one(fScheme) != '0' {
		return hsm.BadInput
	}
	return s.chipAnswer(f, c)
}

// chipCommon is KW with scheme 1, the common session key of EMV 4.1. Scheme 0,
// the key tree of EMV 2000, is not here.
func chipCommon(s *Server, f *Fields) hsm.Code {
	if f.one(fScheme) != '1' {
		return hsm.Disabled
	}
	c := f.chip()
	c.Common = true
	return s.chipAnswer(f, c)
}

func (f *Fields) chip() *soft.Chip {
	return &soft.Chip{Account: [8]byte(f.v[fPAN]), ATC: [2]byte(f.v[fATC]), UN: [4]byte(f.v[fUN]), Data: f.v[fData]}
}

func (s *Server) chipAnswer(f *Fields, c *soft.Chip) hsm.Code {
	arqc := [8]byte(f.v[fARQC])
	if f.one(fMode) != '2' {
		if code := s.m.VerifyARQC(hsm.MKAC, f.v[fKey], c, arqc); !code.OK() {
			return code
		}
	}
	if f.one(fMode) == '0' {
		return hsm.Done
	}
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
