package translate

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// poor93 is a dialect of 1993 without two fields that a terminal needs.
func poor93(t testing.TB) *iso8583.Spec {
	t.Helper()
	d := *iso8583.ASCII93().Declaration()
	d.Name, d.Fields = "poor", maps.Clone(d.Fields)
	delete(d.Fields, 22)
	delete(d.Fields, 61)
	s, err := iso8583.Compile(&d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func spec93(t testing.TB) []*iso8583.Spec {
	t.Helper()
	return []*iso8583.Spec{iso8583.ASCII93(), iso8583.Binary93()}
}

func made(t testing.TB, s *iso8583.Spec, mti iso8583.MTI, fields map[int]string) *iso8583.View {
	t.Helper()
	return said(t, &Bank{Spec: s}, mti, fields)
}

func door93(t testing.TB, s *iso8583.Spec) *Door {
	t.Helper()
	d, err := NewDoor(s, "48023310")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func bank93(t testing.TB, s *iso8583.Spec) *Bank {
	t.Helper()
	k, err := NewBank(s, "00010000", "48023310", "48023310", "48020000")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sale93 is what a terminal of 1993 sends; the fields are written by hand.
var sale93 = map[int]string{2: "6225880000000003", 3: "000000", 4: "000000012345", 11: "000077", 12: "261121093010", 14: "3012",
	22: "510101513141", 23: "001", 24: "200", 26: "5411", 35: "6225880000000003D30122010000000000000", 41: "T0000001", 42: "898310048160001", 49: "156",
	52: "\x01\x02\x03\x04\x05\x06\x07\x08", 53: "\x26\x00\x00\x00\x00\x00\x00\x00", 55: "\x9F\x36\x02\x00\x1A", 60: "2200000100060", 64: "A1B2C3D4"}

// A sale of a 1993 terminal goes to a 1993 bank and its answer back, and every
// field says there what it says in 1993.
func TestSaleOf1993(t *testing.T) {
	for _, s := range spec93(t) {
		t.Run(s.Name(), func(t *testing.T) {
			d, k := door93(t, s), bank93(t, s)
			wire := made(t, s, 0x1200, sale93)
			var v iso8583.View
			msg, err := d.Edition.Older(nil, wire, &v)
			if err != nil {
				t.Fatal(err)
			}
			var f txn.Facts
			var e Echo
			if code := ReadRequest(&v, &f, &e); code != zero || f.Kind != txn.Sale || f.MTI != 0x0200 || f.Entry != 51 || f.Trace != 77 || f.Batch != 1 || f.Amount != 12345 {
				t.Fatalf("%v %+v", code, f)
			}
			if block, _, ok := PIN(&v, &f); !ok || block.N != 8 || MAC(&v) != [8]byte([]byte("A1B2C3D4")) {
				t.Errorf("PIN %+v", block)
			}
			e.Keep(&iso8583.Envelope{}, &v, msg)
			f.ID, f.At, f.Sent = 7_000_123, arrival, arrival
			var c Clock
			out, err := k.AppendRequest([]byte("kept"), &v, &f, nil, &e, []byte("PINBLOCK"), &c)
			if err != nil || string(out[:4]) != "kept" {
				t.Fatal(err)
			}
			check(t, s, out[4:], 0x1200, map[int]string{2: "6225880000000003", 3: "000000", 4: "000000012345", 7: "1121093015", 11: "000123", 12: "261121093015",
				14: "3012", 22: "510101513141", 23: "001", 24: "200", 26: "4816", 32: "48023310", 33: "48020000", 37: "325007000123", 49: "156",
				52: "PINBLOCK", 53: "\x26\x00\x00\x00\x00\x00\x00\x00", 55: "\x9F\x36\x02\x00\x1A", 60: "000006000300000000000000000000"}, 13, 15, 18, 25, 26+1, 39, 56, 70, 90)

			answer := made(t, s, 0x1210, map[int]string{4: "000000012345", 11: "000123", 15: "261122", 37: "325007000123", 38: "A00001", 39: "000", 44: "01020000   48023310", 55: "\x91\x00"})
			var his iso8583.View
			if _, err := k.Edition.Older(nil, answer, &his); err != nil {
				t.Fatal(err)
			}
			var m BankMessage
			if ReadBank(&his, &m); m.MTI != 0x0210 || m.STAN != 123 || m.Code != txn.OK || string(m.Auth[:]) != "A00001" || m.Settle != 1122 || m.RRN != 325007000123 {
				t.Errorf("%+v", m)
			}
			f.Code, f.Auth, f.Settle = m.Code, m.Auth, m.Settle
			back, err := d.AppendAnswer(nil, &f, &e, &Answer{Bank: &his, Sealed: true}, &c)
			if err != nil {
				t.Fatal(err)
			}
			if zeros := back[len(back)-d.MACRoom:]; strings.Trim(string(zeros), "0\x00") != "" {
				t.Errorf("no room for a MAC: %q", zeros)
			}
			check(t, s, back, 0x1210, map[int]string{2: "6225880000000003", 4: "000000012345", 11: "000077", 12: "261121093015", 15: "261122", 24: "200", 32: "48023310",
				37: "325007000123", 38: "A00001", 39: "000", 41: "T0000001", 44: "01020000   48023310", 55: "\x91\x00", 60: "2200000100060", 63: "CUP"}, 9, 10, 13, 22, 25)
		})
	}
}

// check holds a message against what its fields must be; those of none must not
// be there.
func check(t *testing.T, s *iso8583.Spec, msg []byte, mti iso8583.MTI, want map[int]string, none ...int) {
	t.Helper()
	var v iso8583.View
	if err := s.Parse(&v, msg); err != nil {
		t.Fatal(err)
	}
	if v.MTI() != mti {
		t.Errorf("type %s, want %s", v.MTI(), mti)
	}
	for n, value := range want {
		if got := v.AppendText(nil, n); string(got) != value {
			t.Errorf("F%d: %q, want %q", n, got, value)
		}
	}
	for _, n := range none {
		if v.Has(n) {
			t.Errorf("F%d: %q, want none", n, v.AppendText(nil, n))
		}
	}
}

// A bank's codes approve what they approve and nothing else.
func TestActionCodesOfABank(t *testing.T) {
	k := bank93(t, iso8583.ASCII93())
	for _, c := range []struct {
		mti  iso8583.MTI
		wire string
		want string
	}{
		{0x1210, "000", "00"}, {0x1210, "007", "00"}, {0x1210, "001", ""}, {0x1210, "002", ""}, {0x1210, "006", ""}, {0x1210, "099", ""},
		{0x1210, "116", "51"}, {0x1210, "200", "04"}, {0x1210, "909", "96"}, {0x1210, "911", ""}, {0x1210, "923", ""}, {0x1210, "999", ""},
		{0x1210, "400", ""}, {0x1210, "600", ""}, {0x1210, "800", ""}, {0x1210, "900", ""}, {0x1210, "300", ""}, {0x1210, "500", ""},
		{0x1430, "400", "00"}, {0x1430, "000", "00"}, {0x1430, "914", "25"}, {0x1430, "800", ""}, {0x1430, "901", "00"}, {0x1230, "900", "00"},
		{0x1814, "800", "00"}, {0x1814, "400", ""}, {0x1814, "902", "12"},
	} {
		var v iso8583.View
		if _, err := k.Edition.Older(nil, made(t, k.Spec, c.mti, map[int]string{11: "000001", 39: c.wire}), &v); err != nil || string(v.Field(39)) != c.want {
			t.Errorf("%s in %s: %q %v, want %q", c.wire, c.mti, v.Field(39), err, c.want)
		}
	}
	if err := k.Edition.SetActions([]string{"911=91", "002=10", "000=05"}); err != nil {
		t.Fatal(err)
	}
	for wire, want := range map[string]string{"911": "91", "002": "10", "000": "05", "116": "51"} {
		var v iso8583.View
		if _, err := k.Edition.Older(nil, made(t, k.Spec, 0x1210, map[int]string{39: wire}), &v); err != nil || string(v.Field(39)) != want {
			t.Errorf("own %s: %q %v, want %q", wire, v.Field(39), err, want)
		}
	}
	for _, bad := range []string{"", "=", "12=05", "1a1=05", "0911=05", "911=5", "911=051", "911", "911 =91"} {
		if err := k.Edition.SetActions([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// Every refusal that a terminal can get has a code, and only 00 approves.
func TestActionCodesToATerminal(t *testing.T) {
	d := door93(t, iso8583.ASCII93())
	for _, c := range []struct {
		asked iso8583.MTI
		code  string
		want  string
	}{
		{0x1200, "00", "000"}, {0x1420, "00", "400"}, {0x1421, "00", "400"}, {0x1804, "00", "800"}, {0x1500, "00", "500"}, {0x1320, "00", "300"}, {0x1620, "00", "600"},
		{0x1220, "00", "000"}, {0x1200, "98", "911"}, {0x1200, "77", "917"}, {0x1200, "A0", "916"}, {0x1200, "ZZ", "100"}, {0x1420, "25", "914"}, {0x1500, "95", "501"},
		{0x1200, "30", "904"}, {0x1804, "97", "109"},
	} {
		var b iso8583.Builder
		b.Reset(d.Edition.Plain(), nil, 0x0210)
		b.PutUint(ownTrace, 5)
		b.PutUint(ownType, mtiDigits(uint16(c.asked)))
		b.PutUint(11, 1)
		b.Put(39, []byte(c.code))
		msg, err := b.End()
		// What a class is answered with depends on the class of what was asked.
		msg = []byte(strings.Replace(string(msg), "0210", fmt.Sprintf("0%d10", uint16(c.asked>>8&15)), 1))
		if err != nil {
			t.Fatal(err)
		}
		out, err := d.Edition.newer(nil, msg, arrival)
		if err != nil {
			t.Fatal(err)
		}
		check(t, d.Spec, out, c.asked&0xFFFE|0x10, map[int]string{11: "000005", 39: c.want})
	}
}

// What a terminal of 1993 asks by type and function is what 1987 asks by type.
func TestTypesOfATerminal(t *testing.T) {
	d := door93(t, iso8583.ASCII93())
	for _, c := range []struct {
		wire iso8583.MTI
		f24  string
		f60  string
		want iso8583.MTI
		kind txn.Kind
	}{
		{0x1200, "200", "22000001", 0x0200, txn.Sale}, {0x1201, "", "22000001", 0x0200, txn.Sale}, {0x1420, "400", "22000001", 0x0400, txn.Reversal},
		{0x1421, "400", "22000001", 0x0400, txn.Reversal}, {0x1400, "", "22000001", 0x0400, txn.Reversal}, {0x1420, "401", "22000001", partial, txn.Unknown},
		{0x1804, "801", "00000001003", 0x0800, txn.SignIn}, {0x1804, "", "00000001003", 0x0800, txn.SignIn}, {0x1804, "802", "00000001002", 0x0820, txn.SignOff},
		{0x1805, "831", "00000001301", 0x0820, txn.Echo}, {0x1100, "100", "10000001", 0x0100, txn.PreAuth}, {0x1202, "", "22000001", 0x0202, txn.Unknown},
		{0x1440, "400", "22000001", 0x0400, txn.Reversal},
	} {
		fields := map[int]string{2: "6225880000000003", 3: "000000", 4: "000000012345", 11: "000077", 41: "T0000001", 42: "898310048160001", 60: c.f60}
		if c.wire>>8&15 == 1 {
			fields[3] = "030000"
		}
		if c.f24 != "" {
			fields[24] = c.f24
		}
		if c.wire == 0x1440 { // a notification wants no answer
			continue
		}
		var v iso8583.View
		_, err := d.Edition.Older(nil, made(t, d.Spec, c.wire, fields), &v)
		var f txn.Facts
		var e Echo
		ReadRequest(&v, &f, &e)
		if err != nil || v.MTI() != c.want || f.Kind != c.kind {
			t.Errorf("%s %s %s: %s %v %v", c.wire, c.f24, c.f60, v.MTI(), f.Kind, err)
		}
	}
	var v iso8583.View
	if _, err := d.Edition.Older(nil, made(t, d.Spec, 0x0200, sale93), &v); err == nil || !strings.Contains(err.Error(), "begins with 1") {
		t.Errorf("a type of 1987: %v", err)
	}
}

// A reversal names its original in F56; the answer repeats its own trace number.
func TestReversalOfATerminal(t *testing.T) {
	d := door93(t, iso8583.Binary93())
	var v iso8583.View
	msg, err := d.Edition.Older(nil, made(t, d.Spec, 0x1420, map[int]string{2: "6225880000000003", 3: "000000", 4: "000000012345", 11: "000078", 12: "261121093040", 24: "400",
		25: "4021", 41: "T0000001", 42: "898310048160001", 56: "120000007726112109301008" + "48023310", 60: "2200000100060", 64: "A1B2C3D4"}), &v)
	if err != nil {
		t.Fatal(err)
	}
	var f txn.Facts
	var e Echo
	if code := ReadRequest(&v, &f, &e); code != zero || f.Kind != txn.Reversal || f.Trace != 77 || f.Of != txn.Sale {
		t.Fatalf("%v %+v", code, f)
	}
	e.Keep(&iso8583.Envelope{}, &v, msg)
	f.At, f.Code = arrival, txn.OK
	var c Clock
	back, err := d.AppendAnswer(nil, &f, &e, &Answer{}, &c)
	if err != nil {
		t.Fatal(err)
	}
	check(t, d.Spec, back, 0x1430, map[int]string{11: "000078", 24: "400", 39: "400"})
}

// The reversal advice to a bank, its repeat, and network messages.
func TestOwnMessagesOf1993(t *testing.T) {
	for _, s := range spec93(t) {
		k := bank93(t, s)
		if err := k.SetMAC(&MACRule{Of: []Class{Requests, Reversals, NetworkMessages}, Whole: true}); err != nil {
			t.Fatal(err)
		}
		_, f, _, _ := read(t, saleMessage(t))
		f.ID, f.At, f.Sent = 7_000_123, arrival, time.Date(2026, 1, 1, 0, 0, 5, 0, Zone).UnixNano()
		var c Clock
		for again, mti := range map[bool]iso8583.MTI{false: 0x1420, true: 0x1421} {
			out, err := k.AppendReversal(nil, &f, again, &c)
			if err != nil {
				t.Fatal(err)
			}
			check(t, s, out, mti, map[int]string{11: "000123", 12: "260101000005", 24: "400", 25: "4021", 56: "120000012326010100000508" + "48023310", 64: "\x00\x00\x00\x00\x00\x00\x00\x00"}, 90, 70, 128)
			var w iso8583.View
			if err := s.Parse(&w, out); err != nil {
				t.Fatal(err)
			}
			if in, _, ok := k.MACInput(nil, &w, Reversals); !ok || !bytes.Equal(in, w.Before(64)) {
				t.Error("the MAC is not over the message as it leaves")
			}
			k.PutBankMAC(out, &w, &[8]byte{1, 2, 3, 4, 5, 6, 7, 8})
			check(t, s, out, mti, map[int]string{64: "\x01\x02\x03\x04\x05\x06\x07\x08"})
		}
		for net, want := range map[uint16]string{NetSignOn: "801", NetSignOff: "802", NetKeyReset: "811", NetEcho: "831"} {
			out, err := k.AppendNetwork(nil, &Network{MTI: 0x0820, Net: net, STAN: 9, Security: PINKey}, arrival, &c)
			if err != nil {
				t.Fatal(err)
			}
			check(t, s, out, 0x1804, map[int]string{11: "000009", 24: want, 53: "\x16\x00\x00\x00\x00\x00\x00\x00"}, 70)
			out, err = k.AppendNetwork(nil, &Network{MTI: 0x0830, Net: net, STAN: 9, Code: txn.OK}, arrival, &c)
			if err != nil {
				t.Fatal(err)
			}
			check(t, s, out, 0x1814, map[int]string{24: want, 39: "800"})
		}
	}
	k := bank93(t, iso8583.ASCII93())
	if err := k.SetMAC(&MACRule{Of: []Class{Requests}}); err == nil || !strings.Contains(err.Error(), "data: message") {
		t.Errorf("text of fields: %v", err)
	}
	if err := k.Edition.SetPoint("51"); err == nil {
		t.Error("a point of service of two positions is taken")
	}
	if err := bank(t).SetMAC(&MACRule{Field: 64}); err == nil {
		t.Error("F64 in front of F90 is taken")
	}
}

// What a bank asks for itself.
func TestNetworkMessagesOfABank(t *testing.T) {
	k := bank93(t, iso8583.ASCII93())
	for _, c := range []struct {
		wire iso8583.MTI
		f24  string
		want iso8583.MTI
		net  uint16
	}{
		{0x1804, "831", 0x0820, NetEcho}, {0x1805, "802", 0x0820, NetSignOff}, {0x1804, "811", 0x0800, NetKeyReset}, {0x1804, "803", 0x0820, 803},
		{0x1814, "801", 0x0830, NetSignOn}, {0x1814, "", 0x0830, 0},
	} {
		fields := map[int]string{11: "000001"}
		if c.f24 != "" {
			fields[24] = c.f24
		}
		var v iso8583.View
		var m BankMessage
		if _, err := k.Edition.Older(nil, made(t, k.Spec, c.wire, fields), &v); err != nil {
			t.Fatal(err)
		}
		if ReadBank(&v, &m); m.MTI != c.want || m.Net != c.net {
			t.Errorf("%s %s: %+v", c.wire, c.f24, m)
		}
	}
}

// A date without a year is of the year that it is nearest to.
func TestYearOfADate(t *testing.T) {
	at := func(y int, m time.Month, d int) int64 { return time.Date(y, m, d, 12, 0, 0, 0, Zone).UnixNano() }
	for _, c := range []struct {
		date uint64
		ref  int64
		want uint64
	}{{1231, at(2027, 1, 2), 26}, {101, at(2026, 12, 31), 27}, {1121, at(2026, 11, 21), 26}, {229, at(2028, 3, 1), 28}, {701, at(2026, 1, 1), 26}} {
		if got := yearOf(c.date, c.ref); got != c.want {
			t.Errorf("%04d at %v: %d, want %d", c.date, time.Unix(0, c.ref), got, c.want)
		}
	}
}

// What does not read leaves nothing of an earlier message behind: the refusal
// would go to another terminal's name.
func TestNothingStaysOfAnEarlierMessage(t *testing.T) {
	d := door93(t, iso8583.ASCII93())
	var v, wire iso8583.View
	if _, err := d.Edition.Older(nil, made(t, d.Spec, 0x1200, sale93), &v); err != nil || !v.Has(41) {
		t.Fatal(err)
	}
	long := maps.Clone(sale93)
	long[54] = strings.Repeat("1", 120)
	long[53] = strings.Repeat("x", 48) // no security of 1987 has so many
	if _, err := d.Edition.Older(nil, made(t, d.Spec, 0x1200, long), &v); err == nil || v.Has(41) {
		t.Errorf("F53 of 48 bytes: %v, F41 %q", err, v.Field(41))
	}
	msg := made(t, d.Spec, 0x1200, sale93).Bytes()
	for n := range msg {
		if d.Spec.Parse(&wire, msg[:n]) == nil {
			t.Fatalf("%d bytes read", n)
		}
		_, _ = d.Edition.Older(nil, &wire, &v) // no panic, and only what was read
		if v.Has(60) && !wire.Has(60) || v.Has(41) && !wire.Has(41) {
			t.Fatalf("%d bytes: F41 %v", n, v.Has(41))
		}
	}
}

// Turning messages round takes no memory once its buffers have grown.
func TestEditionAllocatesNothing(t *testing.T) {
	s := iso8583.Binary93()
	d, k := door93(t, s), bank93(t, s)
	wire := made(t, s, 0x1200, sale93)
	var v iso8583.View
	var f txn.Facts
	var e Echo
	var c Clock
	kept, out := make([]byte, 0, 1024), make([]byte, 0, 1024)
	f.ID, f.At, f.Sent = 7_000_123, arrival, arrival
	block := []byte("PINBLOCK")
	if n := testing.AllocsPerRun(20, func() {
		msg, err := d.Edition.Older(kept, wire, &v)
		if err != nil || ReadRequest(&v, &f, &e) != zero {
			t.Fatal(err)
		}
		e.Keep(&iso8583.Envelope{}, &v, msg)
		if _, err := k.AppendRequest(out, &v, &f, nil, &e, block, &c); err != nil {
			t.Fatal(err)
		}
		f.Code = txn.OK
		if _, err := d.AppendAnswer(out, &f, &e, &Answer{Sealed: true}, &c); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever is broken in a message of 1993, nothing panics, and what reads keeps its
// terminal: a request never gets another one's name.
func TestBrokenMessagesOf1993(t *testing.T) {
	r := rand.New(rand.NewPCG(1993, 8583))
	for _, s := range spec93(t) {
		d, k := door93(t, s), bank93(t, s)
		good := made(t, s, 0x1200, sale93).Bytes()
		var wire, v iso8583.View
		var c Clock
		read := 0
		for range 20_000 {
			msg := bytes.Clone(good)
			for range 1 + r.IntN(3) {
				msg[r.IntN(len(msg))] ^= byte(1 << r.IntN(8))
			}
			bad := s.Parse(&wire, msg) != nil
			older, err := d.Edition.Older(nil, &wire, &v)
			var f txn.Facts
			var e Echo
			code := ReadRequest(&v, &f, &e)
			if bad || err != nil || code != zero || f.Kind == txn.Unknown {
				continue
			}
			read++
			if !bytes.Equal(wire.AppendText(nil, 41), f.Terminal.Number[:]) || !bytes.Equal(wire.AppendText(nil, 42), f.Terminal.Merchant[:]) {
				t.Fatalf("%X: terminal %q", msg, f.Terminal.Number)
			}
			if x, _ := wire.Uint(4); int64(x) != f.Amount {
				t.Fatalf("%X: amount %d became %d", msg, x, f.Amount)
			}
			e.Keep(&iso8583.Envelope{}, &v, older)
			f.ID, f.At, f.Sent = 7_000_123, arrival, arrival
			out, err := k.AppendRequest(nil, &v, &f, nil, &e, nil, &c)
			if err == nil && s.Parse(&wire, out) != nil {
				t.Fatalf("%X: the bank gets what does not read: %X", msg, out)
			}
			if out, err = d.AppendAnswer(nil, &f, &e, &Answer{}, &c); err == nil && s.Parse(&wire, out) != nil {
				t.Fatalf("%X: the terminal gets what does not read: %X", msg, out)
			}
		}
		if read == 0 {
			t.Errorf("%s: nothing read, so nothing was tested", s.Name())
		}
	}
}
