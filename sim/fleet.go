package sim

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"tongka/hsm"
)

// TerminalConfig is one terminal and what its owner loaded into it.
type TerminalConfig struct {
	Merchant string     // F42, 15 characters
	Number   string     // F41, 8 characters
	TMK      []byte     // terminal master key in clear, 16 bytes
	MAC      hsm.MACAlg // of F64
	PANs     []string   // cards it sells to, by turns; test numbers only
}

// FleetConfig describes a fleet of terminals that sell.
type FleetConfig struct {
	Addr          string           // of the switch's terminal listener
	Terminals     []TerminalConfig //
	Rate          float64          // sales a second of the whole fleet; 0 = each sells as soon as it is answered
	Sales         int              // each terminal stops after so many, 0 = never
	First         uint32           // number of the first sale of a terminal without a book; 1 when 0. Amount and trace follow from it
	PINShare      float64          // share of sales with a PIN block, 0..1
	AnswerTimeout time.Duration    // 40 s when 0
	Books         string           // file of all terminals' sales; "" keeps them in memory only
	ShortLived    bool             // connect, send, receive, close for each sale
	Log           *zap.Logger      // nil = silent
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

// FleetStats counts events since NewFleet; Unresolved and SignedIn describe now.
type FleetStats struct {
	Sent       uint64    `json:"sent"`
	Approved   uint64    `json:"approved"`
	Declined   uint64    `json:"declined"`  // without code 98
	TimedOut   uint64    `json:"timed_out"` // no answer, a bad one, or code 98
	BadMAC     uint64    `json:"bad_mac"`   // of these, answers whose MAC was wrong
	Reversed   uint64    `json:"reversed"`
	Repeats    uint64    `json:"repeats"` // reversals sent again
	SignIns    uint64    `json:"sign_ins"`
	Connects   uint64    `json:"connects"`
	Unresolved int       `json:"unresolved"` // open, or a reversal is due
	SignedIn   int       `json:"signed_in"`
	Answer     Quantiles `json:"answer"` // request sent to answer read, answered sales only
	Due        Quantiles `json:"due"`    // the same from when the sale was due at Rate, so waiting counts
}

// Fleet is a number of terminals, each a goroutine with a connection.
type Fleet struct{}

// NewFleet reads the books and is ready to Start.
func NewFleet(cfg FleetConfig) (*Fleet, error) { return nil, errors.ErrUnsupported }

// Start lets every terminal connect, sign in, resolve what its book holds open
// and sell.
func (f *Fleet) Start() error { return errors.ErrUnsupported }

// SignedIn waits until every terminal has working keys.
func (f *Fleet) SignedIn(ctx context.Context) error { return errors.ErrUnsupported }

// Wait waits until every terminal has made its Sales and resolved them.
func (f *Fleet) Wait(ctx context.Context) error { return errors.ErrUnsupported }

// Settle stops selling and waits until nothing is open or unresolved.
func (f *Fleet) Settle(ctx context.Context) error { return errors.ErrUnsupported }

// Stats gives the counters and latencies.
func (f *Fleet) Stats() FleetStats { return FleetStats{} }

// Sales gives a copy of all terminals' books.
func (f *Fleet) Sales() []Sale { return nil }

// Close ends all terminals where they stand, waits for them and closes the books.
func (f *Fleet) Close() error { return nil }
