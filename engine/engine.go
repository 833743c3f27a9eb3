// Package engine is the shard: one goroutine that owns its transactions and
// performs what flow decides. Everything that happens on a loop comes in by
// conn.Handler; everything that leaves, leaves at the end of a turn:
//
//	frames, answers, deadlines ─▶ flow.Decide ─▶ records staged, bytes appended to the peers' buffers
//	end of turn: one durable commit ─▶ MACs made while the disk writes ─▶ one write per peer
//
// So "on disk before sent" needs no care: no byte of a turn leaves before all
// records of that turn are durable. A shard is not safe for concurrent use, and
// needs no lock for that reason; others read its Snapshot.
package engine

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"tongka/conn"
	"tongka/fault"
	"tongka/flow"
	"tongka/hsm"
	"tongka/hsm/payshield"
	"tongka/hsm/pool"
	"tongka/journal"
	"tongka/registry"
	"tongka/router"
	"tongka/storefwd"
	"tongka/translate"
	"tongka/txn"
)

// Journal is what the shard needs of the store: append, then commit, then wait
// until durable. *journal.Log is one on Pebble; a replicated one fits here too.
type Journal interface {
	storefwd.Store
	Append(*journal.Record) journal.LSN
	Next() journal.LSN
	Stamp(turn int64)
	Mark(from journal.LSN, next txn.ID)
	Staged() bool
	Commit() error
	Sync() error
	Get(journal.LSN, *journal.Record) error
	Replay(from journal.LSN, f func(journal.LSN, *journal.Record) error) error
	Recovery() (from journal.LSN, next txn.ID)
	FindID(txn.ID, *journal.Record) (journal.LSN, error)
	Find(fingerprint uint64, since int64) (journal.LSN, bool, error)
}

// Listener is one door for terminals, by its index in the front's listeners.
type Listener struct {
	Name    string
	Door    *translate.Door
	Framing conn.Framing
}

// Link is one bank; its index is its LinkID.
type Link struct {
	Name          string
	Lines         []Line
	Bank          *translate.Bank
	Framing       conn.Framing
	ZPK           hsm.Key // under the LMK; none: requests with a PIN are refused
	ZMK           hsm.Key // under the LMK; none: the bank may not change its keys
	MAC           LinkMAC // of the messages that Bank gives a MAC
	AnswerTimeout time.Duration
	EchoInterval  time.Duration
	EchoTimeout   time.Duration // also of sign-on and sign-off
	MaxMissed     int           // requests in a row without an answer that take a line out; 0 never does
	FullCode      txn.Code      // when all lines are full; zero is 96
	Reversal      storefwd.Policy
}

// Line is one line of a bank: a socket, or two. The lines of a higher priority
// are used only when no line of a lower one is up.
type Line struct {
	Send     int // which of the front's links
	Receive  int // the same, when one socket does both
	Priority int // 1 is the first
	Window   int // requests in flight at most; 0 is no limit of its own
	// HalfDuplex lets one message be out at a time: a request, a reversal or an echo.
	HalfDuplex bool
	// Short makes it a line that is dialled when there is something to send. It is
	// one socket, which the front dials on demand, and half-duplex.
	Short flow.Short
}

// HSM is one security module behind a socket.
type HSM struct {
	Name    string
	Socket  int // which of the front's links
	Framing conn.Framing
	Machine string // lines of the same machine have the same; empty: the line's name
	Keys    bool   // the line is for key management only
}

// Config is what a shard is made of.
type Config struct {
	Listeners []Listener
	Links     []Link
	// Module answers in the process. When nil, the modules of HSMs are asked.
	Module     hsm.Module
	HSMs       []HSM
	Dialect    payshield.Dialect
	Pool       pool.Options // of HSMs; its places, header and timeout are set by the other fields
	HSMTimeout time.Duration
	Routes     *router.Table
	// FlowControl bounds what is let through; nil: nothing does.
	FlowControl *FlowControl
	Rules       flow.Rules
	Day         Day
	Books       Books // the lists and limits of a day
	// Cards says which e-purse cards are loaded; nil: none.
	Cards *Cards
	// Offline knows offline transactions in messages; nil: none are taken.
	Offline  OfflineRecords
	InFlight int    // transactions at once
	History  int    // transactions of each terminal that are at hand, to know a repeat
	Seed     uint64 // of the jitter
	Clock    func() int64
	Logger   *zap.Logger
	// Faults counts what has no log line of its own, the others are counted as they
	// are logged; nil: nobody counts.
	Faults *fault.Book
	// Progress is told now and then how far the recovery is; nil: nobody asks.
	Progress func(Recovery)
	// NoWarm leaves the pages of large tables to be found when they are used. Only
	// where nobody measures, and engines are opened by the thousand.
	NoWarm bool
	// Fatal is called once when the store fails: no effect of that turn leaves,
	// and the process must end; the next start reads the truth from disk.
	Fatal func(error)
}

// maxSockets is how many of the front's links there can be.
const maxSockets = 1<<16 - 1

// minHeader is the narrowest message header of a security module.
const minHeader = 4

// Validate reports every fault at once.
func (c *Config) Validate() error {
	var faults []error
	bad := func(format string, a ...any) { faults = append(faults, fmt.Errorf("engine: "+format, a...)) }
	if c.Module == nil && len(c.HSMs) == 0 {
		bad("no security module")
	}
	if c.Routes == nil || c.Clock == nil || c.Fatal == nil || c.Logger == nil {
		bad("routes, clock, fatal and logger are needed")
	}
	if c.InFlight < 1 || c.InFlight > maxInFlight {
		bad("in flight: %d is not within 1 to %d", c.InFlight, maxInFlight)
	}
	if c.History < 1 {
		bad("history: %d is less than 1", c.History)
	}
	if c.Dialect.HeaderLen != 0 && c.Dialect.HeaderLen < minHeader {
		bad("message header of %d characters: at least %d tell the commands apart", c.Dialect.HeaderLen, minHeader)
	}
	if o := c.poolOptions(); c.InFlight > 0 {
		if err := o.Validate(); err != nil {
			faults = append(faults, err)
		}
	}
	taken := map[int]bool{}
	take := func(whose string, socket int) {
		if socket < 0 || socket > maxSockets || taken[socket] {
			bad("%s: socket %d is taken, or not within 0 to %d", whose, socket, maxSockets)
		}
		taken[socket] = true
	}
	for _, m := range c.HSMs {
		take(m.Name, m.Socket)
	}
	if err := c.Cards.validate(); err != nil {
		faults = append(faults, err)
	}
	if err := c.FlowControl.validate(len(c.Links)); err != nil {
		faults = append(faults, err)
	}
	for _, l := range c.Links {
		if len(l.Lines) == 0 || l.MaxMissed < 0 {
			bad("link %s: no lines, or a negative limit", l.Name)
		}
		for i, n := range l.Lines {
			whose := fmt.Sprintf("link %s, line %d", l.Name, i+1)
			if take(whose, n.Send); n.Receive != n.Send {
				take(whose, n.Receive)
			}
			if s := n.Short; s.Messages < 0 || s.Keep < 0 || s.Messages > 0 && (s.Dial <= 0 || n.Receive != n.Send) {
				bad("%s: short-lived, with %d messages, kept %d ns, dialled within %d ns", whose, s.Messages, s.Keep, s.Dial)
			}
			if n.Priority < 1 || n.Window < 0 {
				bad("%s: priority %d, window %d", whose, n.Priority, n.Window)
			}
		}
		if l.Bank != nil && l.Bank.Seals() {
			if err := l.MAC.validate(c.Module); err != nil {
				bad("link %s: %w", l.Name, err)
			}
		}
		if l.AnswerTimeout <= 0 || l.EchoInterval <= 0 || l.EchoTimeout <= 0 {
			bad("link %s: the timeouts must be above zero", l.Name)
		}
		if err := l.Reversal.Validate(); err != nil {
			bad("link %s: %w", l.Name, err)
		}
	}
	return errors.Join(faults...)
}

// Open makes a shard and recovers what the last process left: every intent
// without an outcome is closed as timed out with its reversal owed, durably,
// before Open returns. Nothing is accepted before: attach the shard to a loop
// only then.
func Open(cfg Config, log Journal, reg *registry.Registry) (*Shard, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := newShard(cfg, log, reg)
	if err := s.recover(); err != nil {
		return nil, fmt.Errorf("engine: recovery: %w", err)
	}
	return s, nil
}
