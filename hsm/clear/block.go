package clear

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/subtle"
	"fmt"

	"tongka/hsm"
)

// Alg is the block cipher that a key is for.
type Alg uint8

// Block ciphers. DES stands for single, double and triple length.
const (
	DES Alg = iota
	AES
	SM4
)

// NewBlock expands a key: DES of 8, 16 (K1 K2 K1) or 24 bytes, AES of 16, 24 or
// 32, SM4 of 16. What is done once in a while goes this way; the MACs and PIN
// blocks of every sale use Cipher.
func NewBlock(alg Alg, key []byte) (cipher.Block, error) {
	switch n := len(key); {
	case alg == DES && n == 8:
		return des.NewCipher(key)
	case alg == DES && n == 16:
		return des.NewTripleDESCipher(append(append(make([]byte, 0, 24), key...), key[:8]...))
	case alg == DES && n == 24:
		return des.NewTripleDESCipher(key)
	case alg == AES && (n == 16 || n == 24 || n == 32):
		return aes.NewCipher(key)
	case alg == SM4 && n == 16:
		return newSM4(key)
	}
	return nil, fmt.Errorf("%s key of %d bytes: %w", alg, len(key), hsm.BadKeyLength)
}

// String is the cipher's name.
func (a Alg) String() string { return [...]string{"DES", "AES", "SM4"}[a] }

// Padding is an ISO 9797-1 padding method; 0 adds nothing.
type Padding uint8

// Pad appends data and its padding to dst. Method 1 fills with zeros (nothing is
// one block of zeros), 2 adds 80 first, 3 puts the length in bits before it.
func Pad(dst, data []byte, p Padding, size int) []byte {
	start := len(dst)
	if p == 3 {
		dst = append(dst, make([]byte, size)...)
		bits := uint64(len(data)) * 8
		for i := range 8 {
			dst[start+size-1-i] = byte(bits >> (8 * i))
		}
	}
	dst = append(dst, data...)
	if p == 2 {
		dst = append(dst, 0x80)
	}
	if p != 0 {
		for len(dst) == start || (len(dst)-start)%size != 0 {
			dst = append(dst, 0)
		}
	}
	return dst
}

// CBCMAC chains whole blocks from iv (nil: zeros) and gives the last one.
func CBCMAC(b cipher.Block, iv, data []byte) []byte {
	x := make([]byte, b.BlockSize())
	copy(x, iv)
	for ; len(data) >= len(x); data = data[len(x):] {
		subtle.XORBytes(x, x, data)
		b.Encrypt(x, x)
	}
	return x
}

// CMAC is the code of NIST SP 800-38B over any 8- or 16-byte block cipher.
func CMAC(b cipher.Block, data []byte) []byte {
	size := b.BlockSize()
	sub := make([]byte, size)
	b.Encrypt(sub, sub)
	double(sub)
	head := max(0, len(data)-1) / size * size // all but the last block
	tail := append(make([]byte, 0, size), data[head:]...)
	if len(tail) < size {
		double(sub)
		tail = Pad(tail[:0], data[head:], 2, size)
	}
	subtle.XORBytes(tail, tail, sub)
	subtle.XORBytes(tail, tail, CBCMAC(b, nil, data[:head]))
	b.Encrypt(tail, tail)
	return tail
}

// double multiplies by x in GF(2^64) or GF(2^128).
func double(b []byte) {
	r := byte(0x87)
	if len(b) == 8 {
		r = 0x1B
	}
	carry := b[0] >> 7
	for i := range len(b) - 1 {
		b[i] = b[i]<<1 | b[i+1]>>7
	}
	b[len(b)-1] = b[len(b)-1]<<1 ^ r*carry
}

// UnionPayMAC is the POS MAC with a cipher of any block size: blocks XORed, the
// sum written as hexadecimal digits, those encrypted in two chained halves, eight
// digits of the result. DES keys take Cipher.MAC, which allocates nothing.
func UnionPayMAC(b cipher.Block, data []byte) (mac [8]byte) {
	size := b.BlockSize()
	sum := make([]byte, size)
	for data = Pad(nil, data, 1, size); len(data) > 0; data = data[size:] {
		subtle.XORBytes(sum, sum, data)
	}
	hsm.AppendHex(mac[:0], CBCMAC(b, nil, hsm.AppendHex(nil, sum))[:4])
	return mac
}

// CBC encrypts or decrypts whole blocks into a fresh slice; iv nil means zeros.
func CBC(b cipher.Block, iv, data []byte, decrypt bool) []byte {
	own := make([]byte, b.BlockSize())
	copy(own, iv)
	out := make([]byte, len(data))
	if decrypt {
		cipher.NewCBCDecrypter(b, own).CryptBlocks(out, data)
	} else {
		cipher.NewCBCEncrypter(b, own).CryptBlocks(out, data)
	}
	return out
}

// ECB encrypts or decrypts whole blocks into a fresh slice.
func ECB(b cipher.Block, data []byte, decrypt bool) []byte {
	out, size := make([]byte, len(data)), b.BlockSize()
	f := b.Encrypt
	if decrypt {
		f = b.Decrypt
	}
	for at := 0; at+size <= len(data); at += size {
		f(out[at:], data[at:])
	}
	return out
}
