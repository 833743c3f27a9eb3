package journal

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"tongka/keyfile"
	"tongka/txn"
)

const (
	saltSize   = 32
	markSize   = 16 // the check of an epoch
	keysSize   = 64 // the key that seals, the key of the check
	namesSize  = 32
	epochTail  = 8 + markSize
	epochSize1 = saltSize + epochTail                             // older
	epochSize2 = keyfile.Extra + keysSize + namesSize + epochTail // older
	epochSize  = epochSize2 + 8
)

// epoch is one Open of the journal: a key of its own, and the end of the block
// of tick numbers that it may use.
type epoch struct {
	number  uint32
	wrapped []byte // its keys and the names under a master key; nil in an old epoch, whose keys are derived
	newest  bool   // under the newest master key
	limit   uint64 // ticks below may be used
	segment uint64 // of the log, with which it began; 0: from when Pebble kept the log
	keys    [keysSize]byte
	names   [namesSize]byte // the same in all epochs of a journal; see doc.go
	aead    cipher.AEAD
}

// newEpoch draws the key of one Open: a fresh one is what makes nonces unique
// without trusting that the disk was never set back to an older state.
func newEpoch(ring *keyfile.Ring, shard uint8, number uint32, limit uint64, names *[namesSize]byte) (*epoch, error) {
	e := &epoch{number: number, limit: limit, names: *names}
	if _, err := rand.Read(e.keys[:]); err != nil {
		return nil, fmt.Errorf("journal: epoch %d: %w", number, err)
	}
	if err := e.wrap(ring, shard); err != nil {
		return nil, err
	}
	return e, e.prepare()
}

// wrap puts the epoch's keys under the newest master key.
func (e *epoch) wrap(ring *keyfile.Ring, shard uint8) (err error) {
	e.wrapped, err = ring.Wrap(epochPlace(shard, e.number), append(bytes.Clone(e.keys[:]), e.names[:]...))
	e.newest = true
	return err
}

func epochPlace(shard uint8, number uint32) string {
	return fmt.Sprintf("journal shard %d epoch %d", shard, number)
}

func (e *epoch) prepare() error {
	block, err := aes.NewCipher(e.keys[:32])
	if err != nil {
		return fmt.Errorf("journal: epoch %d: %w", e.number, err)
	}
	e.aead, err = cipher.NewGCM(block)
	return err
}

func (e *epoch) proof() []byte {
	h := hmac.New(sha256.New, e.keys[32:])
	h.Write(e.numbers(nil))
	return h.Sum(nil)[:markSize]
}

// numbers are what an epoch says in the clear. An epoch that begins today has both; a
// switch from before then does not know the length of such a value and refuses the
// journal, where it would otherwise overlook the log.
func (e *epoch) numbers(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, e.limit)
	if e.segment != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, e.segment)
	}
	return dst
}

func (e *epoch) encode() []byte { return append(e.numbers(bytes.Clone(e.wrapped)), e.proof()...) }

// wrappedSize is the size of what stands before the numbers of an encoded epoch.
func wrappedSize(epoch []byte) int { return min(len(epoch), epochSize2) - epochTail }

// decodeEpoch also proves that a key of the ring is the one it was made with:
// ErrKey otherwise, with the check value of that key where the epoch says it.
func decodeEpoch(ring *keyfile.Ring, shard uint8, key, value []byte) (*epoch, error) {
	if len(key) != 6 || len(value) != epochSize && len(value) != epochSize2 && len(value) != epochSize1 {
		return nil, fmt.Errorf("%w: epoch at key %x", ErrDamaged, key)
	}
	head, tail := value[:wrappedSize(value)], value[wrappedSize(value):]
	e := &epoch{number: binary.BigEndian.Uint32(key[2:]), limit: binary.LittleEndian.Uint64(tail)}
	if len(value) == epochSize {
		e.segment = binary.LittleEndian.Uint64(tail[8:])
	}
	proves := func() bool { return hmac.Equal(e.proof(), tail[len(tail)-markSize:]) }
	if len(value) == epochSize1 {
		found := ring.Each(func(master *[32]byte, newest bool) bool {
			e.newest = newest
			return e.derive(master, shard, value[:saltSize]) == nil && proves()
		})
		if !found {
			return nil, fmt.Errorf("%w (epoch at key %x)", ErrKey, key)
		}
		return e, e.prepare()
	}
	e.wrapped = bytes.Clone(head)
	secret, newest, err := ring.Unwrap(epochPlace(shard, e.number), e.wrapped)
	if errors.Is(err, keyfile.ErrOther) {
		return nil, fmt.Errorf("%w (epoch at key %x): 所需密钥的校验值为 %X，须列入 journal.old_keys · wanted is the key of check value %[3]X: name its file in journal.old_keys",
			ErrKey, key, value[:keyfile.CheckSize])
	}
	if err != nil {
		return nil, fmt.Errorf("%w: epoch at key %x: %w", ErrDamaged, key, err)
	}
	e.newest = newest
	copy(e.names[:], secret[copy(e.keys[:], secret):])
	if !proves() {
		return nil, fmt.Errorf("%w: epoch at key %x: its limit", ErrDamaged, key)
	}
	return e, e.prepare()
}

// derive makes the keys of an epoch from before there were several master keys.
func (e *epoch) derive(master *[32]byte, shard uint8, salt []byte) error {
	info := fmt.Sprintf("tongka journal v1 shard %d epoch %d", shard, e.number)
	keys, err := hkdf.Key(sha256.New, master[:], salt, info, keysSize)
	if err != nil {
		return fmt.Errorf("journal: epoch %d: %w", e.number, err)
	}
	names, err := hkdf.Key(sha256.New, master[:], nil, "tongka journal names v1", namesSize)
	copy(e.keys[:], keys)
	copy(e.names[:], names)
	return err
}

// beginEpoch makes the key of this Open durable before anything is sealed with
// it, and takes tick numbers that no earlier Open can have used. In the same
// batch the keys of all epochs that lie under an earlier master key go under the
// newest, so a change of it is done as a whole or not at all. The batch is the first
// frame of the log's new segment.
func (l *Log) beginEpoch(log *zap.Logger, segment uint64, begin func(first []byte) error) error {
	last, err := lastEpoch(l.db, l.master, l.shard)
	if err != nil {
		return l.inWords(err)
	}
	number, first := uint32(1), uint64(1)
	var names [namesSize]byte
	if last != nil {
		number, first, names = last.number+1, last.limit, last.names
	} else if _, err := rand.Read(names[:]); err != nil {
		return fmt.Errorf("journal: names: %w", err)
	}
	if number == 0 || first+tickBlock >= 1<<(64-indexBits) {
		return errors.New("journal: no epochs or ticks are left")
	}
	l.epoch, err = newEpoch(l.master, l.shard, number, first+tickBlock, &names)
	if err != nil {
		return err
	}
	l.epoch.segment = segment
	l.tick = first
	b := l.db.NewBatch()
	if err = l.rewrap(b, &names, log); err == nil {
		err = b.Set(epochKey(nil, l.shard, number), l.epoch.encode(), nil)
	}
	if err == nil {
		if err = begin(b.Repr()); err == nil {
			err = b.Commit(pebble.NoSync)
		}
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return fmt.Errorf("journal: epoch %d: %w", number, l.inWords(err))
	}
	return nil
}

// rewrap stages the epochs that lie under an earlier key under the newest. One whose
// key is not in the ring is ErrKey: a journal of which a part is dark would fail
// later, in the middle of a sale.
func (l *Log) rewrap(b *pebble.Batch, names *[namesSize]byte, log *zap.Logger) error {
	moved := 0
	err := eachEpoch(l.db, l.shard, func(key, value []byte) error {
		e, err := decodeEpoch(l.master, l.shard, key, value)
		if err != nil || e.newest {
			return err
		}
		moved++
		e.names = *names
		return errors.Join(e.wrap(l.master, l.shard), b.Set(bytes.Clone(key), e.encode(), nil))
	})
	if moved > 0 && err == nil {
		log.Info("keys of the journal go under the newest key file", zap.Int("epochs", moved))
	}
	return err
}

func lastEpoch(db pebble.Reader, ring *keyfile.Ring, shard uint8) (e *epoch, err error) {
	it, err := db.NewIter(span('E', shard))
	if err != nil {
		return nil, fmt.Errorf("journal: epochs: %w", err)
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	if !it.Last() {
		return nil, it.Error()
	}
	return decodeEpoch(ring, shard, it.Key(), it.Value())
}

// lastSegment is the segment of the log with which the newest epoch began, 0 when it
// names none. It stands in the clear: a log is read without the key, too.
func lastSegment(db pebble.Reader, shard uint8) (segment uint64, err error) {
	err = eachEpoch(db, shard, func(_, value []byte) error {
		segment = 0
		if len(value) == epochSize {
			segment = binary.LittleEndian.Uint64(value[wrappedSize(value)+8:])
		}
		return nil
	})
	return segment, err
}

func eachEpoch(db pebble.Reader, shard uint8, f func(key, value []byte) error) (err error) {
	it, err := db.NewIter(span('E', shard))
	if err != nil {
		return fmt.Errorf("journal: epochs: %w", err)
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if err := f(it.Key(), it.Value()); err != nil {
			return err
		}
	}
	return it.Error()
}

// Namer makes names of what must not be shown: those who can read the journal can
// tell that two records are of one card, and nobody can find the number by trying
// all. Its key stays the same when the master key changes.
type Namer struct{ key [namesSize]byte }

// Namer gives the names of this journal; ErrKey when the key is another, and
// ErrNotFound when the journal was never opened.
func (d *Reader) Namer() (n Namer, err error) {
	e, err := lastEpoch(d.db, d.ring.master, d.shard)
	if err != nil {
		return n, err
	}
	if e == nil {
		return n, fmt.Errorf("journal: names: %w", ErrNotFound)
	}
	return Namer{e.names}, nil
}

// Card is what stands for a card number in reports: 16 hexadecimal digits, empty
// without a number.
func (n *Namer) Card(pan *txn.PAN) string {
	size, digits := pan.Packed()
	if size == 0 {
		return ""
	}
	return hex.EncodeToString(keyed(&n.key, "tongka card token v1", append(digits[:], size))[:8])
}

// Key makes a key for names of another kind.
func (n *Namer) Key(what string) []byte { return keyed(&n.key, "tongka names of ", []byte(what)) }
