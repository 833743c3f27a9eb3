package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"tongka/keyfile"
)

// KeyUse is what lies under one master key.
type KeyUse struct {
	Check  string `json:"check"`  // keyfile.Check in hexadecimal; empty for epochs that do not say it and fit no key
	Known  bool   `json:"known"`  // the key is in the ring
	Newest bool   `json:"newest"` // it is the one that seals
	Epochs int    `json:"epochs"`
	Pages  bool   `json:"pages"` // there are records under it
	First  uint64 `json:"first"` // ticks, up to and without Limit
	Limit  uint64 `json:"limit"`
	From   int64  `json:"from"` // turn of the first of them, Unix nanoseconds; 0 when it cannot be read
	To     int64  `json:"to"`   // and of the last
}

// KeyUses gives what lies under which master key, in the order of time. It reads
// two pages of each epoch.
func (d *Reader) KeyUses() (uses []KeyUse, err error) {
	first := uint64(1)
	err = eachEpoch(d.db, d.shard, func(key, value []byte) error {
		if n := len(value); n != epochSize && n != epochSize2 && n != epochSize1 {
			return fmt.Errorf("%w: epoch at key %x", ErrDamaged, key)
		}
		u := KeyUse{Epochs: 1, Check: d.checkOf(key, value), First: first, Limit: limitOf(value)}
		e, err := decodeEpoch(d.ring.master, d.shard, key, value)
		switch {
		case err == nil:
			u.Known, u.Newest = true, e.newest
		case !errors.Is(err, ErrKey):
			return err
		}
		if u.Pages, u.From, u.To, err = d.turns(first, u.Limit); err != nil {
			return err
		}
		// The ticks of an epoch begin where those of the one before ended, and that
		// is readable without a key.
		first = u.Limit
		for i := range uses {
			if uses[i].Check == u.Check {
				uses[i].add(&u)
				return nil
			}
		}
		uses = append(uses, u)
		return nil
	})
	return uses, err
}

func (u *KeyUse) add(v *KeyUse) {
	u.Epochs += v.Epochs
	u.Pages = u.Pages || v.Pages
	if u.From == 0 {
		u.From = v.From
	}
	u.To, u.Limit = max(u.To, v.To), v.Limit
}

func limitOf(epoch []byte) uint64 { return binary.LittleEndian.Uint64(epoch[wrappedSize(epoch):]) }

// inWords adds to an ErrKey which parts of the journal no given key opens.
func (l *Log) inWords(err error) error {
	if !errors.Is(err, ErrKey) {
		return err
	}
	read := &Reader{db: l.db, shard: l.shard, ring: keyring{db: l.db, master: l.master, shard: l.shard, epochs: map[uint32]*epoch{}}}
	uses, uerr := read.KeyUses()
	for _, u := range uses {
		if !u.Known {
			err = fmt.Errorf("%w\n  缺密钥（校验值 %s）：%d 次启动的记录不可读，页号 %d 至 %d · a key is missing (check value %[2]s): the records of %[3]d starts cannot be read, ticks %[4]d to %[5]d",
				err, cmp.Or(u.Check, "?"), u.Epochs, u.First, u.Limit-1)
		}
	}
	return errors.Join(err, uerr)
}

func (d *Reader) checkOf(key, value []byte) (check string) {
	if len(value) >= epochSize2 {
		return fmt.Sprintf("%X", value[:keyfile.CheckSize])
	}
	d.ring.master.Each(func(master *[32]byte, _ bool) bool {
		_, err := decodeEpoch(&keyfile.Ring{Key: *master}, d.shard, key, value)
		if err == nil {
			check = fmt.Sprintf("%X", keyfile.Check(master))
		}
		return err == nil
	})
	return check
}

// turns looks at the ends of a range of ticks. Pages whose key is missing count,
// and have no time.
func (d *Reader) turns(first, limit uint64) (any bool, from, to int64, err error) {
	opts := span('T', d.shard)
	opts.LowerBound, opts.UpperBound = tickKey(nil, d.shard, first), tickKey(nil, d.shard, limit)
	it, err := d.db.NewIter(opts)
	if err != nil {
		return false, 0, 0, fmt.Errorf("journal: read: %w", err)
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	p := pages{d: d, it: it}
	turn := func() (int64, error) {
		switch err := p.read(); {
		case errors.Is(err, ErrKey):
			p.err = nil
			return 0, nil
		case err != nil:
			return 0, err
		}
		at, _ := stampOf(p.plain)
		return at, nil
	}
	if !p.skip(it.First(), it.Next) {
		return false, 0, 0, cmp.Or(p.err, it.Error())
	}
	if from, err = turn(); err != nil {
		return true, 0, 0, err
	}
	if p.skip(it.Last(), it.Prev) {
		to, err = turn()
	}
	return true, from, to, cmp.Or(err, p.err, it.Error())
}
