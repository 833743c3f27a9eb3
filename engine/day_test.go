package engine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm/clear"
	"tongka/hsm/payshield"
	"tongka/router"
	"tongka/translate"
)

// f48 writes totals as a terminal sends them.
func f48(own, foreign translate.Sums) []byte {
	t := [2]translate.Sums{own, foreign}
	return translate.AppendTotals(nil, &t, [2]translate.Verdict{'0', '0'})
}

func debits(n int, fen int64) translate.Sums { return translate.Sums{Debit: fen, Debits: n} }

// settles sends a settlement and gives F39 and F48 of the answer.
func (p *pos) settles(trace uint64, batch string, own, foreign translate.Sums) (code, totals string) {
	p.w.t.Helper()
	p.send(0x0500, p.mak, p.settlement(trace, batch, f48(own, foreign)))
	p.w.pass(0)
	v := p.got()
	return string(v.Field(39)), string(v.AppendText(nil, 48))
}

func (p *pos) settlement(trace uint64, batch string, f48 []byte) func(*iso8583.Builder) {
	return func(b *iso8583.Builder) {
		b.PutUint(11, trace)
		p.identity(b)
		b.Put(48, f48)
		b.Put(49, []byte("156"))
		b.Put(60, []byte("00"+batch+"201"))
	}
}

// sells makes a sale that the bank approves.
func (p *pos) sells(bank conn.ID, trace, amount uint64) {
	p.w.t.Helper()
	p.sale(trace, amount, false)
	p.w.bankAnswers(bank, p.w.bankGot(bank), "00")
	if c := p.code(); c != "00" {
		p.w.t.Fatalf("sale %d: F39 %s", trace, c)
	}
}

// uploads sends a batch upload and gives F39.
func (p *pos) uploads(trace uint64, batch, net, f48 string) string {
	p.w.t.Helper()
	p.send(0x0320, p.mak, func(b *iso8583.Builder) {
		b.PutUint(11, trace)
		p.identity(b)
		b.Put(48, []byte(f48))
		b.Put(60, []byte("00"+batch+net))
	})
	p.w.pass(0)
	return p.code()
}

func TestSettlementInBalance(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sells(bank, 7, 1250)
	p.sells(bank, 8, 100)
	w.want("a refund", p.through(bank, refund(9, 7, 50), "00"), "00")
	own := translate.Sums{Debit: 1350, Debits: 2, Credit: 50, Credits: 1}
	code, got := p.settles(10, p.batch, own, translate.Sums{})
	w.want("F39", code, "00")
	want := string(f48(own, translate.Sums{}))
	w.want("F48", got, want[:30]+"1"+want[31:61]+"1")

	// A repeat gets the same verdict, though the batch is closed.
	code, again := p.settles(10, p.batch, own, translate.Sums{})
	w.want("the repeat", code+again, "00"+got)

	// The batch is over. The next one may begin without a sign-in, and is empty.
	p.sale(11, 1, false)
	w.want("a sale in the closed batch", p.code(), "77")
	old := p.batch
	p.batch = fmt.Sprintf("%06d", nextBatch(1))
	p.sells(bank, 12, 77)
	code, got = p.settles(13, p.batch, debits(1, 77), translate.Sums{})
	w.want("the next batch", code+got[30:31], "001")

	// The last transaction of the closed batch can still be reversed, and is then
	// not in it any more.
	p.batch = old
	p.reverse(8, 100)
	w.want("a reversal in the closed batch", p.code(), "00")
	w.want("towards the bank", w.bankGot(bank).MTI(), iso8583.MTI(0x0420))
	_, got = p.settles(14, old, translate.Sums{Debit: 1250, Debits: 1, Credit: 50, Credits: 1}, translate.Sums{})
	w.want("the closed batch afterwards", got[30:31], "1")
	p.signIn()
	if p.batch <= "000002" {
		t.Errorf("the batch after the sign-in is %s", p.batch)
	}
}

func TestSettlementOutOfBalance(t *testing.T) {
	w := newWorld(t)
	visa, err := router.ParseRange("4")
	if err != nil {
		t.Fatal(err)
	}
	w.shape = func(c *Config) { c.Day.Foreign = []router.Range{visa} }
	w.crash()
	bank, other := w.bankUp(0), w.bankUp(1)
	p := w.terminal()
	p.sells(bank, 7, 1250)
	p.send(0x0200, p.mak, func(b *iso8583.Builder) {
		b.Put(2, []byte("4000000000000002"))
		b.PutUint(3, 0)
		b.PutUint(4, 990)
		b.PutUint(11, 8)
		b.PutUint(22, 21)
		b.PutUint(25, 0)
		p.identity(b)
		b.Put(49, []byte("156"))
		b.Put(60, []byte("22"+p.batch))
	})
	w.pass(0)
	w.bankAnswers(other, w.bankGot(other), "00")
	w.want("a card of another country", p.code(), "00")
	code, got := p.settles(9, p.batch, debits(1, 1250), debits(1, 991))
	want := string(f48(debits(1, 1250), debits(1, 990))) // our own figures
	w.want("F39", code, "00")
	w.want("F48", got, want[:30]+"1"+want[31:61]+"2")

	item := func(trace int, pan string, amount int) string {
		return fmt.Sprintf("00%06d%020s%012d", trace, pan, amount)
	}
	card, foreign := "6225880000000003", "4000000000000002"
	w.want("the upload", p.uploads(10, p.batch, "201", "03"+item(7, card, 1250)+item(8, foreign, 991)+item(77, card, 1)), "00")
	w.want("its repeat", p.uploads(10, p.batch, "201", "03"+item(7, card, 1250)+item(8, foreign, 991)+item(77, card, 1)), "00")
	w.want("another card", p.uploads(11, p.batch, "201", "01"+item(7, foreign, 1250)), "00")
	w.want("one item less than it says", p.uploads(12, p.batch, "201", "02"+item(7, card, 1250)), "30")
	w.want("the end", p.uploads(13, p.batch, "207", "0004"), "00")
	w.want("an end with a wrong count", p.uploads(14, p.batch, "207", "0009"), "00")

	w.crash()
	id := w.shard.reg.Snapshot().At(0).ID
	faults := w.shard.totalsOf(w.shard.historyOf(&id), &id, 1)
	var lines []string
	for b := faults.faults; len(b) > 0; b = b[faultSize:] {
		f := readFault(b)
		lines = append(lines, fmt.Sprintf("%s %d: %d, ours %d", f.Why.Words().EN, f.Trace, f.Theirs, f.Ours))
	}
	w.want("what is kept of it", strings.Join(lines, "\n"),
		"other amount 8: 991, ours 990\nnot found 77: 1, ours 0\nother card 7: 1250, ours 1250\nwrong count 0: 9, ours 4")
	w.want("items", faults.seen, upload{items: 4, faults: 4})

	// What a person gets to see of it.
	var all []Batch
	if err := EachBatch(w.log.NewReader(), func(b *Batch) error { all = append(all, *b); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].Balanced() || all[0].Terminal != id || all[0].Number != 1 || len(all[0].Faults) != 4 || all[0].Items != 4 ||
		all[0].Verdict != [2]translate.Verdict{translate.Equal, translate.Unequal} {
		t.Fatalf("%+v", all)
	}
	w.want("a card", all[0].Faults[2].Card().String(), "400000******0002")
	failed := errors.New("enough")
	if err := EachBatch(w.log.NewReader(), func(*Batch) error { return failed }); err != failed {
		t.Error(err)
	}
}

func TestSettlementRefused(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	q := w.bankGot(bank)
	code, _ := p.settles(8, p.batch, translate.Sums{}, translate.Sums{})
	w.want("while a sale is with the bank", code, "09")
	w.bankAnswers(bank, q, "00")
	w.want("the sale", p.code(), "00")
	code, got := p.settles(8, p.batch, debits(1, 1250), translate.Sums{})
	w.want("the same request afterwards", code+got[30:31], "001")
	code, _ = p.settles(9, "000009", translate.Sums{}, translate.Sums{})
	w.want("a batch that never was", code, "77")
	p.send(0x0500, p.mak, p.settlement(10, p.batch, []byte("0012")))
	w.pass(0)
	w.want("F48 cut short", p.code(), "30")
	wrong, _ := clear.NewCipher(mustHex("00112233445566778899AABBCCDDEEFF"))
	p.send(0x0500, wrong, p.settlement(11, p.batch, f48(translate.Sums{}, translate.Sums{})))
	w.pass(0)
	v := p.got()
	w.want("a wrong MAC", string(v.Field(39)), "A0")
	if v.Has(48) {
		t.Error("a forger is told the totals")
	}
	stranger := &pos{w: w, id: w.connect(-1), mak: p.mak}
	stranger.send(0x0500, nil, p.settlement(12, p.batch, f48(translate.Sums{}, translate.Sums{})))
	w.pass(0)
	w.want("without a MAC", stranger.code(), "A0")
}

// day is one day of a terminal, a step at a time; own is what it comes to.
var day = []struct {
	what string
	do   func(*pos, conn.ID)
	own  translate.Sums
}{
	{"nothing", func(*pos, conn.ID) {}, translate.Sums{}},
	{"a sale", func(p *pos, b conn.ID) { p.sells(b, 11, 100) }, debits(1, 100)},
	{"another", func(p *pos, b conn.ID) { p.sells(b, 12, 250) }, debits(2, 350)},
	{"time passes", func(p *pos, _ conn.ID) { p.w.pass(40 * time.Second) }, debits(2, 350)},
	{"a sale after that", func(p *pos, b conn.ID) { p.sells(b, 13, 40) }, debits(3, 390)},
	{"one that the bank declines", func(p *pos, b conn.ID) {
		p.sale(14, 5, false)
		p.w.bankAnswers(b, p.w.bankGot(b), "51")
		p.w.want("it", p.code(), "51")
	}, debits(3, 390)},
	{"a refund", func(p *pos, b conn.ID) { p.w.want("it", p.through(b, refund(15, 11, 30), "00"), "00") },
		translate.Sums{Debit: 390, Debits: 3, Credit: 30, Credits: 1}},
	{"a void", func(p *pos, b conn.ID) { p.w.want("it", p.through(b, void(16, 12, 250), "00"), "00") },
		translate.Sums{Debit: 140, Debits: 2, Credit: 280, Credits: 2}},
	{"a reversal", func(p *pos, b conn.ID) {
		p.reverse(13, 40)
		p.w.want("it", p.code(), "00")
		p.w.alive(b)
	}, translate.Sums{Debit: 100, Debits: 1, Credit: 280, Credits: 2}},
	{"the same again", func(p *pos, b conn.ID) {
		p.reverse(13, 40)
		p.w.want("it", p.code(), "00")
		p.w.alive(b)
	}, translate.Sums{Debit: 100, Debits: 1, Credit: 280, Credits: 2}},
	{"more time", func(p *pos, b conn.ID) { p.w.pass(2 * time.Second) }, translate.Sums{Debit: 100, Debits: 1, Credit: 280, Credits: 2}},
	{"the void's reversal", func(p *pos, b conn.ID) {
		p.takesBack(void(16, 0, 250))
		p.w.want("it", p.code(), "00")
		p.w.alive(b)
	}, translate.Sums{Debit: 350, Debits: 2, Credit: 30, Credits: 1}},
	{"a sale", func(p *pos, b conn.ID) { p.sells(b, 17, 8) }, translate.Sums{Debit: 358, Debits: 3, Credit: 30, Credits: 1}},
	{"much time, and a sale", func(p *pos, b conn.ID) { p.w.pass(45 * time.Second); p.w.alive(b); p.sells(b, 18, 1) },
		translate.Sums{Debit: 359, Debits: 4, Credit: 30, Credits: 1}},
}

// However often and wherever the process dies, the totals are what the terminal
// knows them to be.
func TestTotalsSurviveACrashAtEveryStep(t *testing.T) {
	for crash := range day {
		for twice := range 2 {
			w := newWorld(t)
			bank := w.bankUp(0)
			p := w.terminal()
			for i, step := range day {
				w.alive(bank)
				step.do(p, bank)
				if i == crash || i == crash+twice {
					w.crash()
					bank, p.id = w.bankUp(0), w.connect(-1)
					w.alive(bank)
				}
				id := w.shard.reg.Snapshot().At(0).ID
				if got := w.shard.totalsOf(w.shard.historyOf(&id), &id, 1).sums; got != [2]translate.Sums{step.own} {
					t.Fatalf("crash after %q (and %d more), step %q: %+v, want %+v", day[crash].what, twice, step.what, got, step.own)
				}
			}
			w.alive(bank)
			code, got := p.settles(90, p.batch, day[len(day)-1].own, translate.Sums{})
			w.want("the settlement", code+got[30:31], "001")
		}
	}
}

// alive answers echoes and whatever else the bank was sent meanwhile.
func (w *world) alive(bank conn.ID) {
	w.t.Helper()
	w.pass(0)
	for _, frame := range w.take(bank, conn.ASCII4) {
		q := w.parse(iso8583.Cups(), frame)
		w.bankSays(bank, q.MTI()&^1|0x0010, func(b *iso8583.Builder) {
			for _, n := range []int{2, 3, 4, 7, 11} {
				if q.Has(n) {
					b.Copy(n, q, n)
				}
			}
			if q.Has(37) {
				b.Copy(37, q, 37)
			}
			b.Put(39, []byte("00"))
			if q.Has(70) {
				b.Copy(70, q, 70)
			}
		})
	}
	w.take(bank, conn.ASCII4)
}

// A restart reads only what the totals on disk do not hold, and a terminal whose
// batch was settled before the crash finds its verdict.
func TestSettledBatchSurvivesACrash(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sells(bank, 7, 1250)
	code, first := p.settles(8, p.batch, debits(1, 1250), translate.Sums{})
	w.want("F39", code, "00")
	w.crash()
	w.bankUp(0)
	p.id = w.connect(-1)
	code, again := p.settles(8, p.batch, debits(1, 1250), translate.Sums{})
	w.want("the repeat", code+again, "00"+first)
	p.sale(9, 5, false)
	w.want("the batch stays closed", p.code(), "77")
}

func TestVoidedSalesMayStayDebits(t *testing.T) {
	w := newWorld(t)
	w.shape = func(c *Config) { c.Day.CountVoided = true }
	w.crash()
	bank := w.bankUp(0)
	p := w.terminal()
	p.sells(bank, 7, 1250)
	w.want("the void", p.through(bank, void(8, 7, 1250), "00"), "00")
	_, got := p.settles(9, p.batch, translate.Sums{Debit: 1250, Debits: 1, Credit: 1250, Credits: 1}, translate.Sums{})
	w.want("verdict", got[30:31], "1")
}

func TestSignOffEndsTheSession(t *testing.T) {
	w := newWorld(t)
	w.bankUp(0)
	p := w.terminal()
	off := func(b *iso8583.Builder) {
		b.PutUint(11, 5)
		p.identity(b)
		b.Put(60, []byte("00"+p.batch+"002"))
	}
	for range 2 { // the second finds nothing to end
		p.send(0x0820, nil, off)
		w.pass(0)
		v := p.got()
		w.want("MTI", v.MTI(), iso8583.MTI(0x0830))
		w.want("F39", string(v.Field(39)), "00")
		p.sale(7, 1250, false)
		w.want("a sale after it", p.code(), "77")
	}
	w.want("counted", w.shard.stats.SignOffs, uint64(1))
	// The journal knows, though the registry was not written: it is a new one here.
	reg := w.reg
	w.crash()
	if s := reg.Snapshot().At(0).Session(w.now); s != nil {
		t.Error("the session lives again after a crash")
	}
	p.id = w.connect(-1)
	p.signIn()
	w.want("the batch after it", p.batch, "000002")
}

func TestSignInVariants(t *testing.T) {
	for _, c := range []struct {
		net       string
		short     bool
		pik, slot int
		mak, tdk  int
	}{
		{"001", false, 8, 8, 8, 0}, {"003", false, 16, 16, 16, 0}, {"004", false, 16, 16, 16, 16}, {"003", true, 16, 16, 8, 0}, {"004", true, 16, 16, 8, 16},
	} {
		for _, remote := range []bool{false, true} {
			w := newWorld(t)
			w.remote = remote
			w.shape = func(cfg *Config) {
				if c.short {
					cfg.Day.ShortMAK = []uint16{0}
				}
			}
			w.crash()
			serve := func() {}
			if remote {
				box := w.boxUp(2)
				serve = func() { w.serve(box) }
			}
			w.terminalImported()
			p := &pos{w: w, id: w.connect(-1)}
			p.send(0x0800, nil, func(b *iso8583.Builder) {
				b.PutUint(11, 1)
				p.identity(b)
				b.Put(60, []byte("00000000"+c.net))
			})
			w.pass(0)
			serve()
			v := p.got()
			keys := v.Field(62)
			if string(v.Field(39)) != "00" || !v.Has(12) || !v.Has(13) || !v.Has(32) || !v.Has(37) {
				t.Fatalf("%+v: F39 %s", c, v.Field(39))
			}
			w.want("F60", string(v.AppendText(nil, 60)), "00000001"+c.net)
			size := c.pik + 4 + c.slot + 4
			if c.tdk > 0 {
				size += c.tdk + 4
			}
			if len(keys) != size {
				t.Fatalf("%+v: F62 has %d bytes, want %d", c, len(keys), size)
			}
			checkKey(t, keys[:c.pik], keys[c.pik:c.pik+4])
			mak := keys[c.pik+4:]
			checkKey(t, mak[:c.mak], mak[c.slot:c.slot+4])
			if !bytes.Equal(mak[c.mak:c.slot], make([]byte, c.slot-c.mak)) {
				t.Errorf("%+v: behind the MAC key stands %x", c, mak[c.mak:c.slot])
			}
			if c.tdk > 0 {
				checkKey(t, mak[c.slot+4:c.slot+20], mak[c.slot+20:])
			}
			session := w.reg.Snapshot().At(0).Last()
			if int(session.MAK.N) != c.mak || int(session.PIK.N) != c.pik || int(session.TDK.N) != c.tdk {
				t.Errorf("%+v: keys of %d, %d and %d bytes", c, session.PIK.N, session.MAK.N, session.TDK.N)
			}
		}
	}
}

// checkKey takes a key from under the master key and looks at its check value.
func checkKey(t *testing.T, enc, check []byte) {
	t.Helper()
	tmk, err := clear.NewCipher(tmkClear)
	if err != nil {
		t.Fatal(err)
	}
	key, err := tmk.AppendDecrypted(nil, enc)
	if err != nil {
		t.Fatal(err)
	}
	c, err := clear.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	if kcv := c.KCV(); !bytes.Equal(kcv[:4], check) {
		t.Errorf("check value %x, want %x", check, kcv[:4])
	}
}

// A MAC key of eight bytes makes and verifies MACs like another.
func TestSaleUnderAShortMAK(t *testing.T) {
	w := newWorld(t)
	w.shape = func(cfg *Config) { cfg.Day.ShortMAK = []uint16{0} }
	w.crash()
	bank := w.bankUp(0)
	w.terminalImported()
	p := &pos{w: w, id: w.connect(-1)}
	p.send(0x0800, nil, func(b *iso8583.Builder) {
		b.PutUint(11, 1)
		p.identity(b)
		b.Put(60, []byte("00000000003"))
	})
	w.pass(0)
	v := p.got()
	p.batch = string(v.AppendText(nil, 60)[2:8])
	tmk, _ := clear.NewCipher(tmkClear)
	key, err := tmk.AppendDecrypted(nil, v.Field(62)[20:28])
	if err != nil {
		t.Fatal(err)
	}
	p.mak, _ = clear.NewCipher(key)
	p.sells(bank, 7, 1250)
}

func TestStoredTotalsFaults(t *testing.T) {
	good := appendTotals(nil, &totals{upto: 7, verdict: [2]translate.Verdict{'1', '2'}, seen: upload{3, 1},
		sums:   [2]translate.Sums{{Debit: 5, Debits: 1, Credit: -6, Credits: -2}, {Credit: 9, Credits: 4}},
		faults: appendFault(nil, &BatchFault{Why: OtherAmount, Trace: 9, Theirs: 1, Ours: 2})})
	var got totals
	if err := readTotals(good, &got); err != nil || !bytes.Equal(appendTotals(nil, &got), good) {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, b := range [][]byte{nil, good[:10], good[:len(good)-1], append(good[:len(good):len(good)], 0), append([]byte{2}, good[1:]...)} {
		if err := readTotals(b, new(totals)); err == nil {
			t.Errorf("%x is taken", b)
		}
	}
	// Totals that cannot be read are nobody's: the terminal is told so, and nothing
	// is written over them.
	w := newWorld(t)
	bank := w.bankUp(0)
	w.terminalImported()
	id := w.reg.Snapshot().At(0).ID
	w.log.Put(totalsKey(nil, &id, 1), []byte("damaged"))
	w.pass(0)
	p := w.terminal()
	p.sells(bank, 7, 1250)
	code, f := p.settles(8, p.batch, debits(1, 1250), translate.Sums{})
	w.want("F39", code, "96")
	w.want("flags", f[30:31]+f[61:], "33")
	w.pass(time.Minute)
	p.sale(9, 5, false)
	if b, _, err := w.log.Lookup(totalsKey(nil, &id, 1), nil); err != nil || string(b) != "damaged" {
		t.Errorf("on disk: %q, %v", b, err)
	}
}

// serve has the module behind a socket answer until it is not asked any more.
func (w *world) serve(box conn.ID) {
	w.t.Helper()
	server := payshield.NewServer(w.module, payshield.Dialect{HeaderLen: w.header})
	for {
		frames := w.take(box, conn.Binary2)
		if len(frames) == 0 {
			return
		}
		for _, q := range frames {
			w.shard.Frame(box, server.Answer(nil, q))
		}
		w.pass(0)
	}
}
