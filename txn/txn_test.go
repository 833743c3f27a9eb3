package txn

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// codes reads from the source which code each name stands for.
func codes(t *testing.T) map[string]Code {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Code{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			lit, ok := v.Values[0].(*ast.CompositeLit)
			if !ok || len(lit.Elts) != 2 {
				continue
			}
			var c Code
			for i, e := range lit.Elts {
				text, err := strconv.Unquote(e.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				c[i] = text[0]
			}
			all[v.Names[0].Name] = c
		}
	}
	return all
}

// A code without words would be shown to a person as two characters.
func TestEveryCodeHasWords(t *testing.T) {
	named := codes(t)
	if len(named) < 19 || named["OK"] != OK || named["NoKey"] != NoKey {
		t.Fatalf("read %d names: %v", len(named), named)
	}
	seen := map[Code]string{}
	for name, c := range named {
		if c.Words() == (Words{}) {
			t.Errorf("%s, code %s, is not in the table", name, c)
		}
		if other, twice := seen[c]; twice {
			t.Errorf("%s and %s are one code", name, other)
		}
		seen[c] = name
	}
	for c, w := range codeWords {
		if !strings.ContainsFunc(w.ZH, func(r rune) bool { return unicode.Is(unicode.Han, r) }) || w.EN == "" ||
			strings.ContainsFunc(w.EN, func(r rune) bool { return r > unicode.MaxASCII }) {
			t.Errorf("%s: %+v", c, w)
		}
		for _, b := range c {
			if (b < '0' || b > '9') && (b < 'A' || b > 'Z') {
				t.Errorf("%s is no an2", c)
			}
		}
	}
	if w := (Code{'Z', 'Z'}).Words(); w != (Words{}) {
		t.Errorf("an unknown code means %+v", w)
	}
}

func TestCodePrintsAsItTravels(t *testing.T) {
	for c, want := range map[Code]string{OK: "00", NoAnswer: "98", BadMAC: "A0", {}: "--"} {
		if c.String() != want {
			t.Errorf("got %s, want %s", c, want)
		}
	}
}

// Names are in logs, scripts, routes and configurations: each is found again.
func TestKinds(t *testing.T) {
	n := 0
	for k := Kind(0); k.String() != "invalid"; k++ {
		n++
		got, ok := ParseKind(k.String())
		if k == Unknown && ok || k != Unknown && (!ok || got != k) {
			t.Errorf("%v: parsed as %v, %v", k, got, ok)
		}
	}
	if n != int(Kinds) || Kind(255).String() != "invalid" {
		t.Errorf("%d kinds have names", n)
	}
	for _, bad := range []string{"", "Sale", "invalid", "refunds"} {
		if k, ok := ParseKind(bad); ok || k != Unknown {
			t.Errorf("%q is %v", bad, k)
		}
	}
}

func TestResults(t *testing.T) {
	for r, want := range map[Result]string{Open: "open", Approved: "approved", Declined: "declined", TimedOut: "timed-out",
		Reversed: "reversed", Reversed + 1: "invalid"} {
		if r.String() != want {
			t.Errorf("got %v, want %s", r, want)
		}
	}
}

// The trace number goes round; the ID behind it does not.
func TestSTAN(t *testing.T) {
	for id, want := range map[ID]uint32{0: 0, 1: 1, 999_999: 999_999, 1_000_000: 0, 4_812_336_001: 336_001, 1<<64 - 1: 551_615} {
		if got := id.STAN(); got != want {
			t.Errorf("%d: %d, want %d", id, got, want)
		}
	}
}
