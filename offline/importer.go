package offline

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"tongka/hsm"
	"tongka/offline/layout"
)

// Progress is told while a file is worked on. Total is 0 while it is not known.
type Progress func(stage Stage, done, total uint32)

// Import takes a file in and brings it as far as it goes: to done, to quarantine, or
// to stored when there is nobody to verify TACs. A file that is known goes on where it
// stood; one that is done is given back as it is, marked as a duplicate.
func (s *Store) Import(ctx context.Context, src *Source, tell Progress) (*File, error) {
	f, err := s.register(src)
	if err != nil {
		return nil, err
	}
	again := f.Stage == Done || f.Stage == Quarantined
	err = s.Resume(ctx, f, tell)
	f.Duplicate = again
	return f, err
}

// Resume goes on with a file that is registered.
func (s *Store) Resume(ctx context.Context, f *File, tell Progress) error {
	if tell == nil {
		tell = func(Stage, uint32, uint32) {}
	}
	format, err := s.format(f)
	if err != nil {
		return err
	}
	w := &work{Store: s, f: f, format: format, tell: tell}
	if w.seal, err = newSealer(&s.o, s.secret, f); err != nil {
		return err
	}
	for {
		switch f.Stage {
		case Received:
			err = w.check(ctx)
		case Checked:
			err = w.store(ctx)
		case Stored:
			if s.o.Verifier == nil {
				return s.leave(f)
			}
			err = w.verify(ctx)
		default:
			return s.leave(f)
		}
		if err != nil {
			return err
		}
		if err := s.at(string(f.Stage)); err != nil {
			return err
		}
	}
}

// format is the layout that a file was registered with, whatever has become of the
// layout file since.
func (s *Store) format(f *File) (*Format, error) {
	b, err := s.get(append([]byte("L"), f.Form...))
	if err != nil {
		return nil, err
	}
	l, err := layout.Parse(f.Layout, b)
	if err != nil {
		return nil, err
	}
	return NewFormat(l)
}

// work is a file on its way.
type work struct {
	*Store
	f      *File
	format *Format
	seal   *sealer
	tell   Progress
}

// rows reads every record of every member. A fault is given to bad, and reading goes
// on unless bad gives an error.
func (w *work) rows(ctx context.Context, visit func(member int, row *layout.Row) error, bad func(*layout.Fault) error) error {
	return w.each(w.f, func(i int, in io.Reader) error {
		r := w.format.Layout.NewReader(in, w.f.Members[i].Name)
		for n := 0; ; n++ {
			if n%1024 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			row, err := r.Next()
			if err == nil {
				err = visit(i, row)
			}
			var fault *layout.Fault
			switch {
			case err == io.EOF:
				return nil
			case errors.As(err, &fault):
				if err := bad(fault); err != nil {
					return err
				}
			case err != nil:
				return err
			}
		}
	})
}

// tally is what a first reading of a file finds.
type tally struct {
	*work
	item   Item
	totals map[[2]string]*Total
	heads  map[int]uint64 // count that a header or trailer states, by member
	sums   map[int]uint64
}

// check reads the whole file and keeps nothing of it. What is not whole or not right
// goes to quarantine with all that is wrong, so that nobody settles half a file.
func (w *work) check(ctx context.Context) error {
	w.f.Records, w.f.Sum, w.f.Faults, w.f.NumFault = 0, 0, nil, 0
	for i := range w.f.Members {
		w.f.Members[i].Records, w.f.Members[i].Sum = 0, 0
	}
	t := &tally{work: w, totals: map[[2]string]*Total{}, heads: map[int]uint64{}, sums: map[int]uint64{}}
	err := w.rows(ctx, t.row, t.bad)
	var fault *layout.Fault
	switch {
	case errors.As(err, &fault):
		_ = t.bad(fault) // it only counts
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		// Bytes that do not unpack are as wrong as records that do not read. What the
		// disk cannot read is not the sender's fault.
		var disk *fs.PathError
		if !isZip(w.f.Name) || errors.As(err, &disk) {
			return err
		}
		t.says("%s:1:1: 内容损坏 · damaged: %v", w.f.Name, err)
	}
	t.compare()
	w.f.Stage = Checked
	if w.f.NumFault > 0 {
		w.f.Stage, w.f.Records, w.f.Sum = Quarantined, 0, 0
	}
	b := w.db.NewBatch()
	defer b.Close()
	return w.commit(b, w.f)
}

func (t *tally) bad(f *layout.Fault) error {
	t.says("%s", f.Error())
	return nil
}

func (t *tally) says(format string, args ...any) {
	if t.f.NumFault++; t.f.NumFault <= maxFaultsKept {
		t.f.Faults = append(t.f.Faults, fmt.Sprintf(format, args...))
	}
}

func (t *tally) row(member int, row *layout.Row) error {
	m := &t.f.Members[member]
	if row.Part != layout.Record {
		shape := t.format.Layout.Header
		if row.Part == layout.Trailer {
			shape = t.format.Layout.Trailer
		}
		if i := shape.Index("count"); i >= 0 {
			t.heads[member] = row.Num[i]
		}
		if i := shape.Index("sum"); i >= 0 {
			t.sums[member] = row.Num[i]
		}
		return nil
	}
	if err := t.format.Read(row, m.Name, &t.item); err != nil {
		return err
	}
	if t.f.Company != "" && t.format.at[wCompany] >= 0 && string(t.item.Company) != t.f.Company {
		return t.format.wrong(row, m.Name, t.format.at[wCompany], "不是送交文件的公司 · not the company that sent the file")
	}
	m.Records++
	m.Sum += t.item.Amount
	t.f.Records++
	t.f.Sum += t.item.Amount
	if t.f.Records%65536 == 0 {
		t.tell(Received, t.f.Records, 0)
	}
	if t.f.Totals == nil {
		return nil
	}
	key := [2]string{string(t.item.Company), string(t.item.SettleDate)}
	total := t.totals[key]
	if total == nil {
		if len(t.totals) > maxMembers {
			return t.format.wrong(row, m.Name, t.format.at[wCompany], "公司与日期过多 · too many companies and dates")
		}
		total = &Total{Company: key[0], Date: key[1]}
		t.totals[key] = total
	}
	total.Count++
	total.Sum += t.item.Amount
	return nil
}

// compare holds what was read against what header, list and totals promise.
func (t *tally) compare() {
	for i, m := range t.f.Members {
		if m.Want >= 0 && uint32(m.Want) != m.Records {
			t.says("%s:1:1: 清单写 %d 条，实有 %d · the list says %d records, here are %d", m.Name, m.Want, m.Records, m.Want, m.Records)
		}
		if n, ok := t.heads[i]; ok && n != uint64(m.Records) {
			t.says("%s:1:1: 文件头写 %d 条，实有 %d · the header says %d records, here are %d", m.Name, n, m.Records, n, m.Records)
		}
		if n, ok := t.sums[i]; ok && n != m.Sum {
			t.says("%s:1:1: 文件头写金额 %d 分，实为 %d · the header says a sum of %d fen, it is %d", m.Name, n, m.Sum, n, m.Sum)
		}
	}
	if t.f.Totals == nil {
		return
	}
	for _, want := range t.f.Totals {
		got := t.totals[[2]string{want.Company, want.Date}]
		if got == nil {
			got = &Total{}
		}
		if got.Count != want.Count || got.Sum != want.Sum {
			t.says("AL:1:1: %s %s: 汇总 %d 条 %d 分，实为 %d 条 %d 分 · totals say %d records of %d fen, here are %d of %d",
				want.Company, want.Date, want.Count, want.Sum, got.Count, got.Sum, want.Count, want.Sum, got.Count, got.Sum)
		}
		delete(t.totals, [2]string{want.Company, want.Date})
	}
	for _, extra := range slices.SortedFunc(maps.Values(t.totals), func(a, b *Total) int {
		return slices.Compare([]string{a.Company, a.Date}, []string{b.Company, b.Date})
	}) {
		t.says("AL:1:1: %s %s: 汇总中没有 · not in the totals", extra.Company, extra.Date)
	}
}

// page gathers records until it is full.
type page struct {
	number  uint32
	first   uint32 // number in the file of its first record
	records []byte
	states  []byte
	fresh   map[indexKey][]byte
	batch   *pebble.Batch
}

// store keeps the records, a page at a time, each with what the books say of it and
// with its place in the indexes.
func (w *work) store(ctx context.Context) error {
	p := &page{number: w.f.Pages, first: w.f.Pages * w.o.records(), fresh: map[indexKey][]byte{}, batch: w.db.NewBatch()}
	defer func() { _ = p.batch.Close() }()
	var item Item
	at := uint32(0)
	err := w.rows(ctx, func(member int, row *layout.Row) error {
		if row.Part != layout.Record {
			return nil
		}
		at++
		if at <= p.first { // an earlier run kept it
			return nil
		}
		if err := w.format.Read(row, w.f.Members[member].Name, &item); err != nil {
			return err
		}
		if err := w.add(p, member, row, &item); err != nil {
			return err
		}
		if len(p.states) == 2*int(w.o.records()) {
			return w.flush(p)
		}
		return nil
	}, func(f *layout.Fault) error { return f }) // the file was right a moment ago
	if err != nil {
		return err
	}
	if len(p.states) > 0 {
		if err := w.flush(p); err != nil {
			return err
		}
	}
	w.f.Stage = Stored
	b := w.db.NewBatch()
	defer b.Close()
	return w.commit(b, w.f)
}

func (w *work) add(p *page, member int, row *layout.Row, it *Item) error {
	reason := w.o.Books.Judge(it, w.format.at[wBefore] >= 0, w.format.at[wAfter] >= 0)
	if reason == Fine {
		var err error
		if reason, err = w.index(p, it); err != nil {
			return err
		}
	}
	state := Waiting
	if reason != Fine {
		state = state.to(Refused)
	}
	p.records = binary.AppendUvarint(p.records, uint64(member))
	p.records = binary.AppendUvarint(p.records, uint64(row.Line))
	p.records = binary.AppendUvarint(p.records, uint64(len(row.Raw)))
	p.records = append(p.records, row.Raw...)
	p.states = append(p.states, byte(state), byte(reason))
	return nil
}

// index looks whether the transaction is here already, and notes it when it is not.
// Two records are one transaction when card, card counter and TAC agree; a SAM gives
// each of its numbers once.
func (w *work) index(p *page, it *Item) (Reason, error) {
	owner := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w.f.ID), p.first+uint32(len(p.states)/2))
	var keys [2]indexKey
	n := 0
	if w.format.at[wCardSeq] >= 0 {
		// A card counts its loads and its purchases apart.
		counter := it.CardSeq << 1
		if it.Kind == hsm.PurseLoad {
			counter |= 1
		}
		k := w.find.key('C', it.Card, counter)
		old, err := w.lookup(p, &k)
		switch {
		case err != nil:
			return Fine, err
		case len(old) == 12 && [4]byte(old[8:]) == it.TAC:
			return Duplicate, nil
		case old != nil:
			return CountWrong, nil
		}
		keys[n], n = k, n+1
	}
	if w.format.at[wSAMSeq] >= 0 {
		k := w.find.key('P', it.SAM, it.SAMSeq)
		old, err := w.lookup(p, &k)
		if err != nil || old != nil {
			return SAMUsedTwice, err
		}
		keys[n], n = k, n+1
	}
	for _, k := range keys[:n] {
		v := owner
		if k[0] == 'C' {
			v = append(slices.Clone(owner), it.TAC[:]...)
		}
		p.fresh[k] = v
		if err := p.batch.Set(k[:], v, nil); err != nil {
			return Fine, err
		}
	}
	return Fine, nil
}

func (w *work) lookup(p *page, k *indexKey) ([]byte, error) {
	if v, ok := p.fresh[*k]; ok {
		return v, nil
	}
	return w.get(k[:])
}

// flush makes a page durable with all that belongs to it, and begins the next.
func (w *work) flush(p *page) error {
	key := pageKey('R', w.f.ID, p.number)
	err := errors.Join(p.batch.Set(key, w.seal.seal(p.number, key, p.records), nil),
		p.batch.Set(pageKey('Z', w.f.ID, p.number), p.states, nil))
	if err != nil {
		return err
	}
	if err := w.at("page"); err != nil {
		return err
	}
	w.f.Pages = p.number + 1
	if err := w.commit(p.batch, w.f); err != nil {
		return err
	}
	p.first += uint32(len(p.states) / 2)
	w.tell(Checked, p.first, w.f.Records)
	p.number++
	p.records, p.states = p.records[:0], p.states[:0]
	clear(p.fresh)
	p.batch.Reset()
	return w.at("page kept")
}

// verify has the TACs of every waiting record looked at, page by page. It changes
// nothing but states and would find the same again, so pages need no sync of their
// own: the last one makes all of them durable.
func (w *work) verify(ctx context.Context) error {
	states, codes := map[string]uint32{}, [numCodes]uint32{}
	for n := range w.f.Pages {
		pg, err := w.load(w.f, n)
		if err != nil {
			return err
		}
		changed, err := w.judge(ctx, pg)
		if err != nil {
			return err
		}
		if changed {
			if err := w.db.Set(pageKey('Z', w.f.ID, n), pg.states, pebble.NoSync); err != nil {
				return fmt.Errorf("offline: %w", err)
			}
			if err := w.at("page verified"); err != nil {
				return err
			}
		}
		for i := 0; i < len(pg.states); i += 2 {
			states[string(pg.states[i])]++
			codes[Reason(pg.states[i+1]).Code()-'0']++
		}
		w.tell(Stored, min((n+1)*w.o.records(), w.f.Records), w.f.Records)
	}
	w.f.Stage, w.f.States, w.f.Codes = Done, states, codes
	b := w.db.NewBatch()
	defer b.Close()
	return w.commit(b, w.f)
}

// judge verifies the waiting records of one page.
func (w *work) judge(ctx context.Context, pg *loaded) (changed bool, err error) {
	checks := make([]Check, 0, len(pg.entries))
	cards := make([]hsm.Card, 0, len(pg.entries)) // never grows: checks point into it
	var at []int
	var item Item
	for i := range pg.entries {
		if State(pg.states[2*i]) != Waiting {
			continue
		}
		changed = true
		if err := w.read(pg, i, &item); err != nil {
			return false, err
		}
		key, ok := w.o.Keys.Find(item.Key)
		if !ok {
			pg.set(i, BadTAC, KeyUnknown)
			continue
		}
		cards = append(cards, item.Proof)
		checks = append(checks, Check{Key: key, Card: &cards[len(cards)-1], TAC: item.TAC})
		at = append(at, i)
	}
	if len(checks) > 0 {
		if err := w.o.Verifier.Verify(ctx, checks); err != nil {
			return false, err
		}
	}
	for n, i := range at {
		if checks[n].Good {
			pg.set(i, Verified, Fine)
		} else {
			pg.set(i, BadTAC, TACWrong)
		}
	}
	return changed, nil
}
