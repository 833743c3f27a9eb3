package payshield

import (
	"bytes"
	"crypto/subtle"

	"tongka/hsm"
	"tongka/hsm/soft"
)

func (f *Fields) format(id field) hsm.PINFormat { return hsm.PINFormat(f.number(id, 10)) }

// pinUnder opens the PIN block of a command.
func (s *Server) pinUnder(t hsm.KeyType, f *Fields) ([]byte, hsm.Code) {
	return s.m.PIN(t, f.v[fKey], f.hex8(fPIN), f.pan12(), f.format(fFrom))
}

// translate is CA (from a terminal's key) and CC (from a zone's). The maximum
// length 12 is the only one that modules take.
func translate(t hsm.KeyType) func(*Server, *Fields) hsm.Code {
	return func(s *Server, f *Fields) hsm.Code {
		if f.number(fMax, 10) != 12 {
			return hsm.BadInput
		}
		if f.format(fFrom) == hsm.ISO4 || f.format(fTo) == hsm.ISO4 || f.v[fKSN2] != nil || len(f.v[fPIN]) != 16 {
			return s.movePIN(f, &soft.PINSide{Type: t, Key: f.v[fKey]})
		}
		// Keys first: a module says what is wrong with them before it looks at a PIN.
		if _, code := s.m.Cipher(t, f.v[fKey]); !code.OK() {
			return code
		}
		if _, code := s.m.Cipher(hsm.ZPK, f.v[fKey2]); !code.OK() {
			return asSecond(code)
		}
		pin, code := s.pinUnder(t, f)
		if !code.OK() {
			return code
		}
		block, code := s.m.Block(hsm.ZPK, f.v[fKey2], pin, f.pan12(), f.format(fTo))
		s.giveBlock(f, block[:], len(pin))
		return code
	}
}

func asSecond(code hsm.Code) hsm.Code {
	if code == hsm.BadKey {
		return hsm.BadKey2
	}
	return code
}

// movePIN is the way of blocks of 16 bytes and of keys that are derived.
func (s *Server) movePIN(f *Fields, from *soft.PINSide) hsm.Code {
	to := &soft.PINSide{Type: hsm.ZPK, Key: f.v[fKey2], Format: f.format(fTo)}
	if f.v[fKSN2] != nil {
		var code hsm.Code
		to.Type = hsm.BDK
		if to.KSN, code = serialOf(f.v[fKSN2]); !code.OK() {
			return code
		}
	}
	from.Format = f.format(fFrom)
	block := make([]byte, len(f.v[fPIN])/2)
	hsm.DecodeHex(block, f.v[fPIN])
	out, n, code := s.m.MovePIN(from, to, block, f.pan12(), f.v[fAccount])
	s.giveBlock(f, out, n)
	return code
}

// serialOf packs the digits of a key serial number.
func serialOf(digits []byte) ([]byte, hsm.Code) {
	if len(digits)%2 != 0 {
		return nil, hsm.BadInput
	}
	ksn := make([]byte, len(digits)/2)
	hsm.DecodeHex(ksn, digits)
	return ksn, hsm.Done
}

// giveBlock answers a PIN's length and its new block.
func (s *Server) giveBlock(f *Fields, block []byte, n int) {
	s.put(f, fMax, '0'+byte(n/10), '0'+byte(n%10))
	s.putHex(f, fPIN, block)
}

// translateDUKPT is G0: from a base key and serial number to a zone's key, or to
// another base key.
func translateDUKPT(s *Server, f *Fields) hsm.Code {
	ksn, code := serialOf(f.v[fKSN])
	if !code.OK() {
		return code
	}
	return s.movePIN(f, &soft.PINSide{Type: hsm.BDK, Key: f.v[fKey], KSN: ksn})
}

// A PIN under the LMK is its digits behind a zero, as simulators have it: how a
// module encrypts it is not published, and nothing here protects a PIN.

// pinToLMK is JC and JE.
func pinToLMK(t hsm.KeyType) func(*Server, *Fields) hsm.Code {
	return func(s *Server, f *Fields) hsm.Code {
		pin, code := s.pinUnder(t, f)
		s.put(f, fLPIN, append([]byte{'0'}, pin...)...)
		return code
	}
}

// lmkPIN gives the digits of a PIN under the LMK.
func (f *Fields) lmkPIN() ([]byte, hsm.Code) {
	p := f.v[fLPIN]
	if len(p) < 5 || len(p) > 13 || p[0] != '0' {
		return nil, hsm.BadPINLength
	}
	return p[1:], hsm.Done
}

// pinFromLMK is JG.
func pinFromLMK(s *Server, f *Fields) hsm.Code {
	pin, code := f.lmkPIN()
	if !code.OK() {
		return code
	}
	block, code := s.m.Block(hsm.ZPK, f.v[fKey2], pin, f.pan12(), f.format(fTo))
	s.putHex(f, fPIN, block[:])
	return code
}

// encryptClearPIN is BA: digits filled with F.
func encryptClearPIN(s *Server, f *Fields) hsm.Code {
	pin := bytes.TrimRight(f.v[fLPIN], "F")
	for _, d := range pin {
		if d < '0' || d > '9' {
			return hsm.BadPINBlock
		}
	}
	if len(pin) < 4 || len(pin) > 12 {
		return hsm.BadPINLength
	}
	s.put(f, fLPIN, append([]byte{'0'}, pin...)...)
	return hsm.Done
}

// comparePIN is BC and BE. A PIN of the right length that is not under this LMK is
// simply another one.
func comparePIN(t hsm.KeyType) func(*Server, *Fields) hsm.Code {
	return func(s *Server, f *Fields) hsm.Code {
		if n := len(f.v[fLPIN]); n < 5 || n > 13 {
			return hsm.BadPINLength
		}
		pin, code := s.pinUnder(t, f)
		if !code.OK() {
			return code
		}
		want, code := f.lmkPIN()
		if !code.OK() || subtle.ConstantTimeCompare(pin, want) != 1 {
			return hsm.Mismatch
		}
		return hsm.Done
	}
}

// offsetFields are the fields of the IBM method.
func (f *Fields) offsetFields() *hsm.More {
	o := &hsm.More{CheckPIN: uint8(f.number(fCheck, 10)), Table: [16]byte(f.v[fTable]), Validation: [12]byte(f.v[fValid])}
	copy(o.Offset[:], f.v[fOffset])
	return o
}

// verifyOffset is DA and EA.
func verifyOffset(t hsm.KeyType) func(*Server, *Fields) hsm.Code {
	return func(s *Server, f *Fields) hsm.Code {
		if f.number(fMax, 10) != 12 {
			return hsm.BadInput
		}
		pin, code := s.pinUnder(t, f)
		if !code.OK() {
			return code
		}
		return s.m.CheckOffset(f.v[fKey2], pin, f.pan12(), f.offsetFields())
	}
}

// makeOffset is DE.
func makeOffset(s *Server, f *Fields) hsm.Code {
	pin, code := f.lmkPIN()
	if !code.OK() {
		return code
	}
	if len(pin) < f.number(fCheck, 10) {
		return hsm.BadPINLength
	}
	o := f.offsetFields()
	offset, code := s.m.Offset(f.v[fKey], pin, f.pan12(), &o.Table, o.Validation[:])
	if code == hsm.BadKey2 {
		code = hsm.BadKey // it is the only key here
	}
	s.put(f, fOffset, offset[:]...)
	return code
}

// pvkText is a verification key: a pair without a tag counts as scheme X.
func pvkText(key []byte) []byte {
	if len(key) == 32 && digit(key[0]) < 16 {
		return append([]byte{'X'}, key...)
	}
	return key
}

// verifyPVV is DC and EC.
func verifyPVV(t hsm.KeyType) func(*Server, *Fields) hsm.Code {
	return func(s *Server, f *Fields) hsm.Code {
		pin, code := s.pinUnder(t, f)
		if !code.OK() {
			return code
		}
		return s.m.CheckPVV(pvkText(f.v[fKey2]), pin, f.pan12(), f.one(fPVKI), [4]byte(f.v[fPVV]))
	}
}

// makePVV is DG.
func makePVV(s *Server, f *Fields) hsm.Code {
	pin, code := f.lmkPIN()
	if !code.OK() {
		return code
	}
	pvv, code := s.m.PVV(pvkText(f.v[fKey]), pin, f.pan12(), f.one(fPVKI))
	if code == hsm.BadKey2 {
		code = hsm.BadKey
	}
	s.put(f, fPVV, pvv[:]...)
	return code
}

// makeCVV is CW.
func makeCVV(s *Server, f *Fields) hsm.Code {
	cvv, code := s.m.CVV(pvkText(f.v[fKey]), f.v[fPAN], f.v[fLen], f.v[fService])
	s.put(f, fCVV, cvv[:]...)
	return code
}

// verifyCVV is CY.
func verifyCVV(s *Server, f *Fields) hsm.Code {
	cvv, code := s.m.CVV(pvkText(f.v[fKey]), f.v[fPAN], f.v[fLen], f.v[fService])
	if code.OK() && subtle.ConstantTimeCompare(cvv[:], f.v[fCVV]) != 1 {
		return hsm.Mismatch
	}
	return code
}
