package book

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustAdd(t *testing.T, f *File, entries ...any) {
	t.Helper()
	for _, e := range entries {
		if err := f.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
}

// A process that is killed closes nothing. What it flushed is there, what it
// only added is not, and a torn last line is cut off.
func TestBookAfterKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sales.jsonl")
	killed, old, err := OpenSales(path)
	if err != nil || len(old) != 0 {
		t.Fatal(old, err)
	}
	a := Sale{Merchant: "m", Terminal: "t", Amount: 101, State: Open}
	b := Sale{Merchant: "m", Terminal: "t", Amount: 102, State: Open}
	mustAdd(t, killed, &a, &b)
	a.State = Approved
	mustAdd(t, killed, &a)
	if err := killed.Add(&Sale{Amount: 103}); err != nil { // never flushed
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".torn", append(read(t, path), `{"merchant":"m","ter`...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".torn"} {
		f, got, err := OpenSales(name)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]Sale{a, b}, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		c := Sale{Merchant: "m", Terminal: "t", Amount: 104, State: Open}
		mustAdd(t, f, &c)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadSales(name); err != nil || len(got) != 3 || got[2] != c {
			t.Errorf("%s continued: %v, %v", name, got, err)
		}
	}
	if err := killed.f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBookingsKeepTheirKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bank.jsonl")
	f, _, err := OpenBookings(path)
	if err != nil {
		t.Fatal(err)
	}
	a := Booking{Bank: "a", RRN: "000000000001", STAN: 1, Sent: 1121220000, Amount: 5, State: Booked, Code: "00"}
	b := a
	b.Sent++ // the same STAN and RRN a second later is another sale
	mustAdd(t, f, &a, &b)
	a.State = Reversed
	mustAdd(t, f, &a)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := ReadBookings(path)
	if d := cmp.Diff([]Booking{a, b}, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

func TestBookFaultsNameTheLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.jsonl")
	if err := os.WriteFile(path, []byte("{}\n{\"amount\":\"x\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, open := range []func() error{
		func() error { _, _, err := OpenSales(path); return err },
		func() error { _, err := ReadBookings(path); return err },
	} {
		if err := open(); err == nil || !strings.Contains(err.Error(), path+":2:") {
			t.Errorf("error %v, want one that names %s:2", err, path)
		}
	}
	if _, err := ReadSales(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a book that is not there: %v", err)
	}
	if _, _, err := OpenSales(filepath.Join(path, "below", "a-file")); err == nil {
		t.Error("opened below a file")
	}
}

func TestBookThatCannotBeWritten(t *testing.T) {
	f, _, err := OpenSales(filepath.Join(t.TempDir(), "sales.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	f.f.Close()
	if err := f.Add(&Sale{}); err != nil {
		t.Fatal(err)
	}
	if err := f.Flush(); !errors.Is(err, ErrWrite) {
		t.Errorf("flush: %v", err)
	}
	if err := f.Add(func() {}); err == nil {
		t.Error("a function was written as JSON")
	}
}

func TestBookWithoutAName(t *testing.T) {
	f, old, err := OpenBookings("")
	if err != nil || old != nil {
		t.Fatal(old, err)
	}
	mustAdd(t, f, &Booking{})
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
