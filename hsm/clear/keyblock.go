package clear

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"

	"tongka/hsm"
)

// BlockKind is a way to bind a key to its header: the four versions of TR-31 and
// the two of payShield's own key blocks under an LMK.
type BlockKind uint8

// Kinds of key blocks.
const (
	TR31A   BlockKind = iota // DES, variants of the wrapping key
	TR31B                    // DES, derived keys
	TR31C                    // as A
	TR31D                    // AES, derived keys
	Thales0                  // S block under a 3DES LMK
	Thales1                  // S block under an AES LMK
)

// blockForm is how a kind differs from the others. Source: ASC X9 TR-31 (2018);
// the Thales forms are from blocks that were published with their keys.
type blockForm struct {
	version byte
	alg     Alg
	derived bool // wrapping and MAC keys are derived by CMAC, else they are variants
	mac     int  // bytes
	clear   bool // the MAC is over the key in clear and is the IV, else over the cryptogram
}

var blockForms = [...]blockForm{
	TR31A:   {'A', DES, false, 4, false},
	TR31B:   {'B', DES, true, 8, true},
	TR31C:   {'C', DES, false, 4, false},
	TR31D:   {'D', AES, true, 16, true},
	Thales0: {'0', DES, false, 4, false},
	Thales1: {'1', AES, true, 8, false},
}

// Header is the first 16 characters of a key block, without its length.
type Header struct {
	Usage      [2]byte // P0 for PIN encryption …
	Alg        byte    // of the key within: T 3DES, D DES, A AES
	Mode       byte    // N none, E encrypt, V verify …
	Version    [2]byte
	Exportable byte
	Reserved   [2]byte // the LMK identifier in payShield's blocks
	Optional   string  // optional blocks, as they stand between header and key
}

const blockHeader = 16

// KindOfBlock tells the kind by the version character and whether the block
// stands behind S (payShield) or R (TR-31).
func KindOfBlock(tag, version byte) (BlockKind, bool) {
	for k := range blockForms {
		if blockForms[k].version == version && (BlockKind(k) >= Thales0) == (tag == 'S') {
			return BlockKind(k), true
		}
	}
	return 0, false
}

// BlockLen reads the length of the block that text begins with, header included.
func BlockLen(text []byte) (int, error) {
	if len(text) < blockHeader {
		return 0, fmt.Errorf("key block: byte %d: a header of 16 characters wanted: %w", len(text), hsm.BadInput)
	}
	n := 0
	for i := 1; i < 5; i++ {
		if text[i] < '0' || text[i] > '9' {
			return 0, fmt.Errorf("key block: byte %d: length of 4 digits wanted: %w", i, hsm.BadInput)
		}
		n = 10*n + int(text[i]-'0')
	}
	if n < blockHeader || n > len(text) {
		return 0, fmt.Errorf("key block: byte 1: length %d of %d: %w", n, len(text), hsm.BadInput)
	}
	return n, nil
}

// OpenBlock checks a key block under its wrapping key and gives the key within.
// The error names the character.
func OpenBlock(kind BlockKind, wrapping, text []byte) (h Header, key []byte, err error) {
	n, err := BlockLen(text)
	if err != nil {
		return h, nil, err
	}
	f := blockForms[kind]
	if n != len(text) || text[0] != f.version {
		return h, nil, fmt.Errorf("key block: byte 0: version %c of %d characters wanted: %w", f.version, n, hsm.BadInput)
	}
	body, err := h.read(text)
	if err != nil {
		return h, nil, err
	}
	enc, mac, err := blockKeys(f, wrapping)
	if err != nil {
		return h, nil, err
	}
	size := enc.BlockSize()
	raw := make([]byte, (n-body)/2)
	if at := hsm.DecodeHex(raw, text[body:]); at >= 0 || (n-body)%2 != 0 || len(raw) < f.mac+size || (len(raw)-f.mac)%size != 0 {
		return h, nil, fmt.Errorf("key block: byte %d: whole blocks of hexadecimal digits wanted: %w", body+max(at, 0), hsm.BadInput)
	}
	own := text[:body]
	data, sum := raw[:len(raw)-f.mac], raw[len(raw)-f.mac:]
	var plain []byte
	if f.clear {
		plain = CBC(enc, sum, data, true)
		own = append(append([]byte(nil), own...), plain...)
	} else {
		plain = CBC(enc, text[:size], data, true)
		own = append(append([]byte(nil), own...), data...)
	}
	if subtle.ConstantTimeCompare(blockMAC(f, mac, own), sum) != 1 {
		return h, nil, fmt.Errorf("key block: byte %d: it does not authenticate: %w", n-2*f.mac, hsm.BadBlockMAC)
	}
	length := int(binary.BigEndian.Uint16(plain))
	if length%8 != 0 || length/8 > len(plain)-2 || length == 0 {
		return h, nil, fmt.Errorf("key block: byte %d: a key of %d bits: %w", body, length, hsm.BadKeyLength)
	}
	return h, plain[2 : 2+length/8], nil
}

// SealBlock makes a key block; fill gives the random padding.
func SealBlock(kind BlockKind, wrapping []byte, h Header, key []byte, fill io.Reader) ([]byte, error) {
	f := blockForms[kind]
	enc, mac, err := blockKeys(f, wrapping)
	if err != nil {
		return nil, err
	}
	size := enc.BlockSize()
	plain := binary.BigEndian.AppendUint16(nil, uint16(8*len(key)))
	plain = append(plain, key...)
	used := len(plain)
	plain = append(plain, make([]byte, (size-used%size)%size)...)
	if _, err := io.ReadFull(fill, plain[used:]); err != nil {
		return nil, fmt.Errorf("key block: no random padding: %w", hsm.BadModule)
	}
	head := h.write(f.version, 2*(len(plain)+f.mac))
	if f.clear {
		sum := blockMAC(f, mac, append(append([]byte(nil), head...), plain...))
		return hsm.AppendHex(hsm.AppendHex(head, CBC(enc, sum, plain, false)), sum), nil
	}
	data := CBC(enc, head[:size], plain, false)
	sum := blockMAC(f, mac, append(append([]byte(nil), head...), data...))
	return hsm.AppendHex(hsm.AppendHex(head, data), sum), nil
}

// read takes the header apart and gives where the cryptogram begins.
func (h *Header) read(text []byte) (body int, err error) {
	h.Usage, h.Alg, h.Mode = [2]byte(text[5:]), text[7], text[8]
	h.Version, h.Exportable, h.Reserved = [2]byte(text[9:]), text[11], [2]byte(text[14:])
	count := [1]byte{}
	if hsm.DecodeHex(count[:], text[12:14]) >= 0 || count[0]&15 > 9 || count[0]>>4 > 9 {
		return 0, fmt.Errorf("key block: byte 12: number of optional blocks wanted: %w", hsm.BadInput)
	}
	body = blockHeader
	for range int(count[0]>>4)*10 + int(count[0]&15) {
		var n [1]byte
		if body+4 > len(text) || hsm.DecodeHex(n[:], text[body+2:body+4]) >= 0 || n[0] < 4 || body+int(n[0]) > len(text) {
			return 0, fmt.Errorf("key block: byte %d: an optional block wanted: %w", body, hsm.BadInput)
		}
		body += int(n[0])
	}
	h.Optional = string(text[blockHeader:body])
	return body, nil
}

func (h *Header) write(version byte, rest int) []byte {
	count := 0
	for at := 0; at+4 <= len(h.Optional); count++ {
		var n [1]byte
		hsm.DecodeHex(n[:], []byte(h.Optional[at+2:at+4]))
		at += max(int(n[0]), 4)
	}
	return fmt.Appendf(nil, "%c%04d%s%c%c%s%c%02d%s%s", version, blockHeader+len(h.Optional)+rest,
		h.Usage[:], h.Alg, h.Mode, h.Version[:], h.Exportable, count, h.Reserved[:], h.Optional)
}

// blockKeys gives the ciphers for the key and for the MAC.
func blockKeys(f blockForm, wrapping []byte) (enc, mac cipher.Block, err error) {
	keys := [2][]byte{}
	for i := range keys {
		if f.derived {
			keys[i], err = deriveBlockKey(f.alg, wrapping, byte(i))
		} else {
			keys[i] = append([]byte(nil), wrapping...)
			for j := range keys[i] {
				keys[i][j] ^= [2]byte{0x45, 0x4D}[i]
			}
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if enc, err = NewBlock(f.alg, keys[0]); err != nil {
		return nil, nil, err
	}
	mac, err = NewBlock(f.alg, keys[1])
	return enc, mac, err
}

// deriveBlockKey is the CMAC derivation of TR-31: counter, usage (0 encrypt, 1
// authenticate), zero, algorithm, length in bits.
func deriveBlockKey(alg Alg, wrapping []byte, usage byte) ([]byte, error) {
	b, err := NewBlock(alg, wrapping)
	if err != nil {
		return nil, err
	}
	code := len(wrapping)/8 - 2 // 0 two-key and 1 three-key DES
	if alg == AES {
		code += 2 // 2, 3, 4 for 128, 192, 256 bits
	}
	var out []byte
	for i := byte(1); len(out) < len(wrapping); i++ {
		data := []byte{i, 0, usage, 0, 0, byte(code)}
		out = append(out, CMAC(b, binary.BigEndian.AppendUint16(data, uint16(8*len(wrapping))))...)
	}
	return out[:len(wrapping)], nil
}

func blockMAC(f blockForm, mac cipher.Block, data []byte) []byte {
	if f.derived {
		return CMAC(mac, data)[:f.mac]
	}
	return CBCMAC(mac, nil, data)[:f.mac]
}
