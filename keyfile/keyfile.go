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

const (
	keyDigits = 64
	mostBytes = 2048 // of a file; a key block of a module has a few hundred
)

// Load reads 64 hexadecimal digits from a file of mode 0600 or narrower. With
// create, a missing file is made from crypto/rand and is on disk when Load
// returns. A file for a security module is ErrWrapped.
func Load(path string, create bool) (key [32]byte, err error) {
	key, err = Read(path, nil)
	if create && errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	return key, err
}

// Read is Load of a file that is there, or of one that open has a module open.
func Read(path string, open Opener) (key [32]byte, err error) {
	key, w, err := readKey(path)
	if err == nil && w != nil {
		if key, err = w.by(open); err != nil {
			err = fmt.Errorf("key %s: %w", path, err)
		}
	}
	return key, err
}

func readKey(path string) (key [32]byte, w *Wrapped, err error) {
	text, err := readText(path)
	switch {
	case err != nil:
		return key, nil, err
	case strings.HasPrefix(text, wrappedHead):
		if w, err = parseWrapped(text); err != nil {
			err = fmt.Errorf("key %s: %w", path, err)
		}
		return key, w, err
	}
	if text = strings.TrimRight(text, "\r\n"); len(text) != keyDigits {
		return key, nil, fmt.Errorf("key %s: %d characters: want %d hexadecimal digits", path, len(text), keyDigits)
	}
	if _, err = hex.Decode(key[:], []byte(text)); err != nil {
		// The error of package hex would quote a byte of the key.
		return [32]byte{}, nil, fmt.Errorf("key %s: not hexadecimal", path)
	}
	return key, nil, nil
}

func readText(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("key: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&^0o600 != 0 {
		return "", fmt.Errorf("key %s: mode %v is too wide: want 0600", path, info.Mode())
	}
	b, err := io.ReadAll(io.LimitReader(f, mostBytes))
	if err != nil {
		return "", fmt.Errorf("key: %w", err)
	}
	return string(b), nil
}

func makeKey(path string) (key [32]byte, err error) {
	if _, err = rand.Read(key[:]); err != nil {
		return key, fmt.Errorf("key: %w", err)
	}
	if err = create(path, hex.EncodeToString(key[:])+"\n"); err != nil {
		return [32]byte{}, err
	}
	return key, nil
}

// create makes a file that its owner alone may read, and has it on disk.
func create(path, text string) error {
	// O_EXCL: of two processes that start together, one must not overwrite the
	// key that the other already seals with.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
