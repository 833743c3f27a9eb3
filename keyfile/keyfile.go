// Package keyfile keeps a key of 32 bytes in a file that only its owner may read.
package keyfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const keyDigits = 64

// Load reads 64 hexadecimal digits from a file of mode 0600 or narrower. With
// create, a missing file is made from crypto/rand and is on disk when Load
// returns.
func Load(path string, create bool) (key [32]byte, err error) {
	key, err = readKey(path)
	if create && errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	return key, err
}

func readKey(path string) (key [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return key, fmt.Errorf("key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return key, fmt.Errorf("key: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&^0o600 != 0 {
		return key, fmt.Errorf("key %s: mode %v is too wide: want 0600", path, info.Mode())
	}
	// One byte more than fits shows a file that is too long.
	var b [keyDigits + 3]byte
	n, err := io.ReadFull(f, b[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return key, fmt.Errorf("key: %w", err)
	}
	text := strings.TrimRight(string(b[:n]), "\r\n")
	if len(text) != keyDigits {
		return key, fmt.Errorf("key %s: %d characters: want %d hexadecimal digits", path, len(text), keyDigits)
	}
	if _, err = hex.Decode(key[:], []byte(text)); err != nil {
		// The error of package hex would quote a byte of the key.
		return [32]byte{}, fmt.Errorf("key %s: not hexadecimal", path)
	}
	return key, nil
}

func makeKey(path string) (key [32]byte, err error) {
	if _, err = rand.Read(key[:]); err != nil {
		return key, fmt.Errorf("key: %w", err)
	}
	// O_EXCL: of two processes that start together, one must not overwrite the
	// key that the other already seals with.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return key, fmt.Errorf("key: %w", err)
	}
	_, err = f.WriteString(hex.EncodeToString(key[:]) + "\n")
	err = errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
	if err != nil {
		return [32]byte{}, fmt.Errorf("key: %w", err)
	}
	return key, nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
