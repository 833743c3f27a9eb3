// Package bank is the bench's other end: it approves everything, in one thread,
// as fast as bytes come, or after the time that its profile says. It listens for a switch, which speaks the centre's
// dialect, and for the raw relay, whose frames it sends back in place. It
// checks no MAC and remembers nothing, so that what is measured is never this.
package bank

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tongka/bench/internal/poll"
	"tongka/bench/internal/sale"
)

// Tags of the sockets that are not connections; those count from 0.
const (
	tagStop = -1 - iota
	tagRaw
	tagCentre
)

const (
	scratchLen = 256 << 10
	rawMTI     = 2 + 5 + 6 // length, TPDU, header
	mtiClass   = lengthLen + headerLen + 1
)

// Bank serves both listeners. All but Stop belongs to one goroutine.
type Bank struct {
	p       *poll.Poller
	rawFD   int
	cupsFD  int
	raw     netip.AddrPort
	centre  netip.AddrPort
	stop    [2]*os.File // the read end wakes Run
	peers   []peer
	free    []int32
	scratch []byte
	out     []byte
	profile Profile
	random  *rand.Rand
	late    queue  // answers that take their time
	lives   uint32 // connections so far
	stuck   bool   // a line is stuck already
}

type peer struct {
	poll.Stream
	raw   bool
	stuck bool
	life  uint32
}

// Open starts to listen at two ports of the loopback interface. The same profile draws the
// same times.
func Open(profile Profile) (b *Bank, err error) {
	b = &Bank{profile: profile, random: rand.New(rand.NewPCG(1, 2)), rawFD: -1, cupsFD: -1, scratch: make([]byte, scratchLen), out: make([]byte, 0, 2*scratchLen)}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.p, err = poll.New(); err != nil {
		return b, err
	}
	b.p.Alone = profile.Alone
	if b.stop[0], b.stop[1], err = os.Pipe(); err != nil {
		return b, fmt.Errorf("bank: %w", err)
	}
	any := netip.MustParseAddrPort("127.0.0.1:0")
	if b.rawFD, b.raw, err = poll.Listen(any); err != nil {
		return b, err
	}
	if b.cupsFD, b.centre, err = poll.Listen(any); err != nil {
		return b, err
	}
	return b, errors.Join(
		b.p.Add(int(b.stop[0].Fd()), tagStop, poll.Read),
		b.p.Add(b.rawFD, tagRaw, poll.Read),
		b.p.Add(b.cupsFD, tagCentre, poll.Read))
}

// Raw is where frames are sent back with MTI 0210.
func (b *Bank) Raw() netip.AddrPort { return b.raw }

// Centre is where a switch connects.
func (b *Bank) Centre() netip.AddrPort { return b.centre }

// Stop ends Run; it may be called from any goroutine, once.
func (b *Bank) Stop() { _ = b.stop[1].Close() }

// Run serves until Stop. A peer that breaks the dialect is dropped and told of
// on errors.
func (b *Bank) Run(errors io.Writer) error {
	defer b.close()
	for {
		events, err := b.p.WaitFor(b.late.wait(time.Now()))
		if err != nil {
			return err
		}
		b.release(errors)
		for _, ev := range events {
			switch ev.Fd {
			case tagStop:
				return nil
			case tagRaw:
				err = b.accept(b.rawFD, true)
			case tagCentre:
				err = b.accept(b.cupsFD, false)
			default:
				if err := b.serve(&b.peers[ev.Fd], ev.Events); err != nil {
					if err != io.EOF {
						fmt.Fprintf(errors, "bank: connection %d dropped: %v\n", ev.Fd, err)
					}
					b.drop(ev.Fd)
				}
			}
			if err != nil {
				return err
			}
		}
	}
}

// accept takes all waiting connections; the place of a dropped one is used
// again, so tags stay small.
func (b *Bank) accept(listener int, raw bool) error {
	for {
		fd, err := poll.Accept(listener)
		if err == unix.EAGAIN || err == unix.ECONNABORTED {
			return nil
		}
		if err != nil {
			return fmt.Errorf("bank: accept: %w", err)
		}
		tag := int32(len(b.peers))
		if n := len(b.free); n > 0 {
			tag, b.free = b.free[n-1], b.free[:n-1]
		} else {
			b.peers = append(b.peers, peer{})
		}
		b.lives++
		b.peers[tag] = peer{Stream: poll.Stream{FD: fd, Tag: tag}, raw: raw, life: b.lives, stuck: !raw && b.profile.Stuck && !b.stuck}
		b.stuck = b.stuck || b.peers[tag].stuck
		if err := b.p.Add(fd, tag, poll.Read); err != nil {
			return err
		}
	}
}

// serve answers everything that one read brings with one write.
func (b *Bank) serve(s *peer, events uint32) error {
	if events&poll.Write != 0 {
		if err := s.Flush(b.p); err != nil {
			return err
		}
	}
	if events&^poll.Write == 0 {
		return nil
	}
	got, err := s.Read(b.scratch)
	if err != nil || len(got) == 0 {
		return err
	}
	if b.profile.Median > 0 || s.stuck {
		return b.serveLate(s, got)
	}
	rest, answers := got, b.out[:0]
	if s.raw {
		rest = echo(got)
		answers = got[:len(got)-len(rest)]
	} else if rest, answers, err = approve(answers, got); err != nil {
		return err
	}
	s.Keep(rest)
	if len(answers) == 0 {
		return nil
	}
	return s.Write(b.p, answers)
}

// serveLate answers each frame when its time has come, or never on a line that is stuck.
func (b *Bank) serveLate(s *peer, got []byte) error {
	now := time.Now()
	for {
		n, err := sale.FrameLen(got), error(nil)
		if !s.raw {
			n, err = frameLen(got)
		}
		if err != nil || n == 0 || n > len(got) {
			s.Keep(got)
			return err
		}
		frame := got[:n]
		got = got[n:]
		network := !s.raw && len(frame) > mtiClass && frame[mtiClass] == '8'
		if s.stuck && !network {
			continue
		}
		if s.raw {
			echo(frame)
		} else if frame, err = answer(b.out[:0], frame); err != nil {
			return err
		}
		if network || len(frame) == 0 { // a sign-on is not what is measured
			if err := s.Write(b.p, frame); err != nil {
				return err
			}
			continue
		}
		b.late.push(held{due: now.Add(b.profile.next(b.random)), tag: s.Tag, life: s.life}, frame)
	}
}

// release sends the answers whose time has come.
func (b *Bank) release(complaints io.Writer) {
	now := time.Now()
	for len(b.late.list) > 0 && !b.late.list[0].due.After(now) {
		h := b.late.pop()
		if s := &b.peers[h.tag]; s.life == h.life && s.FD >= 0 {
			if err := s.Write(b.p, h.frame); err != nil {
				fmt.Fprintf(complaints, "bank: connection %d dropped: %v\n", h.tag, err)
				b.drop(h.tag)
			}
		}
		b.late.free = append(b.late.free, h.frame)
	}
}

// echo turns all whole frames into answers in place and gives the rest.
func echo(b []byte) []byte {
	for {
		n := sale.FrameLen(b)
		if n == 0 || n > len(b) {
			return b
		}
		if n > rawMTI+1 {
			b[rawMTI+1] = 0x10
		}
		b = b[n:]
	}
}

// approve appends the answers to all whole frames and gives the rest.
func approve(dst, b []byte) (rest, answers []byte, err error) {
	for {
		n, err := frameLen(b)
		if err != nil || n == 0 || n > len(b) {
			return b, dst, err
		}
		if dst, err = answer(dst, b[:n]); err != nil {
			return b, dst, err
		}
		b = b[n:]
	}
}

// drop closes a connection. Closing takes it out of the poller as well.
func (b *Bank) drop(tag int32) {
	_ = unix.Close(b.peers[tag].FD)
	b.peers[tag] = peer{Stream: poll.Stream{FD: -1}}
	b.free = append(b.free, tag)
}

func (b *Bank) close() {
	for i := range b.peers {
		if fd := b.peers[i].FD; fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	for _, fd := range []int{b.rawFD, b.cupsFD} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	if b.stop[0] != nil {
		_ = b.stop[0].Close()
	}
	if b.p != nil {
		_ = b.p.Close()
	}
}
