// Package fleet plays terminals that sell: each signs in, makes sales with a MAC,
// checks the answers, and takes back by a reversal what it does not know the end
// of, as the UnionPay POS specification wants it.
package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/sim/book"
	"tongka/sim/internal/aid"
	"tongka/sim/internal/y1993"
	"tongka/txn"
)

// Terminal is one terminal and what its owner loaded into it.
type Terminal struct {
	Merchant string     // F42, 15 characters
	Number   string     // F41, 8 characters
	TMK      []byte     // terminal master key in clear, 16 bytes
	MAC      hsm.MACAlg // of F64
	SM4      bool       // its keys are for SM4; it sells without PINs
	// SignIn is F60.3 of a sign-in: 001 for single-length keys, 003 for double-length
	// ones, which "" is, 004 with a key for track data; a terminal with SM4 says 006.
	SignIn string
	// Transport is the key that a mother POS has loaded, and Serial the number of the
	// hardware, for a terminal that downloads its TMK.
	Transport []byte
	Serial    string
	PANs      []string // cards it sells to, by turns; test numbers only
}

// Config describes a fleet of terminals that sell.
type Config struct {
	Addr          string        // of the switch's terminal listener
	Terminals     []Terminal    //
	Rate          float64       // sales a second of the whole fleet; 0 = each sells as soon as it is answered
	Sales         int           // each terminal stops after so many, 0 = never
	First         uint32        // number of the first sale of a terminal without a book; 1 when 0. Amount and trace follow from it
	PINShare      float64       // share of sales with a PIN block, 0..1
	EnquiryShare  float64       // share of turns in which a terminal asks for a balance instead of selling, 0..1
	Mix           Mix           // what terminals do besides selling; nil for nothing
	AnswerTimeout time.Duration // 40 s when 0
	Books         string        // file of all terminals' sales; "" keeps them in memory only
	Dialect       string        // 93a or 93b; empty is pos
	ShortLived    bool          // connect, send, receive, close for each sale
	LoadKeys      bool          // each terminal that has a Transport key downloads its TMK before the first sign-in
	Log           *zap.Logger   // nil = silent
}

// Quantiles describe durations in microseconds.
type Quantiles struct {
	Count int64 `json:"count"`
	P50   int64 `json:"p50_us"`
	P90   int64 `json:"p90_us"`
	P99   int64 `json:"p99_us"`
	P999  int64 `json:"p999_us"`
	Max   int64 `json:"max_us"`
}

// Stats counts events since New; Unresolved and SignedIn describe now.
type Stats struct {
	Sent       uint64 `json:"sent"`
	Approved   uint64 `json:"approved"`
	Declined   uint64 `json:"declined"`   // without code 98
	TimedOut   uint64 `json:"timed_out"`  // no answer, a bad one, or code 98
	BadMAC     uint64 `json:"bad_mac"`    // of these, answers whose MAC was wrong
	Enquiries  uint64 `json:"enquiries"`  // balance enquiries answered, with any code
	Unanswered uint64 `json:"unanswered"` // balance enquiries without an answer, or with a bad one
	Reversed   uint64 `json:"reversed"`
	Repeats    uint64 `json:"repeats"` // reversals sent again
	SignIns    uint64 `json:"sign_ins"`
	Connects   uint64 `json:"connects"`
	Stray      uint64 `json:"stray"` // frames that answered nothing asked
	// Approved by kind, when there is a Mix: what is no sale.
	Kinds      map[txn.Kind]uint64 `json:"-"`
	Unresolved int                 `json:"unresolved"` // open, or a reversal is due
	SignedIn   int                 `json:"signed_in"`
	Fault      Fault               `json:"fault,omitzero"` // why the newest sign-in failed; empty after one that worked
	Answer     Quantiles           `json:"answer"`         // request sent to answer read, answered sales only
	Due        Quantiles           `json:"due"`            // the same from when the sale was due at Rate, so waiting counts
}

// Fleet is a number of terminals, each a goroutine with a connection.
type Fleet struct {
	cfg       Config
	speaker   *y1993.Speaker // nil for pos
	log       *zap.Logger
	terminals []*terminal
	interval  time.Duration // between two sales of one terminal, 0 in a closed loop
	ctx       context.Context
	cancel    context.CancelCauseFunc
	stopping  chan struct{} // closed by Settle
	stopOnce  sync.Once
	signed    chan struct{} // closed when every terminal has signed in once
	done      chan struct{} // closed when every terminal has ended
	started   atomic.Bool
	stepped   atomic.Bool // its terminals do what a Day tells them
	n         counters

	mu     sync.Mutex // guards the rest
	book   *book.File
	ready  map[int]struct{} // terminals that have signed in once
	fault  Fault
	told   map[Fault]struct{} // faults that stand in the log
	answer *hdrhistogram.Histogram
	dues   *hdrhistogram.Histogram
}

// counters are what the terminals' goroutines count without a lock.
type counters struct {
	sent, approved, declined, timedOut, badMAC, reversed, enquiries, unanswered, repeats, signIns, connects, stray atomic.Uint64
	kinds                                                                                                          [txn.Kinds]atomic.Uint64
	unresolved, signed                                                                                             atomic.Int64
}

const (
	defaultAnswerTimeout = 40 * time.Second
	maxTerminals         = 100_000
	maxLatency           = 10 * time.Minute // longer ones are recorded as this
)

func (c *Config) validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("fleet: "+format, args...))
		}
	}
	fault(c.Addr == "", "Addr is empty")
	fault(len(c.Terminals) == 0 || len(c.Terminals) > maxTerminals, "%d terminals: wanted 1 to %d", len(c.Terminals), maxTerminals)
	fault(!(c.Rate >= 0 && c.Rate <= 1e6), "rate %v: wanted 0 to 1,000,000 a second", c.Rate)
	fault(!(c.PINShare >= 0 && c.PINShare <= 1), "PIN share %v: wanted 0 to 1", c.PINShare)
	fault(!(c.EnquiryShare >= 0 && c.EnquiryShare <= 1), "enquiry share %v: wanted 0 to 1", c.EnquiryShare)
	fault(c.AnswerTimeout < 0, "answer timeout %v: wanted 0 or more", c.AnswerTimeout)
	fault(c.Sales < 0, "sales %d: wanted 0 or more", c.Sales)
	if err := c.Mix.validate(); err != nil {
		fault(true, "%w", err)
	}
	for i := range c.Terminals {
		t := &c.Terminals[i]
		fault(len(t.Number) != 8 || len(t.Merchant) != 15, "terminal %d: number %q and merchant %q: wanted 8 and 15 characters", i, t.Number, t.Merchant)
		fault(len(t.TMK) != 16, "terminal %d: TMK has %d bytes, not 16", i, len(t.TMK))
		fault(len(t.PANs) == 0, "terminal %d: no card to sell to", i)
		fault(keySpaces[t.net()] == 0 || t.SM4 != (t.net() == sm4Net), "terminal %d: sign-in %s: wanted 001, 003 or 004, and 006 with SM4", i, t.net())
	}
	return errors.Join(errs...)
}

// New reads the books and is ready to Start.
func New(cfg Config) (*Fleet, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.AnswerTimeout == 0 {
		cfg.AnswerTimeout = defaultAnswerTimeout
	}
	f := &Fleet{
		cfg: cfg, log: aid.Logger(cfg.Log), ready: map[int]struct{}{}, told: map[Fault]struct{}{},
		stopping: make(chan struct{}), signed: make(chan struct{}), done: make(chan struct{}),
		answer: hdrhistogram.New(1, maxLatency.Microseconds(), 3), dues: hdrhistogram.New(1, maxLatency.Microseconds(), 3),
	}
	var err error
	if f.speaker, err = y1993.Name(cfg.Dialect, iso8583.Pos(), true); err != nil {
		return nil, err
	}
	if cfg.Rate > 0 {
		f.interval = time.Duration(float64(len(cfg.Terminals)) / cfg.Rate * float64(time.Second))
	}
	for i := range cfg.Terminals {
		t, err := newTerminal(f, i)
		if err != nil {
			return nil, fmt.Errorf("terminal %s: %w", cfg.Terminals[i].Number, err)
		}
		f.terminals = append(f.terminals, t)
	}
	if err := f.load(); err != nil {
		return nil, err
	}
	f.ctx, f.cancel = context.WithCancelCause(context.Background())
	return f, nil
}

func newTerminal(f *Fleet, i int) (*terminal, error) {
	t := &terminal{fleet: f, cfg: f.cfg.Terminals[i], id: i, next: max(f.cfg.First, 1), in: bufio.NewReaderSize(nil, posFrameLen)}
	t.log = f.log.With(zap.String("terminal", t.cfg.Number))
	for _, digits := range t.cfg.PANs {
		p, err := txn.ParsePAN([]byte(digits))
		if err != nil {
			return nil, err
		}
		t.pans = append(t.pans, p)
	}
	var err error
	t.tmk, err = keyOf(t.cfg.TMK, t.cfg.SM4)
	return t, err
}

// load reads the book: sales go to their terminals, which continue behind the
// highest number, and what is open or unresolved is owed.
func (f *Fleet) load() error {
	type name struct{ merchant, number string }
	by := make(map[name]*terminal, len(f.terminals))
	for _, t := range f.terminals {
		k := name{t.cfg.Merchant, t.cfg.Number}
		if by[k] != nil {
			return fmt.Errorf("terminal %s of merchant %s is there twice", k.number, k.merchant)
		}
		by[k] = t
	}
	var sales []book.Sale
	var err error
	if f.book, sales, err = book.OpenSales(f.cfg.Books); err != nil {
		return err
	}
	for _, s := range sales {
		t := by[name{s.Merchant, s.Terminal}]
		if t == nil || s.Number == 0 && s.Amount <= baseFen {
			err = fmt.Errorf("book %s: a sale of %d fen at terminal %s of merchant %s, which this fleet cannot have made", f.cfg.Books, s.Amount, s.Terminal, s.Merchant)
			return errors.Join(err, f.book.Close())
		}
		t.recall(s)
	}
	return nil
}

// Start lets every terminal connect, sign in, resolve what its book holds open
// and sell. A fleet starts once.
func (f *Fleet) Start() error {
	if f.started.Swap(true) {
		return errors.New("fleet: started before")
	}
	var wg sync.WaitGroup
	now := time.Now()
	for _, t := range f.terminals {
		// Terminals sell one after the other, spread over the interval.
		t.due = now
		if f.interval > 0 {
			t.due = now.Add(rand.N(f.interval) - f.interval)
		}
		wg.Go(func() { t.run(f.ctx) })
	}
	go func() {
		wg.Wait()
		close(f.done)
	}()
	return nil
}

// signedIn notes a terminal's sign-in.
func (f *Fleet) signedIn(t *terminal) {
	f.n.signIns.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = Fault{}
	if _, again := f.ready[t.id]; again {
		return
	}
	if f.ready[t.id] = struct{}{}; len(f.ready) == len(f.terminals) {
		close(f.signed)
	}
}

// SignedIn waits until every terminal has had working keys once.
func (f *Fleet) SignedIn(ctx context.Context) error {
	select {
	case <-f.signed:
		return nil
	case <-f.done:
		return errors.New("终端未全部签到即已结束 · fleet: ended before all terminals signed in")
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		return fmt.Errorf("终端 %d 台，已签到 %d 台 · fleet: %d of %d terminals signed in: %w",
			len(f.terminals), len(f.ready), len(f.ready), len(f.terminals), ctx.Err())
	}
}

// Wait waits until every terminal has made its Sales and nothing is unresolved.
func (f *Fleet) Wait(ctx context.Context) error {
	select {
	case <-f.done:
		return context.Cause(f.ctx)
	case <-ctx.Done():
		n := f.n.unresolved.Load()
		return fmt.Errorf("未决 %d 笔 · fleet: %d sales unresolved: %w", n, n, ctx.Err())
	}
}

// Settle stops selling for good and waits until nothing is open or unresolved.
func (f *Fleet) Settle(ctx context.Context) error {
	f.stopOnce.Do(func() { close(f.stopping) })
	return f.Wait(ctx)
}

// Close ends all terminals where they stand, waits for them and closes the
// books. What was open stays open: the next fleet on this book reverses it.
func (f *Fleet) Close() error {
	f.cancel(context.Canceled)
	if f.started.Swap(true) {
		<-f.done
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.book.Close()
}

// fail ends the fleet for a fault of its own, which Wait then gives.
func (f *Fleet) fail(err error) {
	f.log.Error("fleet failed", zap.Error(err))
	f.cancel(err)
}

// write puts s into the book; false when the book is broken and nothing may be
// done on the strength of it.
func (f *Fleet) write(s *book.Sale) bool {
	f.mu.Lock()
	err := f.book.Add(s)
	if err == nil {
		err = f.book.Flush()
	}
	f.mu.Unlock()
	if err != nil {
		f.fail(err)
	}
	return err == nil
}

// record adds an answered sale to the histograms.
func (f *Fleet) record(answer, due time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	record(f.answer, answer)
	record(f.dues, due)
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	// A value inside the histogram's range cannot fail.
	_ = h.RecordValue(min(max(d, time.Microsecond), maxLatency).Microseconds())
}

// wantsPIN draws from terminal and number alone, so a new run repeats the draw.
func (f *Fleet) wantsPIN(id int, n uint32) bool {
	return f.cfg.PINShare > 0 && !f.cfg.Terminals[id].SM4 && rand.New(rand.NewPCG(uint64(id), uint64(n))).Float64() < f.cfg.PINShare
}

// Stats gives the counters and latencies.
func (f *Fleet) Stats() Stats {
	n := &f.n
	s := Stats{
		Sent: n.sent.Load(), Approved: n.approved.Load(), Declined: n.declined.Load(), TimedOut: n.timedOut.Load(), BadMAC: n.badMAC.Load(),
		Enquiries: n.enquiries.Load(), Unanswered: n.unanswered.Load(),
		Reversed: n.reversed.Load(), Repeats: n.repeats.Load(), SignIns: n.signIns.Load(), Connects: n.connects.Load(), Stray: n.stray.Load(),
		Unresolved: int(n.unresolved.Load()), SignedIn: int(n.signed.Load()),
	}
	if len(f.cfg.Mix) > 0 {
		s.Kinds = map[txn.Kind]uint64{}
		for k := range f.cfg.Mix {
			s.Kinds[k] = n.kinds[k].Load()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Fault = f.fault
	s.Answer, s.Due = quantiles(f.answer), quantiles(f.dues)
	return s
}

func quantiles(h *hdrhistogram.Histogram) Quantiles {
	at := h.ValueAtQuantile
	return Quantiles{Count: h.TotalCount(), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: h.Max()}
}

// Sales gives a copy of all terminals' books.
func (f *Fleet) Sales() []book.Sale {
	var all []book.Sale
	for _, t := range f.terminals {
		t.mu.Lock()
		all = append(all, t.sales...)
		t.mu.Unlock()
	}
	return all
}
