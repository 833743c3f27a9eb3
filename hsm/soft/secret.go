package soft

import (
	"errors"
	"io"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// secret is a key in clear, for as long as one command lasts.
type secret struct {
	alg clear.Alg
	key []byte
}

// Form is how a key is to be written: a variant scheme (Z, U, T, X, Y), S for a
// key block under the LMK or R for a TR-31 block under another key. A block
// needs the fields of its header; zeros mean what suits the key type.
type Form struct {
	Scheme byte
	Header clear.Header
}

// Any is the key type of commands that leave it to the key block's header (FFF).
const Any hsm.KeyType = 0xFFF

// usages are the key block usages that a key type may have, the first being the
// one for new blocks. Source: TR-31 table 6 and, for two digits, payShield's own.
var usages = map[hsm.KeyType][]string{
	hsm.ZMK: {"K0", "52"}, hsm.ZPK: {"P0", "72"}, hsm.TPK: {"P0", "71", "K0", "51", "V0", "V1", "V2"},
	hsm.TAK: {"M3", "M0", "M1", "M5", "M6", "M7"}, hsm.ZAK: {"M3", "M0", "M1", "M5", "M6", "M7"},
	hsm.BDK: {"B0", "41"}, hsm.ZEK: {"D0", "22"}, hsm.DEK: {"D0", "21"}, 0x30B: {"D0", "23"},
	hsm.MKAC: {"E0"}, 0x209: {"E2"}, 0x309: {"E1"}, 0x409: {"E3"}, 0x509: {"E4"}, hsm.CVK: {"C0", "11", "12", "13"},
}

// sm4Text is the length of an SM4 key as text; no key block is as short.
const sm4Text = 33

// suits says whether a block of this usage may serve as a key of the type.
func suits(t hsm.KeyType, usage [2]byte) bool {
	if t == Any {
		return true
	}
	for _, u := range usages[t] {
		if string(usage[:]) == u {
			return true
		}
	}
	return false
}

// reveal opens a key under the LMK from its text, whatever its form.
func (m *Module) reveal(t hsm.KeyType, text []byte) (secret, hsm.Code) {
	if len(text) > 0 && text[0] == 'S' && len(text) != sm4Text {
		kind, ok := clear.BlockKind(0), false
		if len(text) > 1 {
			kind, ok = clear.KindOfBlock('S', text[1])
		}
		if !ok {
			return secret{}, hsm.BadScheme
		}
		return openBlock(t, kind, m.lmk.block(kind), text[1:])
	}
	k, err := hsm.ParseKey(string(text))
	if err != nil {
		return secret{}, codeOf(err)
	}
	return m.revealKey(t, &k)
}

// revealKey is reveal for a key that is a value.
func (m *Module) revealKey(t hsm.KeyType, k *hsm.Key) (secret, hsm.Code) {
	var own [24]byte
	if code := m.open(t, k, &own); !code.OK() {
		return secret{}, code
	}
	alg := clear.DES
	if k.Scheme == hsm.SM4Scheme {
		alg = clear.SM4
	}
	return secret{alg, append([]byte(nil), own[:k.N]...)}, hsm.Done
}

func openBlock(t hsm.KeyType, kind clear.BlockKind, under []byte, text []byte) (secret, hsm.Code) {
	h, key, err := clear.OpenBlock(kind, under, text)
	if err != nil {
		return secret{}, codeOf(err)
	}
	if !suits(t, h.Usage) {
		return secret{}, hsm.BadUsage
	}
	s := secret{clear.DES, key}
	if h.Alg == 'A' {
		s.alg = clear.AES
	}
	if _, err := clear.NewBlock(s.alg, key); err != nil {
		return secret{}, hsm.BadKeyLength
	}
	return s, hsm.Done
}

// codeOf is the code that an error stands for.
func codeOf(err error) hsm.Code {
	if err == nil {
		return hsm.BadInput
	}
	code := hsm.BadInput
	errors.As(err, &code)
	return code
}

// hide puts a key under the LMK and gives its text.
func (m *Module) hide(t hsm.KeyType, f *Form, s secret) ([]byte, hsm.Code) {
	if f.Scheme == 'S' {
		kind := clear.Thales0
		if s.alg == clear.AES {
			kind = clear.Thales1
		}
		return m.block('S', kind, m.lmk.block(kind), t, f, s)
	}
	if s.alg != clear.DES {
		return nil, hsm.BadScheme // a variant LMK holds DES keys only
	}
	if lengthOf(f.Scheme) == 0 {
		return nil, hsm.BadScheme
	}
	k, code := m.seal(t, f.Scheme, s.key)
	return k.Append(nil), code
}

func (m *Module) block(tag byte, kind clear.BlockKind, under []byte, t hsm.KeyType, f *Form, s secret) ([]byte, hsm.Code) {
	h := f.Header
	if h.Usage == [2]byte{} {
		u, ok := usages[t]
		if !ok {
			return nil, hsm.BadKeyType
		}
		h.Usage = [2]byte([]byte(u[0]))
	}
	if !suits(t, h.Usage) {
		return nil, hsm.BadUsage
	}
	if h.Alg = 'T'; s.alg == clear.AES {
		h.Alg = 'A'
	}
	or := func(b *byte, c byte) {
		if *b == 0 {
			*b = c
		}
	}
	or(&h.Mode, 'N')
	or(&h.Version[0], '0')
	or(&h.Version[1], '0')
	or(&h.Exportable, 'E')
	h.Reserved = [2]byte{'0', '0'}
	text, err := clear.SealBlock(kind, under, h, s.key, m.rand)
	if err != nil {
		return nil, codeOf(err)
	}
	return append([]byte{tag}, text...), hsm.Done
}

// revealUnder opens a key that came under another one.
func (m *Module) revealUnder(under secret, t hsm.KeyType, text []byte) (s secret, forced bool, code hsm.Code) {
	if len(text) > 1 && text[0] == 'R' {
		kind, ok := clear.KindOfBlock('R', text[1])
		if !ok {
			return s, false, hsm.BadScheme
		}
		s, code = openBlock(t, kind, under.key, text[1:])
		return s, false, code
	}
	k, n, err := hsm.ReadKey(text)
	if err != nil || n != len(text) {
		return s, false, codeOf(err)
	}
	if under.alg != clear.DES {
		return s, false, hsm.BadScheme
	}
	var own [24]byte
	if code := unwrapUnder(under.key, &k, &own); !code.OK() {
		return s, false, code
	}
	forced = forceParity(own[:k.N])
	return secret{clear.DES, append([]byte(nil), own[:k.N]...)}, forced, hsm.Done
}

// hideUnder puts a key under another one. A TR-31 block is of version D when
// that is an AES key, else of version B.
func (m *Module) hideUnder(under secret, t hsm.KeyType, f *Form, s secret) ([]byte, hsm.Code) {
	if f.Scheme == 'R' {
		kind := clear.TR31B
		if under.alg == clear.AES {
			kind = clear.TR31D
		}
		return m.block('R', kind, under.key, t, f, s)
	}
	if under.alg != clear.DES || s.alg != clear.DES || lengthOf(f.Scheme) == 0 {
		return nil, hsm.BadScheme
	}
	k, code := wrapUnder(under.key, f.Scheme, s.key)
	return k.Append(nil), code
}

// random makes a key of odd parity for a form: AES keys only as blocks.
func (m *Module) random(f *Form) (s secret, code hsm.Code) {
	n := lengthOf(f.Scheme)
	if f.Scheme == 'S' {
		switch n = 16; f.Header.Alg {
		case 'A':
			s.alg = clear.AES
		case 0, 'T':
		default:
			return s, hsm.BadInput
		}
	}
	if n == 0 {
		return s, hsm.BadScheme
	}
	s.key = make([]byte, n)
	if _, err := io.ReadFull(m.rand, s.key); err != nil {
		return s, hsm.BadModule
	}
	if s.alg == clear.DES {
		forceParity(s.key)
	}
	return s, hsm.Done
}

// kcv is E(key, zeros), for AES its CMAC over zeros (ANSI X9.24-1 of 2017).
func (s secret) kcv() []byte {
	b, err := clear.NewBlock(s.alg, s.key)
	if err != nil {
		return make([]byte, 8) // lengths are checked where a secret is made
	}
	zeros := make([]byte, b.BlockSize())
	if s.alg == clear.AES {
		return clear.CMAC(b, zeros)[:8]
	}
	return clear.ECB(b, zeros, false)[:8]
}

// GenerateText makes a key under the LMK and, with a master key, under that.
func (m *Module) GenerateText(t hsm.KeyType, f *Form, masterType hsm.KeyType, master []byte, out *Form) (own, export, kcv []byte, code hsm.Code) {
	s, code := m.random(f)
	if !code.OK() {
		return nil, nil, nil, code
	}
	if own, code = m.hide(t, f, s); !code.OK() {
		return nil, nil, nil, code
	}
	if master != nil {
		under, code := m.reveal(masterType, master)
		if !code.OK() {
			return nil, nil, nil, code
		}
		if export, code = m.hideUnder(under, t, out, s); !code.OK() {
			return nil, nil, nil, code
		}
	}
	return own, export, s.kcv(), hsm.Done
}

// ImportText takes a key from under another to the LMK. Mismatch warns that its
// parity was wrong and was forced.
func (m *Module) ImportText(t hsm.KeyType, enc []byte, masterType hsm.KeyType, master []byte, f *Form) (own, kcv []byte, code hsm.Code) {
	under, code := m.reveal(masterType, master)
	if !code.OK() {
		return nil, nil, code
	}
	s, forced, code := m.revealUnder(under, t, enc)
	if !code.OK() {
		return nil, nil, code
	}
	if own, code = m.hide(t, f, s); code.OK() && forced {
		code = hsm.Mismatch
	}
	return own, s.kcv(), code
}

// ExportText takes a key from the LMK to another key.
func (m *Module) ExportText(t hsm.KeyType, text []byte, masterType hsm.KeyType, master []byte, f *Form) (export, kcv []byte, code hsm.Code) {
	under, code := m.reveal(masterType, master)
	if !code.OK() {
		return nil, nil, code
	}
	s, code := m.reveal(t, text)
	if !code.OK() {
		return nil, nil, asSecond(code)
	}
	export, code = m.hideUnder(under, t, f, s)
	return export, s.kcv(), code
}

// CheckText is CheckValue for a key in any form.
func (m *Module) CheckText(t hsm.KeyType, text []byte) ([]byte, hsm.Code) {
	s, code := m.reveal(t, text)
	if !code.OK() {
		return nil, code
	}
	return s.kcv(), hsm.Done
}
