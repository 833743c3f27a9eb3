// Package clear is payment cryptography with clear DES keys: what a terminal or
// a bank does on its own side. Simulators, load generators and hsm/soft build on
// it; the switch itself never holds a clear key.
package clear

import (
	"encoding/binary"
	"fmt"

	"tongka/hsm"
	"tongka/hsm/clear/internal/tdes"
)

// Cipher is one expanded DES key of 8, 16 or 24 bytes. Its methods allocate
// nothing and change nothing.
type Cipher struct {
	key tdes.Key
	n   int
}

// NewCipher expands a key of 8, 16 (K1 K2 K1) or 24 bytes. Parity is not looked
// at. It takes as long as a block and asks for memory, so callers keep what they get.
func NewCipher(key []byte) (*Cipher, error) {
	c := new(Cipher)
	if !c.Expand(key) {
		return nil, fmt.Errorf("a DES key has 8, 16 or 24 bytes, not %d: %w", len(key), hsm.BadKeyLength)
	}
	return c, nil
}

// Expand makes c another key, in its own memory: for keys of one use. False for a
// length that no DES key has.
func (c *Cipher) Expand(key []byte) bool {
	c.n = len(key)
	return c.key.Expand(key)
}

// Len is the length of the key in bytes.
func (c *Cipher) Len() int { return c.n }

// Encrypt encrypts one block.
func (c *Cipher) Encrypt(block [8]byte) [8]byte {
	binary.BigEndian.PutUint64(block[:], c.key.Encrypt(binary.BigEndian.Uint64(block[:])))
	return block
}

// Decrypt decrypts one block.
func (c *Cipher) Decrypt(block [8]byte) [8]byte {
	binary.BigEndian.PutUint64(block[:], c.key.Decrypt(binary.BigEndian.Uint64(block[:])))
	return block
}

// EncryptPair encrypts a block under each of two keys, of triple DES in little more than
// half the time of one after the other.
func EncryptPair(c, d *Cipher, one, two [8]byte) (a, b [8]byte) {
	x, y := tdes.EncryptPair(&c.key, &d.key, binary.BigEndian.Uint64(one[:]), binary.BigEndian.Uint64(two[:]))
	binary.BigEndian.PutUint64(a[:], x)
	binary.BigEndian.PutUint64(b[:], y)
	return a, b
}

// KCV is E(key, 8 zero bytes). Sign-in messages carry its first four bytes,
// host commands its first three.
func (c *Cipher) KCV() [8]byte { return c.Encrypt([8]byte{}) }

// AppendDecrypted appends the ECB decryption of a key that came under this one.
// Its length is a multiple of 8 (a single-length key in a double-length slot is
// the caller's to cut: its padding is not encrypted).
func (c *Cipher) AppendDecrypted(dst, enc []byte) ([]byte, error) {
	return c.appendECB(dst, enc, (*Cipher).Decrypt)
}

// AppendEncrypted appends the ECB encryption of a key under this one.
func (c *Cipher) AppendEncrypted(dst, key []byte) ([]byte, error) {
	return c.appendECB(dst, key, (*Cipher).Encrypt)
}

func (c *Cipher) appendECB(dst, src []byte, f func(*Cipher, [8]byte) [8]byte) ([]byte, error) {
	if len(src)%8 != 0 || len(src) == 0 {
		return dst, fmt.Errorf("a key has whole 8-byte blocks, not %d bytes: %w", len(src), hsm.BadKeyLength)
	}
	for ; len(src) > 0; src = src[8:] {
		b := f(c, [8]byte(src))
		dst = append(dst, b[:]...)
	}
	return dst, nil
}

// MAC makes a message authentication code as field 64 carries it: 8 upper-case
// hexadecimal characters for UnionPay, 8 bytes otherwise. Data is filled with
// zeros to whole blocks; no data is one block of zeros. X9.9 with a longer key
// is CBC-MAC with 3DES; X9.19 with a single-length key equals X9.9.
func (c *Cipher) MAC(alg hsm.MACAlg, data []byte) (mac [8]byte) {
	if alg != hsm.UnionPay {
		return c.Chain(alg, [8]byte{}, data, true)
	}
	return hexOf(c.fold(data))
}

func (c *Cipher) fold(data []byte) uint64 {
	one, two := halves(data)
	return c.key.EncryptTwo(one, two)
}

// halves are the 16 characters of the fold, as two blocks.
func halves(data []byte) (one, two uint64) {
	var fold [16]byte
	hsm.UnionPayHex(data, &fold)
	return binary.BigEndian.Uint64(fold[:]), binary.BigEndian.Uint64(fold[8:])
}

// hexOf is the first half of a block in 8 upper-case hexadecimal characters.
func hexOf(block uint64) (mac [8]byte) {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], uint32(block>>32))
	hsm.AppendHex(mac[:0], sum[:])
	return mac
}

// Chain continues an X9.9 or X9.19 code from iv over data, zero-filled to whole
// blocks. When last is false the result is the iv of the next part, and data
// must then be whole blocks to mean anything.
func (c *Cipher) Chain(alg hsm.MACAlg, iv [8]byte, data []byte, last bool) [8]byte {
	x := binary.BigEndian.Uint64(iv[:])
	for len(data) > 8 {
		x ^= binary.BigEndian.Uint64(data)
		if alg == hsm.X919 {
			x = c.key.EncryptFirst(x)
		} else {
			x = c.key.Encrypt(x)
		}
		data = data[8:]
	}
	var b [8]byte
	copy(b[:], data)
	x ^= binary.BigEndian.Uint64(b[:])
	// X9.19 ends with E1(D2(·)) on top of E1: that is 3DES of the last block.
	if last || alg != hsm.X919 {
		x = c.key.Encrypt(x)
	} else {
		x = c.key.EncryptFirst(x)
	}
	binary.BigEndian.PutUint64(b[:], x)
	return b
}

// EncryptPIN makes an encrypted PIN block of 4 to 12 ASCII digits. pan12 is what
// txn.PAN.Tail12 gives; ISO1 does not look at it. Random fill is good enough for
// test machines, not for cardholders.
func (c *Cipher) EncryptPIN(pin []byte, pan12 *[12]byte, f hsm.PINFormat) ([8]byte, error) {
	var b [8]byte
	if code := EncodePIN(&b, pin, pan12, f, fill()); !code.OK() {
		return b, fmt.Errorf("PIN block: %w", code)
	}
	return c.Encrypt(b), nil
}

// DecryptPIN gives the PIN's digits: pin[:n].
func (c *Cipher) DecryptPIN(block [8]byte, pan12 *[12]byte, f hsm.PINFormat) (pin [12]byte, n int, err error) {
	n, code := DecodePIN(c.Decrypt(block), pan12, f, &pin)
	if !code.OK() {
		return pin, 0, fmt.Errorf("PIN block: %w", code)
	}
	return pin, n, nil
}
