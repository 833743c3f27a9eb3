package supervisor

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

func newWords() *words { return &words{to: io.Discard, done: make(chan struct{})} }

// TestWordsAreBounded: however much is said, in whatever pieces, the panic's own
// line stays and the end as well.
func TestWordsAreBounded(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 4))
	for _, flood := range []int{0, 1000, 10 * keepTail} {
		w := newWords()
		var all bytes.Buffer
		for all.Len() < flood {
			fmt.Fprintf(&all, "{\"level\":\"info\",\"n\":%d}\n", all.Len())
		}
		all.WriteString("panic: the reason\n\ngoroutine 1 [running]:\n")
		for n := 0; n < flood; n += 30 {
			fmt.Fprintf(&all, "goroutine %d [select]:\n", n)
		}
		all.WriteString("exit status 2\n")
		for b := all.Bytes(); len(b) > 0; {
			n := min(len(b), 1+dice.IntN(7000))
			if got, err := w.Write(b[:n]); got != n || err != nil {
				t.Fatal(got, err)
			}
			b = b[n:]
		}
		text := string(w.text())
		if !strings.Contains(text, "panic: the reason\n\ngoroutine 1") || !strings.HasSuffix(text, "exit status 2\n") || len(text) > keepHead+keepTail+maxLine {
			t.Errorf("flood of %d: %d bytes, %.200q … %.100q", flood, len(text), text, text[max(0, len(text)-100):])
		}
	}
}

// TestWordsOfNoLines: a flood without a line's end takes no memory, and is no panic.
func TestWordsOfNoLines(t *testing.T) {
	w := newWords()
	for range 64 {
		_, _ = w.Write(bytes.Repeat([]byte("panic: "[1:]), 10_000))
	}
	if w.dying || len(w.line) > maxLine || len(w.text()) > keepTail+100 || !strings.HasPrefix(string(w.text()), "… ") {
		t.Errorf("dying %v, line %d, text %d", w.dying, len(w.line), len(w.text()))
	}
	_, _ = w.Write([]byte("\n"))
	_, _ = w.Write([]byte("pan"))
	_, _ = w.Write([]byte("ic: in pieces\nmore"))
	if text := string(w.text()); !w.dying || !strings.HasSuffix(text, "panic: in pieces\nmore") {
		t.Errorf("%v %q", w.dying, text[max(0, len(text)-100):])
	}
}

func TestRing(t *testing.T) {
	var r ring
	var all []byte
	dice := rand.New(rand.NewPCG(5, 6))
	for len(all) < 3*keepTail {
		piece := make([]byte, dice.IntN(keepTail+keepTail/2))
		for i := range piece {
			piece[i] = byte(dice.Uint32())
		}
		r.write(piece)
		all = append(all, piece...)
		got, lost := r.bytes()
		if want := all[max(0, len(all)-keepTail):]; !bytes.Equal(got, want) && len(piece) <= keepTail {
			t.Fatalf("after %d bytes: %d kept, want %d", len(all), len(got), len(want))
		} else if len(piece) <= keepTail && lost != int64(len(all)-len(want)) {
			t.Fatalf("%d are lost, want %d", lost, len(all)-len(want))
		}
	}
}
