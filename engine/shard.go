package engine

import (
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/flow"
	"tongka/hsm"
	"tongka/hsm/pool"
	"tongka/journal"
	"tongka/registry"
	"tongka/registry/limits"
	"tongka/router/limit"
	"tongka/storefwd"
	"tongka/timeout"
	"tongka/translate"
	"tongka/txn"
)

// slot is one transaction in flight. Slots are made at the start and used again.
// What a sale needs comes first, in as few cache lines as it takes; what few need
// comes last.
type slot struct {
	flow.Txn
	conn conn.ID
	term *registry.Terminal
	sess *registry.Session
	hist *history
	line *line // that it was sent on
	// The newest record of this transaction, and that of its intent.
	last, intent journal.LSN
	timer        timeout.Token
	fp           uint64 // identity, 0 when this transaction is not the one remembered under it
	index        uint32
	gen          uint32 // how often the slot was used: old timers and replies miss it
	use          uint32 // which use of its line
	orig         uint32 // a reversal's original, or a repeat's first, in flight: slot + 1
	place        uint32 // in the history, of fp, unless it was pushed out
	counted      int32  // the day that it is counted in, 0: it is not
	door         uint16 // the listener it came by
	armed        bool
	entered      bool     // is counted by flow control
	seals        bool     // its answer waits for a MAC from a module behind a socket
	origin       *origin  // where it came from, nil when that has no limits
	keys         *newKeys // of a sign-in
	day          *dayWork // of a settlement or an upload
	frame        []byte   // the request; then the answer, while a module behind a socket makes its MAC
	holds        []object // that it alone may change
	echo         translate.Echo

	load     *flow.Load // room for what is said of a card, kept from use to use
	print    uint64     // of its card, see Shard.print
	older    []byte     // the request as 1987 has it, when it came as 1993
	sealFrom int        // where the MAC's data begins in frame
	pin      [16]byte
	pinSize  int
}

// newKeys is what a sign-in collects from the security module: the session, and
// F62 as it goes to the terminal, each key under the TMK and then its check
// value (source: UnionPay direct POS specification, F62 of a sign-in answer).
type newKeys struct {
	session registry.Session
	buf     [60]byte
	pik     int // length of the PIN key's place, and of the MAC key's
	mak     int
	makSize int // the MAC key itself may be shorter: zeros follow it
	tdk     int // 0, or the length of the key for track data
}

const checkSize = 4 // bytes of a check value

func (k *newKeys) f62() []byte {
	n := k.pik + checkSize + k.mak + checkSize
	if k.tdk > 0 {
		n += k.tdk + checkSize
	}
	return k.buf[:n]
}

// place is where a key stands, by the step that makes it or its check value.
func (k *newKeys) place(step flow.Step) []byte {
	mak := k.pik + checkSize
	tdk := mak + k.mak + checkSize
	switch step {
	case flow.MakePIK:
		return k.buf[:k.pik]
	case flow.CheckPIK:
		return k.buf[k.pik:mak]
	case flow.MakeMAK:
		return k.buf[mak : mak+k.makSize]
	case flow.CheckMAK:
		return k.buf[mak+k.mak : tdk]
	case flow.MakeTDK:
		return k.buf[tdk : tdk+k.tdk]
	}
	return k.buf[tdk+k.tdk : tdk+k.tdk+checkSize]
}

// Shard owns everything of one loop.
type Shard struct {
	cfg  Config
	log  Journal
	reg  *registry.Registry
	loop conn.Loop
	zap  *zap.Logger

	env       flow.Env
	wheel     *timeout.Wheel
	owed      *storefwd.Queue
	now       int64 // of this turn
	inTurn    bool
	firstLife bool     // the journal was empty: there is nothing older on disk
	dead      bool     // the store failed; nothing is done any more
	crowded   txn.Code // the disk is nearly full: what new requests are told; zero otherwise
	draining  bool     // connections are let go: owing is kept
	finishing bool     // no request is taken any more
	leaving   bool     // the process is about to stop
	owing     owing

	slots     []slot
	free      []uint32
	scratch   slot // answers a refusal when all slots are taken
	lastID    txn.ID
	pending   pending
	histories map[txn.Terminal]*history
	chains    map[object]owner // what somebody holds
	chained   chained
	unlock    []object // of it, what a transaction held that has ended in this turn
	cards     cardDesk
	newest    journal.LSN
	turns     uint64    // that have been committed, and 1
	unstored  []waiting // totals that the store lacks, the oldest first,
	storedTo  int       // from here on
	gates     gates
	daily     counters
	holdsFn   func(slot uint32, fp uint64) bool // s.holds, made once

	peers []peer       // by conn.ID index
	links []link       // by LinkID
	lines []*line      // of all links
	wires map[int]wire // by the front's links
	dice  uint64       // the state of below

	debtsOut int // on half-duplex lines
	hsms     []module
	pool     *pool.Pool[asked]
	urgent   []conn.ID // links with bytes to send
	dirty    []conn.ID // terminals with bytes to send
	closing  []conn.ID // peers to hang up on after that
	bufs     []*outbuf
	seals    []seal

	envelope  iso8583.Envelope // of the frame being handled
	view      *iso8583.View    // of the terminal's request in hand: one of views
	views     [hsm.Together]iso8583.View
	held      held
	bview     iso8583.View
	macs      bankMACs
	editions  editions
	clock     translate.Clock
	body      []byte // the answer rendered last
	bodyID    txn.ID // and whose it is
	aux       []byte
	keyBuf    [48]byte
	looked    []byte
	rec       journal.Record
	answering *slot // the slot that s.bview is the bank's answer to
	req       hsm.Request
	rep       hsm.Reply
	sm4       hsm.More // of req, when a PIN is under SM4

	stats     Counters
	kinds     [txn.Kinds]KindCount
	latency   Latency
	disk      Latency
	done      []finished // ring of the last transactions
	doneAt    int
	words     []byte  // what lastViews gathers; empty between two calls
	sent      []int64 // arrivals of the transactions answered in this turn
	marked    int64   // when the recovery point was last written
	shown     int64
	started   int64
	badLines  lineLimit
	malformed malformed
	snapshot  atomic.Pointer[Snapshot]

	changes  [keptChanges]LineChange // ring of the last ones
	changeAt int

	commands  chan posted // from other goroutines
	performed []posted    // in this turn, and not answered yet
}

// peer is what the shard knows of one connection.
type peer struct {
	id    conn.ID
	kind  peerKind
	index uint16             // of the listener, line or module
	bad   uint8              // unreadable frames in a row
	out   *outbuf            // what this turn sends, nil when it sends nothing
	own   *outbuf            // of a bank or module
	term  *registry.Terminal // the last terminal that spoke here
	hist  *history           // and its history
	snap  *registry.Snapshot // where term was found

	from   netip.Addr // of a terminal: whose limits it is under
	origin *origin    // and what counts them, nil while nothing does
}

type peerKind uint8

const (
	noPeer peerKind = iota
	terminalPeer
	bankPeer
	hsmPeer
)

// outbuf gathers what leaves to one peer at the end of the turn.
type outbuf struct{ b []byte }

// seal is a MAC to be made in place, over out.b[from:to-8] into out.b[to-8:to].
type seal struct {
	out     *outbuf
	from    int // of what the MAC covers, up to
	mac, to int // where it stands itself
	key     *hsm.Key
	hint    *uint32
	alg     hsm.MACAlg
}

// held is requests whose MACs wait for more: many are verified together in a third
// of their time. They wait for the end of the turn at most. The view of each is that of
// its place in views.
type held struct {
	n   int
	sl  [hsm.Together]*slot
	req [hsm.Together]hsm.Request // also of the answers to be sealed, at the end
	rep [hsm.Together]hsm.Reply
}

// link is one bank.
type link struct {
	cfg      *Link
	lines    []*line
	serving  []*line // those that requests may take, see regroup
	was      flow.LineState
	since    int64   // when its best line came to be in that state
	calls    bool    // some of its lines are short-lived
	held     bool    // an operator took all of it out of service
	inFlight int     // requests without an answer, of ended uses of lines, too
	zpk      hsm.Key // the configured one, or a newer one of the bank's
	mac      macKeys // likewise
	checked  hsm.Key // the configured MAC key whose check value a module has said
	offer    keyOffer
	notice   dayNotice
}

// usualFrame is the room that a slot has for its request from the start; a
// longer one gets its own.
const usualFrame = 384

func newShard(cfg Config, log Journal, reg *registry.Registry) *Shard {
	s := &Shard{cfg: cfg, log: log, reg: reg, zap: cfg.Logger,
		wheel:     timeout.New(5*time.Millisecond, cfg.InFlight+len(cfg.Links)),
		wires:     map[int]wire{},
		dice:      cfg.Seed,
		slots:     make([]slot, cfg.InFlight),
		pending:   newPending(!cfg.NoWarm),
		histories: map[txn.Terminal]*history{},
		chains:    map[object]owner{},
		chained:   chained{bits: make([]uint64, chainedBits/64)},
		done:      make([]finished, 64),
		commands:  make(chan posted, maxCommands),
		gates:     gates{merchants: map[[15]byte]*limit.Gate{}, origins: map[netip.Addr]*origin{}},
	}
	s.daily.merchants = map[[15]byte]*limits.Uses{}
	if b := cfg.Books.Blacklist; b != nil {
		s.daily.hasher = b.Hasher()
	}
	s.view, s.turns = &s.views[0], 1
	s.started = cfg.Clock()
	s.now = s.started
	policies := make([]storefwd.Policy, len(cfg.Links))
	_, zone := time.Unix(0, 0).In(translate.Zone).Zone()
	s.env = flow.Env{Zone: int64(zone) * int64(time.Second), Routes: cfg.Routes, Health: s, Rules: cfg.Rules}
	for i := range cfg.Links {
		l := &cfg.Links[i]
		policies[i] = l.Reversal
		s.links = append(s.links, link{cfg: l, since: s.started})
		s.addLines(txn.LinkID(i), nil)
		s.links[i].was = s.links[i].state()
		s.env.AnswerTimeout = append(s.env.AnswerTimeout, int64(l.AnswerTimeout))
	}
	s.limit(cfg.FlowControl)
	s.takeCards()
	s.owed = storefwd.New(log, policies, cfg.Seed)
	s.owed.OnPark(s.parked)
	s.pool = newPool(&cfg)
	for i := range cfg.HSMs {
		s.addModule(&cfg.HSMs[i])
		s.wires[cfg.HSMs[i].Socket] = wire{kind: hsmPeer, index: uint16(i)}
	}
	frames := make([]byte, len(s.slots)*usualFrame)
	for i := len(s.slots) - 1; i >= 0; i-- {
		s.slots[i].index = uint32(i)
		s.slots[i].frame = frames[i*usualFrame : i*usualFrame : (i+1)*usualFrame]
		s.free = append(s.free, uint32(i))
	}
	s.holdsFn = s.holds
	return s
}
