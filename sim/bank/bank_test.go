package bank

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tongka/sim/book"
)

func TestNetworkManagement(t *testing.T) {
	b, l := start(t, Config{})
	on := l.ask(0x0820, fields{7: "1121220000", 11: "000001", 33: "48023310", 70: "001", 100: "49000000"}, "00")
	if string(on.Field(70)) != "001" || string(on.Field(100)) != "49000000" || on.Has(38) {
		t.Errorf("sign-on answer has F70 %s F100 %s F38 %s", on.Field(70), on.Field(100), on.Field(38))
	}
	l.ask(0x0820, fields{7: "1121220000", 11: "000002", 70: "301"}, "00")
	if s := b.Stats(); s.SignOns != 1 || s.Echoes != 1 || s.Connections != 1 {
		t.Errorf("%+v", s)
	}
}

func TestSaleAndReversal(t *testing.T) {
	b, l := start(t, Config{Name: "a"})
	v := l.ask(0x0200, sale(1), "00")
	for n, want := range map[int]string{2: testPAN, 4: "000000000101", 7: "1121220000", 37: "000000000001", 41: "10000001", 42: "898310054110000", 49: "156"} {
		if got := string(v.Field(n)); got != want {
			t.Errorf("F%d is %q, want %q", n, got, want)
		}
	}
	for _, n := range []int{15, 38, 44} {
		if !v.Has(n) {
			t.Errorf("an approval has no F%d", n)
		}
	}
	want := []book.Booking{{
		Bank: "a", Merchant: "898310054110000", Terminal: "10000001", Amount: 101, RRN: "000000000001", STAN: 1,
		Sent: 1121220000, PAN: "622588******0001", State: book.Booked, Code: "00",
	}}
	if d := cmp.Diff(want, b.Bookings()); d != "" {
		t.Errorf("booking (-want +got):\n%s", d)
	}
	r := l.ask(0x0420, undo(1), "00")
	if r.Has(38) || string(r.Field(90)) != undo(1)[90] {
		t.Errorf("reversal answer has F38 %s F90 %s", r.Field(38), r.Field(90))
	}
	l.ask(0x0421, undo(1), "00") // any number of times, one effect
	want[0].State = book.Reversed
	if d := cmp.Diff(want, b.Bookings()); d != "" {
		t.Errorf("reversed (-want +got):\n%s", d)
	}
	if s := b.Stats(); s.Sales != 1 || s.Booked != 0 || s.Reversed != 1 || s.Reversals != 2 || s.ReversalRepeats != 1 {
		t.Errorf("%+v", s)
	}
}

func TestSameSaleAgain(t *testing.T) {
	b, l := start(t, Config{})
	l.ask(0x0200, sale(1), "00")
	l.ask(0x0200, sale(1), "94")
	l.ask(0x0200, sale(1).with(fields{11: "000002", 37: "000000000002"}), "00") // the same goods under a new trace: booked, for Compare to find
	if s := b.Stats(); s.Booked != 2 || s.Repeated != 1 {
		t.Errorf("%+v", s)
	}
}

// A reversal that overtakes its sale is answered 25 and remembered.
func TestReversalBeforeItsSale(t *testing.T) {
	b, l := start(t, Config{})
	l.ask(0x0420, undo(1), "25")
	l.ask(0x0421, undo(1), "25")
	l.ask(0x0200, sale(1), "22")
	if s := b.Stats(); s.Booked != 0 || s.Refused != 1 || s.ReversalUnknown != 1 || s.ReversalRepeats != 1 {
		t.Errorf("%+v", s)
	}
	if got := states(b)[101]; got != book.Refused {
		t.Errorf("state %s", got)
	}
}

func TestReversalWithoutF90(t *testing.T) {
	b, l := start(t, Config{})
	l.ask(0x0200, sale(1), "00")
	l.ask(0x0420, sale(1).with(fields{14: ""}), "00") // F7, F11 and F37 of the sale itself
	if got := states(b)[101]; got != book.Reversed {
		t.Errorf("state %s", got)
	}
}

func TestReversalOfSomethingElse(t *testing.T) {
	b, l := start(t, Config{})
	l.ask(0x0200, sale(1), "00")
	for _, wrong := range []fields{{4: "000000000999"}, {41: "10000002"}, {42: "898310054110001"}} {
		l.ask(0x0420, undo(1).with(wrong), "64")
	}
	l.ask(0x0420, undo(1).with(fields{37: "000000000009"}), "25")
	if got := b.Bookings()[0].State; got != book.Booked || b.Stats().ReversalWrong != 3 {
		t.Errorf("state %s, %+v", got, b.Stats())
	}
}

func TestWhatABankCannotDo(t *testing.T) {
	_, l := start(t, Config{})
	l.ask(0x0300, sale(1), "40")
	l.ask(0x0200, sale(1).with(fields{37: ""}), "30")
	l.ask(0x0200, sale(1).with(fields{2: ""}), "30")
	l.ask(0x0420, undo(1).with(fields{4: ""}), "30")
	l.send(frame(t, 0x0210, sale(1).with(fields{39: "00"}))) // an answer gets none
	l.quiet()
}

func TestCardFromTrack(t *testing.T) {
	b, l := start(t, Config{})
	l.ask(0x0200, sale(1).with(fields{2: "", 35: testPAN + "D30122010000000000"}), "00")
	l.ask(0x0200, sale(2).with(fields{2: "", 35: testPAN + "=30122010000000000"}), "00")
	for _, k := range b.Bookings() {
		if k.PAN != "622588******0001" {
			t.Errorf("card %s", k.PAN)
		}
	}
}

func TestPINBlocks(t *testing.T) {
	zpk, other := key(t, "0123456789ABCDEFFEDCBA9876543210"), key(t, "8F1FC8FE8A6D9B315D1A2B3C4D5E6F70")
	b, l := start(t, Config{ZPK: zpk})
	tail := testPAN[3:15]
	pin := func(n int, block, f53 string) fields {
		return sale(n).with(fields{22: "021", 26: "12", 52: block, 53: f53})
	}
	l.ask(0x0200, pin(1, pinBlock(t, zpk, tail), "2600000000000000"), "00")
	l.ask(0x0200, pin(2, pinBlock(t, zpk, "000000000000"), "1600000000000000"), "00")
	if s := b.Stats(); s.PINs != 2 || s.PINFaults != 0 {
		t.Errorf("good blocks: %+v", s)
	}
	l.ask(0x0200, pin(3, pinBlock(t, other, tail), "2600000000000000"), "00")         // another zone's key
	l.ask(0x0200, pin(4, pinBlock(t, zpk, "999999999999"), "2600000000000000"), "00") // another card's block
	if s := b.Stats(); s.PINs != 4 || s.PINFaults != 2 {
		t.Errorf("bad blocks: %+v", s)
	}
}

func TestMalformed(t *testing.T) {
	b, l := start(t, Config{})
	good := frame(t, 0x0200, sale(1))
	bad := append([]byte(nil), good...)
	at := strings.Index(string(bad), "000000000101")
	copy(bad[at:], "00000000010X")
	l.send(bad)
	raw := l.raw()
	if code := string(raw[41:46]); code != rejectFormat {
		t.Errorf("reject code %s", code)
	}
	if dest, source := string(raw[6:17]), string(raw[17:28]); dest != "48023310   " || source != "00010000   " {
		t.Errorf("goes to %q from %q", dest, source)
	}
	if string(raw[46:]) != string(bad[50:]) {
		t.Error("the message does not come back as it was")
	}
	reject := append([]byte("0000"), raw...)
	l.send(sized(reject), []byte("0000")) // a reject is not rejected, a keep-alive says nothing
	l.quiet()
	if s := b.Stats(); s.Rejected != 2 || s.Sales != 0 {
		t.Errorf("%+v", s)
	}
	for _, junk := range []string{"GET / HTTP/1.1\r\n", "0003abc"} {
		c := dial(t, b)
		c.send([]byte(junk))
		c.gone()
	}
}

// Frames that come in pieces, and many in one piece.
func TestFramesInPieces(t *testing.T) {
	_, l := start(t, Config{})
	one := frame(t, 0x0200, sale(1))
	for i := range one {
		l.send(one[i : i+1])
	}
	l.expect(0x0210, "000001", "00")
	var all []byte
	for n := 2; n < 300; n++ {
		all = append(all, frame(t, 0x0200, sale(n))...)
	}
	l.send(all)
	for n := 2; n < 300; n++ {
		l.expect(0x0210, fmt.Sprintf("%06d", n), "00")
	}
}

func TestLedgerIsBounded(t *testing.T) {
	b, l := start(t, Config{Limit: 1})
	l.ask(0x0200, sale(1), "00")
	l.ask(0x0200, sale(2), "96")
	l.ask(0x0420, undo(2), "96")
	l.ask(0x0420, undo(1), "00")
	if n := len(b.Bookings()); n != 1 {
		t.Errorf("%d bookings", n)
	}
}

// What a bank answered is in its book, whatever happens to the process: the file
// is read while the bank still runs, and a new bank goes on with it.
func TestBooksSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bank.jsonl")
	b, l := start(t, Config{Books: path})
	l.ask(0x0200, sale(1), "00")
	l.ask(0x0200, sale(2), "00")
	l.ask(0x0420, undo(2), "00")
	l.ask(0x0420, undo(3), "25")
	disk, err := book.ReadBookings(path)
	if d := cmp.Diff(b.Bookings(), disk); d != "" || err != nil {
		t.Errorf("%v (-memory +disk):\n%s", err, d)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again, l := start(t, Config{Books: path})
	if s := again.Stats(); s.Booked != 1 || s.Reversed != 1 || s.Sales != 0 {
		t.Errorf("%+v", s)
	}
	l.ask(0x0200, sale(1), "94")
	l.ask(0x0200, sale(3), "22")
	l.ask(0x0420, undo(1), "00")
	want := map[int64]book.State{101: book.Reversed, 102: book.Reversed, 103: book.Refused}
	if d := cmp.Diff(want, states(again)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A bank whose book cannot be written answers nothing.
func TestBrokenBook(t *testing.T) {
	b, l := start(t, Config{Books: filepath.Join(t.TempDir(), "bank.jsonl")})
	if err := b.ledger.book.Close(); err != nil {
		t.Fatal(err)
	}
	l.send(frame(t, 0x0200, sale(1)))
	l.gone()
}

func TestBankDials(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	b, err := New(Config{Connect: ln.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Addr() != "" {
		t.Errorf("listens at %s", b.Addr())
	}
	for range 2 { // it comes back when the line drops
		ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		(&line{t, c}).quiet()
		c.Close()
	}
}

func TestConfigFaults(t *testing.T) {
	for want, cfg := range map[string]Config{
		"exactly one":   {},
		"limit":         {Listen: "x", Limit: -1},
		"ZPK":           {Listen: "x", ZPK: make([]byte, 5)},
		"decline rate":  {Listen: "x", Behaviour: Behaviour{DeclineRate: 1.5}},
		"book":          {Listen: "x", Books: "/dev/null/below"},
		"delay":         {Listen: "x", Behaviour: Behaviour{Delay: -1}},
		"close every":   {Listen: "x", Behaviour: Behaviour{CloseEvery: -1}},
		"00 is an appr": {Listen: "x", Behaviour: Behaviour{Decline: [2]byte{'0', '0'}}},
	} {
		if b, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, %v, want an error with %q", cfg, b, err, want)
		}
	}
	b, err := New(Config{Listen: "256.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err == nil {
		t.Error("listens nowhere")
	}
	var op *net.OpError
	if err := b.Close(); errors.As(err, &op) {
		t.Error(err)
	}
}

// Two lines to one bank: a sale on one, its reversal on the other, many at once.
func TestTwoLines(t *testing.T) {
	b, first := start(t, Config{})
	second := dial(t, b)
	var sales, undos []byte
	const n = 200
	for i := 1; i <= n; i++ {
		sales = append(sales, frame(t, 0x0200, sale(i))...)
		undos = append(undos, frame(t, 0x0420, undo(i))...)
	}
	first.send(sales)
	second.send(undos)
	refused := 0
	for range n {
		_, s := first.receive()
		_, r := second.receive()
		if string(s.Field(39)) == "22" {
			refused++
		}
		if code := string(r.Field(39)); code != "00" && code != "25" {
			t.Errorf("reversal answered %s", code)
		}
	}
	// Whichever came first, each sale is taken back or was never taken.
	if s := b.Stats(); s.Booked != 0 || s.Reversed+int64(refused) != n || s.Connections != 2 {
		t.Errorf("refused %d, %+v", refused, s)
	}
}
