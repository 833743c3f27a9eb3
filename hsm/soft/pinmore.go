package soft

import (
	"crypto/subtle"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// translateMore takes a PIN from or to a block of 16 bytes (ISO4, under an AES
// key), or from a terminal with DUKPT (Type BDK).
func (m *Module) translateMore(q *hsm.Request) (block [8]byte, wide string, code hsm.Code) {
	from, to := PINSide{Type: q.Type, Format: q.From}, PINSide{Type: hsm.ZPK, Format: q.To}
	switch q.Type {
	case 0:
		from.Type = hsm.TPK
	case hsm.TPK, hsm.ZPK:
	case hsm.BDK:
		from.KSN = q.More.KSN
	default:
		return block, "", hsm.BadKeyType
	}
	from.Key, to.Key = Text(q)
	in := q.PIN[:]
	if q.From == hsm.ISO4 || q.From == hsm.SM4PIN {
		in = q.More.Block[:]
	}
	out, _, code := m.MovePIN(&from, &to, in, &q.PAN12, q.More.PAN)
	if len(out) == 16 {
		return block, string(out), code
	}
	copy(block[:], out)
	return block, "", code
}

// PINSide is where a PIN comes from or goes to: a key in any form, with a serial number
// when it is a base key (Type BDK), and the format of the block.
type PINSide struct {
	Type   hsm.KeyType
	Key    []byte
	KSN    []byte
	Format hsm.PINFormat
}

// secret opens the key of a side.
func (m *Module) secret(p *PINSide) (secret, hsm.Code) {
	s, code := m.reveal(p.Type, p.Key)
	if code.OK() && p.Type == hsm.BDK {
		return derive(s, p.KSN)
	}
	return s, code
}

// MovePIN takes a PIN from one side's key and format to the other's and gives its
// length. Blocks have 8 bytes, or 16 in format 4, which looks at the whole account.
func (m *Module) MovePIN(from, to *PINSide, block []byte, pan12 *[12]byte, account []byte) (out []byte, n int, code hsm.Code) {
	// Keys first: a module says what is wrong with them before it looks at a PIN.
	a, code := m.secret(from)
	if !code.OK() {
		return nil, 0, code
	}
	b, code := m.secret(to)
	if !code.OK() {
		return nil, 0, asSecond(code)
	}
	pin, code := openPIN(a, from.Format, block, pan12, account)
	if !code.OK() {
		return nil, 0, code
	}
	out, code = m.sealPIN(b, to.Format, pin, pan12, account)
	return out, len(pin), code
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

func openPIN(s secret, f hsm.PINFormat, block []byte, pan12 *[12]byte, account []byte) ([]byte, hsm.Code) {
	if f == hsm.ISO4 {
		b, err := clear.NewBlock(s.alg, s.key)
		if err != nil || len(block) != 16 {
			return nil, hsm.BadKeyLength
		}
		pin, err := clear.DecryptPIN4(b, [16]byte(block), account)
		if err != nil {
			return nil, codeOf(err)
		}
		return pin, hsm.Done
	}
	var pin [12]byte
	if f == hsm.SM4PIN {
		b, code := sm4Of(s)
		if !code.OK() || len(block) != 16 {
			return nil, hsm.BadKey
		}
		n, code := clear.DecryptPINSM4(b, [16]byte(block), pan12, &pin)
		return pin[:n], code
	}
	if s.alg != clear.DES || len(block) != 8 {
		return nil, hsm.BadKey
	}
	c, err := clear.NewCipher(s.key)
	if err != nil {
		return nil, hsm.BadKeyLength
	}
	n, code := clear.DecodePIN(c.Decrypt([8]byte(block)), pan12, f, &pin)
	return pin[:n], code
}

func (m *Module) sealPIN(s secret, f hsm.PINFormat, pin []byte, pan12 *[12]byte, account []byte) ([]byte, hsm.Code) {
	if f == hsm.ISO4 {
		b, err := clear.NewBlock(s.alg, s.key)
		if err != nil {
			return nil, hsm.BadKeyLength
		}
		out, err := clear.EncryptPIN4(b, pin, account, m.rand)
		if err != nil {
			return nil, codeOf(err)
		}
		return out[:], hsm.Done
	}
	if f == hsm.SM4PIN {
		b, code := sm4Of(s)
		if !code.OK() {
			return nil, hsm.BadKey2
		}
		out, code := clear.EncryptPINSM4(b, pin, pan12)
		return out[:], code
	}
	if s.alg != clear.DES {
		return nil, hsm.BadKey2
	}
	c, err := clear.NewCipher(s.key)
	if err != nil {
		return nil, hsm.BadKeyLength
	}
	fill, code := m.random8()
	if !code.OK() {
		return nil, code
	}
	var block [8]byte
	if code = clear.EncodePIN(&block, pin, pan12, f, fill); !code.OK() {
		return nil, code
	}
	block = c.Encrypt(block)
	return block[:], hsm.Done
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
	b, code := m.sm4Key(t, &q.Key)
	if !code.OK() {
		return hsm.Reply{Code: code}
	}
	mac := m.unionPaySM4(b, q.Data)
	switch {
	case q.Verb == hsm.MakeMAC:
		return hsm.Reply{Code: hsm.Done, MAC: mac}
	case subtle.ConstantTimeCompare(mac[:], q.MAC[:]) != 1:
		return hsm.Reply{Code: hsm.Mismatch}
	}
	return hsm.Reply{Code: hsm.Done}
}
