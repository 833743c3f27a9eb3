package payshield

import (
	"errors"
	"strings"
	"testing"

	"tongka/hsm"
	"tongka/hsm/soft"
)

// Several commands go out in one, and each is answered for itself.
func TestChain(t *testing.T) {
	d := Dialect{HeaderLen: 6}
	s := NewServer(soft.New(soft.TestLMK()), d)
	var parts [][]byte
	for i, q := range []hsm.Request{{Verb: hsm.Echo, Data: []byte("here")}, {Verb: hsm.Diagnose}, {Verb: hsm.CheckValue, Type: hsm.ZPK, Key: parse(t, tpk)}} {
		b, err := d.Append(nil, uint32(i+10), &q)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, b)
	}
	frame, err := d.AppendChain([]byte("before"), 7, parts...)
	if err != nil || string(frame[:6]) != "before" {
		t.Fatal(err)
	}
	header, answers, code, err := d.ParseChain(s.Answer(nil, append(frame[6:], "\x19T"...)))
	if err != nil || header != 7 || !code.OK() || len(answers) != 3 {
		t.Fatalf("header %d, %d answers, %v, %v", header, len(answers), code, err)
	}
	for i, v := range []hsm.Verb{hsm.Echo, hsm.Diagnose, hsm.CheckValue} {
		var r hsm.Reply
		h, err := d.Parse(answers[i], v, &r)
		if err != nil || h != uint32(i+10) || r.Code.OK() != (v != hsm.CheckValue) {
			t.Errorf("answer %d: header %d, %v, %v", i, h, r.Code, err)
		}
	}
	for _, bad := range [][][]byte{nil, {[]byte("short")}, {make([]byte, 10000)}, make([][]byte, 100)} {
		if out, err := d.AppendChain([]byte("kept"), 7, bad...); err == nil || string(out) != "kept" {
			t.Errorf("%d commands: %q, %v", len(bad), out, err)
		}
	}
}

// What a lying module says of a chain is an error that names the byte, never a panic.
func TestChainFaults(t *testing.T) {
	d := Dialect{HeaderLen: 4}
	for _, c := range []struct{ frame, want string }{
		{"", "byte 0"}, {"0001", "byte 4"}, {"0001NM00", "byte 4"}, {"0001NL0", "byte 6"}, {"0001NL00", "byte 8"},
		{"0001NL00x2", "byte 8"}, {"0001NL0001", "byte 10"}, {"0001NL00019999", "byte 14"}, {"0001NL00010002abc", "byte 16"},
		{"0001NL00020002ab-002cd", "byte 16"}, {"0001NL0099" + strings.Repeat("0000", 98), "byte 402"},
	} {
		_, parts, _, err := d.ParseChain([]byte(c.frame))
		if err == nil || parts != nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, hsm.BadInput) {
			t.Errorf("%q: %d parts, %v, want %s", c.frame, len(parts), err, c.want)
		}
	}
	if _, parts, code, err := d.ParseChain([]byte("0001NLA1")); err != nil || parts != nil || code != (hsm.Code{'A', '1'}) {
		t.Errorf("%v, %v", code, err)
	}
}

// A chain within a chain is refused: it could nest as deep as a frame is long.
func TestChainsDoNotNest(t *testing.T) {
	s := newServer()
	inner := "NK0010006B20000"
	for range 50 {
		n := len(inner)
		inner = "NK001" + string(append4(nil, n)) + inner
	}
	if got := ask(t, s, inner); got != "NL15" {
		t.Errorf("%q", got)
	}
	if got := ask(t, s, "NK099"+strings.Repeat("0006B20000", 99)); got != "NL0099"+strings.Repeat("0004B300", 99) {
		t.Errorf("99 commands: %.40q", got)
	}
}
