package dialects

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tongka/codec/iso8583"
	"tongka/codec/iso8583/internal/dialect"
	"tongka/yamlfile"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// golden holds text against a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name + ".golden"
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s: %v\n%s", name, err, cmp.Diff(string(want), got))
	}
}

func TestEveryFaultIsNamedInOneGo(t *testing.T) {
	for _, name := range []string{"many", "sense", "moovbad"} {
		path := "testdata/" + name + ".yaml"
		if name == "moovbad" {
			path = "testdata/moovbad.json"
		}
		_, err := Open(path)
		var faults yamlfile.Faults
		if !errors.As(err, &faults) {
			t.Fatalf("%s: %v", name, err)
		}
		golden(t, name, err.Error()+"\n")
	}
}

func TestFileReadsAsItIsMeant(t *testing.T) {
	f, err := Read("testdata/acme.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := f.Declaration
	if d.Name != "acme" || d.Framing != iso8583.TPDUOnly || d.MTI != dialect.BCD || d.Bitmap != dialect.Bytes || d.Third != dialect.ThirdIn65 || len(d.Fields) != 11 {
		t.Errorf("%+v", d)
	}
	for n, want := range map[int]iso8583.Field{
		2:  {Name: iso8583.NameOf(2), Kind: iso8583.Numeric, Coding: dialect.BCD, Length: 19, Prefix: 2, Count: dialect.BCD, Check: dialect.Luhn},
		37: {Name: iso8583.NameOf(37), Kind: iso8583.Text, Coding: dialect.ASCII, Length: 12, Pad: iso8583.Pad{Left: true, Char: '0'}},
		48: {Name: "附加数据 / Additional data", Kind: iso8583.Text, Coding: dialect.ASCII, Length: 999, Prefix: 3, Count: dialect.BCD,
			Parts: &iso8583.Parts{Form: dialect.TLV, Tag: 2, Length: 3, List: []iso8583.Part{{Tag: "AS", Name: "原金额 / original amount"}, {Tag: "10"}}}},
		60: {Name: iso8583.NameOf(60), Kind: iso8583.Text, Coding: dialect.ASCII, Length: 30,
			Parts: &iso8583.Parts{List: []iso8583.Part{{Name: "原因 / reason", Length: 4}, {At: 4, Length: 1}, {At: 10}}}},
		62: {Name: iso8583.NameOf(62), Kind: iso8583.Binary, Coding: dialect.Hex, Length: 1024, Prefix: 4, Count: dialect.ASCII},
	} {
		if diff := cmp.Diff(want, d.Fields[n]); diff != "" {
			t.Errorf("F%d:\n%s", n, diff)
		}
	}
	if s, err := Open("testdata/acme.yaml"); err != nil || s.Name() != "acme" {
		t.Error(err)
	}
}

// What is written is read again as the same declaration: every built-in dialect,
// and files.
func TestWriteAndReadAgain(t *testing.T) {
	var all []*iso8583.Declaration
	for _, s := range iso8583.Builtin() {
		all = append(all, s.Declaration())
	}
	for _, path := range []string{"testdata/acme.yaml", "testdata/lint.yaml", "testdata/spec87ascii.json", "testdata/moovall.json"} {
		f, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f.Declaration)
	}
	for _, d := range all {
		var b strings.Builder
		if err := Write(&b, d); err != nil {
			t.Fatal(err)
		}
		f, err := Parse(d.Name, []byte(b.String()))
		if err != nil {
			t.Fatalf("%s: %v\n%s", d.Name, err, b.String())
		}
		if diff := cmp.Diff(d, f.Declaration); diff != "" {
			t.Errorf("%s:\n%s", d.Name, diff)
		}
		if diff := Diff(d, f.Declaration); diff != nil {
			t.Errorf("%s differs from itself: %v", d.Name, diff)
		}
	}
}

func TestExtendingChangesOnlyWhatIsSaid(t *testing.T) {
	f, err := Parse("x", []byte("name: x\nextends: 87B\nfields:\n  55: {type: binary, coding: binary, length: 255, prefix: LLL, prefix-coding: bcd}\n  63:\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Difference{{55, "type", "text", "binary"}, {55, "coding", "ascii", "binary"}, {55, "length", "..999", "..255"}, {63, "", "text ..999 ascii LLL bcd", ""}}
	if diff := cmp.Diff(want, Diff(iso8583.Binary87().Declaration(), f.Declaration)); diff != "" {
		t.Error(diff)
	}
	if _, ok := iso8583.Binary87().Declaration().Fields[63]; !ok {
		t.Error("the built-in dialect lost a field")
	}
}

func TestLintNamesWhatIsSeldomMeant(t *testing.T) {
	f, err := Read("testdata/lint.yaml")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "lint", f.Lint().Error()+"\n")
	for _, s := range iso8583.Builtin() {
		for _, x := range Suspicions(s.Declaration()) {
			if s.Name() != "bcd" || x.Field != 22 { // whose loose pad is meant
				t.Errorf("%s: %v", s.Name(), x)
			}
		}
	}
}

// Files of any content are refused with a place, and never a panic.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"acme.yaml", "many.yaml", "lint.yaml", "moovbad.json", "moovall.json"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("name: &a [*a]\n"))
	f.Add([]byte("extends: !!int pos\nfields: {2: null, 3: {parts: {list: [null]}}}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse("f", b)
		if err != nil {
			var faults yamlfile.Faults
			if !errors.As(err, &faults) || len(faults) == 0 || faults[0].Line < 1 {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if _, err := iso8583.Compile(file.Declaration); err != nil {
			t.Fatal(err)
		}
		file.Lint()
		var out strings.Builder
		if err := Write(&out, file.Declaration); err != nil {
			t.Fatal(err)
		}
		again, err := Parse("again", []byte(out.String()))
		if err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		if diff := cmp.Diff(file.Declaration, again.Declaration); diff != "" {
			t.Fatal(diff)
		}
	})
}

// What the documentation shows is a file without faults.
func TestTheDocumentedFileIsRight(t *testing.T) {
	var both []*iso8583.Declaration
	for _, page := range []string{"dialects.md", "dialects.zh-CN.md"} {
		b, err := os.ReadFile("../../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(string(b), "```yaml\n")
		text, _, ok := strings.Cut(text, "```")
		f, err := Parse(page, []byte(text))
		if !ok || err != nil {
			t.Fatal(err)
		}
		if f.Declaration.Fields[48].Parts == nil || f.Lint() != nil {
			t.Errorf("%s: %v", page, f.Lint())
		}
		both = append(both, f.Declaration)
	}
	if diff := cmp.Diff(both[0], both[1]); diff != "" {
		t.Error(diff)
	}
}
