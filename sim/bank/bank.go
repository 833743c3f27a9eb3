// Package bank plays a bank, or the card centre, behind a CUPS link: it books
// sales in a ledger, takes reversals, and misbehaves on demand.
package bank

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/sim/book"
	"tongka/sim/internal/aid"
	"tongka/sim/internal/y1993"
)

// Config describes one bank. Exactly one of Listen and Connect is set.
type Config struct {
	Name      string      // in its books and logs; "bank" when empty
	Listen    string      // address to wait for the switch at; port 0 takes a free one
	Connect   string      // address of the switch, dialled again whenever the line drops
	ZPK       []byte      // clear zone PIN key, 16 bytes; nil = PIN blocks are not opened
	ZMK       []byte      // clear zone master key; nil = the bank brings no keys when it is asked for them
	MAC       MAC         // of messages both ways
	Dialect   string      // 93a or 93b, whose MACs are in F64, over the whole message; empty is cups
	Books     string      // file of the ledger; "" keeps it in memory only
	Limit     int         // bookings held, 2,000,000 when 0; a sale beyond is answered 96
	Behaviour Behaviour   // at the start; Behave changes it
	Line      int         // of which line alone, from 1; 0 is of all
	Log       *zap.Logger // nil = silent
}

// Stats counts events since New, except Booked and Reversed, which
// describe the ledger and so include what an older process wrote.
type Stats struct {
	Sales           uint64 `json:"sales"`            // 0100, 0200 and refunds read
	Booked          int64  `json:"booked"`           // bookings that hold money now
	Reversed        int64  `json:"reversed"`         // bookings that were taken back
	Declined        uint64 `json:"declined"`         // by Behaviour.DeclineRate
	Refused         uint64 `json:"refused"`          // came after their own reversal
	Repeated        uint64 `json:"repeated"`         // 0200 that came again, answered 94
	Reversals       uint64 `json:"reversals"`        // 0420 and 0421 read
	ReversalRepeats uint64 `json:"reversal_repeats"` // of something already reversed, answered 00
	ReversalUnknown uint64 `json:"reversal_unknown"` // of something never seen, answered 25
	ReversalWrong   uint64 `json:"reversal_wrong"`   // amount or terminal not the original's, answered 64
	Unfit           uint64 `json:"unfit"`            // declined for what became of the original that they name
	Notices         uint64 `json:"notices"`          // 0220, 0221, 0620 and 0621 read that only tell
	NoticeRepeats   uint64 `json:"notice_repeats"`   // of these, known already, answered 94
	Enquiries       uint64 `json:"enquiries"`        // balance enquiries read
	SignOns         uint64 `json:"sign_ons"`
	Echoes          uint64 `json:"echoes"`
	Rejected        uint64 `json:"rejected"`   // sent back with a reject code, or not readable at all
	Dropped         uint64 `json:"dropped"`    // connections closed by Behaviour.CloseEvery
	Unanswered      uint64 `json:"unanswered"` // by Silent or Deaf
	PINs            uint64 `json:"pins"`       // PIN blocks opened
	PINFaults       uint64 `json:"pin_faults"` // of these, not a PIN block under the ZPK
	MACs            uint64 `json:"macs"`       // messages whose MAC was looked at
	MACFaults       uint64 `json:"mac_faults"` // of these, wrong or missing: answered A0
	KeysBrought     uint64 `json:"keys_brought"`
	KeysTaken       uint64 `json:"keys_taken"`  // of these, confirmed by the switch
	Connections     int    `json:"connections"` // open now
}

const defaultBookings = 2_000_000

func (c *Config) validate() error {
	var errs []error
	if (c.Listen == "") == (c.Connect == "") {
		errs = append(errs, errors.New("bank: exactly one of Listen and Connect is wanted"))
	}
	if c.Line < 0 || c.Line > maxLines {
		errs = append(errs, fmt.Errorf("bank: line %d: wanted 0 to %d", c.Line, maxLines))
	}
	if c.Limit < 0 {
		errs = append(errs, fmt.Errorf("bank: limit %d: wanted 0 or more", c.Limit))
	}
	return errors.Join(append(errs, c.MAC.validate(), c.Behaviour.validate())...)
}

// Bank plays a bank (or the card centre) behind a CUPS link.
type Bank struct {
	cfg       Config
	log       *zap.Logger
	behaviour atomic.Pointer[Behaviour]
	ctx       context.Context
	stop      context.CancelFunc
	wg        sync.WaitGroup
	ln        net.Listener

	mu     sync.Mutex // guards all below; taken once for each batch of frames read
	ledger *ledger
	zone   zone
	other  *y1993.Speaker   // nil for cups
	conns  map[net.Conn]int // which line it is, from 1
	apart  map[int]Behaviour
	sales  int // since the start, for CloseEvery
	late   int // answers that wait for their delay
}

// New reads the books and is ready to Start.
func New(cfg Config) (*Bank, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Name == "" {
		cfg.Name = "bank"
	}
	if cfg.Limit == 0 {
		cfg.Limit = defaultBookings
	}
	b := &Bank{cfg: cfg, log: aid.Logger(cfg.Log).With(zap.String("bank", cfg.Name)), conns: map[net.Conn]int{}, apart: map[int]Behaviour{}}
	var err error
	if b.zone, err = newZone(&cfg); err != nil {
		return nil, err
	}
	if b.other, err = y1993.Name(cfg.Dialect, iso8583.Cups(), false); err != nil {
		return nil, err
	}
	l, err := openLedger(cfg.Name, cfg.Books, cfg.Limit)
	if err != nil {
		return nil, err
	}
	b.ledger = l
	everywhere := cfg.Behaviour
	if cfg.Line > 0 {
		everywhere, b.apart[cfg.Line] = Behaviour{}, cfg.Behaviour
	}
	b.behaviour.Store(&everywhere)
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b, nil
}

// Start opens the door (Listen) or begins to dial (Connect).
func (b *Bank) Start() error {
	if b.cfg.Connect != "" {
		b.wg.Go(b.dial)
		return nil
	}
	ln, err := net.Listen("tcp", b.cfg.Listen)
	if err != nil {
		return fmt.Errorf("银行 · bank: %w", err)
	}
	b.ln = ln
	b.wg.Go(b.accept)
	return nil
}

// Addr is the address that the bank listens at, or "".
func (b *Bank) Addr() string {
	if b.ln == nil {
		return ""
	}
	return b.ln.Addr().String()
}

// Behave changes the behaviour at once, for all lines that BehaveLine has not set
// apart.
func (b *Bank) Behave(v Behaviour) error {
	if err := v.validate(); err != nil {
		return err
	}
	b.behaviour.Store(&v)
	return nil
}

// Behaviour gives what Behave set last.
func (b *Bank) Behaviour() Behaviour { return *b.behaviour.Load() }

// Stats gives the counters.
func (b *Bank) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.ledger.stats
	s.Connections = len(b.conns)
	return s
}

// Bookings gives a copy of the ledger in the order of arrival.
func (b *Bank) Bookings() []book.Booking {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]book.Booking(nil), b.ledger.all...)
}

// Close drops all connections, waits for its goroutines and closes the books.
// Answers that still wait for their delay are never sent.
func (b *Bank) Close() error {
	b.stop()
	if b.ln != nil {
		b.ln.Close() // its only fault is to be closed already
	}
	b.mu.Lock()
	for c := range b.conns {
		c.Close() // ends its reader, which reports nothing once the bank stops
	}
	b.mu.Unlock()
	b.wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger.book.Close()
}

func (b *Bank) accept() {
	for {
		c, err := b.ln.Accept()
		if err != nil {
			if b.ctx.Err() == nil {
				b.log.Error("listener failed", zap.Error(err))
			}
			return
		}
		b.wg.Go(func() { b.serve(c) })
	}
}

// dial keeps one connection to the switch, with a growing pause between tries.
func (b *Bank) dial() {
	var d net.Dialer
	for wait := aid.FirstPause; b.ctx.Err() == nil; wait = min(2*wait, aid.LastPause) {
		c, err := d.DialContext(b.ctx, "tcp", b.cfg.Connect)
		if err == nil {
			wait = aid.FirstPause
			b.serve(c)
		}
		aid.Pause(b.ctx, wait)
	}
}
