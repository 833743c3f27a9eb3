// Package try holds what the tests of all peers do: a bank of the bench, and
// terminals that sell.
package try

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"tongka/bench/internal/bank"
	"tongka/bench/internal/sale"
	"tongka/sim/port"
)

// Bank serves until the test ends.
func Bank(t *testing.T) *bank.Bank {
	t.Helper()
	b, err := bank.Open(bank.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.Run(io.Discard) }()
	t.Cleanup(func() {
		b.Stop()
		if err := <-ended; err != nil {
			t.Errorf("bank: %v", err)
		}
	})
	return b
}

// Terminal is one connection and its sale.
type Terminal struct {
	net.Conn
	Sale *sale.Request
}

// Connect opens it; nothing on it takes longer than ten seconds.
func Connect(t *testing.T, at netip.AddrPort, terminal int) Terminal {
	t.Helper()
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	term := sale.NewTerminal(terminal)
	r, err := sale.NewRequest(&term, false)
	if err != nil {
		t.Fatal(err)
	}
	return Terminal{c, r}
}

// Send writes b.
func (p Terminal) Send(t *testing.T, b []byte) {
	t.Helper()
	if _, err := p.Write(b); err != nil {
		t.Fatal(err)
	}
}

// Answer reads one frame.
func (p Terminal) Answer(t *testing.T) []byte {
	t.Helper()
	b := make([]byte, 2, 512)
	if _, err := io.ReadFull(p, b); err != nil {
		t.Fatal(err)
	}
	b = b[:sale.FrameLen(b)]
	if _, err := io.ReadFull(p, b[2:]); err != nil {
		t.Fatal(err)
	}
	return b
}

// Nobody is an address of this machine where nothing listens.
func Nobody(t *testing.T) netip.AddrPort {
	t.Helper()
	held, all, err := port.Hold(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Close() })
	return all[0]
}
