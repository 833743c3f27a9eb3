package keyfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Ring is the keys of a store: the one that seals, and earlier ones that are still
// needed to read. What they seal are keys, never data, so that a change of the
// key is a change of a few hundred bytes.
type Ring struct {
	Key [32]byte
	Old [][32]byte
}

// Errors that callers tell apart with errors.Is.
var (
	ErrOther   = errors.New("sealed under another key")
	ErrDamaged = errors.New("damaged sealed key")
)

// CheckSize is the length of a Check, Extra what Wrap adds to a secret.
const (
	CheckSize = 8
	Extra     = CheckSize + wrapSalt + wrapTag

	wrapSalt = 32
	wrapTag  = 16
)

// Check is a value by which a key is known and that says nothing else of it: a part
// of an HMAC whose text is used for nothing else.
func Check(key *[32]byte) [CheckSize]byte {
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte("tongka key check v1"))
	return [CheckSize]byte(h.Sum(nil))
}

// Wrap seals a secret under the newest key:
//
//	check:8 salt:32 | ciphertext … | tag:16
//
// AES-256-GCM under a key that HKDF makes of the salt, drawn each time, so its nonce
// may be zero. The place binds the secret to where it lies.
func (r *Ring) Wrap(place string, secret []byte) ([]byte, error) {
	check := Check(&r.Key)
	b := make([]byte, CheckSize+wrapSalt, Extra+len(secret))
	copy(b, check[:])
	if _, err := rand.Read(b[CheckSize:]); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	aead, err := wrapper(&r.Key, b[CheckSize:], place)
	if err != nil {
		return nil, err
	}
	return aead.Seal(b, make([]byte, aead.NonceSize()), secret, b[:CheckSize]), nil
}

// Unwrap gives the secret that Wrap sealed, and whether the newest key did.
// ErrOther, with its check value, when it was a key that is not in the ring;
// ErrDamaged when it was one of them and the bytes are not what it made.
func (r *Ring) Unwrap(place string, b []byte) (secret []byte, newest bool, err error) {
	if len(b) < Extra {
		return nil, false, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	}
	key, newest := r.find([CheckSize]byte(b))
	if key == nil {
		return nil, false, fmt.Errorf("%w, of check value %X", ErrOther, b[:CheckSize])
	}
	aead, err := wrapper(key, b[CheckSize:CheckSize+wrapSalt], place)
	if err != nil {
		return nil, false, err
	}
	secret, err = aead.Open(nil, make([]byte, aead.NonceSize()), b[CheckSize+wrapSalt:], b[:CheckSize])
	if err != nil {
		return nil, false, ErrDamaged
	}
	return secret, newest, nil
}

func (r *Ring) find(check [CheckSize]byte) (key *[32]byte, newest bool) {
	if Check(&r.Key) == check {
		return &r.Key, true
	}
	for i := range r.Old {
		if Check(&r.Old[i]) == check {
			return &r.Old[i], false
		}
	}
	return nil, false
}

// Holds says whether a key of the ring has this check value.
func (r *Ring) Holds(check [CheckSize]byte) bool {
	key, _ := r.find(check)
	return key != nil
}

// Each gives the keys, the newest first, until f says that it has found one.
func (r *Ring) Each(f func(key *[32]byte, newest bool) (found bool)) bool {
	if f(&r.Key, true) {
		return true
	}
	for i := range r.Old {
		if f(&r.Old[i], false) {
			return true
		}
	}
	return false
}

func wrapper(key *[32]byte, salt []byte, place string) (cipher.AEAD, error) {
	wrap, err := hkdf.Key(sha256.New, key[:], salt, "tongka key wrap v1 "+place, 32)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	block, err := aes.NewCipher(wrap)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return cipher.NewGCM(block)
}
