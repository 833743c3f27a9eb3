package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"tongka/bench/internal/load"
	"tongka/config"
	"tongka/journal"
	"tongka/translate"
	"tongka/txn"
)

// clearingShape is the load beside the clearing: a city at noon.
const clearingShape = "D"

// Clearing is what the nightly run costs the sales of the switch whose day it
// clears.
type Clearing struct {
	Rows     int     `json:"rows"`    // of each side
	Seconds  float64 `json:"seconds"` // of a run beside a switch that has nothing to do
	Runs     int64   `json:"runs"`    // begun beside the sales
	Alone    Figures `json:"alone"`
	Beside   Figures `json:"beside"`
	Ratio    float64 `json:"tps_ratio"` // median of the pairs' own ratios
	P99Ratio float64 `json:"p99_ratio"`
}

// clearing measures one switch in turns: alone, and while runs clear a day of it, by
// the snapshots that it makes for them, one after the other.
func (b *bench) clearing(ctx context.Context, dir string, bank bankReady) (_ *Clearing, err error) {
	p, err := provision(dir, b.o.terminals(), settings{Bank: bank.Centre, Connections: b.o.connections(), Sleep: b.o.LetSleep})
	if err != nil {
		return nil, err
	}
	r := &Clearing{Rows: b.o.Day}
	day := time.Now().In(translate.Zone).AddDate(0, 0, -2)
	if err := sold(&p, day, b.o.Day); err != nil {
		return nil, err
	}
	s, err := startSwitch(ctx, b.program(), p, false)
	if err != nil {
		return nil, err
	}
	defer stopped(&err, s.stop)
	b.sw = target{switchName, s.cmd.Process.Pid, load.Spec{Address: p.pos}, true}
	began := time.Now()
	if err := b.clear(ctx, &p, day, "first"); err != nil {
		return nil, err
	}
	r.Seconds = time.Since(began).Seconds()
	var alone, beside []load.Result
	var ratios, p99 []float64
	for pair := range b.o.Pairs {
		one, err := b.measure(ctx, &b.sw, clearingShape)
		if err != nil {
			return nil, err
		}
		stop := b.keepClearing(ctx, &p, day, pair, &r.Runs)
		other, err := b.measure(ctx, &b.sw, clearingShape)
		if err = errors.Join(err, stop()); err != nil {
			return nil, err
		}
		alone, beside = append(alone, one), append(beside, other)
		ratios = append(ratios, float64(other.Answers)/other.Seconds/(float64(one.Answers)/one.Seconds))
		p99 = append(p99, other.P99/one.P99)
	}
	r.Alone, r.Beside, r.Ratio, r.P99Ratio = medians(alone), medians(beside), median(ratios), median(p99)
	return r, nil
}

// keepClearing clears the day again and again, each time into a folder of its own,
// until it is stopped. The run that is at work then is killed, which is no error.
func (b *bench) keepClearing(ctx context.Context, p *place, day time.Time, pair int, runs *int64) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	var begun atomic.Int64
	go func() {
		for i := 0; ; i++ {
			begun.Add(1)
			if err := b.clear(ctx, p, day, fmt.Sprintf("beside-%d-%d", pair, i)); err != nil || ctx.Err() != nil {
				if ctx.Err() != nil {
					err = nil
				}
				done <- err
				return
			}
		}
	}()
	return func() error {
		cancel()
		err := <-done
		*runs += begun.Load()
		return err
	}
}

// clear runs the clearing of a day, as a user would.
func (b *bench) clear(ctx context.Context, p *place, day time.Time, folder string) error {
	dir := filepath.Join(p.dir, folder)
	cmd := exec.CommandContext(ctx, b.program(), "clear", "run", "-c", p.config, "--date", day.Format("20060102"),
		"--dir", dir, "--files", filepath.Join(p.dir, "in"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("bench: clear run: %w\n%s", err, out)
	}
	return os.RemoveAll(dir)
}

// sold writes a day of sales into the journal of a switch that has not started yet,
// the bank's file of them, and the rules to clear it by.
func sold(p *place, day time.Time, n int) (err error) {
	cfg, err := config.Load(p.config)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return err
	}
	key, err := journal.LoadKey(cfg.Journal.KeyFile, cfg.JournalDir())
	if err != nil {
		return err
	}
	log, err := journal.Open(journal.Options{Dir: cfg.JournalDir(), Key: key, NoWarm: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	var file strings.Builder
	file.WriteString("rrn,amount\n")
	at := time.Date(day.Year(), day.Month(), day.Day(), 9, 0, 0, 0, day.Location())
	var sum int64
	for i := range n {
		// The transactions of a busy quarter of an hour.
		now := at.Add(time.Duration(i) * 15 * time.Minute / time.Duration(n))
		f := txn.Facts{ID: txn.ID(i + 1), Kind: txn.Sale, MTI: 0x0200, Amount: int64(100 + i%1000), At: now.UnixNano(), Sent: now.UnixNano(), Trace: uint32(1 + i%999_999), Result: txn.Approved}
		copy(f.Terminal.Number[:], "90000001")
		copy(f.Terminal.Merchant[:], "898310048160001")
		if f.PAN, err = txn.ParsePAN(fmt.Appendf(nil, "6225880%09d", i)); err != nil {
			return err
		}
		log.Stamp(now.UnixNano())
		log.Append(&journal.Record{Kind: journal.Outcome, Facts: f})
		sum += f.Amount
		fmt.Fprintf(&file, "%03d%09d,%d\n", day.YearDay(), i+1, f.Amount)
		if i%1000 == 999 || i == n-1 {
			log.Mark(0, txn.ID(n+1))
			if err := errors.Join(log.Commit(), log.Sync()); err != nil {
				return err
			}
		}
	}
	file.WriteString("end," + strconv.Itoa(n) + "," + strconv.FormatInt(sum, 10) + "\n")
	in := filepath.Join(p.dir, "in", day.Format("20060102"))
	if err := os.MkdirAll(in, 0o700); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(in, "bank.csv"), []byte(file.String()), 0o600),
		os.WriteFile(filepath.Join(p.dir, "clearing.yaml"), []byte("match: [{by: [rrn]}]\nfiles: [{name: bank.csv, link: bank, required: true}]\n"), 0o600))
}

func (c *Clearing) print(w io.Writer) {
	fmt.Fprintf(w, "清分 clearing: 每方 %d 行 rows a side, 交换空闲时 beside an idle switch %.1f s\n", c.Rows, c.Seconds)
	fmt.Fprintf(w, "  独自 alone: %.0f TPS, p50 %.0f µs, p99 %.0f µs\n", c.Alone.TPS, c.Alone.P50, c.Alone.P99)
	fmt.Fprintf(w, "  清分中 beside a run: %.0f TPS, p50 %.0f µs, p99 %.0f µs, TPS 比 ratio %.3f, p99 比 ratio %.2f\n",
		c.Beside.TPS, c.Beside.P50, c.Beside.P99, c.Ratio, c.P99Ratio)
}
