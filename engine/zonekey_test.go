package engine

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/txn"
)

var (
	zmkClear = mustHex("0123456789ABCDEF1122334455667788")
	newClear = mustHex("AAAABBBBCCCCDDDD1111222233334444")
)

// withZMK gives the first bank a zone master key.
func (w *world) withZMK() *world {
	zmk := w.wrap(hsm.ZMK, zmkClear)
	w.shape = func(c *Config) { c.Links[0].ZMK = zmk }
	w.open(vfs.NewCrashableMem())
	return w
}

// underZMK gives a key as a bank sends it, in hexadecimal digits.
func (w *world) underZMK(key []byte) string {
	w.t.Helper()
	var r hsm.Reply
	w.module.Do(&hsm.Request{Verb: hsm.ExportKey, Type: hsm.ZPK, Zone: true, Key: w.wrap(hsm.ZMK, zmkClear), Key2: w.wrap(hsm.ZPK, key)}, &r)
	if !r.Code.OK() {
		w.t.Fatal(r.Code)
	}
	return strings.ToUpper(hex.EncodeToString(r.Export.B[:r.Export.N]))
}

func (w *world) bankBringsKey(bank conn.ID, net uint64, f53, f48 string) {
	w.bankSays(bank, 0x0800, func(b *iso8583.Builder) {
		b.PutUint(11, 77)
		b.Put(48, []byte(f48))
		b.Put(53, []byte(f53))
		b.PutUint(70, net)
		b.Put(96, make([]byte, 8))
	})
}

// keyAnswer gives F39 of the 0810 that the bank got.
func (w *world) keyAnswer(bank conn.ID) string {
	w.t.Helper()
	q := w.bankGot(bank)
	if stan, _ := q.Uint(11); q.MTI() != 0x0810 || stan != 77 {
		w.t.Fatalf("%v with F11 %d, want the 0810", q.MTI(), stan)
	}
	return string(q.Field(39))
}

// wantPINUnder sells with a PIN and opens it as the bank does.
func (w *world) wantPINUnder(what string, p *pos, bank conn.ID, trace uint64, key []byte) {
	w.t.Helper()
	p.sale(trace, 100+trace, true)
	q := w.bankGot(bank)
	c, err := clear.NewCipher(key)
	if err != nil {
		w.t.Fatal(err)
	}
	pan, _ := txn.ParsePAN([]byte("6225880000000003"))
	pan12 := pan.Tail12()
	pin, n, err := c.DecryptPIN([8]byte(q.Field(52)), &pan12, pinISO0)
	if err != nil || string(pin[:n]) != "123456" {
		w.t.Errorf("%s: the bank opens no PIN: %v", what, err)
	}
	w.bankAnswers(bank, q, "00")
	p.code()
}

// The bank's new key is used once it is on disk and confirmed, and after a
// restart; a key that an operator configures later is newer.
func TestBankChangesTheZoneKey(t *testing.T) {
	w := newWorld(t).withZMK()
	bank := w.bankUp(0)
	p := w.terminal()
	w.wantPINUnder("before", p, bank, 1, zpkClear)
	w.bankBringsKey(bank, 101, "1600000000000000", "NK032"+w.underZMK(newClear))
	if got := w.keyAnswer(bank); got != "00" || w.shard.stats.KeyChanges != 1 {
		t.Fatalf("F39 %s", got)
	}
	w.wantPINUnder("after", p, bank, 2, newClear)

	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	bank = w.bankUp(0)
	p.id = w.connect(-1)
	w.wantPINUnder("after a restart", p, bank, 3, newClear)

	third := mustHex("5555666677778888999900001111EEEE")
	zmk, own := w.wrap(hsm.ZMK, zmkClear), w.wrap(hsm.ZPK, third)
	w.shape = func(c *Config) { c.Links[0].ZMK, c.Links[0].ZPK = zmk, own }
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	bank = w.bankUp(0)
	p.id = w.connect(-1)
	w.wantPINUnder("after an operator's change", p, bank, 4, third)
}

func TestBankKeysThatAreRefused(t *testing.T) {
	w := newWorld(t).withZMK()
	bank := w.bankUp(0)
	good := "NK032" + w.underZMK(newClear)
	for _, c := range []struct {
		name     string
		net      uint64
		f53, f48 string
		code     string
	}{
		{"another F70", 102, "1600000000000000", good, "40"},
		{"a MAC key, without MACs", 101, "2600000000000000", good, "40"},
		{"cut short", 101, "1600000000000000", good[:30], "30"},
		{"single length", 101, "1000000000000000", good, "30"},
	} {
		w.bankBringsKey(bank, c.net, c.f53, c.f48)
		if got := w.keyAnswer(bank); got != c.code {
			t.Errorf("%s: F39 %s, want %s", c.name, got, c.code)
		}
	}
	other := w.bankUp(1) // without a zone master key
	w.bankBringsKey(other, 101, "1600000000000000", good)
	if got := w.keyAnswer(other); got != "40" {
		t.Errorf("without a ZMK: F39 %s", got)
	}
	w.wantPINUnder("the old key", w.terminal(), bank, 1, zpkClear)
}

// A module behind a socket is asked, and answers later, or never.
func TestZoneKeyByAModuleBehindASocket(t *testing.T) {
	w := newWorld(t)
	w.remote = true
	r := newRackOf(w.withZMK())
	bank := r.bankUp(0)
	r.bankBringsKey(bank, 101, "1600000000000000", "NK032"+r.underZMK(newClear))
	r.bankSilent(bank)
	r.serve()
	if got := r.keyAnswer(bank); got != "00" {
		t.Fatalf("F39 %s", got)
	}
	if k := r.shard.links[0].zpk; k != r.wrap(hsm.ZPK, newClear) {
		t.Error("another key")
	}
	r.bankBringsKey(bank, 101, "1600000000000000", "NK032"+r.underZMK(zpkClear))
	r.commands()
	r.pass(3 * time.Second)
	if got := r.keyAnswer(bank); got != "96" {
		t.Errorf("F39 %s from a module that is silent", got)
	}
	r.shard.Closed(r.box, nil)
	r.bankBringsKey(bank, 101, "1600000000000000", "NK032"+r.underZMK(zpkClear))
	if got := r.keyAnswer(bank); got != "96" {
		t.Errorf("F39 %s without a module", got)
	}
	if k := r.shard.links[0].zpk; k != r.wrap(hsm.ZPK, newClear) {
		t.Error("a key that was not imported is used")
	}
}

func TestAskKeys(t *testing.T) {
	w := newWorld(t).withZMK()
	if err := w.do(AskKeys{Link: "bank-a"}); !errors.Is(err, ErrNotUp) {
		t.Error(err)
	}
	bank := w.bankUp(0)
	if err := w.do(AskKeys{Link: "bank-a"}); err != nil {
		t.Fatal(err)
	}
	q := w.bankGot(bank)
	if net, _ := q.Uint(70); q.MTI() != 0x0820 || net != 101 || string(q.Field(53)) != "1600000000000000" {
		t.Errorf("%v, F70 %d, F53 %s", q.MTI(), net, q.Field(53))
	}
	for _, code := range []string{"00", "96"} {
		w.bankSays(bank, 0x0830, func(b *iso8583.Builder) { b.Copy(11, q, 11); b.Put(39, []byte(code)); b.PutUint(70, 101) })
	}
	if n := w.shard.stats.Unmatched; n != 0 {
		t.Errorf("%d unmatched", n)
	}
	for link, want := range map[string]error{"bank-b": ErrNoZMK, "moon": ErrNoLink} {
		if err := w.do(AskKeys{Link: link}); !errors.Is(err, want) {
			t.Errorf("%s: %v", link, err)
		}
	}
}
