package engine

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/translate"
	"tongka/txn"
)

var (
	zakClear    = mustHex("0123456789ABCDEFFEDCBA9876543210")
	zakNewClear = mustHex("2222444466668888AAAACCCCEEEE1111")
)

// bankSide is what a bank does about MACs.
type bankSide struct {
	bank  *translate.Bank
	key   *clear.Cipher
	alg   hsm.MACAlg
	hex   bool
	spoil int // which byte of the MAC is wrong, from 1; 0: none
}

// seal puts the MAC into the last field of a message.
func (b *bankSide) seal(t testing.TB, frame []byte) {
	if b == nil {
		return
	}
	t.Helper()
	want := b.of(t, frame)
	copy(frame[len(frame)-8:], want)
	if b.spoil > 0 {
		frame[len(frame)-9+b.spoil] ^= 1
	}
}

// of is the MAC that a message must have.
func (b *bankSide) of(t testing.TB, frame []byte) []byte {
	t.Helper()
	var env iso8583.Envelope
	var v iso8583.View
	msg, err := iso8583.Cups().Split(frame, &env)
	if err == nil {
		err = iso8583.Cups().Parse(&v, msg)
	}
	if err != nil {
		t.Fatal(err)
	}
	net, _ := v.Uint(70)
	in, _, _ := b.bank.MACInput(nil, &v, translate.ClassOf(v.MTI(), uint16(net)))
	mac := b.key.MAC(b.alg, in)
	if b.hex {
		return []byte(fmt.Sprintf("%X", mac[:4]))
	}
	return mac[:]
}

func cipherOf(t testing.TB, key []byte) *clear.Cipher {
	t.Helper()
	c, err := clear.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// withMACs gives the first bank MACs over everything, as change likes.
func (w *world) withMACs(change func(*LinkMAC, *translate.MACRule)) *world {
	rule := translate.MACRule{Of: []translate.Class{translate.Requests, translate.Advices, translate.Reversals, translate.NetworkMessages, translate.KeyChanges}}
	mac := LinkMAC{Alg: hsm.X919, Key: w.wrap(hsm.ZAK, zakClear), Grace: time.Minute}
	if change != nil {
		change(&mac, &rule)
	}
	zmk := w.wrap(hsm.ZMK, zmkClear)
	bank, err := translate.NewBank(iso8583.Cups(), "00010000", "48023310", "48023310", "48023310")
	if err == nil {
		err = bank.SetMAC(&rule)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	more := w.shape
	w.shape = func(c *Config) {
		c.Links[0].ZMK, c.Links[0].MAC, c.Links[0].Bank = zmk, mac, bank
		if more != nil {
			more(c)
		}
	}
	w.open(vfs.NewCrashableMem())
	w.macs = &bankSide{bank: bank, key: cipherOf(w.t, zakClear), alg: mac.Alg, hex: mac.Hex}
	return w
}

// sealedGot gives the one message that the bank received, its MAC verified.
func (w *world) sealedGot(id conn.ID) *iso8583.View {
	w.t.Helper()
	frames := w.take(id, conn.ASCII4)
	if len(frames) != 1 {
		w.t.Fatalf("the bank got %d messages, want 1", len(frames))
	}
	v := w.parse(iso8583.Cups(), frames[0])
	if want := w.macs.of(w.t, frames[0]); !bytes.Equal(want, v.Field(128)) {
		w.t.Errorf("%v has F128 %X, want %X", v.MTI(), v.Field(128), want)
	}
	return v
}

// sealed is a world with MACs, and how to wait for its module.
type sealed struct {
	*world
	serve func()
	bank  conn.ID
	till  *pos
}

// eachModule runs a test with a module in the process and with one behind a socket.
func eachModule(t *testing.T, change func(*LinkMAC, *translate.MACRule), test func(*testing.T, *sealed)) {
	t.Run("in the process", func(t *testing.T) {
		w := newWorld(t).withMACs(change)
		s := &sealed{world: w, serve: func() { w.pass(0) }}
		s.bank = s.signedOn()
		s.till = w.terminal()
		test(t, s)
	})
	t.Run("behind a socket", func(t *testing.T) {
		w := newWorld(t)
		w.remote = true
		r := newRackOf(w.withMACs(change))
		s := &sealed{world: w, serve: r.serve}
		s.bank = s.signedOn()
		s.till = r.terminal()
		test(t, s)
	})
}

// signedOn connects the bank, whose sign-on has a MAC on both sides.
func (s *sealed) signedOn() conn.ID {
	s.t.Helper()
	id := s.connect(0)
	s.pass(0)
	s.serve()
	on := s.sealedGot(id)
	s.says(id, 0x0830, func(b *iso8583.Builder) { b.Copy(11, on, 11); b.Put(39, []byte("00")); b.Copy(70, on, 70) })
	if !s.shard.Up(0) {
		s.t.Fatal("the link is not up")
	}
	return id
}

func (s *sealed) says(id conn.ID, mti iso8583.MTI, fill func(*iso8583.Builder)) {
	s.t.Helper()
	s.bankSays(id, mti, fill)
	s.serve()
}

func (s *sealed) sells(trace uint64) *iso8583.View {
	s.t.Helper()
	s.till.sale(trace, 1000+trace, false)
	s.serve()
	return s.sealedGot(s.bank)
}

func (s *sealed) answers(q *iso8583.View, code string) {
	s.t.Helper()
	s.bankAnswers(s.bank, q, code)
	s.serve()
}

func TestBankMAC(t *testing.T) {
	for name, change := range map[string]func(*LinkMAC, *translate.MACRule){
		"x9.19":                nil,
		"message, hexadecimal": func(m *LinkMAC, r *translate.MACRule) { m.Hex, r.Whole = true, true },
		"cbc":                  func(m *LinkMAC, _ *translate.MACRule) { m.Alg = hsm.X99 },
		"ecb":                  func(m *LinkMAC, _ *translate.MACRule) { m.Alg = hsm.UnionPay },
	} {
		t.Run(name, func(t *testing.T) {
			eachModule(t, change, func(t *testing.T, s *sealed) {
				q := s.sells(1)
				s.answers(q, "00")
				if got := s.till.code(); got != "00" || s.shard.stats.BadBankMAC != 0 {
					t.Fatalf("F39 %s, %d bad MACs", got, s.shard.stats.BadBankMAC)
				}
				s.till.reverse(1, 1001)
				s.serve()
				back := s.sealedGot(s.bank)
				s.answers(back, "00")
				if back.MTI() != 0x0420 || s.shard.owed.Total() != 0 || s.shard.stats.Delivered != 1 {
					t.Errorf("%v, %d owed", back.MTI(), s.shard.owed.Total())
				}
			})
		})
	}
}

// An answer with a wrong MAC, or none, is as good as silence: the deadline, 98, and
// a reversal that is owed until an answer to it can be believed.
func TestAnswersThatAreNotBelieved(t *testing.T) {
	for name, spoil := range map[string]func(*bankSide) *bankSide{
		"first byte":  func(b *bankSide) *bankSide { c := *b; c.spoil = 1; return &c },
		"last byte":   func(b *bankSide) *bankSide { c := *b; c.spoil = 8; return &c },
		"another key": func(b *bankSide) *bankSide { c := *b; c.key = cipherOf(t, zakNewClear); return &c },
		"none":        func(*bankSide) *bankSide { return nil },
	} {
		for _, hex := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, hexadecimal %v", name, hex), func(t *testing.T) {
				eachModule(t, func(m *LinkMAC, _ *translate.MACRule) { m.Hex = hex }, func(t *testing.T, s *sealed) {
					right := s.macs
					q := s.sells(1)
					s.macs = spoil(right)
					s.answers(q, "00")
					s.till.silent()
					if n := s.shard.stats.BadBankMAC; n != 1 {
						t.Errorf("%d counted", n)
					}
					s.macs = right
					s.pass(11 * time.Second)
					s.serve()
					if got := s.till.code(); got != "98" {
						t.Fatalf("F39 %s", got)
					}
					back := s.sealedGot(s.bank)
					s.macs = spoil(right)
					s.answers(back, "00")
					if s.shard.owed.Total() != 1 || s.shard.stats.BadBankMAC != 2 {
						t.Fatalf("%d owed, %d counted", s.shard.owed.Total(), s.shard.stats.BadBankMAC)
					}
					s.macs = right
					s.answers(back, "00")
					if s.shard.owed.Total() != 0 {
						t.Error("what was answered rightly is still owed")
					}
				})
			})
		}
	}
}

// Only the classes that the rule names have one.
func TestClassesWithoutAMAC(t *testing.T) {
	w := newWorld(t).withMACs(func(_ *LinkMAC, r *translate.MACRule) { r.Of = []translate.Class{translate.Reversals} })
	w.macs = nil
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(1, 100, false)
	q := w.bankGot(bank)
	if q.Has(128) {
		t.Error("the request has a MAC")
	}
	w.bankAnswers(bank, q, "00")
	if got := p.code(); got != "00" {
		t.Errorf("F39 %s", got)
	}
	p.reverse(1, 100)
	if q = w.bankGot(bank); !q.Has(128) {
		t.Error("the reversal has none")
	}
	w.bankAnswers(bank, q, "00")
	if w.shard.owed.Total() != 1 {
		t.Error("its answer without a MAC was believed")
	}
}

// offers brings a key of the bank's, under the zone master key.
func (s *sealed) offers(key []byte, f53, more string) string {
	s.t.Helper()
	s.bankBringsKey(s.bank, 101, f53, fmt.Sprintf("NK%03d", 2*len(key))+s.underZMK(key)+more)
	s.serve()
	return s.keyAnswer(s.bank)
}

// A bank's new MAC key is used once it is confirmed, for its own 0810 first, and
// after a restart; what the bank sends under the old one is good for the grace.
func TestBankChangesTheMACKey(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprintf("sealed by the old key %v", old), func(t *testing.T) {
			eachModule(t, func(m *LinkMAC, _ *translate.MACRule) { m.OldSeals = old }, func(t *testing.T, s *sealed) {
				before, after := s.macs, &bankSide{bank: s.macs.bank, key: cipherOf(t, zakNewClear), alg: s.macs.alg}
				if !old {
					s.macs = after
				}
				kcv := cipherOf(t, zakNewClear).KCV()
				s.bankBringsKey(s.bank, 101, translate.MACKey, "NK032"+s.underZMK(zakNewClear)+fmt.Sprintf("CV006%X", kcv[:3]))
				s.serve()
				reply := s.sealedGot(s.bank) // under the key of macs
				if code := string(reply.Field(39)); code != "00" || s.shard.stats.KeyChanges != 1 {
					t.Fatalf("F39 %s", code)
				}
				s.macs = after
				q := s.sells(1)
				s.macs = before // it was under way already
				s.answers(q, "00")
				if got := s.till.code(); got != "00" {
					t.Errorf("an answer under the old key, within the grace: F39 %s", got)
				}
				s.macs = after
				s.answers(s.sells(2), "00")
				if got := s.till.code(); got != "00" {
					t.Errorf("an answer under the new key: F39 %s", got)
				}
				s.pass(30 * time.Second)
				if _, until := s.shard.links[0].mac.old, s.shard.links[0].mac.until; until <= s.now {
					t.Fatal("the grace is over too soon")
				}
				kept := s.shard.links[0].mac
				if err := s.shard.loadZoneKeys(); err != nil || s.shard.links[0].mac.old != kept.old || s.shard.links[0].mac.key != kept.key || s.shard.links[0].mac.until != kept.until {
					t.Errorf("not kept: %v", err)
				}
				s.sent = map[conn.ID][][]byte{} // echoes
				q = s.sells(3)
				s.pass(31 * time.Second) // which ends the transaction, too
				s.serve()
				s.macs = before
				bad := s.shard.stats.BadBankMAC
				s.answers(q, "00")
				if s.shard.stats.BadBankMAC != bad+1 {
					t.Error("the old key is good after its grace")
				}
			})
		})
	}
}

func TestMACKeysThatAreRefused(t *testing.T) {
	eachModule(t, nil, func(t *testing.T, s *sealed) {
		right := *s.macs
		after := right
		after.key = cipherOf(t, zakNewClear)
		kcv := after.key.KCV()
		for _, c := range []struct {
			name  string
			key   []byte
			f53   string
			more  string
			seals bankSide
			code  string
		}{
			{"under the old key", zakNewClear, translate.MACKey, "", right, "A0"},
			{"another check value", zakNewClear, translate.MACKey, "CV006000000", after, "30"},
			{"half a check value", zakNewClear, translate.MACKey, fmt.Sprintf("CV004%X", kcv[:2]), right, "A0"},
			{"triple length", mustHex("2222444466668888AAAACCCCEEEE11113333555577779999"), translate.MACKey, "", after, "30"},
			{"F53 of another kind", zakNewClear, "3600000000000000", "", right, "30"},
		} {
			s.macs = &c.seals
			if got := s.offers(c.key, c.f53, c.more); got != c.code {
				t.Errorf("%s: F39 %s, want %s", c.name, got, c.code)
			}
		}
		if s.shard.stats.KeyChanges != 0 {
			t.Error("a key was taken")
		}
		s.macs = &after // a PIN key under a MAC key that is not known is not even looked at
		s.bankBringsKey(s.bank, 101, translate.PINKey, "NK032"+s.underZMK(newClear))
		s.serve()
		s.bankSilent(s.bank)
		s.macs = &right
		if got := s.offers(newClear, translate.PINKey, ""); got != "00" {
			t.Errorf("a PIN key with a right MAC: F39 %s", got)
		}
		s.answers(s.sells(1), "00")
		if got := s.till.code(); got != "00" {
			t.Errorf("F39 %s under the key before", got)
		}
	})
}

func TestOperatorsMACKeyIsTheNewest(t *testing.T) {
	eachModule(t, nil, func(t *testing.T, s *sealed) {
		links := append([]Link(nil), s.shard.cfg.Links...)
		links[0].MAC.Key = s.wrap(hsm.ZAK, zakNewClear)
		r := &Retune{Listeners: s.shard.cfg.Listeners, Links: links, HSMs: s.shard.cfg.HSMs, HSMTimeout: s.shard.cfg.HSMTimeout, Routes: s.shard.cfg.Routes, Rules: s.shard.cfg.Rules}
		q := s.sells(1)
		if err := s.do(r); err != nil {
			t.Fatal(err)
		}
		s.answers(q, "00") // was under way
		if got := s.till.code(); got != "00" {
			t.Errorf("F39 %s", got)
		}
		s.macs.key = cipherOf(t, zakNewClear)
		s.answers(s.sells(2), "00")
		if got := s.till.code(); got != "00" {
			t.Errorf("F39 %s", got)
		}
	})
}

func TestAskForAMACKey(t *testing.T) {
	eachModule(t, nil, func(t *testing.T, s *sealed) {
		if err := s.do(AskKeys{Link: "bank-a", MAC: true}); err != nil {
			t.Fatal(err)
		}
		s.serve()
		if q := s.sealedGot(s.bank); string(q.Field(53)) != translate.MACKey {
			t.Errorf("F53 %s", q.Field(53))
		}
		if err := s.do(AskKeys{Link: "bank-b", MAC: true}); err != ErrNoZMK {
			t.Error(err)
		}
	})
	w := newWorld(t).withZMK()
	w.bankUp(0)
	if err := w.do(AskKeys{Link: "bank-a", MAC: true}); err != ErrNoZAK {
		t.Error(err)
	}
}

// A key whose check value is another does not start with a module in the process,
// and is an alarm as soon as a module behind a socket serves.
func TestCheckValueOfAConfiguredMACKey(t *testing.T) {
	kcv := cipherOf(t, zakClear).KCV()
	for _, check := range [][]byte{kcv[:3], kcv[:8], {1, 2, 3}} {
		w := newWorld(t)
		good := bytes.Equal(check, kcv[:len(check)])
		key := w.wrap(hsm.ZAK, zakClear)
		m := LinkMAC{Alg: hsm.X919, Key: key, Check: check}
		if err := m.validate(w.module); (err == nil) != good {
			t.Errorf("%X: %v", check, err)
		}
		m.Key = w.wrap(hsm.TAK, zakClear)
		if err := m.validate(w.module); err == nil {
			t.Error("a key of another type is taken")
		}
		w.remote = true
		core, logs := observer.New(zap.ErrorLevel)
		w.logger = zap.New(core)
		w.withMACs(func(m *LinkMAC, _ *translate.MACRule) { m.Check = check })
		r := newRackOf(w)
		r.serve()
		if told := logs.FilterMessageSnippet("another check value").Len() == 1; told == good || w.shard.links[0].checked != key {
			t.Errorf("%X: told %v", check, told)
		}
	}
}

// What a module behind a socket does not seal is not sent: the terminal is told 96
// at once when the module says no, and waits like with a mute bank when it says
// nothing at all. Either way a reversal is owed.
func TestRequestsThatNobodySeals(t *testing.T) {
	for name, c := range map[string]struct {
		module func(r *rack, command []byte)
		code   string
	}{
		"refused": {func(r *rack, q []byte) {
			a := r.server.Answer(nil, q)
			r.shard.Frame(r.box, append(a[:r.header+2:r.header+2], "15"...))
			r.pass(0)
		}, "96"},
		"silent": {func(r *rack, _ []byte) { r.pass(3 * time.Second) }, "96"},
		"gone":   {func(r *rack, _ []byte) { r.shard.Closed(r.box, nil); r.pass(0) }, "96"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.remote = true
			r := newRackOf(w.withMACs(nil))
			s := &sealed{world: w, serve: r.serve}
			s.bank = s.signedOn()
			s.till = r.terminal()
			s.till.sale(1, 100, false)
			for _, q := range r.commands() { // the terminal's MAC is right
				r.answer(q)
			}
			asked := r.commands()
			if len(asked) != 1 {
				t.Fatalf("%d commands", len(asked))
			}
			c.module(r, asked[0])
			if s.shard.owed.Total() != 1 || s.shard.stats.TimedOut != 1 {
				t.Errorf("%d owed, %d timed out", s.shard.owed.Total(), s.shard.stats.TimedOut)
			}
			s.bankSilent(s.bank)
			if n := len(s.shard.macs.jobs) - len(s.shard.macs.free); n > 1 {
				t.Errorf("%d jobs", n)
			}
		})
	}
}

// A message whose line, rule or transaction has gone meanwhile is not sent.
func TestSealsThatComeTooLate(t *testing.T) {
	for name, end := range map[string]func(s *sealed){
		"line lost":  func(s *sealed) { s.shard.Closed(s.bank, nil) },
		"deadline":   func(s *sealed) { s.now += int64(1900 * time.Millisecond); s.shard.timedOut(s.waiting()) },
		"taken back": func(s *sealed) { s.shard.cancel(s.waiting()) },
		"no MAC now": func(s *sealed) {
			bank, _ := translate.NewBank(iso8583.Cups(), "00010000", "48023310", "48023310", "48023310")
			s.shard.links[0].cfg.Bank = bank
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.remote = true
			r := newRackOf(w.withMACs(nil))
			s := &sealed{world: w, serve: r.serve}
			s.bank = s.signedOn()
			s.till = r.terminal()
			s.till.sale(1, 100, false)
			for _, q := range r.commands() {
				r.answer(q)
			}
			asked := r.commands()
			end(s)
			for _, q := range asked {
				r.answer(q)
			}
			for _, f := range s.take(s.bank, conn.ASCII4) {
				if q := s.parse(iso8583.Cups(), f); q.MTI() == 0x0200 {
					t.Error("the request was sent")
				}
			}
		})
	}
}

// waiting is the slot that waits for a bank.
func (s *sealed) waiting() *slot {
	for i := range s.shard.slots {
		if sl := &s.shard.slots[i]; sl.line != nil && sl.Link == 0 && sl.ID != 0 && sl.Kind == txn.Sale {
			return sl
		}
	}
	s.t.Fatal("nothing waits")
	return nil
}

// Sealed sales allocate nothing either.
func TestSalePathWithBankMACsAllocatesNothing(t *testing.T) {
	allocatesNothing(t, func(turns int) *mill {
		w := newWorld(t).withMACs(func(_ *LinkMAC, r *translate.MACRule) { r.Of = []translate.Class{translate.Requests} })
		m := &mill{w: w, macs: w.macs}
		w.macs = nil
		m.bank = w.bankUp(0)
		m.load(t, turns*perTurn)
		return m
	})
}
