package soft

import (
	"crypto/subtle"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// translateMore takes a PIN from or to a block of 16 bytes (ISO4, under an AES
// key), or from a terminal with DUKPT (Type BDK).
func (m *Module) translateMore(q *hsm.Request) (block [8]byte, wide string, code hsm.Code) {
	t := q.Type
	if t == 0 {
		t = hsm.TPK
	}
	if t != hsm.TPK && t != hsm.ZPK && t != hsm.BDK {
		return block, "", hsm.BadKeyType
	}
	text, text2 := Text(q)
	from, code := m.reveal(t, text)
	if !code.OK() {
		return block, "", code
	}
	to, code := m.reveal(hsm.ZPK, text2)
	if !code.OK() {
		return block, "", asSecond(code)
	}
	if t == hsm.BDK {
		if from, code = derive(from, q.More.KSN); !code.OK() {
			return block, "", code
		}
	}
	pin, code := openPIN(from, q)
	if !code.OK() {
		return block, "", code
	}
	return m.sealPIN(to, q, pin)
}

// derive gives the PIN key of a DUKPT terminal's transaction.
func derive(bdk secret, ksn []byte) (s secret, code hsm.Code) {
	var err error
	switch s.alg = bdk.alg; {
	case bdk.alg == clear.DES:
		s.key, err = clear.DUKPT(bdk.key, ksn, clear.UsePIN)
	case bdk.alg == clear.AES && len(ksn) == 12:
		s.key, err = clear.AESDUKPT(bdk.key, [12]byte(ksn), clear.UsePIN)
	default:
		return s, hsm.BadInput
	}
	if err != nil {
		return s, codeOf(err)
	}
	return s, hsm.Done
}

func openPIN(s secret, q *hsm.Request) ([]byte, hsm.Code) {
	if q.From == hsm.ISO4 {
		b, err := clear.NewBlock(s.alg, s.key)
		if err != nil {
			return nil, hsm.BadKeyLength
		}
		pin, err := clear.DecryptPIN4(b, q.More.Block, q.More.PAN)
		if err != nil {
			return nil, codeOf(err)
		}
		return pin, hsm.Done
	}
	if s.alg != clear.DES {
		return nil, hsm.BadKey
	}
	c, err := clear.NewCipher(s.key)
	if err != nil {
		return nil, hsm.BadKeyLength
	}
	var pin [12]byte
	n, code := clear.DecodePIN(c.Decrypt(q.PIN), &q.PAN12, q.From, &pin)
	return pin[:n], code
}

func (m *Module) sealPIN(s secret, q *hsm.Request, pin []byte) (block [8]byte, wide string, code hsm.Code) {
	if q.To == hsm.ISO4 {
		b, err := clear.NewBlock(s.alg, s.key)
		if err != nil {
			return block, "", hsm.BadKeyLength
		}
		out, err := clear.EncryptPIN4(b, pin, q.More.PAN, m.rand)
		if err != nil {
			return block, "", codeOf(err)
		}
		return block, string(out[:]), hsm.Done
	}
	if s.alg != clear.DES {
		return block, "", hsm.BadKey2
	}
	c, err := clear.NewCipher(s.key)
	if err != nil {
		return block, "", hsm.BadKeyLength
	}
	fill, code := m.random8()
	if code.OK() {
		code = clear.EncodePIN(&block, pin, &q.PAN12, q.To, fill)
	}
	if !code.OK() {
		return [8]byte{}, "", code
	}
	return c.Encrypt(block), "", hsm.Done
}

// sm4MAC makes or verifies the UnionPay MAC of a terminal that signed in for SM4.
func (m *Module) sm4MAC(q *hsm.Request) (r hsm.Reply) {
	t := q.Type
	if t == 0 {
		t = hsm.TAK
	}
	switch {
	case t != hsm.TAK && t != hsm.ZAK:
		return hsm.Reply{Code: hsm.BadKeyType}
	case q.Alg != hsm.UnionPay:
		return hsm.Reply{Code: hsm.BadInput}
	case len(q.Data) == 0:
		return hsm.Reply{Code: hsm.BadDataLength}
	}
	s, code := m.revealKey(t, &q.Key)
	if !code.OK() {
		return hsm.Reply{Code: code}
	}
	b, err := clear.NewBlock(s.alg, s.key)
	if err != nil {
		return hsm.Reply{Code: hsm.BadKeyLength}
	}
	mac := clear.UnionPayMAC(b, q.Data)
	switch {
	case q.Verb == hsm.MakeMAC:
		return hsm.Reply{Code: hsm.Done, MAC: mac}
	case subtle.ConstantTimeCompare(mac[:], q.MAC[:]) != 1:
		return hsm.Reply{Code: hsm.Mismatch}
	}
	return hsm.Reply{Code: hsm.Done}
}
