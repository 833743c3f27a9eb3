// Package clear is payment cryptography with clear DES keys: what a terminal or
// a bank does on its own side. Simulators, load generators and hsm/soft build on
// it; the switch itself never holds a clear key.
package clear

import (
	"crypto/cipher"
	"crypto/des"
	"encoding/binary"
	"fmt"

	"tongka/hsm"
)

// Cipher is one expanded DES key of 8, 16 or 24 bytes. Its methods allocate
// nothing. It works in a buffer of its own, so one goroutine at a time may use it.
type Cipher struct {
	full cipher.Block // the whole key
	left cipher.Block // its first 8 bytes, for X9.19's chain; full when single
	n    int
	x    [8]byte // through an interface a local array would move to the heap
}

// NewCipher expands a key of 8, 16 (K1 K2 K1) or 24 bytes. Parity is not looked
// at. It takes some 3 µs, so callers keep what they get.
func NewCipher(key []byte) (*Cipher, error) {
	c := &Cipher{n: len(key)}
	var triple [24]byte
	switch copy(triple[:], key); len(key) {
	case 8:
		c.full, _ = des.NewCipher(key)
		c.left = c.full
		return c, nil
	case 16:
		copy(triple[16:], key)
	case 24:
	default:
		return nil, fmt.Errorf("a DES key has 8, 16 or 24 bytes, not %d: %w", len(key), hsm.BadKeyLength)
	}
	c.left, _ = des.NewCipher(key[:8])
	c.full, _ = des.NewTripleDESCipher(triple[:])
	triple = [24]byte{}
	return c, nil
}

// Len is the length of the key in bytes.
func (c *Cipher) Len() int { return c.n }

// Encrypt encrypts one block.
func (c *Cipher) Encrypt(block [8]byte) [8]byte {
	c.x = block
	c.full.Encrypt(c.x[:], c.x[:])
	return c.x
}

// Decrypt decrypts one block.
func (c *Cipher) Decrypt(block [8]byte) [8]byte {
	c.x = block
	c.full.Decrypt(c.x[:], c.x[:])
	return c.x
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
	var fold [16]byte
	hsm.UnionPayHex(data, &fold)
	sum := c.Chain(hsm.X99, [8]byte{}, fold[:], true)
	hsm.AppendHex(mac[:0], sum[:4])
	return mac
}

// Chain continues an X9.9 or X9.19 code from iv over data, zero-filled to whole
// blocks. When last is false the result is the iv of the next part, and data
// must then be whole blocks to mean anything.
func (c *Cipher) Chain(alg hsm.MACAlg, iv [8]byte, data []byte, last bool) [8]byte {
	chain := c.full
	if alg == hsm.X919 {
		chain = c.left
	}
	c.x = iv
	for len(data) > 8 {
		c.mix([8]byte(data))
		chain.Encrypt(c.x[:], c.x[:])
		data = data[8:]
	}
	if last {
		// X9.19 ends with E1(D2(·)) on top of E1: that is 3DES of the last block.
		chain = c.full
	}
	var b [8]byte
	copy(b[:], data)
	c.mix(b)
	chain.Encrypt(c.x[:], c.x[:])
	return c.x
}

func (c *Cipher) mix(b [8]byte) {
	x := binary.NativeEndian.Uint64(c.x[:]) ^ binary.NativeEndian.Uint64(b[:])
	binary.NativeEndian.PutUint64(c.x[:], x)
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
