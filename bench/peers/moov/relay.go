// Package moov is a peer of the bench: a relay between a UnionPay terminal and
// a card centre as one writes it in an afternoon with github.com/moov-io/iso8583:
// messages are unpacked field by field, fields copied to a message of the other
// dialect, and packed. It keeps no journal, checks no MAC and knows no repeats.
//
// The fields are declared by the specifications that the switch's codec derives for
// moov from its own dialects, whose packed digits are moov's own encoder. moov's
// package for connections is not imported; its shape is, see line.
package moov

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moov-io/iso8583"

	codec "tongka/codec/iso8583"
)

// Relay has a line to the bank and one for each terminal.
type Relay struct {
	ln   *net.TCPListener
	pos  *iso8583.MessageSpec
	cups *iso8583.MessageSpec
	bank *line
	next atomic.Uint32

	mu    sync.Mutex // guards what follows
	lines map[*line]bool
	fault error // the first of a transaction
}

// Start listens at a port of the loopback interface and connects to the centre's
// door of the bank.
func Start(bank netip.AddrPort) (*Relay, netip.AddrPort, error) {
	r := &Relay{lines: map[*line]bool{}}
	var err1, err2 error
	r.pos, err1 = codec.Pos().Declaration().Moov()
	r.cups, err2 = codec.Cups().Declaration().Moov()
	if err := errors.Join(err1, err2); err != nil {
		return nil, netip.AddrPort{}, err
	}
	c, err := net.DialTimeout("tcp", bank.String(), 5*time.Second)
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("moov: bank: %w", err)
	}
	if r.ln, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0"))); err != nil {
		return nil, netip.AddrPort{}, errors.Join(fmt.Errorf("moov: %w", err), c.Close())
	}
	r.bank = newLine(c, r.cups, cupsFraming(), nil)
	go r.accept()
	return r, r.ln.Addr().(*net.TCPAddr).AddrPort(), nil
}

// Stop closes everything. The first transaction that failed is the error, or what
// had ended the bank's line.
func (r *Relay) Stop() error {
	_ = r.ln.Close()
	r.bank.end(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range r.lines {
		l.end(nil)
	}
	return errors.Join(r.fault, r.bank.err)
}

func (r *Relay) accept() {
	for {
		c, err := r.ln.Accept()
		if err != nil {
			return
		}
		l := newLine(c, r.pos, posFraming(), r.relay)
		r.mu.Lock()
		r.lines[l] = true
		r.mu.Unlock()
		go func() {
			<-l.gone
			r.mu.Lock()
			delete(r.lines, l)
			r.mu.Unlock()
		}()
	}
}

// relay takes one transaction there and back.
func (r *Relay) relay(from *line, request *iso8583.Message) {
	err := r.transaction(from, request)
	if err == nil || errors.Is(err, errGone) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault == nil {
		r.fault = err
	}
}

func (r *Relay) transaction(from *line, request *iso8583.Message) error {
	trace, err := request.GetString(11)
	if err != nil {
		return err
	}
	out := iso8583.NewMessage(r.cups)
	out.MTI("0200")
	if err := copyFields(out, request, 2, 3, 4, 14, 22, 23, 25, 35, 41, 42, 49, 55, 60); err != nil {
		return err
	}
	now, own := time.Now(), fmt.Sprintf("%06d", r.next.Add(1)%1_000_000)
	err = errors.Join(out.Field(7, now.Format("0102150405")), out.Field(11, own), out.Field(12, now.Format("150405")), out.Field(13, now.Format("0102")),
		out.Field(18, "5411"), out.Field(32, "48223100"), out.Field(33, "48220000"), out.Field(37, "000000"+own), out.Field(100, "00010000"))
	if err != nil {
		return err
	}
	answer, err := r.bank.send(out)
	if err != nil {
		return err
	}
	back := iso8583.NewMessage(r.pos)
	back.MTI("0210")
	if err := copyFields(back, answer, 2, 3, 4, 12, 13, 15, 25, 32, 37, 38, 39, 41, 42, 49); err != nil {
		return err
	}
	if err := back.Field(11, trace); err != nil {
		return err
	}
	return from.reply(back)
}

// copyFields takes over those of the fields that are there.
func copyFields(to, from *iso8583.Message, list ...int) error {
	has := from.GetFields()
	for _, n := range list {
		if has[n] == nil {
			continue
		}
		v, err := from.GetBytes(n)
		if err == nil {
			err = to.BinaryField(n, v)
		}
		if err != nil {
			return fmt.Errorf("moov: F%d: %w", n, err)
		}
	}
	return nil
}

const (
	posBefore  = 5 + 6 // TPDU and header
	cupsBefore = 46    // header
)

// posFraming is two bytes of length, TPDU, header.
func posFraming() framing {
	before := []byte{0x60, 0, 3, 0, 0, 0x60, 0x31, 0, 0x31, 0, 0}
	return framing{
		read: func(r io.Reader) (int, error) {
			var b [2 + posBefore]byte
			if _, err := io.ReadFull(r, b[:]); err != nil {
				return 0, err
			}
			n := int(binary.BigEndian.Uint16(b[:])) - posBefore
			if n < 0 {
				return 0, fmt.Errorf("moov: length %d at byte 0 ends within the header", n+posBefore)
			}
			return n, nil
		},
		write: func(w io.Writer, n int) error {
			if _, err := w.Write(binary.BigEndian.AppendUint16(nil, uint16(n+posBefore))); err != nil {
				return err
			}
			_, err := w.Write(before)
			return err
		},
	}
}

// cupsFraming is four digits of length and the centre's header.
func cupsFraming() framing {
	return framing{
		read: func(r io.Reader) (int, error) {
			var b [4 + cupsBefore]byte
			if _, err := io.ReadFull(r, b[:]); err != nil {
				return 0, err
			}
			n, err := strconv.Atoi(string(b[:4]))
			if err != nil || n < cupsBefore {
				return 0, fmt.Errorf("moov: length %q at byte 0 is not decimal or ends within the header", b[:4])
			}
			return n - cupsBefore, nil
		},
		write: func(w io.Writer, n int) error {
			b := codec.AppendCupsHeader(fmt.Appendf(nil, "%04d", n+cupsBefore), "00010000", "48220000")
			codec.PatchCupsLength(b[4:], n+cupsBefore)
			_, err := w.Write(b)
			return err
		},
	}
}
