// Package sale is what the bench's terminals say and hear: UnionPay POS sales
// whose trace number changes with every request, at the cost of copying it and
// eight bytes of MAC, and their answers, read by one walk over the fields.
package sale

import (
	"crypto/sha256"
	"fmt"
)

// Terminal is one made-up terminal. Everything follows from its index, so the
// load generator and the registry file agree without passing keys around.
type Terminal struct {
	Number   string   // F41, 8 digits
	Merchant string   // F42, 15 digits
	PAN      string   // 16 digits, made up, valid check digit
	MAK      [16]byte // clear working keys, odd parity
	PIK      [16]byte
	Batch    string // F60.2, 6 digits
}

// NewTerminal makes terminal i, 0 to 999,999.
func NewTerminal(i int) Terminal {
	t := Terminal{
		Number:   fmt.Sprintf("90%06d", i),
		Merchant: "898310054110001",
		PAN:      withCheckDigit(fmt.Sprintf("620000%09d", i)),
		Batch:    "000001",
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "tongka bench terminal %d", i))
	copy(t.MAK[:], sum[:16])
	copy(t.PIK[:], sum[16:])
	oddParity(t.MAK[:])
	oddParity(t.PIK[:])
	return t
}

// withCheckDigit appends the Luhn digit. Source: ISO/IEC 7812-1 annex B.
func withCheckDigit(digits string) string {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return digits + string(rune('0'+(10-sum%10)%10))
}

// oddParity sets the low bit of each byte as DES keys have it; security modules
// check it.
func oddParity(key []byte) {
	for i, b := range key {
		p := b>>4 ^ b
		p ^= p >> 2
		p ^= p >> 1
		key[i] = b ^ ^p&1
	}
}
