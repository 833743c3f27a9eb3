package translate

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"tongka/codec/iso8583"
)

// NetKeyReset is the network code (F70) of a change of keys: in an 0820 a member
// asks for one, in an 0800 the bank brings it.
const NetKeyReset = 101

// Security (F53) of a request for a key of double length, or of a MAC key of
// single length. Source: members' key reset of the card centre, F53 digit 1: 1 is
// the PIN key, 2 the MAC key; digit 2: 0 is single length, 6 double.
const (
	PINKey       = "1600000000000000"
	MACKey       = "2600000000000000"
	SingleMACKey = "2000000000000000"
)

// KeyChange is a new key from a bank, under the zone master key.
type KeyChange struct {
	STAN uint32
	MAC  bool // the MAC key, not the PIN key
	N    int  // bytes of the key: 8, 16 or 24
	Key  [24]byte
	// Check is the check value that came with the key: the first bytes of zeros
	// encrypted under it.
	Check  [8]byte
	NCheck int // bytes of it, 0 when none came
}

// ReadKeyChange reads the key of an 0800 with F70 101. F53 says which key it is
// and how long; a single one stands in F96, a longer one in F48 behind NK and
// three digits of length, in bytes or in hexadecimal digits. Four bytes more are
// its check value, which may as well stand in F48 behind CV and three digits of
// length (2 to 8 bytes, hexadecimal). Source: members' key reset of the card centre; the
// form of F48 is known from one program only, its check values are unconfirmed.
// The error names the field. What was read before the fault stays in k.
func ReadKeyChange(v *iso8583.View, k *KeyChange) error {
	*k = KeyChange{}
	stan, _ := v.Uint(11)
	k.STAN = uint32(stan)
	var buf [16]byte
	f53 := v.AppendText(buf[:0], 53)
	if len(f53) != len(buf) || f53[0] != '1' && f53[0] != '2' {
		return fmt.Errorf("F53 %q: 1 (a PIN key) or 2 (a MAC key) is wanted, and what follows", f53)
	}
	k.MAC = f53[0] == '2'
	if f53[1] != '0' {
		return k.readF48(v.Field(48))
	}
	if k.N = copy(k.Key[:8], v.Field(96)); k.N != 8 {
		return fmt.Errorf("F96: %d bytes, wanted 8", k.N)
	}
	return k.readCheck(v.Field(48))
}

// BringsMACKey says that an 0800 is about the MAC key.
func BringsMACKey(v *iso8583.View) bool {
	var buf [16]byte
	f53 := v.AppendText(buf[:0], 53)
	return len(f53) > 0 && f53[0] == '2'
}

// part finds a sub-field of F48: two letters, three digits of length, the value.
func part(b []byte, tag string) (value []byte, at int, err error) {
	at = bytes.Index(b, []byte(tag))
	if at < 0 || len(b) < at+5 {
		return nil, -1, nil
	}
	n := int(digits(b[at+2 : at+5]))
	if value = b[at+5:]; n > len(value) {
		return nil, at, fmt.Errorf("F48 byte %d: %s of %d bytes, %d are here", at+2, tag, n, len(value))
	}
	return value[:n], at, nil
}

func (k *KeyChange) readF48(b []byte) error {
	value, at, err := part(b, "NK")
	switch {
	case err != nil:
		return err
	case at < 0:
		return fmt.Errorf("F48, %d bytes: no NK with a length behind it", len(b))
	}
	var own [28]byte
	n := len(value)
	switch n {
	case 16, 20, 24, 28:
		copy(own[:], value)
	case 32, 40, 48, 56:
		bad, err := hex.Decode(own[:], value)
		if n /= 2; err != nil {
			return fmt.Errorf("F48 byte %d: the key of NK is not hexadecimal", at+5+2*bad)
		}
	default:
		return fmt.Errorf("F48 byte %d: NK of %d bytes is no key", at+2, n)
	}
	if k.N = n &^ 7; n != k.N {
		k.NCheck = copy(k.Check[:], own[k.N:n])
	}
	copy(k.Key[:], own[:k.N])
	rest := bytes.Clone(b) // without the key, whose bytes may look like anything
	clear(rest[at : at+5+len(value)])
	return k.readCheck(rest)
}

// readCheck reads CV of F48.
func (k *KeyChange) readCheck(b []byte) error {
	value, at, err := part(b, "CV")
	switch {
	case err != nil || at < 0:
		return err
	case len(value) < 4 || len(value) > 16 || len(value)%2 != 0:
		return fmt.Errorf("F48 byte %d: CV of %d digits, wanted 4 to 16", at+2, len(value))
	}
	if k.NCheck, err = hex.Decode(k.Check[:], value); err != nil {
		return fmt.Errorf("F48 byte %d: CV is not hexadecimal", at+5+2*k.NCheck)
	}
	return nil
}
