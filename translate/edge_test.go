package translate

import (
	"bytes"
	"strings"
	"testing"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// request builds a terminal's sale of these fields.
func request(t *testing.T, fields map[int]string) []byte {
	t.Helper()
	b := iso8583.Pos().Begin(nil, 0x0200)
	for n := 2; n <= 64; n++ {
		if text, ok := fields[n]; ok {
			b.Put(n, []byte(text))
		}
	}
	out, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What a terminal leaves out goes to the bank as the facts have it: the card from
// the track, zeros, the default currency.
func TestWhatATerminalLeavesOutComesFromTheFacts(t *testing.T) {
	v, f, e, code := read(t, request(t, map[int]string{
		3: "000000", 4: "000000000100", 11: "000077", 35: "6225880000000003D30122010000000000000", 41: "T0000001", 42: "8983100A8160001",
		60: "22000001", 52: "PINBLOCK", 53: "2600000000000000", 55: "\x9F\x36\x02\x00\x1A",
	}))
	if code != zero {
		t.Fatalf("code %v", code)
	}
	f.ID, f.At, f.Sent = 7_000_123, arrival, arrival
	var c Clock
	out, err := bank(t).AppendRequest(nil, &v, &f, nil, &e, nil, &c)
	if err != nil {
		t.Fatal(err)
	}
	got := parseBank(t, out)
	for n, want := range map[int]string{
		2: "6225880000000003", 3: "000000", 4: "000000000100", 14: "", 18: "0000", 22: "000", 23: "", 25: "00", 26: "",
		41: "T0000001", 42: "8983100A8160001", 49: "156", 52: "", 53: "", 55: "\x9F\x36\x02\x00\x1A", 60: asked,
	} {
		if text := string(got.AppendText(nil, n)); text != want || got.Has(n) != (want != "") {
			t.Errorf("F%d: %q, want %q", n, text, want)
		}
	}
}

// A payment by code has no card; its code goes behind a whole F60.
func TestPaymentByCode(t *testing.T) {
	v, f, e, code := read(t, request(t, map[int]string{
		3: "000000", 4: "000000000100", 11: "000077", 22: "031", 25: "00", 41: "T0000001", 42: "898310048160001", 49: "156",
		60: "2600000100067", 62: "customer's code",
	}))
	if code != zero {
		t.Fatalf("code %v", code)
	}
	f.ID, f.At, f.Sent = 7_000_123, arrival, arrival
	var c Clock
	out, err := bank(t).AppendRequest([]byte("in front"), &v, &f, nil, &e, nil, &c)
	if err != nil {
		t.Fatal(err)
	}
	got := parseBank(t, out[len("in front"):])
	if f60 := string(got.Field(60)); f60 != "000006700300000000000000000000" {
		t.Errorf("F60 %s", f60)
	}
	if string(got.Field(62)) != "customer's code" || got.Has(2) || got.Has(35) || got.Has(55) {
		t.Error("fields of a payment by code")
	}
}

func TestCardNumbers(t *testing.T) {
	for _, c := range []struct {
		f2, f35 string
		want    string // masked
		code    txn.Code
	}{
		{"6225880000000003", "", "622588******0003", zero},
		{"6222020000000000005", "", "622202*********0005", zero},
		{"622202000000", "", "622202**0000", zero},
		{"62220200000", "", "", txn.BadCard},
		{"", "6222020000000000005D3012", "622202*********0005", zero},
		{"", "62220200000D3012", "", txn.BadCard},
		{"", "", "", zero},
	} {
		fields := map[int]string{3: "000000", 4: "000000000100", 11: "000077", 41: "T0000001", 42: "898310048160001", 60: "22000001"}
		if c.f2 != "" {
			fields[2] = c.f2
		}
		if c.f35 != "" {
			fields[35] = c.f35
		}
		msg := request(t, fields)
		if len(c.f2)&1 == 1 {
			msg[10+len(c.f2)/2+1] |= 0x0F // a pad nibble F
		}
		_, f, _, code := read(t, msg)
		if got := f.PAN.String(); got != c.want || code != c.code {
			t.Errorf("F2 %s, F35 %s: %s, code %s, want %s, %s", c.f2, c.f35, got, code, c.want, c.code)
		}
	}
}

// Of a request that is broken behind F41, its answer repeats what could be read.
func TestAnswerToABrokenRequest(t *testing.T) {
	msg := saleMessage(t)
	var v iso8583.View
	var f txn.Facts
	var e Echo
	if iso8583.Pos().Parse(&v, msg[:len(msg)-20]) == nil {
		t.Fatal("accepted")
	}
	e.Keep(&iso8583.Envelope{}, &v, bytes.Clone(msg))
	ReadRequest(&v, &f, &e)
	f.Code, f.At = txn.BadFormat, arrival
	var c Clock
	out, err := door(t).AppendAnswer(nil, &f, &e, &Answer{}, &c)
	if err != nil {
		t.Fatal(err)
	}
	got := new(iso8583.View)
	if err := iso8583.Pos().Parse(got, out); err != nil {
		t.Fatal(err)
	}
	if string(got.Field(41)) != "T0000001" || string(got.Field(39)) != "30" || got.Has(60) {
		t.Errorf("%X", out)
	}
}

func TestBanksAndDoorsThatADialectCannotServe(t *testing.T) {
	if _, err := NewBank(iso8583.Cups(), "1", "2", "123456789012", "2"); err == nil || !strings.Contains(err.Error(), "F32") {
		t.Errorf("an acquirer of twelve digits: %v", err)
	}
	if _, err := NewBank(iso8583.Pos(), "1", "2", "3", "4"); err == nil || !strings.Contains(err.Error(), "F60") {
		t.Errorf("F60 packed: %v", err)
	}
	if _, err := NewDoor(iso8583.Pos(), "A"); err == nil || !strings.Contains(err.Error(), "F32") {
		t.Errorf("an acquirer that is no number: %v", err)
	}
}

// Stamps of a second before and after midnight and of the first day of a year.
func TestClock(t *testing.T) {
	var c Clock
	s := *c.At(arrival + 3)
	if s.date != 1121 || s.time != 93015 || s.F7() != 1121093015 || s.day != 325 {
		t.Errorf("%+v", s)
	}
	const day = 24 * 3600 * second
	newYear := arrival + 41*day - 9*3600*second - 30*60*second - 15*second
	if s := c.At(newYear); s.F7() != 101000000 || s.day != 1 {
		t.Errorf("%+v", s)
	}
	if s := c.At(newYear - 1); s.F7() != 1231235959 || s.day != 365 {
		t.Errorf("%+v", s)
	}
}
