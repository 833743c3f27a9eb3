package payshield

import (
	"crypto/subtle"

	"tongka/hsm"
)

// macFields are the fields that M6, M8 and MS share once read. mode is '0' only
// block, '1' first, '2' middle, '3' last.
type macFields struct {
	mode byte
	alg  hsm.MACAlg
	size int // bytes of the MAC: 4 or 8
	pad  byte
	t    hsm.KeyType
	key  hsm.Key
	iv   [8]byte
	data []byte
	code hsm.Code // a fault that the cursor does not see, or zero
}

func (f *macFields) last() bool { return f.mode == '0' || f.mode == '3' }

// readMAC reads M6 and M8 up to the message:
//
//	mode 1 | input 1 | MAC size 1 | algorithm 1 | padding 1 | type 3 | key | [IV 16] | length 4 | message
func (s *Server) readMAC(c *cursor) (f macFields) {
	f.mode = c.one("0123", "mode 0 to 3")
	input := c.one("012", "input format 0 to 2")
	f.size = 4
	if c.one("01", "MAC size 0 or 1") == '1' {
		f.size = 8
	}
	if c.one("13", "MAC algorithm 1 or 3") == '3' {
		f.alg = hsm.X919
	} else {
		f.alg = hsm.X99
	}
	f.pad = c.one("012", "padding 0 to 2")
	if f.t = c.keyType(); f.t != hsm.TAK && f.t != hsm.ZAK {
		f.code = hsm.BadKeyType
	}
	f.key = c.key("key")
	if f.mode > '1' {
		f.iv = c.hex8("IV of 16 hexadecimal digits")
	}
	n := int(c.number(4, 16, "length of 4 hexadecimal digits"))
	f.data = s.message(c, n, input == '1')
	return f
}

// message takes n characters; digits are decoded into the server's buffer. The
// length counts characters, whatever they stand for.
func (s *Server) message(c *cursor, n int, digits bool) []byte {
	data := c.takeOr(n, hsm.BadDataLength, "message as long as the length says")
	s.buf = append(s.buf[:0], data...)
	if !digits || c.failed() {
		return s.buf
	}
	if n%2 != 0 {
		c.fail(hsm.BadDataLength, "an even number of digits")
		return nil
	}
	if bad := hsm.DecodeHex(s.buf[:n/2], data); bad >= 0 {
		c.at += bad - n
		c.fail(hsm.BadInput, "message of hexadecimal digits")
	}
	return s.buf[:n/2]
}

// chain computes over the message: a MAC when it is the last part, else the IV
// of the next one.
func (s *Server) chain(f *macFields) ([8]byte, hsm.Code) {
	data := f.data
	if f.last() && f.pad == '2' {
		data = append(data, 0x80)
		s.buf = data[:0]
	}
	whole := len(data)%8 == 0
	if len(data) == 0 || !whole && (!f.last() || f.pad == '0') {
		return f.iv, hsm.BadDataLength
	}
	return s.m.Chain(f.t, &f.key, f.alg, f.iv, data, f.last())
}

// makeMAC is M6.
func makeMAC(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	f := s.readMAC(c)
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	if f.code != (hsm.Code{}) {
		return dst, f.code
	}
	mac, code := s.chain(&f)
	if !code.OK() {
		return dst, code
	}
	if !f.last() {
		return hsm.AppendHex(dst, mac[:]), code
	}
	return hsm.AppendHex(dst, mac[:f.size]), code
}

// verifyMAC is M8: the MAC follows the message of the only or last part.
func verifyMAC(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	f := s.readMAC(c)
	var want [8]byte
	if f.last() {
		c.hex(want[:f.size], "MAC of hexadecimal digits")
	}
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	if f.code != (hsm.Code{}) {
		return dst, f.code
	}
	mac, code := s.chain(&f)
	switch {
	case !code.OK():
		return dst, code
	case !f.last():
		return hsm.AppendHex(dst, mac[:]), code
	case subtle.ConstantTimeCompare(mac[:f.size], want[:f.size]) != 1:
		return dst, hsm.Mismatch
	}
	return dst, hsm.Done
}

// makeMAB is MS: the whole 8 bytes, X9.9 or X9.19 by the key's length. Its length
// counts bytes, also when the message is digits.
func makeMAB(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	f := macFields{mode: c.one("0123", "block number 0 to 3"), t: hsm.TAK, pad: '1'}
	if c.one("01", "key type 0 or 1") == '1' {
		f.t = hsm.ZAK
	}
	size := 8
	if f.alg = hsm.X99; c.one("01", "key length 0 or 1") == '1' {
		f.alg, size = hsm.X919, 16
	}
	digits := c.one("01", "message type 0 or 1") == '1'
	f.key = c.key("key")
	if f.mode > '1' {
		f.iv = c.hex8("IV of 16 hexadecimal digits")
	}
	n := int(c.number(4, 16, "length of 4 hexadecimal digits"))
	if digits {
		n *= 2
	}
	f.data = s.message(c, n, digits)
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	if int(f.key.N) != size {
		return dst, hsm.BadKeyLength
	}
	mab, code := s.chain(&f)
	return hsm.AppendHex(dst, mab[:]), code
}

// terminalMAC is the code of MA and MC: CBC-MAC under a TAK of all that is left.
// There is no length, so no trailer can follow.
func (s *Server) terminalMAC(c *cursor, k *hsm.Key) ([8]byte, hsm.Code) {
	data := c.take(c.left(), "message")
	if c.failed() {
		return [8]byte{}, c.code
	}
	return s.chain(&macFields{mode: '0', alg: hsm.X99, pad: '1', t: hsm.TAK, key: *k, data: data})
}

// makeTerminalMAC is MA: key, message.
func makeTerminalMAC(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	k := c.key("key")
	mac, code := s.terminalMAC(c, &k)
	return hsm.AppendHex(dst, mac[:4]), code
}

// verifyTerminalMAC is MC: key, MAC of 8 digits, message.
func verifyTerminalMAC(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	k := c.key("key")
	var want [4]byte
	c.hex(want[:], "MAC of 8 hexadecimal digits")
	mac, code := s.terminalMAC(c, &k)
	if code.OK() && subtle.ConstantTimeCompare(mac[:4], want[:]) != 1 {
		return dst, hsm.Mismatch
	}
	return dst, code
}
