// Package crowd is many callers who begin a request and never end it: slow
// senders, a byte each now and then. One thread plays ten thousand of them.
package crowd

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"tongka/bench/internal/poll"
)

// Spec is one crowd. Durations are nanoseconds in JSON.
type Spec struct {
	Address     netip.AddrPort `json:"address"`
	Connections int            `json:"connections"`
	Every       time.Duration  `json:"every"` // between two bytes of one connection
	// Gather is how long they take to come, one after the other. A system that cuts
	// them all after the same time is then dialled at the same rate for ever.
	Gather time.Duration `json:"gather"`
}

func (s *Spec) validate() error {
	if !s.Address.Addr().Is4() || s.Connections < 1 || s.Connections > 50_000 || s.Every < time.Millisecond || s.Gather < 0 {
		return fmt.Errorf("crowd: %+v is out of range", *s)
	}
	return nil
}

// Result counts what the crowd did from its first connection to its last.
type Result struct {
	Bytes   int64 `json:"bytes"`
	Dialled int64 `json:"dialled"`
	Cut     int64 `json:"cut"` // connections that the system under test closed; each was dialled again
}

// order is who speaks one after the other: by where in the interval they came. So
// first bytes, and the cuts that follow each by a fixed time, are spread as evenly as
// the callers came. In the order of their numbers all who came in a second would begin
// in the same tenth of it, for ever after: ten thousand machines that know nothing of
// each other do not.
func (s *Spec) order() []int {
	all := make([]int, s.Connections)
	for i := range all {
		all[i] = i
	}
	slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(s.comes(a)%s.Every, s.comes(b)%s.Every) })
	return all
}

// comes is when a caller dials first.
func (s *Spec) comes(i int) time.Duration {
	return s.Gather * time.Duration(i) / time.Duration(s.Connections)
}

// burst is how many bytes leave in one step of a millisecond: four times the rate. This
// one thread may be held up; ten thousand machines would not say all of it at once then.
func (s *Spec) burst() int { return int(4*time.Millisecond*time.Duration(s.Connections)/s.Every) + 4 }

// opening is what a slow sender says first, a byte at a time: the length of a
// frame that will take four minutes to come. After it come zeros.
var opening = [2]byte{0x00, 0xFF}

type crowd struct {
	spec  Spec
	p     *poll.Poller
	fds   []int
	said  []int // bytes on this connection
	order []int // in which they speak
	turn  int   // in order: whose byte is next
	burst int   // bytes in one step at most
	due   time.Time
	began time.Time
	here  int // so many have come
	count Result
}

// Run gathers the crowd, calls ready, and goes on until stop is closed.
func Run(s Spec, ready func() error, stop <-chan struct{}) (Result, error) {
	if err := s.validate(); err != nil {
		return Result{}, err
	}
	p, err := poll.New()
	if err != nil {
		return Result{}, err
	}
	c := &crowd{spec: s, p: p, fds: make([]int, s.Connections), said: make([]int, s.Connections), due: time.Now(), began: time.Now(), order: s.order(), burst: s.burst()}
	for i := range c.fds {
		c.fds[i] = -1
	}
	defer c.close()
	for gathered := false; ; {
		select {
		case <-stop:
			return c.count, nil
		default:
		}
		if err := c.step(); err != nil {
			return c.count, fmt.Errorf("crowd: %w", err)
		}
		if !gathered && c.here == s.Connections {
			if gathered = true; ready() != nil {
				return c.count, errors.New("crowd: nobody waits for it")
			}
		}
	}
}

func (c *crowd) close() {
	for _, fd := range c.fds {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	_ = c.p.Close()
}

// step lets everybody act whose time has come, and sees who was cut.
func (c *crowd) step() error {
	now := time.Now()
	for all := len(c.fds); c.here < all && now.Sub(c.began) >= c.spec.comes(c.here); c.here++ {
		if err := c.dial(c.here); err != nil {
			return err
		}
	}
	for n := c.burst; n > 0 && !c.due.After(now); n-- {
		if i := c.order[c.turn]; i < c.here {
			if err := c.say(i); err != nil {
				return err
			}
		}
		c.turn = (c.turn + 1) % len(c.fds)
		c.due = c.due.Add(c.spec.Every / time.Duration(len(c.fds)))
	}
	events, err := c.p.Wait(1)
	if err != nil {
		return err
	}
	for _, e := range events {
		c.look(int(e.Fd))
	}
	return nil
}

// say sends one byte, or dials where there is no connection: one that was cut
// comes again when its turn does.
func (c *crowd) say(i int) error {
	if c.fds[i] < 0 {
		return c.dial(i)
	}
	b := [1]byte{}
	if n := c.said[i]; n < len(opening) {
		b[0] = opening[n]
	}
	n, err := unix.SendmsgN(c.fds[i], b[:], nil, nil, unix.MSG_NOSIGNAL)
	switch {
	case err == unix.EAGAIN || err == unix.ENOTCONN: // not connected yet
	case err != nil:
		c.gone(i)
	default:
		c.said[i] += n
		c.count.Bytes += int64(n)
	}
	return nil
}

// dial connects from one of many addresses, as callers do.
func (c *crowd) dial(i int) error {
	from := netip.AddrFrom4([4]byte{127, 1, byte(1 + i/200%200), byte(1 + i%200)})
	fd, err := poll.Dial(c.spec.Address, from)
	if err != nil {
		return err
	}
	c.fds[i], c.said[i] = fd, 0
	c.count.Dialled++
	return c.p.Add(fd, int32(i), poll.Read)
}

// look reads what is there; nothing but the end is expected.
func (c *crowd) look(i int) {
	if c.fds[i] < 0 {
		return
	}
	var b [64]byte
	n, err := unix.Read(c.fds[i], b[:])
	if err == unix.EAGAIN || err == nil && n > 0 {
		return
	}
	c.gone(i)
}

func (c *crowd) gone(i int) {
	_ = unix.Close(c.fds[i])
	c.fds[i] = -1
	c.count.Cut++
}
