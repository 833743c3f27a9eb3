package fleet

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/sim/book"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a test that waits for what never comes.
const patience = 60 * time.Second

// aWhile is what a terminal waits that is not answered.
const aWhile = time.Second

// Clear keys of the tests; any bytes do.
var (
	tmk = []byte("\x01\x23\x45\x67\x89\xAB\xCD\xEF\xFE\xDC\xBA\x98\x76\x54\x32\x10")
	pik = []byte("\x80\x7A\x23\xAD\x32\xB3\x6D\x45\x7A\xE9\x1F\xDF\x92\x75\x70\xEA")
	mak = []byte("\x5B\xB5\xC7\x2C\xD0\x0B\x73\x38\xAC\x61\xF7\xF1\x18\x33\xAE\xAD")
)

// request is one message as the switch saw it.
type request struct {
	mti                        iso8583.MTI
	trace, code, f60, pan, f52 string
	amount                     int64
	good                       bool // its MAC verified
	conn                       int  // number of the connection, from 1
}

// act is what the fake switch does with a request.
type act struct {
	code    string // F39
	silent  bool
	drop    bool // closes the connection instead of answering
	badMAC  bool
	noMAC   bool
	stray   bool  // first sends an answer to another trace
	amount  int64 // answered instead of the request's
	oneKey  bool  // sign-in: single-length MAK, zeros behind it
	badKCV  bool  // sign-in
	batch   string
	garbage bool // answers what is no message
}

// fake is a switch that does what a script says.
type fake struct {
	t      *testing.T
	ln     net.Listener
	alg    hsm.MACAlg
	script func(r request) act

	mu    sync.Mutex
	seen  []request
	conns []net.Conn
	wg    sync.WaitGroup
}

func newFake(t *testing.T, alg hsm.MACAlg, script func(r request) act) *fake {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, ln: ln, alg: alg, script: script}
	f.wg.Go(f.accept)
	t.Cleanup(func() {
		ln.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			c.Close()
		}
		f.mu.Unlock()
		f.wg.Wait()
	})
	return f
}

func (f *fake) accept() {
	for {
		c, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns = append(f.conns, c)
		n := len(f.conns)
		f.mu.Unlock()
		f.wg.Go(func() {
			defer c.Close()
			f.serve(c, n)
		})
	}
}

func (f *fake) serve(c net.Conn, n int) {
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, frame); err != nil {
			return
		}
		var env iso8583.Envelope
		var v iso8583.View
		msg, err := iso8583.Pos().Split(frame, &env)
		if err == nil {
			err = iso8583.Pos().Parse(&v, msg)
		}
		if err != nil {
			f.t.Errorf("terminal sent what cannot be read: %v", err)
			return
		}
		r := f.look(&v, n)
		a := f.script(r)
		if a.drop {
			return
		}
		for _, out := range f.answer(&v, &env, &a) {
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}
}

// look notes a request.
func (f *fake) look(v *iso8583.View, conn int) request {
	text := func(n int) string { return string(v.AppendText(nil, n)) }
	amount, _ := v.Uint(4)
	r := request{mti: v.MTI(), trace: text(11), code: text(39), f60: text(60), pan: text(2), f52: text(52), amount: int64(amount), conn: conn}
	mac, err := clear.MAC(f.alg, mak, v.Before(64))
	r.good = err == nil && string(mac[:]) == text(64)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, r)
	return r
}

func (f *fake) requests() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]request(nil), f.seen...)
}

// answer makes the frames that a says.
func (f *fake) answer(v *iso8583.View, env *iso8583.Envelope, a *act) (out [][]byte) {
	switch {
	case a.silent:
		return nil
	case a.garbage:
		return [][]byte{{0, 3, 'a', 'b', 'c'}}
	}
	trace := string(v.AppendText(nil, 11))
	if a.stray {
		out = append(out, f.message(v, env, "999998", a))
	}
	return append(out, f.message(v, env, trace, a))
}

func (f *fake) message(v *iso8583.View, env *iso8583.Envelope, trace string, a *act) []byte {
	b := iso8583.Pos().AppendReplyEnvelope([]byte{0, 0}, env)
	base := len(b)
	m := iso8583.Pos().Begin(b, v.MTI().Reply())
	if a.amount != 0 {
		m.PutUint(4, uint64(a.amount))
	} else if v.Has(4) {
		m.Copy(4, v, 4)
	}
	m.Put(11, []byte(trace))
	m.Put(37, []byte("RRN"+trace+"000"))
	m.Put(39, []byte(a.code))
	m.Copy(41, v, 41)
	m.Copy(42, v, 42)
	if proc, _ := v.Uint(3); proc == 310000 && a.code == "00" {
		m.Put(54, []byte("0202156C000000123456"))
	}
	signIn := v.MTI() == 0x0800
	if signIn {
		m.Put(60, []byte("00"+a.batch+"003"))
		m.Put(62, f.keys(a))
	}
	at := base + m.Offset()
	macked := !signIn && !a.noMAC
	if macked {
		m.Put(64, make([]byte, 8))
	}
	out, err := m.End()
	if err != nil {
		f.t.Error(err)
	}
	if macked {
		mac, err := clear.MAC(f.alg, mak, out[base:at])
		if err != nil {
			f.t.Error(err)
		}
		if a.badMAC {
			mac[0] ^= 1
		}
		copy(out[at:], mac[:])
	}
	binary.BigEndian.PutUint16(out, uint16(len(out)-2))
	return out
}

// keys is F62 of a sign-in answer.
func (f *fake) keys(a *act) (f62 []byte) {
	c, err := clear.NewCipher(tmk)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, key := range [][]byte{pik, mak} {
		if a.oneKey && &key[0] == &mak[0] {
			key = mak[:8]
		}
		at := len(f62)
		f62, _ = c.AppendEncrypted(f62, key)
		for len(f62) < at+16 {
			f62 = append(f62, 0)
		}
		kcv, _ := clear.KCV(key)
		f62 = append(f62, kcv[:4]...)
	}
	if a.badKCV {
		f62[39] ^= 1
	}
	return f62
}

// friendly signs terminals in and approves the rest.
func friendly(r request) act { return act{code: "00", batch: "000007"} }

// sellTo makes a script of what happens to sales; the rest is friendly.
func sellTo(sale func(r request) act) func(request) act {
	return func(r request) act {
		if r.mti == 0x0200 {
			return sale(r)
		}
		return friendly(r)
	}
}

// terminals gives n of them, with the same keys.
func terminals(n int) (all []Terminal) {
	for i := range n {
		all = append(all, Terminal{
			Merchant: "898310054110000", Number: fmt.Sprintf("1000000%d", i), TMK: tmk, MAC: hsm.UnionPay,
			PANs: []string{"6225880000000001", "6225880000000019"},
		})
	}
	return all
}

// play starts a fleet against f; its answer timeout is long, and short only for
// scripts that do not answer: what comes late on a busy machine is taken back, too.
func play(t *testing.T, f *fake, cfg Config) *Fleet {
	t.Helper()
	cfg.Addr = f.ln.Addr().String()
	if cfg.Terminals == nil {
		cfg.Terminals = terminals(1)
	}
	if cfg.AnswerTimeout == 0 {
		cfg.AnswerTimeout = patience
	}
	for i := range cfg.Terminals {
		cfg.Terminals[i].MAC = f.alg
	}
	fl, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fl.Close() })
	if err := fl.Start(); err != nil {
		t.Fatal(err)
	}
	return fl
}

// finish waits for all sales.
func finish(t *testing.T, f *Fleet) []book.Sale {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return f.Sales()
}

// line is what a request is, in short: "0200 3 2" is trace 3 on connection 2.
func (r *request) line() string {
	s := fmt.Sprintf("%v %s", r.mti, r.trace[3:])
	if r.code != "" {
		s += " " + r.code
	}
	return fmt.Sprintf("%s @%d", s, r.conn)
}

func lines(rs []request) (out []string) {
	for i := range rs {
		out = append(out, rs[i].line())
	}
	return out
}

// poll waits for an event that only counters show.
func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
