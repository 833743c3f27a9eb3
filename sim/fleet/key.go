package fleet

import (
	"crypto/cipher"
	"errors"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// key is what a terminal does with one of its keys, whatever the cipher.
type key interface {
	MAC(alg hsm.MACAlg, data []byte) [8]byte
	// check is the check value as a message carries it.
	check() [4]byte
	// open decrypts a key that came under this one.
	open(enc []byte) ([]byte, error)
	pinBlock(pin []byte, pan12 *[12]byte) ([]byte, error)
}

var errNoPIN = errors.New("the dialect of this terminal has no room for a PIN under SM4")

// keyOf expands a key.
func keyOf(clearKey []byte, sm4 bool) (key, error) {
	if sm4 {
		b, err := clear.NewBlock(clear.SM4, clearKey)
		return sm4Key{b}, err
	}
	c, err := clear.NewCipher(clearKey)
	return desKey{c}, err
}

type desKey struct{ *clear.Cipher }

func (k desKey) check() [4]byte { kcv := k.KCV(); return [4]byte(kcv[:4]) }

func (k desKey) open(enc []byte) ([]byte, error) { return k.AppendDecrypted(nil, enc) }

func (k desKey) pinBlock(pin []byte, pan12 *[12]byte) ([]byte, error) {
	b, err := k.EncryptPIN(pin, pan12, hsm.ISO0)
	return b[:], err
}

type sm4Key struct{ cipher.Block }

func (k sm4Key) MAC(_ hsm.MACAlg, data []byte) [8]byte { return clear.UnionPayMAC(k.Block, data) }

func (k sm4Key) check() (kcv [4]byte) {
	copy(kcv[:], clear.ECB(k.Block, make([]byte, 16), false))
	return kcv
}

func (k sm4Key) open(enc []byte) ([]byte, error) {
	if len(enc)%16 != 0 {
		return nil, hsm.BadKeyLength
	}
	return clear.ECB(k.Block, enc, true), nil
}

func (k sm4Key) pinBlock([]byte, *[12]byte) ([]byte, error) { return nil, errNoPIN }
