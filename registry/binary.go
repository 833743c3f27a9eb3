package registry

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tongka/hsm"
	"tongka/txn"
)

// Stored forms. All numbers are big-endian; keys are cryptograms under the LMK.
//
//	terminal (57 bytes)                    session (122 bytes; version 1 ends without the TDK)
//	 0  version 1                           0  version 2
//	 1  merchant 15, terminal 8             1  merchant 15, terminal 8
//	24  TMK: scheme, length, 24 bytes      24  PIK: scheme, length, 24 bytes
//	50  MAC algorithm                      50  MAK: the same
//	51  group, 2                           76  batch, 4
//	53  kinds, 4                           80  since, 8
//	                                       88  until, 8
//	                                       96  TDK: the same
const (
	formVersion  = 1
	idSize       = 23
	keySize      = 26
	terminalSize = 1 + idSize + keySize + 1 + 2 + 4
)

// SessionSize is the length in bytes of a session's binary form.
const SessionSize = oldSession + keySize

const (
	sessionVersion = 2
	oldSession     = 1 + idSize + 2*keySize + 4 + 8 + 8 // of version 1
)

var errForm = errors.New("registry: record")

// AppendSession appends the session of a terminal in its binary form of
// SessionSize bytes, for the journal and for Badger.
func AppendSession(dst []byte, id *txn.Terminal, s *Session) []byte {
	dst = append(dst, sessionVersion)
	dst = appendID(dst, id)
	dst = appendKey(dst, &s.PIK)
	dst = appendKey(dst, &s.MAK)
	dst = binary.BigEndian.AppendUint32(dst, s.Batch)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Since))
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Until))
	return appendKey(dst, &s.TDK)
}

// DecodeSession is the inverse of AppendSession. b must be the whole form; the
// error names the byte that is wrong.
func DecodeSession(b []byte) (id txn.Terminal, s Session, err error) {
	version, size := byte(sessionVersion), SessionSize
	if len(b) == oldSession {
		version, size = formVersion, oldSession
	}
	if err := checkForm(b, version, size); err != nil {
		return id, s, err
	}
	readID(&id, b[1:])
	if err := readKey(&s.PIK, b, 24); err != nil {
		return id, Session{}, err
	}
	if err := readKey(&s.MAK, b, 50); err != nil {
		return id, Session{}, err
	}
	s.Batch = binary.BigEndian.Uint32(b[76:])
	s.Since = int64(binary.BigEndian.Uint64(b[80:]))
	s.Until = int64(binary.BigEndian.Uint64(b[88:]))
	if version == sessionVersion {
		if err := readKey(&s.TDK, b, oldSession); err != nil {
			return id, Session{}, err
		}
	}
	return id, s, nil
}

func appendProfile(dst []byte, p *Profile) []byte {
	dst = append(dst, formVersion)
	dst = appendID(dst, &p.ID)
	dst = appendKey(dst, &p.TMK)
	dst = append(dst, byte(p.MAC))
	dst = binary.BigEndian.AppendUint16(dst, p.Group)
	return binary.BigEndian.AppendUint32(dst, uint32(p.Kinds))
}

func decodeProfile(b []byte) (p Profile, err error) {
	if err := checkForm(b, formVersion, terminalSize); err != nil {
		return p, err
	}
	readID(&p.ID, b[1:])
	if err := readKey(&p.TMK, b, 24); err != nil {
		return Profile{}, err
	}
	p.MAC = hsm.MACAlg(b[50])
	if _, ok := macName(p.MAC); !ok {
		return Profile{}, fmt.Errorf("%w: byte 50: MAC algorithm %d", errForm, b[50])
	}
	p.Group = binary.BigEndian.Uint16(b[51:])
	p.Kinds = Kinds(binary.BigEndian.Uint32(b[53:]))
	return p, nil
}

func checkForm(b []byte, version byte, size int) error {
	if len(b) != size {
		return fmt.Errorf("%w: %d bytes, want %d", errForm, len(b), size)
	}
	if b[0] != version {
		return fmt.Errorf("%w: byte 0: version %d, want %d", errForm, b[0], version)
	}
	return nil
}

func appendID(dst []byte, id *txn.Terminal) []byte {
	dst = append(dst, id.Merchant[:]...)
	return append(dst, id.Number[:]...)
}

func readID(id *txn.Terminal, b []byte) {
	copy(id.Merchant[:], b[:15])
	copy(id.Number[:], b[15:idSize])
}

func appendKey(dst []byte, k *hsm.Key) []byte {
	dst = append(dst, k.Scheme, k.N)
	return append(dst, k.B[:]...)
}

// readKey reads the key at byte at of b. A key that is absent (all zero) is
// right: a terminal may have no MAC key.
func readKey(k *hsm.Key, b []byte, at int) error {
	var read hsm.Key
	read.Scheme, read.N = b[at], b[at+1]
	copy(read.B[:], b[at+2:at+keySize])
	if read != (hsm.Key{}) && !read.Valid() {
		return fmt.Errorf("%w: byte %d: no key has scheme %q and %d bytes", errForm, at, read.Scheme, read.N)
	}
	*k = read
	return nil
}
