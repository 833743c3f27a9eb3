package payshield

import (
	"crypto/subtle"

	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/soft"
)

// unpack gives data that may have come as digits; the length counted characters,
// whatever they stand for.
func (s *Server) unpack(data []byte, digits bool) ([]byte, hsm.Code) {
	if !digits {
		return data, hsm.Done
	}
	if len(data)%2 != 0 {
		return nil, hsm.BadDataLength
	}
	s.buf = append(s.buf[:0], data...)
	if hsm.DecodeHex(s.buf[:len(data)/2], data) >= 0 {
		return nil, hsm.BadInput
	}
	return s.buf[:len(data)/2], hsm.Done
}

// iv gives the bytes of an IV field; nil when it is not there.
func (f *Fields) iv(id field) []byte {
	if f.v[id] == nil {
		return nil
	}
	b := make([]byte, len(f.v[id])/2)
	hsm.DecodeHex(b, f.v[id])
	return b
}

// last says that a mode (0 only, 1 first, 2 middle, 3 last) ends the message.
func (f *Fields) last() bool { return f.one(fMode) == '0' || f.one(fMode) == '3' }

// messageMAC computes what M6 and M8 are about. A key type other than TAK and ZAK
// is refused, unless a key block says what it is for.
func (s *Server) messageMAC(f *Fields) ([]byte, hsm.Code) {
	t := f.keyType(fType)
	if t != hsm.TAK && t != hsm.ZAK && (t != soft.Any || f.v[fKey][0] != 'S') {
		return nil, hsm.BadKeyType
	}
	if t == soft.Any {
		t = hsm.TAK // what M blocks are
	}
	data, code := s.unpack(f.v[fData], f.one(fIn) == '1')
	if !code.OK() {
		return nil, code
	}
	if len(data) == 0 && f.one(fAlg) != '6' {
		return nil, hsm.BadDataLength
	}
	k := soft.MACKind{Alg: f.one(fAlg), Pad: clear.Padding(f.one(fPad) - '0'), IV: f.iv(fIV), More: !f.last()}
	return s.m.MACText(t, f.v[fKey], &k, data)
}

func (f *Fields) macLen() int {
	if f.one(fSize) == '1' {
		return 8
	}
	return 4
}

// makeMAC is M6.
func makeMAC(s *Server, f *Fields) hsm.Code {
	mac, code := s.messageMAC(f)
	switch {
	case !code.OK():
	case f.last():
		s.putHex(f, fMAC, mac[:f.macLen()])
	default:
		s.putHex(f, fNext, mac)
	}
	return code
}

// verifyMAC is M8: the MAC follows the message of the only or last part.
func verifyMAC(s *Server, f *Fields) hsm.Code {
	mac, code := s.messageMAC(f)
	switch {
	case !code.OK():
	case f.last():
		return sameHex(mac[:f.macLen()], f.v[fMAC])
	default:
		s.putHex(f, fNext, mac)
	}
	return code
}

// sameHex compares with digits of either case, in constant time.
func sameHex(mac, digits []byte) hsm.Code {
	var want [16]byte
	if len(digits) != 2*len(mac) || hsm.DecodeHex(want[:len(mac)], digits) >= 0 {
		return hsm.BadInput
	}
	if subtle.ConstantTimeCompare(mac, want[:len(mac)]) != 1 {
		return hsm.Mismatch
	}
	return hsm.Done
}

func (f *Fields) authType() hsm.KeyType {
	if f.one(fFlag) == '1' {
		return hsm.ZAK
	}
	return hsm.TAK
}

// makeMAB is MS: the whole 8 bytes, X9.9 or X9.19 by the key's length.
func makeMAB(s *Server, f *Fields) hsm.Code {
	data, code := s.unpack(f.v[fData], f.one(fIn) == '1')
	if !code.OK() {
		return code
	}
	k := soft.MACKind{Alg: '1', Pad: 1, IV: f.iv(fIV), More: !f.last()}
	digits := 16
	if f.one(fKeyLen) == '1' {
		k.Alg, digits = '3', 33
	}
	if f.v[fKey][0] != 'S' && len(f.v[fKey]) != digits {
		return hsm.BadKeyLength
	}
	mab, code := s.m.MACText(f.authType(), f.v[fKey], &k, data)
	s.putHex(f, fMAC, mab)
	return code
}

// terminalMAC is the code of MA, MC and ME: CBC-MAC under a TAK of all that is
// left. There is no length, so no trailer can follow.
func (s *Server) terminalMAC(key, data []byte) ([]byte, hsm.Code) {
	mac, code := s.m.MACText(hsm.TAK, key, &soft.MACKind{Alg: '1', Pad: 1}, data)
	return mac[:min(4, len(mac))], code
}

// makeTerminalMAC is MA: key, message.
func makeTerminalMAC(s *Server, f *Fields) hsm.Code {
	mac, code := s.terminalMAC(f.v[fKey], f.v[fData])
	s.putHex(f, fMAC, mac)
	return code
}

// verifyTerminalMAC is MC: key, MAC of 8 digits, message.
func verifyTerminalMAC(s *Server, f *Fields) hsm.Code {
	mac, code := s.terminalMAC(f.v[fKey], f.v[fData])
	if !code.OK() {
		return code
	}
	return sameHex(mac, f.v[fMAC])
}

// translateTerminalMAC is ME: verified by one key, made with another.
func translateTerminalMAC(s *Server, f *Fields) hsm.Code {
	if code := verifyTerminalMAC(s, f); !code.OK() {
		return code
	}
	mac, code := s.terminalMAC(f.v[fKey2], f.v[fData])
	if code == hsm.BadKey {
		code = hsm.BadKey2
	}
	s.putHex(f, fMAC, mac)
	return code
}

func (s *Server) blockMAC(f *Fields) ([]byte, hsm.Code) {
	data, code := s.unpack(f.v[fData], f.one(fIn) == '1')
	if !code.OK() {
		return nil, code
	}
	k := soft.MACKind{Alg: '1', Pad: 1, IV: f.iv(fIV), More: !f.last()}
	if f.one(fAlg) == '1' {
		k.Alg = '3'
	}
	return s.m.MACText(f.authType(), f.v[fKey], &k, data)
}

// makeBlockMAC is C2: X9.9 or X9.19 over the only, first, middle or last block.
func makeBlockMAC(s *Server, f *Fields) hsm.Code {
	mac, code := s.blockMAC(f)
	s.putHex(f, fMAC, mac)
	return code
}

// verifyBlockMAC is C4.
func verifyBlockMAC(s *Server, f *Fields) hsm.Code {
	mac, code := s.blockMAC(f)
	if !code.OK() {
		return code
	}
	return sameHex(mac, f.v[fMAC])
}

// cryptData is M0 and M2.
func (s *Server) cryptData(f *Fields, decrypt bool) hsm.Code {
	data, code := s.unpack(f.v[fData], f.one(fIn) == '1')
	if !code.OK() {
		return code
	}
	mode := f.v[fMode]
	if mode[0] != '0' || mode[1] > '3' {
		return hsm.BadInput
	}
	out, next, code := s.m.Crypt(f.keyType(fType), f.v[fKey], &soft.CryptKind{Mode: mode[1], IV: f.iv(fIV), Decrypt: decrypt}, data)
	s.putHex(f, fNext, next)
	s.putData(f, out)
	return code
}

// putData gives data in the format that was asked for.
func (s *Server) putData(f *Fields, out []byte) {
	if f.one(fOut) == '1' {
		s.putHex(f, fData, out)
	} else {
		s.put(f, fData, out...)
	}
}

func encryptData(s *Server, f *Fields) hsm.Code { return s.cryptData(f, false) }

func decryptData(s *Server, f *Fields) hsm.Code { return s.cryptData(f, true) }

// translateData is M4: from one data key to another.
func translateData(s *Server, f *Fields) hsm.Code {
	data, code := s.unpack(f.v[fData], f.one(fIn) == '1')
	if !code.OK() {
		return code
	}
	from, to := f.v[fMode], f.v[fMode2]
	if from[0] != '0' || to[0] != '0' || from[1] > '3' || to[1] > '3' {
		return hsm.BadInput
	}
	plain, next, code := s.m.Crypt(f.keyType(fType), f.v[fKey], &soft.CryptKind{Mode: from[1], IV: f.iv(fIV), Decrypt: true}, data)
	if !code.OK() {
		return code
	}
	out, next2, code := s.m.Crypt(f.keyType(fType2), f.v[fKey2], &soft.CryptKind{Mode: to[1], IV: f.iv(fIV2)}, plain)
	if code == hsm.BadKey {
		code = hsm.BadKey2
	}
	s.putHex(f, fNext, next)
	s.putHex(f, fNext2, next2)
	s.putData(f, out)
	return code
}
