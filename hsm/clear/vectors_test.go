package clear

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"tongka/hsm"
)

func same(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if g := strings.ToUpper(hex.EncodeToString(got)); g != strings.ToUpper(want) {
		t.Errorf("%s: %s, want %s", what, g, want)
	}
}

// The values below are published, or were computed by two programs that agree;
// where they come from is said at each.
const twoKey = "0123456789ABCDEFFEDCBA9876543210"

func TestBlockCiphers(t *testing.T) {
	for _, c := range []struct {
		name       string
		alg        Alg
		key, plain string
		want       string
	}{
		{"DES of zeros", DES, "0123456789ABCDEF", "0000000000000000", "D5D44FF720683D0D"},
		{"FIPS 81", DES, "0123456789ABCDEF", hex.EncodeToString([]byte("Now is t")), "3FA40E8A984D4815"},
		{"3DES of zeros", DES, twoKey, "0000000000000000", "08D7B4FB629D0885"},
		{"3DES of zeros, another key", DES, "0123456789ABCDEFABCDEF0123456789", "0000000000000000", "EE21F1F01A3D7C9A"},
		{"GB/T 32907", SM4, twoKey, twoKey, "681EDF34D206965E86B3E94F536E4246"},
		{"SM4 of zeros", SM4, twoKey, strings.Repeat("0", 32), "2677F46B09C122CC975533105BD4A22A"},
		{"FIPS 197", AES, "000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF", "69C4E0D86A7B0430D8CDB78070B4C55A"},
	} {
		b, err := NewBlock(c.alg, unhex(t, c.key))
		if err != nil {
			t.Fatal(c.name, err)
		}
		got := ECB(b, unhex(t, c.plain), false)
		same(t, c.name, got, c.want)
		same(t, c.name+", back", ECB(b, got, true), c.plain)
	}
	for _, n := range []int{0, 7, 9, 17, 33} {
		for _, alg := range []Alg{DES, AES, SM4} {
			if _, err := NewBlock(alg, make([]byte, n)); !errors.Is(err, hsm.BadKeyLength) {
				t.Errorf("%v key of %d bytes: %v", alg, n, err)
			}
		}
	}
}

func TestSM3AndSM2(t *testing.T) {
	sum := SM3([]byte("abc"))
	same(t, "GB/T 32905", sum[:], "66C7F0F462EEEDD9D1F2D46BDC10E4E24167C4875CF2F7A2297DA02B8F4BA8E0")
	key, err := NewSM2()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := SM2Sign(key, []byte("a file"))
	if err != nil || !SM2Verify(&key.PublicKey, []byte("a file"), sig) {
		t.Errorf("own signature does not verify: %v", err)
	}
	if SM2Verify(&key.PublicKey, []byte("b file"), sig) {
		t.Error("a signature of something else verifies")
	}
}

func TestCMAC(t *testing.T) {
	const data = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
	for _, c := range []struct {
		name string
		alg  Alg
		key  string
		n    int
		want string
	}{
		{"RFC 4493", AES, "2b7e151628aed2a6abf7158809cf4f3c", 0, "BB1D6929E95937287FA37D129B756746"},
		{"RFC 4493", AES, "2b7e151628aed2a6abf7158809cf4f3c", 16, "070A16B46B4D4144F79BDD9DD04A287C"},
		{"RFC 4493", AES, "2b7e151628aed2a6abf7158809cf4f3c", 40, "DFA66747DE9AE63030CA32611497C827"},
		{"RFC 4493", AES, "2b7e151628aed2a6abf7158809cf4f3c", 64, "51F0BEBF7E3B9D92FC49741779363CFE"},
		{"SP 800-38B", DES, "8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5", 0, "B7A688E122FFAF95"},
		{"SP 800-38B", DES, "8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5", 8, "8E8F293136283797"},
		{"SP 800-38B", DES, "8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5", 20, "743DDBE0CE2DC2ED"},
		{"SP 800-38B", DES, "8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5", 32, "33E6B1092400EAE5"},
		{"SM4", SM4, twoKey, 0, "29E154322E5C7BD8EE6A25BA549B24BC"},
	} {
		b, err := NewBlock(c.alg, unhex(t, c.key))
		if err != nil {
			t.Fatal(err)
		}
		same(t, c.name, CMAC(b, unhex(t, data)[:c.n]), c.want)
	}
}

func TestPaddings(t *testing.T) {
	for _, c := range []struct {
		data string
		p    Padding
		size int
		want string
	}{
		{"", 0, 8, ""},
		{"", 1, 8, "0000000000000000"},
		{"", 2, 8, "8000000000000000"},
		{"0102", 1, 8, "0102000000000000"},
		{"0102030405060708", 1, 8, "0102030405060708"},
		{"0102030405060708", 2, 8, "01020304050607088000000000000000"},
		{"0102", 3, 8, "0000000000000010" + "0102000000000000"},
		{"01", 2, 16, "01800000000000000000000000000000"},
	} {
		same(t, c.data, Pad(nil, unhex(t, c.data), c.p, c.size), c.want)
	}
}

// The same message under every POS algorithm; SM4 by two programs that agree.
func TestPOSMACs(t *testing.T) {
	mab := append(unhex(t, "0200302004C020C09811000000000000000051001834021000"), "TESTDATA"...)
	c, err := NewCipher(unhex(t, twoKey))
	if err != nil {
		t.Fatal(err)
	}
	left, _ := NewCipher(unhex(t, twoKey)[:8])
	mac := c.MAC(hsm.UnionPay, mab)
	same(t, "UnionPay", mac[:], hex.EncodeToString([]byte("99B8BB2F")))
	mac = left.MAC(hsm.X99, mab)
	same(t, "X9.9", mac[:], "160D2B9C7CAA9FCD")
	mac = c.MAC(hsm.X919, mab)
	same(t, "X9.19", mac[:], "7CFEF929CBE3A66E")
	mac = c.MAC(hsm.X99, mab)
	same(t, "3DES-CBC", mac[:], "584E226B355D11B2")
	for alg, want := range map[Alg]string{DES: "99B8BB2F", SM4: "BA5F55EF"} {
		b, err := NewBlock(alg, unhex(t, twoKey))
		if err != nil {
			t.Fatal(err)
		}
		if got := UnionPayMAC(b, mab); string(got[:]) != want {
			t.Errorf("%v: %s, want %s", alg, got, want)
		}
	}
	// Card centre's field string.
	cups := []byte("0200 166222020000000001 000000 000000010000 0101093000 000001 0101 00 0848013120 0848013120 12345678 898312041110001")
	mac = left.MAC(hsm.X99, cups)
	same(t, "centre, X9.9", mac[:], "A9BC2B0543D3E2C5")
	mac = c.MAC(hsm.X919, cups)
	same(t, "centre, X9.19", mac[:], "722B6A93BD331D79")
}

// Real messages with their keys, as published on the net.
func TestRealMessages(t *testing.T) {
	full := unhex(t, "007f600003000060321032007202003020048000c08015000000000000001234000002030099303030303030303139353237313831383232313738373531353600192600000100060000000000435f01123238343431323334353637383930313233345f03063136303033365f04063230303832365c0230314233413039324145")
	mac, err := MAC(hsm.UnionPay, unhex(t, "0723C80DB5F4CD3D0723C80DB5F4CD3D"), full[13:len(full)-8])
	if err != nil || string(mac[:]) != "B3A092AE" || !bytes.HasSuffix(full, mac[:]) {
		t.Errorf("UnionPay: %s, %v", mac, err)
	}
	tak, err := DecryptKey(unhex(t, "70F2A84CCBC2AE8625CBB0F2C22AB923"), unhex(t, "96D605EA176B7E9E"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "working key", tak, "C24A8FB57AA20123")
	mac, _ = MAC(hsm.UnionPay, tak, unhex(t, "0200302004C020C0981100000000000000005100183402100006324392260009942820D1312101120084393136363838303134303030303030303030303030303031313536ACF46E73838A82F92600000000000000000822000001"))
	if string(mac[:]) != "8A9E91B8" {
		t.Errorf("UnionPay: %s", mac)
	}
	zmk := xor(unhex(t, "DA3DA723587662DF62DA4FD3858651C4"), unhex(t, "97E6ECEFD0B00D98B0C701DAEA94A764"))
	mak, _ := DecryptKey(zmk, unhex(t, "AC61F7F11833AEAD03503D29085C0470"))
	same(t, "X9.19 key", mak, "73FE29329283FDF12540B6F80437C107")
	msg := unhex(t, "601012000060220000000004007038048002C0801916123456789012345600000000000000050068118623352105290210653938617874657374332D33303635383130353439393030303331353600082216052900162334156811860529284C79DC9A2E50FC")
	mac, _ = MAC(hsm.X919, mak, msg[11:len(msg)-8])
	same(t, "X9.19", mac[:], "284C79DC9A2E50FC")
	for _, v := range [][2]string{{"807A23AD32B36D457AE91FDF927570EA", "8D0A74B8"}, {"5BB5C72CD00B7338", "AB7153CA"},
		{"73FE29329283FDF12540B6F80437C107", "21DD874E"}} {
		kcv, _ := KCV(unhex(t, v[0]))
		same(t, "check value", kcv[:4], v[1])
	}
}

// X9.19 samples of a host command test suite.
func TestX919Chain(t *testing.T) {
	c, err := NewCipher(unhex(t, "838652DF68A246046DAB6104583B201A"))
	if err != nil {
		t.Fatal(err)
	}
	got := c.Chain(hsm.X919, [8]byte{}, []byte("00000000"), true)
	same(t, "one block", got[:], "3F431586CA33D99C")
	got = c.Chain(hsm.X919, [8]byte{}, []byte("000000001"), true)
	same(t, "a block and a half", got[:], "2FE7118F2074398E")
	iv := [8]byte{}
	data := "30303030303030303131313131313131"
	for _, want := range []string{"A9D4D96683B51333", "DA46CEC9E61AF065", "56A27E35442BD07D", "B12874BED7137303"} {
		iv = c.Chain(hsm.X919, iv, unhex(t, data), false)
		same(t, "chained", iv[:], want)
	}
	got = c.Chain(hsm.X919, iv, unhex(t, data), true)
	same(t, "last", got[:], "0D99127F7734AA58")
}

func TestDUKPT(t *testing.T) {
	bdk := unhex(t, twoKey)
	initial, err := DUKPTInitial(bdk, unhex(t, "FFFF9876543210E00000"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "initial key", initial, "6AC292FAA1315B4D858AB3A3D7D5933A")
	block := unhex(t, "041274EDCBA9876F") // 1234 of account 4012345678909
	for ksn, want := range map[string]string{
		"FFFF9876543210E00001": "1B9C1845EB993A7A", "FFFF9876543210E00002": "10A01C8D02C69107",
		"FFFF9876543210E00003": "18DC07B94797B466", "FFFF9876543210E00004": "0BC79509D5645DF7",
		"FFFF9876543210E00010": "D5D9638559EF53D6", "FFFF9876543210EFFC00": "DEFC6F09F8927B71",
	} {
		key, err := DUKPT(bdk, unhex(t, ksn), UsePIN)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := NewBlock(DES, key)
		same(t, "PIN block of "+ksn, ECB(b, block, false), want)
	}
	for use, want := range map[Use]string{UsePIN: "042666B49184CF5C68DE9628D0397B36", UseData: "448D3F076D8304036A55A3D7E0055A78"} {
		key, _ := DUKPT(bdk, unhex(t, "FFFF9876543210E00001"), use)
		same(t, "working key", key, want)
	}
	id := unhex(t, "1234567890123456")
	aes := unhex(t, "FEDCBA9876543210F1F1F1F1F1F1F1F1")
	initial, err = AESDUKPTInitial(aes, [8]byte(id))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "AES initial key", initial, "1273671EA26AC29AFA4D1084127652A1")
	key, err := AESDUKPT(aes, [12]byte(append(id, 0, 0, 0, 1)), UsePIN)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "AES PIN key", key, "AF8CB133A78F8DC2D1359F18527593FB")
	next, _ := aesDerive(initial, usageDerivation, 0x9012345600000001, 16)
	same(t, "AES derivation key", next, "4F21B565BAD9835E112B6465635EAE44")
	for _, n := range []int{0, 5, 11} {
		if _, err := DUKPT(bdk, make([]byte, n), UsePIN); err == nil {
			t.Errorf("a serial number of %d bytes passes", n)
		}
	}
}

func TestPurse(t *testing.T) {
	made := hsm.Card{Levels: 1, Kind: hsm.PurseLoad, Balance: 5000, Amount: 10000, Seq: 0x12, Random: [4]byte(unhex(t, "A1B2C3D4")),
		Terminal: [6]byte(unhex(t, "312000000001")), Time: [7]byte(unhex(t, "20260101093000"))}
	made.Div[0] = [8]byte(unhex(t, "3120000001234567"))
	buy := made
	buy.Kind, buy.Amount, buy.TermSeq = hsm.PursePurchase, 200, 0x31
	first := hsm.Card{Levels: 1, Kind: hsm.PurseLoad, Balance: 159560, Amount: 19680, Seq: 12, Random: [4]byte(unhex(t, "932712A3")),
		Terminal: [6]byte{5: 1}, Time: [7]byte(unhex(t, "20101028122005"))}
	first.Div[0] = [8]byte(unhex(t, "217F12A280000000"))
	second := first
	second.Balance, second.Seq, second.Random, second.Time = 100520, 9, [4]byte(unhex(t, "E1DA5FE2")), [7]byte(unhex(t, "20101028112345"))
	bought := hsm.Card{Levels: 1, Kind: hsm.PursePurchase, Amount: 100, Terminal: [6]byte{5: 0x15}, Time: [7]byte(unhex(t, "20101125152156"))}
	bought.Div[0] = [8]byte(unhex(t, "2301D14680000000"))
	const dongguan = "76E1627B8C60DA5500D19F5B1D3547E0"
	for _, c := range []struct {
		name, key       string
		card            hsm.Card
		mac1, mac2, tac string
	}{
		{"computed by two programs", "11111111111111112222222222222222", made, "B006830D", "21356107", ""},
		{"computed by two programs", "33333333333333334444444444444444", made, "", "", "E9B6ED1B"},
		{"computed by two programs, purchase", "33333333333333334444444444444444", buy, "", "", "1ED654BA"},
		{"published, Dongguan", dongguan, first, "2C7DB987", "B9277FC6", ""},
		{"published, Dongguan", dongguan, second, "2542DD39", "C6097175", ""},
		{"published, purchase", "9A884C4005A89C50DF8607AE484B5B5B", bought, "", "", "909F18D0"},
	} {
		p, err := NewPurse(unhex(t, c.key), &c.card)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range []func(*hsm.Card) [4]byte{p.MAC1, p.MAC2, p.TAC} {
			if want := [...]string{c.mac1, c.mac2, c.tac}[i]; want != "" {
				got := f(&c.card)
				same(t, c.name, got[:], want)
			}
		}
	}
	p, _ := NewPurse(unhex(t, "11111111111111112222222222222222"), &made)
	same(t, "card key", p.Key(), "2CB234945AF051B1DFC30A27C39F9522")
	made.Alg = hsm.CardSM4
	p, _ = NewPurse(unhex(t, twoKey), &made)
	same(t, "SM4 card key", p.Key(), "22895F19A6A4C4F6943F2CF687B86872")
	got := p.MAC1(&made)
	same(t, "SM4 MAC1", got[:], "B668ABEC")
}

// The session example of the CSDN article, in the purse's own order of fields.
func TestPurseSessionExample(t *testing.T) {
	c := hsm.Card{Kind: 1, Amount: 0x1000, Random: [4]byte(unhex(t, "11223344")), Terminal: [6]byte(unhex(t, "001122334455")),
		Time: [7]byte(unhex(t, "20111221214822"))}
	p, err := NewPurse(unhex(t, "11223344556677888877665544332211"), &c)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := NewBlock(DES, p.Key())
	same(t, "session key", ECB(b, c.SessionData(nil), false), "9B1D924E05595603")
	got := p.MAC1(&c)
	same(t, "MAC1", got[:], "2988AE5A")
	got = p.MAC2(&c)
	same(t, "MAC2", got[:], "3A845BF0")
	c.Balance = 0 // the sample's new balance is its amount
	got = p.TAC(&c)
	same(t, "TAC", got[:], "FF5C1389")
}

func TestPurseLevels(t *testing.T) {
	c := hsm.Card{Levels: 2, Div: [3][8]byte{{1}, {2}}}
	two, err := NewPurse(unhex(t, twoKey), &c)
	if err != nil {
		t.Fatal(err)
	}
	one, _ := NewPurse(unhex(t, twoKey), &hsm.Card{Levels: 1, Div: [3][8]byte{{1}}})
	then, _ := NewPurse(one.Key(), &hsm.Card{Levels: 1, Div: [3][8]byte{{2}}})
	if !bytes.Equal(two.Key(), then.Key()) || bytes.Equal(one.Key(), two.Key()) {
		t.Error("two levels are not one level twice")
	}
	if _, err := NewPurse(unhex(t, twoKey), &hsm.Card{Levels: 4}); !errors.Is(err, hsm.BadInput) {
		t.Errorf("four levels: %v", err)
	}
	if _, err := NewPurse(make([]byte, 8), &hsm.Card{}); !errors.Is(err, hsm.BadKeyLength) {
		t.Errorf("a single-length master key: %v", err)
	}
}

func TestPIN4(t *testing.T) {
	b, err := NewBlock(AES, unhex(t, "C1D0F8FB4958670DBA40AB1F3752EF0D"))
	if err != nil {
		t.Fatal(err)
	}
	block := [16]byte(unhex(t, "CC17F65586BFD0953010226C4FC5B3CA"))
	pan := []byte("432198765432109870")
	pin, err := DecryptPIN4(b, block, pan)
	if err != nil || string(pin) != "1234" {
		t.Errorf("%s, %v", pin, err)
	}
	again, err := EncryptPIN4(b, pin, pan, bytes.NewReader(unhex(t, "146C6601F4A8035C")))
	if err != nil || again != block {
		t.Errorf("%X, %v", again, err)
	}
	short, _ := NewBlock(AES, unhex(t, "00112233445566778899AABBCCDDEEFF"))
	pin, err = DecryptPIN4(short, [16]byte(unhex(t, "39B69B1B91FE05D48F7EF0D68EB2CBD6")), []byte("1"))
	if err != nil || string(pin) != "123456" {
		t.Errorf("short account: %s, %v", pin, err)
	}
	for name, f := range map[string]func() error{
		"another account":  func() error { _, err := DecryptPIN4(b, block, []byte("432198765432109871")); return err },
		"no account":       func() error { _, err := DecryptPIN4(b, block, nil); return err },
		"account letters":  func() error { _, err := DecryptPIN4(b, block, []byte("43219876543210987x")); return err },
		"a short PIN":      func() error { _, err := EncryptPIN4(b, []byte("123"), pan, rand.Reader); return err },
		"a PIN of letters": func() error { _, err := EncryptPIN4(b, []byte("12x4"), pan, rand.Reader); return err },
		"no randomness":    func() error { _, err := EncryptPIN4(b, []byte("1234"), pan, bytes.NewReader(nil)); return err },
	} {
		var code hsm.Code
		if err := f(); !errors.As(err, &code) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPINFormats(t *testing.T) {
	pan := [12]byte([]byte("550000025321"))
	for _, c := range []struct {
		f    hsm.PINFormat
		pin  string
		pan  string
		fill uint64
		want string
	}{
		{hsm.ISO0, "1234", "550000025321", 0, "041261FFFFFDACDE"},
		{hsm.ISO0, "1234", "401234567890", 0, "041274EDCBA9876F"},
		{hsm.ISO0, "123456", "588480888010", 0, "0612" + "6CD27F777FEF"},
		{hsm.Plus, "1234", "550000025321", 0, "041261FFFFFDACDE"},
		{hsm.ISO3, "1234", "555555123456", 0, "341261AAAAEDCBA9"},
		{hsm.EMV, "12345", "550000025321", 0, "2512345FFFFFFFFF"},
		{hsm.PayNow, "34567", "400000123456", 0, "2534167FFFEDCBA9"}, // the manual's example
		{hsm.Docutel, "12345", "550000025321", 7, "5123450000000000"},
		{hsm.IBM, "1234", "550000025321", 0, "1234FFFFFFFFFFFF"},
	} {
		var b [8]byte
		pan = [12]byte([]byte(c.pan))
		if code := EncodePIN(&b, []byte(c.pin), &pan, c.f, c.fill); !code.OK() {
			t.Errorf("format %d: %v", c.f, code)
		}
		if c.f != hsm.ISO3 {
			same(t, "block", b[:], c.want)
		}
		copy(b[:], unhex(t, c.want))
		var pin [12]byte
		n, code := DecodePIN(b, &pan, c.f, &pin)
		if !code.OK() || string(pin[:n]) != c.pin {
			t.Errorf("format %d: %s, %v", c.f, pin[:n], code)
		}
	}
	var b [8]byte
	if code := EncodePIN(&b, []byte("1234567"), &pan, hsm.Docutel, 0); code != hsm.BadPINLength {
		t.Errorf("seven digits in Docutel: %v", code)
	}
	var pin [12]byte
	if _, code := DecodePIN([8]byte{0x71, 0x23, 0x45, 0x67}, &pan, hsm.Docutel, &pin); code != hsm.BadPINLength {
		t.Errorf("seven digits in Docutel: %v", code)
	}
	if _, code := DecodePIN([8]byte{0x51, 0x23, 0x45, 0x0A}, &pan, hsm.Docutel, &pin); code != hsm.BadPINBlock {
		t.Errorf("a letter in Docutel's fill: %v", code)
	}
}

func TestTR31(t *testing.T) {
	for _, c := range []struct {
		kind            BlockKind
		kbpk, text, key string
	}{
		{TR31A, "89E88CF7931444F334BD7547FC3F380C", "A0072P0TE00E0000F5161ED902807AF26F1D62263644BD24192FDB3193C730301CEE8701", "F039121BEC83D26B169BDCD5B22AAF8F"},
		{TR31B, "DD7515F2BFC17F85CE48F3CA25CB21F6", "B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E", "3F419E1CB7079442AA37474C2EFBF8B8"},
		{TR31C, "B8ED59E0A279A295E9F5ED7944FD06B9", "C0096B0TX12S0100KS1800604B120F9292800000BFB9B689CB567E66FC3FEE5AD5F52161FC6545B9D60989015D02155C", "EDB380DD340BC2620247D445F5B8D678"},
		{TR31D, "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6", "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A27E8E31DA05F7425509593D03A457DC34", "3F419E1CB7079442AA37474C2EFBF8B8"},
	} {
		wrapping := unhex(t, c.kbpk)
		h, key, err := OpenBlock(c.kind, wrapping, []byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.text[:1], err)
			continue
		}
		same(t, c.text[:1], key, c.key)
		own, err := SealBlock(c.kind, wrapping, h, key, rand.Reader)
		if err != nil || string(own[:len(c.text)/4]) != c.text[:len(c.text)/4] && len(own) == len(c.text) && string(own[:16]) != c.text[:16] {
			t.Errorf("%s: %s, %v", c.text[:1], own, err)
		}
		if h2, k2, err := OpenBlock(c.kind, wrapping, own); err != nil || h2 != h || !bytes.Equal(k2, key) {
			t.Errorf("%s: own block: %+v, %X, %v", c.text[:1], h2, k2, err)
		}
		// No character of it may change without notice.
		for i := range c.text {
			bad := []byte(c.text)
			if bad[i]++; bad[i] == ':' {
				bad[i] = '0'
			}
			if _, _, err := OpenBlock(c.kind, wrapping, bad); err == nil {
				t.Errorf("%s: byte %d changed and it opens", c.text[:1], i)
			}
		}
	}
}

func TestKeyBlockFaults(t *testing.T) {
	for _, c := range []struct{ text, place string }{
		{"", "byte 0"},
		{"A0072P0TE00E000", "byte 15"},
		{"A00x2P0TE00E0000F516", "byte 3"},
		{"A9999P0TE00E0000F516", "byte 1"},
		{"A0020P0TE00EX000F516", "byte 12"},
		{"A0020P0TE00E0100KS03", "byte 16"},
		{"A0020P0TE00E0100KS99", "byte 16"},
		{"A0020P0TE00E0000F516", "byte 16"},
		{"A0040P0TE00E0000F5161ED902807AF26F1D622x", "byte 39"},
	} {
		_, _, err := OpenBlock(TR31A, make([]byte, 16), []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.place+":") {
			t.Errorf("%q: %v, want %s", c.text, err, c.place)
		}
	}
}

func FuzzOpenBlock(f *testing.F) {
	f.Add([]byte("A0072P0TE00E0000F5161ED902807AF26F1D62263644BD24192FDB3193C730301CEE8701"))
	f.Add([]byte("C0096B0TX12S0100KS1800604B120F9292800000BFB9B689CB567E66FC3FEE5AD5F52161FC6545B9D60989015D02155C"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for k := range blockForms {
			_, _, _ = OpenBlock(BlockKind(k), make([]byte, 16), b)
			_, _, _ = OpenBlock(BlockKind(k), make([]byte, 32), b)
		}
	})
}

// A million rounds, example 2 of GB/T 32907.
func TestSM4MillionRounds(t *testing.T) {
	b, err := NewBlock(SM4, unhex(t, twoKey))
	if err != nil {
		t.Fatal(err)
	}
	x := unhex(t, twoKey)
	for range 1_000_000 {
		b.Encrypt(x, x)
	}
	same(t, "GB/T 32907", x, "595298C7C6FD271F0402F804C33D3F66")
}

// The public AES key for key blocks and the check value that is printed with it.
func TestBlockKeyCheckValue(t *testing.T) {
	b, err := NewBlock(AES, unhex(t, "9B71333A13F9FAE72F9D0E2DAB4AD6784718012F9244033F3F26A2DE0C8AA11A"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "check value", CMAC(b, nil)[:3], "9D04A0")
}

// PIN blocks of terminals, without and with an account, under a working key.
func TestTerminalPINBlocks(t *testing.T) {
	b, _ := NewBlock(DES, unhex(t, twoKey))
	same(t, "without account", ECB(b, unhex(t, "06123456FFFFFFFF"), false), "43E945588ED566D9")
	pan := [12]byte([]byte("588480888010"))
	block, err := EncryptPIN(unhex(t, twoKey), []byte("123456"), &pan, hsm.ISO0)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "with account", block[:], "A99AA1F197A4FAF6")
}

// A purchase: its session key takes the terminal's counter in.
func TestPurchaseExample(t *testing.T) {
	card := hsm.Card{Levels: 1}
	card.Div[0] = [8]byte(unhex(t, "3120000001234567"))
	p, err := NewPurse(unhex(t, "55555555555555556666666666666666"), &card)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "card key", p.Key(), "74508FB65590D30EAEB87299A5414702")
	session := unhex(t, "A1B2C3D400070031")
	b, _ := NewBlock(DES, p.Key())
	same(t, "session key", ECB(b, session, false), "0F5F90D5A99EDCDE")
	for data, want := range map[string]string{"000000C80631200000000120260101093000": "88F14EB5", "000000C8": "C3DFA389"} {
		mac, err := p.MAC(SessionKey, session, unhex(t, data), false)
		if err != nil {
			t.Fatal(err)
		}
		same(t, data, mac[:], want)
	}
	if _, err := p.MAC(SessionKey, make([]byte, 9), nil, false); !errors.Is(err, hsm.BadInput) {
		t.Errorf("nine bytes for a session key: %v", err)
	}
	if _, err := p.MAC(LeafKey, nil, make([]byte, 7), true); !errors.Is(err, hsm.BadDataLength) {
		t.Errorf("half a block: %v", err)
	}
}
