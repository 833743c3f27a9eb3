package engine

import (
	"cmp"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/flow"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/payshield"
	"tongka/hsm/soft"
	"tongka/journal"
	"tongka/registry"
	"tongka/router"
	"tongka/storefwd"
	"tongka/translate"
	"tongka/txn"
)

// world is a shard without sockets: a loop that keeps what is sent, a clock that
// the test moves, a journal in memory.
type world struct {
	t        testing.TB
	now      int64
	fs       vfs.FS
	log      *watchedLog
	reg      *registry.Registry
	shard    *Shard
	module   *soft.Module
	remote   bool
	header   int // of the module behind a socket
	logger   *zap.Logger
	names    []string
	shape    func(*Config) // changes what a life begins with
	sent     map[conn.ID][][]byte
	order    []conn.ID // to whom the last turns sent
	closed   map[conn.ID]bool
	rejected map[conn.ID]bool // of those
	dialled  []int            // links that the shard wants a connection of
	fatal    error
	nextID   uint32
	macs     *bankSide // nil: banks' messages have no MAC
}

// watchedLog fails the test when bytes leave before the records are durable.
type watchedLog struct {
	*journal.Log
	looks    []string // keys that were looked up
	staged   bool
	failSync error
	onSync   func() // before the disk has it
}

func (l *watchedLog) Append(r *journal.Record) journal.LSN { l.staged = true; return l.Log.Append(r) }
func (l *watchedLog) Put(k, v []byte)                      { l.staged = true; l.Log.Put(k, v) }
func (l *watchedLog) Sync() error {
	if l.failSync != nil {
		return l.failSync
	}
	if l.onSync != nil {
		l.onSync()
	}
	l.staged = false
	return l.Log.Sync()
}

func (w *world) Send(id conn.ID, b []byte) error {
	if w.log.staged {
		w.t.Error("bytes left before their records were durable")
	}
	if w.closed[id] {
		return conn.ErrClosed
	}
	w.sent[id] = append(w.sent[id], append([]byte(nil), b...))
	w.order = append(w.order, id)
	return nil
}
func (w *world) Close(id conn.ID) { w.closed[id] = true }
func (w *world) Dial(link int)    { w.dialled = append(w.dialled, link) }
func (w *world) Wake()            {}

// Reject is noted beside the end.
func (w *world) Reject(id conn.ID) { w.closed[id], w.rejected[id] = true, true }

var (
	terminalMerchant = "898310048160001"
	terminalNumber   = "T0000001"
	tmkClear         = mustHex("0123456789ABCDEFFEDCBA9876543210")
	zpkClear         = mustHex("1111222233334444AAAABBBBCCCCDDDD")
)

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, now: time.Date(2026, 11, 21, 9, 0, 0, 0, translate.Zone).UnixNano(),
		fs: vfs.NewCrashableMem(), module: soft.New(soft.TestLMK()), header: 8, logger: zap.NewNop(), names: []string{"bank-a", "bank-b"}}
	var err error
	w.reg, err = registry.Open(registry.Options{InMemory: true, SessionTTL: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.reg.Close() })
	w.open(w.fs)
	return w
}

// wrap gives a clear key as the registry holds it.
func (w *world) wrap(kt hsm.KeyType, key []byte) hsm.Key {
	w.t.Helper()
	k, err := w.module.Wrap(kt, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

// open starts a life of the shard on a file system.
func (w *world) open(fs vfs.FS) {
	w.t.Helper()
	if err := w.tryOpen(fs); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tryOpen(fs vfs.FS) error {
	w.t.Helper()
	log, err := journal.Open(journal.Options{Dir: "j", FS: fs, Key: [32]byte{1}, NoWarm: true, InlineIndex: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { log.Close() })
	w.fs, w.log = fs, &watchedLog{Log: log}
	w.sent, w.closed, w.rejected, w.nextID = map[conn.ID][][]byte{}, map[conn.ID]bool{}, map[conn.ID]bool{}, 0
	bin, err := router.ParseRange("62")
	if err != nil {
		w.t.Fatal(err)
	}
	routes, err := router.Compile(router.Source{Rules: []router.Rule{
		{BINs: []router.Range{bin}, To: []router.Target{{Link: 0, Weight: 1}}}, {To: []router.Target{{Link: 1, Weight: 1}}}}})
	if err != nil {
		w.t.Fatal(err)
	}
	door, err := translate.NewDoor(iso8583.Pos(), "48023310")
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := Config{
		Listeners: []Listener{{Name: "pos", Door: door, Framing: conn.Binary2}},
		Routes:    routes, Rules: flow.Rules{Completion: 15, Tip: 20}, InFlight: 64, History: 16, Seed: 1,
		HSMTimeout: 2 * time.Second, Dialect: payshield.Dialect{HeaderLen: w.header},
		Clock: func() int64 { return w.now }, Logger: w.logger, Fatal: func(err error) { w.fatal = err },
	}
	for _, name := range w.names {
		bank, err := translate.NewBank(iso8583.Cups(), "00010000", "48023310", "48023310", "48023310")
		if err != nil {
			w.t.Fatal(err)
		}
		at := len(cfg.Links)
		cfg.Links = append(cfg.Links, Link{Name: name, Lines: []Line{{Send: at, Receive: at, Priority: 1}}, Bank: bank, Framing: conn.ASCII4, ZPK: w.wrap(hsm.ZPK, zpkClear),
			AnswerTimeout: 10 * time.Second, EchoInterval: time.Minute, EchoTimeout: 5 * time.Second,
			Reversal: storefwd.Policy{Window: 16, PerRound: 16, Interval: time.Second, BackoffMin: time.Second,
				BackoffMax: time.Second, Timeout: 5 * time.Second, MaxAttempts: 10}})
	}
	cfg.Module = w.module
	if w.remote {
		cfg.Module, cfg.HSMs = nil, []HSM{{Name: "hsm-1", Socket: 2, Framing: conn.Binary2}}
	}
	if w.shape != nil {
		w.shape(&cfg)
	}
	w.shard, err = Open(cfg, w.log, w.reg)
	if err != nil {
		return err
	}
	w.shard.Attach(w)
	return nil
}

// pass moves the clock and ends a turn.
func (w *world) pass(d time.Duration) {
	w.now += int64(d)
	w.shard.Tick(w.now)
}

// connect opens a connection; link < 0 is a terminal.
func (w *world) connect(link int) conn.ID {
	w.nextID++
	id := conn.ID(w.nextID)<<32 | 1
	w.shard.Opened(id, conn.Peer{Listener: link < 0, Index: max(link, 0)})
	return id
}

// boxUp connects a security module and answers what the pool asks it first.
func (w *world) boxUp(socket int) conn.ID {
	w.t.Helper()
	id := w.connect(socket)
	w.pass(0)
	server := payshield.NewServer(w.module, payshield.Dialect{HeaderLen: w.header})
	frames := w.take(id, conn.Binary2)
	if len(frames) != 1 {
		w.t.Fatalf("a new module is asked %d things", len(frames))
	}
	w.shard.Frame(id, server.Answer(nil, frames[0]))
	w.pass(0)
	return id
}

// bankUp connects bank 0 and signs it on.
func (w *world) bankUp(link int) conn.ID {
	w.t.Helper()
	id := w.connect(link)
	w.pass(0)
	on := w.bankGot(id)
	if on.MTI() != 0x0820 {
		w.t.Fatalf("expected a sign-on, got %v", on.MTI())
	}
	w.bankSays(id, 0x0830, func(b *iso8583.Builder) {
		b.Copy(7, on, 7)
		b.Copy(11, on, 11)
		b.Put(39, []byte("00"))
		b.Copy(70, on, 70)
	})
	if !w.shard.Up(txn.LinkID(link)) {
		w.t.Fatal("the link is not up")
	}
	return id
}

// take gives the payloads that were sent to a connection since the last call.
func (w *world) take(id conn.ID, framing conn.Framing) (frames [][]byte) {
	w.t.Helper()
	for _, b := range w.sent[id] {
		for len(b) > 0 {
			frame, used, err := framing.Next(b)
			if err != nil || used == 0 {
				w.t.Fatalf("badly framed: %x (%v)", b, err)
			}
			frames = append(frames, frame)
			b = b[used:]
		}
	}
	delete(w.sent, id)
	return frames
}

func (w *world) parse(spec *iso8583.Spec, frame []byte) *iso8583.View {
	w.t.Helper()
	var env iso8583.Envelope
	msg, err := spec.Split(frame, &env)
	if err != nil {
		w.t.Fatal(err)
	}
	v := new(iso8583.View)
	if err := spec.Parse(v, msg); err != nil {
		w.t.Fatal(err)
	}
	return v
}

// bankGot gives the one message that the bank received.
func (w *world) bankGot(id conn.ID) *iso8583.View {
	w.t.Helper()
	frames := w.take(id, conn.ASCII4)
	if len(frames) != 1 {
		w.t.Fatalf("the bank got %d messages, want 1", len(frames))
	}
	return w.parse(iso8583.Cups(), frames[0])
}

func (w *world) bankSays(id conn.ID, mti iso8583.MTI, fill func(*iso8583.Builder)) {
	w.t.Helper()
	w.shard.Frame(id, w.bankMessage(mti, fill))
	w.pass(0)
}

func (w *world) bankMessage(mti iso8583.MTI, fill func(*iso8583.Builder)) []byte {
	w.t.Helper()
	head := iso8583.AppendCupsHeader(nil, "48023310", "00010000")
	b := iso8583.Cups().Begin(head, mti)
	fill(&b)
	if w.macs != nil {
		b.Put(128, make([]byte, 8))
	}
	out, err := b.End()
	if err != nil {
		w.t.Fatal(err)
	}
	iso8583.PatchCupsLength(out, len(out))
	w.macs.seal(w.t, out)
	return out
}

// bankAnswers answers a request of the switch.
func (w *world) bankAnswers(id conn.ID, q *iso8583.View, code string) {
	w.t.Helper()
	w.shard.Frame(id, w.bankReply(q, code))
	w.pass(0)
}

// bankReply is the answer to a request of the switch. A repeat is answered as its
// first.
func (w *world) bankReply(q *iso8583.View, code string) []byte {
	w.t.Helper()
	return w.bankMessage(q.MTI()&^1|0x0010, func(b *iso8583.Builder) {
		for _, n := range []int{2, 3, 4, 7, 11} {
			if q.Has(n) {
				b.Copy(n, q, n)
			}
		}
		b.PutUint(15, 1122)
		b.Copy(37, q, 37)
		if code == "00" {
			b.Put(38, []byte("A00001"))
		}
		b.Put(39, []byte(code))
	})
}

// pos is a terminal of the tests.
type pos struct {
	w        *world
	id       conn.ID
	number   string // F41; terminalNumber when empty
	batch    string
	pik, mak *clear.Cipher
}

func (w *world) terminal() *pos {
	w.t.Helper()
	w.terminalImported()
	p := &pos{w: w, id: w.connect(-1)}
	p.signIn()
	return p
}

func (p *pos) signIn() {
	w := p.w
	w.t.Helper()
	p.send(0x0800, nil, func(b *iso8583.Builder) {
		b.PutUint(11, 1)
		p.identity(b)
		b.Put(60, []byte("00000001003"))
		b.Put(63, []byte("01 "))
	})
	w.pass(0)
	v := p.got()
	if string(v.Field(39)) != "00" {
		w.t.Fatalf("sign-in: F39 %s", v.Field(39))
	}
	p.batch = string(v.AppendText(nil, 60)[2:8])
	keys := v.Field(62)
	p.pik, p.mak = p.unwrap(keys[:20]), p.unwrap(keys[20:])
}

// unwrap takes one key from under the TMK and checks its check value.
func (p *pos) unwrap(slot []byte) *clear.Cipher {
	p.w.t.Helper()
	key, err := clear.DecryptKey(tmkClear, slot[:16])
	if err != nil {
		p.w.t.Fatal(err)
	}
	c, err := clear.NewCipher(key)
	if err != nil {
		p.w.t.Fatal(err)
	}
	if kcv := c.KCV(); string(kcv[:4]) != string(slot[16:20]) {
		p.w.t.Fatalf("check value %x, want %x", slot[16:20], kcv[:4])
	}
	return c
}

func (p *pos) identity(b *iso8583.Builder) {
	b.Put(41, []byte(cmp.Or(p.number, terminalNumber)))
	b.Put(42, []byte(terminalMerchant))
}

// send sends one message and gives its frame.
func (p *pos) send(mti iso8583.MTI, mak *clear.Cipher, fill func(*iso8583.Builder)) []byte {
	p.w.t.Helper()
	frame := p.render(mti, mak, fill)
	p.w.shard.Frame(p.id, frame)
	return frame
}

// render makes a frame, with a MAC under mak when there is one.
func (p *pos) render(mti iso8583.MTI, mak *clear.Cipher, fill func(*iso8583.Builder)) []byte {
	p.w.t.Helper()
	frame := mustHex("6000030000602200000000")
	at := len(frame)
	b := iso8583.Pos().Begin(frame, mti)
	fill(&b)
	if mak != nil {
		b.Put(64, make([]byte, 8))
	}
	frame, err := b.End()
	if err != nil {
		p.w.t.Fatal(err)
	}
	if mak != nil {
		mac := mak.MAC(hsm.UnionPay, frame[at:len(frame)-8])
		copy(frame[len(frame)-8:], mac[:])
	}
	return frame
}

// fields of a sale or of its reversal.
func (p *pos) money(trace, amount uint64, pin bool, reason string) func(*iso8583.Builder) {
	return func(b *iso8583.Builder) {
		b.Put(2, []byte("6225880000000003"))
		b.PutUint(3, 0)
		b.PutUint(4, amount)
		b.PutUint(11, trace)
		b.PutUint(22, 21)
		b.PutUint(25, 0)
		if reason != "" {
			b.Put(39, []byte(reason))
		}
		p.identity(b)
		b.Put(49, []byte("156"))
		if pin {
			p.putPIN(b)
		}
		b.Put(60, []byte("22"+p.batch))
	}
}

// putPIN puts F52 and F53 of the card that money names.
func (p *pos) putPIN(b *iso8583.Builder) {
	p.w.t.Helper()
	pan, _ := txn.ParsePAN([]byte("6225880000000003"))
	pan12 := pan.Tail12()
	block, err := p.pik.EncryptPIN([]byte("123456"), &pan12, pinISO0)
	if err != nil {
		p.w.t.Fatal(err)
	}
	b.Put(52, block[:])
	b.Put(53, []byte("2600000000000000"))
}

func (p *pos) sale(trace, amount uint64, pin bool) []byte {
	p.w.t.Helper()
	f := p.send(0x0200, p.mak, p.money(trace, amount, pin, ""))
	p.w.pass(0)
	return f
}

func (p *pos) reverse(trace, amount uint64) {
	p.w.t.Helper()
	p.send(0x0400, p.mak, p.money(trace, amount, false, "98"))
	p.w.pass(0)
}

// got gives the one answer that came, its MAC checked.
func (p *pos) got() *iso8583.View {
	p.w.t.Helper()
	frames := p.w.take(p.id, conn.Binary2)
	if len(frames) != 1 {
		p.w.t.Fatalf("the terminal got %d answers, want 1", len(frames))
	}
	if head := hex.EncodeToString(frames[0][:11]); head != "6000000003602200000000" && head != "6000000003602203000000" {
		p.w.t.Errorf("envelope %s", head)
	}
	v := p.w.parse(iso8583.Pos(), frames[0])
	if v.Has(64) {
		if want := p.mak.MAC(hsm.UnionPay, v.Before(64)); string(want[:]) != string(v.Field(64)) {
			p.w.t.Error("the answer's MAC is wrong")
		}
	}
	return v
}

// code gives F39 of the one answer that came.
func (p *pos) code() string {
	p.w.t.Helper()
	return string(p.got().Field(39))
}

func (p *pos) silent() {
	p.w.t.Helper()
	if n := len(p.w.sent[p.id]); n != 0 {
		p.w.t.Fatalf("the terminal got %d writes, want none", n)
	}
}

func (w *world) bankSilent(id conn.ID) {
	w.t.Helper()
	if n := len(w.sent[id]); n != 0 {
		w.t.Fatalf("the bank got %d writes, want none", n)
	}
}

var errDisk = errors.New("disk")
