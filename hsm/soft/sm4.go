package soft

import (
	"crypto/cipher"
	"crypto/subtle"
	"io"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// sm4Of expands an SM4 key that was opened.
func sm4Of(s secret) (cipher.Block, hsm.Code) {
	if s.alg != clear.SM4 {
		return nil, hsm.BadKey
	}
	b, err := clear.NewBlock(s.alg, s.key)
	if err != nil {
		return nil, hsm.BadKeyLength
	}
	return b, hsm.Done
}

// sm4Key gives an expanded SM4 key, kept like those of DES. When there are too many
// all are forgotten: terminals with SM4 are few.
func (m *Module) sm4Key(t hsm.KeyType, k *hsm.Key) (cipher.Block, hsm.Code) {
	m.name = name{key: *k, t: t}
	if b := m.sm4Keys[m.name]; b != nil {
		return b, hsm.Done
	}
	s, code := m.revealKey(t, k)
	if !code.OK() {
		return nil, code
	}
	b, code := sm4Of(s)
	if !code.OK() {
		return nil, code
	}
	if m.sm4Keys == nil || len(m.sm4Keys) >= m.cache.max {
		m.sm4Keys = map[name]cipher.Block{}
	}
	m.sm4Keys[m.name] = b
	return b, hsm.Done
}

// unionPaySM4 is clear.UnionPayMAC in the module's own memory: 16-byte blocks XORed,
// the sum as 32 characters, those encrypted in two chained halves.
func (m *Module) unionPaySM4(b cipher.Block, data []byte) (mac [8]byte) {
	x := &m.wide
	*x = [16]byte{}
	for ; len(data) >= 16; data = data[16:] {
		subtle.XORBytes(x[:], x[:], data[:16])
	}
	subtle.XORBytes(x[:], x[:], data) // the rest, as if zeros followed
	hsm.AppendHex(m.wideHex[:0], x[:])
	b.Encrypt(x[:], m.wideHex[:16])
	subtle.XORBytes(x[:], x[:], m.wideHex[16:])
	b.Encrypt(x[:], x[:])
	hsm.AppendHex(mac[:0], x[:4])
	return mac
}

// generateSM4 makes an SM4 key under the LMK, and the same under the SM4 master key
// that the request names.
func (m *Module) generateSM4(q *hsm.Request, r *hsm.Reply) hsm.Code {
	if q.Len != 0 && q.Len != 16 {
		return hsm.BadKeyLength
	}
	master, code := m.revealKey(masterOf(q), &q.Key)
	if !code.OK() {
		return code
	}
	under, code := sm4Of(master)
	if !code.OK() {
		return code
	}
	own := make([]byte, 16)
	if _, err := io.ReadFull(m.rand, own); err != nil {
		return hsm.BadModule
	}
	k, code := m.seal(q.Type, hsm.SM4Scheme, own)
	if !code.OK() {
		return code
	}
	r.Key, r.Export = k, hsm.Key{Scheme: hsm.SM4Scheme, N: 16}
	under.Encrypt(r.Export.B[:16], own)
	copy(r.KCV[:], secret{clear.SM4, own}.kcv()[:3])
	return hsm.Done
}
