package clear

import (
	"crypto/cipher"

	"tongka/hsm"
)

// SM4 PIN blocks (hsm.SM4PIN):
//
//	byte   0       1 …                   15
//	       length  PIN, fill F               xor   00 … 00 account 12 digits
const sm4Block = 16

// EncryptPINSM4 makes a PIN block of ASCII digits under an SM4 key.
func EncryptPINSM4(b cipher.Block, pin []byte, pan12 *[12]byte) (out [sm4Block]byte, code hsm.Code) {
	account, ok := accountMask(pan12, true)
	switch {
	case b.BlockSize() != sm4Block:
		return out, hsm.BadKeyLength
	case len(pin) < 4 || len(pin) > 12:
		return out, hsm.BadPINLength
	case !ok:
		return out, hsm.BadAccount
	}
	for i := range out {
		out[i] = 0xFF
	}
	out[0] = byte(len(pin))
	for i, d := range pin {
		if d -= '0'; d > 9 {
			return [sm4Block]byte{}, hsm.BadPINBlock
		}
		shift := 4 * (1 - i%2)
		out[1+i/2] = out[1+i/2]&^(15<<shift) | d<<shift
	}
	maskSM4(&out, account)
	b.Encrypt(out[:], out[:])
	return out, hsm.Done
}

// DecryptPINSM4 checks a PIN block and gives its ASCII digits in pin[:n]; the codes
// are those of DecodePIN.
func DecryptPINSM4(b cipher.Block, block [sm4Block]byte, pan12 *[12]byte, pin *[12]byte) (n int, code hsm.Code) {
	account, ok := accountMask(pan12, true)
	switch {
	case b.BlockSize() != sm4Block:
		return 0, hsm.BadKeyLength
	case !ok:
		return 0, hsm.BadAccount
	}
	b.Decrypt(block[:], block[:])
	maskSM4(&block, account)
	if n = int(block[0]); n < 4 || n > 12 {
		return 0, hsm.BadPINLength
	}
	for i := range 2 * (sm4Block - 1) {
		d := block[1+i/2] >> (4 * (1 - i%2)) & 15
		switch {
		case i < n && d <= 9:
			pin[i] = '0' + d
		case i < n || d != 15:
			return 0, hsm.BadPINBlock
		}
	}
	return n, hsm.Done
}

func maskSM4(block *[sm4Block]byte, account uint64) {
	for i := range 8 {
		block[sm4Block-1-i] ^= byte(account >> (8 * i))
	}
}
