package node

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/audit"
	"tongka/config"
	"tongka/engine"
	"tongka/fault"
	"tongka/offline"
	"tongka/offline/layout"
	"tongka/txn"
)

// records knows the layout of offline records in messages. It belongs to one
// goroutine.
type records struct {
	format *offline.Format
	mac    []byte // names of records are made with it: they stand in keys, which are not sealed
	item   offline.Item
}

// recordFormat reads the layout that a config names, and touches nothing else;
// nil when no records are taken.
func recordFormat(cfg *config.Config) (*offline.Format, error) {
	if cfg.Offline.Messages == "" {
		return nil, nil
	}
	l, err := layout.Open(cfg.Offline.Messages)
	if err != nil {
		return nil, fmt.Errorf("offline.messages: %w", err)
	}
	if l.Header != nil || l.Trailer != nil || l.Form != layout.Fixed {
		return nil, fmt.Errorf("offline.messages: %s: 报文须用定长、无头尾的格式 · messages want records of fixed width without header and trailer", l.Name)
	}
	format, err := offline.NewFormat(l)
	if err != nil {
		return nil, fmt.Errorf("offline.messages: %w", err)
	}
	return format, nil
}

// Check implements engine.OfflineRecords.
func (r *records) Check(b []byte, each func([16]byte)) (sum int64, err error) {
	in := r.format.Layout.NewReader(bytes.NewReader(b), "F62")
	for {
		row, err := in.Next()
		if err == io.EOF {
			return sum, nil
		}
		if err == nil {
			err = r.format.Read(row, "F62", &r.item)
		}
		if err != nil {
			return 0, err
		}
		it := &r.item
		sum += int64(it.Amount)
		h := hmac.New(sha256.New, r.mac)
		for _, part := range [][]byte{it.SAM, it.Card, it.TAC[:]} {
			h.Write(append(part, 0))
		}
		var n [24]byte
		binary.BigEndian.PutUint64(n[:], it.SAMSeq)
		binary.BigEndian.PutUint64(n[8:], it.CardSeq)
		binary.BigEndian.PutUint64(n[16:], it.Amount)
		h.Write(n[:])
		each([16]byte(h.Sum(nil)))
	}
}

const (
	followEvery = 2 * time.Second
	followMost  = 4096 // messages of one file
	followPlan  = "offline-follow"
	offlineTime = 10 * time.Minute // for one file of messages

	seenFor    = 90 * 24 * time.Hour // a record that is sent again is told so by the terminal's answer
	forgetMost = 256                 // uploads in one command: it is a part of a turn
)

// plan is which messages are being made a file. It is kept before the store hears of
// the file, so a run after a crash makes the same, whatever has come since.
type plan struct{ IDs []txn.ID }

func (p *plan) name() string { return fmt.Sprintf("messages-%d-%d", p.IDs[0], p.IDs[len(p.IDs)-1]) }

// followOffline hands what messages brought to the store of offline transactions,
// until the node stops. What cannot be done now is done later: it is on disk.
func (n *Node) followOffline(stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		err := errors.Join(n.handOver(ctx), n.forgetSeen(ctx, time.Now().Add(-seenFor)))
		switch {
		case err == nil:
			said = ""
		case ctx.Err() == nil && err.Error() != said: // not each two seconds
			said = err.Error()
			n.log.Error("offline records of messages wait: they are not in their store yet", fault.Field(fault.OfflineWaits), zap.Error(err))
		}
	}
}

// handOver makes one file of what waits and has the store take it in.
func (n *Node) handOver(ctx context.Context) error {
	p, b, err := n.waitingOffline(ctx)
	if err != nil || len(p.IDs) == 0 {
		return err
	}
	cfg := n.config()
	format, err := recordFormat(cfg)
	if err != nil || format == nil {
		return errors.Join(err, errors.New("offline.messages"))
	}
	store, end, err := OpenOffline(cfg, true)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, offlineTime)
	defer cancel()
	f, err := store.Import(within, &offline.Source{Name: p.name(), Format: format,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}, nil)
	if err = errors.Join(err, end()); err != nil {
		return err
	}
	return n.forgetOffline(ctx, f, p.IDs)
}

// forgetOffline writes the import down and lets its messages go.
func (n *Node) forgetOffline(ctx context.Context, f *offline.File, ids []txn.ID) error {
	o := admin.OfflineImport{File: f.Name, SHA256: f.SHA256, Layout: f.Layout, Stage: string(f.Stage), Records: f.Records, Sum: f.Sum, States: f.States, Faults: f.NumFault}
	head, err := n.audit.Append(o.Entry(audit.Who{UID: os.Getuid(), PID: os.Getpid(), Via: "switch"}))
	if err == nil {
		err = n.keepHead(ctx, head)
	}
	if err == nil {
		err = n.shard.Do(ctx, &engine.HandedOver{IDs: ids, Kept: followPlan})
	}
	return err
}

// forgetSeen forgets the names of records that were taken before a time, some at once.
func (n *Node) forgetSeen(ctx context.Context, before time.Time) error {
	ids, err := engine.OldOffline(n.journal.NewReader(), before.UnixNano(), forgetMost)
	if err != nil || len(ids) == 0 {
		return err
	}
	return n.shard.Do(ctx, &engine.ForgetOffline{IDs: ids})
}

// waitingOffline gives the messages of the plan that was begun, or of a new one,
// which is kept first; none when nothing waits.
func (n *Node) waitingOffline(ctx context.Context) (p plan, b []byte, err error) {
	waiting := map[txn.ID][]byte{}
	var first []txn.ID
	err = engine.EachOffline(n.journal.NewReader(), func(m *engine.OfflineMessage) error {
		switch {
		case len(waiting) == 2*followMost: // what came late stands before what was planned
			return errShownAll
		case len(first) < followMost:
			first = append(first, m.ID)
		}
		waiting[m.ID] = bytes.Clone(m.Records)
		return nil
	})
	if err != nil && !errors.Is(err, errShownAll) || len(first) == 0 {
		return p, nil, err
	}
	kept := engine.Kept{Name: followPlan}
	if err := n.shard.Do(ctx, &kept); err != nil {
		return p, nil, err
	}
	if kept.Value != nil {
		err = json.Unmarshal(kept.Value, &p)
	} else {
		p.IDs = first
		value, wrong := json.Marshal(p)
		err = errors.Join(wrong, n.shard.Do(ctx, &engine.Keep{Name: followPlan, Value: value}))
	}
	if err != nil {
		return p, nil, err
	}
	for _, id := range p.IDs {
		records, there := waiting[id]
		if !there {
			return p, nil, fmt.Errorf("上送 %d 不在库中 · the upload %d of the plan is not there", id, id)
		}
		b = append(b, records...)
	}
	return p, b, nil
}
