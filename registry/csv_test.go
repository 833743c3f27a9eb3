package registry

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "renew the golden files")

// Each testdata/*.csv is refused; what is said of it is in *.golden.
const maxFaults = 200 // of a sheet

func TestImportFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/*.csv")
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := open(t, Options{})
			_, _, err = r.Import(strings.NewReader(string(b)), filepath.Base(file))
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got %v", err)
			}
			if r.Snapshot().Len() != 0 {
				t.Error("a faulty file was applied")
			}
			golden := strings.TrimSuffix(file, ".csv") + ".golden"
			if *rewrite {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, e := os.ReadFile(golden)
			if e != nil {
				t.Fatal(e)
			}
			if got := err.Error() + "\n"; got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestManyFaultsAreCounted(t *testing.T) {
	text := "merchant,terminal,tmk\n" + strings.Repeat("M,,0123456789ABCDEF\n", maxFaults+7)
	r := open(t, Options{})
	_, _, err := r.Import(strings.NewReader(text), "many.csv")
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != maxFaults+1 {
		t.Fatalf("%d faults", len(faults))
	}
	if want := "7 more faults"; !strings.Contains(faults[maxFaults].Message, want) {
		t.Errorf("the last says %q, want %q", faults[maxFaults].Message, want)
	}
}

type brokenReader struct{ r *strings.Reader }

func (b brokenReader) Read(p []byte) (int, error) {
	if b.r.Len() > 0 {
		return b.r.Read(p)
	}
	return 0, os.ErrDeadlineExceeded
}

func TestImportSaysReadFault(t *testing.T) {
	r := open(t, Options{})
	_, _, err := r.Import(brokenReader{strings.NewReader(two)}, "t.csv")
	if err == nil || !strings.Contains(err.Error(), "t.csv:4:1") || r.Snapshot().Len() != 0 {
		t.Errorf("err %v, %d terminals", err, r.Snapshot().Len())
	}
}

func FuzzImport(f *testing.F) {
	f.Add(two)
	f.Add("merchant,terminal,tmk,pik,mak\nM,T,U\"\n")
	f.Add("\uFEFFmerchant,terminal,tmk\r\nM,T,0123456789ABCDEF\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := parseCSV(strings.NewReader(text), "f.csv")
		var faults Faults
		if err != nil && (!errors.As(err, &faults) || len(faults) == 0) {
			t.Fatalf("error %v is not Faults", err)
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
				t.Errorf("fault %v has no place", fault)
			}
		}
		for i := range rows {
			if err == nil && (rows[i].TMK.N == 0 || rows[i].ID.Merchant[14] == 0) {
				t.Errorf("row %d is not whole: %+v", i, rows[i])
			}
		}
	})
}
