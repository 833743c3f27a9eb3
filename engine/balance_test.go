package engine

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/txn"
)

// balance asks for a balance under a trace number.
func (p *pos) balance(trace uint64, pin bool) []byte {
	p.w.t.Helper()
	f := p.send(0x0200, p.mak, p.enquiry(trace, pin))
	p.w.pass(0)
	return f
}

func (p *pos) enquiry(trace uint64, pin bool) func(*iso8583.Builder) {
	return func(b *iso8583.Builder) {
		b.Put(2, []byte("6225880000000003"))
		b.PutUint(3, 310000)
		b.PutUint(11, trace)
		b.PutUint(22, 21)
		b.PutUint(25, 0)
		p.identity(b)
		b.Put(49, []byte("156"))
		if pin {
			p.putPIN(b)
		}
		b.Put(60, []byte("01"+p.batch))
	}
}

// bankShows answers an enquiry with a balance.
func (w *world) bankShows(id conn.ID, q *iso8583.View, balance string) {
	w.t.Helper()
	w.bankSays(id, 0x0210, func(b *iso8583.Builder) {
		b.Copy(11, q, 11)
		b.Copy(37, q, 37)
		b.Put(39, []byte("00"))
		b.Put(54, []byte(balance))
	})
}

func TestBalanceIsAskedAndAnswered(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	records := w.shard.stats.Records
	frame := p.balance(7, true)
	q := w.bankGot(bank)
	if q.MTI() != 0x0200 || string(q.AppendText(nil, 3)) != "310000" || q.Has(4) && string(q.Field(4)) != "000000000000" || len(q.Field(52)) != 8 {
		t.Fatalf("the bank is asked %v, F3 %s", q.MTI(), q.AppendText(nil, 3))
	}
	if n := w.shard.stats.Records - records; n != 0 {
		t.Errorf("%d records before it was sent", n)
	}
	w.bankShows(bank, q, "0202156C000000123456")
	a := p.got()
	if string(a.Field(39)) != "00" || string(a.AppendText(nil, 54)) != "0202156C000000123456" || !a.Has(64) {
		t.Errorf("answer %s, F54 %s", a.Field(39), a.AppendText(nil, 54))
	}
	if n := w.shard.stats.Records - records; n != 1 {
		t.Errorf("%d records, want the outcome", n)
	}
	w.shard.Frame(p.id, frame) // the terminal did not get it
	w.pass(0)
	if again := p.got(); string(again.AppendText(nil, 54)) != "0202156C000000123456" {
		t.Errorf("the repeat gets F54 %s", again.AppendText(nil, 54))
	}
	w.bankSilent(bank)
	if s := w.shard.stats; s.Enquiries != 1 || s.Approved != 0 || s.Repeats != 1 {
		t.Errorf("%+v", s)
	}
}

func TestBalanceWithoutAnAnswerOwesNothing(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.balance(7, false)
	q := w.bankGot(bank)
	w.pass(11 * time.Second)
	w.pass(time.Second)
	if c := p.code(); c != "98" {
		t.Fatalf("F39 %s", c)
	}
	w.bankSilent(bank)
	w.bankShows(bank, q, "0202156C000000123456") // late
	p.silent()
	if s := w.shard.stats; w.shard.owed.Total() != 0 || s.TimedOut != 0 || s.LateAnswers != 1 || s.Enquiries != 1 {
		t.Errorf("owed %d, %+v", w.shard.owed.Total(), s)
	}
	if len(w.shard.free) != len(w.shard.slots) {
		t.Errorf("%d of %d slots are free", len(w.shard.free), len(w.shard.slots))
	}
}

// A crash while an enquiry is at the bank leaves nothing behind.
func TestCrashDuringABalanceOwesNothing(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.balance(7, false)
	w.bankGot(bank)
	w.now += int64(2 * time.Second)
	p.sale(8, 500, false) // its mark must not fall behind for the enquiry's missing intent
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	if n := w.shard.owed.Total(); n != 1 {
		t.Errorf("%d owed after the crash, want the sale's", n)
	}
}

// A sale and an enquiry under one number are two things; and what moved no money
// is not reversed.
func TestBalanceAndSaleUnderOneNumber(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.balance(7, false)
	q := w.bankGot(bank)
	p.sale(7, 1250, false) // in flight
	if c := p.code(); c != "94" {
		t.Errorf("a sale while the enquiry is out: F39 %s", c)
	}
	w.bankShows(bank, q, "0202156C000000123456")
	p.got()
	p.sale(7, 1250, false)
	if c := p.code(); c != "94" {
		t.Errorf("a sale after it: F39 %s", c)
	}
	p.reverse(7, 1250)
	if c := p.code(); c != "12" {
		t.Errorf("a reversal of the enquiry: F39 %s", c)
	}
	w.bankSilent(bank)
	if w.shard.owed.Total() != 0 {
		t.Error("something is owed")
	}
}

func TestBalanceNeedsWhatASaleNeeds(t *testing.T) {
	w := newWorld(t)
	p := w.terminal()
	for _, c := range []struct {
		what, code string
		send       func()
	}{
		{"line down", "91", func() { p.balance(1, false) }},
		{"wrong MAC", "A0", func() {
			f := p.render(0x0200, p.mak, p.enquiry(2, false))
			f[len(f)-1] ^= 1
			w.shard.Frame(p.id, f)
			w.pass(0)
		}},
		{"no MAC", "A0", func() { p.send(0x0200, nil, p.enquiry(3, false)); w.pass(0) }},
		{"another batch", "77", func() { p.batch = "000999"; p.balance(4, false) }},
	} {
		c.send()
		if got := p.code(); got != c.code {
			t.Errorf("%s: F39 %s, want %s", c.what, got, c.code)
		}
	}
	if w.shard.slots[0].Kind == txn.Sale {
		t.Error("an enquiry was taken for a sale")
	}
}
