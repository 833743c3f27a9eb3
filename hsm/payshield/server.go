package payshield

import (
	"tongka/hsm"
	"tongka/hsm/soft"
)

// Server answers host commands with a module in software: a payShield for
// simulators and development. One goroutine at a time may use it.
type Server struct {
	d     Dialect
	m     *soft.Module
	c     cursor // of the command; a local one would not stay on the stack
	f     Fields // of the command and its response
	buf   []byte // data that came as hexadecimal digits
	arena []byte // what the response's fields are lent from
}

// NewServer makes a server for a dialect that is valid (Dialect.Validate).
func NewServer(m *soft.Module, d Dialect) *Server { return &Server{d: d, m: m} }

// badLMK is the code for an LMK identifier that the module does not have.
var badLMK = hsm.Code{'1', '3'}

// badCount is the code for a chain of no commands.
var badCount = hsm.Code{'5', '2'}

// Answer appends the response to one command; both are without the length that
// goes before them. Header and trailer come back as they came. A frame too short
// for header and command code gets no answer: there is nothing to answer to. An
// unknown command gets 68, faulty fields 15 or the code of the fault.
func (s *Server) Answer(dst []byte, frame []byte) []byte {
	body := s.d.width() + 2
	if len(frame) < body {
		return dst
	}
	dst = append(dst, frame[:s.d.width()]...)
	if string(frame[body-2:body]) == "NK" {
		return s.chain(dst, frame, body)
	}
	dst, end, failed := s.perform(dst, frame, body-2)
	return append(dst, trailer(frame[body:], end-body, failed)...)
}

// perform appends the response to the command at byte at, without header and
// trailer, and gives where its fields end.
func (s *Server) perform(dst, frame []byte, at int) (_ []byte, end int, failed bool) {
	dst = append(dst, frame[at], frame[at+1]+1) // NC is answered by ND
	codeAt := len(dst)
	dst = append(dst, "00"...)
	s.c, s.f, s.arena = cursor{b: frame, at: at + 2, sm4: s.d.SM4Keys}, Fields{}, s.arena[:0]
	cmd := s.d.command([2]byte(frame[at:]))
	var code hsm.Code
	if cmd == nil {
		code = hsm.Disabled
		s.c.fail(code, "a command that is known")
	} else {
		dst, code = s.obey(dst, cmd)
	}
	copy(dst[codeAt:], code[:])
	end, failed = s.c.at, s.c.failed()
	s.c.b, s.f = nil, Fields{} // the frame is lent
	return dst, end, failed
}

// obey reads a command's fields, does it, and appends the fields of its response.
func (s *Server) obey(dst []byte, cmd *command) ([]byte, hsm.Code) {
	s.c.read(cmd.request, &s.f)
	code := s.end(&s.c)
	if code.OK() {
		code = cmd.do(s, &s.f)
	}
	if !code.OK() && (!cmd.warns || code != hsm.Mismatch) {
		return dst, code
	}
	out, err := s.f.write(dst, cmd.response)
	if err != nil {
		return dst, hsm.BadModule // a field of ours that does not fit its own layout
	}
	return out, code
}

// chain is NK: several commands in one. Flag 1, count 2, then each with its length
// in four digits; the answer has the same form. With sub-headers each part begins
// with a header of its own, which comes back.
func (s *Server) chain(dst, frame []byte, body int) []byte {
	dst = append(dst, "NL"...)
	codeAt := len(dst)
	dst = append(dst, "00"...)
	c := cursor{b: frame, at: body}
	width := 0
	if c.one("01", "sub-header flag") == '1' {
		width = s.d.width()
	}
	n := int(c.number(2, 10, "number of commands"))
	if n == 0 && !c.failed() {
		c.at -= 2
		c.fail(badCount, "at least one command")
	}
	dst = append2(dst, n)
	for i := 0; i < n && !c.failed(); i++ {
		size := int(c.number(4, 10, "length of 4 digits"))
		part := c.takeOr(size, hsm.BadDataLength, "command as long as its length says")
		if len(part) < width+2 || string(part[width:width+2]) == "NK" {
			c.fail(hsm.BadInput, "a command")
			break
		}
		at := len(dst)
		dst = append(append(dst, "0000"...), part[:width]...)
		dst, _, _ = s.perform(dst, part, width)
		copy(dst[at:], append4(nil, len(dst)-at-4))
	}
	code := hsm.Code{}
	if code = s.end(&c); !code.OK() {
		dst = dst[:codeAt+2]
	}
	copy(dst[codeAt:], code[:])
	return append(dst, trailer(frame[body:], c.at-body, c.failed())...)
}

// append4 appends a number of four digits; greater ones do not fit a frame.
func append4(dst []byte, n int) []byte { return append2(append2(dst, n/100%100), n%100) }

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
// trailer. It leaves the cursor at the trailer's mark. 01 and 02 name the keys
// for key blocks, which are told by the blocks themselves.
func (s *Server) end(c *cursor) hsm.Code {
	if c.skip('%') {
		id := string(c.take(2, "LMK identifier of 2 digits"))
		own := s.d.LMK
		if own == "" {
			own = "00"
		}
		if !c.failed() && id != own && id != "01" && id != "02" {
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

// put lends a response field.
func (s *Server) put(f *Fields, id field, text ...byte) {
	at := len(s.arena)
	s.arena = append(s.arena, text...)
	f.v[id] = s.arena[at:len(s.arena):len(s.arena)]
}

// putHex is put for bytes that travel as digits.
func (s *Server) putHex(f *Fields, id field, b []byte) {
	at := len(s.arena)
	s.arena = hsm.AppendHex(s.arena, b)
	f.v[id] = s.arena[at:len(s.arena):len(s.arena)]
}

// diagnose is NC: LMK check value and firmware number.
func diagnose(s *Server, f *Fields) hsm.Code {
	var r hsm.Reply
	s.m.Do(&hsm.Request{Verb: hsm.Diagnose}, &r)
	s.putHex(f, fKCV, r.KCV[:])
	s.put(f, fFirmware, r.Text[:]...)
	return r.Code
}

// status is NO mode 00: 32 KB buffer, TCP, 64 sockets, firmware, reserved.
func status(s *Server, f *Fields) hsm.Code {
	if f.number(fMode, 10) != 0 {
		return hsm.BadInput
	}
	s.put(f, fBuffer, '3')
	s.put(f, fNet, '1')
	s.put(f, fSockets, '6', '4')
	s.put(f, fFirmware, []byte(soft.Firmware)...)
	s.put(f, fReserved, []byte("00000")...)
	return hsm.Done
}

// echo is B2: what comes goes back.
func echo(*Server, *Fields) hsm.Code { return hsm.Done }

// randomNumber is N0.
func randomNumber(s *Server, f *Fields) hsm.Code {
	n := f.number(fLength, 10)
	if n < 1 || n > 256 {
		return hsm.BadDataLength
	}
	b, code := s.m.RandomBytes(nil, n)
	s.putHex(f, fData, b)
	return code
}
