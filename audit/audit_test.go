package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// filled makes a file of n entries.
func filled(t *testing.T, n int) (path string, head Head) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.jsonl")
	l, torn, err := Open(path)
	if err != nil || torn {
		t.Fatal(err, torn)
	}
	defer l.Close()
	for i := range n {
		if head, err = l.Append(Entry{Who: Who{UID: 0, PID: 100 + i, Via: "socket"}, Action: "reload", What: "线路 <a>", Result: "ok"}); err != nil {
			t.Fatal(err)
		}
	}
	if l.Head() != head {
		t.Error("the head is not the last one")
	}
	return path, head
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n")
}

func rewrite(t *testing.T, path string, ls []string) {
	t.Helper()
	text := strings.TrimSuffix(strings.Join(ls, ""), "\n") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAppendAndVerify(t *testing.T) {
	path, head := filled(t, 5)
	var seen []Entry
	got, err := Verify(path, func(e *Entry) { seen = append(seen, *e) })
	if err != nil || got != head || head.N != 5 {
		t.Fatal(got, head, err)
	}
	if len(seen) != 5 || seen[4].What != "线路 <a>" || seen[0].Prev != "" || seen[1].Prev != seen[0].Hash {
		t.Errorf("%+v", seen)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	l, _, err := Open(path)
	if err != nil || l.Head() != head {
		t.Fatal(err)
	}
	defer l.Close()
	if h, err := l.Append(Entry{Action: "stop", Result: "ok"}); err != nil || h.N != 6 {
		t.Fatal(h, err)
	}
	if _, err := Verify(path, nil); err != nil {
		t.Error(err)
	}
}

// TestChangesAreSeen does to a file what somebody would who has something to hide.
func TestChangesAreSeen(t *testing.T) {
	for name, change := range map[string]struct {
		do   func(ls []string) []string
		line int
		says string
	}{
		"a line removed":       {func(ls []string) []string { return append(ls[:2:2], ls[3:]...) }, 3, "removed"},
		"the first removed":    {func(ls []string) []string { return ls[1:] }, 1, "removed"},
		"two swapped":          {func(ls []string) []string { ls[1], ls[2] = ls[2], ls[1]; return ls }, 2, "removed"},
		"a line twice":         {func(ls []string) []string { return append(ls[:2:2], ls[1:]...) }, 3, "put in"},
		"another result":       {func(ls []string) []string { ls[2] = strings.Replace(ls[2], `"ok"`, `"refused"`, 1); return ls }, 3, "changed"},
		"another person":       {func(ls []string) []string { ls[2] = strings.Replace(ls[2], `"uid":0`, `"uid":7`, 1); return ls }, 3, "changed"},
		"a space more":         {func(ls []string) []string { ls[2] = strings.Replace(ls[2], `,"at"`, `, "at"`, 1); return ls }, 3, "changed"},
		"a key that is no key": {func(ls []string) []string { ls[2] = strings.Replace(ls[2], `{"n"`, `{"x":1,"n"`, 1); return ls }, 3, "changed"},
		"rubbish":              {func(ls []string) []string { ls[4] = "\x00\xff\n"; return ls }, 5, "not an audit line"},
		"a huge line":          {func(ls []string) []string { ls[1] = strings.Repeat("x", 2*maxLine) + "\n"; return ls }, 2, "longer"},
		"an empty line":        {func(ls []string) []string { ls[1] = "\n" + ls[1]; return ls }, 2, "not an audit line"},
		"renumbered after a removal": {func(ls []string) []string {
			ls[3] = strings.Replace(ls[3], `"n":4`, `"n":3`, 1)
			return append(ls[:2:2], ls[3:]...)
		}, 3, "follow"},
	} {
		path, _ := filled(t, 5)
		rewrite(t, path, change.do(lines(t, path)))
		_, err := Verify(path, nil)
		var f *Fault
		if !errors.As(err, &f) || f.Line != change.line || !strings.Contains(f.Why, change.says) {
			t.Errorf("%s: %v; want line %d, %q", name, err, change.line, change.says)
		}
		if _, _, err := Open(path); !errors.As(err, &f) {
			t.Errorf("%s: opened: %v", name, err)
		}
	}
}

// TestCutEndIsSeen: the chain holds, but the head that was kept elsewhere is not
// in it.
func TestCutEndIsSeen(t *testing.T) {
	path, head := filled(t, 5)
	if err := Check(path, head); err != nil {
		t.Fatal(err)
	}
	if err := Check(path, Head{}); err != nil {
		t.Error("nothing was kept, nothing can be missing:", err)
	}
	ls := lines(t, path)
	rewrite(t, path, ls[:3])
	var f *Fault
	if err := Check(path, head); !errors.As(err, &f) || f.Line != 4 || !strings.Contains(f.Why, "2 lines") {
		t.Error(err)
	}
	other, _ := filled(t, 6) // a chain of its own, made anew
	if err := Check(other, head); !errors.As(err, &f) || f.Line != 5 {
		t.Error(err)
	}
	longer, kept := filled(t, 2)
	l, _, err := Open(longer)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Append(Entry{Action: "x", Result: "ok"}); err != nil {
		t.Fatal(err)
	}
	if err := Check(longer, kept); err != nil {
		t.Error("a file that went on is refused:", err)
	}
}

// TestTornLine: a power cut in the middle of a write.
func TestTornLine(t *testing.T) {
	path, head := filled(t, 3)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, b[:40]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(path, nil); err == nil {
		t.Error("a line without an end is not told of")
	}
	l, torn, err := Open(path)
	if err != nil || !torn || l.Head() != head {
		t.Fatal(torn, err)
	}
	defer l.Close()
	if _, err := l.Append(Entry{Action: "x", Result: "ok"}); err != nil {
		t.Fatal(err)
	}
	if got, err := Verify(path, nil); err != nil || got.N != 4 {
		t.Error(got, err)
	}
}

func TestTextsAreBounded(t *testing.T) {
	path, _ := filled(t, 1)
	l, _, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("界", maxText)
	if _, err := l.Append(Entry{Action: "x", What: long, Before: long, After: long, Why: "\xff\xfe", Result: "ok", At: time.Unix(0, 1)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(path, nil); err != nil {
		t.Error(err)
	}
	if _, err := l.Append(Entry{Action: "y"}); err == nil {
		t.Error("written to a closed file")
	}
	if _, err := l.Append(Entry{Action: "y"}); err == nil {
		t.Error("written after a write had failed")
	}
}

func FuzzVerify(f *testing.F) {
	line, _, err := seal(Entry{N: 1, Action: "reload", Result: "ok"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add(bytes.Repeat(line, 2))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		head, size, tail, err := read(bytes.NewReader(b), "f", nil)
		if err == nil && (size+int64(tail) != int64(len(b)) || head.N > 0 != (size > 0)) {
			t.Errorf("%d + %d of %d bytes, head %+v", size, tail, len(b), head)
		}
	})
}
