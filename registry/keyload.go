package registry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"tongka/hsm"
	"tongka/txn"
)

// KeyLoad is a terminal's download of a master key: made, handed out, and in force
// when the terminal has said that it holds it. It is immutable.
type KeyLoad struct {
	TMK    hsm.Key // under the LMK
	Export hsm.Key // under the transport key, as the terminal gets it
	KCV    [4]byte // first bytes of its check value
	Permit int64   // the permission that it used up (Details.Permit)
	At     int64   // made, Unix nanoseconds
	Until  int64   // not taken by then, it is void
	Taken  int64   // the terminal has confirmed it; 0: not yet
}

// KeyLoadSize is the length in bytes of a KeyLoad's binary form:
//
//	0  version 1        24  TMK: scheme, length, 24 bytes    80  permit, 8     104  taken, 8
//	1  merchant 15      50  export: the same                 88  at, 8
//	   terminal 8       76  check value, 4                   96  until, 8
const KeyLoadSize = 1 + idSize + 2*keySize + 4 + 4*8

// AppendKeyLoad appends the binary form, for the journal.
func AppendKeyLoad(dst []byte, id *txn.Terminal, l *KeyLoad) []byte {
	dst = appendID(append(dst, formVersion), id)
	dst = appendKey(appendKey(dst, &l.TMK), &l.Export)
	dst = append(dst, l.KCV[:]...)
	for _, n := range [...]int64{l.Permit, l.At, l.Until, l.Taken} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return dst
}

// DecodeKeyLoad is the inverse; the error names the byte that is wrong.
func DecodeKeyLoad(b []byte) (id txn.Terminal, l KeyLoad, err error) {
	if err := checkForm(b, formVersion, KeyLoadSize); err != nil {
		return id, l, err
	}
	readID(&id, b[1:])
	if err := errors.Join(readKey(&l.TMK, b, 24), readKey(&l.Export, b, 50)); err != nil {
		return id, KeyLoad{}, err
	}
	copy(l.KCV[:], b[76:])
	for i, n := range [...]*int64{&l.Permit, &l.At, &l.Until, &l.Taken} {
		*n = int64(binary.BigEndian.Uint64(b[80+8*i:]))
	}
	return id, l, nil
}

// keyLoads are the newest downloads of all terminals. A TMK that was downloaded
// stands here and not in the snapshot: to put it there would copy all terminals for
// each, and only a sign-in asks for it.
type keyLoads struct {
	mu sync.Mutex
	of map[txn.Terminal]*KeyLoad
}

func (k *keyLoads) get(id *txn.Terminal) *KeyLoad {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.of[*id]
}

// forget drops the downloads of terminals that an operator gave another key.
func (k *keyLoads) forget(rekeyed map[txn.Terminal]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, another := range rekeyed {
		if another {
			delete(k.of, id)
		}
	}
}

// TMK is the master key that a terminal has: the one that it downloaded last, else
// the one of its profile.
func (r *Registry) TMK(t *Terminal) hsm.Key {
	if l := r.loads.get(&t.ID); l != nil && l.Taken != 0 {
		return l.TMK
	}
	return t.TMK
}

// KeyLoad gives a terminal's newest download; nil when there is none.
func (r *Registry) KeyLoad(id *txn.Terminal) *KeyLoad { return r.loads.get(id) }

// KeepKeyLoad makes l a terminal's newest download. Like a session it is seen at
// once and reaches Badger later: the journal must hold it already.
func (r *Registry) KeepKeyLoad(t *Terminal, l *KeyLoad) {
	r.loads.mu.Lock()
	r.loads.of[t.ID] = l
	r.loads.mu.Unlock()
	if l.Taken != 0 {
		r.touch(&t.ID)
	}
}

// touch marks a terminal for the writer, in the snapshot that holds now.
func (r *Registry) touch(id *txn.Terminal) {
	for {
		snap := r.snap.Load()
		if i := snap.find(id); i >= 0 {
			snap.mark(i)
		}
		if r.snap.Load() == snap {
			break
		}
	}
	r.nudge()
}

// RecallKeyLoad takes what a journal says of a terminal's newest download, unless an
// operator has given the terminal another key since.
func (r *Registry) RecallKeyLoad(id *txn.Terminal, l *KeyLoad) {
	snap := r.Snapshot()
	t, d := snap.Terminal(id), snap.Details(id)
	if t == nil || d != nil && d.TMKAt > max(l.At, l.Taken) {
		return
	}
	r.KeepKeyLoad(t, l)
}

// saveKeyLoads writes the profiles of terminals whose TMK was downloaded. An import
// may be giving one of them another key, so one waits for the other.
func (r *Registry) saveKeyLoads(of []*Terminal) error {
	r.importing.Lock()
	defer r.importing.Unlock()
	wb := r.db.NewWriteBatch()
	defer wb.Cancel()
	for _, t := range of {
		if l := r.loads.get(&t.ID); l != nil && l.Taken != 0 {
			p := t.Profile
			p.TMK = l.TMK
			if err := wb.Set(storeKey(terminalPrefix, &p.ID), appendProfile(nil, &p)); err != nil {
				return err
			}
		}
	}
	return wb.Flush()
}

// profile is a terminal's profile with the TMK that it has.
func (r *Registry) profile(t *Terminal) Profile {
	p := t.Profile
	p.TMK = r.TMK(t)
	return p
}

// ErrNoTerminal is the error of a word about a terminal that is not there.
var ErrNoTerminal = errors.New("没有这台终端 · there is no such terminal")

// Permit lets a terminal download a master key once, until then (Unix nanoseconds);
// until 0 takes the permission back. It is on disk when Permit returns.
func (r *Registry) Permit(id *txn.Terminal, until int64) error {
	r.importing.Lock()
	defer r.importing.Unlock()
	snap := r.Snapshot()
	t := snap.Terminal(id)
	if t == nil {
		return ErrNoTerminal
	}
	d := Details{}
	if had := snap.Details(id); had != nil {
		d = *had
	}
	d.Permit, d.PermitUntil = r.now().UnixNano(), until
	if until == 0 {
		d.Permit = 0
	}
	if d.Given.N == 0 {
		d.Given = r.TMK(t)
	}
	if until != 0 && snap.TransportFor(id).N == 0 {
		return fmt.Errorf("终端无传输密钥，不能下载主密钥 · the terminal has no transport key, so no master key can be sent to it: %w", ErrNoTransport)
	}
	x := snap.more.withDetails(map[txn.Terminal]*Details{*id: &d})
	return r.amend(func(wb *badger.WriteBatch) error { return setJSON(wb, storeKey(detailsPrefix, id), &d) }, x)
}

// Permitted gives the permission that a terminal may use at now, and when it ends;
// 0 when it has none.
func (r *Registry) Permitted(id *txn.Terminal, now int64) (permit, until int64) {
	d := r.Snapshot().Details(id)
	if d == nil || d.Permit == 0 || now >= d.PermitUntil {
		return 0, 0
	}
	if l := r.loads.get(id); l != nil && l.Permit == d.Permit {
		return 0, 0 // used up
	}
	return d.Permit, d.PermitUntil
}
