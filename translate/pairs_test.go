package translate

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	moov "github.com/moov-io/iso8583"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// rural is a declared terminal dialect: EBCDIC, but for what is bytes.
func rural(t testing.TB) *iso8583.Spec {
	t.Helper()
	d := *iso8583.EBCDIC().Declaration()
	d.Name, d.Fields = "rural", maps.Clone(d.Fields)
	for _, n := range []int{55, 62} {
		d.Fields[n] = iso8583.Pos().Declaration().Fields[55]
	}
	s, err := iso8583.Compile(&d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// oracle reads a message with moov.
func oracle(t *testing.T, s *iso8583.Spec, msg []byte) *moov.Message {
	t.Helper()
	spec, err := s.Declaration().Moov()
	if err != nil {
		t.Fatal(err)
	}
	m := moov.NewMessage(spec)
	if err := m.Unpack(msg); err != nil {
		t.Fatalf("%s: moov cannot read %X: %v", s.Name(), msg, err)
	}
	return m
}

func saleIn(t *testing.T, s *iso8583.Spec) []byte {
	t.Helper()
	var v iso8583.View
	if err := iso8583.Pos().Parse(&v, saleMessage(t)); err != nil {
		t.Fatal(err)
	}
	b := s.Begin(nil, v.MTI())
	for n := 2; n <= 64; n++ {
		if v.Has(n) {
			b.Put(n, v.AppendText(nil, n))
		}
	}
	msg, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// A sale goes through every pair of a terminal's and a bank's dialect, and its
// answer back; moov makes and reads both sides.
func TestSaleThroughEveryPairOfDialects(t *testing.T) {
	for _, door := range []*iso8583.Spec{iso8583.Pos(), iso8583.BCD(), iso8583.ASCII(), iso8583.ASCIIHexMap(), iso8583.ASCIIRaw(), iso8583.Binary87(), rural(t)} {
		for _, bank := range []*iso8583.Spec{iso8583.Cups(), iso8583.ASCII(), iso8583.ASCIIHexMap(), iso8583.ASCIIRaw()} {
			t.Run(door.Name()+" to "+bank.Name(), func(t *testing.T) { pair(t, door, bank) })
		}
	}
}

func pair(t *testing.T, doorSpec, bankSpec *iso8583.Spec) {
	d, err := NewDoor(doorSpec, "48023310")
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewBank(bankSpec, "00010000", "48023310", "48023310", "48020000")
	if err != nil {
		t.Fatal(err)
	}
	msg := saleIn(t, doorSpec)
	var v, answered iso8583.View
	var f txn.Facts
	var e Echo
	if err := doorSpec.Parse(&v, msg); err != nil {
		t.Fatal(err)
	}
	if code := ReadRequest(&v, &f, &e); code != zero || f.Kind != txn.Sale || f.Batch != 1 || f.Trace != 77 || string(f.Terminal.Number[:]) != "T0000001" {
		t.Fatalf("%v %+v", code, f)
	}
	if mac := MAC(&v); string(mac[:]) != "A1B2C3D4" {
		t.Errorf("MAC %q", mac)
	}
	block, _, ok := PIN(&v, &f)
	if !ok || block != (PINBlock{[16]byte{1, 2, 3, 4, 5, 6, 7, 8}, 8}) {
		t.Errorf("PIN %+v", block)
	}
	e.Keep(&iso8583.Envelope{}, &v, bytes.Clone(msg))
	f.ID, f.At, f.Sent = 7_000_123, arrival, arrival
	var c Clock
	out, err := k.AppendRequest(nil, &v, &f, nil, &e, []byte("PINBLOCK"), &c)
	if err != nil {
		t.Fatal(err)
	}
	var env iso8583.Envelope
	body, err := bankSpec.Split(out, &env)
	if err != nil {
		t.Fatal(err)
	}
	his, sale := oracle(t, bankSpec, body), oracle(t, doorSpec, msg)
	for _, n := range []int{2, 3, 4, 14, 22, 23, 25, 26, 41, 42, 49, 53, 55} {
		a, errA := sale.GetBytes(n)
		b, errB := his.GetBytes(n)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("F%d: %q %v became %q %v", n, a, errA, b, errB)
		}
	}
	for n, want := range map[int]string{11: "000123", 7: "1121093015", 37: "325007000123", 52: "PINBLOCK", 60: "000006000300000000000000000000"} {
		if b, err := his.GetBytes(n); err != nil || string(b) != want {
			t.Errorf("F%d: %q %v, want %q", n, b, err, want)
		}
	}
	for n, value := range map[int]string{39: "00", 38: "A00001", 44: "01020000   48023310", 55: "\x91\x02\xAA\xBB"} {
		if err := his.BinaryField(n, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	his.MTI("0210")
	reply, err := his.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if err := bankSpec.Parse(&answered, reply); err != nil {
		t.Fatal(err)
	}
	var m BankMessage
	if ReadBank(&answered, &m); m.STAN != 123 || m.Code != txn.OK || string(m.Auth[:]) != "A00001" || m.RRN != 325007000123 {
		t.Errorf("%+v", m)
	}
	f.Code, f.Auth = m.Code, m.Auth
	back, err := d.AppendAnswer(nil, &f, &e, &Answer{Bank: &answered, Sealed: true}, &c)
	if err != nil {
		t.Fatal(err)
	}
	PutMAC(back[len(back)-d.MACRoom:], &[8]byte{0xAB, 1, 2, 3, 4, 5, 6, 7})
	got := oracle(t, doorSpec, back)
	for n, want := range map[int]string{2: "6225880000000003", 4: "000000012345", 11: "000077", 12: "093015", 32: "48023310", 37: "325007000123", 38: "A00001",
		39: "00", 41: "T0000001", 44: "01020000   48023310", 49: "156", 55: "\x91\x02\xAA\xBB", 60: "2200000100060", 63: "CUP", 64: "\xAB\x01\x02\x03\x04\x05\x06\x07"} {
		if b, err := got.GetBytes(n); err != nil || string(b) != want {
			t.Errorf("answer F%d: %q %v, want %q", n, b, err, want)
		}
	}
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(20, func() {
		if doorSpec.Parse(&v, msg) != nil || ReadRequest(&v, &f, &e) != zero {
			t.Fatal("not read")
		}
		if _, err := k.AppendRequest(buf, &v, &f, nil, &e, block.B[:block.N], &c); err != nil {
			t.Fatal(err)
		}
		if _, err := d.AppendAnswer(buf, &f, &e, &Answer{Bank: &answered, Sealed: true}, &c); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A dialect that lacks what is needed is refused, and every field named.
func TestDialectsThatLackSomething(t *testing.T) {
	for _, c := range []struct {
		make func() error
		want []string
	}{
		{func() error { _, err := NewDoor(poor93(t), "1"); return err }, []string{"F22: wanted text/number 12, here –", "F61: wanted text ..29"}},
		{func() error { _, err := NewDoor(iso8583.Cups(), "1"); return err }, []string{"F64: wanted binary 8, here –"}},
		{func() error { _, err := NewDoor(iso8583.EBCDIC(), "1"); return err }, []string{"F55: wanted text/binary ..255, here text ebcdic ..999", "F62"}},
		{func() error { _, err := NewBank(iso8583.Pos(), "", "", "1", "1"); return err }, []string{"F60: wanted text ..30, here number bcd ..99", "F70", "F90"}},
		{func() error { _, err := NewBank(poor93(t), "", "", "1", "1"); return err }, []string{"F22: wanted text/number 12, here –"}},
	} {
		err := c.make()
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not name %s", err, want)
			}
		}
	}
}

// What is no digit in a text F60 is no batch of anybody.
func TestBatchOfATextThatIsNoNumber(t *testing.T) {
	if n := number([]byte("2200:001"), 2, 8); n != 0 {
		t.Errorf("%d", n)
	}
}
