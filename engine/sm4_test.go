package engine

import (
	"bytes"
	"crypto/cipher"
	"fmt"
	"strings"
	"testing"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/translate"
	"tongka/txn"
)

// wideSpec is the terminals' dialect with room for a PIN block of SM4.
func wideSpec(t testing.TB, s *iso8583.Spec) *iso8583.Spec {
	t.Helper()
	d := *s.Declaration()
	fields := map[int]iso8583.Field{}
	for n, f := range d.Fields {
		if n == 52 {
			f.Length = 16
		}
		fields[n] = f
	}
	d.Fields = fields
	wide, err := iso8583.Compile(&d)
	if err != nil {
		t.Fatal(err)
	}
	return wide
}

// sm4Pos is a terminal with keys for SM4.
type sm4Pos struct {
	w             *world
	id            conn.ID
	spec          *iso8583.Spec
	tmk, pik, mak cipher.Block
	batch         string
}

func block(t testing.TB, key []byte) cipher.Block {
	t.Helper()
	b, err := clear.NewBlock(clear.SM4, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// says sends one message, with a MAC when there is a key, and gives the answer.
func (p *sm4Pos) says(mti iso8583.MTI, mac bool, fill func(*iso8583.Builder)) *iso8583.View {
	p.w.t.Helper()
	p.send(mti, mac, fill)
	frames := p.w.take(p.id, conn.Binary2)
	if len(frames) != 1 {
		p.w.t.Fatalf("%d answers", len(frames))
	}
	v := p.w.parse(p.spec, frames[0])
	if want := clear.UnionPayMAC; v.Has(64) {
		if m := want(p.mak, v.Before(64)); string(m[:]) != string(v.Field(64)) {
			p.w.t.Error("the answer's MAC is wrong")
		}
	}
	return v
}

func (p *sm4Pos) send(mti iso8583.MTI, mac bool, fill func(*iso8583.Builder)) {
	p.w.t.Helper()
	frame := mustHex("6000030000602200000000")
	at := len(frame)
	b := p.spec.Begin(frame, mti)
	fill(&b)
	if mac {
		b.Put(64, make([]byte, 8))
	}
	frame, err := b.End()
	if err != nil {
		p.w.t.Fatal(err)
	}
	if mac {
		m := clear.UnionPayMAC(p.mak, frame[at:len(frame)-8])
		copy(frame[len(frame)-8:], m[:])
	}
	p.w.shard.Frame(p.id, frame)
	p.w.pass(0)
}

func (p *sm4Pos) named(b *iso8583.Builder) {
	b.Put(41, []byte(terminalNumber))
	b.Put(42, []byte(terminalMerchant))
}

func (p *sm4Pos) signs(net string) *iso8583.View {
	return p.says(0x0800, false, func(b *iso8583.Builder) {
		b.PutUint(11, 1)
		p.named(b)
		b.Put(60, []byte("00000001"+net))
		b.Put(63, []byte("01 "))
	})
}

// takes opens the three keys of a sign-in.
func (p *sm4Pos) takes(v *iso8583.View) {
	p.w.t.Helper()
	f62 := v.Field(62)
	if string(v.Field(39)) != "00" || len(f62) != 60 {
		p.w.t.Fatalf("sign-in: F39 %s, F62 of %d bytes", v.Field(39), len(f62))
	}
	var keys [3]cipher.Block
	for i := range keys {
		slot := f62[20*i:]
		keys[i] = block(p.w.t, clear.ECB(p.tmk, slot[:16], true))
		if kcv := clear.ECB(keys[i], make([]byte, 16), false); !bytes.Equal(kcv[:4], slot[16:20]) {
			p.w.t.Fatalf("key %d: check value %X, not %X", i, slot[16:20], kcv[:4])
		}
	}
	p.pik, p.mak, p.batch = keys[0], keys[1], string(v.AppendText(nil, 60)[2:8])
}

func (p *sm4Pos) sells(trace uint64, pin []byte) func(*iso8583.Builder) {
	return func(b *iso8583.Builder) {
		b.Put(2, []byte("6225880000000003"))
		b.PutUint(3, 0)
		b.PutUint(4, 100)
		b.PutUint(11, trace)
		b.PutUint(22, 21)
		b.PutUint(25, 0)
		p.named(b)
		b.Put(49, []byte("156"))
		if pin != nil {
			b.Put(52, pin)
			b.Put(53, []byte("2600000000000000"))
		}
		b.Put(60, []byte("22"+p.batch))
	}
}

// sm4World has a terminal with a master key for SM4; zpk of bank a is for SM4, too, when
// wide is true.
func sm4World(t *testing.T, wide bool) (*world, *sm4Pos) {
	w := newWorld(t)
	p := &sm4Pos{w: w, spec: wideSpec(t, iso8583.Pos()), tmk: block(t, tmkClear)}
	w.shape = func(c *Config) {
		door, err := translate.NewDoor(p.spec, "48023310")
		if err != nil {
			t.Fatal(err)
		}
		c.Listeners[0].Door = door
		if !wide {
			return
		}
		k, err := translate.NewBank(wideSpec(t, iso8583.Cups()), "00010000", "48023310", "48023310", "48023310")
		if err != nil {
			t.Fatal(err)
		}
		zpk, err := w.module.WrapSM4(hsm.ZPK, zpkClear)
		if err != nil {
			t.Fatal(err)
		}
		c.Links[0].Bank, c.Links[0].ZPK = k, zpk
	}
	w.crash()
	tmk, err := w.module.WrapSM4(hsm.TMK, tmkClear)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.reg.Import(strings.NewReader(fmt.Sprintf("merchant,terminal,tmk\n%s,%s,%v\n", terminalMerchant, terminalNumber, tmk)), "t.csv"); err != nil {
		t.Fatal(err)
	}
	p.id = w.connect(-1)
	return w, p
}

var somePAN12 = func() [12]byte {
	pan, _ := txn.ParsePAN([]byte("6225880000000003"))
	return pan.Tail12()
}()

func TestSM4TerminalWithABankOf3DES(t *testing.T) {
	w, p := sm4World(t, false)
	bank := w.bankUp(0)
	w.want("keys of another cipher", string(p.signs("003").Field(39)), "A7")
	p.takes(p.signs("006"))
	pin, code := clear.EncryptPINSM4(p.pik, []byte("123456"), &somePAN12)
	if !code.OK() {
		t.Fatal(code)
	}
	p.send(0x0200, true, p.sells(7, pin[:]))
	q := w.bankGot(bank)
	zpk, _ := clear.NewCipher(zpkClear)
	got, n, err := zpk.DecryptPIN([8]byte(q.Field(52)), &somePAN12, hsm.ISO0)
	if err != nil || string(got[:n]) != "123456" {
		t.Errorf("the bank reads the PIN %q, %v", got[:n], err)
	}
	w.bankAnswers(bank, q, "00")
	v := w.parse(p.spec, w.take(p.id, conn.Binary2)[0])
	mac := clear.UnionPayMAC(p.mak, v.Before(64))
	w.want("the answer", string(v.Field(39))+string(v.Field(64)), "00"+string(mac[:]))

	// Another PIN key, a MAC that is wrong by a bit, a message cut.
	bad := pin
	bad[3] ^= 1
	w.want("a damaged PIN block", string(p.says(0x0200, true, p.sells(8, bad[:])).Field(39)), "99")
	good := p.mak
	p.mak = block(t, tmkClear)
	p.send(0x0200, true, p.sells(9, nil))
	p.mak = good
	v = w.parse(p.spec, w.take(p.id, conn.Binary2)[0])
	w.want("a wrong MAC", string(v.Field(39)), "A0")
}

func TestSM4TerminalWithABankOfSM4(t *testing.T) {
	w, p := sm4World(t, true)
	bank := w.bankUp(0)
	p.takes(p.signs("006"))
	pin, _ := clear.EncryptPINSM4(p.pik, []byte("1234"), &somePAN12)
	p.send(0x0200, true, p.sells(7, pin[:]))
	frames := w.take(bank, conn.ASCII4)
	if len(frames) != 1 {
		t.Fatalf("%d messages", len(frames))
	}
	q := w.parse(w.shard.links[0].cfg.Bank.Spec, frames[0])
	var got [12]byte
	n, code := clear.DecryptPINSM4(block(t, zpkClear), [16]byte(q.Field(52)), &somePAN12, &got)
	if !code.OK() || string(got[:n]) != "1234" {
		t.Errorf("the bank reads the PIN %q, %v", got[:n], code)
	}
}

// A terminal of 3DES wants keys for SM4, and one of SM4 meets modules that have none.
func TestSM4SignInRefused(t *testing.T) {
	w := newWorld(t)
	w.terminalImported()
	p := &pos{w: w, id: w.connect(-1)}
	asks := func() string {
		p.send(0x0800, nil, func(b *iso8583.Builder) {
			b.PutUint(11, 1)
			p.identity(b)
			b.Put(60, []byte("00000001006"))
		})
		w.pass(0)
		return p.code()
	}
	w.want("a master key of 3DES", asks(), "A7")
	w.remote = true
	w.crash()
	w.boxUp(2)
	tmk, err := w.module.WrapSM4(hsm.TMK, tmkClear)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.reg.Import(strings.NewReader(fmt.Sprintf("merchant,terminal,tmk\n%s,%s,%v\n", terminalMerchant, terminalNumber, tmk)), "t.csv"); err != nil {
		t.Fatal(err)
	}
	p.id = w.connect(-1)
	w.want("modules behind sockets", asks(), "40")
}
