package query

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

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

// verifier walks once over all pages.
type verifier struct {
	d      *Desk
	rep    Report
	last   journal.Page // the one before
	any    bool
	open   map[txn.ID]txn.Facts
	owing  map[txn.ID]txn.LinkID // timed out with money: a debt, or what became of it, must be there
	prints map[journal.LSN]uint64
	chunks []journal.LSN
	upTo   journal.LSN
	floor  journal.Floor // what is before it is gone, by order
}

// Verify unseals every record and holds the journal against itself: no turn
// missing, every intent with one outcome that fits, every timed-out payment
// delivered or still owed, every chain's and every debt's transaction there, the
// index neither behind what it says nor beside the records. Its error says that
// it could not go on; what is wrong stands in the report.
func (d *Desk) Verify(ctx context.Context) (*Report, error) {
	v := &verifier{d: d, open: map[txn.ID]txn.Facts{}, owing: map[txn.ID]txn.LinkID{}, prints: map[journal.LSN]uint64{}}
	if err := v.pages(ctx); err != nil {
		return nil, err
	}
	if err := errors.Join(v.indexUpTo(^journal.LSN(0)), v.debts(), v.chained()); err != nil {
		return nil, err
	}
	v.rep.Open = len(v.open)
	v.rep.OK = v.rep.Total == 0
	return &v.rep, nil
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
		if err := v.d.pace.step(ctx); err != nil {
			return err
		}
		return v.page(p)
	}, func(tick uint64, err error) error {
		v.rep.fault(fmt.Sprintf("%d", tick), "无法解密："+err.Error(), "cannot be unsealed: "+err.Error())
		v.any = false
		return nil
	})
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
	f, place := &r.Facts, lsn.String()
	switch r.Kind {
	case journal.Intent:
		v.rep.Intents++
		if _, twice := v.open[f.ID]; twice {
			v.rep.fault(place, fmt.Sprintf("流水 %d 有两个意向", f.ID), fmt.Sprintf("a second intent of %d", f.ID))
		}
		v.open[f.ID] = *f
	case journal.Outcome:
		v.outcome(place, f)
		v.prints[lsn] = journal.Fingerprint(&f.Terminal, f.MTI, f.Batch, f.Trace)
		if len(v.chunks) > 0 && lsn >= v.chunks[0] {
			return v.indexUpTo(lsn)
		}
		if !v.rep.Index || lsn > v.upTo {
			delete(v.prints, lsn)
		}
	case journal.Owing:
		if err := v.settled(r); err != nil {
			v.rep.fault(place, "欠款记录损坏："+err.Error(), "a damaged owing record: "+err.Error())
		}
	case journal.SignedIn, journal.SignedOff, journal.KeyLoad, journal.LinkChanged, journal.Started:
	default:
		v.rep.fault(place, fmt.Sprintf("未知记录种类 %d", r.Kind), fmt.Sprintf("unknown kind of record %d", r.Kind))
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

// meanwhile takes the ends of debts that a running switch has written since the
// pages were read: debts are looked up later than these, and one that is not there
// any more has its end in the same batch.
func (v *verifier) meanwhile() error {
	if len(v.owing) == 0 {
		return nil
	}
	return v.d.read.Pages(v.last.Tick+1, func(p *journal.Page) error {
		return p.Records(func(_ journal.LSN, r *journal.Record) error {
			if r.Kind == journal.Owing {
				return v.settled(r)
			}
			return nil
		})
	}, nil)
}

// outcome holds an outcome against its intent.
func (v *verifier) outcome(place string, f *txn.Facts) {
	v.rep.Ended++
	intent, ok := v.open[f.ID]
	delete(v.open, f.ID)
	switch {
	case ok && (intent.Amount != f.Amount || intent.PAN != f.PAN || intent.Terminal != f.Terminal || intent.Kind != f.Kind || intent.Link != f.Link):
		v.rep.fault(place, fmt.Sprintf("流水 %d 的结果与意向不符", f.ID), fmt.Sprintf("the outcome of %d does not fit its intent", f.ID))
	case f.ID <= v.floor.Last: // its intent may be gone
	case !ok && f.Sent != 0 && flow.Forwarded(f.Kind) && flow.MovesMoney(f.Kind):
		v.rep.fault(place, fmt.Sprintf("流水 %d 曾发往银行而无意向，或有两个结果", f.ID), fmt.Sprintf("%d went to a bank without an intent, or has two outcomes", f.ID))
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

// debts holds what is owed against the journal.
func (v *verifier) debts() error {
	err := storefwd.EachOnDisk(v.d.read.Each, func(to txn.LinkID, d *storefwd.Debt) error {
		v.rep.Debts++
		delete(v.owing, d.ID)
		_, err := v.d.read.FindID(d.ID, new(journal.Record))
		if errors.Is(err, journal.ErrNotFound) {
			v.rep.fault(fmt.Sprintf("debt %d to %s", d.ID, v.d.link(to)), "所欠交易不在流水中", "its transaction is not in the journal")
			return nil
		}
		return err
	})
	if err != nil {
		v.rep.fault("debts", "欠款无法读取："+err.Error(), "debts cannot be read: "+err.Error())
	}
	if err := v.meanwhile(); err != nil {
		return err
	}
	for _, id := range sorted(v.owing) {
		v.rep.fault(fmt.Sprintf("transaction %d", id), "超时而冲正既未送达也不再欠 "+v.d.link(v.owing[id]), "timed out, and its reversal is neither delivered nor owed to "+v.d.link(v.owing[id]))
	}
	return nil
}

// chained holds the chains against the transactions that made them.
func (v *verifier) chained() error {
	return v.d.read.Each([]byte("chain/"), func(key, plain []byte) error {
		v.rep.Chains++
		place := fmt.Sprintf("chain %x", key)
		c, err := flow.ReadChain(plain)
		if err != nil || len(key) != len("chain/")+8 {
			v.rep.fault(place, "关联记录损坏", fmt.Sprintf("a damaged chain: %v", err))
			return nil
		}
		id := txn.ID(binary.BigEndian.Uint64(key[len("chain/"):]))
		for _, want := range slices.Compact([]txn.ID{id, c.Closed}) {
			if want == 0 {
				continue
			}
			_, err := v.d.read.FindID(want, new(journal.Record))
			if errors.Is(err, journal.ErrNotFound) && want <= v.floor.Last {
				continue
			}
			if errors.Is(err, journal.ErrNotFound) {
				v.rep.fault(place, fmt.Sprintf("所涉流水 %d 不存在", want), fmt.Sprintf("transaction %d is not there", want))
			} else if err != nil {
				return err
			}
		}
		return nil
	})
}
