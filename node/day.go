package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"tongka/admin"
	"tongka/config"
	"tongka/engine"
	"tongka/router"
	"tongka/translate"
)

// maxDownload is the size in bytes of what one download may hold.
const maxDownload = 16 << 20

// Day makes what the shard is told of terminals' days, with the files that they
// load read into memory.
func Day(cfg *config.Config) (engine.Day, error) {
	in := &cfg.Day
	d := engine.Day{CountVoided: in.CountVoided, ShortMAK: groups(in.ShortMAKGroups), Keys: engine.KeyCodes{Ask: in.KeyAsk, Taken: in.KeyTaken}}
	if len(in.Signals) == 3 {
		d.Signals = engine.Signals{None: in.Signals[0], Last: in.Signals[1], More: in.Signals[2]}
	}
	for _, s := range in.ForeignBINs {
		r, err := router.ParseRange(s)
		if err != nil {
			return d, fmt.Errorf("day.foreign_bins: %w", err)
		}
		d.Foreign = append(d.Foreign, r)
	}
	for i := range in.Downloads {
		l := &in.Downloads[i]
		data, err := download(l.File)
		if err != nil {
			return d, fmt.Errorf("day.downloads[%d] 下载 · download: %w", i, err)
		}
		d.Downloads = append(d.Downloads, engine.Download{Code: l.Code, Version: l.Version, Groups: groups(l.Groups), Data: data, Block: l.Block})
	}
	return d, nil
}

func download(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxDownload:
		return nil, fmt.Errorf("%s: 不是文件，或超过 %d 字节 · no file, or more than %d bytes", path, maxDownload, maxDownload)
	}
	return os.ReadFile(path)
}

func groups(in []int) (out []uint16) {
	for _, g := range in {
		out = append(out, uint16(g))
	}
	return out
}

// Batches implements admin.Switch.
func (n *Node) Batches(ctx context.Context) ([]admin.Batch, error) {
	n.acting.Lock() // or the journal could be closed meanwhile
	defer n.acting.Unlock()
	if !n.opened {
		return nil, errors.New("交换正在启动或停止 · the switch is being started or stopped")
	}
	all := []admin.Batch{}
	err := engine.EachBatch(n.journal.NewReader(), func(b *engine.Batch) error {
		if err := ctx.Err(); err != nil || b.Balanced() {
			return err
		}
		out := admin.Batch{Merchant: strings.TrimRight(string(b.Terminal.Merchant[:]), " "), Terminal: strings.TrimRight(string(b.Terminal.Number[:]), " "),
			Batch: b.Number, Own: verdict(b.Verdict[0]), Foreign: verdict(b.Verdict[1]), Items: b.Items}
		for i := range b.Faults {
			f := &b.Faults[i]
			words := f.Why.Words()
			out.Faults = append(out.Faults, admin.BatchFault{Trace: f.Trace, Card: f.Card().String(), Theirs: f.Theirs, Ours: f.Ours, Zh: words.ZH, En: words.EN})
		}
		all = append(all, out)
		return nil
	})
	return all, err
}

func verdict(v translate.Verdict) string {
	if v == 0 {
		return ""
	}
	return string(rune(v))
}
