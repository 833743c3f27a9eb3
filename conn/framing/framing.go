// Package framing tells frames apart in a stream of bytes.
package framing

import (
	"bytes"
	"errors"
	"time"
)

// Framing is one way of doing so. Its values are shared by all connections and
// keep no state.
type Framing interface {
	// Next finds the first frame of b. used is how many bytes it took with all
	// that surrounds it; 0 without an error means that more bytes are needed. A
	// nil frame with used > 0 is a keep-alive.
	Next(b []byte) (frame []byte, used int, err error)
	// Begin reserves the length in front of a frame that is to be appended.
	Begin(dst []byte) []byte
	// End completes the frame whose Begin found len(dst) == start. A frame that
	// is longer than its length can say is refused and taken off dst again.
	End(dst []byte, start int) ([]byte, error)
	// Max is the longest payload that the length can say.
	Max() int
}

// What can be wrong with a frame.
var (
	ErrOversize  = errors.New("frame longer than the limit")
	ErrEmpty     = errors.New("frame of length zero")
	ErrMalformed = errors.New("frame is not framed as agreed")
)

// lengthFraming is every framing whose frames begin with their length. What
// tells them apart is data, so that a new one is a line of a configuration:
//
//	| length (head bytes) | zero bytes (pad) | payload | trailer |
//
// The pad is not looked at when it is read: some peers put a code of their own
// there.
type lengthFraming struct {
	name      string
	num       numeral
	head      int
	pad       int
	extra     int    // what the length counts beside the payload
	keepAlive bool   // length zero is a keep-alive and not a fault
	trailer   []byte // after the payload
	limit     int    // longest payload accepted, 0 for what the length can say

	every time.Duration // of silence, after which a keep-alive is to be sent; 0 is never
}

// Overhead bounds what any framing here adds to a payload, in bytes.
const Overhead = 16

// Limited is f with a bound on the payload, so that a length which is too great
// is refused before the first byte of its frame is kept. A framing from
// elsewhere comes back as it is.
func Limited(f Framing, limit int) Framing {
	lf, ok := f.(*lengthFraming)
	if !ok {
		return f
	}
	bounded := *lf
	bounded.limit = limit
	return &bounded
}

// KeepAlive is what an idle line of f is kept alive with, and after how long
// without sending anything; nil when the peer does not want that. The bytes are
// the caller's.
func KeepAlive(f Framing) (wire []byte, after time.Duration) {
	lf, ok := f.(*lengthFraming)
	if !ok || lf.every == 0 {
		return nil, 0
	}
	wire, _ = lf.End(lf.Begin(nil), 0) // a framing that knows keep-alives makes one of nothing
	return wire, lf.every
}

// String is the framing's name, or what its options come to.
func (f *lengthFraming) String() string { return f.name }

func (f *lengthFraming) Next(b []byte) (frame []byte, used int, err error) {
	if len(b) < f.head {
		return nil, 0, nil
	}
	n, ok := f.num.read(b[:f.head])
	if !ok {
		return nil, 0, ErrMalformed
	}
	if n == 0 && f.keepAlive {
		return nil, f.head, nil
	}
	if n -= f.extra; n <= 0 {
		return nil, 0, ErrEmpty
	}
	if f.limit > 0 && n > f.limit {
		return nil, 0, ErrOversize
	}
	from := f.head + f.pad
	used = from + n + len(f.trailer)
	if len(b) < used {
		return nil, 0, nil
	}
	if !bytes.Equal(b[from+n:used], f.trailer) {
		return nil, 0, ErrMalformed
	}
	return b[from : from+n : from+n], used, nil
}

func (f *lengthFraming) Begin(dst []byte) []byte {
	for range f.head + f.pad {
		dst = append(dst, 0)
	}
	return dst
}

func (f *lengthFraming) End(dst []byte, start int) ([]byte, error) {
	n := len(dst) - start - f.head - f.pad
	switch {
	case n < 0:
		return dst[:start], ErrMalformed // Begin was not called
	case n == 0 && f.keepAlive:
		f.num.write(dst[start:start+f.head], 0) // in ASCII, zeros are not zero bytes
		return dst[:start+f.head], nil
	case n == 0:
		return dst[:start], ErrEmpty
	case n > f.Max():
		return dst[:start], ErrOversize
	}
	f.num.write(dst[start:start+f.head], n+f.extra)
	return append(dst, f.trailer...), nil
}

func (f *lengthFraming) Max() int {
	most := f.num.most(f.head) - f.extra
	if f.limit > 0 {
		return min(f.limit, most)
	}
	return most
}
