package tongka

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestFaultsHaveCodes: a line of the product's log at the level of an error says
// by which code it is counted and explained.
func TestFaultsHaveCodes(t *testing.T) {
	seen := 0
	for _, f := range goFiles(t) {
		if f.test || plays(f.room) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			lit, says := call.Args[0].(*ast.BasicLit)
			if !ok || sel.Sel.Name != "Error" || !says || lit.Kind != token.STRING {
				return true
			}
			if seen++; len(faultsIn(call)) == 0 {
				t.Errorf("%s: an error in the log without fault.Field", f.set.Position(call.Pos()))
			}
			return true
		})
	}
	if seen < 20 {
		t.Fatalf("only %d lines found", seen)
	}
}

// TestEveryFaultHappens: what no code names is in the table for nothing.
func TestEveryFaultHappens(t *testing.T) {
	var codes []string
	used := map[string]bool{}
	for _, f := range goFiles(t) {
		if f.room == "fault" && !f.test {
			codes = append(codes, faultCodes(f.ast)...)
		}
		if f.test || plays(f.room) {
			continue
		}
		for _, name := range faultsIn(f.ast) {
			used[name] = true
		}
	}
	if len(codes) < 30 {
		t.Fatalf("only %d codes found", len(codes))
	}
	for _, name := range codes {
		if !used[name] {
			t.Errorf("fault.%s never happens", name)
		}
	}
}

func plays(folder string) bool {
	first, _, _ := strings.Cut(folder, "/")
	return slices.Contains(append(players, "tools"), first)
}

// faultCodes are the constants of type Code.
func faultCodes(f *ast.File) (names []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return true
		}
		lit, number := v.Values[0].(*ast.BasicLit)
		if typ, named := v.Type.(*ast.Ident); named && typ.Name == "Code" && number {
			if _, err := strconv.Atoi(lit.Value); err == nil {
				names = append(names, v.Names[0].Name)
			}
		}
		return true
	})
	return names
}

// faultsIn are the names that are taken from the package fault, without what is no
// code.
func faultsIn(n ast.Node) (names []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		from, ok := sel.X.(*ast.Ident)
		if ok && from.Name == "fault" && !slices.Contains([]string{"Field", "Book", "Code", "Because", "All", "Find", "Fault", "Seen", "Error"}, sel.Sel.Name) {
			names = append(names, sel.Sel.Name)
		}
		return true
	})
	return names
}
