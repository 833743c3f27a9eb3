package payshield

import (
	"errors"
	"strings"
	"testing"

	"tongka/hsm"
)

// A cursor keeps the first fault and its place, and gives zeros behind it.
func TestCursorStopsAtTheFirstFault(t *testing.T) {
	c := cursor{b: []byte("12xB0123456789ABCDEF")}
	if got := c.number(2, 10, "digits"); got != 12 {
		t.Errorf("%d", got)
	}
	if got := c.number(2, 16, "a number"); got != 0 {
		t.Errorf("a number was read of x: %d", got)
	}
	if got := c.hex8("a block"); got != ([8]byte{}) {
		t.Errorf("%X was read behind a fault", got)
	}
	if k := c.key("a key"); k != (hsm.Key{}) {
		t.Errorf("%s was read behind a fault", k)
	}
	if c.skip('x') || c.one("x", "x") != 0 || c.take(0, "nothing") != nil || c.end() != nil {
		t.Error("something was read behind a fault")
	}
	err := c.fault("test")
	if !errors.Is(err, hsm.BadInput) || err.Error() != "payshield: test: byte 2: a number wanted: hsm code 15: input data not valid" {
		t.Error(err)
	}
	if err := (&cursor{}).fault("test"); err != nil {
		t.Errorf("no fault: %v", err)
	}
}

func TestCursorPlaces(t *testing.T) {
	for _, c := range []struct {
		name, in string
		read     func(*cursor)
		at       int
		code     hsm.Code
	}{
		{"digit of a block", "0123456789ABCD-F", func(c *cursor) { c.hex8("") }, 14, hsm.BadInput},
		{"block cut", "0123", func(c *cursor) { c.hex8("") }, 0, hsm.BadInput},
		{"decimal", "1A", func(c *cursor) { c.number(2, 10, "") }, 1, hsm.BadInput},
		{"number cut", "1", func(c *cursor) { c.number(2, 10, "") }, 1, hsm.BadInput},
		{"set", "4", func(c *cursor) { c.one("0123", "") }, 0, hsm.BadInput},
		{"set, nothing left", "", func(c *cursor) { c.one("0123", "") }, 0, hsm.BadInput},
		{"scheme", "Q", func(c *cursor) { c.schemeText() }, 0, hsm.BadScheme},
		{"no scheme", "", func(c *cursor) { c.schemeText() }, 0, hsm.BadInput},
		{"key scheme", "S0", func(c *cursor) { c.key("") }, 0, hsm.BadScheme},
		{"data", "ab", func(c *cursor) { c.takeOr(3, hsm.BadDataLength, "") }, 0, hsm.BadDataLength},
		{"end", "ab", func(c *cursor) { c.end() }, 0, hsm.BadInput},
		{"wide header", "123", func(c *cursor) { c.header(12) }, 0, hsm.BadInput},
		{"header digit", "00000000000x", func(c *cursor) { c.header(12) }, 11, hsm.BadInput},
	} {
		cur := cursor{b: []byte(c.in)}
		c.read(&cur)
		if cur.code != c.code || cur.at != c.at {
			t.Errorf("%s: code %s at byte %d, want %s at %d", c.name, cur.code[:], cur.at, c.code[:], c.at)
		}
	}
}

func TestTrailer(t *testing.T) {
	for _, c := range []struct {
		name, fields string
		end          int
		failed       bool
		want         string
	}{
		{"none", "abc", 3, false, ""},
		{"read", "abc\x19T", 3, false, "\x19T"},
		{"guessed", "abc\x19T", 1, true, "\x19T"},
		{"none to guess", "abc", 1, true, ""},
		{"too far back", "\x19" + strings.Repeat("x", maxTrailer+1), 1, true, ""},
		{"just near enough", "y\x19" + strings.Repeat("x", maxTrailer), 1, true, "\x19" + strings.Repeat("x", maxTrailer)},
	} {
		if got := string(trailer([]byte(c.fields), c.end, c.failed)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
