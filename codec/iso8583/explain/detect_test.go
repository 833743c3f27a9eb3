package explain

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tongka/codec/iso8583"
)

// saleLike makes a plausible message: the fields that terminals and banks send
// in a sale or its answer, each there or not.
func saleLike(r *rand.Rand, s *iso8583.Spec, front []byte) ([]byte, map[int]string) {
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = '0' + byte(r.IntN(10))
		}
		return string(b)
	}
	clock := fmt.Sprintf("%02d%02d%02d", r.IntN(24), r.IntN(60), r.IntN(60))
	day := fmt.Sprintf("%02d%02d", 1+r.IntN(12), 1+r.IntN(28))
	chip := make([]byte, 20+r.IntN(90))
	for i := range chip {
		chip[i] = byte(r.IntN(256))
	}
	chip[0] = 0x9F
	all := []struct {
		n     int
		value string
	}{
		{2, "622202" + digits(10+r.IntN(4))}, {3, digits(6)}, {4, digits(12)}, {7, day + clock}, {11, digits(6)}, {12, clock}, {13, day},
		{22, []string{"051", "021", "071", "012"}[r.IntN(4)]}, {23, "00" + digits(1)}, {25, "00"}, {32, digits(8)}, {33, digits(8)},
		{35, "622202" + digits(10) + "D3012" + digits(6)}, {37, digits(12)}, {39, "00"}, {41, digits(8)}, {42, digits(15)}, {49, "156"},
		{52, "\x8a\x11\xf3" + string(chip[1:6])}, {53, "2600000000000000"}, {55, string(chip)}, {60, "22" + digits(6+r.IntN(6))}, {63, "CUP"},
		{64, "4E0A71B2"}, {70, "301"}, {90, digits(42)}, {100, digits(8)}, {128, "\xfe" + string(chip[1:8])},
	}
	fields := map[int]string{}
	b := s.Begin(front, []iso8583.MTI{0x0200, 0x0210, 0x0400, 0x0430, 0x0820}[r.IntN(5)])
	for _, f := range all {
		if s.Kind(f.n) == iso8583.Absent || f.n == 7 && s == iso8583.Pos() || f.n != 11 && f.n != 60 && r.IntN(3) == 0 {
			continue
		}
		value := f.value
		if s != iso8583.Pos() && s != iso8583.BCD() {
			value = strings.Replace(value, "D", "=", 1)
		}
		b.Put(f.n, []byte(value))
		fields[f.n] = value
	}
	out, err := b.End()
	if err != nil {
		panic(err)
	}
	return out, fields
}

// Messages of every dialect, in every envelope it is seen in and with every
// length prefix, are found to be what they are.
func TestDetectionFindsWhatWasBuilt(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 8583))
	fronts := map[*iso8583.Spec][]string{
		iso8583.Pos():      {tpduHeader, tpduHeader[:5]},
		iso8583.BCD():      {"\x60\x00\x18\x00\x00"},
		iso8583.Cups():     {"", string(iso8583.AppendCupsHeader(nil, "00010000", "04384530"))},
		iso8583.ASCII():    {"", "\x60\x00\x18\x00\x00"},
		iso8583.ASCIIRaw(): {""},
		iso8583.EBCDIC():   {"", "\x60\x00\x18\x00\x00"},
	}
	for s, envelopes := range fronts {
		for i := range 300 {
			front := envelopes[i%len(envelopes)]
			msg, fields := saleLike(r, s, []byte(front))
			if len(front) == 46 {
				iso8583.PatchCupsLength(msg, len(msg))
			}
			input := msg
			switch i / 2 % 3 {
			case 0:
				input = prefixed(msg)
			case 1:
				if s == iso8583.Pos() || s == iso8583.BCD() {
					input = prefixed(msg)
				} else {
					input = append(fmt.Appendf(nil, "%04d", len(msg)), msg...)
				}
			}
			res, err := Decode(input, Options{Unmask: true})
			if err != nil {
				t.Fatalf("%s: %X: %v", s.Name(), input, err)
			}
			if res.LengthPrefix != len(input)-len(msg) || len(res.Fields) != len(fields) {
				t.Fatalf("%s: %X: prefix %d, %d fields of %d, as %s: %q", s.Name(), input, res.LengthPrefix, len(res.Fields), len(fields), res.Dialect, res.Why)
			}
			for n, want := range fields {
				if got := res.Fields[fmt.Sprint(n)]; got != want && got != fmt.Sprintf("%X", want) {
					t.Fatalf("%s as %s: F%d is %q, want %q", s.Name(), res.Dialect, n, got, want)
				}
			}
		}
	}
}

// A message of 1993 says so in its MTI. One of 87B looks like one of other packed
// terminals; whoever knows better says so.
func TestOtherDialectsAreFoundOrGiven(t *testing.T) {
	for _, c := range []struct {
		spec  *iso8583.Spec
		given bool
	}{{iso8583.ASCII93(), false}, {iso8583.Binary93(), false}, {iso8583.Binary93(), true}, {iso8583.Binary87(), true}, {iso8583.EBCDIC(), true}} {
		mti, clock, entry := iso8583.MTI(0x0200), "101112", "051"
		if of1993(c.spec) {
			mti, clock, entry = 0x1200, "260613101112", "510101510001"
		}
		msg := build(t, c.spec, nil, mti, 2, "6222021234567890005", 3, "000000", 4, "1234", 11, "000123", 12, clock, 22, entry, 41, "T0000001", 49, "156")
		var o Options
		if c.given {
			o.Dialects = []*iso8583.Spec{c.spec}
		}
		r := decode(t, prefixed(msg), o)
		if r.Dialect != c.spec.Name() || r.MTI != mti.String() || r.Fields["12"] != clock || r.Fields["22"] != entry || r.Fields["2"] != "622202*********0005" {
			t.Errorf("%s: taken for %s: %v", c.spec.Name(), r.Dialect, r.Fields)
		}
	}
}

// A length prefix that is off by a little is refused, and the refusal says so.
func TestWrongLengthPrefixIsNamed(t *testing.T) {
	tried := 0
	for _, name := range sampleNames(t) {
		input, w := readSample(t, name)
		if w.Refuse || input[0] != 0 {
			continue
		}
		tried++
		for _, by := range []int{-3, -1, 1, 2, 40} {
			broken := bytes.Clone(input)
			n := len(input) - 2 + by
			broken[0], broken[1] = byte(n>>8), byte(n)
			_, err := Decode(broken, Options{})
			var e *RefusedError
			if !errors.As(err, &e) || e.Field != iso8583.InLength || e.Offset != 0 || e.Want != len(input)-2 || e.Got != n {
				t.Errorf("%s, length off by %d: %v", name, by, err)
			}
		}
	}
	if tried < 10 {
		t.Errorf("only %d samples have a length prefix", tried)
	}
}

// However a capture is cut short, it is refused at a place inside it.
func TestCutSamplesAreRefused(t *testing.T) {
	for _, name := range sampleNames(t) {
		input, w := readSample(t, name)
		if w.Refuse {
			continue
		}
		for cut := 1; cut < len(input); cut++ {
			_, err := Decode(input[:cut], Options{})
			var e *RefusedError
			if !errors.As(err, &e) {
				t.Errorf("%s cut to %d bytes: %v", name, cut, err)
			} else if e.Offset < 0 || e.Offset > cut || strings.ContainsRune(err.Error(), '\n') {
				t.Errorf("%s cut to %d bytes: %v", name, cut, err)
			}
		}
	}
}

// Numbers that pass for a card number by chance are not hidden.
func TestOnlyCardFieldsAreMasked(t *testing.T) {
	card := map[string]bool{"2": true, "34": true, "35": true, "36": true, "45": true, "52": true, "55": true, "102": true, "103": true}
	looked := 0
	for _, name := range sampleNames(t) {
		input, w := readSample(t, name)
		if w.Refuse {
			continue
		}
		shown, whole := decode(t, input, Options{}), decode(t, input, Options{Unmask: true})
		for n, value := range whole.Fields {
			if looked++; !card[n] && shown.Fields[n] != value {
				t.Errorf("%s: F%s is hidden: %s", name, n, shown.Fields[n])
			}
		}
	}
	if looked < 200 {
		t.Errorf("only %d fields looked at", looked)
	}
	input, _ := readSample(t, "pos-35-sale-cnblogs-mac")
	if got := decode(t, input, Options{}).Fields["60"]; got != "2600000100060000000" {
		t.Errorf("F60 of pos-35 shows %s", got)
	}
}

// Without Unmask no sample shows its card number, its track or its PIN block.
func TestNoSampleShowsItsCard(t *testing.T) {
	for _, name := range sampleNames(t) {
		input, w := readSample(t, name)
		if w.Refuse {
			continue
		}
		r := decode(t, input, Options{})
		var b strings.Builder
		if err := r.WriteText(&b, Style{}); err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"2", "35", "36", "52"} {
			secret := w.Fields[n]
			if len(secret) > 10 && strings.Trim(secret, "0") != "" && strings.Contains(b.String()+fmt.Sprint(r.Fields), secret) {
				t.Errorf("%s shows F%s", name, n)
			}
		}
		if w.Fields["2"] != "" && !strings.Contains(r.Fields["2"], "***") {
			t.Errorf("%s: F2 %q", name, r.Fields["2"])
		}
	}
}
