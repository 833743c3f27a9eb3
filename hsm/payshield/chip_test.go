package payshield

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"testing"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// A card of the published examples: account 1234567890123456, sequence number 00, and
// the data of its cryptograms, filled for Visa's versions 10 and 18. Source: the test
// suite of pyemv, which holds them to be a module's.
const (
	cardAccount = "3456789012345600"
	cardATC     = "001C"
	cardData    = "000000004000" + "000000000000" + "0124" + "8000048000" + "0124" + "191105" + "01" + "52BF4585" + "1800" + cardATC
	data10      = cardData + "03A06010" + "000000"
	data18      = cardData + "06011203A0B800" + "8000000000000000"
	smiClear    = "FEDCBA98765432100123456789ABCDEF"
)

// TestChipModes asks KQ and KW in each of their modes for what another program
// computed.
func TestChipModes(t *testing.T) {
	p := newParty(t)
	key, smi := p.wrap(hsm.MKAC, keyClear), p.wrap(0x209, smiClear)
	visa := func(mode string) string { return "KQ" + mode + "0" + key }
	card := bin(cardAccount + cardATC)
	kq := card + bin("00000000")
	arqc10, arqc18 := bin("29CCA15AE665FA2E"), bin("7A788EA6B8A3E733")
	long := func(data string) string {
		return strings.ToUpper(hex.EncodeToString([]byte{byte(len(data) / 2)})) + bin(data) + ";"
	}
	own := bin("8418000008" + cardATC + "29CCA15AE665FA2E")
	script := bin("DB56BA60") + "0F" + own
	for _, c := range []struct{ name, command, want string }{
		{"KQ 0", visa("0") + kq + long(data10) + arqc10, "KR00"},
		{"KQ 1", visa("1") + kq + long(data10) + arqc10 + "00", "KR00" + bin("28993816AFAE4AEB")},
		{"KQ 2", visa("2") + kq + arqc10 + "00", "KR00" + bin("28993816AFAE4AEB")},
		{"KQ 3", visa("3") + smi + kq + long(data10) + arqc10 + script, "KR00"},
		{"KQ 4", visa("4") + smi + kq + long(data10) + arqc10 + "00" + script, "KR00" + bin("28993816AFAE4AEB")},
		{"KQ 3, wrong data", visa("3") + smi + kq + long(data10) + arqc10 + bin("DB56BA60") + "0F" + own[1:] + "x", "KR01"},
		{"KQ 3, wrong cryptogram", visa("3") + smi + kq + long(data10) + bin("29CCA15AE665FA2F") + script, "KR01"},
		{"KQ 3, a key of another type", visa("3") + key + kq + long(data10) + arqc10 + script, "KR11"},
		{"KQ, scheme", "KQ29" + key + kq + arqc10 + "00", "KR15"},
		{"KQ 5", visa("5") + kq + arqc10 + "00", "KR15"},
		{"KW 0", "KW02" + key + card + long(data18) + arqc18, "KX00"},
		{"KW 3", "KW32" + key + card + long(data18) + arqc18 + bin("00000000") + "0", "KX00" + bin("9AF514C1"+"00000000")},
		{"KW 4", "KW42" + key + card + arqc18 + bin("00000000") + "0", "KX00" + bin("9AF514C1"+"00000000")},
		{"KW 3, wrong", "KW32" + key + card + long(data18) + bin("7A788EA6B8A3E734") + bin("00000000") + "0", "KX01"},
		{"KW, no whole blocks", "KW02" + key + card + "07" + "seven..;" + "12345678", "KX80"},
		{"KW, more of the issuer's own than there may be", "KW42" + key + card + arqc18 + bin("00000000") + "9" + "123456789", "KX80"},
		{"KW, scheme", "KW04" + key + card + long(data18) + arqc18, "KX15"},
		{"KW, an AES key", "KW02" + aesBlock(t, "E0", keyClear) + card + long(data18) + arqc18, "KX10"},
	} {
		if got := ask(t, p.Server, c.command); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Option B derives by a hash once account and sequence number are longer than eight
// bytes; the cryptograms are another program's, with its session data.
func TestChipOptionB(t *testing.T) {
	p := newParty(t)
	key := p.wrap(hsm.MKAC, keyClear)
	// Account 000000000000000005, sequence 23: the hash has too few decimal digits.
	const data = "00000000400000000000000001248000048000012419110501" + "52BF45851800001C06011203A0B800"
	filled := data + "80" + strings.Repeat("00", 7-len(data)/2%8)
	long := strings.ToUpper(hex.EncodeToString([]byte{byte(len(filled) / 2)})) + bin(filled) + ";"
	account := "10" + bin("00000000000000000523") + ";"
	if got := ask(t, p.Server, "KW03"+key+account+bin(cardATC)+long+bin("8CAD6F2489C640B1")); got != "KX00" {
		t.Errorf("option B: %q", got)
	}
	// E39F1876 is for four bytes of the issuer's own.
	if got := ask(t, p.Server, "KW43"+key+account+bin(cardATC)+bin("8CAD6F2489C640B1"+"00000000")+"4"+bin("12345678")); got != "KX00"+bin("E39F1876"+"00000000") {
		t.Errorf("option B, method 2: %q", got)
	}
	tree := bin(strings.Repeat("00", 16))
	if got := ask(t, p.Server, "KW01"+key+tree+account+"0"+bin(cardATC)+long+bin("8CAD6F2489C640B1")); got != "KX01" {
		t.Errorf("option B with the tree: %q", got)
	}
	for _, short := range []string{"07" + bin("00000000000523") + ";", "12" + bin("000000000000000000000523") + ";", "00;"} {
		if got := ask(t, p.Server, "KW03"+key+short+bin(cardATC)+long+bin("8CAD6F2489C640B1")); got != "KX22" {
			t.Errorf("account %q: %q", short, got)
		}
	}
}

// aesBlock is a key block under the public test LMK for AES, as it is published.
func aesBlock(t *testing.T, usage, key string) string {
	t.Helper()
	h := clear.Header{Usage: [2]byte([]byte(usage)), Alg: 'A', Mode: 'N', Version: [2]byte{'0', '0'}, Exportable: 'E', Reserved: [2]byte{'0', '0'}}
	b, err := clear.SealBlock(clear.Thales1, []byte(bin("9B71333A13F9FAE72F9D0E2DAB4AD6784718012F9244033F3F26A2DE0C8AA11A")), h, []byte(bin(key)), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return "S" + string(b)
}

// The published format 4 block goes by CC to a bank in format 0 and back, and that of an
// AES DUKPT terminal by G0.
func TestWidePINs(t *testing.T) {
	p := newParty(t)
	wide := aesBlock(t, "P0", "C1D0F8FB4958670DBA40AB1F3752EF0D")
	const account, pan12 = "432198765432109870", "876543210987"
	in := "12CC17F65586BFD0953010226C4FC5B3CA4801" + pan12
	got := p.fields("CC"+wide+zpk+in+";"+account, "00")
	if len(got) != 2+16+2 || got[:2] != "04" || got[18:] != "01" {
		t.Fatalf("to format 0: %s", got)
	}
	back := p.fields("CC"+zpk+wide+"12"+got[2:18]+"0148"+pan12+";"+account+"%00\x19T", "00")
	if len(back) != 2+32+2+2 || back[34:] != "48\x19T" {
		t.Fatalf("back: %s", back)
	}
	if again := p.fields("CC"+wide+zpk+"12"+back[2:34]+"4801"+pan12+";"+account, "00"); again != got {
		t.Errorf("there and back: %s, want %s", again, got)
	}
	base := aesBlock(t, "B0", "FEDCBA9876543210F1F1F1F1F1F1F1F1")
	b, err := clear.NewBlock(clear.AES, []byte(bin("AF8CB133A78F8DC2D1359F18527593FB"))) // the published PIN key of counter 1
	if err != nil {
		t.Fatal(err)
	}
	block, err := clear.EncryptPIN4(b, []byte("1234"), []byte(account), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dukpt := "G0" + base + zpk + "808123456789012345600000001" + strings.ToUpper(hex.EncodeToString(block[:])) + "4801" + pan12
	if g0 := p.fields(dukpt+";"+account, "00"); g0 != got {
		t.Errorf("AES DUKPT: %s, want %s", g0, got)
	}
	for _, c := range []struct{ command, want string }{
		{"CC" + wide + zpk + in, "CD22"},                                                        // no account
		{"CC" + wide + zpk + in + ";432198765432109871", "CD20"},                                // another's
		{"CC" + wide + zpk + strings.Replace(in, "4801", "4899", 1) + ";" + account, "CD23"},    // to no format
		{"CC" + zpk + zpk + "12" + got[2:18] + "4801" + pan12 + ";" + account, "CD27"},          // a DES key
		{strings.Replace(dukpt, "808", "809", 1) + ";" + account, "G115"},                       // a longer serial number
		{"G0" + base + zpk + "A05FFFF9876543210E00001" + got[2:18] + "0101" + pan12, "G115"},    // of TDES
		{"CC" + wide + zpk + in + ";43219876543210987x", "CD15"},                                // no digits
		{"CC" + wide + zpk + in + ";" + strings.Repeat("4", 20), "CD22"},                        // too many
		{"G0" + wide + zpk + "808123456789012345600000001" + in[2:34] + "4801" + pan12, "G1A8"}, // no base key
	} {
		if got := ask(t, p.Server, c.command); got != c.want {
			t.Errorf("%s: %s, want %s", c.command, got, c.want)
		}
	}
}
