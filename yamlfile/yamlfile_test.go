package yamlfile

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
)

func TestLibraryPanicIsAFault(t *testing.T) {
	f, err := guarded(func() (*ast.File, error) { panic("no such token") })
	if f != nil || err == nil || err.Error() != "no such token" {
		t.Errorf("got %v, %v", f, err)
	}
}

func TestDidYouMean(t *testing.T) {
	known := []string{"listeners", "links", "limits", "log"}
	for word, want := range map[string]string{
		"limit": `"limits"`, "lsiteners": `"listeners"`, "Links": `"links"`, "lgo": `"log"`, "qwertyuiop": "known: listeners, links",
	} {
		if got := DidYouMean(word, known); !strings.Contains(got, want) {
			t.Errorf("%s: %s", word, got)
		}
	}
	if got := DidYouMean("x", nil); got != "" {
		t.Errorf("nothing known: %q", got)
	}
}

func TestTreeNamesThePlace(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "f.yaml:1:1: 空文件 · the file is empty (write it)",
		"a: 1\n---\nb: 2\n":     "f.yaml:3:1: 只能有一个文档 · one document only",
		"a: [1\n":               "f.yaml:1:4: YAML 语法错误",
		strings.Repeat("x", 65): "f.yaml:1:1: 文件超过 64 字节",
	} {
		_, faults := Tree("f.yaml", []byte(text), 64, "write it")
		faults.Sort()
		if len(faults) == 0 || !strings.HasPrefix(faults[0].String(), want) {
			t.Errorf("%q: %v", text, faults)
		}
	}
	root, faults := Tree("f.yaml", []byte("a: {b: 1}\n"), 64, "")
	kv, ok := Pairs(root)
	if faults != nil || !ok || len(kv) != 1 || NodePos(kv[0].Value) != (Pos{1, 4}) || NodePos(root) != (Pos{1, 1}) {
		t.Errorf("%v %v", faults, kv)
	}
}
