package explain

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"tongka/codec/iso8583"
)

func gbk(t *testing.T, s string) string {
	t.Helper()
	out, err := simplifiedchinese.GBK.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestNamesAreShownAsUTF8AndKeptAsBytes(t *testing.T) {
	const shop, text = "上海通卡便利店", "会员享九折"
	msg := build(t, iso8583.Pos(), []byte(tpduHeader), 0x0210, 39, "00", 41, "T0000001", 43, gbk(t, shop), 56, gbk(t, text))
	r := decode(t, prefixed(msg), Options{})
	if got := strings.TrimRight(r.Text["43"], " "); got != shop || r.Text["56"] != text {
		t.Errorf("F43 reads %q, F56 %q", got, r.Text["56"])
	}
	if strings.TrimRight(r.Fields["43"], " ") != latin1([]byte(gbk(t, shop))) || r.Fields["56"] != upper([]byte(gbk(t, text))) {
		t.Errorf("the bytes are not kept: %q, %q", r.Fields["43"], r.Fields["56"])
	}
	if len(r.Hex) != 1 || r.Hex[0] != "56" {
		t.Errorf("in hexadecimal: %q", r.Hex)
	}
}

// wrongCount makes a message whose field n has the length of one coding and the
// text of another.
func wrongCount(t *testing.T, s *iso8583.Spec, n int, counted, sent string, fields ...any) []byte {
	t.Helper()
	msg := build(t, s, nil, 0x0210, fields...)
	if strings.Count(string(msg), counted) != 1 {
		t.Fatalf("F%d is not to be found", n)
	}
	return []byte(strings.Replace(string(msg), counted, sent, 1))
}

func TestLengthCountedInAnotherCharacterSet(t *testing.T) {
	const text = "西湖区文三路便民店A座"
	g, fixed := gbk(t, text), func(s string) string { return s + strings.Repeat(" ", 40-len(s)) }
	for name, c := range map[string]struct {
		spec          *iso8583.Spec
		n             int
		counted, sent string
		want          Charset
	}{
		"F56 counted in GBK":   {iso8583.Pos(), 56, g, text, Charset{Sent: "UTF-8", Counted: "GBK"}},
		"F56 counted in UTF-8": {iso8583.Pos(), 56, text, g, Charset{Sent: "GBK", Counted: "UTF-8"}},
		"F43 padded in GBK":    {iso8583.Pos(), 43, fixed(g), text + fixed(g)[len(g):], Charset{Sent: "UTF-8", Counted: "GBK"}},
		"F43 padded in UTF-8":  {iso8583.Cups(), 43, fixed(text), g + fixed(text)[len(text):], Charset{Sent: "GBK", Counted: "UTF-8"}},
		"F62 at a bank":        {iso8583.Cups(), 62, g, text, Charset{Sent: "UTF-8", Counted: "GBK"}},
	} {
		fields := []any{3, "000000", 4, "100", 11, "000123", 12, "101112", 13, "0613", 37, "123456789012", 39, "00", 41, "T0000001", c.n, c.counted}
		if c.n < 60 {
			fields = append(fields, 60, "22000001")
		}
		msg := wrongCount(t, c.spec, c.n, c.counted, c.sent, fields...)
		at := strings.Index(string(msg), c.sent)
		_, err := Decode(msg, Options{})
		var e *RefusedError
		if !errors.As(err, &e) || e.Charset == nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := *e.Charset
		if got.Field != c.n || got.Offset != at || got.Sent != c.want.Sent || got.Counted != c.want.Counted ||
			got.Length != len(c.counted) || got.Size != len(c.sent) || e.Offset != at || !strings.HasPrefix(got.Text, text) {
			t.Errorf("%s: %+v, want F%d at %d", name, got, c.n, at)
		}
		for _, w := range []string{"按 " + got.Counted + " 数的", "counted in " + got.Counted, "sent in " + got.Sent, "西湖区"} {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in %v", name, w, err)
			}
		}
		for _, p := range e.Parts {
			if p.Offset >= at {
				t.Errorf("%s: %s at %d is drawn although it is shifted", name, p.Place, p.Offset)
			}
		}
	}
}

// Two texts counted wrongly are one fault, told at the first.
func TestTwoTextsCountedInAnotherCharacterSet(t *testing.T) {
	const shop, text = "通卡便利店", "满十元减一元"
	shopG, textG := gbk(t, shop)+strings.Repeat(" ", 30), gbk(t, text)
	msg := string(build(t, iso8583.Pos(), nil, 0x0210, 11, "000123", 39, "00", 41, "T0000001", 43, shopG, 56, textG, 60, "22000001"))
	msg = strings.Replace(strings.Replace(msg, shopG, shop+strings.Repeat(" ", 30), 1), textG, text, 1)
	_, err := Decode([]byte(msg), Options{})
	var e *RefusedError
	if !errors.As(err, &e) || e.Charset == nil || e.Charset.Field != 43 {
		t.Errorf("%v", err)
	}
}

// A message that is wrong for another reason is not blamed on its texts.
func TestOtherFaultsAreNotBlamedOnTheText(t *testing.T) {
	msg := build(t, iso8583.Pos(), []byte(tpduHeader), 0x0210, 39, "00", 41, "T0000001", 43, gbk(t, "上海通卡便利店"), 60, "22000001")
	for _, broken := range [][]byte{msg[:len(msg)-2], append(msg[:len(msg):len(msg)], 0x11)} {
		_, err := Decode(prefixed(broken), Options{})
		var e *RefusedError
		if !errors.As(err, &e) || e.Charset != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestHalfACharacterIsShownAsBytes(t *testing.T) {
	name := gbk(t, strings.Repeat("店", 20))
	msg := build(t, iso8583.Pos(), nil, 0x0210, 39, "00", 43, name[1:]+" ")
	for _, p := range decode(t, msg, Options{}).Parts {
		if p.Place == "F43" && (strings.ContainsRune(p.Value, '\uFFFD') || len(p.Meaning) == 0) {
			t.Errorf("%q, %v", p.Value, p.Meaning)
		}
	}
}
