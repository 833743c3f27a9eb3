package payshield

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"tongka/hsm"
)

func parse(t testing.TB, s string) hsm.Key {
	t.Helper()
	k, err := hsm.ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const (
	single = "0406FBB23A5214DF"
	tak    = "U19D25F349FD03CC3556BB05F65283CA1"
	tpk    = "U8463435FC4B4DAA0C49025272C29B12C"
	zpk    = "U1EF828AA8F6B80EB83E19FBC373F3A85"
)

func TestAppend(t *testing.T) {
	pin := hsm.Request{Verb: hsm.TranslatePIN, Key: parse(t, tpk), Key2: parse(t, zpk), From: 1, To: 3,
		PIN: [8]byte{0x64, 0x28, 0xEB, 0x94, 0x03, 0x5A, 0xF5, 0x3B}, PAN12: [12]byte([]byte("550000025321"))}
	zone := pin
	zone.Type = hsm.ZPK
	abc := []byte("ABC")
	for _, c := range []struct {
		name string
		q    hsm.Request
		want string
	}{
		{"UnionPay: the fold's 16 characters", hsm.Request{Verb: hsm.MakeMAC, Key: parse(t, tak), Data: abc},
			"M600011003" + tak + "00104142430000000000"},
		{"X9.9", hsm.Request{Verb: hsm.MakeMAC, Alg: hsm.X99, Key: parse(t, single), Data: abc},
			"M600111003" + single + "0003ABC"},
		{"X9.19", hsm.Request{Verb: hsm.MakeMAC, Alg: hsm.X919, Type: hsm.ZAK, Key: parse(t, tak), Data: abc},
			"M600131008" + tak + "0003ABC"},
		{"verify UnionPay", hsm.Request{Verb: hsm.VerifyMAC, Key: parse(t, tak), Data: abc, MAC: [8]byte([]byte("8A9E91B8"))},
			"M800011003" + tak + "001041424300000000008A9E91B8"},
		{"verify X9.19", hsm.Request{Verb: hsm.VerifyMAC, Alg: hsm.X919, Key: parse(t, tak), Data: abc, MAC: [8]byte([]byte("12345678"))},
			"M800131003" + tak + "0003ABC3132333435363738"},
		{"terminal PIN", pin, "CA" + tpk + zpk + "126428EB94035AF53B0103550000025321"},
		{"zone PIN", zone, "CC" + tpk + zpk + "126428EB94035AF53B0103550000025321"},
		{"generate", hsm.Request{Verb: hsm.GenerateKey, Type: hsm.TAK}, "A00003U"},
		{"generate and export", hsm.Request{Verb: hsm.GenerateKey, Type: hsm.TPK, Key: parse(t, tpk)}, "A01002U;1" + tpk + "X"},
		{"single length", hsm.Request{Verb: hsm.GenerateKey, Type: hsm.TAK, Len: 8, Key: parse(t, tpk)}, "A01003Z;1" + tpk + "Z"},
		{"check value", hsm.Request{Verb: hsm.CheckValue, Type: 0x402, Key: parse(t, tpk)}, "BUFF1" + tpk + ";402;000"},
		{"check value, single", hsm.Request{Verb: hsm.CheckValue, Key: parse(t, single)}, "BUFF0" + single + ";000;000"},
		{"diagnose", hsm.Request{Verb: hsm.Diagnose}, "NC"},
	} {
		got, err := new(Dialect).Append([]byte("kept"), 0xC0FFEE, &c.q)
		if want := "kept00C0FFEE" + c.want; err != nil || string(got) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", c.name, err, got, want)
		}
	}
}

func TestAppendHeader(t *testing.T) {
	q := hsm.Request{Verb: hsm.Diagnose}
	for _, c := range []struct {
		d      Dialect
		header uint32
		want   string // empty: does not fit
	}{
		{Dialect{}, 0xFFFFFFFF, "FFFFFFFFNC"},
		{Dialect{HeaderLen: 4}, 0x0BAD, "0BADNC"},
		{Dialect{HeaderLen: 4}, 0x10000, ""},
		{Dialect{HeaderLen: 1}, 16, ""},
		{Dialect{HeaderLen: 12}, 0xDEADBEEF, "0000DEADBEEFNC"},
		{Dialect{HeaderLen: 4, LMK: "07"}, 1, "0001NC%07"},
	} {
		got, err := c.d.Append(nil, c.header, &q)
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: %q, %v, want %q", c.d, got, err, c.want)
			continue
		}
		if err != nil {
			continue
		}
		if back, err := c.d.Header(got); err != nil || back != c.header {
			t.Errorf("%+v: reads back %X, %v", c.d, back, err)
		}
	}
}

// What could break out of its field never leaves; the error stands for the code
// that a module would have answered.
func TestAppendFaults(t *testing.T) {
	key, abc := parse(t, tak), []byte("ABC")
	digits := [12]byte([]byte("550000025321"))
	for _, c := range []struct {
		name string
		q    hsm.Request
		want hsm.Code
	}{
		{"no verb", hsm.Request{}, hsm.Disabled},
		{"no key", hsm.Request{Verb: hsm.MakeMAC, Data: abc}, hsm.BadKeyLength},
		{"key without length", hsm.Request{Verb: hsm.CheckValue, Key: hsm.Key{Scheme: 'U'}}, hsm.BadKeyLength},
		{"algorithm", hsm.Request{Verb: hsm.MakeMAC, Alg: 9, Key: key, Data: abc}, hsm.BadInput},
		{"too long", hsm.Request{Verb: hsm.MakeMAC, Alg: hsm.X919, Key: key, Data: make([]byte, maxData+1)}, hsm.BadDataLength},
		{"MAC with a delimiter", hsm.Request{Verb: hsm.VerifyMAC, Key: key, Data: abc, MAC: [8]byte([]byte("8A9E\x19901"))}, hsm.Mismatch},
		{"MAC in lower case", hsm.Request{Verb: hsm.VerifyMAC, Key: key, Data: abc, MAC: [8]byte([]byte("8a9e91b8"))}, hsm.Mismatch},
		{"account with a delimiter", hsm.Request{Verb: hsm.TranslatePIN, Key: key, Key2: key, PAN12: [12]byte{'%'}}, hsm.BadAccount},
		{"second key", hsm.Request{Verb: hsm.TranslatePIN, Key: key, PAN12: digits}, hsm.BadKeyLength},
		{"format", hsm.Request{Verb: hsm.TranslatePIN, Key: key, Key2: key, From: 100, PAN12: digits}, hsm.BadFormat},
		{"PIN under a MAC key", hsm.Request{Verb: hsm.TranslatePIN, Type: hsm.TAK, Key: key, Key2: key, PAN12: digits}, hsm.BadKeyType},
		{"length of a new key", hsm.Request{Verb: hsm.GenerateKey, Len: 24}, hsm.BadKeyLength},
	} {
		got, err := new(Dialect).Append([]byte("kept"), 1, &c.q)
		var code hsm.Code
		if string(got) != "kept" || !errors.As(err, &code) || code != c.want {
			t.Errorf("%s: %q, %v, want code %s", c.name, got, err, c.want[:])
		}
	}
}

func TestParse(t *testing.T) {
	kcv := [8]byte{0x26, 0x86, 0x04}
	for _, c := range []struct {
		name, frame string
		verb        hsm.Verb
		want        hsm.Reply
	}{
		{"verified", "M900", hsm.VerifyMAC, hsm.Reply{Code: hsm.Done}},
		{"not verified", "M901", hsm.VerifyMAC, hsm.Reply{Code: hsm.Mismatch}},
		{"a code with letters", "M9BB", hsm.VerifyMAC, hsm.Reply{Code: hsm.Code{'B', 'B'}}},
		{"a fault has no fields", "A115", hsm.GenerateKey, hsm.Reply{Code: hsm.BadInput}},
		{"MAC of 8 characters", "M7008A9E91B8", hsm.MakeMAC, hsm.Reply{Code: hsm.Done, MAC: [8]byte([]byte("8A9E91B8"))}},
		{"MAC of 8 bytes", "M7002686040000000000", hsm.MakeMAC, hsm.Reply{Code: hsm.Done, MAC: kcv}},
		{"MAC and trailer", "M7008A9E91B8\x19T", hsm.MakeMAC, hsm.Reply{Code: hsm.Done, MAC: [8]byte([]byte("8A9E91B8"))}},
		{"PIN", "CB0006268604000000000001", hsm.TranslatePIN, hsm.Reply{Code: hsm.Done, PIN: kcv}},
		{"zone PIN", "CD0006268604000000000001", hsm.TranslatePIN, hsm.Reply{Code: hsm.Done, PIN: kcv}},
		{"check value", "BV002686040000000000", hsm.CheckValue, hsm.Reply{Code: hsm.Done, KCV: kcv}},
		{"key", "A100" + single + "268604", hsm.GenerateKey, hsm.Reply{Code: hsm.Done, Key: parse(t, single), KCV: kcv}},
		{"key and trailer", "A100" + single + "268604\x19T", hsm.GenerateKey, hsm.Reply{Code: hsm.Done, Key: parse(t, single), KCV: kcv}},
		{"two keys", "A100" + tak + single + "268604", hsm.GenerateKey,
			hsm.Reply{Code: hsm.Done, Key: parse(t, tak), Export: parse(t, single), KCV: kcv}},
		{"diagnosis, captured", "ND0026860400000000001084-0906", hsm.Diagnose,
			hsm.Reply{Code: hsm.Done, KCV: kcv, Text: [9]byte([]byte("1084-0906"))}},
	} {
		var r hsm.Reply
		h, err := new(Dialect).Parse([]byte("00C0FFEE"+c.frame), c.verb, &r)
		if err != nil || h != 0xC0FFEE || r != c.want {
			t.Errorf("%s: header %X, %v\n got %+v\nwant %+v", c.name, h, err, r, c.want)
		}
	}
}

func TestParseFaults(t *testing.T) {
	for _, c := range []struct {
		name, frame, place string
		verb               hsm.Verb
	}{
		{"empty", "", "byte 0", hsm.Diagnose},
		{"header", "0000000GM900", "byte 7", hsm.VerifyMAC},
		{"no code", "00000001M", "byte 8", hsm.VerifyMAC},
		{"of another command", "00000001M700", "byte 8", hsm.VerifyMAC},
		{"no error code", "00000001M9", "byte 10", hsm.VerifyMAC},
		{"no MAC", "00000001M700", "byte 12", hsm.MakeMAC},
		{"MAC is no digits", "00000001M7008A9E9xB8", "byte 17", hsm.MakeMAC},
		{"length before the MAC", "00000001M70000088A9E91B8", "byte 20", hsm.MakeMAC},
		{"PIN block cut", "00000001CB0006E614D4AF", "byte 14", hsm.TranslatePIN},
		{"PIN format missing", "00000001CB0006E614D4AFD47BD3BF", "byte 30", hsm.TranslatePIN},
		{"key scheme", "00000001A100S000", "byte 12", hsm.GenerateKey},
		{"no check value", "00000001A100" + single, "byte 28", hsm.GenerateKey},
		{"firmware cut", "00000001ND0026860400000000001084", "byte 28", hsm.Diagnose},
		{"something behind", "00000001BV0026860400000000000", "byte 28", hsm.CheckValue},
		{"trailer too long", "00000001M900\x19" + strings.Repeat("x", 33), "byte 12", hsm.VerifyMAC},
		{"unknown verb", "00000001M900", "byte 8", 99},
	} {
		var r hsm.Reply
		_, err := new(Dialect).Parse([]byte(c.frame), c.verb, &r)
		if err == nil || !strings.Contains(err.Error(), c.place+":") {
			t.Errorf("%s: error %v, want one at %s", c.name, err, c.place)
		}
	}
}

func TestParseMACLength(t *testing.T) {
	d := Dialect{HeaderLen: 4, MACLength: true}
	var r hsm.Reply
	if _, err := d.Parse([]byte("0001M70000088A9E91B8"), hsm.MakeMAC, &r); err != nil || string(r.MAC[:]) != "8A9E91B8" {
		t.Errorf("%s, %v", r.MAC, err)
	}
}

func TestDialectValidate(t *testing.T) {
	for _, c := range []struct {
		d    Dialect
		want string
	}{
		{Dialect{}, ""}, {Dialect{HeaderLen: 255, LMK: "01"}, ""},
		{Dialect{HeaderLen: 256, LMK: "1"}, "256"}, {Dialect{HeaderLen: -1, LMK: "1"}, `"1"`}, {Dialect{LMK: "0A"}, `"0A"`},
	} {
		err := c.d.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.d, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"00000001M900", "00000001M7008A9E91B8", "00000001CB0006E614D4AFD47BD3BF01",
		"00000001A100" + tak + single + "268604", "00000001ND0026860400000000001084-0906"} {
		for v := hsm.VerifyMAC; v <= hsm.Diagnose; v++ {
			f.Add([]byte(s), uint8(v))
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte, verb uint8) {
		var r hsm.Reply
		_, err := new(Dialect).Parse(frame, hsm.Verb(verb), &r)
		// What this dialect does not speak is no fault of the frame.
		if err != nil && !errors.Is(err, hsm.Disabled) && !strings.Contains(err.Error(), "byte ") {
			t.Errorf("%s: %v names no place", hex.EncodeToString(frame), err)
		}
	})
}
