package payshield

import (
	"errors"
	"fmt"

	"tongka/hsm"
)

// trailerMark ends the fields of a command or response when a trailer follows.
const trailerMark = 0x19

const maxTrailer = 32

// cursor reads the fields of a frame. It stops at the first fault and gives
// zeros from there on, so that a parser reads straight down and asks once.
type cursor struct {
	b    []byte
	at   int
	code hsm.Code // zero while there is no fault
	want string   // what should have been at byte at
	size int      // what the last length said
	sm4  bool     // S begins an SM4 key
}

func (c *cursor) fail(code hsm.Code, want string) {
	if c.code == (hsm.Code{}) {
		c.code, c.want = code, want
	}
}

func (c *cursor) failed() bool { return c.code != hsm.Code{} }

// fault is the cursor's fault as an error that names the byte; nil for none.
func (c *cursor) fault(what string) error {
	if !c.failed() {
		return nil
	}
	return fmt.Errorf("payshield: %s: byte %d: %s wanted: %w", what, c.at, c.want, c.code)
}

func (c *cursor) left() int { return len(c.b) - c.at }

// take lends n bytes; nil, at the field's first byte, when they are not there.
func (c *cursor) take(n int, want string) []byte {
	return c.takeOr(n, hsm.BadInput, want)
}

// takeOr is take with another code: for the data of a command, that is 80.
func (c *cursor) takeOr(n int, code hsm.Code, want string) []byte {
	if c.failed() || c.left() < n {
		c.fail(code, want)
		return nil
	}
	c.at += n
	return c.b[c.at-n : c.at]
}

// one reads a character out of a set.
func (c *cursor) one(set, want string) byte {
	if c.failed() || c.left() < 1 {
		c.fail(hsm.BadInput, want)
		return 0
	}
	for i := range len(set) {
		if set[i] == c.b[c.at] {
			c.at++
			return set[i]
		}
	}
	c.fail(hsm.BadInput, want)
	return 0
}

// skip takes a character when it is the next one.
func (c *cursor) skip(ch byte) bool {
	if c.failed() || c.left() < 1 || c.b[c.at] != ch {
		return false
	}
	c.at++
	return true
}

// hex fills dst from twice as many digits; a fault is at the digit, not at the
// field.
func (c *cursor) hex(dst []byte, want string) {
	s := c.take(2*len(dst), want)
	if s == nil {
		return
	}
	if bad := hsm.DecodeHex(dst, s); bad >= 0 {
		c.at += bad - len(s)
		c.fail(hsm.BadInput, want)
	}
}

func (c *cursor) hex8(want string) (b [8]byte) {
	c.hex(b[:], want)
	return b
}

// number reads n digits in the given base (10 or 16).
func (c *cursor) number(n int, base uint32, want string) (v uint32) {
	for range n {
		d := uint32(base)
		if !c.failed() && c.left() > 0 {
			d = digit(c.b[c.at])
		}
		if d >= base {
			c.fail(hsm.BadInput, want)
			return 0
		}
		c.at++
		v = v*base + d
	}
	return v
}

// digit gives 16 for what is no hexadecimal digit of either case.
func digit(ch byte) uint32 {
	switch {
	case ch >= '0' && ch <= '9':
		return uint32(ch - '0')
	case ch >= 'A' && ch <= 'F':
		return uint32(ch-'A') + 10
	case ch >= 'a' && ch <= 'f':
		return uint32(ch-'a') + 10
	}
	return 16
}

// header reads what appendHeader wrote: the number is in the last characters.
func (c *cursor) header(width int) (h uint32) {
	if width > hexHeader {
		c.take(width-hexHeader, "header")
		width = hexHeader
	}
	return c.number(width, 16, "header")
}

// key reads a key field, whose tag says how long it is.
func (c *cursor) key(want string) (k hsm.Key) {
	if c.failed() {
		return k
	}
	k, n, err := hsm.ReadKey(c.b[c.at:])
	if err != nil {
		code := hsm.BadInput
		errors.As(err, &code)
		c.fail(code, want)
		return hsm.Key{}
	}
	c.at += n
	return k
}

// end checks that nothing is left but a trailer, and gives that with its mark.
func (c *cursor) end() []byte {
	if c.failed() || c.left() == 0 {
		return nil
	}
	if c.b[c.at] != trailerMark || c.left() > 1+maxTrailer {
		c.fail(hsm.BadInput, "end of message")
		return nil
	}
	t := c.b[c.at:]
	c.at = len(c.b)
	return t
}
