package soft

import (
	"tongka/hsm"
	"tongka/hsm/clear"
)

// Byte 8 of the wrapping key is XORed with one of these for each part of a key
// of scheme U or T, so that parts cannot be swapped or cut off. Source:
// payShield key scheme table; schemes X, Y and none have no variants (ANSI X9.17).
var (
	doubleVariants = [...]byte{0xA6, 0x5A}
	tripleVariants = [...]byte{0x6A, 0xDE, 0x2B}
)

// partVariant gives 0 for the schemes without variants.
func partVariant(scheme byte, part int) byte {
	switch scheme {
	case 'U', hsm.SM4Scheme: // how modules keep SM4 keys is not published
		return doubleVariants[part]
	case 'T':
		return tripleVariants[part]
	}
	return 0
}

// parts are the wrapping key expanded for each part of a key: schemes U and T change it
// from part to part, the others have one for all.
type parts struct {
	own [3]clear.Cipher
	n   int
}

// expand makes p the parts of a wrapping key for a scheme; false for a length that no
// key has. A single-length key has no right half to carry a variant.
func (p *parts) expand(master []byte, scheme byte) bool {
	p.n = 1
	if partVariant(scheme, 0) == 0 {
		return p.own[0].Expand(master)
	}
	if len(master) < 16 {
		return false
	}
	var own [24]byte
	for p.n = 0; p.n < lengthOf(scheme)/8 || scheme == hsm.SM4Scheme && p.n < 2; p.n++ {
		copy(own[:], master)
		own[8] ^= partVariant(scheme, p.n)
		if !p.own[p.n].Expand(own[:len(master)]) {
			return false
		}
	}
	own = [24]byte{}
	return true
}

// of is the key that a part is under.
func (p *parts) of(part int) *clear.Cipher { return &p.own[min(part, p.n-1)] }

// wrap encrypts a clear key as the scheme says that p is for.
func (p *parts) wrap(scheme byte, key []byte) (hsm.Key, hsm.Code) {
	k := hsm.Key{Scheme: scheme, N: uint8(len(key))}
	if !k.Valid() {
		return hsm.Key{}, hsm.BadKeyLength
	}
	at := 0
	for ; at+8 < len(key); at += 16 {
		one, two := clear.EncryptPair(p.of(at/8), p.of(at/8+1), [8]byte(key[at:]), [8]byte(key[at+8:]))
		copy(k.B[at:], one[:])
		copy(k.B[at+8:], two[:])
	}
	if at < len(key) {
		one := p.of(at / 8).Encrypt([8]byte(key[at:]))
		copy(k.B[at:], one[:])
	}
	return k, hsm.Done
}

// unwrap is the inverse, into out[:k.N].
func (p *parts) unwrap(k *hsm.Key, out *[24]byte) {
	for at := 0; at < int(k.N); at += 8 {
		b := p.of(at / 8).Decrypt([8]byte(k.B[at:]))
		copy(out[at:], b[:])
	}
}

// wrapUnder encrypts a clear key under master as the scheme says.
func wrapUnder(master []byte, scheme byte, key []byte) (k hsm.Key, code hsm.Code) {
	var p parts
	if !p.expand(master, scheme) {
		return hsm.Key{}, hsm.BadKeyLength
	}
	k, code = p.wrap(scheme, key)
	p = parts{}
	return k, code
}

// unwrapUnder decrypts a key that is under master, into clear[:k.N].
func unwrapUnder(master []byte, k *hsm.Key, out *[24]byte) hsm.Code {
	var p parts
	if !k.Valid() || !p.expand(master, k.Scheme) {
		return hsm.BadKeyLength
	}
	p.unwrap(k, out)
	p = parts{}
	return hsm.Done
}

// schemeFor gives the variant scheme of a key of n bytes under the LMK.
func schemeFor(n int) byte {
	switch n {
	case 8:
		return 'Z'
	case 16:
		return 'U'
	case 24:
		return 'T'
	}
	return 0
}

// lengthOf is the inverse for all schemes; 0 when the tag is none of them.
func lengthOf(scheme byte) int {
	switch scheme {
	case 'Z':
		return 8
	case 'U', 'X':
		return 16
	case 'T', 'Y':
		return 24
	}
	return 0
}

// open gives a key of the given type in clear, in out[:k.N].
func (m *Module) open(t hsm.KeyType, k *hsm.Key, out *[24]byte) hsm.Code {
	p, code := m.under(t, k.Scheme)
	if !code.OK() {
		return code
	}
	if !k.Valid() {
		return hsm.BadKeyLength
	}
	p.unwrap(k, out)
	if k.Scheme == hsm.SM4Scheme {
		return hsm.Done // every bit of it is key
	}
	// Even parity is how a key of another LMK, or of another type, shows.
	if !oddParity(out[:k.N]) {
		return hsm.BadKey
	}
	return hsm.Done
}

// seal is the inverse of open; the key is of odd parity.
func (m *Module) seal(t hsm.KeyType, scheme byte, key []byte) (hsm.Key, hsm.Code) {
	p, code := m.under(t, scheme)
	if !code.OK() {
		return hsm.Key{}, code
	}
	return p.wrap(scheme, key)
}

// under gives the LMK for a key type, expanded for a scheme. It is kept: to expand it
// takes longer than what it is wanted for, and of schemes with variants there are three.
func (m *Module) under(t hsm.KeyType, scheme byte) (*parts, hsm.Code) {
	if partVariant(scheme, 0) == 0 {
		scheme = 0
	}
	at := lmkName{t, scheme}
	if p := m.lmks[at]; p != nil {
		return p, hsm.Done
	}
	master, ok := m.lmk.master(t)
	if !ok {
		return nil, hsm.BadKeyType
	}
	p := new(parts)
	p.expand(master[:], scheme) // 16 bytes take every variant
	m.lmks[at] = p
	return p, hsm.Done
}

// lmkName is a key type and a scheme, zero without variants.
type lmkName struct {
	t      hsm.KeyType
	scheme byte
}
