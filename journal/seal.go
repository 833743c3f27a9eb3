package journal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cockroachdb/pebble/v2"

	"tongka/keyfile"
)

// Errors that callers tell apart with errors.Is.
var (
	ErrNotFound = errors.New("journal: no such record")
	ErrDamaged  = errors.New("journal: damaged value")
	ErrKey      = errors.New("journal: the key does not fit this journal")
	ErrNoKey    = errors.New("journal: the key is missing beside a journal")
)

// LoadRing reads the newest key, as LoadKey does, and the earlier keys that are still
// needed to read; of these each must be there. open has a security module open
// files that want one.
func LoadRing(path string, old []string, dir string, open keyfile.Opener) (r keyfile.Ring, err error) {
	if r.Key, err = load(path, dir, open); err != nil {
		return r, err
	}
	for _, path := range old {
		key, kerr := keyfile.Read(path, open)
		if kerr != nil {
			err = errors.Join(err, oldKey(kerr))
		}
		r.Old = append(r.Old, key)
	}
	return r, err
}

func oldKey(err error) error {
	return fmt.Errorf("旧流水密钥 journal.old_keys · an earlier key of the journal: %w", err)
}

// CheckRing says what LoadRing would refuse, makes nothing and asks no module.
func CheckRing(path string, old []string, dir string) error {
	err := CheckKey(path, dir)
	for _, path := range old {
		if _, kerr := keyfile.CheckOf(path); kerr != nil {
			err = errors.Join(err, oldKey(kerr))
		}
	}
	return err
}

// LoadKey reads the key under which the journal in dir is sealed: a file of 64
// hexadecimal digits that only its owner may read (mode 0600 or narrower, or it
// is refused). A missing file is made from crypto/rand, and is on disk before
// LoadKey returns: losing it loses the journal. Beside a journal it is ErrNoKey
// and nothing is made: a new key fits nothing there, and whoever then looks for
// the true one would find a file in its place.
func LoadKey(path, dir string) (key [32]byte, err error) { return load(path, dir, nil) }

func load(path, dir string, open keyfile.Opener) (key [32]byte, err error) {
	if err := CheckKey(path, dir); err != nil {
		return key, err
	}
	key, err = keyfile.Read(path, open)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = keyfile.Load(path, true)
	}
	if err != nil {
		err = fmt.Errorf("journal: %w", err)
	}
	return key, err
}

// CheckKey says what LoadKey would refuse, and makes nothing.
func CheckKey(path, dir string) error {
	_, err := keyfile.CheckOf(path)
	if !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			err = fmt.Errorf("journal: %w", err)
		}
		return err
	}
	switch old, err := os.ReadDir(dir); {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("journal: %w", err)
	case len(old) > 0:
		return fmt.Errorf("流水密钥 %s 不存在，而 %s 中已有流水：请从备份恢复密钥，新密钥读不了它 · %w: restore the key from its backup to %s, a new one cannot read %s",
			path, dir, ErrNoKey, path, dir)
	}
	return nil
}

// Proof shows for one message that its sender can read the key file.
func Proof(key *[32]byte, message []byte) []byte {
	return keyed(key, "tongka proof v1", message)
}

func keyed(key *[32]byte, what string, b []byte) []byte {
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte(what))
	h.Write(b)
	return h.Sum(nil)
}

const (
	sealHead = 12
	sealTail = 16
)

// seal fills dst, which has sealHead+len(plain)+sealTail bytes. It allocates
// nothing.
func (e *epoch) seal(dst []byte, count uint64, key, plain []byte) {
	binary.LittleEndian.PutUint32(dst, e.number)
	binary.LittleEndian.PutUint64(dst[4:], count)
	e.aead.Seal(dst[sealHead:sealHead], dst[:sealHead], plain, key)
}

// keyring opens sealed values; it finds the epochs in the database as it meets
// them. It belongs to one goroutine.
type keyring struct {
	db     pebble.Reader
	master *keyfile.Ring
	shard  uint8
	epochs map[uint32]*epoch
}

// open appends the plain form of value to dst.
func (k *keyring) open(dst, key, value []byte) ([]byte, error) {
	if len(value) < sealHead+sealTail {
		return dst, fmt.Errorf("%w at key %x: %d bytes", ErrDamaged, key, len(value))
	}
	e, err := k.epoch(binary.LittleEndian.Uint32(value))
	if err != nil {
		return dst, fmt.Errorf("%w at key %x: %w", ErrDamaged, key, err)
	}
	out, err := e.aead.Open(dst, value[:sealHead], value[sealHead:], key)
	if err != nil {
		return dst, fmt.Errorf("%w at key %x: %w", ErrDamaged, key, err)
	}
	return out, nil
}

func (k *keyring) epoch(number uint32) (*epoch, error) {
	if e := k.epochs[number]; e != nil {
		return e, nil
	}
	key := epochKey(nil, k.shard, number)
	value, closer, err := k.db.Get(key)
	if err != nil {
		return nil, fmt.Errorf("epoch %d: %w", number, err)
	}
	defer closer.Close()
	e, err := decodeEpoch(k.master, k.shard, key, value)
	if err != nil {
		return nil, err
	}
	k.epochs[number] = e
	return e, nil
}

func epochKey(dst []byte, shard uint8, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 'E', shard), number)
}

func tickKey(dst []byte, shard uint8, tick uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 'T', shard), tick)
}

// markKey lies behind the tick that is open when the mark is made. A key of its
// own place would put a file's range over all older ticks, and Pebble would write
// these anew each time that it compacts the file.
func markKey(dst []byte, shard uint8, tick uint64) []byte {
	return append(tickKey(dst, shard, tick), 'M')
}

const (
	tickKeySize = 10
	markKeySize = 11
)

const blockKeySize = 12

// blockKey is of the block of a fingerprint in the chunk that ends with a record.
func blockKey(dst []byte, shard uint8, fp uint64, last LSN) []byte {
	dst = binary.BigEndian.AppendUint16(append(dst, 'B', shard), uint16(fp>>(64-blockBits)))
	return binary.BigEndian.AppendUint64(dst, uint64(last))
}

func progressKey(shard uint8) []byte { return []byte{'N', shard} }
