package query

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"tongka/flow"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/txn"
)

// Fault is something in a journal that must not be, and where.
type Fault struct {
	Place string `json:"place"` // record tick.index, key or index chunk
	Zh    string `json:"zh"`
	En    string `json:"en"`
}

// Report is what Verify saw.
type Report struct {
	Done    bool    `json:"done"` // false: it is the state of a run that goes on
	OK      bool    `json:"ok"`
	Pages   int     `json:"pages"`
	Records int     `json:"records"`
	Intents int     `json:"intents"`
	Ended   int     `json:"outcomes"`
	Open    int     `json:"open"` // intents without an outcome: in flight, or closed by the next start
	Debts   int     `json:"debts"`
	Chains  int     `json:"chains"`
	Indexed int     `json:"indexed"` // entries of the index that were held against the records
	Index   bool    `json:"index_checked"`
	Total   int     `json:"faults_total"`
	Faults  []Fault `json:"faults"` // the first thousand
}

const maxFaults = 1000

func (r *Report) fault(place, zh, en string) {
	if r.Total++; len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, Fault{place, zh, en})
	}
}

// verifier walks once over all pages. What it keeps is bounded by what is open or owed
// at one time, beside a bit for each transaction.
type verifier struct {
	d      *Desk
	rep    Report
	last   journal.Page // the one before
	any    bool
	known  numbers               // of all transactions with a record
	open   map[txn.ID]uint64     // what an outcome must have in common with its intent, as a hash
	owing  map[txn.ID]txn.LinkID // timed out with money: a debt, or what became of it, must be there
	prints map[journal.LSN]uint64
	chunks []journal.LSN
	upTo   journal.LSN
	floor  journal.Floor // what is before it is gone, by order
	seed   maphash.Seed
	told   time.Time // the last time that somebody heard how far it is
	tell   func(*Report)
}

// tellEvery is the pause between two words about how far a run is.
const tellEvery = time.Second

// Verify unseals every record and holds the journal against itself: no turn
// missing, every intent with one outcome that fits, every timed-out payment
// delivered or still owed, every chain's and every debt's transaction there, the
// index neither behind what it says nor beside the records. Its error says that
// it could not go on; what is wrong stands in the report. tell, if it is given,
// hears once a second how far it is, without the faults.
func (d *Desk) Verify(ctx context.Context, tell func(*Report)) (*Report, error) {
	v := newVerifier(d, tell)
	if err := v.pages(ctx); err != nil {
		return nil, err
	}
	if err := errors.Join(v.indexUpTo(^journal.LSN(0)), v.owed(ctx)); err != nil {
		return nil, err
	}
	v.rep.Open = len(v.open)
	v.rep.OK = v.rep.Total == 0
	v.rep.Done = true
	return &v.rep, nil
}

func newVerifier(d *Desk, tell func(*Report)) *verifier {
	return &verifier{d: d, known: numbers{}, open: map[txn.ID]uint64{}, owing: map[txn.ID]txn.LinkID{}, prints: map[journal.LSN]uint64{},
		seed: maphash.MakeSeed(), told: time.Now(), tell: tell}
}

// step is called for every page, debt and chain.
func (v *verifier) step(ctx context.Context) error {
	looked, err := v.d.pace.step(ctx)
	if !looked || err != nil || v.tell == nil {
		return err
	}
	if now := time.Now(); now.Sub(v.told) >= tellEvery {
		v.told = now
		so := v.rep
		so.Faults = []Fault{}
		v.tell(&so)
	}
	return nil
}

// pages goes through all turns as they are at the call.
func (v *verifier) pages(ctx context.Context) (err error) {
	v.rep.Faults = []Fault{}
	if v.floor, err = v.d.read.Floor(); err != nil {
		return err
	}
	if v.chunks, v.upTo, v.rep.Index, err = v.d.read.IndexChunks(); err != nil {
		v.rep.fault("index", "索引无法读取："+err.Error(), "the index cannot be read: "+err.Error())
		v.rep.Index = false
	}
	return v.d.read.Pages(0, func(p *journal.Page) error {
		if err := v.step(ctx); err != nil {
			return err
		}
		return v.page(p)
	}, v.sealed)
}

// sealed takes a page that cannot be unsealed.
func (v *verifier) sealed(tick uint64, err error) error {
	v.rep.fault(fmt.Sprintf("%d", tick), "无法解密："+err.Error(), "cannot be unsealed: "+err.Error())
	v.any = false
	return nil
}

// page checks that a page follows from the one before.
func (v *verifier) page(p *journal.Page) error {
	v.rep.Pages++
	place := fmt.Sprintf("%d", p.Tick)
	switch was := &v.last; {
	case !v.any:
	case p.Epoch < was.Epoch, p.Epoch == was.Epoch && p.Count <= was.Count:
		v.rep.fault(place, "次序错误：加密早于前一页", "out of order: sealed before the page in front of it")
	case p.Epoch == was.Epoch && p.Tick != was.Tick+1:
		v.rep.fault(place, fmt.Sprintf("之前缺少 %d 页", p.Tick-was.Tick-1), fmt.Sprintf("%d pages are missing before it", p.Tick-was.Tick-1))
	}
	v.last, v.any = *p, true
	err := p.Records(v.record)
	if errors.Is(err, journal.ErrDamaged) {
		v.rep.fault(place, "记录损坏："+err.Error(), "damaged records: "+err.Error())
		return nil
	}
	return err
}

func (v *verifier) record(lsn journal.LSN, r *journal.Record) error {
	v.rep.Records++
	f := &r.Facts
	v.known.add(f.ID)
	switch r.Kind {
	case journal.Intent:
		v.rep.Intents++
		if _, twice := v.open[f.ID]; twice {
			v.rep.fault(lsn.String(), fmt.Sprintf("流水 %d 有两个意向", f.ID), fmt.Sprintf("a second intent of %d", f.ID))
		}
		v.open[f.ID] = v.common(f)
	case journal.Outcome:
		v.outcome(lsn, f)
		v.prints[lsn] = journal.Fingerprint(&f.Terminal, f.MTI, f.Batch, f.Trace)
		if len(v.chunks) > 0 && lsn >= v.chunks[0] {
			return v.indexUpTo(lsn)
		}
		if !v.rep.Index || lsn > v.upTo {
			delete(v.prints, lsn)
		}
	case journal.Owing:
		if err := v.settled(r); err != nil {
			v.rep.fault(lsn.String(), "欠款记录损坏："+err.Error(), "a damaged owing record: "+err.Error())
		}
	case journal.SignedIn, journal.SignedOff, journal.KeyLoad, journal.LinkChanged, journal.Started:
	default:
		v.rep.fault(lsn.String(), fmt.Sprintf("未知记录种类 %d", r.Kind), fmt.Sprintf("unknown kind of record %d", r.Kind))
	}
	return nil
}

// settled takes the end of a debt.
func (v *verifier) settled(r *journal.Record) error {
	c, err := journal.ReadDebtChange(r.Body)
	if err == nil && (c.What == journal.DebtDelivered || c.What == journal.DebtGivenUp) {
		delete(v.owing, r.Facts.ID)
	}
	return err
}

// meanwhile takes the transactions and the ends of debts that a running switch has
// written since the pages were read: debts and chains are looked up later than these,
// and one that is not there any more has its end in the same batch.
func (v *verifier) meanwhile(ctx context.Context) error {
	return v.d.read.Pages(v.last.Tick+1, func(p *journal.Page) error {
		if err := v.step(ctx); err != nil {
			return err
		}
		return p.Records(func(_ journal.LSN, r *journal.Record) error {
			v.known.add(r.Facts.ID)
			if r.Kind == journal.Owing {
				return v.settled(r)
			}
			return nil
		})
	}, v.sealed)
}

// common is the hash of what an outcome must share with its intent.
func (v *verifier) common(f *txn.Facts) uint64 {
	return maphash.Comparable(v.seed, struct {
		amount   int64
		pan      txn.PAN
		terminal txn.Terminal
		kind     txn.Kind
		link     txn.LinkID
	}{f.Amount, f.PAN, f.Terminal, f.Kind, f.Link})
}

// outcome holds an outcome against its intent.
func (v *verifier) outcome(lsn journal.LSN, f *txn.Facts) {
	v.rep.Ended++
	intent, ok := v.open[f.ID]
	delete(v.open, f.ID)
	switch {
	case ok && intent != v.common(f):
		v.rep.fault(lsn.String(), fmt.Sprintf("流水 %d 的结果与意向不符", f.ID), fmt.Sprintf("the outcome of %d does not fit its intent", f.ID))
	case f.ID <= v.floor.Last: // its intent may be gone
	case !ok && f.Sent != 0 && flow.Forwarded(f.Kind) && flow.MovesMoney(f.Kind):
		v.rep.fault(lsn.String(), fmt.Sprintf("流水 %d 曾发往银行而无意向，或有两个结果", f.ID), fmt.Sprintf("%d went to a bank without an intent, or has two outcomes", f.ID))
	}
	if f.Result == txn.TimedOut && f.Sent != 0 && flow.Forwarded(f.Kind) && flow.MovesMoney(f.Kind) {
		v.owing[f.ID] = f.Link
	}
}

// indexUpTo holds the chunks of the index that end at or before a record against
// the outcomes seen by then. Of equal fingerprints a chunk has only the newest.
func (v *verifier) indexUpTo(lsn journal.LSN) error {
	for len(v.chunks) > 0 && v.chunks[0] <= lsn {
		chunk := v.chunks[0]
		v.chunks = v.chunks[1:]
		place := "index " + chunk.String()
		entries, err := v.d.read.IndexChunk(chunk)
		if err != nil {
			v.rep.fault(place, "索引块损坏："+err.Error(), "a damaged chunk: "+err.Error())
			continue
		}
		has := make(map[uint64]journal.LSN, len(entries))
		for _, e := range entries {
			v.rep.Indexed++
			has[e.Print] = e.At
			if print, ok := v.prints[e.At]; e.At >= v.floor.At && (!ok || print != e.Print) {
				v.rep.fault(place, "索引指向不存在的结果 "+e.At.String(), "the index names an outcome that is not there: "+e.At.String())
			}
		}
		for at, print := range v.prints {
			if at > chunk {
				continue
			}
			if newest, ok := has[print]; !ok || newest < at {
				v.rep.fault(place, "索引缺少结果 "+at.String(), "the index lacks the outcome "+at.String())
			}
			delete(v.prints, at)
		}
	}
	return nil
}

// wanted is a transaction that a debt or a chain names, and that had no record when the
// pages were read.
type wanted struct {
	id     txn.ID
	place  string
	zh, en string
}

// owed holds debts and chains against the journal.
func (v *verifier) owed(ctx context.Context) error {
	lost, err := v.debts(ctx)
	if err != nil {
		return err
	}
	loose, err := v.chained(ctx)
	if err != nil {
		return err
	}
	if err := v.meanwhile(ctx); err != nil {
		return err
	}
	for _, id := range sorted(v.owing) {
		v.rep.fault(fmt.Sprintf("transaction %d", id), "超时而冲正既未送达也不再欠 "+v.d.link(v.owing[id]), "timed out, and its reversal is neither delivered nor owed to "+v.d.link(v.owing[id]))
	}
	for _, w := range slices.Concat(lost, loose) {
		if !v.known.has(w.id) {
			v.rep.fault(w.place, w.zh, w.en)
		}
	}
	return nil
}

// debts looks at what is owed, and gives the debts whose transaction was not met.
func (v *verifier) debts(ctx context.Context) (lost []wanted, err error) {
	var over error
	err = storefwd.EachOnDisk(v.d.read.Each, func(to txn.LinkID, d *storefwd.Debt) error {
		if over = v.step(ctx); over != nil {
			return over
		}
		v.rep.Debts++
		delete(v.owing, d.ID)
		if !v.known.has(d.ID) {
			lost = append(lost, wanted{d.ID, fmt.Sprintf("debt %d to %s", d.ID, v.d.link(to)), "所欠交易不在流水中", "its transaction is not in the journal"})
		}
		return nil
	})
	if over == nil && err != nil {
		v.rep.fault("debts", "欠款无法读取："+err.Error(), "debts cannot be read: "+err.Error())
	}
	return lost, over
}

// chained looks at the chains, and gives what they name and was not met.
func (v *verifier) chained(ctx context.Context) (loose []wanted, err error) {
	err = v.d.read.Each([]byte("chain/"), func(key, plain []byte) error {
		if err := v.step(ctx); err != nil {
			return err
		}
		v.rep.Chains++
		place := fmt.Sprintf("chain %x", key)
		c, err := flow.ReadChain(plain)
		if err != nil || len(key) != len("chain/")+8 {
			v.rep.fault(place, "关联记录损坏", fmt.Sprintf("a damaged chain: %v", err))
			return nil
		}
		id := txn.ID(binary.BigEndian.Uint64(key[len("chain/"):]))
		for _, want := range slices.Compact([]txn.ID{id, c.Closed}) {
			if want != 0 && want > v.floor.Last && !v.known.has(want) {
				loose = append(loose, wanted{want, place, fmt.Sprintf("所涉流水 %d 不存在", want), fmt.Sprintf("transaction %d is not there", want)})
			}
		}
		return nil
	})
	return loose, err
}
