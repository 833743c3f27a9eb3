package soft

import (
	"crypto/subtle"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// more does the verbs that look at Request.More. But for a card's load they are
// rare: keys are opened anew and memory is asked for.
func (m *Module) more(q *hsm.Request, r *hsm.Reply) {
	switch q.Verb {
	case hsm.ImportKey:
		r.Code = m.importKey(q, r)
		return
	case hsm.ExportKey:
		r.Code = m.exportKey(q, r)
		return
	case hsm.Random:
		if r.Code = hsm.BadDataLength; q.Len > 0 {
			out, code := m.RandomBytes(nil, int(q.Len))
			r.Out, r.Code = string(out), code
		}
		return
	case hsm.Echo:
		r.Out, r.Code = string(q.Data), hsm.Done
		return
	}
	if q.More == nil {
		r.Code = hsm.Disabled
		return
	}
	switch q.Verb {
	case hsm.VerifyMAC1, hsm.MakeMAC2, hsm.VerifyTAC:
		m.load(q, r)
	case hsm.VerifyPVV, hsm.VerifyOffset:
		r.Code = m.verifyPIN(q)
	case hsm.VerifyCVV:
		r.Code = m.verifyCVV(q)
	case hsm.EncryptData, hsm.DecryptData:
		out, code := m.data(q)
		r.Out, r.Code = string(out), code
	default:
		r.Code = hsm.Disabled
	}
}

// Text gives the two keys of a request as host commands write them.
func Text(q *hsm.Request) (key, key2 []byte) {
	if q.Key.N != 0 {
		key = q.Key.Append(nil)
	} else if q.More != nil {
		key = []byte(q.More.Key)
	}
	if q.Key2.N != 0 {
		key2 = q.Key2.Append(nil)
	} else if q.More != nil {
		key2 = []byte(q.More.Key2)
	}
	return key, key2
}

// masterOf is the type of the key that others come or go under.
func masterOf(q *hsm.Request) hsm.KeyType {
	if q.Zone {
		return hsm.ZMK
	}
	return hsm.TMK
}

// importKey keeps what came in the LMK's own scheme. Forced parity is nothing that
// a bank's key would fail for.
func (m *Module) importKey(q *hsm.Request, r *hsm.Reply) hsm.Code {
	if q.Key2.N == 0 {
		return hsm.BadKeyLength // a key in a block stays text: ask the command for it
	}
	master, enc := Text(q)
	text, kcv, code := m.ImportText(q.Type, enc, masterOf(q), master, &Form{Scheme: schemeFor(int(q.Key2.N))})
	if !code.OK() && code != hsm.Mismatch {
		return code
	}
	k, _, err := hsm.ReadKey(text)
	if err != nil {
		return codeOf(err)
	}
	r.Key = k
	copy(r.KCV[:], kcv[:3])
	return hsm.Done
}

func (m *Module) exportKey(q *hsm.Request, r *hsm.Reply) hsm.Code {
	scheme := map[uint8]byte{8: 'Z', 16: 'X', 24: 'Y'}[q.Key2.N]
	if scheme == 0 {
		return hsm.BadKeyLength
	}
	master, own := Text(q)
	text, kcv, code := m.ExportText(q.Type, own, masterOf(q), master, &Form{Scheme: scheme})
	if !code.OK() {
		return code
	}
	k, _, err := hsm.ReadKey(text)
	if err != nil {
		return codeOf(err)
	}
	r.Export = k
	copy(r.KCV[:], kcv[:3])
	return hsm.Done
}

func (m *Module) verifyPIN(q *hsm.Request) hsm.Code {
	t := q.Type
	if t == 0 {
		t = hsm.TPK
	}
	key, pvk := Text(q)
	pin, code := m.PIN(t, key, q.PIN, &q.PAN12, q.From)
	if !code.OK() {
		return code
	}
	if q.Verb == hsm.VerifyPVV {
		return m.CheckPVV(pvk, pin, &q.PAN12, q.More.Index, q.More.PVV)
	}
	return m.CheckOffset(pvk, pin, &q.PAN12, q.More)
}

// CheckPVV verifies a PIN by Visa's method.
func (m *Module) CheckPVV(pvk, pin []byte, pan12 *[12]byte, index byte, want [4]byte) hsm.Code {
	pvv, code := m.PVV(pvk, pin, pan12, index)
	if code.OK() && subtle.ConstantTimeCompare(pvv[:], want[:]) != 1 {
		return hsm.Mismatch
	}
	return code
}

// PVV makes a PIN verification value.
func (m *Module) PVV(pvk, pin []byte, pan12 *[12]byte, index byte) (pvv [4]byte, code hsm.Code) {
	c, code := m.Cipher(hsm.TPK, pvk)
	if !code.OK() {
		return pvv, asSecond(code)
	}
	pvv, err := c.PVV(pan12, index, pin)
	if err != nil {
		return pvv, codeOf(err)
	}
	return pvv, hsm.Done
}

// CheckOffset verifies a PIN by the IBM 3624 method: as many digits as the offset
// has, and at least CheckPIN.
func (m *Module) CheckOffset(pvk, pin []byte, pan12 *[12]byte, o *hsm.More) hsm.Code {
	n := 0
	for n < len(o.Offset) && o.Offset[n] >= '0' && o.Offset[n] <= '9' {
		n++
	}
	if n < int(o.CheckPIN) || n == 0 || len(pin) < int(o.CheckPIN) {
		return hsm.BadPINLength
	}
	offset, code := m.Offset(pvk, pin, pan12, &o.Table, o.Validation[:])
	if code.OK() && (n > len(pin) || subtle.ConstantTimeCompare(offset[:n], o.Offset[:n]) != 1) {
		return hsm.Mismatch
	}
	return code
}

// Offset makes a PIN's offset: as many digits as the PIN, then F.
func (m *Module) Offset(pvk, pin []byte, pan12 *[12]byte, table *[16]byte, validation []byte) (offset [12]byte, code hsm.Code) {
	c, code := m.Cipher(hsm.TPK, pvk)
	if !code.OK() {
		return offset, asSecond(code)
	}
	own := m.table(*table, pvk)
	v, err := clear.Validation(validation, pan12)
	if err != nil {
		return offset, codeOf(err)
	}
	natural, err := c.NaturalPIN(&v, &own)
	if err != nil {
		return offset, codeOf(err)
	}
	for i := copy(offset[:], clear.SubDigits(nil, pin, natural[:])); i < len(offset); i++ {
		offset[i] = 'F'
	}
	return offset, hsm.Done
}

// table decrypts a decimalisation table: beside a key block it may come under a
// variant of the LMK for key blocks. Source: a captured command with its result.
func (m *Module) table(t [16]byte, pvk []byte) [16]byte {
	var b [8]byte
	if pvk[0] != 'S' || hsm.DecodeHex(b[:], t[:]) >= 0 || allDigits(t[:]) {
		return t
	}
	under := append([]byte(nil), m.lmk.block(clear.Thales0)...)
	for i := range under {
		under[i] ^= 0x54
	}
	c, err := clear.NewCipher(under)
	if err != nil {
		return t // the LMK's key has 24 bytes
	}
	b = c.Decrypt(b)
	hsm.AppendHex(t[:0], b[:])
	return t
}

func allDigits(text []byte) bool {
	for _, ch := range text {
		if ch < '0' || ch > '9' {
			return false
		}
	}
	return true
}

func (m *Module) verifyCVV(q *hsm.Request) hsm.Code {
	key, _ := Text(q)
	cvv, code := m.CVV(key, q.More.PAN, q.More.Expiry, q.More.Service)
	if code.OK() && subtle.ConstantTimeCompare(cvv[:], q.More.CVV[:]) != 1 {
		return hsm.Mismatch
	}
	return code
}

// CVV makes a card verification value.
func (m *Module) CVV(cvk, pan, expiry, service []byte) (cvv [3]byte, code hsm.Code) {
	c, code := m.Cipher(hsm.CVK, cvk)
	if !code.OK() {
		return cvv, code
	}
	cvv, err := c.CVV(pan, expiry, service)
	if err != nil {
		return cvv, codeOf(err)
	}
	return cvv, hsm.Done
}

func (m *Module) data(q *hsm.Request) ([]byte, hsm.Code) {
	key, _ := Text(q)
	k := CryptKind{Mode: '1', IV: q.More.IV[:], Decrypt: q.Verb == hsm.DecryptData}
	out, _, code := m.Crypt(q.Type, key, &k, q.Data)
	return out, code
}
