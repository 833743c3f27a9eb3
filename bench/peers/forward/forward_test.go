package forward

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"

	"tongka/bench/internal/sale"
	"tongka/bench/peers/internal/try"
)

func start(t *testing.T) netip.AddrPort {
	t.Helper()
	b := try.Bank(t)
	f, at, err := Start(b.Raw())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Stop(); err != nil {
			t.Error(err)
		}
	})
	return at
}

// expect wants the request of this trace back, as an answer.
func expect(t *testing.T, p try.Terminal, trace uint32) {
	t.Helper()
	want := bytes.Clone(p.Sale.Frame(trace))
	want[14] = 0x10
	if got := p.Answer(t); !bytes.Equal(got, want) {
		n, err := sale.Echoed(got)
		t.Fatalf("the answer to trace %d differs (trace %d, %v)", trace, n, err)
	}
}

// All terminals use the same trace numbers: the forwarder must tell them apart.
func TestAnswersComeBackToWhoAsked(t *testing.T) {
	at := start(t)
	var all []try.Terminal
	for i := range 20 {
		all = append(all, try.Connect(t, at, i))
	}
	for trace := uint32(1); trace <= 50; trace++ {
		for _, p := range all {
			p.Send(t, p.Sale.Frame(trace))
		}
		for _, p := range all {
			expect(t, p, trace)
		}
	}
}

func TestPipelinedAndInPieces(t *testing.T) {
	p := try.Connect(t, start(t), 3)
	var stream []byte
	for trace := uint32(1); trace <= 64; trace++ {
		stream = append(stream, p.Sale.Frame(trace)...)
	}
	sent := make(chan error, 1)
	go func() {
		for at := 0; at < len(stream); at += 777 {
			if _, err := p.Write(stream[at:min(at+777, len(stream))]); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for range 64 {
		n, err := sale.Echoed(p.Answer(t))
		if err != nil || n < 1 || n > 64 {
			t.Fatalf("trace %d, %v", n, err)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// An answer for a terminal that has gone must not reach another one, and what is
// no request is dropped.
func TestGoneTerminalsAndScraps(t *testing.T) {
	at := start(t)
	for range 30 {
		gone := try.Connect(t, at, 1)
		gone.Send(t, gone.Sale.Frame(5))
		gone.Close()
		p := try.Connect(t, at, 2)
		p.Send(t, []byte{0, 0, 0, 3, 1, 2, 3})
		p.Send(t, p.Sale.Frame(6))
		expect(t, p, 6)
	}
}

func TestNoBank(t *testing.T) {
	if _, _, err := Start(try.Nobody(t)); err == nil || !strings.Contains(err.Error(), "forward: bank") {
		t.Fatalf("error %v", err)
	}
}

// Without its bank the forwarder ends, its terminals with it, and says so.
func TestBankThatGoes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, at, err := Start(netip.MustParseAddrPort(ln.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p := try.Connect(t, at, 1)
	c.Close()
	if _, err := p.Read(make([]byte, 1)); err == nil {
		t.Error("the terminal's connection is still open")
	}
	if err := f.Stop(); err == nil {
		t.Error("the forwarder ended well")
	}
}
