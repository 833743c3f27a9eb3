// Package forward is a peer of the bench: what the raw relay does, written with
// the net package in the way most Go programs are, a goroutine for each
// connection and one for the bank's. It frames, replaces the trace number by a slot
// number, forwards, and restores it in the answer; what it costs more than the raw
// relay is the price of goroutines in place of an event loop.
package forward

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"tongka/bench/internal/sale"
)

// slots is how many requests can be under way; a slot's number must fit the last
// two bytes of F11.
const slots = 1 << 16

const bufferLen = 64 << 10

// Forwarder relays for any number of terminals over one connection to the bank.
type Forwarder struct {
	ln    *net.TCPListener
	bank  net.Conn
	ended chan error

	mu    sync.Mutex // guards what follows, and the order of writes to the bank
	next  uint16
	table [slots]slot
	ends  map[net.Conn]bool
}

type slot struct {
	from  net.Conn // nil when free
	trace [3]byte
}

// Start listens at a port of the loopback interface and connects to the bank.
func Start(bank netip.AddrPort) (*Forwarder, netip.AddrPort, error) {
	c, err := net.DialTimeout("tcp", bank.String(), 5*time.Second)
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("forward: bank: %w", err)
	}
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		return nil, netip.AddrPort{}, errors.Join(fmt.Errorf("forward: %w", err), c.Close())
	}
	f := &Forwarder{ln: ln, bank: c, ended: make(chan error, 1), ends: map[net.Conn]bool{}}
	go f.accept()
	go f.replies()
	return f, ln.Addr().(*net.TCPAddr).AddrPort(), nil
}

// Stop closes everything and returns what had ended the forwarder before.
func (f *Forwarder) Stop() error {
	var first error
	select {
	case first = <-f.ended:
	default:
	}
	f.close()
	return first
}

func (f *Forwarder) close() {
	_, _ = f.ln.Close(), f.bank.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.ends {
		_ = c.Close()
	}
}

func (f *Forwarder) accept() {
	for {
		c, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.ends[c] = true
		f.mu.Unlock()
		go f.requests(c)
	}
}

// requests forwards one terminal's frames, one write each.
func (f *Forwarder) requests(c net.Conn) {
	defer func() {
		_ = c.Close()
		f.mu.Lock()
		delete(f.ends, c)
		f.mu.Unlock()
	}()
	r, frame := bufio.NewReaderSize(c, 4<<10), []byte(nil)
	for {
		var err error
		if frame, err = next(r, frame); err != nil || f.forward(c, frame) != nil {
			return
		}
	}
}

// forward sends one request. What is no request is dropped, and so is one for which
// there is no slot: the sender counts what is missing.
func (f *Forwarder) forward(c net.Conn, frame []byte) error {
	if len(frame) < sale.TraceAt+3 {
		return nil
	}
	f11 := frame[sale.TraceAt : sale.TraceAt+3]
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	s := &f.table[f.next]
	if s.from != nil {
		return nil
	}
	*s = slot{c, [3]byte(f11)}
	f11[0], f11[1], f11[2] = 0, byte(f.next>>8), byte(f.next)
	_, err := f.bank.Write(frame)
	return err
}

// replies gives answers back to whoever asked. Without the bank the forwarder ends,
// terminals' connections with it.
func (f *Forwarder) replies() {
	r, frame := bufio.NewReaderSize(f.bank, bufferLen), []byte(nil)
	for {
		var err error
		if frame, err = next(r, frame); err != nil {
			f.ended <- fmt.Errorf("forward: bank: %w", err)
			f.close()
			return
		}
		if len(frame) < sale.TraceAt+3 {
			continue
		}
		f11 := frame[sale.TraceAt : sale.TraceAt+3]
		f.mu.Lock()
		s := &f.table[uint16(f11[1])<<8|uint16(f11[2])]
		to := s.from
		copy(f11, s.trace[:])
		s.from = nil
		f.mu.Unlock()
		if to != nil {
			_, _ = to.Write(frame) // a terminal that has gone needs no answer
		}
	}
}

// next reads one frame, its two length bytes included, into b's memory.
func next(r *bufio.Reader, b []byte) ([]byte, error) {
	head, err := r.Peek(2)
	if err != nil {
		return b, err
	}
	n := sale.FrameLen(head)
	if cap(b) < n {
		b = make([]byte, n)
	}
	_, err = io.ReadFull(r, b[:n])
	return b[:n], err
}
