package explain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tongka/codec/iso8583"
	"tongka/conn/framing"
)

// asJSON is what `switch decode --json --unmask` prints.
func asJSON(t *testing.T, r *Result) []byte {
	t.Helper()
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What these samples' senders wrote otherwise than this codec does: the fields
// come back the same, the bytes do not.
var written = map[string]string{"bcd-37-emv-0200": "four digits in F22, of which three count"}

func TestSamplesComeBackFromTheirJSON(t *testing.T) {
	n := 0
	for _, name := range sampleNames(t) {
		input, w := readSample(t, name)
		if w.Refuse {
			continue
		}
		n++
		r := decode(t, input, Options{Unmask: true})
		out, err := Encode(asJSON(t, r), Form{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if same := bytes.Equal(out, input); same == (written[name] != "") {
			t.Errorf("%s: same bytes: %v\n%X\n%X", name, same, out, input)
		}
		spec, _ := iso8583.Named(r.Dialect)
		again := decode(t, out, Options{Unmask: true, Framing: r.Framing, Dialects: []*iso8583.Spec{spec}})
		if a, b := asJSON(t, again), asJSON(t, r); again.MTI != r.MTI || len(again.Fields) != len(r.Fields) {
			t.Errorf("%s: %s, was %s", name, a, b)
		}
		for k, v := range r.Fields {
			if again.Fields[k] != v {
				t.Errorf("%s: F%s is %q, was %q", name, k, again.Fields[k], v)
			}
		}
	}
	if n < 25 {
		t.Errorf("only %d samples", n)
	}
}

func TestMessagesByHand(t *testing.T) {
	for name, c := range map[string]struct {
		json string
		form Form
		want string
	}{
		"pos": {`{"dialect":"pos","mti":"0800","framing":"binary2","tpdu":"6000030000","header":"603100310002",
			"fields":{"60":"00000001003","11":"1","41":"T0000001"}}`, Form{},
			"\x00\x28" + "\x60\x00\x03\x00\x00" + "\x60\x31\x00\x31\x00\x02" + "\x08\x00" + "\x00\x20\x00\x00\x00\x80\x00\x10" + "\x00\x00\x01" + "T0000001" +
				"\x00\x11\x00\x00\x00\x01\x00\x30"},
		"by prefix":        {`{"dialect":"87a","mti":"0800","length_prefix":4,"fields":{"11":"000001"}}`, Form{}, "0026" + "0800" + "0020000000000000" + "000001"},
		"form goes before": {`{"dialect":"pos","framing":"binary2","mti":"0800","fields":{}}`, Form{Dialect: iso8583.ASCII(), Framing: "none"}, "0800" + "0000000000000000"},
		"names in GBK":     {`{"dialect":"ascii-raw","mti":"0210","fields":{"44":"通卡"}}`, Form{}, "0210" + "\x00\x00\x00\x00\x00\x10\x00\x00" + "04\xCD\xA8\xBF\xA8"},
		"bytes in text":    {`{"dialect":"ascii-raw","mti":"0210","fields":{"44":"\u00cd\u00a8"}}`, Form{}, "0210" + "\x00\x00\x00\x00\x00\x10\x00\x00" + "02\xCD\xA8"},
		"hex in text":      {`{"dialect":"ascii-raw","mti":"0210","fields":{"44":"00FF"},"hex":["44"]}`, Form{}, "0210" + "\x00\x00\x00\x00\x00\x10\x00\x00" + "02\x00\xFF"},
		"empty field":      {`{"dialect":"ascii-raw","mti":"0210","fields":{"44":""}}`, Form{}, "0210" + "\x00\x00\x00\x00\x00\x10\x00\x00" + "00"},
		"no fields":        {`{"dialect":"ascii-raw","mti":"0210"}`, Form{}, "0210" + "\x00\x00\x00\x00\x00\x00\x00\x00"},
	} {
		got, err := Encode([]byte(c.json), c.form)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %X, %v, want %X", name, got, err, c.want)
		}
	}
}

// Some editors put a byte order mark in front of what they save.
func TestByteOrderMark(t *testing.T) {
	b, err := Encode([]byte("\uFEFF{\"dialect\":\"pos\",\"mti\":\"0800\",\"fields\":{\"11\":\"1\"}}"), Form{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseHex(fmt.Sprintf("\uFEFF%X", b)); err != nil || !bytes.Equal(got, b) {
		t.Errorf("%X, %v", got, err)
	}
}

func TestCentreHeaderGetsTheTotal(t *testing.T) {
	head := iso8583.AppendCupsHeader(nil, "00010000", "04384530")
	for _, f := range []string{"ascii4", "none"} {
		text := `{"dialect":"cups","mti":"0820","framing":"` + f + `","header":"` + upper(head) + `","fields":{"11":"1","70":"301"}}`
		out, err := Encode([]byte(text), Form{})
		if err != nil {
			t.Fatal(err)
		}
		if r := decode(t, out, Options{}); r.Framing != f || r.Header == "" || r.Fields["70"] != "301" {
			t.Errorf("%s: %+v", f, r)
		}
	}
}

func TestEncodeRefusesAndNamesThePlace(t *testing.T) {
	in := func(fields string) string { return `{"dialect":"pos","mti":"0200","fields":` + fields + `}` }
	for text, want := range map[string]string{
		``:                                  "1:1: ",
		"{\n \"mti\": \"0200\",\n}":         "3:1: ",
		`{"dialect":"pos"`:                  "ends too early",
		`{"dialect":"pos","mti":"0200"} {}`: "more behind",
		`{"dialect":"pos","mit":"0200"}`:    `1:18: 没有此项 / json: unknown field "mit"`,
		`{"dialect":"pos","mti":200}`:       "mti must not be of type number",
		`[]`:                                "JSON must not be of type array",
		`{"dialect":"pos","mti":"02A0"}`:    `mti "02A0" must be 4 digits`,
		`{"dialect":"xml","mti":"0200"}`:    `no built-in dialect "xml": there are pos, bcd`,
		`{"mti":"0200"}`:                    `no built-in dialect ""`,
		in(`[]`):                            "must be an object",
		in(`{"4":"1","4":"2"}`):             "F4: is there twice",
		in(`{"04":"1"}`):                    `"04" is not the number of a field`,
		in(`{"1":"1"}`):                     `"1" is not the number`,
		in(`{"193":"1"}`):                   `"193" is not the number`,
		in(`{"4":1}`):                       "F4: the value must be a string",
		in(`{"4":{"a":1}}`):                 "F4: the value must be a string",
		in(`{"4":"1A"}`):                    "F4 at byte 10: expected decimal digits, found 41",
		in(`{"4":"一"}`):                     "F4 at byte 10: expected decimal digits, found FF",
		in(`{"11":"1234567"}`):              "F11 at byte 10: expected a length of at most 6",
		in(`{"2":"622202******0005"}`):      "F2: the value is masked",
		in(`{"52":"0011"}`):                 "F52 at byte 10: expected a length of 8",
		in(`{"52":"XX"}`):                   "F52: must be hexadecimal",
		in(`{"90":"1"}`):                    "F90 at byte 10: expected no such field",
		in(`{"62":"😀"}`):                    "F62: has a character that GBK has not",
		`{"dialect":"pos","mti":"0200","fields":{"62":"0F0"},"hex":["62"]}`:          "F62: must be hexadecimal",
		`{"dialect":"pos","mti":"0200","fields":{},"hex":["62"]}`:                    `hex names "62"`,
		`{"dialect":"pos","mti":"0200","fields":{},"tpdu":"60"}`:                     "tpdu must be hexadecimal of 5 bytes",
		`{"dialect":"pos","mti":"0200","fields":{},"header":"60310031000"}`:          "header must be hexadecimal of 6 46 bytes",
		`{"dialect":"pos","mti":"0200","fields":{},"framing":"morse"}`:               `no framing "morse"`,
		`{"dialect":"pos","mti":"0200","fields":{},"length_prefix":3}`:               "length_prefix 3",
		`{"dialect":"pos","mti":"0200","framing":"binary2","length_prefix":"x"}`:     "length_prefix",
		`{"dialect":"pos","mti":"0200","fields":{"x":"1"}}`:                          `"x" is not the number`,
		`{"dialect":"pos","mti":"0200","fields":` + strings.Repeat("[", 20000) + `}`: "JSON",
		strings.Repeat(" ", MaxSheet+1):                                              "larger than",
	} {
		out, err := Encode([]byte(text), Form{})
		if err == nil || out != nil {
			t.Errorf("%.80s: %X", text, out)
			continue
		}
		if !strings.Contains(err.Error(), want) || !hasHan(err.Error()) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.80s: %v, want one bilingual line with %q", text, err, want)
		}
	}
}

// Every framing that there is can be made and read again.
func TestEveryFramingGoesRound(t *testing.T) {
	for _, name := range framing.Names() {
		out, err := Encode([]byte(`{"dialect":"pos","mti":"0800","framing":"`+name+`","fields":{"11":"000123","41":"T0000001","60":"00000001003"}}`), Form{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r, err := Decode(out, Options{Framing: name})
		if err != nil || r.Framing != name || r.Fields["11"] != "000123" {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add(`{"dialect":"pos","mti":"0200","fields":{"4":"1","62":"00"},"hex":["62"]}`)
	f.Add(`{"dialect":"cups","mti":"0200","framing":"ascii4","fields":{"43":"通卡","128":"0011223344556677"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		out, err := Encode([]byte(text), Form{})
		if err != nil {
			return
		}
		var s sheet
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		spec, err := dialectNamed(s.Dialect)
		if err != nil {
			t.Fatal(err)
		}
		w, err := s.wrap("")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(out, Options{Dialects: []*iso8583.Spec{spec}, Framing: w.name}); err != nil && s.TPDU+s.LRI+s.Header == "" {
			t.Fatalf("%X: %v", out, err)
		}
	})
}
