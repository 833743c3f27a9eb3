package clear

import (
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
	"io"

	"tongka/hsm"
)

// EncryptPIN4 makes a PIN block of ISO 9564-1 format 4 (16 bytes) under an AES
// key: the PIN field encrypted, the account mixed in, encrypted again. pan is the
// whole account number in digits, fill gives eight random bytes.
func EncryptPIN4(b cipher.Block, pin, pan []byte, fill io.Reader) (block [16]byte, err error) {
	if b.BlockSize() != 16 {
		return block, fmt.Errorf("PIN block: format 4 under a cipher of %d bytes: %w", b.BlockSize(), hsm.BadKeyLength)
	}
	if len(pin) < 4 || len(pin) > 12 {
		return block, fmt.Errorf("PIN block: %d digits: %w", len(pin), hsm.BadPINLength)
	}
	account, err := panField(pan)
	if err != nil {
		return block, err
	}
	text := [16]byte{}
	for i := range text {
		text[i] = 'A'
	}
	copy(text[2:], pin)
	text[0], text[1] = '4', "456789ABC"[len(pin)-4]
	if bad := hsm.DecodeHex(block[:8], text[:]); bad >= 0 {
		return block, fmt.Errorf("PIN block: character %d of the PIN: %w", bad-2, hsm.BadPINBlock)
	}
	if _, err := io.ReadFull(fill, block[8:]); err != nil {
		return block, fmt.Errorf("PIN block: no random fill: %w", hsm.BadModule)
	}
	b.Encrypt(block[:], block[:])
	subtle.XORBytes(block[:], block[:], account[:])
	b.Encrypt(block[:], block[:])
	return block, nil
}

// DecryptPIN4 gives the digits of a format 4 block.
func DecryptPIN4(b cipher.Block, block [16]byte, pan []byte) ([]byte, error) {
	if b.BlockSize() != 16 {
		return nil, fmt.Errorf("PIN block: format 4 under a cipher of %d bytes: %w", b.BlockSize(), hsm.BadKeyLength)
	}
	account, err := panField(pan)
	if err != nil {
		return nil, err
	}
	b.Decrypt(block[:], block[:])
	subtle.XORBytes(block[:], block[:], account[:])
	b.Decrypt(block[:], block[:])
	text := hsm.AppendHex(nil, block[:8])
	if text[0] != '4' {
		return nil, fmt.Errorf("PIN block: character 0: %w", hsm.BadPINBlock)
	}
	n := int(block[0] & 15)
	if n < 4 || n > 12 {
		return nil, fmt.Errorf("PIN block: character 1: %d digits: %w", n, hsm.BadPINLength)
	}
	for i, ch := range text[2:] {
		if (i < n) != (ch <= '9') || i >= n && ch != 'A' {
			return nil, fmt.Errorf("PIN block: character %d: %w", i+2, hsm.BadPINBlock)
		}
	}
	return text[2 : 2+n], nil
}

// panField is the account's side: how many digits above twelve, the digits (a
// short number filled with zeros on the left), zeros.
func panField(pan []byte) (f [16]byte, err error) {
	if len(pan) == 0 || len(pan) > 19 {
		return f, fmt.Errorf("PIN block: an account of %d digits: %w", len(pan), hsm.BadAccount)
	}
	var text [32]byte
	for i := range text {
		text[i] = '0'
	}
	short := max(0, 12-len(pan))
	text[0] += byte(len(pan) + short - 12)
	copy(text[1+short:], pan)
	if bad := packDigits(f[:], text[:]); bad >= 0 {
		return f, fmt.Errorf("PIN block: character %d of the account: %w", bad-1-short, hsm.BadAccount)
	}
	return f, nil
}
