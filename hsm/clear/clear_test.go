package clear

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"tongka/hsm"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newCipher(t testing.TB, key string) *Cipher {
	t.Helper()
	c, err := NewCipher(unhex(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mab reads a published frame of testdata and gives what its MAC covers, from
// MTI to the field before F64, and the MAC. In front are two bytes of length,
// five of TPDU and six of header.
func mab(t testing.TB, name string) (data, mac []byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	frame := unhex(t, lines[len(lines)-1])
	return frame[13 : len(frame)-8], frame[len(frame)-8:]
}

func TestPublishedMessages(t *testing.T) {
	for _, c := range []struct {
		file, key string
		alg       hsm.MACAlg
	}{
		{"reversal-x919.hex", "73FE29329283FDF12540B6F80437C107", hsm.X919},
		{"request-unionpay.hex", "0723C80DB5F4CD3D0723C80DB5F4CD3D", hsm.UnionPay},
	} {
		data, want := mab(t, c.file)
		got, err := MAC(c.alg, unhex(t, c.key), data)
		if err != nil || string(got[:]) != string(want) {
			t.Errorf("%s: %X, want %X (%v)", c.file, got, want, err)
		}
		data[len(data)-1] ^= 1
		if got, _ := MAC(c.alg, unhex(t, c.key), data); string(got[:]) == string(want) {
			t.Errorf("%s: a changed message has the same MAC", c.file)
		}
	}
}

const doubleKey = "0123456789ABCDEFFEDCBA9876543210"

// Most values were computed twice, by a program of our own and by openssl; the
// X9.19 ones are those of the Thales simulator library's tests.
func TestMAC(t *testing.T) {
	const (
		message = "0200302004C020C09811000000000000000051001834021000 5445535444415441"
		pair    = "838652DF68A246046DAB6104583B201A"
		shop    = "0200302004C020C0981100000000000000005100183402100006324392260009942820D1312101120084393136363838" +
			"303134303030303030303030303030303031313536ACF46E73838A82F92600000000000000000822000001"
	)
	for _, c := range []struct {
		name      string
		alg       hsm.MACAlg
		key, data string
		want      string // text for UnionPay, digits otherwise
	}{
		{"UnionPay", hsm.UnionPay, doubleKey, message, "99B8BB2F"},
		{"UnionPay, single key (CSDN 80005341)", hsm.UnionPay, "C24A8FB57AA20123", shop, "8A9E91B8"},
		{"X9.9", hsm.X99, doubleKey[:16], message, "160D2B9C7CAA9FCD"},
		{"3DES CBC-MAC", hsm.X99, doubleKey, message, "584E226B355D11B2"},
		{"X9.19", hsm.X919, doubleKey, message, "7CFEF929CBE3A66E"},
		{"X9.19 of a single key is X9.9", hsm.X919, doubleKey[:16], message, "160D2B9C7CAA9FCD"},
		{"X9.19, one block", hsm.X919, pair, "3030303030303030", "3F431586CA33D99C"},
		{"X9.19, filled", hsm.X919, pair, "303030303030303031", "2FE7118F2074398E"},
		{"no data is a block of zeros", hsm.X99, doubleKey, "", "08D7B4FB629D0885"},
	} {
		got, err := MAC(c.alg, unhex(t, c.key), unhex(t, c.data))
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%X", got)
		if c.alg == hsm.UnionPay {
			text = string(got[:])
		}
		if text != c.want {
			t.Errorf("%s: %s, want %s", c.name, text, c.want)
		}
	}
}

// The centre's MAC runs over the fields as text (CUPS style).
func TestMACOfFieldText(t *testing.T) {
	const text = "0200 166222020000000001 000000 000000010000 0101093000 000001 0101 00 0848013120 0848013120 12345678 898312041110001"
	for alg, want := range map[hsm.MACAlg]string{hsm.X99: "A9BC2B0543D3E2C5", hsm.X919: "722B6A93BD331D79"} {
		key := doubleKey
		if alg == hsm.X99 {
			key = doubleKey[:16]
		}
		if got := newCipher(t, key).MAC(alg, []byte(text)); fmt.Sprintf("%X", got) != want {
			t.Errorf("algorithm %d: %X, want %s", alg, got, want)
		}
	}
}

func TestChain(t *testing.T) {
	c := newCipher(t, "838652DF68A246046DAB6104583B201A")
	part := unhex(t, "30303030303030303131313131313131")
	var iv [8]byte
	for i, want := range []string{"A9D4D96683B51333", "DA46CEC9E61AF065", "56A27E35442BD07D", "B12874BED7137303"} {
		if iv = c.Chain(hsm.X919, iv, part, false); fmt.Sprintf("%X", iv) != want {
			t.Fatalf("part %d: %X, want %s", i+1, iv, want)
		}
	}
	if got := c.Chain(hsm.X919, iv, part, true); fmt.Sprintf("%X", got) != "0D99127F7734AA58" {
		t.Errorf("last part: %X", got)
	}
}

func TestKeys(t *testing.T) {
	for _, c := range []struct{ key, kcv string }{
		{"0123456789ABCDEF", "D5D44FF720683D0D"},
		{doubleKey, "08D7B4FB629D0885"},
		{"0123456789ABCDEFABCDEF0123456789", "EE21F1F01A3D7C9A"},
		{doubleKey + "0123456789ABCDEF", "08D7B4FB629D0885"},
	} {
		got, err := KCV(unhex(t, c.key))
		if err != nil || fmt.Sprintf("%X", got) != c.kcv {
			t.Errorf("%s: %X, %v", c.key, got, err)
		}
		if n := newCipher(t, c.key).Len(); n != len(c.key)/2 {
			t.Errorf("%s: length %d", c.key, n)
		}
	}
	if got := newCipher(t, doubleKey[:16]).Encrypt([8]byte([]byte("Now is t"))); fmt.Sprintf("%X", got) != "3FA40E8A984D4815" {
		t.Errorf("FIPS 81 example: %X", got)
	}
}

// A sign-in answer that was published whole (code456.com 3026509): a PIN key, and
// a single-length MAC key in a slot that ends with zeros.
func TestSignInKeys(t *testing.T) {
	master := unhex(t, "CA5D92598DCA48CE8A4C76361A9269E9")
	f62 := unhex(t, "6701EAD6A9AD51E51AA406E2C27FCFA9 8D0A74B8 B651F9E9BACE9AE1 0000000000000000 AB7153CA")
	for _, c := range []struct {
		enc, kcv []byte
		want     string
	}{
		{f62[:16], f62[16:20], "807A23AD32B36D457AE91FDF927570EA"},
		{f62[20:28], f62[36:], "5BB5C72CD00B7338"},
	} {
		key, err := DecryptKey(master, c.enc)
		if err != nil || fmt.Sprintf("%X", key) != c.want {
			t.Fatalf("%X, %v, want %s", key, err, c.want)
		}
		if kcv, _ := KCV(key); string(kcv[:4]) != string(c.kcv) {
			t.Errorf("check value %X, want %X", kcv, c.kcv)
		}
		m, err := NewCipher(master)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := m.AppendEncrypted(nil, key); err != nil || string(back) != string(c.enc) {
			t.Errorf("encrypts back to %X, %v", back, err)
		}
	}
}

func TestFaultyKeys(t *testing.T) {
	for _, n := range []int{0, 7, 9, 15, 17, 23, 25} {
		_, err := NewCipher(make([]byte, n))
		if !errors.Is(err, hsm.BadKeyLength) || !strings.Contains(err.Error(), fmt.Sprint("not ", n)) {
			t.Errorf("a key of %d bytes: %v", n, err)
		}
	}
	one := make([]byte, 1)
	if _, err := MAC(hsm.X99, one, one); !errors.Is(err, hsm.BadKeyLength) {
		t.Error(err)
	}
	if _, err := KCV(one); !errors.Is(err, hsm.BadKeyLength) {
		t.Error(err)
	}
	if _, err := DecryptKey(one, make([]byte, 8)); !errors.Is(err, hsm.BadKeyLength) {
		t.Error(err)
	}
	for _, n := range []int{0, 4, 12} {
		if _, err := DecryptKey(make([]byte, 16), make([]byte, n)); !errors.Is(err, hsm.BadKeyLength) {
			t.Errorf("a working key of %d bytes: %v", n, err)
		}
	}
}

func TestCipherAllocatesNothing(t *testing.T) {
	c := newCipher(t, doubleKey)
	data := make([]byte, 176)
	pan := [12]byte([]byte("222020000000"))
	pin := []byte("123456")
	buf := make([]byte, 0, 16)
	for name, f := range map[string]func(){
		"UnionPay MAC": func() { c.MAC(hsm.UnionPay, data) },
		"X9.19 MAC":    func() { c.MAC(hsm.X919, data) },
		"PIN": func() {
			b, _ := c.EncryptPIN(pin, &pan, hsm.ISO3)
			_, _, _ = c.DecryptPIN(b, &pan, hsm.ISO3)
		},
		"KCV":         func() { c.KCV() },
		"working key": func() { buf, _ = c.AppendDecrypted(buf[:0], data[:16]) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkMAC(b *testing.B) {
	c := newCipher(b, doubleKey)
	data := make([]byte, 176)
	for alg, name := range []string{"UnionPay176", "X99-176", "X919-176"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.MAC(hsm.MACAlg(alg), data)
			}
		})
	}
}

func BenchmarkNewCipher(b *testing.B) {
	key := unhex(b, doubleKey)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = NewCipher(key)
	}
}
