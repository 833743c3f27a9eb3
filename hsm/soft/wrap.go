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

// wrapUnder encrypts a clear key under master as the scheme says.
func wrapUnder(master []byte, scheme byte, key []byte) (hsm.Key, hsm.Code) {
	k := hsm.Key{Scheme: scheme, N: uint8(len(key))}
	if !k.Valid() {
		return hsm.Key{}, hsm.BadKeyLength
	}
	code := eachPart(master, scheme, k.B[:len(key)], key, false)
	return k, code
}

// unwrapUnder decrypts a key that is under master, into clear[:k.N].
func unwrapUnder(master []byte, k *hsm.Key, out *[24]byte) hsm.Code {
	if !k.Valid() {
		return hsm.BadKeyLength
	}
	return eachPart(master, k.Scheme, out[:k.N], k.B[:k.N], true)
}

// eachPart takes a key's parts of 8 bytes from src to dst. The wrapping key is
// expanded for each anew: schemes U and T change it from part to part.
func eachPart(master []byte, scheme byte, dst, src []byte, decrypt bool) hsm.Code {
	// A single-length master key has no right half to carry a variant.
	if len(master) < 16 && partVariant(scheme, 0) != 0 {
		return hsm.BadKeyLength
	}
	var own [24]byte
	var c clear.Cipher
	for at := 0; at < len(src); at += 8 {
		copy(own[:], master)
		own[8] ^= partVariant(scheme, at/8)
		if !c.Expand(own[:len(master)]) {
			return hsm.BadKeyLength
		}
		b := [8]byte(src[at:])
		if decrypt {
			b = c.Decrypt(b)
		} else {
			b = c.Encrypt(b)
		}
		copy(dst[at:], b[:])
	}
	own, c = [24]byte{}, clear.Cipher{}
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
	master, ok := m.lmk.master(t)
	if !ok {
		return hsm.BadKeyType
	}
	if code := unwrapUnder(master[:], k, out); !code.OK() {
		return code
	}
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
	master, ok := m.lmk.master(t)
	if !ok {
		return hsm.Key{}, hsm.BadKeyType
	}
	return wrapUnder(master[:], scheme, key)
}
