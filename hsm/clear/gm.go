package clear

import (
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/rand"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
)

// This file is the only one that knows where the Chinese algorithms come from.

func newSM4(key []byte) (cipher.Block, error) { return sm4.NewCipher(key) }

// SM3 is the digest of GB/T 32905.
func SM3(data []byte) [32]byte { return sm3.Sum(data) }

// SM2User is the identity that signatures are made for when nobody agreed on
// another one. Source: GB/T 35276.
var SM2User = []byte("1234567812345678")

// SM2Sign signs data (not its digest) for SM2User; the result is ASN.1.
func SM2Sign(key *sm2.PrivateKey, data []byte) ([]byte, error) {
	return key.SignWithSM2(rand.Reader, SM2User, data)
}

// SM2Verify says whether SM2Sign made sig over data with the other half of key.
func SM2Verify(key *ecdsa.PublicKey, data, sig []byte) bool {
	return sm2.VerifyASN1WithSM2(key, SM2User, data, sig)
}

// NewSM2 makes a key pair.
func NewSM2() (*sm2.PrivateKey, error) { return sm2.GenerateKey(rand.Reader) }
