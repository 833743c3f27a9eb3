// Package yamlfile is what every file of ours that people write in YAML (or in JSON,
// which is YAML) is read with: the tree of its one document, and faults that name
// file, line and column, all of them in one go.
package yamlfile

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong in a file. Message and Hint are Chinese and
// English in one line.
type Fault struct {
	File    string
	Line    int // from 1
	Column  int // from 1, in characters
	Message string
	Hint    string // what to write instead; may be empty
}

// String is file:line:column: message, then the hint in parentheses.
func (f Fault) String() string {
	s := fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
	if f.Hint != "" {
		s += " (" + f.Hint + ")"
	}
	return s
}

// Faults are all that is wrong in a file, in the order of its lines.
type Faults []Fault

// Error gives one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Sort puts faults in the order of the file: types are checked before meanings,
// and nobody reads a file in that order.
func (fs Faults) Sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// DidYouMean hints at the known word that lies nearest; when none is near, at
// all of them.
func DidYouMean(word string, known []string) string {
	best, at := len(word)/3+2, -1
	for i, k := range known {
		if d := distance(word, k); d < best {
			best, at = d, i
		}
	}
	if at >= 0 {
		return fmt.Sprintf("是否为 %q · did you mean %q?", known[at], known[at])
	}
	if len(known) == 0 {
		return ""
	}
	return "可用 · known: " + strings.Join(known, ", ")
}

// distance is the edit distance of Levenshtein, where two letters in the wrong
// order count as one edit: that is how keys are mistyped.
func distance(a, b string) int {
	older, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, prev, row = prev, row, older
	}
	return prev[len(b)]
}
