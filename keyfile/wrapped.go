package keyfile

import (
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Wrapped is a key in a file that a security module has to open. In the file:
//
//	tongka wrapped key 1
//	dek KEY          a data encryption key under the module's LMK, as host commands write it
//	iv 16 digits
//	key 64 digits    the key under it, CBC
//	check 16 digits  Check of the key
//
// Whoever has the file and no module with that LMK has nothing. The check tells a
// wrong module from the right one, since CBC would give any 32 bytes; and it names
// the key without asking the module.
type Wrapped struct {
	DEK    string
	IV     [8]byte
	Sealed [32]byte
	Check  [CheckSize]byte
}

// Opener has a module open a wrapped key.
type Opener func(*Wrapped) (key [32]byte, err error)

// ErrWrapped says that a file wants a module to open it, where none is asked.
var ErrWrapped = errors.New("the key is under a security module")

const wrappedHead = "tongka wrapped key 1\n"

// String is the text of the file.
func (w *Wrapped) String() string {
	return fmt.Sprintf("%sdek %s\niv %X\nkey %X\ncheck %X\n", wrappedHead, w.DEK, w.IV, w.Sealed, w.Check)
}

// parseWrapped reads the text of a file. The error names the line.
func parseWrapped(text string) (*Wrapped, error) {
	lines := strings.Split(strings.TrimSuffix(text[len(wrappedHead):], "\n"), "\n")
	var w Wrapped
	for i, of := range []struct {
		name string
		to   []byte // nil: text
	}{{"dek", nil}, {"iv", w.IV[:]}, {"key", w.Sealed[:]}, {"check", w.Check[:]}} {
		if i >= len(lines) {
			return nil, fmt.Errorf("line %d: %q is missing", i+2, of.name)
		}
		value, ok := strings.CutPrefix(lines[i], of.name+" ")
		switch {
		case !ok || value == "":
			return nil, fmt.Errorf("line %d: want %q and a value", i+2, of.name)
		case of.to == nil:
			w.DEK = value
		case len(value) != 2*len(of.to):
			return nil, fmt.Errorf("line %d: %s: %d characters: want %d hexadecimal digits", i+2, of.name, len(value), 2*len(of.to))
		default:
			if _, err := hex.Decode(of.to, []byte(value)); err != nil {
				return nil, fmt.Errorf("line %d: %s: not hexadecimal", i+2, of.name)
			}
		}
	}
	if len(lines) > 4 {
		return nil, fmt.Errorf("line 6: nothing may follow")
	}
	return &w, nil
}

// by has the key opened and holds it against its check value.
func (w *Wrapped) by(open Opener) (key [32]byte, err error) {
	if open == nil {
		return key, ErrWrapped
	}
	if key, err = open(w); err != nil {
		return [32]byte{}, err
	}
	if got := Check(&key); !hmac.Equal(got[:], w.Check[:]) {
		return [32]byte{}, fmt.Errorf("加密机给出的不是此密钥（LMK 不符？） · what the module gave is not this key (another LMK?): check value %X, want %X", got, w.Check)
	}
	return key, nil
}

// CheckOf gives the check value of the key in a file, of a wrapped one without asking
// a module.
func CheckOf(path string) (check [CheckSize]byte, err error) {
	key, w, err := readKey(path)
	switch {
	case err != nil:
		return check, err
	case w != nil:
		return w.Check, nil
	}
	return Check(&key), nil
}

// Create makes a file for a wrapped key; it must not be there.
func (w *Wrapped) Create(path string) error { return create(path, w.String()) }
