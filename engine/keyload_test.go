package engine

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/registry"
	"tongka/txn"
)

var transportClear = mustHex("7A7A7A7A11111111FEFEFEFE20202020")

// asksKey sends a message about the master key and gives F39 and F62. serial "" sends
// none; unnamed leaves F41 and F42 out.
func (p *pos) asksKey(net, serial string, unnamed bool) (code string, f62 []byte, v *iso8583.View) {
	p.w.t.Helper()
	p.send(0x0800, nil, func(b *iso8583.Builder) {
		b.PutUint(11, 27)
		if !unnamed {
			p.identity(b)
		}
		b.Put(60, []byte("99000002"+net))
		if serial != "" {
			b.Put(62, []byte("Sequence No"+serial))
		}
	})
	p.w.pass(0)
	v = p.got()
	return string(v.Field(39)), bytes.Clone(v.Field(62)), v
}

// keyWorld is a world whose terminal may get a transport key and a permission.
func keyWorld(t *testing.T) (*world, *pos, *[]KeyEvent) {
	w := newWorld(t)
	told := new([]KeyEvent)
	w.shape = func(c *Config) { c.Books.KeyTold = func(e KeyEvent) { *told = append(*told, e) } }
	w.crash()
	w.terminalImported()
	csv := fmt.Sprintf("merchant,terminal,tmk,maker,serial\n%s,%s,%v,acme,3137B5NL00002268\n", terminalMerchant, terminalNumber, w.wrap(hsm.TMK, tmkClear))
	if _, _, err := w.reg.Import(strings.NewReader(csv), "t.csv"); err != nil {
		t.Fatal(err)
	}
	keys := fmt.Sprintf("of,name,key\nmaker,acme,%v\n", w.wrap(hsm.TMK, transportClear))
	if _, _, err := w.reg.ImportTransports(strings.NewReader(keys), "k.csv"); err != nil {
		t.Fatal(err)
	}
	return w, &pos{w: w, id: w.connect(-1)}, told
}

func (w *world) permits(d time.Duration) {
	w.t.Helper()
	id := w.reg.Snapshot().At(0).ID
	if err := w.reg.Permit(&id, w.now+int64(d)); err != nil {
		w.t.Fatal(err)
	}
}

const serial = "163137B5NL00002268"

// opened gives the clear key of an answer, by the transport key.
func opened(t *testing.T, f62 []byte) []byte {
	t.Helper()
	if len(f62) != 20 {
		t.Fatalf("F62 has %d bytes", len(f62))
	}
	key, err := clear.DecryptKey(transportClear, f62[:16])
	kcv, _ := clear.KCV(key)
	if err != nil || !bytes.Equal(kcv[:4], f62[16:]) {
		t.Fatalf("check value %X, not %X (%v)", f62[16:], kcv[:4], err)
	}
	return key
}

func TestMasterKeyDownload(t *testing.T) {
	w, p, told := keyWorld(t)
	code, f62, _ := p.asksKey("003", serial, false)
	w.want("without permission", code+string(f62), "58")
	w.permits(time.Hour)
	code, _, _ = p.asksKey("003", "163137B5NL00009999", false)
	w.want("other hardware", code, "97")
	code, _, _ = p.asksKey("381", serial, false)
	w.want("a confirmation of nothing", code, "25")

	code, first, _ := p.asksKey("380", serial, false)
	w.want("the request", code, "00")
	key := opened(t, first)
	code, again, _ := p.asksKey("003", serial, false)
	w.want("its repeat", code+string(again), "00"+string(first))
	// Until it is confirmed the old one serves, also after a crash.
	p.signIn()
	w.crash()
	p.id = w.connect(-1)
	code, again, _ = p.asksKey("380", serial, false)
	w.want("a repeat after a crash", code+string(again), "00"+string(first))
	p.signIn()

	code, _, _ = p.asksKey("381", serial, false)
	w.want("the confirmation", code, "00")
	id := w.reg.Snapshot().At(0).ID
	if s := w.reg.Snapshot().Terminal(&id).Session(w.now); s != nil {
		t.Error("the session under the old key goes on")
	}
	code, _, _ = p.asksKey("401", serial, false)
	w.want("its repeat", code, "00")
	code, _, _ = p.asksKey("380", serial, false)
	w.want("another request: the permission is used up", code, "58")
	old := tmkClear
	tmkClear = key
	t.Cleanup(func() { tmkClear = old })
	p.signIn()
	// The registry was written behind: what it lost comes from the journal.
	csv := fmt.Sprintf("merchant,terminal,tmk\n%s,%s,%v\n", terminalMerchant, terminalNumber, w.wrap(hsm.TMK, old))
	if _, changed, err := w.reg.Import(strings.NewReader(csv), "t.csv"); err != nil || changed != 0 {
		t.Fatalf("the file that a start imports changes %d, %v", changed, err)
	}
	var err error
	if w.reg, err = registry.Open(registry.Options{InMemory: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.reg.Close() })
	if _, _, err := w.reg.Import(strings.NewReader(csv), "t.csv"); err != nil {
		t.Fatal(err)
	}
	w.crash()
	p.id = w.connect(-1)
	p.signIn()
	var words []string
	for _, e := range *told {
		words = append(words, e.What)
	}
	w.want("the audit", strings.Join(words, " "), "refused refused refused made taken refused")
	kcv, _ := clear.KCV(key)
	if (*told)[3].KCV != [4]byte(kcv[:4]) {
		t.Errorf("audited as %X", (*told)[3].KCV)
	}
}

// A terminal that does not know its numbers is found by its serial number, and told.
func TestMasterKeyBySerialNumber(t *testing.T) {
	w, p, _ := keyWorld(t)
	w.permits(time.Hour)
	code, f62, v := p.asksKey("003", serial, true)
	w.want("F39", code, "00")
	opened(t, f62)
	w.want("F41 and F42", string(v.Field(41))+string(v.Field(42)), terminalNumber+terminalMerchant)
	code, _, _ = p.asksKey("381", serial, true)
	w.want("the confirmation", code, "00")
	// A number that nobody has: nobody to answer.
	p.send(0x0800, nil, func(b *iso8583.Builder) {
		b.PutUint(11, 27)
		b.Put(60, []byte("99000002003"))
		b.Put(62, []byte("Sequence No161111111111111111"))
	})
	w.pass(0)
	if n := len(w.sent[p.id]); n != 0 {
		t.Errorf("%d answers to an unknown serial number", n)
	}
}

func TestMasterKeyRefused(t *testing.T) {
	w, p, _ := keyWorld(t)
	code, _, _ := p.asksKey("004", serial, false)
	w.want("a code that means nothing", code, "40")
	w.permits(time.Minute)
	w.pass(2 * time.Minute)
	code, _, _ = p.asksKey("380", serial, false)
	w.want("a permission that ended", code, "58")
	w.permits(time.Minute)
	code, _, _ = p.asksKey("380", serial, false)
	w.want("one that holds", code, "00")
	w.pass(2 * time.Minute)
	code, _, _ = p.asksKey("381", serial, false)
	w.want("confirmed too late", code, "58")
	p.signIn() // under the old one
	w.permits(time.Hour)
	code, _, _ = p.asksKey("380", serial, false)
	w.want("permitted anew", code, "00")
	// The operator gives a key by hand: what was on its way is void.
	csv := fmt.Sprintf("merchant,terminal,tmk\n%s,%s,%v\n", terminalMerchant, terminalNumber, w.wrap(hsm.TMK, transportClear))
	if _, changed, err := w.reg.Import(strings.NewReader(csv), "t.csv"); err != nil || changed != 1 {
		t.Fatal(changed, err)
	}
	code, _, _ = p.asksKey("381", serial, false)
	w.want("confirmed after an import", code, "25")
	w.crash()
	p.id = w.connect(-1)
	code, _, _ = p.asksKey("381", serial, false)
	w.want("and after a crash", code, "25")
	id := w.reg.Snapshot().At(0).ID
	if err := w.reg.Permit(&txn.Terminal{}, 1); err != registry.ErrNoTerminal {
		t.Error(err)
	}
	if _, _, err := w.reg.ImportTransports(strings.NewReader("of,name,key\nmaker,acme,\n"), "k.csv"); err != nil {
		t.Fatal(err)
	}
	if err := w.reg.Permit(&id, w.now+1); err == nil {
		t.Error("permitted without a transport key")
	}
}

// Behind a socket the module takes its time; two requests at once get one key.
func TestMasterKeyFromAModuleBehindASocket(t *testing.T) {
	w, p, _ := keyWorld(t)
	w.remote = true
	w.crash()
	box := w.boxUp(2)
	p.id = w.connect(-1)
	w.permits(time.Hour)
	p.send(0x0800, nil, func(b *iso8583.Builder) {
		b.PutUint(11, 1)
		p.identity(b)
		b.Put(60, []byte("99000002380"))
		b.Put(62, []byte("Sequence No"+serial))
	})
	p.send(0x0800, nil, func(b *iso8583.Builder) {
		b.PutUint(11, 2)
		p.identity(b)
		b.Put(60, []byte("99000002380"))
		b.Put(62, []byte("Sequence No"+serial))
	})
	w.pass(0)
	w.serve(box)
	frames := w.take(p.id, conn.Binary2)
	if len(frames) != 2 {
		t.Fatalf("%d answers", len(frames))
	}
	one, two := w.parse(iso8583.Pos(), frames[0]), w.parse(iso8583.Pos(), frames[1])
	w.want("F39", string(one.Field(39))+string(two.Field(39)), "0000")
	w.want("one key", string(one.Field(62)), string(two.Field(62)))
	opened(t, one.Field(62))
}
