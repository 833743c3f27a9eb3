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

// PINKey is the Security (F53) of a request for a PIN key of double length.
const PINKey = "1600000000000000"

// KeyChange is a new key from a bank, under the zone master key.
type KeyChange struct {
	STAN uint32
	N    int // bytes of the key: 8, 16 or 24
	Key  [24]byte
}

// ReadKeyChange reads the key of an 0800 with F70 101. F53 says which key it is
// (1: PIN key) and how long (0 single, 6 double); a single one stands in F96, a
// longer one in F48 behind NK and three digits of length, in bytes or in
// hexadecimal digits. Source: members' key reset of the card centre; the form of
// F48 is known from one program only. The error names the field.
func ReadKeyChange(v *iso8583.View, k *KeyChange) error {
	*k = KeyChange{}
	stan, _ := v.Uint(11)
	k.STAN = uint32(stan)
	var buf [16]byte
	f53 := v.AppendText(buf[:0], 53)
	if len(f53) != len(buf) || f53[0] != '1' {
		return fmt.Errorf("F53 %q: a PIN key is wanted, 1 and what follows", f53)
	}
	if f53[1] == '0' {
		k.N = copy(k.Key[:8], v.Field(96))
		if k.N != 8 {
			return fmt.Errorf("F96: %d bytes, wanted 8", k.N)
		}
		return nil
	}
	return k.readF48(v.Field(48))
}

func (k *KeyChange) readF48(b []byte) error {
	at := bytes.Index(b, []byte("NK"))
	if at < 0 || len(b) < at+5 {
		return fmt.Errorf("F48, %d bytes: no NK with a length behind it", len(b))
	}
	n := int(digits(b[at+2 : at+5]))
	value := b[at+5:]
	if n > len(value) {
		return fmt.Errorf("F48 byte %d: NK of %d bytes, %d are here", at+2, n, len(value))
	}
	switch value = value[:n]; n {
	case 16, 24:
		k.N = copy(k.Key[:], value)
	case 32, 48:
		var err error
		if k.N, err = hex.Decode(k.Key[:], value); err != nil {
			return fmt.Errorf("F48 byte %d: the key of NK is not hexadecimal", at+5+k.N)
		}
	default:
		return fmt.Errorf("F48 byte %d: NK of %d bytes is no key", at+2, n)
	}
	return nil
}
