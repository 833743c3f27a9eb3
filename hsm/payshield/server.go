package payshield

import (
	"tongka/hsm"
	"tongka/hsm/soft"
)

// Server answers host commands with a module in software: a payShield for
// simulators and development. One goroutine at a time may use it.
type Server struct {
	d   Dialect
	m   *soft.Module
	c   cursor // of the command; a local one would not stay on the stack
	buf []byte // messages that came as hexadecimal digits, or want padding
}

// NewServer makes a server for a dialect that is valid (Dialect.Validate).
func NewServer(m *soft.Module, d Dialect) *Server { return &Server{d: d, m: m} }

// badLMK is the code for an LMK identifier that the module does not have.
var badLMK = hsm.Code{'1', '3'}

// handler performs one command. It reads its fields from c, calls s.end once,
// and only then appends response fields to dst. Fields of a failed command are
// dropped, except under the warning 01 of handlers that say so by keep.
type handler struct {
	f    func(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code)
	keep bool
}

// commands is all that a server can do: a new command is a line here and a
// function.
var commands = map[[2]byte]handler{
	{'N', 'C'}: {f: diagnose},
	{'N', 'O'}: {f: status},
	{'B', '2'}: {f: echo},
	{'A', '0'}: {f: generateKey},
	{'A', '6'}: {f: importKey, keep: true},
	{'A', '8'}: {f: exportKey},
	{'B', 'U'}: {f: checkValue},
	{'K', 'A'}: {f: checkValueLegacy},
	{'F', 'A'}: {f: importZPK, keep: true},
	{'H', 'A'}: {f: generateTAK},
	{'H', 'C'}: {f: generateTMK},
	{'C', 'A'}: {f: translateTPK},
	{'C', 'C'}: {f: translateZPK},
	{'M', '6'}: {f: makeMAC},
	{'M', '8'}: {f: verifyMAC},
	{'M', 'S'}: {f: makeMAB},
	{'M', 'A'}: {f: makeTerminalMAC},
	{'M', 'C'}: {f: verifyTerminalMAC},
}

// Answer appends the response to one command; both are without the length that
// goes before them. Header and trailer come back as they came. A frame too short
// for header and command code gets no answer: there is nothing to answer to. An
// unknown command gets 68, faulty fields 15 or the code of the fault.
func (s *Server) Answer(dst []byte, frame []byte) []byte {
	body := s.d.width() + 2
	if len(frame) < body {
		return dst
	}
	dst = append(dst, frame[:body]...)
	dst[len(dst)-1]++ // NC is answered by ND
	codeAt := len(dst)
	dst = append(dst, "00"...)
	h, ok := commands[[2]byte(frame[body-2:])]
	if !ok {
		h = handler{f: unknown}
	}
	s.c = cursor{b: frame, at: body}
	dst, code := h.f(s, &s.c, dst)
	if !code.OK() && !(h.keep && code == hsm.Mismatch) {
		dst = dst[:codeAt+2]
	}
	copy(dst[codeAt:], code[:])
	dst = append(dst, trailer(frame[body:], s.c.at-body, s.c.failed())...)
	s.c.b = nil // the frame is lent
	return dst
}

// trailer finds what goes back behind the fields. Where the fields could not be
// read, the last mark that a trailer may have is taken for it.
func trailer(fields []byte, end int, failed bool) []byte {
	if !failed {
		return fields[end:]
	}
	for i := max(0, len(fields)-1-maxTrailer); i < len(fields); i++ {
		if fields[i] == trailerMark {
			return fields[i:]
		}
	}
	return nil
}

// end reads what may follow the fields of any command, an LMK identifier and a
// trailer. It leaves the cursor at the trailer's mark.
func (s *Server) end(c *cursor) hsm.Code {
	if c.skip('%') {
		id := c.take(2, "LMK identifier of 2 digits")
		own := s.d.LMK
		if own == "" {
			own = "00"
		}
		if id != nil && string(id) != own {
			c.fail(badLMK, "an LMK identifier that is loaded")
		}
	}
	at := c.at
	c.end()
	if c.failed() {
		return c.code
	}
	c.at = at
	return hsm.Done
}

func unknown(_ *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	c.fail(hsm.Disabled, "a command that is known")
	return dst, hsm.Disabled
}

// diagnose is NC: LMK check value and firmware number.
func diagnose(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	var r hsm.Reply
	s.m.Do(&hsm.Request{Verb: hsm.Diagnose}, &r)
	return append(hsm.AppendHex(dst, r.KCV[:]), r.Text[:]...), r.Code
}

// status is NO mode 00: 32 KB buffer, TCP, 64 sockets, firmware, reserved.
func status(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	if c.number(2, 10, "mode 00") != 0 {
		c.fail(hsm.BadInput, "mode 00")
	}
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	return append(append(append(dst, "3164"...), soft.Firmware...), "00000"...), hsm.Done
}

// echo is B2: length and as much data.
func echo(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	n := int(c.number(4, 16, "length of 4 hexadecimal digits"))
	data := c.takeOr(n, hsm.BadDataLength, "data as long as the length says")
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	return append(dst, data...), hsm.Done
}
