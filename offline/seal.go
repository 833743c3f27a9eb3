package offline

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"

	"tongka/keyfile"
)

// Records hold card numbers, so they are kept sealed, and found again by keyed
// hashes. Both keys come from the store's own secret, which lies in the file keyName,
// sealed under the node's key file: another key file is then a matter of that file
// alone, and a record is found as before.

// keyName is the file of the secret: keyfile.Ring.Wrap of 32 bytes.
const keyName = "key"

// ErrKey says that a store is sealed under a key that was not given.
var ErrKey = errors.New("offline: the key does not fit this store")

// openSecret reads the store's secret, and puts it under the newest key when it lies
// under an earlier one. A store without the file is new, or from before there was
// one: then its secret follows from the key that opens its pages.
func (s *Store) openSecret() error {
	b, err := s.readKey()
	if errors.Is(err, fs.ErrNotExist) {
		if s.secret, err = s.firstSecret(); err != nil {
			return err
		}
		return s.keepSecret()
	}
	if err != nil {
		return err
	}
	secret, newest, err := s.ring.Unwrap(keyPlace, b)
	if errors.Is(err, keyfile.ErrOther) {
		return fmt.Errorf("%w：%s 所需密钥的校验值为 %X，须列入 journal.old_keys · %[2]s wants the key of check value %[3]X: name its file in journal.old_keys",
			ErrKey, s.path(keyName), b[:keyfile.CheckSize])
	}
	if err != nil || len(secret) != secretSize {
		return fmt.Errorf("offline: %s: %w", s.path(keyName), errors.Join(err, keyfile.ErrDamaged))
	}
	if s.secret = secret; !newest {
		return s.keepSecret()
	}
	return nil
}

const (
	keyPlace   = "offline store"
	secretSize = 32
)

func (s *Store) readKey() ([]byte, error) {
	f, err := s.fs.Open(s.path(keyName))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, 1<<10))
	return b, errors.Join(err, f.Close())
}

func (s *Store) keepSecret() error {
	b, err := s.ring.Wrap(keyPlace, s.secret)
	if err != nil {
		return err
	}
	err = s.write(s.o.Dir, keyName, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return fmt.Errorf("offline: %s: %w", s.path(keyName), err)
	}
	return nil
}

// firstSecret draws a secret for a store without pages. Pages that are there were
// sealed under what HKDF extracts from a key file; that says nothing of the key
// itself and can be kept in its place.
func (s *Store) firstSecret() (secret []byte, err error) {
	key, sealed, err := s.anyPage()
	if err != nil {
		return nil, err
	}
	if key == nil {
		secret = make([]byte, secretSize)
		_, err = rand.Read(secret)
		return secret, err
	}
	f, err := s.file(binary.BigEndian.Uint32(key[1:]))
	if err != nil || f == nil {
		return nil, fmt.Errorf("offline: page %x is of no file: %w", key, err)
	}
	s.ring.Each(func(master *[32]byte, _ bool) bool {
		prk, perr := hkdf.Extract(sha256.New, master[:], nil)
		w, serr := newSealer(&s.o, prk, f)
		if err = errors.Join(perr, serr); err == nil {
			_, err = w.open(binary.BigEndian.Uint32(key[5:]), key, sealed)
		}
		secret = prk
		return err == nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return secret, nil
}

// anyPage gives a sealed page; no key when there is none.
func (s *Store) anyPage() (key, sealed []byte, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte("R"), UpperBound: []byte("S")})
	if err != nil {
		return nil, nil, fmt.Errorf("offline: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if it.First() {
		key, sealed = bytes.Clone(it.Key()), bytes.Clone(it.Value())
		if len(key) != 9 {
			return nil, nil, fmt.Errorf("offline: key %x is no page", key)
		}
	}
	return key, sealed, it.Error()
}

// SealedUnder gives the check value of the key under which the store in a folder is
// sealed, without opening it; empty when it has none of its own yet.
func SealedUnder(dir string) (check string, err error) {
	b, err := os.ReadFile(filepath.Join(dir, keyName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && len(b) < keyfile.Extra {
		err = fmt.Errorf("offline: %s: %w", dir, keyfile.ErrDamaged)
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%X", b[:keyfile.CheckSize]), nil
}

// sealer seals the pages of one file. Its key is of this file alone and a page has
// its number for a nonce: a page that is written again after a crash has the same
// content, since it comes from the same bytes by the same layout.
type sealer struct{ aead cipher.AEAD }

func newSealer(o *Options, secret []byte, f *File) (*sealer, error) {
	key, err := hkdf.Expand(sha256.New, secret, fmt.Sprintf("offline pages %d %s %s %d", f.ID, f.SHA256, f.Form, o.records()), 32)
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

func newFinder(secret []byte) (*finder, error) {
	key, err := hkdf.Expand(sha256.New, secret, "offline index", 32)
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
