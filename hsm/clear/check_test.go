package clear

import (
	"errors"
	"testing"

	"tongka/hsm"
)

func TestPVV(t *testing.T) {
	// The PVKs are those of a host command test suite, decrypted (hsm/payshield
	// tests them under the LMK).
	c := newCipher(t, "0123456789ABCDEFFEDCBA9876543210")
	pan := [12]byte([]byte("550000025321"))
	pvv, err := c.PVV(&pan, '1', []byte("1234"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range pvv {
		if d < '0' || d > '9' {
			t.Errorf("PVV %q", pvv)
		}
	}
	if _, err := c.PVV(&pan, '1', []byte("123")); !errors.Is(err, hsm.BadPINLength) {
		t.Error(err)
	}
	pan[3] = 'x'
	if _, err := c.PVV(&pan, '1', []byte("1234")); !errors.Is(err, hsm.BadAccount) {
		t.Error(err)
	}
}

func TestCVV(t *testing.T) {
	c := newCipher(t, "0123456789ABCDEFFEDCBA9876543210")
	for _, v := range []struct{ pan, expiry, want string }{
		{"4123456789012345", "8701", "561"},
		{"4999988887777", "9105", "649"},
	} {
		service := map[string]string{"8701": "101", "9105": "111"}[v.expiry]
		cvv, err := c.CVV([]byte(v.pan), []byte(v.expiry), []byte(service))
		if err != nil || string(cvv[:]) != v.want {
			t.Errorf("%s: %s, %v", v.pan, cvv, err)
		}
	}
	for _, bad := range [][3]string{{"", "8701", "101"}, {"41234x", "8701", "101"}, {"12345678901234567890123456", "8701", "101"}} {
		if _, err := c.CVV([]byte(bad[0]), []byte(bad[1]), []byte(bad[2])); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	single := newCipher(t, "0123456789ABCDEF")
	if _, err := single.CVV([]byte("4123456789012345"), []byte("8701"), []byte("101")); err == nil {
		t.Error("a single-length key passes")
	}
}

func TestDecimals(t *testing.T) {
	for in, want := range map[string]string{"1234567890ABCDEF": "1234", "ABCDEF12ABCDEFAB": "1201", "ABCDEFABCDEFABCD": "0123"} {
		var got [4]byte
		decimals(got[:], unhex(t, in))
		if string(got[:]) != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestValidation(t *testing.T) {
	pan := [12]byte([]byte("850103093936"))
	v, err := Validation([]byte("50103093936N"), &pan)
	if err != nil || string(v[:]) != "5010309393693936" {
		t.Errorf("%s, %v", v, err)
	}
	for _, bad := range []string{"501030939361", "N0103093936N", "5010309393gN", "50103N", ""} {
		if _, err := Validation([]byte(bad), &pan); !errors.Is(err, hsm.BadInput) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNaturalPINFaults(t *testing.T) {
	c := newCipher(t, "0123456789ABCDEF")
	good, table := [16]byte([]byte("5010309393693936")), [16]byte([]byte("0123456789012345"))
	natural, err := c.NaturalPIN(&good, &table)
	if err != nil {
		t.Fatal(err)
	}
	pin := AddDigits(nil, natural[:6], []byte("999999"))
	if back := SubDigits(nil, pin, []byte("999999")); string(back) != string(natural[:6]) {
		t.Errorf("%s plus and less 999999 is %s", natural[:6], back)
	}
	bad := good
	bad[2] = 'G'
	if _, err := c.NaturalPIN(&bad, &table); !errors.Is(err, hsm.BadInput) {
		t.Error(err)
	}
	table[15] = 'A'
	if _, err := c.NaturalPIN(&good, &table); !errors.Is(err, hsm.BadInput) {
		t.Error(err)
	}
}

func TestEMVKeys(t *testing.T) {
	issuer := unhex(t, "0123456789ABCDEFFEDCBA9876543210")
	for _, v := range []struct {
		pan, psn string
		b        bool
		want     string
	}{
		{"99012345678901234", "45", false, "67F8292358083E5EA7AB7FDA58D53B6B"},
		{"12345678901234567", "01", false, "73AD54688CEF2934B0979857E3C719F1"},
		{"12345678901234567", "01", true, "AD406D7F6D7570916D75E5DCAB8CF737"}, // by another program
	} {
		key, err := CardMasterKey(issuer, []byte(v.pan), []byte(v.psn), v.b)
		if err != nil {
			t.Fatal(err)
		}
		same(t, v.pan, key, v.want)
	}
	for _, atc := range []string{"001C"} {
		key, err := CommonSession(issuer, [8]byte(append(unhex(t, atc), 0, 0, 0, 0, 0, 0)))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "common session key", key, "E9FB384AF807B940FEDCEA613461B0C4")
	}
	for _, bad := range []string{"", "12x4"} {
		if _, err := CardMasterKey(issuer, []byte(bad), nil, false); !errors.Is(err, hsm.BadAccount) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCryptograms(t *testing.T) {
	session := unhex(t, "29B33180E567CE38EA4CBC9D753B0E61")
	arqc, err := Cryptogram(session, unhex(t, "0123456789ABCDEF0123456789ABCDEF"), 2)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "ARQC", arqc[:], "FA624250B008B59A")
	one, err := ARPC1(session, arqc, [2]byte{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "ARPC 1", one[:], "45D4255EEF10C920")
	two, err := ARPC2(session, arqc, [4]byte{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "ARPC 2", two[:], "CB56FA40")
}

// Every version differs from the others by its key or its fill.
func TestVisaVersions(t *testing.T) {
	card, data := unhex(t, "0123456789ABCDEFFEDCBA9876543210"), []byte("twenty-nine bytes of the card")
	ten, err := VisaCryptogram(10, card, [2]byte{0, 1}, data)
	if err != nil {
		t.Fatal(err)
	}
	if seventeen, _ := VisaCryptogram(17, card, [2]byte{0, 2}, data); seventeen != ten {
		t.Error("versions 10 and 17 use the card key itself: the counter is in the data only")
	}
	a, _ := VisaCryptogram(18, card, [2]byte{0, 1}, data)
	b, _ := VisaCryptogram(18, card, [2]byte{0, 2}, data)
	if a == b || a == ten || SameCryptogram(a, b) || !SameCryptogram(a, a) {
		t.Error("version 18 has a key for each counter")
	}
	c, _ := VisaCryptogram(14, card, [2]byte{0, 1}, data)
	d, _ := VisaCryptogram(14, card, [2]byte{0, 2}, data)
	if c == d || c == a || d == b {
		t.Error("version 14 has a key for each counter, and another one than version 18")
	}
	if _, err := VisaCryptogram(11, card, [2]byte{}, data); !errors.Is(err, hsm.BadInput) {
		t.Error(err)
	}
}

// Keys of scripts and of the tree, and the cryptograms under them: pyemv's examples and a
// captured command of a module.
func TestSessionKeys(t *testing.T) {
	script, err := VisaScriptSession(unhex(t, "0123456789ABCDEFFEDCBA9876543210"), 0x1C)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "script key", script, "0123456789ABCDF2FEDCBA987654CDF2")
	card := unhex(t, "ADBCD9C1F4752562D029AD34B9835E9E") // of the captured command
	leaf, err := TreeSession(card, &WideTree, 1)
	if err != nil {
		t.Fatal(err)
	}
	arqc, _ := Cryptogram(leaf, unhex(t, "000000000000000000000000097800000000000978201214313C4658455800000103A00000"), 1)
	same(t, "ARQC", arqc[:], "897FE51A726DFE47")
	// No two counters share a key, however near.
	for _, tree := range []*Tree{&BinaryTree, &WideTree} {
		seen := map[string]int{}
		for _, atc := range []int{0, 1, 2, 3, 4, 5, 255, 256, 0x4000, 0x8000, 0xFFFF} {
			k, err := TreeSession(card, tree, uint16(atc))
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := seen[string(k)]; ok {
				t.Errorf("counters %d and %d have one key", atc, other)
			}
			seen[string(k)] = atc
		}
	}
	for _, bad := range []Tree{{}, {Branch: 1, Height: 8}, {Branch: 4, Height: 1}, {Branch: 257, Height: 2}, {Branch: 2, Height: 17}} {
		if _, err := TreeSession(card, &bad, 1); !errors.Is(err, hsm.BadInput) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := TreeSession(card[:8], &WideTree, 1); !errors.Is(err, hsm.BadInput) {
		t.Error(err)
	}
	if _, err := VisaScriptSession(card[:8], 1); !errors.Is(err, hsm.BadKeyLength) {
		t.Error(err)
	}
}
