package translate

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// saleMessage is a test sale with chip data, made with the builder of the
// terminal's dialect: 18 fields, 187 bytes.
func saleMessage(t testing.TB) []byte {
	t.Helper()
	b := iso8583.Pos().Begin(nil, 0x0200)
	b.Put(2, []byte("6225880000000003"))
	b.PutUint(3, 0)
	b.PutUint(4, 12345)
	b.PutUint(11, 77)
	b.PutUint(14, 3012)
	b.PutUint(22, 51)
	b.PutUint(23, 1)
	b.PutUint(25, 0)
	b.PutUint(26, 12)
	b.Put(35, []byte("6225880000000003D30122010000000000000"))
	b.Put(41, []byte("T0000001"))
	b.Put(42, []byte("898310048160001"))
	b.Put(49, []byte("156"))
	b.Put(52, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	b.Put(53, []byte("2600000000000000"))
	chip, _ := hex.DecodeString("9F26081122334455667788950500000000009A032611219C01009F02060000000123459F3602001A")
	b.Put(55, chip)
	b.Put(60, []byte("2200000100060"))
	b.Put(64, []byte("A1B2C3D4"))
	out, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t testing.TB, msg []byte) (v iso8583.View, f txn.Facts, e Echo, code txn.Code) {
	t.Helper()
	if err := iso8583.Pos().Parse(&v, msg); err != nil {
		t.Fatal(err)
	}
	code = ReadRequest(&v, &f, &e)
	e.Keep(&iso8583.Envelope{}, &v, bytes.Clone(msg))
	return v, f, e, code
}

var arrival = time.Date(2026, 11, 21, 9, 30, 15, 0, Zone).UnixNano()

func bank(t testing.TB) *Bank {
	t.Helper()
	k, err := NewBank(iso8583.Cups(), "00010000", "48023310", "48023310", "48020000")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func door(t testing.TB) *Door {
	t.Helper()
	d, err := NewDoor(iso8583.Pos(), "48023310")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSaleGoesToTheBankUnderOurNumbers(t *testing.T) {
	v, f, e, code := read(t, saleMessage(t))
	if code != zero || f.Kind != txn.Sale {
		t.Fatalf("code %v kind %v", code, f.Kind)
	}
	if f.Amount != 12345 || f.Trace != 77 || f.Batch != 1 || f.Expiry != 3012 || f.CardSeq != 1 || f.Entry != 51 {
		t.Fatalf("facts %+v", f)
	}
	f.ID, f.At, f.Sent = 7_000_123, arrival, arrival
	var c Clock
	out, err := bank(t).AppendRequest(nil, &v, &f, nil, &e, []byte("PINBLOCK"), &c)
	if err != nil {
		t.Fatal(err)
	}
	got := parseBank(t, out)
	for n, want := range map[int]string{
		2: "6225880000000003", 3: "000000", 4: "000000012345", 7: "1121093015", 11: "000123", 12: "093015", 13: "1121",
		14: "3012", 18: "4816", 22: "051", 23: "001", 25: "00", 26: "12", 32: "48023310", 33: "48020000",
		37: "325007000123", 41: "T0000001", 42: "898310048160001", 49: "156", 52: "PINBLOCK",
		53: "2600000000000000", 60: "000006000300000000000000000000"[:4] + "06000300000000000000000000"[0:26],
	} {
		if text := string(got.AppendText(nil, n)); text != want {
			t.Errorf("F%d: %q, want %q", n, text, want)
		}
	}
	if track := string(got.AppendText(nil, 35)); track[:17] != "6225880000000003D" && track[:17] != "6225880000000003=" {
		t.Errorf("F35: %q", track)
	}
	if !bytes.Equal(got.Field(55), v.Field(55)) {
		t.Error("F55 changed on the way")
	}
	if got.Has(61) || got.Has(64) || got.Has(128) {
		t.Error("the terminal's own fields went to the bank")
	}
}

func parseBank(t testing.TB, frame []byte) *iso8583.View {
	t.Helper()
	var env iso8583.Envelope
	msg, err := iso8583.Cups().Split(frame, &env)
	if err != nil {
		t.Fatal(err)
	}
	v := new(iso8583.View)
	if err := iso8583.Cups().Parse(v, msg); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAnswerRestoresTheTerminalsNumbers(t *testing.T) {
	_, f, e, _ := read(t, saleMessage(t))
	f.ID, f.At, f.Sent, f.Code, f.Auth, f.Settle = 123, arrival, arrival, txn.OK, [6]byte{'A', '0', '0', '0', '0', '1'}, 1122
	b := iso8583.Cups().Begin(nil, 0x0210)
	b.Put(44, []byte("01020000   48023310   "))
	b.Put(55, []byte{0x91, 0x02, 0xAA, 0xBB})
	msg, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	var bv iso8583.View
	if err := iso8583.Cups().Parse(&bv, msg); err != nil {
		t.Fatal(err)
	}
	var c Clock
	out, err := door(t).AppendAnswer(nil, &f, &e, &Answer{Bank: &bv, Sealed: true}, &c)
	if err != nil {
		t.Fatal(err)
	}
	var v iso8583.View
	if err := iso8583.Pos().Parse(&v, out); err != nil {
		t.Fatal(err)
	}
	if v.MTI() != 0x0210 {
		t.Errorf("MTI %v", v.MTI())
	}
	for n, want := range map[int]string{2: "6225880000000003", 4: "000000012345", 11: "000077", 12: "093015", 13: "1121",
		15: "1122", 32: "48023310", 37: "325000000123", 38: "A00001", 39: "00", 41: "T0000001", 44: "01020000   48023310   ",
		49: "156", 60: "2200000100060", 63: "CUP"} {
		if text := string(v.AppendText(nil, n)); text != want {
			t.Errorf("F%d: %q, want %q", n, text, want)
		}
	}
	if !bytes.Equal(v.Field(64), noMAC[:]) || &v.Before(64)[0] != &out[0] || len(v.Before(64)) != len(out)-8 {
		t.Error("F64 is not the last eight bytes")
	}
}

func TestSignInAnswerCarriesTheNewBatch(t *testing.T) {
	b := iso8583.Pos().Begin(nil, 0x0800)
	b.PutUint(11, 3)
	b.Put(41, []byte("T0000001"))
	b.Put(42, []byte("898310048160001"))
	b.Put(60, []byte("00000001003"))
	b.Put(63, []byte("01 "))
	msg, _ := b.End()
	_, f, e, code := read(t, msg)
	if code != zero || f.Kind != txn.SignIn {
		t.Fatalf("code %v kind %v", code, f.Kind)
	}
	f.Code, f.At = txn.OK, arrival
	var c Clock
	keys := bytes.Repeat([]byte{0xA5}, 40)
	out, err := door(t).AppendAnswer(nil, &f, &e, &Answer{F62: keys, Batch: 42}, &c)
	if err != nil {
		t.Fatal(err)
	}
	var v iso8583.View
	if err := iso8583.Pos().Parse(&v, out); err != nil {
		t.Fatal(err)
	}
	if s := string(v.AppendText(nil, 60)); s != "00000042003" {
		t.Errorf("F60 %q", s)
	}
	if !bytes.Equal(v.Field(62), keys) || v.Has(64) || v.Has(2) {
		t.Error("fields of a sign-in answer")
	}
}

func TestReversalNamesTheOriginal(t *testing.T) {
	_, f, _, _ := read(t, saleMessage(t))
	f.ID, f.At, f.Sent = 7_000_123, arrival, arrival
	var c Clock
	first, err := bank(t).AppendReversal(nil, &f, false, &c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := bank(t).AppendReversal(nil, &f, true, &c)
	if err != nil {
		t.Fatal(err)
	}
	a, b := parseBank(t, first), parseBank(t, again)
	if a.MTI() != 0x0420 || b.MTI() != 0x0421 || !bytes.Equal(a.Bytes()[4:], b.Bytes()[4:]) {
		t.Error("a repeat differs by its MTI alone")
	}
	want := "0200" + "000123" + "1121093015" + "00048023310" + "00048020000"
	if s := string(a.AppendText(nil, 90)); s != want {
		t.Errorf("F90 %q, want %q", s, want)
	}
	if s := string(a.AppendText(nil, 60)); s[:4] != "4351" {
		t.Errorf("F60 %q", s)
	}
	if string(a.Field(37)) != "325007000123" || a.Has(52) || a.Has(35) {
		t.Error("the reversal carries the original's reference, and no PIN or track")
	}
}

func TestKinds(t *testing.T) {
	base := func(mti iso8583.MTI, proc, cond uint64, f60 string) []byte {
		b := iso8583.Pos().Begin(nil, mti)
		b.PutUint(3, proc)
		b.PutUint(4, 100)
		b.PutUint(11, 9)
		b.PutUint(25, cond)
		b.Put(41, []byte("T0000001"))
		b.Put(42, []byte("898310048160001"))
		b.Put(60, []byte(f60))
		out, err := b.End()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, c := range []struct {
		what string
		msg  []byte
		kind txn.Kind
		code txn.Code
	}{
		{"sale", base(0x0200, 0, 0, "22000001"), txn.Sale, zero},
		{"payment by code", base(0x0200, 0, 99, "2600000100060000000"), txn.Sale, zero},
		{"completion", base(0x0200, 0, 6, "20000001"), txn.Completion, zero},
		{"offline sale", base(0x0200, 0, 0, "36000001"), txn.OfflineSale, zero},
		{"void", base(0x0200, 200000, 0, "23000001"), txn.Void, zero},
		{"void of a completion", base(0x0200, 200000, 6, "21000001"), txn.CompletionVoid, zero},
		{"nothing that F60 knows", base(0x0200, 200000, 0, "99000001"), txn.Unknown, txn.NotSupported},
		{"pre-authorisation", base(0x0100, 30000, 6, "10000001"), txn.PreAuth, zero},
		{"its void", base(0x0100, 200000, 6, "11000001"), txn.PreAuthVoid, zero},
		{"refund", base(0x0220, 200000, 0, "25000001"), txn.Refund, zero},
		{"offline refund", base(0x0220, 200000, 0, "27000001"), txn.OfflineRefund, zero},
		{"completion as a notice", base(0x0220, 0, 6, "24000001"), txn.CompletionAdvice, zero},
		{"offline settlement", base(0x0220, 0, 0, "30000001"), txn.OfflineSettle, zero},
		{"adjustment", base(0x0220, 0, 0, "32000001"), txn.Adjust, zero},
		{"tip", base(0x0220, 0, 0, "34000001"), txn.Tip, zero},
		{"script result", base(0x0620, 0, 0, "22000001951"), txn.ScriptNotice, zero},
		{"balance with an amount", base(0x0200, 310000, 0, "01000001"), txn.Balance, txn.BadAmount},
		{"balance under another F25", base(0x0200, 310000, 6, "01000001"), txn.Unknown, txn.NotSupported},
		{"reversal", base(0x0400, 0, 0, "22000001"), txn.Reversal, zero},
		{"echo", base(0x0820, 0, 0, "00000001301"), txn.Echo, zero},
		{"single-length sign-in", base(0x0800, 0, 0, "00000001001"), txn.SignIn, zero},
		{"sign-in for track data", base(0x0800, 0, 0, "00000001004"), txn.SignIn, zero},
		{"sign-in that goes on behind its code", base(0x0800, 0, 0, "000000010010"), txn.Unknown, txn.NotSupported},
		{"sign-off", base(0x0820, 0, 0, "00000001002"), txn.SignOff, zero},
		{"settlement with an amount", base(0x0500, 0, 0, "00000001201"), txn.Settle, txn.BadAmount},
		{"another 0500", base(0x0500, 0, 0, "00000001202"), txn.Unknown, txn.NotSupported},
		{"upload in blocks", base(0x0320, 0, 0, "00000001201"), txn.BatchUpload, zero},
		{"upload of one", base(0x0320, 0, 0, "36000001000"), txn.BatchUpload, zero},
		{"master key download", base(0x0800, 0, 0, "99000002003"), txn.Download, zero},
	} {
		_, f, _, code := read(t, c.msg)
		if f.Kind != c.kind || code != c.code {
			t.Errorf("%s: %v %v, want %v %v", c.what, f.Kind, code, c.kind, c.code)
		}
	}
}

// A reversal repeats the marks of what it takes back, and goes by the type of that.
func TestReversalOfEachKind(t *testing.T) {
	for _, c := range []struct {
		proc, cond uint64
		usage      string
		of         txn.Kind
	}{
		{0, 0, "22", txn.Sale}, {200000, 0, "23", txn.Void}, {200000, 0, "25", txn.Refund}, {30000, 6, "10", txn.PreAuth},
		{200000, 6, "11", txn.PreAuthVoid}, {0, 6, "20", txn.Completion}, {200000, 6, "21", txn.CompletionVoid},
		{0, 6, "24", txn.CompletionAdvice}, {0, 0, "34", txn.Tip}, {0, 0, "36", txn.OfflineSale}, {990000, 0, "99", txn.Sale},
	} {
		b := iso8583.Pos().Begin(nil, 0x0400)
		b.PutUint(3, c.proc)
		b.PutUint(4, 100)
		b.PutUint(11, 9)
		b.PutUint(25, c.cond)
		b.Put(41, []byte("T0000001"))
		b.Put(42, []byte("898310048160001"))
		b.Put(60, []byte(c.usage+"000001"))
		msg, err := b.End()
		if err != nil {
			t.Fatal(err)
		}
		if _, f, _, code := read(t, msg); f.Kind != txn.Reversal || f.Of != c.of || code != zero {
			t.Errorf("%06d/%02d/%s: %v of %v, %v", c.proc, c.cond, c.usage, f.Kind, f.Of, code)
		}
	}
}

// A notice is kept beside the facts and comes out again, with its chip data and the
// transaction that it names; a damaged one is refused.
func TestNotice(t *testing.T) {
	b := iso8583.Pos().Begin(nil, 0x0220)
	b.PutUint(3, 0)
	b.PutUint(4, 150)
	b.PutUint(11, 9)
	b.Put(41, []byte("T0000001"))
	b.Put(42, []byte("898310048160001"))
	b.Put(55, []byte("\x9F\x26\x01\x02"))
	b.Put(60, []byte("34000001"))
	b.Put(61, []byte("0000010000071122"))
	msg, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	v, f, _, code := read(t, msg)
	if code != zero {
		t.Fatal(code)
	}
	if n := ReadNamed(&v); n != (Named{Batch: 1, Trace: 7}) {
		t.Fatalf("it names %+v", n)
	}
	f.ID, f.At, f.Sent = 7_000_123, arrival, arrival
	orig := txn.Facts{ID: 7_000_100, MTI: 0x0200, Sent: arrival, Auth: [6]byte([]byte("A00001"))}
	var c Clock
	for _, of := range []*txn.Facts{nil, &orig} {
		notice := AppendNotice(nil, &v, of, &c)
		out, err := bank(t).AppendAdvice(nil, &f, notice, true, &c)
		if err != nil {
			t.Fatal(err)
		}
		q := parseBank(t, out)
		if q.MTI() != 0x0221 || string(q.Field(55)) != "\x9F\x26\x01\x02" || string(q.AppendText(nil, 4)) != "000000000150" {
			t.Errorf("%v: F4 %q F55 %x", q.MTI(), q.AppendText(nil, 4), q.Field(55))
		}
		if of != nil && (string(q.Field(38)) != "A00001" || string(q.Field(90)[:20]) != "02000001001121093015") {
			t.Errorf("F38 %q F90 %q", q.Field(38), q.Field(90))
		}
		for cut := range notice {
			if cut == 6 { // what a notice without an original looks like
				continue
			}
			if _, err := bank(t).AppendAdvice(nil, &f, notice[:cut], false, &c); err == nil {
				t.Errorf("a notice cut to %d of %d bytes is taken", cut, len(notice))
			}
		}
	}
	f.Kind = txn.ScriptNotice
	out, err := bank(t).AppendAdvice(nil, &f, AppendNotice(nil, &v, nil, &c), false, &c)
	if err != nil || parseBank(t, out).MTI() != 0x0620 {
		t.Errorf("a script's result: %v", err)
	}
}

// What a bank was told of it knows as a notice, whatever the terminal sent.
func TestOfflineSaleIsReversedAsTheNoticeThatItWas(t *testing.T) {
	_, f, _, _ := read(t, saleMessage(t))
	f.ID, f.Sent = 7, f.At
	var c Clock
	for kind, want := range map[txn.Kind]string{txn.Sale: "0200", txn.OfflineSale: "0220"} {
		f.Kind = kind
		out, err := bank(t).AppendReversal(nil, &f, false, &c)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(parseBank(t, out).Field(90)[:4]); got != want {
			t.Errorf("%v: F90 begins with %s, want %s", kind, got, want)
		}
	}
}

// F61 of a sale's reversal names the sale. That of a void's reversal is the void's
// own, which names the sale: the void stands in F60 and F11.
func TestReversalTakesTheOriginalFromF61(t *testing.T) {
	for _, c := range []struct {
		proc         uint64
		usage        string
		batch, trace uint32
	}{{0, "22", 233415, 681186}, {200000, "23", 160529, 681190}, {200000, "25", 160529, 681190}} {
		b := iso8583.Pos().Begin(nil, 0x0400)
		b.PutUint(3, c.proc)
		b.PutUint(4, 500)
		b.PutUint(11, 681190)
		b.PutUint(25, 0)
		b.Put(41, []byte("T0000001"))
		b.Put(42, []byte("898310048160001"))
		b.Put(60, []byte(c.usage+"160529"))
		b.Put(61, []byte("2334156811860529"))
		msg, err := b.End()
		if err != nil {
			t.Fatal(err)
		}
		_, f, _, code := read(t, msg)
		if code != zero || f.Batch != c.batch || f.Trace != c.trace {
			t.Errorf("F60.1 %s: code %v batch %d trace %d", c.usage, code, f.Batch, f.Trace)
		}
	}
}

func TestPINWithAndWithoutCardNumber(t *testing.T) {
	v, f, _, _ := read(t, saleMessage(t))
	block, pan12, ok := PIN(&v, &f)
	if !ok || block.N != 8 || string(pan12[:]) != "588000000000" {
		t.Errorf("%v %+v %s", ok, block, pan12)
	}
}

// One transaction's work of this package and the codec: both directions.
func bothWays(t testing.TB) func() {
	pos, cups := iso8583.Pos(), iso8583.Cups()
	msg := saleMessage(t)
	k, d := bank(t), door(t)
	ab := cups.Begin(nil, 0x0210)
	ab.PutUint(4, 12345)
	ab.PutUint(11, 123)
	ab.PutUint(15, 1122)
	ab.Put(37, []byte("325007000123"))
	ab.Put(38, []byte("A00001"))
	ab.Put(39, []byte("00"))
	ab.Put(44, []byte("01020000   48023310   "))
	ans, err := ab.End()
	if err != nil {
		t.Fatal(err)
	}
	var (
		v, bv    iso8583.View
		c        Clock
		m        BankMessage
		up, down []byte
		f        txn.Facts
		e        Echo
		kept     []byte
		env      iso8583.Envelope
		pin      = []byte("PINBLOCK")
	)
	return func() {
		f, e = txn.Facts{}, Echo{}
		if pos.Parse(&v, msg) != nil || ReadRequest(&v, &f, &e) != zero {
			t.Fatal("request")
		}
		kept = append(kept[:0], msg...)
		e.Keep(&env, &v, kept)
		f.ID, f.At, f.Sent = 7_000_123, arrival, arrival
		if up, err = k.AppendRequest(up[:0], &v, &f, nil, &e, pin, &c); err != nil {
			t.Fatal(err)
		}
		if cups.Parse(&bv, ans) != nil {
			t.Fatal("answer")
		}
		ReadBank(&bv, &m)
		f.Code, f.Auth, f.Settle = m.Code, m.Auth, m.Settle
		a := Answer{Bank: &bv, Sealed: true}
		if down, err = d.AppendAnswer(down[:0], &f, &e, &a, &c); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBothWaysAllocateNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, bothWays(t)); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBothWays(b *testing.B) {
	f := bothWays(b)
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}
