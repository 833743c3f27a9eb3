// Package kiosk plays self-service kiosks that put money on e-purse cards, and
// the people who carry the cards from one kiosk to the next. Lines are torn and
// cards lose their power at the worst moments; what the card's next contact says
// decides. Their book is held against the banks' by book.CompareCards.
//
//	a wish ─▶ visit ─▶ MAC2 heard ─▶ the card writes ─▶ confirmed
//	              │          │               └ power gone: the next contact proves it
//	              │          └ power gone: another kiosk, the same wish, 补写
//	              └ line torn, 98, 96: another kiosk, the same wish
package kiosk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"tongka/sim/book"
	"tongka/sim/fleet"
	"tongka/sim/internal/aid"
	"tongka/txn"
)

// Config describes kiosks and the cards that come to them.
type Config struct {
	Addr          string           // of the switch's terminal listener
	Kiosks        []fleet.Terminal // their accounts are the PANs
	Cards         int              // that people carry; at least as many as kiosks
	Seed          uint64           // of what happens to them
	Rate          float64          // visits a second of all kiosks; 0: one after the other
	Visits        int              // each kiosk stops after so many, 0 = never
	Mishaps       float64          // share of visits in which something breaks, 0..1
	Orders        int              // paid online for each card, as Setup makes them
	Led           bool             // the last kiosks wait for Day, and so do the last cards
	AnswerTimeout time.Duration    // 40 s when 0
	Books         string           // file; "" keeps it in memory only
	Log           *zap.Logger      // nil = silent
}

// Count is what became of the requests of one kind.
type Count struct {
	Asked      uint64 `json:"asked"`
	Approved   uint64 `json:"approved"`
	Declined   uint64 `json:"declined"`
	Unanswered uint64 `json:"unanswered"`
}

// Stats counts events since New; Open and Parked describe now.
type Stats struct {
	Visits   uint64              `json:"visits"`
	Written  uint64              `json:"written"`  // loads that cards wrote
	Rewrites uint64              `json:"rewrites"` // of these without a second debit, 补写
	Torn     uint64              `json:"torn"`     // lines that were torn on purpose
	Cut      uint64              `json:"cut"`      // cards that lost their power
	Voided   uint64              `json:"voided"`
	SignIns  uint64              `json:"sign_ins"`
	Kinds    map[book.Kind]Count `json:"kinds"`
	Open     int                 `json:"open"`   // wishes whose end is not known
	Parked   int                 `json:"parked"` // cards that wait for a person
	Fault    string              `json:"fault,omitempty"`
}

// Park is a number of kiosks, each a goroutine with a connection, and the cards.
type Park struct {
	cfg      Config
	log      *zap.Logger
	kiosks   []*kiosk
	accounts []txn.PAN // of all kiosks: whose does not matter, but that it stays the same
	interval time.Duration
	ctx      context.Context
	cancel   context.CancelCauseFunc
	stopping chan struct{}
	stopOnce sync.Once
	done     chan struct{}
	started  atomic.Bool

	mu     sync.Mutex // guards the rest
	book   *book.File
	cards  []*holder
	wishes []book.Wish
	stats  Stats
	led    bool // a Day is being played
}

// Bounds of a park.
const (
	maxKiosks = 1000
	maxCards  = 100_000
	// Amounts are baseFen and the number of the wish, so that no two are the same,
	// and a card takes it: 500 yuan at most.
	baseFen  = 100
	maxFen   = 50_000
	spendAt  = 30_000 // the balance from which a card is spent
	defaults = 40 * time.Second
)

func (c *Config) validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("kiosk: "+format, args...))
		}
	}
	fault(len(c.Kiosks) == 0 || len(c.Kiosks) > maxKiosks, "%d kiosks: wanted 1 to %d", len(c.Kiosks), maxKiosks)
	fault(c.Cards < len(c.Kiosks) || c.Cards > maxCards, "%d cards: wanted %d to %d", c.Cards, len(c.Kiosks), maxCards)
	fault(!(c.Rate >= 0 && c.Rate <= 1e5), "rate %v: wanted 0 to 100,000 a second", c.Rate)
	fault(!(c.Mishaps >= 0 && c.Mishaps <= 1), "mishaps %v: wanted 0 to 1", c.Mishaps)
	fault(c.Led && (len(c.Kiosks) <= Led || c.Cards < len(c.Kiosks)+dayCards), "%d kiosks and %d cards: a day wants %d and %d more", len(c.Kiosks), c.Cards, Led, dayCards)
	fault(c.Orders < 0 || c.Orders > maxOrders, "orders %d: wanted 0 to %d", c.Orders, maxOrders)
	fault(c.Visits < 0 || c.AnswerTimeout < 0, "visits %d, answer timeout %v: wanted 0 or more", c.Visits, c.AnswerTimeout)
	return errors.Join(errs...)
}

// New reads the book and is ready to Start.
func New(cfg Config) (*Park, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.AnswerTimeout == 0 {
		cfg.AnswerTimeout = defaults
	}
	p := &Park{cfg: cfg, log: aid.Logger(cfg.Log), stopping: make(chan struct{}), done: make(chan struct{})}
	p.stats.Kinds = map[book.Kind]Count{}
	if cfg.Rate > 0 {
		p.interval = time.Duration(float64(len(cfg.Kiosks)) / cfg.Rate * float64(time.Second))
	}
	f, old, err := book.OpenCards(cfg.Books)
	if err != nil {
		return nil, err
	}
	p.book = f
	if err := p.recall(&old); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	first := make([]uint32, len(cfg.Kiosks))
	for i := range old.Cards {
		if c := &old.Cards[i]; c.Kiosk < len(first) {
			first[c.Kiosk] = max(first[c.Kiosk], c.Trace)
		}
	}
	for i := range cfg.Kiosks {
		k, err := newKiosk(p, i, first[i]+unwritten)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("kiosk %s: %w", cfg.Kiosks[i].Number, err), f.Close())
		}
		p.kiosks, p.accounts = append(p.kiosks, k), append(p.accounts, k.pans...)
	}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	return p, nil
}

// unwritten is more than a kiosk sends, or a card draws, between two lines of the
// book: who goes on from an old one begins behind that.
const unwritten = 100

// recall issues the cards, and gives them what the book says of them.
func (p *Park) recall(old *book.Cards) error {
	for i := range p.cfg.Cards {
		h, err := newHolder(i, p.cfg.Orders)
		if err != nil {
			return err
		}
		h.reserved = p.cfg.Led && i >= p.cfg.Cards-dayCards
		p.cards = append(p.cards, h)
	}
	for i := range old.Cards {
		c := old.Cards[i]
		if c.Number < 0 || c.Number >= len(p.cards) || p.cards[c.Number].state.Name != c.Name {
			return fmt.Errorf("账本 · book %s: card %d %s is none of these %d", p.cfg.Books, c.Number, c.Name, len(p.cards))
		}
		p.cards[c.Number].recall(c)
	}
	for i := range old.Wishes {
		w := old.Wishes[i]
		if w.Number != len(p.wishes) || w.Card < 0 || w.Card >= len(p.cards) {
			return fmt.Errorf("账本 · book %s: wish %d of card %d: there are %d wishes and %d cards", p.cfg.Books, w.Number, w.Card, len(p.wishes), len(p.cards))
		}
		p.enter(&w)
	}
	return nil
}

// Start lets every kiosk connect, sign in and take cards.
func (p *Park) Start() error {
	if p.started.Swap(true) {
		return errors.New("kiosk: started before")
	}
	var wg sync.WaitGroup
	alone := p.kiosks
	if p.cfg.Led {
		alone = alone[:len(alone)-Led]
	}
	for _, k := range alone {
		wg.Go(func() { k.run(p.ctx) })
	}
	go func() {
		wg.Wait()
		close(p.done)
	}()
	return nil
}

// Settle makes no new wishes and waits until each that is there has its end.
func (p *Park) Settle(ctx context.Context) error {
	p.mu.Lock()
	if !p.led {
		p.release()
	}
	p.mu.Unlock()
	p.stopOnce.Do(func() { close(p.stopping) })
	return p.Wait(ctx)
}

// Wait waits until every kiosk has made its Visits and no wish is open.
func (p *Park) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return context.Cause(p.ctx)
	case <-ctx.Done():
		n := p.Stats().Open
		return fmt.Errorf("未决充值 %d 笔 · kiosk: %d wishes unresolved: %w", n, n, ctx.Err())
	}
}

// Close ends all kiosks where they stand and closes the book.
func (p *Park) Close() error {
	p.cancel(context.Canceled)
	if p.started.Swap(true) {
		<-p.done
	}
	for _, k := range p.kiosks {
		k.line.Drop()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.book.Close()
}

// fail ends the park for a fault of its own, which Wait then gives.
func (p *Park) fail(err error) {
	p.log.Error("kiosks failed", zap.Error(err))
	p.cancel(err)
}

// Stats gives the counters.
func (p *Park) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Kinds = maps.Clone(p.stats.Kinds)
	s.Open, s.Parked = 0, 0
	for _, h := range p.cards {
		if h.wish >= 0 && !h.state.Parked {
			s.Open++
		}
		if h.state.Parked {
			s.Parked++
		}
	}
	for _, k := range p.kiosks {
		s.SignIns += k.line.SignIns()
	}
	return s
}

// Book gives a copy of what stands in the book.
func (p *Park) Book() (b book.Cards) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.cards {
		b.Cards = append(b.Cards, h.state)
	}
	b.Wishes = append(b.Wishes, p.wishes...)
	return b
}

// count notes how a request ended.
func (p *Park) count(kind txn.Kind, code txn.Code, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := book.Kind(kind.String())
	n := p.stats.Kinds[name]
	n.Asked++
	switch {
	case err != nil:
		n.Unanswered++
	case code == txn.OK:
		n.Approved++
	default:
		n.Declined++
	}
	p.stats.Kinds[name] = n
}

func (p *Park) note(f func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.stats)
}

// write puts what a moment changed into the book, w and change if there are such;
// false when the book is broken and nothing may be done on the strength of it.
func (p *Park) write(h *holder, w *book.Wish, change func(*book.Card)) bool {
	p.mu.Lock()
	if change != nil {
		change(&h.state)
	}
	h.note()
	if w != nil {
		p.wishes[w.Number] = *w
		h.took(w)
	}
	err := p.book.Add(book.Visit{Card: &h.state, Wish: w})
	if err == nil {
		err = p.book.Flush()
	}
	p.mu.Unlock()
	if err != nil {
		p.fail(err)
	}
	return err == nil
}

// take gives a card to a kiosk: in calm times one with an open wish, or one whose
// last load nothing has proven yet; nil when there is none.
func (p *Park) take(k *kiosk, calm bool) *holder {
	p.mu.Lock()
	defer p.mu.Unlock()
	from := k.rng.IntN(len(p.cards))
	for i := range p.cards {
		h := p.cards[(from+i)%len(p.cards)]
		switch {
		case h.busy || h.state.Parked || h.reserved:
		case !calm, h.wish >= 0, h.unproven():
			h.busy = true
			return h
		}
	}
	return nil
}

// release lets all kiosks take the cards of the day. The lock is held.
func (p *Park) release() {
	for _, h := range p.cards {
		h.reserved = false
	}
}

func (p *Park) giveBack(h *holder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h.busy = false
}

// settled says that no card is out or reserved, and none has anything open.
func (p *Park) settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.cards {
		if h.busy || h.reserved || !h.state.Parked && (h.wish >= 0 || h.unproven()) {
			return false
		}
	}
	return true
}

// want makes a wish; false when no amount is left that nobody had.
func (p *Park) want(h *holder, kind txn.Kind, account int) (w book.Wish, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w = book.Wish{Number: len(p.wishes), Kind: book.Kind(kind.String()), Card: h.state.Number, State: book.Open}
	if kind == txn.OrderLoad || kind == txn.AirLoad {
		w.Order, w.Amount = h.nextOrder()
	} else {
		w.Account = account
		w.PAN = p.accounts[w.Account].String()
		w.Amount = baseFen + int64(w.Number)
	}
	if w.Amount > maxFen || w.Order != "" && h.begun == h.orders {
		return w, false
	}
	p.enter(&w)
	if err := p.book.Add(book.Visit{Wish: &w}); err != nil { // flushed with the first request
		p.fail(err)
	}
	return w, true
}

// nextFen is the amount of the next wish, or a little less than it.
func (p *Park) nextFen() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return baseFen + int64(len(p.wishes))
}

// enter puts a new wish into the table. The lock is held, or nobody else is there.
func (p *Park) enter(w *book.Wish) {
	h := p.cards[w.Card]
	p.wishes = append(p.wishes, *w)
	if h.took(w); w.Order != "" {
		h.begun++
	}
}

// wishOf gives the card's open wish.
func (p *Park) wishOf(h *holder) book.Wish {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wishes[h.wish]
}
