package relay

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tongka/bench/internal/bank"
	"tongka/bench/internal/sale"
	"tongka/sim/port"
)

// start runs a bank and a relay for one test.
func start(t *testing.T) netip.AddrPort {
	t.Helper()
	b, err := bank.Open(bank.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.Run(io.Discard) }()
	r, at, err := Start(b.Raw())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Errorf("relay: %v", err)
		}
		b.Stop()
		if err := <-ended; err != nil {
			t.Errorf("bank: %v", err)
		}
	})
	return at
}

type peer struct {
	t *testing.T
	net.Conn
	req *sale.Request
}

func connect(t *testing.T, at netip.AddrPort, terminal int) peer {
	t.Helper()
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	term := sale.NewTerminal(terminal)
	r, err := sale.NewRequest(&term, false)
	if err != nil {
		t.Fatal(err)
	}
	return peer{t, c, r}
}

func (p peer) send(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// expect reads one answer and compares it with the request of this trace.
func (p peer) expect(trace uint32) {
	p.t.Helper()
	want := append([]byte(nil), p.req.Frame(trace)...)
	want[14] = 0x10
	got := make([]byte, len(want))
	if _, err := io.ReadFull(p, got); err != nil {
		p.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t, err := sale.Echoed(got)
		p.t.Fatalf("the answer to trace %d differs (trace %d, %v)", trace, t, err)
	}
}

func TestAnswersComeBackToWhoAsked(t *testing.T) {
	at := start(t)
	const terminals, rounds = 20, 50
	var all []peer
	for i := range terminals {
		all = append(all, connect(t, at, i))
	}
	for round := range rounds {
		// The same trace number at every terminal: the relay must tell them apart.
		for _, p := range all {
			p.send(p.req.Frame(uint32(round + 1)))
		}
		for _, p := range all {
			p.expect(uint32(round + 1))
		}
	}
}

func TestPipelinedAndInPieces(t *testing.T) {
	p := connect(t, start(t), 3)
	var stream []byte
	for trace := uint32(1); trace <= 64; trace++ {
		stream = append(stream, p.req.Frame(trace)...)
	}
	go func() {
		for at := 0; at < len(stream); at += 777 {
			if _, err := p.Write(stream[at:min(at+777, len(stream))]); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for trace := uint32(1); trace <= 64; trace++ {
		p.expect(trace)
	}
}

// An answer for a terminal that has gone must not reach another one, and what is
// no request is dropped.
func TestGoneTerminalsAndScraps(t *testing.T) {
	at := start(t)
	for range 30 {
		gone := connect(t, at, 1)
		gone.send(gone.req.Frame(5))
		gone.Close()
		p := connect(t, at, 2)
		p.send([]byte{0, 3, 1, 2, 3})
		p.send(p.req.Frame(6))
		p.expect(6)
	}
}

func TestNoBank(t *testing.T) {
	held, all, err := port.Hold(1)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, _, err := Start(all[0]); err == nil || !strings.Contains(err.Error(), "relay: bank") {
		t.Fatalf("error %v", err)
	}
}

// Without its bank the relay is no yardstick: it ends and says so.
func TestBankThatGoesEndsTheRelay(t *testing.T) {
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
	p := connect(t, at, 1)
	c.Close()
	if _, err := p.Read(make([]byte, 1)); err == nil {
		t.Error("the terminal's connection is still open")
	}
	if err := r.Stop(); err == nil {
		t.Error("the relay ended well")
	}
}
