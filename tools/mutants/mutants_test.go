package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each mutant still finds its place in the code, changes something, and has a name of its own.
func TestMutantsFindTheirPlace(t *testing.T) {
	if len(mutants) < 25 {
		t.Errorf("%d mutants, at least 25 are wanted", len(mutants))
	}
	names := map[string]bool{}
	for _, m := range mutants {
		b, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(m.file)))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), m.old); n != 1 {
			t.Errorf("%s: its place is in %s %d times, not once", m.name, m.file, n)
		}
		if m.old == m.new || names[m.name] {
			t.Errorf("%s: changes nothing, or is there twice", m.name)
		}
		names[m.name] = true
	}
}
