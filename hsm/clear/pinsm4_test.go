package clear

import (
	"testing"

	"tongka/hsm"
)

func TestSM4PINBlock(t *testing.T) {
	b, err := NewBlock(SM4, unhex(t, "0123456789ABCDEFFEDCBA9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	pan12 := [12]byte([]byte("588000000000"))
	for _, pin := range []string{"1234", "12345", "123456", "123456789012"} {
		enc, code := EncryptPINSM4(b, []byte(pin), &pan12)
		var got [12]byte
		n, back := DecryptPINSM4(b, enc, &pan12, &got)
		if !code.OK() || !back.OK() || string(got[:n]) != pin {
			t.Errorf("%s: %v, %v, %q", pin, code, back, got[:n])
		}
	}
	// As its comment draws it.
	enc, _ := EncryptPINSM4(b, []byte("12345"), &pan12)
	var plain [16]byte
	b.Decrypt(plain[:], enc[:])
	if want := [16]byte(unhex(t, "0512345FFFFFFFFFFFFFA77FFFFFFFFF")); plain != want {
		t.Errorf("%X, want %X", plain, want)
	}
	var pin [12]byte
	for _, c := range []struct {
		plain string
		want  hsm.Code
	}{
		{"0312345FFFFFFFFFFFFFA77FFFFFFFFF", hsm.BadPINLength}, {"0D12345FFFFFFFFFFFFFA77FFFFFFFFF", hsm.BadPINLength},
		{"05123AFFFFFFFFFFFFFFA77FFFFFFFFF", hsm.BadPINBlock}, {"0512345FFFFFFFFFFFFFA77FFFFFFFF1", hsm.BadPINBlock},
	} {
		var e [16]byte
		b.Encrypt(e[:], unhex(t, c.plain))
		if n, code := DecryptPINSM4(b, e, &pan12, &pin); code != c.want || n != 0 {
			t.Errorf("%s: %d, %v", c.plain, n, code)
		}
	}
	if _, code := EncryptPINSM4(b, []byte("123"), &pan12); code != hsm.BadPINLength {
		t.Error(code)
	}
	if _, code := EncryptPINSM4(b, []byte("12x4"), &pan12); code != hsm.BadPINBlock {
		t.Error(code)
	}
	if _, code := EncryptPINSM4(b, []byte("1234"), &[12]byte{}); code != hsm.BadAccount {
		t.Error(code)
	}
	des, _ := NewBlock(DES, make([]byte, 16))
	if _, code := EncryptPINSM4(des, []byte("1234"), &pan12); code != hsm.BadKeyLength {
		t.Error(code)
	}
}
