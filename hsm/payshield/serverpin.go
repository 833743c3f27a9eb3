package payshield

import "tongka/hsm"

// translateTPK is CA: a PIN block from a terminal's key to a zone's.
func translateTPK(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	return s.translate(c, dst, hsm.TPK)
}

// translateZPK is CC: from zone to zone.
func translateZPK(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	return s.translate(c, dst, hsm.ZPK)
}

// translate reads
//
//	source key | destination key | 12 | PIN block 16 | format 2 | format 2 | account 12
//
// and answers the PIN's length, the block and its format.
func (s *Server) translate(c *cursor, dst []byte, t hsm.KeyType) ([]byte, hsm.Code) {
	q := hsm.Request{Type: t}
	q.Key, q.Key2 = c.key("source key"), c.key("destination key")
	if n := c.number(2, 10, "maximum PIN length 12"); !c.failed() && n != 12 {
		c.at -= 2
		c.fail(hsm.BadInput, "maximum PIN length 12")
	}
	q.PIN = c.hex8("PIN block of 16 hexadecimal digits")
	q.From = hsm.PINFormat(c.number(2, 10, "source format of 2 digits"))
	q.To = hsm.PINFormat(c.number(2, 10, "destination format of 2 digits"))
	copy(q.PAN12[:], c.take(len(q.PAN12), "account number of 12 digits"))
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	block, n, code := s.m.Translate(&q)
	if !code.OK() {
		return dst, code
	}
	dst = hsm.AppendHex(append2(dst, n), block[:])
	return append2(dst, int(q.To)), code
}
