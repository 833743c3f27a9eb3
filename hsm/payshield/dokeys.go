package payshield

import (
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/soft"
)

// form is how a key is to be written, by a scheme field and the header fields
// that came with it.
func (f *Fields) form(id field) *soft.Form {
	out := &soft.Form{Scheme: f.one(id)}
	if out.Scheme == '0' {
		out.Scheme = 'Z'
	}
	if f.v[fUsage] != nil {
		out.Header = clear.Header{Usage: [2]byte(f.v[fUsage]), Alg: f.one(fAlg), Mode: f.one(fUse),
			Version: [2]byte(f.v[fKVN]), Exportable: f.one(fExp)}
	}
	return out
}

// master is the type of the key that others go under: flag 1 says a terminal's.
func (f *Fields) master() hsm.KeyType {
	if f.one(fFlag) == '1' {
		return hsm.TMK
	}
	return hsm.ZMK
}

// kcvLen is 16 digits unless the host wants six.
func (f *Fields) kcvLen() int {
	if f.one(fKCVType) == '1' {
		return 3
	}
	return 8
}

// generateKey is A0, mode 0 (generate) and 1 (and export).
func generateKey(s *Server, f *Fields) hsm.Code {
	own, export, kcv, code := s.m.GenerateText(f.keyType(fType), f.form(fScheme), f.master(), f.v[fMaster], f.form(fOut))
	s.put(f, fKey, own...)
	s.put(f, fExport, export...)
	s.putHex(f, fKCV, kcv[:min(3, len(kcv))])
	return code
}

// importKey is A6. Code 01 warns that parity was forced; the key is there.
func importKey(s *Server, f *Fields) hsm.Code {
	return s.importAs(f, f.keyType(fType), f.form(fScheme), 3)
}

// importZPK is FA: what came under X9.17 is kept in the LMK's own schemes.
func importZPK(s *Server, f *Fields) hsm.Code {
	f.v[fFlag] = nil
	form := f.form(fScheme)
	if form.Scheme == 0 || form.Scheme == 'Z' {
		switch form.Scheme = f.v[fKey][0]; form.Scheme {
		case 'X', 'U':
			form.Scheme = 'U'
		case 'Y', 'T':
			form.Scheme = 'T'
		case 'R':
			form.Scheme = 'S'
		default:
			form.Scheme = 'Z'
		}
	}
	return s.importAs(f, hsm.ZPK, form, f.kcvLen())
}

func (s *Server) importAs(f *Fields, t hsm.KeyType, form *soft.Form, n int) hsm.Code {
	own, kcv, code := s.m.ImportText(t, f.v[fKey], f.master(), f.v[fMaster], form)
	s.put(f, fKey, own...)
	s.putHex(f, fKCV, kcv[:min(n, len(kcv))])
	return code
}

// exportKey is A8. A machine that must be authorised for it answers 17; this one
// always is, since no key here protects anything.
func exportKey(s *Server, f *Fields) hsm.Code {
	return s.exportAs(f, f.keyType(fType), f.master(), f.form(fScheme), 3)
}

func (s *Server) exportAs(f *Fields, t, masterType hsm.KeyType, form *soft.Form, n int) hsm.Code {
	export, kcv, code := s.m.ExportText(t, f.v[fKey], masterType, f.v[fMaster], form)
	s.put(f, fExport, export...)
	s.putHex(f, fKCV, kcv[:min(n, len(kcv))])
	return code
}

// schemeOf is the scheme that a key is written in.
func schemeOf(key []byte) byte {
	if len(key) > 0 && digit(key[0]) > 15 {
		return key[0]
	}
	return 'Z'
}

// generateFor is HC, HA and IA: a new key of one type under the LMK and under a
// current key, in that one's scheme unless the host says other ones.
func generateFor(t, masterType hsm.KeyType) func(*Server, *Fields) hsm.Code {
	return func(s *Server, f *Fields) hsm.Code { return s.generateAs(f, t, masterType) }
}

// generateZone is FI: flag 0 makes a data key, 1 an authentication key.
func generateZone(s *Server, f *Fields) hsm.Code {
	if f.one(fFlag) == '1' {
		return s.generateAs(f, hsm.ZAK, hsm.ZMK)
	}
	return s.generateAs(f, hsm.ZEK, hsm.ZMK)
}

func (s *Server) generateAs(f *Fields, t, masterType hsm.KeyType) hsm.Code {
	own, out := f.form(fScheme), f.form(fOut)
	if f.v[fOut] == nil {
		own.Scheme, out.Scheme = schemeOf(f.v[fMaster]), schemeOf(f.v[fMaster])
		if out.Scheme == 'S' {
			out.Scheme = 'R'
		}
	}
	key, export, kcv, code := s.m.GenerateText(t, own, masterType, f.v[fMaster], out)
	s.put(f, fKey, key...)
	s.put(f, fExport, export...)
	s.putHex(f, fKCV, kcv[:min(f.kcvLen(), len(kcv))])
	return code
}

// exportFor is AE, AG and GC: a stored key under another, in the scheme of the
// stored one unless the host says another.
func exportFor(t, masterType hsm.KeyType) func(*Server, *Fields) hsm.Code {
	return func(s *Server, f *Fields) hsm.Code {
		form := f.form(fOut)
		if f.v[fOut] == nil {
			if form.Scheme = schemeOf(f.v[fKey]); form.Scheme == 'S' {
				form.Scheme = 'R'
			}
		}
		return s.exportAs(f, t, masterType, form, f.kcvLen())
	}
}

// checkValue is BU (with a length flag, and type FF for one of three digits
// behind the key) and KA.
func checkValue(s *Server, f *Fields) hsm.Code {
	t, key := f.keyType(fType2), f.v[fKey]
	if t == 0xFF {
		t = f.keyType(fType)
	}
	if flag := f.one(fLength); flag != 0 && key[0] != 'S' {
		digits := len(key)
		if digit(key[0]) > 15 {
			digits--
		}
		switch {
		case flag < '0' || flag > '2':
			return hsm.BadLengthFlag
		case digits != 16*int(flag-'0'+1):
			return hsm.BadKeyLength
		}
	}
	kcv, code := s.m.CheckText(t, key)
	s.putHex(f, fKCV, kcv[:min(f.kcvLen(), len(kcv))])
	return code
}
