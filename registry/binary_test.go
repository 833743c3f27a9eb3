package registry

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"tongka/hsm"
)

func TestSessionForm(t *testing.T) {
	id := ident("123456789012345", "12345678")
	s := Session{PIK: key(t, 1), MAK: key(t, 2), TDK: key(t, 4), Batch: 77, Since: start.UnixNano(), Until: start.Add(time.Hour).UnixNano()}
	b := AppendSession([]byte("x"), &id, &s)[1:]
	if len(b) != SessionSize {
		t.Fatalf("%d bytes, want %d", len(b), SessionSize)
	}
	// The form is on disks: it may not change without a new version.
	want := "02" + hex.EncodeToString([]byte("12345678901234512345678")) +
		"5510" + strings.Repeat("00", 15) + "01" + strings.Repeat("00", 8) +
		"5510" + strings.Repeat("00", 15) + "02" + strings.Repeat("00", 8) + "0000004d"
	if got := hex.EncodeToString(b[:80]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	gotID, got, err := DecodeSession(b)
	if err != nil || gotID != id || got != s {
		t.Errorf("got %v %+v, %v", gotID, got, err)
	}
	// What an older version wrote is read: it ends without the third key.
	old := append([]byte{1}, b[1:96]...)
	s.TDK = hsm.Key{}
	if gotID, got, err = DecodeSession(old); err != nil || gotID != id || got != s {
		t.Errorf("of version 1: got %v %+v, %v", gotID, got, err)
	}
	var none Session
	if _, got, err := DecodeSession(AppendSession(nil, &id, &none)); err != nil || got != none {
		t.Errorf("no keys: %+v, %v", got, err)
	}
}

func TestDecodeNamesTheByte(t *testing.T) {
	id := ident("M", "T")
	good := AppendSession(nil, &id, &Session{PIK: key(t, 1), MAK: key(t, 2)})
	profile := appendProfile(nil, &Profile{ID: id, TMK: key(t, 3)})
	change := func(b []byte, at int, to byte) []byte {
		b = bytes.Clone(b)
		b[at] = to
		return b
	}
	for _, c := range []struct {
		name    string
		b       []byte
		profile bool
		want    string
	}{
		{"short session", good[:95], false, "95 bytes, want 122"},
		{"long session", append(bytes.Clone(good), 0), false, "123 bytes, want 122"},
		{"version", change(good, 0, 1), false, "byte 0: version 1"},
		{"version of a short one", good[:96], false, "byte 0: version 2"},
		{"TDK", change(good, 97, 9), false, "byte 96"},
		{"PIK scheme", change(good, 24, 'Q'), false, "byte 24"},
		{"MAK length", change(good, 51, 24), false, "byte 50"},
		{"short terminal", profile[:3], true, "3 bytes, want 57"},
		{"TMK", change(profile, 25, 9), true, "byte 24"},
		{"MAC", change(profile, 50, 9), true, "byte 50: MAC algorithm 9"},
	} {
		_, _, err := DecodeSession(c.b)
		if c.profile {
			_, err = decodeProfile(c.b)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestProfileForm(t *testing.T) {
	p := Profile{ID: ident("M", "T"), TMK: key(t, 3), MAC: hsm.X99, Group: 258, Kinds: 0x01020304}
	b := appendProfile(nil, &p)
	if got, err := decodeProfile(b); err != nil || got != p {
		t.Errorf("got %+v, %v", got, err)
	}
	if got := hex.EncodeToString(b[50:]); got != "01"+"0102"+"01020304" {
		t.Errorf("the tail is %s", got)
	}
}

func FuzzDecodeSession(f *testing.F) {
	id := ident("M", "T")
	f.Add(AppendSession(nil, &id, &Session{PIK: key(f, 1), Until: 9}))
	f.Add(AppendSession([]byte{1}, &id, &Session{PIK: key(f, 1)})[1:97])
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		id, s, err := DecodeSession(b)
		if again := AppendSession(nil, &id, &s); err == nil && !bytes.Equal(again[1:len(b)], b[1:]) {
			t.Errorf("%x does not write back as it was", b)
		}
	})
}
