package fleet

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/sim/book"
)

// lone is a terminal without a switch, with keys.
func lone(t *testing.T) *terminal {
	t.Helper()
	fl, err := New(Config{Addr: "127.0.0.1:1", Terminals: terminals(1)})
	if err != nil {
		t.Fatal(err)
	}
	term := fl.terminals[0]
	term.batch = 7
	if term.pik, err = keyOf(pik, false); err != nil {
		t.Fatal(err)
	}
	if term.mak, err = keyOf(mak, false); err != nil {
		t.Fatal(err)
	}
	return term
}

// parsed checks length, TPDU and header of a frame and reads the message.
func parsed(t *testing.T, frame []byte) *iso8583.View {
	t.Helper()
	if n := int(frame[0])<<8 | int(frame[1]); n != len(frame)-2 {
		t.Fatalf("length %d of %d bytes", n, len(frame)-2)
	}
	var env iso8583.Envelope
	msg, err := iso8583.Pos().Split(frame[2:], &env)
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(env.TPDU) != "6000030000" || hex.EncodeToString(env.Header) != "602200000000" {
		t.Errorf("TPDU %X, header %X", env.TPDU, env.Header)
	}
	v := new(iso8583.View)
	if err := iso8583.Pos().Parse(v, msg); err != nil {
		t.Fatal(err)
	}
	return v
}

// check compares fields; "" says that a field must be absent.
func check(t *testing.T, v *iso8583.View, want map[int]string) {
	t.Helper()
	for n, text := range want {
		if got := string(v.AppendText(nil, n)); got != text || v.Has(n) != (text != "") {
			t.Errorf("%v F%d is %q, want %q", v.MTI(), n, got, text)
		}
	}
}

func TestMessages(t *testing.T) {
	term := lone(t)
	in, err := term.appendSignIn(nil, 42)
	if err != nil {
		t.Fatal(err)
	}
	check(t, parsed(t, in), map[int]string{11: "000042", 41: "10000000", 42: "898310054110000", 60: "00000007003", 63: "01 ", 64: ""})

	s := book.Sale{Amount: 142, Trace: 42, Batch: 6, Reason: "A0"}
	sale, err := term.appendRequest(nil, &s, nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, parsed(t, sale), map[int]string{
		2: "6225880000000001", 3: "000000", 4: "000000000142", 11: "000042", 14: expiry, 22: "022", 25: "00", 26: "",
		35: "6225880000000001D" + expiry + "2010000000000", 39: "", 41: "10000000", 42: "898310054110000", 49: "156",
		52: "", 53: "0600000000000000", 60: "2200000600050",
	})
	s.PIN = true
	if sale, err = term.appendRequest(sale, &s, nil); err != nil { // into the buffer of the last one
		t.Fatal(err)
	}
	v := parsed(t, sale)
	check(t, v, map[int]string{22: "021", 26: "12", 53: "2600000000000000"})
	if len(v.Field(52)) != 8 {
		t.Errorf("F52 %X", v.Field(52))
	}
	undo, err := term.appendReversal(nil, &s)
	if err != nil {
		t.Fatal(err)
	}
	check(t, parsed(t, undo), map[int]string{
		2: "6225880000000001", 3: "000000", 4: "000000000142", 11: "000042", 14: expiry, 22: "021", 25: "00", 35: "", 39: "A0",
		52: "", 60: "2200000600050",
	})
	for _, frame := range [][]byte{sale, undo} {
		v := parsed(t, frame)
		if want := term.mak.MAC(hsm.UnionPay, v.Before(64)); !bytes.Equal(v.Field(64), want[:]) {
			t.Errorf("%v F64 %s, want %s", v.MTI(), v.Field(64), want)
		}
	}
	s.Amount = 1_000_000_000_000 // one digit more than F4 has
	if _, err := term.appendRequest(nil, &s, nil); err == nil || !strings.Contains(err.Error(), "F4") {
		t.Errorf("an amount too long: %v", err)
	}
}

// reply parses an answer built by hand into the terminal's view.
func reply(t *testing.T, term *terminal, mti iso8583.MTI, put map[int]string) {
	t.Helper()
	m := iso8583.Pos().Begin(nil, mti)
	for n := range 65 {
		if v, ok := put[n]; ok {
			m.Put(n, []byte(v))
		}
	}
	out, err := m.End()
	if err == nil {
		err = iso8583.Pos().Parse(&term.view, out)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The published sign-in of code456.com (article 3026509): a single-length MAK in
// a double-length slot.
func TestPublishedKeys(t *testing.T) {
	unhex := func(s string) string {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	term := lone(t)
	var err error
	if term.tmk, err = keyOf([]byte(unhex("CA5D92598DCA48CE8A4C76361A9269E9")), false); err != nil {
		t.Fatal(err)
	}
	f62 := unhex("6701EAD6A9AD51E51AA406E2C27FCFA98D0A74B8" + "B651F9E9BACE9AE10000000000000000AB7153CA")
	reply(t, term, 0x0810, map[int]string{39: "00", 60: "00000042003", 62: f62})
	if err := term.takeKeys(); err != nil {
		t.Fatal(err)
	}
	pikKCV, makKCV := term.pik.(desKey).KCV(), term.mak.(desKey).KCV()
	if string(pikKCV[:4]) != unhex("8D0A74B8") || string(makKCV[:4]) != unhex("AB7153CA") || term.mak.(desKey).Len() != 8 || term.batch != 42 {
		t.Errorf("check values %X %X, MAK %d bytes, batch %d", pikKCV, makKCV, term.mak.(desKey).Len(), term.batch)
	}
	for want, put := range map[string]map[int]string{
		"F62 has 0 bytes":  {39: "00", 60: "00000042003"},
		"F62 has 24 bytes": {39: "00", 60: "00000042003", 62: f62[:24]},
		"PIK":              {39: "00", 60: "00000042003", 62: "x" + f62[1:]},
		"MAK":              {39: "00", 60: "00000042003", 62: f62[:39] + "x"},
		"no batch":         {39: "00", 60: "000000", 62: f62},
	} {
		reply(t, term, 0x0810, put)
		if err := term.takeKeys(); !errors.Is(err, errBadKeys) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

func TestVerify(t *testing.T) {
	s := book.Sale{Merchant: "898310054110000", Terminal: "10000000", Amount: 142}
	own := map[int]string{4: "000000000142", 39: "51", 41: "10000000", 42: "898310054110000"}
	for name, c := range map[string]struct {
		change map[int]string
		want   error
	}{
		"a refusal without MAC":        {nil, nil},
		"an approval without MAC":      {map[int]string{39: "00"}, errBadMAC},
		"a wrong MAC":                  {map[int]string{64: "00000000"}, errBadMAC},
		"another terminal's answer":    {map[int]string{41: "10000001"}, errNoAnswer},
		"another merchant's answer":    {map[int]string{42: "898310054110001"}, errNoAnswer},
		"an answer to another amount ": {map[int]string{4: "000000000143"}, errNoAnswer},
	} {
		term := lone(t)
		put := map[int]string{}
		for _, m := range []map[int]string{own, c.change} {
			for n, v := range m {
				put[n] = v
			}
		}
		reply(t, term, 0x0210, put)
		if err := term.verify(&s); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestReadFrames(t *testing.T) {
	term := lone(t)
	read := func(in string) (string, error) {
		term.in = bufio.NewReaderSize(strings.NewReader(in), posFrameLen)
		b, err := term.read()
		return string(b), err
	}
	if got, err := read("\x00\x03abcd"); got != "abc" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if got, err := read("\x00\x00"); got != "" || err != nil {
		t.Errorf("an empty frame: %q %v", got, err)
	}
	for _, cut := range []string{"", "\x00", "\x00\x03ab"} {
		if _, err := read(cut); !errors.Is(err, io.EOF) {
			t.Errorf("%q: %v", cut, err)
		}
	}
	if _, err := read("\xFF\xFFab"); err == nil || !strings.Contains(err.Error(), "65537 bytes") {
		t.Errorf("a frame too long: %v", err)
	}
}
