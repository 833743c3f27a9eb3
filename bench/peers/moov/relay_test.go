package moov

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"

	"tongka/bench/internal/sale"
	"tongka/bench/peers/internal/try"
)

func start(t *testing.T) (*Relay, netip.AddrPort) {
	t.Helper()
	b := try.Bank(t)
	r, at, err := Start(b.Centre())
	if err != nil {
		t.Fatal(err)
	}
	return r, at
}

// A sale is translated to the centre's dialect, approved there, and translated
// back under the trace number of the terminal that asked.
func TestSalesAreApproved(t *testing.T) {
	r, at := start(t)
	var all []try.Terminal
	for i := range 8 {
		all = append(all, try.Connect(t, at, i))
	}
	for trace := uint32(1); trace <= 5; trace++ {
		for i, p := range all {
			p.Send(t, p.Sale.Frame(trace+uint32(i)*1000))
		}
		for i, p := range all {
			got, code, err := sale.Answer(p.Answer(t))
			if want := trace + uint32(i)*1000; err != nil || got != want || string(code[:]) != "00" {
				t.Fatalf("trace %d, code %s, %v; want trace %d", got, code, err, want)
			}
		}
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

// Answers to one terminal may come in another order than its requests went.
func TestPipelined(t *testing.T) {
	r, at := start(t)
	p := try.Connect(t, at, 3)
	var stream []byte
	for trace := uint32(1); trace <= 32; trace++ {
		stream = append(stream, p.Sale.Frame(trace)...)
	}
	p.Send(t, stream)
	seen := map[uint32]bool{}
	for range 32 {
		trace, code, err := sale.Answer(p.Answer(t))
		if err != nil || string(code[:]) != "00" || seen[trace] {
			t.Fatalf("trace %d (seen %v), code %s, %v", trace, seen[trace], code, err)
		}
		seen[trace] = true
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

// What cannot be read ends its own connection and nobody else's.
func TestRubbish(t *testing.T) {
	r, at := start(t)
	good := try.Connect(t, at, 1)
	frame := try.Connect(t, at, 2).Sale.Frame(1)
	for name, b := range map[string][]byte{
		"too short for the header": {0, 3, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0},
		"half a message":           append([]byte{0, 80}, frame[2:82]...),
		"digits that are none":     append([]byte{0, 60}, bytes.Repeat([]byte{0xFF}, 60)...),
	} {
		bad := try.Connect(t, at, 2)
		bad.Send(t, b)
		if _, err := bad.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: answered", name)
		}
	}
	good.Send(t, good.Sale.Frame(7))
	if trace, _, err := sale.Answer(good.Answer(t)); err != nil || trace != 7 {
		t.Errorf("trace %d, %v", trace, err)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

func TestNoBank(t *testing.T) {
	if _, _, err := Start(try.Nobody(t)); err == nil || !strings.Contains(err.Error(), "moov: bank") {
		t.Fatalf("error %v", err)
	}
}

// A bank that goes leaves requests without answers; who waits for them ends.
func TestBankThatGoes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	r, at, err := Start(netip.MustParseAddrPort(ln.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := try.Connect(t, at, 1)
	p.Send(t, p.Sale.Frame(1))
	if _, err := c.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-r.bank.gone
	if err := r.Stop(); err == nil {
		t.Error("the relay ended well")
	}
}
