package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"tongka/bench/internal/load"
	"tongka/bench/internal/poll"
	"tongka/config"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/txn"

	"golang.org/x/sys/unix"
)

// safShape is the load beside the debts: a city at noon.
const safShape = "D"

// SAF is what a great many debts to a bank that cannot be reached cost the sales
// to another, and how fast they go when it is there.
type SAF struct {
	Debts      int     `json:"debts"`
	Alone      Figures `json:"alone"`  // the sales of a switch that owes nothing
	Beside     Figures `json:"beside"` // of one that owes
	Ratio      float64 `json:"tps_ratio"`
	RSSAlone   int64   `json:"rss_alone"` // bytes, both after the same sales
	RSSBeside  int64   `json:"rss_beside"`
	Opened     float64 `json:"opened_seconds"` // to start with all debts
	Deliveries float64 `json:"deliveries_per_second"`
}

func (s *SAF) growth() float64 { return float64(s.RSSBeside-s.RSSAlone) / 1e6 }

// saf measures two switches in turns, one without debts and one with, then lets
// the debtor come back.
func (b *bench) saf(ctx context.Context, dir string, bank bankReady) (_ *SAF, err error) {
	nobody, release, err := closedPort()
	if err != nil {
		return nil, err
	}
	defer stopped(&err, release)
	r := &SAF{Debts: b.o.Debts}
	var places [2]place
	for i, name := range []string{"alone", "owing"} {
		d := filepath.Join(dir, name)
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, err
		}
		if places[i], err = provision(d, b.o.terminals(), settings{Bank: bank.Centre, Connections: b.o.connections(), Sleep: b.o.LetSleep, Debtor: nobody}); err != nil {
			return nil, err
		}
	}
	if err := owe(places[1].config, b.o.Debts); err != nil {
		return nil, err
	}
	if err := b.safSales(ctx, places, r); err != nil {
		return nil, err
	}
	// The same folder, and now the debtor is the bank that answers.
	p, err := provision(places[1].dir, b.o.terminals(), settings{Bank: bank.Centre, Connections: b.o.connections(), Sleep: b.o.LetSleep, Debtor: bank.Centre})
	if err != nil {
		return nil, err
	}
	r.Deliveries, err = b.deliveries(ctx, p)
	return r, err
}

// safSales loads both in turns and looks at their memory.
func (b *bench) safSales(ctx context.Context, places [2]place, r *SAF) (err error) {
	var both [2]target
	for i, p := range places {
		began := time.Now()
		s, err := startSwitch(ctx, b.program(), p, false)
		if err != nil {
			return err
		}
		defer stopped(&err, s.stop)
		r.Opened = time.Since(began).Seconds() // the second one counts
		both[i] = target{[]string{"alone", "owing"}[i], s.cmd.Process.Pid, load.Spec{Address: p.pos}, true}
	}
	if err := shows(ctx, places[1].console, func(a *owing) bool { return *a.Owed == r.Debts }); err != nil {
		return err
	}
	var alone, beside []load.Result
	var ratios []float64
	for range b.o.Pairs {
		one, err := b.measure(ctx, &both[0], safShape)
		if err != nil {
			return err
		}
		other, err := b.measure(ctx, &both[1], safShape)
		if err != nil {
			return err
		}
		alone, beside = append(alone, one), append(beside, other)
		ratios = append(ratios, float64(other.Answers)/other.Seconds/(float64(one.Answers)/one.Seconds))
	}
	r.Alone, r.Beside, r.Ratio = medians(alone), medians(beside), median(ratios)
	if r.RSSAlone, err = settle(ctx, both[0].pid); err != nil {
		return err
	}
	r.RSSBeside, err = settle(ctx, both[1].pid)
	return err
}

// deliveries gives how many debts a second a switch delivers to a bank that
// answers at once.
func (b *bench) deliveries(ctx context.Context, p place) (rate float64, err error) {
	watched, stop := context.WithTimeout(ctx, 5*time.Minute)
	defer stop()
	paid := make(chan payment, 1)
	go func() { paid <- watchPayment(watched, p.console) }() // the first pictures of a start show no debts yet
	s, err := startSwitch(ctx, b.program(), p, false)
	if err != nil {
		return 0, err
	}
	defer stopped(&err, s.stop)
	return (<-paid).rate()
}

// payment is what was seen of debts that go.
type payment struct {
	debts int // at the first look that showed any, or all when they had gone by then
	took  time.Duration
}

func (p payment) rate() (float64, error) {
	if p.debts == 0 || p.took <= 0 {
		return 0, errors.New("投递在首次查看之前已结束 · the debts were gone before anybody looked")
	}
	return float64(p.debts) / p.took.Seconds(), nil
}

// watchPayment looks from before the start until nothing is owed any more. While
// the switch does not answer yet, or has read none, it looks again. Few debts may go
// between two pictures: then they took no longer than since it began to answer.
func watchPayment(ctx context.Context, console netip.AddrPort) (p payment) {
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	began := time.Now()
	for ctx.Err() == nil {
		a, err := owed(ctx, console)
		switch {
		case err != nil || a.At == "":
			began = time.Now()
		case *a.Owed > 0 && p.debts == 0:
			p.debts, began = *a.Owed, time.Now()
		case *a.Owed == 0 && p.debts == 0 && a.Counters.Delivered > 0: // all between two pictures
			return payment{a.Counters.Delivered, time.Since(began)}
		case *a.Owed == 0 && p.debts > 0:
			p.took = time.Since(began)
			return p
		}
		select {
		case <-ctx.Done():
		case <-every.C:
		}
	}
	return p
}

// owing is what a switch says of itself.
type owing struct {
	At       string `json:"at"` // empty before its first picture; one is made four times a second
	Owed     *int   `json:"owed"`
	Counters struct {
		Delivered int `json:"delivered"`
	} `json:"counters"`
}

// shows waits until a switch says what is wanted.
func shows(ctx context.Context, console netip.AddrPort, ok func(*owing) bool) error {
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for {
		a, err := owed(ctx, console)
		if err != nil || ok(a) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("saf: %d owed: %w", *a.Owed, context.Cause(ctx))
		case <-every.C:
		}
	}
}

// owed asks a switch how much it owes.
func owed(ctx context.Context, console netip.AddrPort) (*owing, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/api/snapshot", console), nil)
	if err != nil {
		return nil, err
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	a := &owing{}
	if err := json.NewDecoder(r.Body).Decode(a); err != nil || a.Owed == nil {
		return nil, fmt.Errorf("saf: %s says nothing of what is owed: %w", console, err)
	}
	return a, nil
}

// owe writes sales that timed out, and their debts to the second link, into the journal
// of a switch that has not started yet, each of a card of its own.
func owe(file string, n int) (err error) {
	cfg, err := config.Load(file)
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
	q := storefwd.New(log, make([]storefwd.Policy, 2), 1)
	now := time.Now().UnixNano()
	for i := range n {
		f := txn.Facts{ID: txn.ID(i + 1), Kind: txn.Sale, MTI: 0x0200, Amount: int64(100 + i%1000), At: now, Sent: now, Link: 1, Trace: uint32(1 + i%999_999)}
		copy(f.Terminal.Number[:], "90000001")
		copy(f.Terminal.Merchant[:], "898310048160001")
		if f.PAN, err = txn.ParsePAN(fmt.Appendf(nil, "6225880%09d", i)); err != nil {
			return err
		}
		log.Append(&journal.Record{Kind: journal.Intent, Facts: f})
		f.Result, f.Code = txn.TimedOut, txn.NoAnswer
		log.Append(&journal.Record{Kind: journal.Outcome, Facts: f})
		q.Owe(&f, storefwd.Reversal, nil, 1, now)
		if i%1000 == 999 || i == n-1 {
			log.Mark(log.Next(), txn.ID(n+1)) // nothing is open
			if err := errors.Join(log.Commit(), log.Sync()); err != nil {
				return err
			}
		}
	}
	return nil
}

// closedPort is one that nobody listens at, and nobody else can take until it is
// released: it is bound.
func closedPort() (at netip.AddrPort, release func() error, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return at, nil, os.NewSyscallError("socket", err)
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		at, err = poll.Bound(fd)
	}
	if err != nil {
		return at, nil, errors.Join(fmt.Errorf("bench: a port that is closed: %w", err), unix.Close(fd))
	}
	return at, func() error { return unix.Close(fd) }, nil
}

func (s *SAF) check(o *Options) (missed []error) {
	miss := func(flag string, limit, got float64) {
		missed = append(missed, fmt.Errorf("未达标 missed: --%s %g：%.3g", flag, limit, got))
	}
	if s.Ratio < o.MinSAF {
		miss("min-saf-ratio", o.MinSAF, s.Ratio)
	}
	if o.MaxSAF > 0 && s.growth() > o.MaxSAF {
		miss("max-saf-memory", o.MaxSAF, s.growth())
	}
	if s.Deliveries < o.MinDelivery {
		miss("min-deliveries", o.MinDelivery, s.Deliveries)
	}
	return missed
}

func (s *SAF) print(w io.Writer) {
	fmt.Fprintf(w, "存储转发 store and forward: 所欠 debts %d, 启动 started in %.1f s\n", s.Debts, s.Opened)
	fmt.Fprintf(w, "  无欠款 owing nothing: %.0f TPS, p50 %.0f µs, p99 %.0f µs, %.2f CPU µs\n", s.Alone.TPS, s.Alone.P50, s.Alone.P99, s.Alone.CPU)
	fmt.Fprintf(w, "  有欠款 owing: %.0f TPS, p50 %.0f µs, p99 %.0f µs, %.2f CPU µs, TPS 比 ratio %.3f\n", s.Beside.TPS, s.Beside.P50, s.Beside.P99, s.Beside.CPU, s.Ratio)
	fmt.Fprintf(w, "  内存 memory: %.0f → %.0f MB, 增长 growth %.0f MB\n", float64(s.RSSAlone)/1e6, float64(s.RSSBeside)/1e6, s.growth())
	fmt.Fprintf(w, "  投递 deliveries: %.0f/s\n", s.Deliveries)
}
