package soft

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"tongka/hsm"
)

// A sealed LMK file, for development: it keeps keys out of listings and backups,
// and is no module.
//
//	magic 8 | salt 16 | nonce 12 | AES-256-GCM of the twenty pairs, 320 bytes | tag 16
const (
	sealedMagic = "TKLMK\x00\x00\x01"
	sealedSalt  = 16
	sealedNonce = 12
	sealedPairs = 20 * 16
	sealedSize  = len(sealedMagic) + sealedSalt + sealedNonce + sealedPairs + 16

	// sealedRounds make a guess at the passphrase cost some 0.1 s.
	sealedRounds = 600_000
	minPass      = 8
)

// RandomLMK makes an LMK of keys of odd parity.
func RandomLMK(random io.Reader) (LMK, error) {
	var pairs [20][16]byte
	for i := range pairs {
		if _, err := io.ReadFull(random, pairs[i][:]); err != nil {
			return LMK{}, fmt.Errorf("LMK: %w", hsm.BadModule)
		}
		forceParity(pairs[i][:])
	}
	return NewLMK(pairs)
}

// Seal gives the file of an LMK under a passphrase of eight bytes or more. The
// public test LMK is refused: a sealed file would make it look like a secret.
func (l LMK) Seal(pass []byte) ([]byte, error) {
	if l.test {
		return nil, errors.New("LMK: the public test LMK is not sealed: it is no secret")
	}
	out := make([]byte, len(sealedMagic)+sealedSalt+sealedNonce, sealedSize)
	copy(out, sealedMagic)
	if _, err := io.ReadFull(rand.Reader, out[len(sealedMagic):]); err != nil {
		return nil, fmt.Errorf("LMK: %w", hsm.BadModule)
	}
	gcm, err := sealedCipher(out, pass)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, 0, sealedPairs)
	for i := range l.pairs {
		plain = append(plain, l.pairs[i][:]...)
	}
	out = gcm.Seal(out, out[len(sealedMagic)+sealedSalt:], plain, []byte(sealedMagic))
	clear(plain)
	return out, nil
}

// OpenLMK reads what Seal made. A wrong passphrase and a changed file look alike.
func OpenLMK(file, pass []byte) (LMK, error) {
	if len(file) != sealedSize || string(file[:len(sealedMagic)]) != sealedMagic {
		return LMK{}, fmt.Errorf("LMK: byte 0: not a sealed LMK file of %d bytes", sealedSize)
	}
	head := len(sealedMagic) + sealedSalt + sealedNonce
	gcm, err := sealedCipher(file[:head], pass)
	if err != nil {
		return LMK{}, err
	}
	plain, err := gcm.Open(nil, file[head-sealedNonce:head], file[head:], []byte(sealedMagic))
	if err != nil {
		return LMK{}, errors.New("LMK: wrong passphrase, or the file was changed")
	}
	defer clear(plain)
	var pairs [20][16]byte
	for i := range pairs {
		copy(pairs[i][:], plain[16*i:])
	}
	return NewLMK(pairs)
}

func sealedCipher(head, pass []byte) (cipher.AEAD, error) {
	if len(pass) < minPass {
		return nil, fmt.Errorf("LMK: a passphrase of %d bytes, at least %d", len(pass), minPass)
	}
	salt := head[len(sealedMagic) : len(sealedMagic)+sealedSalt]
	key, err := pbkdf2.Key(sha256.New, string(pass), salt, sealedRounds, 32)
	if err != nil {
		return nil, err
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}
