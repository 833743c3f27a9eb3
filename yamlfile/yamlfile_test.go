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

func TestByteOrderMark(t *testing.T) {
	root, faults := Tree("x.yaml", []byte("\uFEFFa: 1\n"), 100, "")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if pairs, ok := Pairs(root); !ok || pairs[0].Key.String() != "a" {
		t.Errorf("%v", root)
	}
}

// The parser takes quadratic time for these, and in the end all the stack.
func TestTooDeep(t *testing.T) {
	for _, c := range []string{"[", "{", "{a: ["} {
		_, faults := Tree("x.yaml", []byte("a: 1\nb: "+strings.Repeat(c, 100_000)), 1<<20, "")
		if len(faults) != 1 || faults[0].Line != 2 || !strings.Contains(faults[0].Message, "too deep") {
			t.Errorf("%s: %v", c, faults)
		}
	}
	if _, faults := Tree("x.yaml", []byte("a: "+strings.Repeat("[1], ", 10)[:3]+"\n# "+strings.Repeat("[ ", 100)), 1<<20, ""); len(faults) > 0 {
		t.Error(faults)
	}
}
