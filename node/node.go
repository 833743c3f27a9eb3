// Package node puts one switch together from its configuration: stores first,
// then recovery, then the doors. It holds no decisions.
package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/audit"
	"tongka/codec/iso8583/dialects"
	"tongka/config"
	"tongka/conn"
	"tongka/console"
	"tongka/engine"
	"tongka/fault"
	"tongka/flow"
	"tongka/journal"
	"tongka/registry"
	"tongka/registry/desk"
	"tongka/sdnotify"
	"tongka/storefwd"
	"tongka/translate"
)

// Options are what the process decides and not the file.
type Options struct {
	Version string
	Logger  *zap.Logger
	// Fatal is called when the store has failed. The process must end.
	Fatal func(error)

	Profile bool // the console lets profiles be taken

	Faults *fault.Book      // that Logger counts in, too; nil: nobody counts
	File   string           // the config's, to be read again; empty: no reload
	Level  *zap.AtomicLevel // of Logger; nil: it cannot change
	Notify *sdnotify.Socket // nil: nobody is told
	// Inherited are sockets that listen already, see conn.Config.
	Inherited map[string]*net.TCPListener
	// Stop asks the process to stop this node; nil: it cannot be asked.
	Stop func()
	// Prepare starts a process that could follow this one and gives its number;
	// HandOver asks for the change itself. Both nil: there can be no other.
	Prepare  func(context.Context) (pid int, err error)
	HandOver func()
	// Unfollowed gives the last hand-over that failed, nil when none did; a nil
	// function, too.
	Unfollowed func() *admin.HandOver
}

// Node is one running switch.
type Node struct {
	opts      Options
	log       *zap.Logger
	reg       *registry.Registry
	desk      *desk.Desk
	suspect   chan engine.Suspicion
	keyEvents chan engine.KeyEvent
	journal   *journal.Log
	recordKey []byte   // names of offline records in messages are made with it
	masterKey [32]byte // of the journal: who can open its file may see card numbers
	audit     *audit.Log
	shard     *engine.Shard
	running   atomic.Pointer[engine.Shard]    // shard, for who came before it
	recovery  atomic.Pointer[engine.Snapshot] // the picture of a switch that recovers
	front     *conn.Front
	live      atomic.Pointer[conn.Front] // front, for who came before it
	console   *console.Server
	admin     *admin.Server
	stop      chan struct{} // ends tidy
	tidied    chan struct{}
	watched   chan struct{}
	measured  chan struct{}         // ends watchSpace
	alerts    chan engine.CardAlert // to the audit file
	hush      chan struct{}         // ends auditCards
	hushed    chan struct{}
	followed  chan struct{} // closed when followOffline has ended
	rested    chan struct{} // closed when stayAwake has ended
	cuts      cutter

	asks      context.Context // ends when questions must
	endAsks   context.CancelFunc
	asking    sync.Mutex // held while one is answered from the journal
	proposals proposals[admin.DebtOrder]
	decisions proposals[admin.CardOrder]

	acting sync.Mutex // one action at a time; guards opened
	opened bool       // all is there, and is not being taken away

	view     sync.RWMutex // guards what a reload changes, for those who look
	cfg      *config.Config
	seats    seats
	parts0   engine.Config // what the shard was told last
	loaded   time.Time
	reloaded *admin.Reloading
}

// Start opens the stores, recovers, and only then opens the doors. What it has
// opened is closed again when it fails.
func Start(cfg *config.Config, o Options) (*Node, error) {
	n := &Node{cfg: cfg, opts: o, log: o.Logger, loaded: time.Now(), alerts: make(chan engine.CardAlert, mostAlerts)}
	if err := n.open(o); err != nil {
		return nil, errors.Join(err, n.closeConsole(context.Background()), n.closeStores())
	}
	return n, nil
}

func (n *Node) open(o Options) error {
	if err := n.startConsole(); err != nil {
		return err
	}
	if err := n.openStores(); err != nil {
		return err
	}
	ec, cc, err := n.parts(o)
	if err != nil {
		return err
	}
	if r, ok := ec.Offline.(*records); ok {
		r.mac = n.recordKey
	}
	ec.Progress = n.recovering()
	n.suspect, n.keyEvents = make(chan engine.Suspicion, maxSuspicions), make(chan engine.KeyEvent, mostKeyEvents)
	ec.Books = engine.Books{Blacklist: n.desk.Blacklist, Cards: n.cfg.Registry.MaxCards, DayCut: n.cfg.Registry.DayCut, Suspect: suspicion(n.suspect), KeyTold: n.keyTold, CutTold: n.cutTold}
	n.cuts.events, n.cuts.wake = make(chan engine.CutEvent, mostCutEvents), make(chan struct{}, 1)
	if n.shard, err = engine.Open(ec, n.journal, n.reg); err != nil {
		return err
	}
	if err := n.openCuts(time.Now()); err != nil {
		return err
	}
	n.parts0, n.seats, cc.Inherited, cc.Held = ec, seated(&cc), o.Inherited, o.Inherited != nil
	n.running.Store(n.shard)
	if n.front, err = conn.Start(cc, func(l conn.Loop) conn.Handler { return n.shard.Attach(l) }); err != nil {
		return err
	}
	n.live.Store(n.front)
	n.asks, n.endAsks = context.WithCancel(context.Background())
	if n.admin, err = admin.Listen(n.cfg.Admin.Socket, n, func() string { return n.config().Admin.Tokens }, n.log); err != nil {
		return errors.Join(err, n.front.Stop(context.Background()))
	}
	if err := n.await(); err != nil {
		return errors.Join(err, n.closeAdmin(context.Background()), n.front.Stop(context.Background()))
	}
	n.stop, n.tidied, n.watched, n.measured = make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	go n.tidy(n.stop, n.tidied)
	go n.watch(n.stop, n.watched)
	go n.watchSpace(n.stop, n.measured)
	n.hush, n.hushed = make(chan struct{}), make(chan struct{})
	go n.auditCards(n.hush, n.hushed)
	n.followed = make(chan struct{})
	go n.followOffline(n.stop, n.followed)
	n.rested = make(chan struct{})
	go n.stayAwake(n.stop, n.rested)
	go n.cutDays(n.stop)
	n.acting.Lock()
	n.opened = true
	n.acting.Unlock()
	return nil
}

func (n *Node) openStores() error {
	if err := os.MkdirAll(n.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("数据目录 · data folder: %w", err)
	}
	var err error
	n.reg, err = registry.Open(registry.Options{Dir: n.cfg.RegistryDir(),
		SessionTTL: n.cfg.Registry.SessionTTL, Max: n.cfg.Registry.MaxTerminals, Logger: n.log})
	if err != nil {
		return err
	}
	if n.desk, err = OpenDesk(n.cfg, n.reg); err != nil {
		return err
	}
	if path := n.cfg.Registry.Import; path != "" {
		if err := n.importTerminals(path); err != nil {
			return err
		}
	}
	ring, err := journal.LoadRing(n.cfg.Journal.KeyFile, n.cfg.Journal.OldKeys, n.cfg.JournalDir(), OpenKey(n.cfg))
	if err != nil {
		return err
	}
	n.journal, err = journal.Open(journal.Options{Dir: n.cfg.JournalDir(), Key: ring.Key, Old: ring.Old, Logger: n.log})
	if err != nil {
		return err
	}
	namer, err := n.journal.NewReader().Namer()
	if err != nil {
		return err
	}
	n.recordKey, n.masterKey = namer.Key("offline records in messages"), ring.Key
	n.moveOffline(ring.Old)
	if err := n.loadProposals(); err != nil {
		return err
	}
	return n.openAudit()
}

func (n *Node) importTerminals(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("终端文件 · terminals: %w", err)
	}
	defer f.Close()
	added, changed, err := n.reg.Import(f, path)
	if err == nil {
		n.log.Info("terminals imported", zap.Int("added", added), zap.Int("changed", changed))
	}
	return err
}

// parts makes the engine's and the front's configuration. The front's links are
// the banks in the order of the file, then the security modules.
func (n *Node) parts(o Options) (engine.Config, conn.Config, error) {
	cfg := n.cfg
	ec := engine.Config{InFlight: cfg.Limits.InFlight, History: cfg.Limits.History,
		HSMTimeout: cfg.HSM.Timeout,
		Seed:       uint64(time.Now().UnixNano()), Clock: func() int64 { return time.Now().UnixNano() },
		Logger: n.log, Faults: o.Faults, Fatal: o.Fatal}
	cc := conn.Config{Logger: n.log}
	doors := map[string]*translate.Door{} // of one dialect, one for all its listeners
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		door, err := n.door(doors, l)
		if err != nil {
			return ec, cc, fmt.Errorf("listeners[%d] %s: %w", i, l.Name, err)
		}
		f, err := l.Framing.Make("binary2")
		if err != nil {
			return ec, cc, err
		}
		ec.Listeners = append(ec.Listeners, engine.Listener{Name: l.Name, Door: door, Framing: f})
		cc.Listeners = append(cc.Listeners, conn.ListenerConfig{Name: l.Name, Speaks: speaks(l), Addr: l.Address, Framing: f,
			MaxConns: l.MaxConnections, MaxFrame: l.MaxFrame, MaxOutbound: l.MaxOutbound, Idle: l.IdleTimeout, FrameTimeout: l.FrameTimeout,
			TLS: l.TLS.Options(), Guard: l.Guard()})
	}
	for i := range cfg.Links {
		l := &cfg.Links[i]
		bank, err := n.bank(l)
		if err != nil {
			return ec, cc, err
		}
		for _, line := range l.AllLines() {
			of := conn.LinkConfig{Framing: bank.Framing, TLS: l.TLS.Options()}
			if s, ok := line.Short(); ok {
				n.calls(&cc, &bank, &line, &s, of)
				continue
			}
			bank.Lines = append(bank.Lines, n.line(&cc, nextLine(&bank), &line, of))
		}
		ec.Links = append(ec.Links, bank)
	}
	if cfg.HSM.Mode == "soft" {
		m, err := SoftModule(cfg)
		if err != nil {
			return ec, cc, err
		}
		ec.Module = m
		if lmk := m.LMK(); lmk.Test() {
			n.log.Warn("SOFTWARE SECURITY MODULE WITH THE PUBLIC TEST LMK: every key is known to everybody; never for real money", fault.Field(fault.TestKeys))
		} else {
			n.log.Warn("SOFTWARE SECURITY MODULE: its keys are in this process's memory; for development, never for real money", fault.Field(fault.TestKeys), zap.Stringer("lmk", lmk))
		}
	}
	if err := modules(&cfg.HSM, &ec, &cc); err != nil {
		return ec, cc, err
	}
	ec.FlowControl = FlowControl(cfg)
	ec.Cards = n.cardsOf(&cfg.Cards)
	if format, err := recordFormat(cfg); err != nil {
		return ec, cc, err
	} else if format != nil {
		ec.Offline = &records{format: format}
	}
	ec.Rules = flow.Rules{Completion: int64(cfg.Rules.CompletionPercent), Tip: int64(cfg.Rules.TipPercent)}
	var err error
	if ec.Day, err = Day(cfg); err != nil {
		return ec, cc, err
	}
	ec.Routes, err = Routes(cfg)
	return ec, cc, err
}

// line gives a bank's line its sockets.
func (n *Node) line(cc *conn.Config, name string, l *config.Line, of conn.LinkConfig) engine.Line {
	socket := func(name, dial string) int {
		c := of
		c.Name, c.Addr = name, dial
		c.MaxFrame, c.MaxOutbound, c.BackoffMax = n.cfg.Limits.MaxFrame, config.LineOutbound, 5*time.Second
		if dial == "" {
			c.Addr, c.Listen, c.Allow, c.Silence = l.Listen, true, l.Networks(), l.Silence
		}
		c.Backups = l.Backups // of a line with one socket only
		cc.Links = append(cc.Links, c)
		return len(cc.Links) - 1
	}
	line := engine.Line{Priority: l.Priority, Window: l.Window, HalfDuplex: l.HalfDuplex}
	if l.Pair() {
		line.Send, line.Receive = socket(name+" send", l.Send), socket(name+" receive", l.Receive)
	} else {
		line.Send = socket(name, l.Address)
		line.Receive = line.Send
	}
	return line
}

// nextLine is what logs and orders call a bank's next line.
func nextLine(bank *engine.Link) string { return fmt.Sprintf("%s#%d", bank.Name, len(bank.Lines)+1) }

// calls gives each of a short-lived line's connections a line of its own, with a
// number of its own.
func (n *Node) calls(cc *conn.Config, bank *engine.Link, l *config.Line, s *config.ShortLived, of conn.LinkConfig) {
	of.OnDemand, of.DialTimeout = true, s.DialTimeout
	for range s.Connections {
		line := n.line(cc, nextLine(bank), l, of)
		line.HalfDuplex = true
		line.Short = flow.Short{Messages: s.Messages, Keep: int64(s.Keep), Dial: int64(s.DialTimeout)}
		bank.Lines = append(bank.Lines, line)
	}
}

// door gives the reader and renderer of a terminals' dialect.
func (n *Node) door(made map[string]*translate.Door, l *config.Listener) (*translate.Door, error) {
	key := speaks(l)
	if d := made[key]; d != nil {
		return d, nil
	}
	spec, err := dialects.Open(l.Dialect)
	if err != nil {
		return nil, err
	}
	d, err := translate.NewDoor(spec, n.cfg.Node.Acquirer)
	if err == nil {
		err = ofEdition(d.Edition, l.ActionCodes, "")
	}
	made[key] = d
	return d, err
}

// speaks names the dialect of a listener and what belongs to it.
func speaks(l *config.Listener) string { return l.Dialect + " " + strings.Join(l.ActionCodes, " ") }

// ofEdition gives a dialect of 1993 what is its counterpart's own. Others have no
// use for it.
func ofEdition(e *translate.Edition, actions []string, point string) error {
	if e == nil {
		if len(actions) > 0 || point != "" {
			return errors.New("action_codes 与 point_of_service 只用于 1993 版方言 · action_codes and point_of_service are for dialects of 1993 only")
		}
		return nil
	}
	err := e.SetActions(actions)
	if point != "" {
		err = errors.Join(err, e.SetPoint(point))
	}
	return err
}

// windowsPerRound bounds what a bank that comes back is offered in a round, when
// the configuration does not: so many windows full.
const windowsPerRound = 64

func (n *Node) bank(l *config.Link) (engine.Link, error) {
	spec, err := dialects.Open(l.Dialect)
	if err != nil {
		return engine.Link{}, fmt.Errorf("link %s: %w", l.Name, err)
	}
	f, err := l.Framing.Make("ascii4")
	if err != nil {
		return engine.Link{}, err
	}
	bank, err := translate.NewBank(spec, l.Destination, l.Source, n.cfg.Node.Acquirer, n.cfg.Node.Forwarder)
	if err != nil {
		return engine.Link{}, fmt.Errorf("link %s: %w", l.Name, err)
	}
	if err := ofEdition(bank.Edition, l.ActionCodes, l.Point); err != nil {
		return engine.Link{}, fmt.Errorf("link %s: %w", l.Name, err)
	}
	mac, err := linkMAC(l, bank)
	if err != nil {
		return engine.Link{}, fmt.Errorf("link %s: %w", l.Name, err)
	}
	r := &l.Reversal
	if err := pinRoom(l, bank); err != nil {
		return engine.Link{}, err
	}
	return engine.Link{Name: l.Name, Bank: bank, Framing: f, ZPK: l.ZPK, ZMK: l.ZMK, MAC: mac,
		AnswerTimeout: l.AnswerTimeout, EchoInterval: l.EchoInterval, EchoTimeout: l.EchoTimeout,
		MaxMissed: l.MaxMissed, FullCode: l.FullCode(),
		Reversal: storefwd.Policy{Window: r.Window, PerRound: cmp.Or(r.PerRound, windowsPerRound*r.Window), Interval: r.Round, Timeout: r.AnswerTimeout,
			BackoffMin: r.Interval, BackoffMax: r.MaxInterval, MaxAttempts: r.MaxAttempts}}, err
}

// doors is what the doors have counted; the console asks before they are open.
func (n *Node) doors() conn.Stats {
	if f := n.live.Load(); f != nil {
		return f.Stats()
	}
	return conn.Stats{}
}

// Addr is where a listener listens, by its index in the file; nil when the file
// has no such listener.
func (n *Node) Addr(listener int) net.Addr {
	n.view.RLock()
	defer n.view.RUnlock()
	if listener >= len(n.cfg.Listeners) {
		return nil
	}
	return n.front.Addr(n.seats.listeners[n.cfg.Listeners[listener].Name])
}

// ConsoleAddr is where the console listens; empty when it is off.
func (n *Node) ConsoleAddr() string {
	if n.console == nil {
		return ""
	}
	return n.console.Addr().String()
}

func (n *Node) closeAdmin(ctx context.Context) error {
	if n.admin == nil {
		return nil
	}
	return n.admin.Close(ctx)
}

func (n *Node) closeConsole(ctx context.Context) error {
	if n.console == nil {
		return nil
	}
	return n.console.Close(ctx)
}

func (n *Node) closeStores() error {
	n.endReading()
	var err error
	if n.journal != nil {
		err = n.journal.Close()
	}
	if n.desk != nil {
		err = errors.Join(err, n.desk.Blacklist.Close())
	}
	if n.reg != nil {
		err = errors.Join(err, n.reg.Close())
	}
	if n.audit != nil {
		err = errors.Join(err, n.audit.Close())
	}
	if n.cuts.book != nil {
		err = errors.Join(err, n.cuts.book.Close())
	}
	return err
}
