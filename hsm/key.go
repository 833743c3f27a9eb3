package hsm

import (
	"encoding/hex"
	"fmt"
)

// keyLen gives the key length in bytes of a scheme tag, 0 for one that this
// package does not hold (key blocks, SM4). Source: payShield key scheme table.
func keyLen(tag byte) int {
	switch tag {
	case 'U', 'X':
		return 16
	case 'T', 'Y':
		return 24
	}
	return 0
}

// SM4Scheme tags an SM4 key of 16 bytes, as Chinese modules write it. In front of
// anything longer the same letter begins a key block.
const SM4Scheme = 'S'

// ParseKey reads a key as host commands write it: U or X and 32 hexadecimal
// digits, T or Y and 48, 16 alone (single length), or S and 32 (SM4). Nothing may
// follow.
func ParseKey(s string) (Key, error) {
	if len(s) == 33 && s[0] == SM4Scheme { // no key block is as short
		k, _, err := ReadKey([]byte("U" + s[1:]))
		k.Scheme = SM4Scheme
		return k, err
	}
	k, n, err := ReadKey([]byte(s))
	if err == nil && n != len(s) {
		return Key{}, fmt.Errorf("key: byte %d: %d more than a key has: %w", n, len(s)-n, BadInput)
	}
	return k, err
}

// ReadKey reads the key that b begins with and gives the bytes it took. The
// error names the byte and wraps the code that a module answers.
func ReadKey(b []byte) (k Key, used int, err error) {
	if len(b) == 0 {
		return Key{}, 0, fmt.Errorf("key: byte 0: empty: %w", BadInput)
	}
	k = Key{Scheme: 'Z', N: 8}
	if _, digit := nibble(b[0]); !digit {
		n := keyLen(b[0])
		if n == 0 {
			return Key{}, 0, fmt.Errorf("key: byte 0: scheme %q: %w", b[0], BadScheme)
		}
		k.Scheme, k.N, used = b[0], uint8(n), 1
	}
	end := used + 2*int(k.N)
	if len(b) < end {
		return Key{}, 0, fmt.Errorf("key: byte %d: %d hexadecimal digits wanted, %d here: %w", used, 2*k.N, len(b)-used, BadInput)
	}
	if at := DecodeHex(k.B[:k.N], b[used:end]); at >= 0 {
		return Key{}, 0, fmt.Errorf("key: byte %d: not a hexadecimal digit: %w", used+at, BadInput)
	}
	return k, end, nil
}

// Append appends the key as host commands write it, upper case.
func (k *Key) Append(dst []byte) []byte {
	if k.N != 8 {
		dst = append(dst, k.Scheme)
	}
	return AppendHex(dst, k.B[:k.N])
}

// String is the key as host commands write it. It is a cryptogram; still, logs
// have no use for it.
func (k Key) String() string { return string(k.Append(make([]byte, 0, 49))) }

// Valid says whether scheme and length agree, as they do in every key that
// ReadKey or a module made.
func (k *Key) Valid() bool {
	if k.N == 8 {
		return k.Scheme == 'Z'
	}
	return k.N != 0 && int(k.N) == keyLen(k.Scheme) || k.Scheme == SM4Scheme && k.N == 16
}

// AppendHex appends b as upper-case hexadecimal digits.
func AppendHex(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// DecodeHex fills dst from 2*len(dst) digits of either case and gives -1, or
// the index of the first byte of src that is not a digit. src is long enough.
func DecodeHex(dst, src []byte) int {
	if _, err := hex.Decode(dst, src[:2*len(dst)]); err == nil {
		return -1
	}
	for i, c := range src {
		if _, ok := nibble(c); !ok {
			return i
		}
	}
	return -1
}

// NotUpperHex gives the index of the first byte that is no upper-case hexadecimal
// digit, or -1: what a UnionPay MAC in field 64 has to be made of.
func NotUpperHex(b []byte) int {
	for i, c := range b {
		if _, ok := nibble(c); !ok || c >= 'a' {
			return i
		}
	}
	return -1
}

const digits = "0123456789ABCDEF"

func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
