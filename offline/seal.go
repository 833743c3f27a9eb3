package offline

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
)

// Records hold card numbers, so they are kept sealed, and found again by keyed
// hashes. Both keys come from the node's one key file.

// sealer seals the pages of one file. Its key is of this file alone and a page has
// its number for a nonce: a page that is written again after a crash has the same
// content, since it comes from the same bytes by the same layout.
type sealer struct{ aead cipher.AEAD }

func newSealer(o *Options, f *File) (*sealer, error) {
	key, err := hkdf.Key(sha256.New, o.Key[:], nil, fmt.Sprintf("offline pages %d %s %s %d", f.ID, f.SHA256, f.Form, o.records()), 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &sealer{aead}, err
}

func nonce(page uint32) []byte { return binary.BigEndian.AppendUint32(make([]byte, 8, 12), page) }

func (s *sealer) seal(page uint32, key, plain []byte) []byte {
	return s.aead.Seal(nil, nonce(page), plain, key)
}

func (s *sealer) open(page uint32, key, sealed []byte) ([]byte, error) {
	plain, err := s.aead.Open(nil, nonce(page), sealed, key)
	if err != nil {
		return nil, fmt.Errorf("offline: 第 %d 页损坏或密钥不符 · page %d is damaged, or the key is another", page, page)
	}
	return plain, nil
}

// finder makes the keys under which a record is looked for.
type finder struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

func newFinder(master *[32]byte) (*finder, error) {
	key, err := hkdf.Key(sha256.New, master[:], nil, "offline index", 32)
	if err != nil {
		return nil, err
	}
	return &finder{mac: hmac.New(sha256.New, key)}, nil
}

// indexKey is a letter and half a hash: 128 bits do not meet by chance.
type indexKey [17]byte

func (f *finder) key(letter byte, name []byte, counter uint64) (k indexKey) {
	f.mac.Reset()
	var n [9]byte
	n[0] = letter
	binary.BigEndian.PutUint64(n[1:], counter)
	f.mac.Write(n[:])
	f.mac.Write(name)
	k[0] = letter
	copy(k[1:], f.mac.Sum(f.sum[:0]))
	return k
}
