package blacklist

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"

	"tongka/txn"
)

// Hasher makes fingerprints: the first 8 bytes of one AES-256 block over what
// kind of number it is, its length and its packed digits. Without the key the
// numbers cannot be tried out, which a plain hash of 16 digits would allow in an
// hour. Two numbers share a fingerprint by a chance of 2^-64: with ten million
// cards on a list, one honest card in 1.8 million million is taken for one of
// them.
//
// A Hasher has a buffer of its own and belongs to one goroutine.
type Hasher struct {
	block   cipher.Block
	in, out [aes.BlockSize]byte
}

// What a fingerprint is of.
const (
	ofNothing = iota // the check of the key
	ofCard
	ofSerial
)

func newHasher(key *[32]byte) *Hasher {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // 32 bytes are right
	}
	return &Hasher{block: block}
}

// Card is the fingerprint of a card number. It allocates nothing.
func (h *Hasher) Card(p *txn.PAN) uint64 {
	n, d := p.Packed()
	return h.print(ofCard, n, &d)
}

// maxSerial is the length of a city card's serial number in digits.
const maxSerial = 20

var errSerial = errors.New("a serial number has 8 to 20 hexadecimal digits")

// Serial is the fingerprint of a city card's serial number: 8 to 20 hexadecimal
// digits, capitals or not.
func (h *Hasher) Serial(digits []byte) (uint64, error) {
	var d [10]byte
	if len(digits) < 8 || len(digits) > maxSerial {
		return 0, errSerial
	}
	for i, c := range digits {
		var v byte
		switch {
		case c >= '0' && c <= '9':
			v = c - '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			v = c | 0x20 - 'a' + 10
		default:
			return 0, fmt.Errorf("%w: byte %d", errSerial, i)
		}
		d[i/2] |= v << (4 * uint(1-i%2))
	}
	return h.print(ofSerial, byte(len(digits)), &d), nil
}

// check tells keys apart: a list is of no use under another.
func (h *Hasher) check() uint64 { return h.print(ofNothing, 0, &[10]byte{}) }

func (h *Hasher) print(of, n byte, d *[10]byte) uint64 {
	h.in[0], h.in[1] = of, n
	copy(h.in[2:12], d[:])
	h.block.Encrypt(h.out[:], h.in[:])
	clear(h.in[:]) // no number stays in memory
	return binary.BigEndian.Uint64(h.out[:])
}
