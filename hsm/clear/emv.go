package clear

import (
	"crypto/sha1" // EMV option B is built on it; nothing here depends on its strength
	"crypto/subtle"
	"fmt"
	"math/bits"

	"tongka/hsm"
)

// CardMasterKey derives a chip card's key from the issuer's: option A of EMV
// book 2 up to 16 digits of account, option B (SHA-1) beyond when wanted. Account and
// sequence number are ASCII digits.
func CardMasterKey(issuer, pan, psn []byte, optionB bool) ([]byte, error) {
	text := append(append([]byte(nil), pan...), psn...)
	for i, d := range text {
		if d < '0' || d > '9' {
			return nil, fmt.Errorf("card key: character %d is no digit: %w", i, hsm.BadAccount)
		}
	}
	if len(text) == 0 {
		return nil, fmt.Errorf("card key: no account: %w", hsm.BadAccount)
	}
	var y [8]byte
	if optionB && len(pan) > 16 {
		if len(text)%2 != 0 {
			text = append([]byte{'0'}, text...)
		}
		packed := make([]byte, len(text)/2)
		hsm.DecodeHex(packed, text)
		y = OptionB(packed)
	} else {
		var last [16]byte
		for i := range last {
			last[i] = '0'
		}
		text = text[max(0, len(text)-16):]
		copy(last[16-len(text):], text)
		hsm.DecodeHex(y[:], last[:])
	}
	return CardKeyOf(issuer, y)
}

// OptionB takes the first sixteen decimal digits of a hash over the packed account
// and sequence number, which are too long to be encrypted as they are.
func OptionB(packed []byte) (y [8]byte) {
	sum := sha1.Sum(packed)
	var digits [16]byte
	decimals(digits[:], sum[:])
	hsm.DecodeHex(y[:], digits[:])
	return y
}

// CardKeyOf is the end of CardMasterKey for the eight bytes that host commands
// carry: E(issuer, y) and E(issuer, ~y), of odd parity.
func CardKeyOf(issuer []byte, y [8]byte) ([]byte, error) {
	b, err := NewBlock(DES, issuer)
	if err != nil {
		return nil, err
	}
	both := append(make([]byte, 0, 16), y[:]...)
	for _, x := range y {
		both = append(both, ^x)
	}
	return oddParity(ECB(b, both, false)), nil
}

// CommonSession is the EMV common session key: E(key, R) with F0 and 0F in the
// third byte. r is ATC and zeros, or ATC 00 00 and the unpredictable number (M/Chip).
func CommonSession(card []byte, r [8]byte) ([]byte, error) {
	b, err := NewBlock(DES, card)
	if err != nil {
		return nil, err
	}
	left, right := r, r
	left[2], right[2] = 0xF0, 0x0F
	return oddParity(ECB(b, append(left[:], right[:]...), false)), nil
}

// Cryptogram is an ARQC, TC or AAC: X9.19 over data that is padded by p (method
// 2 of EMV; method 1 of Visa's versions 10 and 17).
func Cryptogram(session, data []byte, p Padding) ([8]byte, error) {
	c, err := NewCipher(session)
	if err != nil {
		return [8]byte{}, err
	}
	return c.Chain(hsm.X919, [8]byte{}, Pad(nil, data, p, 8), true), nil
}

// ARPC1 answers a cryptogram with a two-character response code (method 1).
func ARPC1(session []byte, arqc [8]byte, arc [2]byte) ([8]byte, error) {
	c, err := NewCipher(session)
	if err != nil {
		return [8]byte{}, err
	}
	arqc[0] ^= arc[0]
	arqc[1] ^= arc[1]
	return c.Encrypt(arqc), nil
}

// ARPC2 answers with a card status update and the issuer's own data (method 2).
func ARPC2(session []byte, arqc [8]byte, csu [4]byte, own []byte) (arpc [4]byte, err error) {
	mac, err := Cryptogram(session, append(append(append([]byte(nil), arqc[:]...), csu[:]...), own...), 2)
	return [4]byte(mac[:4]), err
}

// SameCryptogram compares in constant time.
func SameCryptogram(a, b [8]byte) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }

func oddParity(key []byte) []byte {
	for i, b := range key {
		key[i] = b ^ byte(^bits.OnesCount8(b)&1)
	}
	return key
}
