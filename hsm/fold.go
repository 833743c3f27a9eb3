package hsm

import "encoding/binary"

// PIN block formats by their payShield numbers. Source: ISO 9564-1 and, for
// the others, the payShield PIN block table.
const (
	ISO0    PINFormat = 1  // PIN xor account number
	Docutel PINFormat = 2  // length, six places of PIN, zeros
	IBM     PINFormat = 3  // Diebold and IBM ATM: digits and F, no account number
	Plus    PINFormat = 4  // as ISO0; the account number is its twelve left-most digits
	ISO1    PINFormat = 5  // no account number, random fill
	EMV     PINFormat = 34 // ISO 9564 format 2, for chip cards: no account number
	PayNow  PINFormat = 35 // Mastercard Pay Now & Pay Later: EMV with the account number mixed in
	ISO3    PINFormat = 47 // as ISO0 with random fill A to F
	ISO4    PINFormat = 48 // 16 bytes under an AES key (clear.EncryptPIN4)
	// SM4PIN is ISO0 stretched to the 16 bytes of an SM4 block: length, PIN and F, XORed
	// with the account number at the right. It is the usual reading, and no public paper
	// confirms it; payShield has no number for it.
	SM4PIN PINFormat = 200
)

// UnionPayHex folds data into the 16 characters that the UnionPay POS MAC
// encrypts: 8-byte blocks XORed, the last one filled with zeros, the result as
// upper-case hexadecimal digits. No host command does this, so the switch does
// it before it asks any module. Source: UnionPay POS specification, "ECB" MAC.
func UnionPayHex(data []byte, dst *[16]byte) {
	var r uint64
	for len(data) >= 8 {
		r ^= binary.NativeEndian.Uint64(data)
		data = data[8:]
	}
	var last, x [8]byte
	copy(last[:], data)
	// Native order in and out: XOR does not care, and nothing is swapped.
	binary.NativeEndian.PutUint64(x[:], r^binary.NativeEndian.Uint64(last[:]))
	AppendHex(dst[:0], x[:])
}
