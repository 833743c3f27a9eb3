package clear

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"tongka/hsm"
)

// Use is what a DUKPT working key is for.
type Use uint8

// Uses of working keys. MAC and data keys are those of the terminal's requests.
const (
	UsePIN Use = iota
	UseMAC
	UseData
)

// DUKPT derives the working key of a transaction from a base key of 16 bytes and
// a key serial number of 10 (a shorter one is filled with F on the left). Source:
// ANSI X9.24-1, TDES.
func DUKPT(bdk, ksn []byte, use Use) ([]byte, error) {
	initial, err := DUKPTInitial(bdk, ksn)
	if err != nil {
		return nil, err
	}
	serial := padKSN(ksn)
	counter := binary.BigEndian.Uint32(serial[6:]) & counterBits
	r := [8]byte(serial[2:])
	r[5] &= 0xE0
	r[6], r[7] = 0, 0
	key := initial
	for bit := uint32(1) << 20; bit > 0; bit >>= 1 {
		if counter&bit != 0 {
			v := binary.BigEndian.Uint32(r[4:]) | bit
			binary.BigEndian.PutUint32(r[4:], v)
			key = append(dukptHalf(xor(key, dukptC0[:]), r), dukptHalf(key, r)...)
		}
	}
	variant := dukptVariants[use]
	key = xor(key, variant[:])
	if use == UseData {
		b, err := NewBlock(DES, key)
		if err != nil {
			return nil, err
		}
		key = ECB(b, key, false)
	}
	return key, nil
}

// DUKPTInitial derives the key that the terminal was loaded with.
func DUKPTInitial(bdk, ksn []byte) ([]byte, error) {
	if len(bdk) != 16 || len(ksn) < 6 || len(ksn) > 10 {
		return nil, fmt.Errorf("DUKPT: a base key of %d bytes with a serial of %d: %w", len(bdk), len(ksn), hsm.BadKeyLength)
	}
	serial := padKSN(ksn)
	device := append([]byte(nil), serial[:8]...)
	device[7] &= 0xE0
	left, err := NewBlock(DES, bdk)
	if err != nil {
		return nil, err
	}
	right, err := NewBlock(DES, xor(bdk, dukptC0[:]))
	if err != nil {
		return nil, err
	}
	return append(ECB(left, device, false), ECB(right, device, false)...), nil
}

const counterBits = 1<<21 - 1

var (
	dukptC0       = [16]byte{0xC0, 0xC0, 0xC0, 0xC0, 0, 0, 0, 0, 0xC0, 0xC0, 0xC0, 0xC0}
	dukptVariants = [...][16]byte{
		UsePIN:  {7: 0xFF, 15: 0xFF},
		UseMAC:  {6: 0xFF, 14: 0xFF},
		UseData: {5: 0xFF, 13: 0xFF},
	}
)

func padKSN(ksn []byte) (s [10]byte) {
	for i := range s {
		s[i] = 0xFF
	}
	copy(s[10-len(ksn):], ksn)
	return s
}

// dukptHalf is the standard's non-reversible step: E(left, r^right)^right.
func dukptHalf(key []byte, r [8]byte) []byte {
	b, _ := NewBlock(DES, key[:8]) // eight bytes always fit
	x := xor(r[:], key[8:])
	b.Encrypt(x, x)
	return xor(x, key[8:])
}

func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	subtle.XORBytes(out, a, b)
	return out
}

// Key usages of AES DUKPT. Source: ANSI X9.24-3 table 4.
var aesUsage = [...]uint16{UsePIN: 0x1000, UseMAC: 0x2000, UseData: 0x3000}

const (
	usageDerivation = 0x8000
	usageInitial    = 0x8001
)

// AESDUKPTInitial derives the initial key of a terminal from a base key of 16,
// 24 or 32 bytes and the 8-byte initial key identifier.
func AESDUKPTInitial(bdk []byte, id [8]byte) ([]byte, error) {
	return aesDerive(bdk, usageInitial, binary.BigEndian.Uint64(id[:]), len(bdk))
}

// AESDUKPT derives the working key of a transaction: as long as the base key is.
// The serial number is the initial key identifier and the 4-byte counter.
func AESDUKPT(bdk []byte, ksn [12]byte, use Use) ([]byte, error) {
	key, err := AESDUKPTInitial(bdk, [8]byte(ksn[:]))
	if err != nil {
		return nil, err
	}
	counter := binary.BigEndian.Uint32(ksn[8:])
	id := uint64(binary.BigEndian.Uint32(ksn[4:])) << 32
	var done uint32
	for bit := uint32(1) << 31; bit > 0; bit >>= 1 {
		if counter&bit == 0 {
			continue
		}
		done |= bit
		if key, err = aesDerive(key, usageDerivation, id|uint64(done), len(key)); err != nil {
			return nil, err
		}
	}
	return aesDerive(key, aesUsage[use], id|uint64(counter), len(key))
}

// aesDerive encrypts the derivation data once for each 16 bytes of the new key:
// version 1, block number, usage, algorithm, length in bits, identifier.
func aesDerive(key []byte, usage uint16, id uint64, n int) ([]byte, error) {
	b, err := NewBlock(AES, key)
	if err != nil {
		return nil, err
	}
	var out []byte
	for i := byte(1); len(out) < n; i++ {
		data := []byte{1, i}
		data = binary.BigEndian.AppendUint16(data, usage)
		data = binary.BigEndian.AppendUint16(data, uint16(n/8)) // 2, 3, 4 name AES-128, -192, -256
		data = binary.BigEndian.AppendUint16(data, uint16(8*n))
		out = append(out, ECB(b, binary.BigEndian.AppendUint64(data, id), false)...)
	}
	return out[:n], nil
}
