package cpuidle

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWishIsMadeOnceAndDropped(t *testing.T) {
	dev := filepath.Join(t.TempDir(), "dev")
	w := Wish{Device: dev}
	if err := w.Make(); !errors.Is(err, fs.ErrNotExist) || w.Made() {
		t.Fatalf("%v, made %v, without a device", err, w.Made())
	}
	if err := w.Drop(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(dev, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time nothing is written: the kernel has it
		if err := w.Make(); err != nil || !w.Made() {
			t.Fatal(err, w.Made())
		}
		if b, err := os.ReadFile(dev); err != nil || !bytes.Equal(b, []byte{0, 0, 0, 0}) {
			t.Errorf("the device was told % x, %v: want 0 µs, 32 bits", b, err)
		}
	}
	f := w.file
	if err := w.Drop(); err != nil || w.Made() {
		t.Error(err, w.Made())
	}
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Error("the wish's file is still open:", err)
	}
}

func TestWishThatCannotBeWritten(t *testing.T) {
	w := Wish{Device: "/dev/full"}
	if err := w.Make(); err == nil || w.Made() {
		t.Error(err, w.Made())
	}
}
