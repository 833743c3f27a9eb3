package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"tongka/txn"
)

// findWindow is how many pages around its place FindID looks through. Numbers are
// given out when a request arrives and intents are written when it has been
// secured, so a slow security module puts an intent a little behind its place.
const findWindow = 256

// FindID finds a record of a transaction by its number: its Intent, or another
// one that comes first. It needs no index, since numbers ascend with time: it
// halves the ticks, some thirty pages for a year of them, then looks around.
// ErrNotFound when there is none. Not for the path of every sale.
func (l *Log) FindID(id txn.ID, r *Record) (LSN, error) {
	if err := l.err(); err != nil {
		return 0, err
	}
	return l.read.FindID(id, r)
}

// FindID is Log.FindID without staged records.
func (d *Reader) FindID(id txn.ID, r *Record) (lsn LSN, err error) {
	it, err := d.db.NewIter(span('T', d.shard))
	if err != nil {
		return 0, fmt.Errorf("journal: find: %w", err)
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	p := pages{d: d, it: it}
	at, err := p.halve(id)
	if err != nil {
		return 0, err
	}
	for ok, n := p.seek(at), 0; ok && n < findWindow; ok, n = p.next(), n+1 {
		if lsn, err = p.pick(id, r); lsn != 0 || err != nil {
			return lsn, err
		}
	}
	for ok, n := p.seek(at) && p.previous(), 0; ok && n < findWindow; ok, n = p.previous(), n+1 {
		if lsn, err = p.pick(id, r); lsn != 0 || err != nil {
			return lsn, err
		}
	}
	return 0, cmp.Or(p.err, it.Error(), ErrNotFound)
}

// pages walks over the ticks of a journal, without the marks between them.
type pages struct {
	d     *Reader
	it    *pebble.Iterator
	tick  uint64
	plain []byte
	err   error
}

func (p *pages) seek(tick uint64) bool {
	return p.skip(p.it.SeekGE(tickKey(nil, p.d.shard, tick)), p.it.Next)
}
func (p *pages) next() bool     { return p.skip(p.it.Next(), p.it.Next) }
func (p *pages) previous() bool { return p.skip(p.it.Prev(), p.it.Prev) }

func (p *pages) skip(ok bool, on func() bool) bool {
	for ok && len(p.it.Key()) != tickKeySize {
		ok = on()
	}
	if ok {
		p.tick = binary.BigEndian.Uint64(p.it.Key()[2:])
	}
	return ok && p.err == nil
}

// read unseals the page.
func (p *pages) read() error {
	value, err := p.it.ValueAndErr()
	if err == nil {
		p.plain, err = p.d.ring.open(p.plain[:0], p.it.Key(), value)
	}
	p.err = err
	return err
}

// halve gives the last page whose first transaction is not behind id.
func (p *pages) halve(id txn.ID) (at uint64, err error) {
	if !p.skip(p.it.First(), p.it.Next) {
		return 0, cmp.Or(p.err, p.it.Error(), ErrNotFound)
	}
	low := p.tick
	if !p.skip(p.it.Last(), p.it.Prev) {
		return 0, cmp.Or(p.err, p.it.Error(), ErrNotFound)
	}
	high := p.tick
	for low < high {
		mid := low + (high-low+1)/2
		first, at, err := p.firstFrom(mid, high)
		switch {
		case err != nil:
			return 0, err
		case at == 0 || first > id: // nothing begins from mid on, or all behind id
			high = mid - 1
		default:
			low = at
		}
	}
	return low, nil
}

// firstFrom gives the number of the first transaction that begins in a page from
// a tick on, and that page; 0 when none does.
func (p *pages) firstFrom(from, to uint64) (id txn.ID, tick uint64, err error) {
	var r Record
	for ok := p.seek(from); ok && p.tick <= to; ok = p.next() {
		if err := p.read(); err != nil {
			return 0, 0, err
		}
		for _, off := stampOf(p.plain); off < len(p.plain); {
			next, err := readRecord(p.plain, off, &r)
			if err != nil {
				return 0, 0, fmt.Errorf("%w in tick %d: %w", ErrDamaged, p.tick, err)
			}
			if r.Kind == Intent {
				return r.Facts.ID, p.tick, nil
			}
			off = next
		}
	}
	return 0, 0, p.err
}

// pick finds id in the page; 0 when it is not there.
func (p *pages) pick(id txn.ID, r *Record) (LSN, error) {
	if err := p.read(); err != nil {
		return 0, err
	}
	var found LSN
	done := errors.New("found")
	err := eachRecord(p.plain, p.tick, 0, func(lsn LSN, got *Record) error {
		if got.Facts.ID != id {
			return nil
		}
		*r, found = *got, lsn
		return done
	})
	if err == done {
		err = nil
	}
	return found, err
}
