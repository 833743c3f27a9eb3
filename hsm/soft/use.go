package soft

import (
	"crypto/cipher"
	"crypto/subtle"
	"io"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// Cipher gives a DES key of any form, expanded: kept when it is under the variant
// LMK, made anew when it is a key block.
func (m *Module) Cipher(t hsm.KeyType, text []byte) (*clear.Cipher, hsm.Code) {
	if len(text) > 0 && text[0] != 'S' {
		k, n, err := hsm.ReadKey(text)
		if err != nil || n != len(text) {
			return nil, codeOf(err)
		}
		return m.cipher(t, &k, nil)
	}
	s, code := m.reveal(t, text)
	if !code.OK() {
		return nil, code
	}
	if s.alg != clear.DES {
		return nil, hsm.BadKey
	}
	c, err := clear.NewCipher(s.key)
	if err != nil {
		return nil, hsm.BadKeyLength
	}
	return c, hsm.Done
}

// PIN gives the digits of an encrypted PIN block, lent until the next one.
func (m *Module) PIN(t hsm.KeyType, key []byte, block [8]byte, pan12 *[12]byte, f hsm.PINFormat) ([]byte, hsm.Code) {
	c, code := m.Cipher(t, key)
	if !code.OK() {
		return nil, code
	}
	n, code := clear.DecodePIN(c.Decrypt(block), pan12, f, &m.pin)
	return m.pin[:n], code
}

// Block encrypts a PIN block of digits.
func (m *Module) Block(t hsm.KeyType, key []byte, pin []byte, pan12 *[12]byte, f hsm.PINFormat) (block [8]byte, code hsm.Code) {
	c, code := m.Cipher(t, key)
	if !code.OK() {
		return block, code
	}
	fill, code := m.random8()
	if !code.OK() {
		return block, code
	}
	if code := clear.EncodePIN(&block, pin, pan12, f, fill); !code.OK() {
		return [8]byte{}, code
	}
	return c.Encrypt(block), hsm.Done
}

func (m *Module) random8() (v uint64, code hsm.Code) {
	if _, err := io.ReadFull(m.rand, m.fill[:]); err != nil {
		return 0, hsm.BadModule
	}
	for _, b := range m.fill {
		v = v<<8 | uint64(b)
	}
	return v, hsm.Done
}

// RandomBytes appends n random bytes.
func (m *Module) RandomBytes(dst []byte, n int) ([]byte, hsm.Code) {
	at := len(dst)
	dst = append(dst, make([]byte, n)...)
	if _, err := io.ReadFull(m.rand, dst[at:]); err != nil {
		return dst[:at], hsm.BadModule
	}
	return dst, hsm.Done
}

// MACKind is the way that M6, M8 and their like make a code.
type MACKind struct {
	Alg  byte // '1' CBC with the whole key, '3' X9.19, '5' AES CBC, '6' CMAC
	Pad  clear.Padding
	IV   []byte // nil: zeros
	More bool   // other parts follow: the result is the next IV
}

// MACText makes a code over data, 8 bytes or 16 with an AES key.
func (m *Module) MACText(t hsm.KeyType, key []byte, k *MACKind, data []byte) ([]byte, hsm.Code) {
	if k.Alg == '1' || k.Alg == '3' {
		if k.Alg == '3' && len(key) > 0 && key[0] != 'S' && len(key) != 33 {
			return nil, hsm.BadKeyLength // said before the key is looked into
		}
		c, code := m.Cipher(t, key)
		if !code.OK() {
			return nil, code
		}
		return m.desMAC(c, k, data)
	}
	s, code := m.reveal(t, key)
	if !code.OK() {
		return nil, code
	}
	b, err := clear.NewBlock(s.alg, s.key)
	switch {
	case err != nil:
		return nil, hsm.BadKeyLength
	case k.Alg == '6' && (k.More || k.IV != nil):
		return nil, hsm.BadInput // one block of message only: there is no part to go on from
	case k.Alg == '6':
		return clear.CMAC(b, data), hsm.Done
	case s.alg != clear.AES:
		return nil, hsm.BadKey
	}
	if !k.More {
		data = clear.Pad(nil, data, k.Pad, 16)
	}
	if len(data) == 0 || len(data)%16 != 0 || k.IV != nil && len(k.IV) != 16 {
		return nil, hsm.BadDataLength
	}
	return clear.CBCMAC(b, k.IV, data), hsm.Done
}

func (m *Module) desMAC(c *clear.Cipher, k *MACKind, data []byte) ([]byte, hsm.Code) {
	alg := hsm.X99
	if k.Alg == '3' {
		if alg = hsm.X919; c.Len() != 16 {
			return nil, hsm.BadKeyLength
		}
	}
	var iv [8]byte
	if k.IV != nil && copy(iv[:], k.IV) != len(k.IV) {
		return nil, hsm.BadInput
	}
	if !k.More && k.Pad > 1 {
		m.buf = clear.Pad(m.buf[:0], data, k.Pad, 8)
		data = m.buf
	}
	if len(data) == 0 || len(data)%8 != 0 && (k.More || k.Pad == 0) {
		return nil, hsm.BadDataLength
	}
	m.out = c.Chain(alg, iv, data, !k.More)
	return m.out[:], hsm.Done
}

// CryptKind is the way that M0 and M2 encrypt.
type CryptKind struct {
	Mode    byte   // '0' ECB, '1' CBC, '2' CFB of 8 bits, '3' CFB of 64
	IV      []byte // not for ECB
	Decrypt bool
}

// Crypt encrypts or decrypts data with a key of any form; next is the IV to go
// on with.
func (m *Module) Crypt(t hsm.KeyType, key []byte, k *CryptKind, data []byte) (out, next []byte, code hsm.Code) {
	s, code := m.reveal(t, key)
	if !code.OK() {
		return nil, nil, code
	}
	return crypt(s, k, data)
}

func crypt(s secret, k *CryptKind, data []byte) (out, next []byte, code hsm.Code) {
	b, err := clear.NewBlock(s.alg, s.key)
	if err != nil {
		return nil, nil, hsm.BadKeyLength
	}
	size := b.BlockSize()
	if k.Mode != '0' && len(k.IV) != size {
		return nil, nil, hsm.BadInput
	}
	if len(data) == 0 || k.Mode != '2' && len(data)%size != 0 {
		return nil, nil, hsm.BadInput
	}
	chained := data // the cryptogram, of which the last block is the next IV
	switch k.Mode {
	case '0':
		return clear.ECB(b, data, k.Decrypt), nil, hsm.Done
	case '1':
		out = clear.CBC(b, k.IV, data, k.Decrypt)
	case '2', '3':
		step := size
		if k.Mode == '2' {
			step = 1
		}
		out = feedback(b, k.IV, data, step, k.Decrypt)
	default:
		return nil, nil, hsm.BadInput
	}
	if !k.Decrypt {
		chained = out
	}
	chained = append(append([]byte(nil), k.IV...), chained...)
	return out, chained[len(chained)-size:], hsm.Done
}

// feedback is CFB with steps of one byte or one block.
func feedback(b cipher.Block, iv, data []byte, step int, decrypt bool) []byte {
	register := append([]byte(nil), iv...)
	stream := make([]byte, len(iv))
	out := make([]byte, len(data))
	for at := 0; at < len(data); at += step {
		b.Encrypt(stream, register)
		subtle.XORBytes(out[at:at+step], data[at:at+step], stream)
		sent := out[at : at+step]
		if decrypt {
			sent = data[at : at+step]
		}
		register = append(register[step:], sent...)
	}
	return out
}

// Purse gives a card's key from a master key of any form.
func (m *Module) Purse(t hsm.KeyType, key []byte, c *hsm.Card) (*clear.Purse, hsm.Code) {
	s, code := m.reveal(t, key)
	if !code.OK() {
		return nil, code
	}
	return m.purse(s, c)
}

func (m *Module) purse(s secret, c *hsm.Card) (*clear.Purse, hsm.Code) {
	if c.Alg != hsm.CardDES && !m.sm4 {
		return nil, hsm.Disabled
	}
	if (s.alg == clear.SM4) != (c.Alg == hsm.CardSM4) || s.alg == clear.AES {
		return nil, hsm.BadKey
	}
	p, err := clear.NewPurse(s.key, c)
	if err != nil {
		return nil, codeOf(err)
	}
	return p, hsm.Done
}
