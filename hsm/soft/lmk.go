package soft

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"math/bits"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// LMK is a variant local master key: twenty pairs of DES keys, 00-01 to 38-39,
// in order. It prints as its check value, never as keys.
// Key blocks are under two more keys, one for 3DES and one for AES.
type LMK struct {
	pairs  [20][16]byte
	blocks [2][]byte
	check  [8]byte
	test   bool
}

// The public test keys for key blocks.
const (
	testBlockDES = "0123456789ABCDEF8080808080808080FEDCBA9876543210"
	testBlockAES = "9B71333A13F9FAE72F9D0E2DAB4AD6784718012F9244033F3F26A2DE0C8AA11A"
)

// block gives the key that key blocks of this kind are under.
func (l *LMK) block(k clear.BlockKind) []byte { return l.blocks[k-clear.Thales0] }

// testPairs is the public test LMK that vendors and simulators ship; every
// published sample of a variant key is made under it. Not a secret.
const testPairs = "" +
	"01010101010101017902CD1FD36EF8BA" + "20202020202020203131313131313131" +
	"40404040404040405151515151515151" + "61616161616161617070707070707070" +
	"80808080808080809191919191919191" + "A1A1A1A1A1A1A1A1B0B0B0B0B0B0B0B0" +
	"C1C1010101010101D0D0010101010101" + "E0E0010101010101F1F1010101010101" +
	"1C587F1C13924FEF0101010101010101" + "01010101010101010101010101010101" +
	"02020202020202020404040404040404" + "07070707070707071010101010101010" +
	"13131313131313131515151515151515" + "16161616161616161919191919191919" +
	"1A1A1A1A1A1A1A1A1C1C1C1C1C1C1C1C" + "23232323232323232525252525252525" +
	"26262626262626262929292929292929" + "2A2A2A2A2A2A2A2A2C2C2C2C2C2C2C2C" +
	"2F2F2F2F2F2F2F2F3131313131313131" + "01010101010101010101010101010101"

// TestLMK is the public test LMK. Anyone can decrypt keys under it: what runs on
// it must say so loudly (LMK.Test).
func TestLMK() LMK {
	l := LMK{test: true}
	for i := range l.pairs {
		hsm.DecodeHex(l.pairs[i][:], []byte(testPairs[32*i:]))
	}
	l.blocks = [2][]byte{make([]byte, 24), make([]byte, 32)}
	hsm.DecodeHex(l.blocks[0], []byte(testBlockDES))
	hsm.DecodeHex(l.blocks[1], []byte(testBlockAES))
	// How a module derives this value is not published; this one is known from
	// captured NC answers.
	l.check = [8]byte{0x26, 0x86, 0x04}
	return l
}

// NewLMK makes an LMK of pairs of keys of odd parity. The test pairs give the
// test LMK, so that the warning cannot be avoided by typing them in. Its check
// value is this package's own (SHA-256), no vendor's.
func NewLMK(pairs [20][16]byte) (LMK, error) {
	for i := range pairs {
		if !oddParity(pairs[i][:]) {
			return LMK{}, fmt.Errorf("LMK pair %02d-%02d: not of odd parity", 2*i, 2*i+1)
		}
	}
	if t := TestLMK(); t.pairs == pairs {
		return t, nil
	}
	l := LMK{pairs: pairs}
	h := sha256.New()
	for i := range pairs {
		h.Write(pairs[i][:])
	}
	copy(l.check[:], h.Sum(nil))
	// The keys for key blocks follow from the pairs, so there is one secret to keep.
	more := sha512.New()
	more.Write([]byte("key blocks"))
	for i := range pairs {
		more.Write(pairs[i][:])
	}
	sum := more.Sum(nil)
	l.blocks = [2][]byte{sum[:24], sum[24:56]}
	forceParity(l.blocks[0])
	return l, nil
}

// Test says that this is the public test LMK.
func (l LMK) Test() bool { return l.test }

// String is the check value, with a warning when the LMK is the public one.
func (l LMK) String() string {
	if l.test {
		return fmt.Sprintf("LMK %X (PUBLIC TEST KEYS)", l.check)
	}
	return fmt.Sprintf("LMK %X", l.check)
}

// GoString keeps %#v from printing the keys.
func (l LMK) GoString() string { return l.String() }

// pairOf gives the LMK pair (14-15 is 7) by the last two digits of a key type,
// and variants the byte that the first digit XORs into the pair's first byte.
// Source: payShield key type table.
var (
	pairOf   = [...]int{2, 3, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}
	variants = [...]byte{0, 0xA6, 0x5A, 0x6A, 0xDE, 0x2B, 0x50, 0x74, 0x9C, 0xFA}
)

// master gives the 16-byte key that keys of a type are encrypted under.
func (l *LMK) master(t hsm.KeyType) (k [16]byte, ok bool) {
	pair, variant := int(t&0xFF), int(t>>8)
	if pair >= len(pairOf) || variant >= len(variants) {
		return k, false
	}
	k = l.pairs[pairOf[pair]]
	k[0] ^= variants[variant]
	return k, true
}

func oddParity(key []byte) bool {
	for _, b := range key {
		if bits.OnesCount8(b)&1 == 0 {
			return false
		}
	}
	return true
}

// forceParity sets each byte's lowest bit, which DES does not use, and says
// whether any byte changed.
func forceParity(key []byte) (changed bool) {
	for i, b := range key {
		if bits.OnesCount8(b)&1 == 0 {
			key[i] ^= 1
			changed = true
		}
	}
	return changed
}
