package payshield

import (
	"strings"

	"tongka/hsm"
)

// schemes are the tags that a key can be asked for in.
const schemes = "ZUTXY0"

// scheme reads the tag that the next key is to be written with; '0' stands for
// none, which is the scheme of a single-length key.
func (c *cursor) scheme() byte {
	const want = "key scheme Z, U, T, X or Y"
	if !c.failed() && c.left() > 0 && strings.IndexByte(schemes, c.b[c.at]) < 0 {
		c.fail(hsm.BadScheme, want)
	}
	tag := c.one(schemes, want)
	if tag == '0' {
		tag = 'Z'
	}
	return tag
}

// atalla takes the variant of one or two digits that old hosts may send.
func (c *cursor) atalla() {
	for range 2 {
		if c.failed() || c.left() == 0 || digit(c.b[c.at]) > 9 {
			return
		}
		c.at++
	}
}

// masterKey reads the key to export or import under: new hosts send ';' and a
// flag (0 zone, 1 terminal) before it, old ones mean a zone master key.
func (c *cursor) masterKey() (t hsm.KeyType, k hsm.Key) {
	t = hsm.ZMK
	if c.skip(';') && c.one("01", "flag 0 or 1") == '1' {
		t = hsm.TMK
	}
	return t, c.key("master key")
}

// generateKey is A0, mode 0 (generate) and 1 (and export).
func generateKey(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	mode := c.one("01", "mode 0 or 1")
	t, scheme := c.keyType(), c.scheme()
	var masterType hsm.KeyType
	var master hsm.Key
	var out byte
	if mode == '1' {
		masterType, master = c.masterKey()
		out = c.scheme()
		c.atalla()
	}
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	k, code := s.m.Generate(t, scheme)
	if !code.OK() {
		return dst, code
	}
	dst = k.Append(dst)
	if mode == '1' {
		export, code := s.m.Export(t, &k, masterType, &master, out)
		if !code.OK() {
			return dst, code
		}
		dst = export.Append(dst)
	}
	return s.appendKCV(dst, t, &k, 3)
}

// importKey is A6. Code 01 warns that parity was forced; the key is there.
func importKey(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	t := c.keyType()
	masterType, master := c.masterKey()
	enc, scheme := c.key("key under the master key"), c.scheme()
	c.atalla()
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	return s.importUnder(dst, t, &enc, masterType, &master, scheme, 3)
}

// importZPK is FA: a zone PIN key from its master key, with a check value of 16
// digits unless the host asks for six.
func importZPK(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	master, enc := c.key("zone master key"), c.key("key under the zone master key")
	c.atalla()
	scheme, kcv := enc.Scheme, 8
	switch scheme { // what came under X9.17 is kept in the LMK's own schemes
	case 'X':
		scheme = 'U'
	case 'Y':
		scheme = 'T'
	}
	if c.skip(';') {
		c.take(1, "reserved character")
		if tag := c.scheme(); tag != 'Z' {
			scheme = tag
		}
		if c.one("01", "check value type 0 or 1") == '1' {
			kcv = 3
		}
	}
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	return s.importUnder(dst, hsm.ZPK, &enc, hsm.ZMK, &master, scheme, kcv)
}

// importUnder lets a warning through only after all fields are there.
func (s *Server) importUnder(dst []byte, t hsm.KeyType, enc *hsm.Key, masterType hsm.KeyType, master *hsm.Key, scheme byte, kcv int) ([]byte, hsm.Code) {
	k, warning := s.m.Import(t, enc, masterType, master, scheme)
	if !warning.OK() && warning != hsm.Mismatch {
		return dst, warning
	}
	dst, code := s.appendKCV(k.Append(dst), t, &k, kcv)
	if code.OK() {
		code = warning
	}
	return dst, code
}

// exportKey is A8. A machine that must be authorised for it answers 17; this one
// always is, since no key here protects anything.
func exportKey(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	t := c.keyType()
	masterType, master := c.masterKey()
	k, scheme := c.key("key under the LMK"), c.scheme()
	c.atalla()
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	export, code := s.m.Export(t, &k, masterType, &master, scheme)
	if !code.OK() {
		return dst, code
	}
	return s.appendKCV(export.Append(dst), t, &k, 3)
}

// generateTMK is HC: a new terminal key under the current one and under the LMK.
func generateTMK(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	return s.generateUnder(c, dst, hsm.TMK)
}

// generateTAK is HA: the same for an authentication key under a master key.
func generateTAK(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	return s.generateUnder(c, dst, hsm.TAK)
}

// generateUnder takes the current key's scheme for both unless the host says
// other ones. The key under the current one comes first, unlike in A0.
func (s *Server) generateUnder(c *cursor, dst []byte, t hsm.KeyType) ([]byte, hsm.Code) {
	master := c.key("current key")
	out, own := master.Scheme, master.Scheme
	if c.skip(';') {
		out, own = c.scheme(), c.scheme()
		c.one("01", "check value type 0 or 1")
	}
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	k, code := s.m.Generate(t, own)
	if !code.OK() {
		return dst, code
	}
	export, code := s.m.Export(t, &k, hsm.TMK, &master, out)
	if !code.OK() {
		return dst, code
	}
	return k.Append(export.Append(dst)), hsm.Done
}

// checkValue is BU: type of 2 digits (FF: of 3, behind the key), length flag,
// key, and which check value (16 digits unless type 1 is asked for).
func checkValue(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	t := hsm.KeyType(c.number(2, 16, "key type of 2 hexadecimal digits"))
	flag := c.take(1, "length flag")
	k := c.key("key")
	if t == 0xFF {
		c.one(";", "key type behind ;")
		t = c.keyType()
	}
	n := c.kcvType()
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	switch l := int(flag[0]) - '0'; {
	case l < 0 || l > 2:
		return dst, hsm.BadLengthFlag
	case 8*(l+1) != int(k.N):
		return dst, hsm.BadKeyLength
	}
	return s.appendKCV(dst, t, &k, n)
}

// checkValueLegacy is KA: key and type of 2 digits.
func checkValueLegacy(s *Server, c *cursor, dst []byte) ([]byte, hsm.Code) {
	k := c.key("key")
	t := hsm.KeyType(c.number(2, 16, "key type of 2 hexadecimal digits"))
	n := c.kcvType()
	if code := s.end(c); !code.OK() {
		return dst, code
	}
	return s.appendKCV(dst, t, &k, n)
}

// kcvType reads the optional ;00 and type, and gives the check value's bytes.
func (c *cursor) kcvType() int {
	if !c.skip(';') {
		return 8
	}
	c.take(2, "two reserved characters")
	if c.one("01", "check value type 0 or 1") == '1' {
		return 3
	}
	return 8
}

// appendKCV ends the response of every command that gives a key.
func (s *Server) appendKCV(dst []byte, t hsm.KeyType, k *hsm.Key, n int) ([]byte, hsm.Code) {
	kcv, code := s.m.CheckValue(t, k)
	if !code.OK() {
		return dst, code
	}
	return hsm.AppendHex(dst, kcv[:n]), hsm.Done
}
