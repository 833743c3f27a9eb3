package journal

import (
	"errors"
	"strings"
	"testing"
)

func TestLineChangeComesBack(t *testing.T) {
	want := LineChange{Line: 513, From: 3, To: 4, Cause: 9, Link: "unionpay"}
	b := AppendLineChange([]byte("x"), &want)[1:]
	got, err := ReadLineChange(b)
	if err != nil || got != want {
		t.Fatalf("%+v, %v; want %+v", got, err, want)
	}
	for n := range lineHead {
		if _, err := ReadLineChange(b[:n]); !errors.Is(err, errShort) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	b[0] = 2
	if _, err := ReadLineChange(b); err == nil || !strings.Contains(err.Error(), "byte 0") {
		t.Errorf("another version: %v", err)
	}
}
