package poll

import (
	"io"
	"slices"

	"golang.org/x/sys/unix"
)

// Stream is one connected socket and what is left over in both directions: the
// beginning of a frame that has not come whole, and bytes that the kernel did
// not take. Thread-unsafe.
type Stream struct {
	FD   int
	Tag  int32
	in   []byte
	out  []byte
	wait bool // the poller watches for room to write
}

// Read reads once and gives all bytes that are not consumed yet: those kept by
// the last Keep, then the new ones. They lie in scratch, which must be larger
// than the longest frame, until the caller uses it again. No bytes and no error
// means that nothing was there; io.EOF is the peer's end.
func (s *Stream) Read(scratch []byte) ([]byte, error) {
	kept := copy(scratch, s.in)
	if kept == len(scratch) {
		return nil, io.ErrShortBuffer
	}
	n, err := read(s.FD, scratch[kept:])
	switch {
	case err == unix.EAGAIN:
		return nil, nil
	case err != nil:
		return nil, err
	case n == 0:
		return nil, io.EOF
	}
	s.in = s.in[:0]
	return scratch[:kept+n], nil
}

// Keep stores what Read gave and the caller could not use yet.
func (s *Stream) Keep(rest []byte) { s.in = append(s.in[:0], rest...) }

// Write sends b behind whatever waits already, and keeps what the kernel does
// not take.
func (s *Stream) Write(p *Poller, b []byte) error {
	if len(s.out) > 0 {
		s.out = append(s.out, b...)
		return nil
	}
	n, err := write(s.FD, b)
	if err != nil && err != unix.EAGAIN {
		return err
	}
	if n < len(b) {
		s.out = append(s.out, b[n:]...)
		s.wait = true
		return p.Change(s.FD, s.Tag, Read|Write)
	}
	return nil
}

// Flush goes on with what waits; call it when the socket is writable.
func (s *Stream) Flush(p *Poller) error {
	if len(s.out) > 0 {
		n, err := write(s.FD, s.out)
		if err != nil && err != unix.EAGAIN {
			return err
		}
		s.out = slices.Delete(s.out, 0, n)
	}
	if len(s.out) == 0 && s.wait {
		s.wait = false
		return p.Change(s.FD, s.Tag, Read)
	}
	return nil
}

// Waiting is the number of bytes that the kernel has not taken.
func (s *Stream) Waiting() int { return len(s.out) }
