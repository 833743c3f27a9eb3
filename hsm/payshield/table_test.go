package payshield

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tongka/hsm"
	"tongka/hsm/soft"
)

// city is a dialect with everything that Chinese modules have.
func city(t testing.TB) Dialect {
	t.Helper()
	d := Dialect{HeaderLen: 4}
	for _, code := range []string{"UB", "N0"} {
		if err := d.Define(code, Layout{}); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestDefineFaults(t *testing.T) {
	for _, c := range []struct{ code, request, want string }{
		{"ZZ", "", "not known"},
		{"UB", "nonsense:3N", `no field is called "nonsense"`},
		{"UB", "mode", "how is it written"},
		{"UB", "mode:", "how is it written"},
		{"UB", "mode:N", "width"},
		{"UB", "mode:99N", "width"},
		{"UB", "mode:2N[01]", "not understood"},
		{"UB", "{mode=1 key:K", `"}" is missing`},
		{"UB", "{mode key:K }", "name=value"},
		{"UB", "[ mode:1 ]", "begins with a character"},
		{"UB", "key:K ] type:3H", "closes nothing"},
		{"UB", "len:4A(data)", "not a length"},
		{"UB", "len:4H(what)", `"what"`},
	} {
		var d Dialect
		err := d.Define(c.code, Layout{Request: c.request})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.code) {
			t.Errorf("%s %q: %v, want %s", c.code, c.request, err, c.want)
		}
	}
}

// A dialect of one's own changes what goes out and what is read, and no other one.
func TestDefineChangesALayout(t *testing.T) {
	d := Dialect{HeaderLen: 4}
	if err := d.Define("B2", Layout{Request: "len:3N(data) data:@", Response: "; data:*B"}); err != nil {
		t.Fatal(err)
	}
	var f Fields
	if err := f.Set("data", "abc"); err != nil {
		t.Fatal(err)
	}
	out, err := d.AppendCall(nil, 1, "B2", &f)
	if err != nil || string(out) != "0001B2003abc" {
		t.Errorf("%s, %v", out, err)
	}
	answer := NewServer(soft.New(soft.TestLMK()), d).Answer(nil, out)
	if string(answer) != "0001B300;abc" {
		t.Errorf("%s", answer)
	}
	if got := ask(t, newServer(), "B20003abc"); got != "B300abc" {
		t.Errorf("the manual's layout changed, too: %s", got)
	}
	if err := f.Set("dta", ""); err == nil {
		t.Error("a field that does not exist is set")
	}
}

func TestCallFaultsNameTheField(t *testing.T) {
	var d Dialect
	fill := func(set map[string]string) *Fields {
		var f Fields
		for k, v := range set {
			if err := f.Set(k, v); err != nil {
				t.Fatal(err)
			}
		}
		return &f
	}
	pin := map[string]string{"key": tpk, "key2": zpk, "pin": "6428EB94035AF53B", "from": "01", "pan": "550000025321", "pvki": "1", "pvv": "1234"}
	for _, c := range []struct{ code, field, value, want string }{
		{"EC", "pvki", "", "pvki: byte 0"},
		{"EC", "pvki", "x", "pvki: byte 0"},
		{"EC", "pvv", "12345", "pvv: byte 4"},
		{"EC", "pin", "6428EB94035AF53G", "pin: byte 15"},
		{"EC", "key", "Q", "key: byte 0"},
		{"EC", "key", tpk + "0", "key: byte 33"},
		{"EC", "key2", "S0", "key2: byte 0"},
		{"CY", "pan", "", "cvv: byte 0"},
		{"A8", "scheme", "Q", "scheme: byte 0"},
		{"ZZ", "pan", "", `"ZZ"`},
		{"UB", "pan", "", `"UB"`}, // not defined in this dialect
	} {
		f := fill(pin)
		if err := f.Set(c.field, c.value); err != nil {
			t.Fatal(err)
		}
		if c.code == "A8" {
			_ = f.Set("type", "001")
			_ = f.Set("master", tpk)
		}
		got, err := d.AppendCall([]byte("kept"), 1, c.code, f)
		var code hsm.Code
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &code) || string(got) != "kept" {
			t.Errorf("%s, %s %q: %q, %v", c.code, c.field, c.value, got, err)
		}
	}
	long := fill(map[string]string{"data": strings.Repeat("x", 0x10000)})
	if _, err := d.AppendCall(nil, 1, "B2", long); !errors.Is(err, hsm.BadDataLength) {
		t.Errorf("64 KB of data: %v", err)
	}
	semicolon := fill(map[string]string{"key": tpk, "pan": "4123;6", "len": "8701", "service": "101"})
	if _, err := d.AppendCall(nil, 1, "CW", semicolon); err == nil {
		t.Error("a semicolon leaves within its field")
	}
}

func TestParseCall(t *testing.T) {
	d := Dialect{HeaderLen: 4}
	for _, c := range []struct {
		frame, code string
		want        string // of kcv
		result      string
		place       string
	}{
		{"0001ND0026860400000000001084-0906", "NC", "2686040000000000", "00", ""},
		{"0001ND0026860400000000001084-0906\x19T", "NC", "2686040000000000", "00", ""},
		{"0001ND13", "NC", "", "13", ""},
		{"0001A701" + zpk + "6F1E3F", "A6", "6F1E3F", "01", ""},
		{"0001A700" + zpk + "6F1E3", "A6", "", "00", "byte 41"},
		{"0001NE00", "NC", "", "", "byte 4"},
		{"0001ND", "NC", "", "", "byte 6"},
		{"00", "NC", "", "", "byte 2"},
	} {
		var f Fields
		h, result, err := d.ParseCall([]byte(c.frame), c.code, &f)
		if c.place == "" {
			if err != nil || h != 1 || string(result[:]) != c.result || f.Get("kcv") != c.want {
				t.Errorf("%q: %d, %s, %q, %v", c.frame, h, result[:], f.Get("kcv"), err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.place+":") {
			t.Errorf("%q: %v, want %s", c.frame, err, c.place)
		}
	}
}

// Every verb gives over the wire what it gives in the process.
func TestRareVerbsOverTheWire(t *testing.T) {
	m := soft.New(soft.TestLMK())
	d := city(t)
	s := NewServer(soft.New(soft.TestLMK()), d)
	p := party{NewServer(m, d), t, m}
	master := parse(t, p.wrap(hsm.MKAC, "76E1627B8C60DA5500D19F5B1D3547E0"))
	tac := parse(t, p.wrap(hsm.MKAC, "9A884C4005A89C50DF8607AE484B5B5B"))
	load := hsm.Card{Levels: 1, Kind: hsm.PurseLoad, Balance: 159560, Amount: 19680, Seq: 12, Random: [4]byte{0x93, 0x27, 0x12, 0xA3},
		Terminal: [6]byte{5: 1}, Time: [7]byte{0x20, 0x10, 0x10, 0x28, 0x12, 0x20, 0x05}}
	load.Div[0] = [8]byte{0x21, 0x7F, 0x12, 0xA2, 0x80}
	two := load
	two.Levels, two.Div[1] = 2, [8]byte{1, 2, 3}
	bought := hsm.Card{Levels: 1, Kind: hsm.PursePurchase, Amount: 100, Terminal: [6]byte{5: 0x15}, Time: [7]byte{0x20, 0x10, 0x11, 0x25, 0x15, 0x21, 0x56}}
	bought.Div[0] = [8]byte{0x23, 0x01, 0xD1, 0x46, 0x80}
	pin := hsm.Request{Key: parse(t, tpk), Key2: parse(t, "X367930344805B1FAD6146EF4ED7502B3"), From: 1,
		PIN: [8]byte{0x64, 0x28, 0xEB, 0x94, 0x03, 0x5A, 0xF5, 0x3B}, PAN12: [12]byte([]byte("550000025321"))}
	digits := func(pvv string) *hsm.More { return &hsm.More{Index: '1', PVV: [4]byte([]byte(pvv))} }
	with := func(q hsm.Request, v hsm.Verb, m *hsm.More) hsm.Request { q.Verb, q.More = v, m; return q }
	card := func(v hsm.Verb, key hsm.Key, c *hsm.Card, mac ...byte) hsm.Request {
		q := hsm.Request{Verb: v, Key: key, More: &hsm.More{Card: *c}}
		copy(q.MAC[:], mac)
		return q
	}
	offset := &hsm.More{CheckPIN: 4, Table: [16]byte([]byte("0123456789012345")), Validation: [12]byte([]byte("50103093936N"))}
	natural, code := m.Offset([]byte("X367930344805B1FAD6146EF4ED7502B3"), []byte("1234"), &pin.PAN12, &offset.Table, offset.Validation[:])
	if !code.OK() {
		t.Fatal(code)
	}
	offset.Offset = natural
	wrong := *offset
	wrong.Offset[0] ^= 1
	zmk, zpkUnder := parse(t, "U71979DEB8587E2734F1E99D5DCAEF9AC"), parse(t, "XC8E3118AFA853807EB7E92294663A5BA")
	data := hsm.Request{Type: hsm.ZEK, Key: parse(t, p.wrap(hsm.ZEK, keyClear)), Data: []byte("eight by"), More: &hsm.More{}}
	wide := &hsm.More{Key: aesBlock(t, "P0", "C1D0F8FB4958670DBA40AB1F3752EF0D"), PAN: []byte("432198765432109870"), Block: [16]byte([]byte(bin("CC17F65586BFD0953010226C4FC5B3CA")))}
	iso4 := hsm.Request{Type: hsm.ZPK, Key2: parse(t, zpk), From: hsm.ISO4, To: hsm.ISO0, PAN12: [12]byte([]byte("876543210987"))}
	dukpt := hsm.Request{Type: hsm.BDK, Key: parse(t, p.wrap(hsm.BDK, keyClear)), Key2: parse(t, zpk), From: hsm.ISO0, To: hsm.ISO0,
		PIN: [8]byte([]byte(bin("1B9C1845EB993A7A"))), PAN12: [12]byte([]byte("401234567890"))}
	cvv := &hsm.More{PAN: []byte("4123456789012345"), Expiry: []byte("8701"), Service: []byte("101"), CVV: [3]byte([]byte("561"))}
	for _, c := range []struct {
		name string
		q    hsm.Request
		want hsm.Code
	}{
		{"MAC1", card(hsm.VerifyMAC1, master, &load, 0x2C, 0x7D, 0xB9, 0x87), hsm.Done},
		{"MAC1, wrong", card(hsm.VerifyMAC1, master, &load, 0x2C, 0x7D, 0xB9, 0x88), hsm.Mismatch},
		{"MAC1, another level", card(hsm.VerifyMAC1, master, &two, 0x2C, 0x7D, 0xB9, 0x87), hsm.Mismatch},
		{"MAC2", card(hsm.MakeMAC2, master, &load), hsm.Done},
		{"MAC2, two levels", card(hsm.MakeMAC2, master, &two), hsm.Done},
		{"TAC", card(hsm.VerifyTAC, tac, &bought, 0x90, 0x9F, 0x18, 0xD0), hsm.Done},
		{"TAC, wrong", card(hsm.VerifyTAC, tac, &bought, 0x90, 0x9F, 0x18, 0xD1), hsm.Mismatch},
		{"TAC, a key of another type", card(hsm.VerifyTAC, parse(t, tpk), &bought), hsm.BadKey},
		{"MAC2, no key", card(hsm.MakeMAC2, hsm.Key{}, &load), hsm.BadInput},
		{"MAC2 of an SM4 card", card(hsm.MakeMAC2, master, &hsm.Card{Alg: hsm.CardSM4}), hsm.Disabled},
		{"PVV", with(pin, hsm.VerifyPVV, digits("4402")), hsm.Done},
		{"PVV, wrong", with(pin, hsm.VerifyPVV, digits("4403")), hsm.Mismatch},
		{"offset", with(pin, hsm.VerifyOffset, offset), hsm.Done},
		{"offset, wrong", with(pin, hsm.VerifyOffset, &wrong), hsm.Mismatch},
		{"import", hsm.Request{Verb: hsm.ImportKey, Type: hsm.ZPK, Key: zmk, Key2: zpkUnder, Zone: true}, hsm.Done},
		{"import, the ZMK is no TMK", hsm.Request{Verb: hsm.ImportKey, Type: hsm.ZPK, Key: zmk, Key2: zpkUnder}, hsm.BadKey},
		{"export", hsm.Request{Verb: hsm.ExportKey, Type: hsm.ZPK, Key: zmk, Key2: parse(t, zpk), Zone: true}, hsm.Done},
		{"CVV", hsm.Request{Verb: hsm.VerifyCVV, Key: parse(t, "U9B4934384B19946B040CD702B4D58145"), More: cvv}, hsm.Done},
		{"PIN of format 4", with(iso4, hsm.TranslatePIN, wide), hsm.Done},
		{"PIN of format 4, no account", with(iso4, hsm.TranslatePIN, &hsm.More{Key: wide.Key, Block: wide.Block}), hsm.BadAccount},
		{"PIN of a DUKPT terminal", with(dukpt, hsm.TranslatePIN, &hsm.More{KSN: []byte(bin("FFFF9876543210E00001"))}), hsm.Done},
		{"PIN of a DUKPT terminal, short serial", with(dukpt, hsm.TranslatePIN, &hsm.More{KSN: []byte(bin("9876543210E00001"))}), hsm.Done},
		{"PIN of a DUKPT terminal, serial of four bytes", with(dukpt, hsm.TranslatePIN, &hsm.More{KSN: []byte("1234")}), hsm.BadKeyLength},
		{"encrypt", with(data, hsm.EncryptData, data.More), hsm.Done},
		{"decrypt", with(data, hsm.DecryptData, data.More), hsm.Done},
		{"echo", hsm.Request{Verb: hsm.Echo, Data: []byte("here")}, hsm.Done},
	} {
		var direct, wired hsm.Reply
		m.Do(&c.q, &direct)
		if direct.Code != c.want {
			t.Errorf("%s: directly %v, want %v", c.name, direct.Code, c.want)
		}
		frame, err := d.Append(nil, 7, &c.q)
		if err != nil {
			var code hsm.Code
			if !errors.As(err, &code) || code != c.want {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if h, err := d.Parse(s.Answer(nil, frame), c.q.Verb, &wired); err != nil || h != 7 || wired != direct {
			t.Errorf("%s: %s\n got %+v, %v\nwant %+v", c.name, frame, wired, err, direct)
		}
	}
	random := hsm.Request{Verb: hsm.Random, Len: 16}
	frame, err := d.Append(nil, 7, &random)
	var r hsm.Reply
	if _, perr := d.Parse(s.Answer(nil, frame), hsm.Random, &r); err != nil || perr != nil || len(r.Out) != 16 {
		t.Errorf("random: %d bytes, %v, %v", len(r.Out), err, perr)
	}
	if _, err := new(Dialect).Append(nil, 1, &hsm.Request{Verb: hsm.MakeMAC2, More: &hsm.More{}}); !errors.Is(err, hsm.Disabled) {
		t.Errorf("MAC2 without UB: %v", err)
	}
}

// A load as a switch does it over the wire, with the numbers of the published one.
func TestMAC2OverTheWire(t *testing.T) {
	d := city(t)
	p := newParty(t)
	p.Server = NewServer(p.m, d)
	key := p.wrap(hsm.MKAC, "76E1627B8C60DA5500D19F5B1D3547E0")
	command := "UBX11109" + key + "1217F12A280000000932712A3000C8000" + "0" + strings.Repeat("0", 16) +
		"018" + "00004CE0" + "02" + "000000000001" + "20101028122005" + "04"
	if got := ask(t, p.Server, command); got != "UC00B9277FC6" {
		t.Errorf("%s", got)
	}
	if got := ask(t, newServer(), command); got != "UC68" {
		t.Errorf("where UB was not defined: %s", got)
	}
	for name, bad := range map[string]string{
		"IV":       strings.Replace(command, strings.Repeat("0", 16)+"018", "1"+strings.Repeat("0", 15)+"018", 1),
		"length":   command[:len(command)-2] + "05",
		"data":     strings.Replace(command, "018", "019", 1),
		"levels":   strings.Replace(command, key+"1", key+"4", 1),
		"unpadded": strings.Replace(command, "80000"+strings.Repeat("0", 16), "80001"+strings.Repeat("0", 16), 1),
	} {
		if got := ask(t, p.Server, bad); got[2:4] == "00" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestManyInOne(t *testing.T) {
	s := newServer()
	for _, c := range []struct{ name, command, want string }{
		{"two", "NK0020002NC0008B20002ab", "NL00020029ND00" + "2686040000000000" + soft.Firmware + "0006B300ab"},
		{"with headers", "NK1010012abcdB20002xy", "NL00010010abcdB300xy"},
		{"a fault in one", "NK0020007B20009a0008B20002ab", "NL00020004B3800006B300ab"},
		{"none", "NK000", "NL52"},
		{"a trailer", "NK0010008B20002ab\x19T", "NL00010006B300ab\x19T"},
		{"cut", "NK0010009B20002ab", "NL80"},
		{"too short", "NK0010001N", "NL15"},
		{"one in another", "NK0010002NK", "NL15"},
		{"too few", "NK0020002NC", "NL15"},
		{"flag", "NK2010002NC", "NL15"},
	} {
		if got := ask(t, s, c.command); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestKeyManagementCommands(t *testing.T) {
	p := newParty(t)
	zmk, tmk := p.wrap(hsm.ZMK, masterClear), p.wrap(hsm.TMK, masterClear)
	own := map[string]string{"ZPK": p.wrap(hsm.ZPK, keyClear), "TAK": p.wrap(hsm.TAK, keyClear), "TMK": p.wrap(hsm.TMK, keyClear)}
	const kcv = "08D7B4FB629D0885"
	for _, c := range []struct{ command, want string }{
		{"GC" + zmk + "U" + own["ZPK"][1:] + ";XU0", kcv},
		{"AG" + tmk + own["TAK"] + ";XU0", ""},
		{"AE" + tmk + own["TMK"] + ";XU0", ""},
	} {
		got := p.fields(c.command, "00")
		if !strings.HasSuffix(got, c.want) || openUnder(t, masterClear, got[:33]) != keyClear {
			t.Errorf("%s: %s", c.command, got)
		}
	}
	for _, c := range []struct{ command, lmkType string }{
		{"IA" + zmk + ";XU0", "01"}, {"FI0" + zmk + ";XU0", "0A"}, {"FI1" + zmk + ";XU0", "08"},
	} {
		got := p.fields(c.command, "00")
		export, key, check := got[:33], got[33:66], got[66:]
		if p.fields("BU"+c.lmkType+"1"+key, "00") != check {
			t.Errorf("%s: check value %s", c.command, check)
		}
		clearText := openUnder(t, masterClear, export)
		if again := p.wrap(map[string]hsm.KeyType{"01": hsm.ZPK, "0A": hsm.ZEK, "08": hsm.ZAK}[c.lmkType], clearText); again != key {
			t.Errorf("%s: the two keys differ", c.command)
		}
	}
}

func TestKeyBlockCommands(t *testing.T) {
	p := newParty(t)
	zmk := p.wrap(hsm.ZMK, masterClear)
	// A new key in a block, exported as TR-31, comes back the same.
	for _, alg := range []string{"T", "A"} {
		got := p.fields("A0"+"0001S#P0"+alg+"N00E00", "00")
		block, kcv := got[:len(got)-6], got[len(got)-6:]
		if check := p.fields("BUFF1"+block+";001;001", "00"); check != kcv {
			t.Errorf("%s: check value %s, then %s", alg, kcv, check)
		}
		export := p.fields("A8001;0"+zmk+block+"R", "00")
		tr31 := export[:len(export)-6]
		back := p.fields("A6001;0"+zmk+tr31+"S", "00")
		if !strings.HasSuffix(back, kcv) || back == block || tr31[:2] != "RB" {
			t.Errorf("%s: %s came back as %s", alg, tr31, back)
		}
	}
	aes := p.fields("A00001S#P0AN00E00", "00")
	aes = aes[:len(aes)-6]
	for _, c := range []struct{ command, want string }{
		{"A8001;0" + zmk + aes + "U", "A926"}, // an AES key under variants
		{"BUFF1" + aes + ";402;001", "BVA8"},  // a PIN key is no CVK
		{"BUFF1" + aes[:len(aes)-1] + "G;001;001", "BV15"},
		{"BUFF1" + flip(aes) + ";001;001", "BVA2"},
		{"A00001S#P0XN00E00", "A115"},
		{"A00001S#D0TN00E00", "A1A8"},
		{"A00EES", "A115"},
		{"A0000CS", "A104"},
		{"CC" + aes + zpk + "12" + strings.Repeat("6428EB94035AF53B", 2) + "0101550000025321", "CD10"}, // no DES key
	} {
		if got := ask(t, p.Server, c.command); got != c.want {
			t.Errorf("%s: %s, want %s", c.command, got, c.want)
		}
	}
}

// flip changes the last digit of a block.
func flip(block string) string {
	last := byte('0')
	if block[len(block)-1] == '0' {
		last = '1'
	}
	return block[:len(block)-1] + string(last)
}

// A MAC with an AES block, in parts and by CMAC.
func TestAESMACs(t *testing.T) {
	p := newParty(t)
	got := p.fields("A00003S#M6AN00E00", "00")
	key := got[:len(got)-6]
	whole := p.fields("M600151003"+key+"002016 bytes of text16 bytes of text", "00")
	iv := p.fields("M610151003"+key+"001016 bytes of text", "00")
	if len(whole) != 16 || len(iv) != 32 {
		t.Fatalf("%s, %s", whole, iv)
	}
	if last := p.fields("M630151003"+key+iv+"001016 bytes of text", "00"); last != whole {
		t.Errorf("%s in parts, %s whole", last, whole)
	}
	cmac := p.fields("M600161003"+key+"0003abc", "00")
	if got := ask(t, p.Server, "M800161003"+key+"0003abc"+cmac); got != "M900" || cmac == whole {
		t.Errorf("CMAC: %s", got)
	}
	if got := ask(t, p.Server, "M610161003"+key+"0003abc"); got != "M715" {
		t.Errorf("CMAC in parts: %s", got)
	}
}

func TestPINCommands(t *testing.T) {
	p := newParty(t)
	const block = "6428EB94035AF53B01550000025321" // 1234 under the TPK
	lpin := p.fields("JC"+tpk+block, "00")
	zoned := p.fields("CA"+tpk+zpk+"126428EB94035AF53B0101550000025321", "00")[2:18]
	for _, c := range []struct{ command, want string }{
		{"JE" + zpk + zoned + "01550000025321", "JF00" + lpin},
		{"JG" + zpk + "01550000025321" + lpin, "JH00" + zoned},
		{"BC" + tpk + block + lpin, "BD00"},
		{"BC" + tpk + block + "01235", "BD01"},
		{"BE" + zpk + zoned + "01550000025321" + lpin, "BF00"},
		{"BA1234F550000025321", "BB00" + lpin},
		{"BA12x4F550000025321", "BB20"},
		{"BA123F550000025321", "BB24"},
		{"JG" + zpk + "015500000253211234", "JH24"},
		{"JG" + zpk + "0155000002532111234", "JH24"}, // not under this LMK
		{"DC" + tpk + "367930344805B1FAD6146EF4ED7502B3" + block + "14402", "DD00"},
		{"DC" + tpk + "U183DF6EA5EDFF7D5C91C8F2BA6451884" + block + "10481", "DD00"},
		{"DC" + tpk + zpk + block + "10481", "DD11"},
	} {
		if got := ask(t, p.Server, c.command); got != c.want {
			t.Errorf("%s: %s, want %s", c.command, got, c.want)
		}
	}
	const bdk = "0123456789ABCDEFFEDCBA9876543210"
	dukpt := "G0" + p.wrap(hsm.BDK, bdk) + zpk
	if got := ask(t, p.Server, dukpt+"A05"+"FFFF9876543210E00001"+"1B9C1845EB993A7A"+"0101401234567890"); !strings.HasPrefix(got, "G10004") || len(got) != 24 {
		t.Errorf("G0: %s", got)
	}
	if got := ask(t, p.Server, dukpt+"906"+"FFFF9876543210E00001"+"1B9C1845EB993A7A"+"0101401234567890"); !strings.HasPrefix(got, "G10004") {
		t.Errorf("G0: %s", got)
	}
	if got := ask(t, p.Server, dukpt+"605"+"FFFF9876543210E00001"+"1B9C1845EB993A7A"+"0101401234567890"); got != "G115" {
		t.Errorf("G0 with another descriptor: %s", got)
	}
}

func TestDataCommands(t *testing.T) {
	p := newParty(t)
	zek, dek := p.wrap(hsm.ZEK, keyClear), p.wrap(hsm.DEK, masterClear)
	const iv = "0011223344556677"
	for _, mode := range []string{"00", "01", "02", "03"} {
		with := iv
		if mode == "00" {
			with = ""
		}
		enc := p.fields("M0"+mode+"0100A"+zek+with+"0010sixteen chars...", "00")
		back := p.fields("M2"+mode+"1000A"+zek+with+fmt.Sprintf("%04X", 32)+enc[len(enc)-32:], "00")
		if !strings.HasSuffix(back, "0010sixteen chars...") {
			t.Errorf("mode %s: %q", mode, back)
		}
		moved := p.fields("M4"+mode+"01"+"1100A"+zek+"00B"+dek+with+iv+"0020"+enc[len(enc)-32:], "00")
		back = p.fields("M201"+"1000B"+dek+iv+"0020"+moved[len(moved)-32:], "00")
		if !strings.HasSuffix(back, "sixteen chars...") {
			t.Errorf("mode %s, moved: %q", mode, back)
		}
	}
	// CBC goes on from the IV that comes back.
	first := p.fields("M0010100A"+zek+iv+"0008eight ch", "00")
	second := p.fields("M0010100A"+zek+first[:16]+"0008ars here", "00")
	whole := p.fields("M0010100A"+zek+iv+"0010eight chars here", "00")
	if whole[20:] != first[20:]+second[20:] {
		t.Errorf("%s and %s, whole %s", first, second, whole)
	}
	for _, c := range []struct{ command, want string }{
		{"M0000100A" + zek + "0007seven c", "M115"},
		{"M0000100A" + zek + "0000", "M115"},
		{"M0040100A" + zek + iv + "0008eight ch", "M115"},
		{"M0001100A" + zek + "000F0123456789ABCDE", "M180"},
		{"M0000100A" + tpk + "0008eight ch", "M110"},
		{"M4000011" + "00A" + zek + "00B" + zek + "00100123456789ABCDEF", "M511"},
	} {
		if got := ask(t, p.Server, c.command); got != c.want {
			t.Errorf("%s: %s, want %s", c.command, got, c.want)
		}
	}
}

func TestMACCommands(t *testing.T) {
	p := newParty(t)
	const data = "givemeSOMEMACing"
	single := "C6F34693FB39CB6E"
	other := p.wrap(hsm.TAK, keyClear)
	moved := p.fields("ME"+single+other+"170C2BDB"+data, "00")
	if got := ask(t, p.Server, "MC"+other+moved+data); got != "MD00" {
		t.Errorf("ME then MC: %s", got)
	}
	if got := ask(t, p.Server, "ME"+single+other+"170C2BDC"+data); got != "MF01" {
		t.Errorf("ME, wrong: %s", got)
	}
	if got := ask(t, p.Server, "ME"+single+tpk+"170C2BDB"+data); got != "MF11" {
		t.Errorf("ME, second key: %s", got)
	}
	whole := p.fields("C20"+other+"1000010"+data, "00")
	if got := ask(t, p.Server, "C40"+other+"1000010"+data+whole); got != "C500" {
		t.Errorf("C4: %s", got)
	}
	iv := p.fields("C20"+other+"1010008"+data[:8], "00")
	if last := p.fields("C20"+other+"1030008"+data[8:]+iv, "00"); last != whole {
		t.Errorf("C2: %s in parts, %s whole", last, whole)
	}
	if got := ask(t, p.Server, "C40"+other+"1000010"+data+flip(whole)); got != "C501" {
		t.Errorf("C4, wrong: %s", got)
	}
}
