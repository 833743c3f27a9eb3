package explain

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"tongka/codec/iso8583"
)

// build makes a message of a dialect from pairs of field and value.
func build(t *testing.T, s *iso8583.Spec, front []byte, mti iso8583.MTI, fields ...any) []byte {
	t.Helper()
	b := s.Begin(front, mti)
	for i := 0; i < len(fields); i += 2 {
		b.Put(fields[i].(int), []byte(fields[i+1].(string)))
	}
	out, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func decode(t *testing.T, input []byte, o Options) *Result {
	t.Helper()
	r, err := Decode(input, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func prefixed(frame []byte) []byte {
	return append([]byte{byte(len(frame) >> 8), byte(len(frame))}, frame...)
}

const tpduHeader = "\x60\x00\x03\x00\x00\x60\x31\x00\x31\x13\x02"

func TestCardDataIsMasked(t *testing.T) {
	const card, shown = "6222021234567890005", "622202*********0005"
	f55 := "\x9F\x27\x01\x80\x5A\x0A\x62\x22\x02\x12\x34\x56\x78\x90\x00\x5F\x57\x08\x62\x22\x02\x00\x00\x00\x5D\x30\x95\x01\xAA\x56\x02AB"
	msg := build(t, iso8583.Pos(), []byte(tpduHeader), 0x0200,
		2, card, 3, "000000", 11, "000123", 35, card+"D30121010000000000", 36, "99"+card+"=1561560000",
		45, "B"+card+"^NAME", 52, "PINBLOCK", 55, f55, 59, "text 4000000000000002",
		60, "22000001", 62, "\xFF4000000000000002", 64, "ABCDEFGH")
	r := decode(t, prefixed(msg), Options{})
	want := map[string]string{
		"2": shown, "35": shown + "D" + stars(17), "36": "996222" + stars(11) + "0005D" + stars(10), "45": "B62220**********0005^****",
		"52": stars(16),
		"55": "9F270180" + "5A0A" + shown + "F" + "5708" + "622202***0005D**" + "9501AA" + "5602****",
		"59": "text 4000000000000002", "60": "22000001", "62": "FF34303030303030303030303030303032", "3": "000000",
	}
	for n, w := range want {
		if r.Fields[n] != w {
			t.Errorf("F%s shows %q, want %q", n, r.Fields[n], w)
		}
	}
	all, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{card, card[6:15], "50494E424C4F434B", "NAME", "3012101"} {
		if strings.Contains(string(all), secret) {
			t.Errorf("%q can be seen in %s", secret, all)
		}
	}
	if r := decode(t, prefixed(msg), Options{Unmask: true}); r.Fields["2"] != card || r.Fields["52"] != "50494E424C4F434B" {
		t.Errorf("unmasked: %q, %q", r.Fields["2"], r.Fields["52"])
	}
}

func TestBrokenChipDataIsNotShown(t *testing.T) {
	for in, want := range map[string]string{
		"\x95\x01\xAA\x5A\x09\x62\x22": "9501AA********",
		"\x9F":                         "**",
		"\x5A":                         "**",
		"\x5A\x81\x02\x12\x34":         "5A8102****",
		"\x5A\x84\x00":                 "******",
		"\x9F\x81\x01":                 "******",
	} {
		if got := chip([]byte(in)); got != want {
			t.Errorf("%X shows as %s, want %s", in, got, want)
		}
	}
}

func TestBatchUploadHidesItsCards(t *testing.T) {
	item := "00" + "000017" + "06222020000000000005" + "000000012345"
	msg := build(t, iso8583.Pos(), []byte(tpduHeader), 0x0320, 48, "02"+item+item, 60, "00000001201")
	hidden := "00" + "000017" + stars(16) + "0005" + "000000012345"
	if got := decode(t, msg, Options{}).Fields["48"]; got != "02"+hidden+hidden {
		t.Errorf("F48 %s", got)
	}
}

func TestEnvelopesAreFound(t *testing.T) {
	bare := build(t, iso8583.Pos(), nil, 0x0800, 11, "000172", 41, "50080001", 42, "309310083985008", 60, "00000172003")
	lri := "LRI\x00\x1C" + strings.Repeat("\x11", 28)
	cups := func(head []byte) []byte {
		m := build(t, iso8583.Cups(), head, 0x0820, 7, "0713035021", 11, "001080", 33, "04384530", 70, "301", 128, "86723E86")
		if len(head) > 0 {
			iso8583.PatchCupsLength(m, len(m))
		}
		return m
	}
	framed := cups(iso8583.AppendCupsHeader(nil, "00010000", "04384530"))
	for name, c := range map[string]struct {
		input                     []byte
		dialect, tpdu, header, ri string
		prefix                    int
	}{
		"bare":         {bare, "pos", "", "", "", 0},
		"prefix":       {prefixed(bare), "pos", "", "", "", 2},
		"tpdu":         {prefixed([]byte(tpduHeader[:5] + string(bare))), "pos", "6000030000", "", "", 2},
		"header":       {[]byte(tpduHeader + string(bare)), "pos", "6000030000", "603100311302", "", 0},
		"dial-up":      {prefixed([]byte(tpduHeader[:5] + lri + tpduHeader[5:] + string(bare))), "pos", "6000030000", "603100311302", "4C5249001C", 2},
		"http":         {[]byte("POST /mjc/webtrans HTTP/1.1\r\nHost: x\r\n\r\n" + string(prefixed([]byte(tpduHeader+string(bare))))), "pos", "6000030000", "603100311302", "", 2},
		"centre":       {[]byte("0103" + string(framed)), "cups", "", "2E02", "", 4},
		"centre alone": {framed, "cups", "", "2E02", "", 0},
		"no header":    {cups(nil), "cups", "", "", "", 0},
	} {
		r, err := Decode(c.input, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.Dialect != c.dialect || r.LengthPrefix != c.prefix || r.TPDU != c.tpdu || !strings.HasPrefix(r.Header, c.header) ||
			(r.Header == "") != (c.header == "") || !strings.HasPrefix(r.LRI, c.ri) || (r.LRI == "") != (c.ri == "") {
			t.Errorf("%s: %+v", name, r)
		}
		if r.Fields["11"] == "" || len(r.Why) < 2 {
			t.Errorf("%s: fields %v, why %q", name, r.Fields, r.Why)
		}
	}
}

func TestRefusals(t *testing.T) {
	msg := build(t, iso8583.Pos(), []byte(tpduHeader), 0x0800, 11, "000172", 41, "50080001", 60, "00000172003")
	cut := prefixed(msg)[:30]
	for name, c := range map[string]struct {
		input []byte
		o     Options
		want  string
	}{
		"empty":           {nil, Options{}, "TPDU at byte 0: expected 5 bytes, 0 are left"},
		"cut":             {cut, Options{}, "F41 at byte 26: expected 8 bytes, 4 are left"},
		"trailing":        {append(msg[:len(msg):len(msg)], 0), Options{}, "F60 at byte 40: expected the end of the message, 1 more bytes follow"},
		"unknown framing": {msg, Options{Framing: "morse"}, "no framing \"morse\""},
		"other framing":   {msg, Options{Framing: "binary4"}, "are not one frame of binary4"},
		"other dialect":   {msg, Options{Dialects: []*iso8583.Spec{iso8583.Cups()}}, "not readable as cups"},
		"text":            {[]byte("hello, world"), Options{}, "not readable as"},
	} {
		r, err := Decode(c.input, c.o)
		if err == nil {
			t.Errorf("%s: accepted as %+v", name, r)
			continue
		}
		if got := err.Error(); !strings.Contains(got, c.want) || strings.ContainsRune(got, '\n') || !hasHan(got) {
			t.Errorf("%s: %q, want one bilingual line with %q", name, got, c.want)
		}
		var e *RefusedError
		if (c.o.Framing != "") == errors.As(err, &e) {
			t.Errorf("%s: %T", name, err)
		}
	}
}

func TestEveryReasonHasChineseWords(t *testing.T) {
	for why := iso8583.Truncated; why <= iso8583.WrongTotal; why++ {
		e := iso8583.FieldError{Field: 2, Offset: 3, Reason: why}
		if s := chinese(&e); strings.Contains(s, "其他") && why != iso8583.OutOfOrder {
			t.Errorf("reason %d: %s", why, s)
		}
		if s := e.Error(); strings.Contains(s, "something else") {
			t.Errorf("reason %d: %s", why, s)
		}
	}
}

func TestControlCharactersDoNotReachTheTerminal(t *testing.T) {
	for in, want := range map[string]string{"plain": "plain", "a\x1b[2Jb": `a\x1b[2Jb`, "\u00c4\u00ab": "墨"} {
		if got := readable(in); got != want {
			t.Errorf("%q shows as %q, want %q", in, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(tpduHeader + "\x08\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00\x01\x72"))
	f.Add([]byte("08008220000000000000040000000000000004200906139000010"))
	f.Fuzz(func(t *testing.T, input []byte) {
		r, err := Decode(input, Options{})
		if (r == nil) == (err == nil) {
			t.Fatalf("%+v and %v", r, err)
		}
		if r != nil {
			var b strings.Builder
			if err := r.WriteText(&b, Style{}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
