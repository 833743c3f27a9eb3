package registry

import (
	"fmt"
	"io"

	"tongka/hsm"
	"tongka/txn"
)

// Import reads terminals from CSV and adds or changes them; it removes none.
// name is the file's, for faults. The first line names the columns: merchant,
// terminal, tmk; and, when wanted, mac (unionpay, x9.9, x9.19), kinds (joined by
// "|", "*" for all), group, pik, mak, batch. Keys are under the LMK.
//
// When anything is wrong the error is Faults with all of it, and nothing is
// applied. Otherwise the terminals are on disk when Import returns.
//
// A row's pik and mak begin a session for a terminal that has none; a session
// that runs came later, by sign-in, and stays. A new TMK ends the session: the
// working keys have travelled under the old one.
//
// added counts new terminals, changed those whose profile or session changed.
func (r *Registry) Import(in io.Reader, name string) (added, changed int, err error) {
	rows, err := parseCSV(in, name)
	if err != nil {
		return 0, 0, err
	}
	r.importing.Lock()
	defer r.importing.Unlock()
	m := r.merge(rows)
	if m.added+m.changed == 0 {
		return 0, 0, nil
	}
	if n := len(m.profiles); n > r.most {
		return 0, 0, fmt.Errorf("registry: %s: 导入后共 %d 台终端，上限 %d · %d terminals after the import, %d at most", name, n, r.most, n, r.most)
	}
	if err := r.saveProfiles(m.save, m.details); err != nil {
		return 0, 0, err
	}
	r.swap(m)
	r.nudge()
	return m.added, m.changed, nil
}

// merger is an import that is worked out but not applied.
type merger struct {
	profiles       []Profile  // all that the new snapshot holds, sorted
	save           []*Profile // those that Badger does not have like this
	rows           []row
	more           *extras
	details        map[txn.Terminal]*Details // those that Badger does not have like this; nil: none any more
	rekeyed        map[txn.Terminal]bool     // have another TMK than before
	added, changed int
}

// merge works out what the rows change.
func (r *Registry) merge(rows []row) *merger {
	old, now := r.snap.Load(), r.now().UnixNano()
	m := &merger{rows: rows, rekeyed: map[txn.Terminal]bool{}, profiles: make([]Profile, old.Len(), old.Len()+len(rows))}
	for i := range m.profiles {
		m.profiles[i] = r.profile(&old.terminals[i])
	}
	for i := range rows {
		p := &rows[i].Profile
		at := old.find(&p.ID)
		if d := old.more.details[p.ID]; at >= 0 && d != nil && d.Given.N != 0 && p.TMK == d.Given {
			p.TMK = m.profiles[at].TMK
		}
		switch {
		case at < 0:
			m.added++
			m.profiles = append(m.profiles, *p)
			m.save = append(m.save, p)
		case m.profiles[at] != *p:
			m.changed++
			m.rekeyed[p.ID] = m.profiles[at].TMK != p.TMK
			m.profiles[at] = *p
			m.save = append(m.save, p)
		case rows[i].pik.N != 0 && old.terminals[at].Session(now) == nil:
			m.changed++
		}
	}
	sortProfiles(m.profiles)
	m.detail(old, now)
	return m
}

// detail works out what the rows change in the details. A file without any of
// their columns leaves them as they are, but for a permission to download a key:
// a key by the operator's hand ends it.
func (m *merger) detail(old *Snapshot, now int64) {
	x := old.more
	m.details = map[txn.Terminal]*Details{}
	for i := range m.rows {
		r := &m.rows[i]
		had := x.details[r.ID]
		r.inherit(had, m.rekeyed[r.ID], now)
		if r.details == nil || had != nil && *had == *r.details || had == nil && *r.details == (Details{}) {
			continue
		}
		if m.details[r.ID] = r.details; *r.details == (Details{}) {
			m.details[r.ID] = nil
		}
		if at := old.find(&r.ID); at >= 0 && old.terminals[at].Profile == r.Profile {
			m.changed++
		}
	}
	if m.more = x; len(m.details) > 0 {
		m.more = x.withDetails(m.details)
	}
}

// inherit gives a row's details what no file says of a terminal.
func (r *row) inherit(had *Details, rekeyed bool, now int64) {
	if had == nil {
		return
	}
	if r.details == nil && rekeyed {
		own := *had
		r.details = &own
	}
	if r.details == nil {
		return
	}
	r.details.Permit, r.details.PermitUntil, r.details.TMKAt, r.details.Given = had.Permit, had.PermitUntil, had.TMKAt, had.Given
	if rekeyed {
		r.details.Permit, r.details.PermitUntil, r.details.TMKAt, r.details.Given = 0, 0, now, r.TMK
	}
}

// swap puts the merged terminals in place without losing a session that is
// installed meanwhile: sessions are copied, the snapshots are swapped, and then
// the old one is looked at again for what came after the copy (see Install).
func (r *Registry) swap(m *merger) {
	old, next := r.snap.Load(), newSnapshot(m.profiles, m.more)
	copied, placed := make([]*Session, old.Len()), make([]*Session, old.Len())
	tmks := make([]hsm.Key, old.Len())
	for i := range tmks {
		tmks[i] = r.TMK(&old.terminals[i])
	}
	keeps := func(i int) *Terminal {
		t := next.Terminal(&old.terminals[i].ID)
		if t.TMK != tmks[i] {
			return nil
		}
		return t
	}
	for i := range copied {
		if t := keeps(i); t != nil {
			copied[i] = old.terminals[i].session.Load()
			t.session.Store(copied[i])
		} else {
			next.mark(next.find(&old.terminals[i].ID)) // the writer removes its session
		}
	}
	r.begin(next, m.rows)
	for i := range placed {
		placed[i] = next.Terminal(&old.terminals[i].ID).session.Load()
	}
	r.snap.Store(next)
	r.loads.forget(m.rekeyed)
	for i := range copied {
		t := keeps(i)
		if t == nil {
			continue
		}
		late := old.terminals[i].session.Load()
		if late != copied[i] {
			t.session.CompareAndSwap(placed[i], late) // unless a still later one is there
		}
		if late != copied[i] || old.marked(i) {
			next.mark(next.find(&t.ID))
		}
	}
}

// begin starts the sessions that rows bring, before anyone sees the snapshot.
func (r *Registry) begin(next *Snapshot, rows []row) {
	now := r.now().UnixNano()
	for i := range rows {
		if rows[i].pik.N == 0 {
			continue
		}
		at := next.find(&rows[i].ID)
		t := &next.terminals[at]
		if t.Session(now) != nil {
			continue
		}
		t.session.Store(&Session{
			PIK: rows[i].pik, MAK: rows[i].mak, Batch: rows[i].batch,
			Since: now, Until: r.Until(now),
		})
		next.mark(at)
	}
}
