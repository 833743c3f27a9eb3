package node

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"

	"tongka/admin"
	"tongka/audit"
	"tongka/console"
	"tongka/journal"
	"tongka/journal/query"
	"tongka/txn"
)

// readShare is the part of a processor's time that questions about the journal
// may take while the switch runs.
const readShare = 0.25

var (
	errBusy    = errors.New("另一查询正在进行 · another question is being answered: ask again")
	errTopic   = errors.New("没有这个查询 · there is no such question")
	errProof   = errors.New("显示完整卡号须持流水密钥 · whole card numbers want the journal's key file")
	errStopped = errors.New("交换正在启动或停止 · the switch is being started or stopped")
)

// Ask implements admin.Switch. Questions about the journal are answered one at a
// time, beside the loop.
func (n *Node) Ask(ctx context.Context, who audit.Who, topic string, question []byte, out func(any) error) error {
	switch topic {
	case admin.JournalFind, admin.JournalShow, admin.JournalVerify, admin.JournalKeys:
		return n.askJournal(ctx, who, topic, question, out)
	case admin.DebtList, admin.DebtShow:
		var q admin.DebtQuery
		if err := unmarshal(question, &q); err != nil {
			return err
		}
		return n.listDebts(ctx, &q, topic == admin.DebtShow, out)
	case admin.DebtOrdered, admin.DebtConfirm:
		var o admin.DebtOrder
		if err := unmarshal(question, &o); err != nil {
			return err
		}
		return out(n.orderDebt(ctx, who, &o, topic == admin.DebtConfirm))
	case admin.FaultList:
		return each(console.Faults(n.opts.Faults), out)
	case admin.FrameList:
		return each(console.Frames(n.Snapshot()), out)
	case admin.DebtProposals:
		for _, p := range n.proposals.list() {
			if err := out(p); err != nil {
				return err
			}
		}
		return nil
	case admin.OfflineNote:
		var o admin.OfflineImport
		if err := unmarshal(question, &o); err != nil {
			return err
		}
		return n.noteDesk(ctx, o.Entry(who))
	case admin.DeskNote:
		var o admin.Note
		if err := unmarshal(question, &o); err != nil {
			return err
		}
		return n.noteDesk(ctx, o.Entry(who))
	case admin.DayClock:
		return out(n.clock())
	case admin.CardsParked:
		var q admin.CardQuery
		if err := unmarshal(question, &q); err != nil {
			return err
		}
		return n.listParked(&q, out)
	case admin.CardsDecide, admin.CardsConfirm:
		var o admin.CardOrder
		if err := unmarshal(question, &o); err != nil {
			return err
		}
		return out(n.orderCard(ctx, who, &o, topic == admin.CardsConfirm))
	case admin.CardsWaiting:
		for _, p := range n.decisions.list() {
			if err := out(p); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%w: %q", errTopic, topic)
}

func each[T any](all []T, out func(any) error) error {
	for i := range all {
		if err := out(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

func unmarshal(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("查询有误 · not a question: %w", err)
	}
	return nil
}

// reading lets one question at a time at the journal, and none once the stores
// are about to close. done must be called.
func (n *Node) reading(ctx context.Context) (_ context.Context, done func(), err error) {
	n.acting.Lock()
	defer n.acting.Unlock()
	if !n.opened {
		return nil, nil, errStopped
	}
	if !n.asking.TryLock() {
		return nil, nil, errBusy
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(n.asks, cancel)
	return ctx, func() { stop(); cancel(); n.asking.Unlock() }, nil
}

// endReading sends away who still reads, and waits for that.
func (n *Node) endReading() {
	if n.endAsks != nil {
		n.endAsks()
		n.asking.Lock() // and kept: nobody comes after
	}
}

func (n *Node) askJournal(ctx context.Context, who audit.Who, topic string, question []byte, out func(any) error) error {
	var sealed admin.Sealed
	if err := unmarshal(question, &sealed); err != nil {
		return err
	}
	ctx, done, err := n.reading(ctx)
	if err != nil {
		return err
	}
	defer done()
	read := n.journal.NewReader()
	if topic == admin.JournalKeys {
		uses, err := read.KeyUses()
		return errors.Join(err, each(uses, out))
	}
	desk, err := query.NewDesk(read, readShare)
	if err != nil {
		return err
	}
	unmask := func(wanted bool) error { return n.unmasked(ctx, who, topic, &sealed, wanted) }
	switch topic {
	case admin.JournalFind:
		var q query.Query
		if err := errors.Join(unmarshal(sealed.Query, &q), unmask(q.Unmask)); err != nil {
			return err
		}
		return desk.Find(ctx, &q, func(r *query.Row) error { return out(r) })
	case admin.JournalShow:
		var q admin.StoryQuery
		if err := errors.Join(unmarshal(sealed.Query, &q), unmask(q.Unmask)); err != nil {
			return err
		}
		story, err := desk.Show(ctx, txn.ID(q.ID), q.RRN, q.Unmask)
		if err != nil {
			return err
		}
		return out(story)
	}
	report, err := desk.Verify(ctx, func(r *query.Report) { _ = out(r) }) // who does not hear it any more is met at the end
	if err != nil {
		return err
	}
	return out(report)
}

// unmasked lets whole card numbers out to who can read the key file, and writes
// that down first: without the line nothing is shown.
func (n *Node) unmasked(ctx context.Context, who audit.Who, topic string, q *admin.Sealed, wanted bool) error {
	if !wanted {
		return nil
	}
	e := audit.Entry{Who: who, Action: "unmask", What: topic, Result: "ok"}
	allowed := hmac.Equal(q.Proof, journal.Proof(&n.masterKey, q.Query))
	if !allowed {
		e.Result, e.Why = "refused", errProof.Error()
	}
	head, err := n.audit.Append(e)
	if err == nil {
		err = n.keepHead(ctx, head)
	}
	if err == nil && !allowed {
		err = errProof
	}
	return err
}
