package explain

import (
	"errors"
	"strings"
	"testing"
	"unicode"
)

func hasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

func drawn(t *testing.T, name string, o Options, style Style) string {
	t.Helper()
	input, _ := readSample(t, name)
	var b strings.Builder
	if err := decode(t, input, o).WriteText(&b, style); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDrawingHasBytesOnTheLeftAndMeaningOnTheRight(t *testing.T) {
	text := drawn(t, "pos-31-sale-ic-resp", Options{}, Style{})
	for _, want := range []string{"方言 Dialect", "TPDU", "6000030000", "主账号 Primary account number = 622424******0069",
		"受卡方名称地址 Card acceptor name and location = 河南省银隆信息技术有限公司", "62 24 24 ** ** ** 00 69", "F64"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	_, drawing, _ := strings.Cut(text, "\n\n")
	var at []int // of the column of the meaning
	for _, line := range strings.Split(drawing, "\n") {
		for _, v := range []string{"含义 Meaning", "主账号 Primary", "交易金额 Amount"} {
			if i := strings.Index(line, v); i >= 0 {
				at = append(at, columns(line[:i]))
			}
		}
	}
	if len(at) != 3 || at[0] != at[1] || at[1] != at[2] {
		t.Errorf("meanings begin in columns %v", at)
	}
	if strings.Contains(text, "\x1b") {
		t.Error("colours without a terminal")
	}
}

func TestColoursOnlyWhenAsked(t *testing.T) {
	text := drawn(t, "pos-14-sale-ic-pin-0200", Options{}, Style{Color: true})
	if !strings.Contains(text, "\x1b[") || strings.Count(text, plainAgain) != strings.Count(text, "\x1b[")/2 {
		t.Errorf("%d escapes, %d ends", strings.Count(text, "\x1b["), strings.Count(text, plainAgain))
	}
	bare := drawn(t, "pos-14-sale-ic-pin-0200", Options{}, Style{})
	for _, c := range []string{dim, bold, plainAgain} {
		text = strings.ReplaceAll(text, c, "")
	}
	unpadded := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if unpadded(text) != unpadded(bare) {
		t.Error("a coloured drawing says something else")
	}
}

// Of every sample the drawing is whole: its parts follow each other without a
// gap from the first byte to the last, and say which bytes they are.
func TestDrawingCoversEveryByte(t *testing.T) {
	for _, name := range sampleNames(t) {
		input, w := readSample(t, name)
		if w.Refuse {
			continue
		}
		r := decode(t, input, Options{Unmask: true})
		at := 0
		for _, p := range r.Parts {
			if p.Offset != at || p.Hex != upper(input[at:at+p.Size]) {
				t.Errorf("%s: %s is drawn at %d as %s, want %d", name, p.Place, p.Offset, p.Hex, at)
			}
			if p.Name.ZH == "" || p.Name.EN == "" {
				t.Errorf("%s: %s has no name", name, p.Place)
			}
			inside(t, name, &p, input)
			at = p.Offset + p.Size
		}
		if at != len(input) {
			t.Errorf("%s: the drawing ends at %d of %d", name, at, len(input))
		}
	}
}

// inside checks that parts lie in what they are parts of, and that words come in
// both languages.
func inside(t *testing.T, name string, p *Part, input []byte) {
	t.Helper()
	for _, m := range p.Meaning {
		if m.ZH == "" || m.EN == "" || m.ZH != m.EN && hasHan(m.EN) {
			t.Errorf("%s: %s means %q / %q", name, p.Place, m.ZH, m.EN)
		}
	}
	for i := range p.Parts {
		q := &p.Parts[i]
		if q.Offset < p.Offset || q.Offset+q.Size > p.Offset+p.Size || q.Size < 1 {
			t.Errorf("%s: %s at %d, %d bytes is outside of %s at %d, %d bytes", name, q.Place, q.Offset, q.Size, p.Place, p.Offset, p.Size)
		}
		if q.Hex != "" && q.Hex != upper(input[q.Offset:q.Offset+q.Size]) {
			t.Errorf("%s: %s shows %s", name, q.Place, q.Hex)
		}
		inside(t, name, q, input)
	}
}

func TestRefusalMarksTheFirstBadByte(t *testing.T) {
	for name, want := range map[string][]string{
		"bad-02-nibble-lost-tmk-confirm-0800": {"   29   >33<", "F62", "31 more bytes were not read", "F60.1"},
		"bad-13-sale-0210-length-wrong":       {"    0   00 AA", "    0   >00<", "total length of 142", "F64"},
		"ascii-moov-error-message":            {"  185   <--", "F55 at byte 185", "F49"},
	} {
		input, _ := readSample(t, name)
		_, err := Decode(input, Options{})
		var e *RefusedError
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var b strings.Builder
		if err := e.WriteText(&b, Style{}); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(b.String(), w) {
				t.Errorf("%s: %q is missing in\n%s", name, w, &b)
			}
		}
		j, err := e.MarshalJSON()
		if err != nil || !strings.Contains(string(j), `"refused":{"zh":`) || !strings.Contains(string(j), `"parts":[{`) {
			t.Errorf("%s: %s %v", name, j, err)
		}
	}
}
