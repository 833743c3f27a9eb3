package registry

import (
	"os"
	"strings"
	"testing"

	"tongka/txn"
)

// Operators write names of kinds into files: each stands in the pages that they read.
func TestDocsNameEveryKind(t *testing.T) {
	for _, page := range []string{"operations.md", "operations.zh-CN.md"} {
		text, err := os.ReadFile("../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		for k := txn.Unknown + 1; k < txn.Kinds; k++ {
			if !strings.Contains(string(text), "`"+k.String()+"`") {
				t.Errorf("docs/%s does not name %s", page, k)
			}
		}
	}
}
