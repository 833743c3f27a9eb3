package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/sim"
)

// The drill itself is tried by cmd/switch, which is the program that it starts.

func TestFollowerCountsWholeLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book")
	f := follower{path: path}
	if n, err := f.look(); n != 0 || err != nil {
		t.Fatalf("no book yet: %d, %v", n, err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for i, step := range []struct {
		text string
		want int
	}{
		{`{"state":"open"}` + "\n" + `{"state":"approved"}` + "\n" + `{"state":"appr`, 1},
		{`oved"}`, 1}, {"\n", 2}, {"", 2}, {`{"state":"declined"}` + "\n" + `{"state":"approved"}` + "\n", 3},
	} {
		if _, err := file.WriteString(step.text); err != nil {
			t.Fatal(err)
		}
		if n, err := f.look(); n != step.want || err != nil {
			t.Fatalf("step %d: %d, %v, want %d", i, n, err, step.want)
		}
	}
}

// TestOwedWantsAPictureFromAfter: one from before the last sale says nothing of it.
func TestOwedWantsAPictureFromAfter(t *testing.T) {
	quiet := time.Now().Truncate(time.Millisecond)
	picture := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/snapshot" {
			_, _ = io.WriteString(w, picture)
		}
	}))
	console := s.Listener.Addr().String()
	at := func(d time.Duration) string { return quiet.Add(d).Format("2006-01-02T15:04:05.000Z07:00") }
	for _, c := range []struct {
		picture string
		n       int
		ok      bool
	}{
		{`{"at": "` + at(-time.Millisecond) + `", "in_flight": 0, "owed": 0}`, 0, false},
		{`{"at": "` + at(0) + `", "in_flight": 0, "owed": 0}`, 0, false}, // it may be of the same millisecond
		{`{"at": "` + at(time.Millisecond) + `", "in_flight": 2, "owed": 3}`, 5, true},
		{`{"at": "` + at(time.Millisecond) + `", "in_flight": 0}`, 0, false},
		{`{"at": "", "in_flight": 0, "owed": 0}`, 0, false}, // none yet
		{`{`, 0, false},
	} {
		picture = c.picture
		if n, ok := Owed(console, quiet); n != c.n || ok != c.ok {
			t.Errorf("%s: %d %v", c.picture, n, ok)
		}
	}
	s.Close()
	if _, ok := Owed(console, time.Time{}); ok {
		t.Error("an answer of nobody")
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var l tail
	for i := range 10_000 {
		fmt.Fprintf(&l, "line %d\n", i)
	}
	if got := l.String(); len(got) > 2*tailSize || !strings.HasSuffix(got, "line 9999\n") {
		t.Errorf("%d bytes, ending %q", len(got), got[len(got)-20:])
	}
}

func TestCopySparse(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	f, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 64 << 20
	for at, text := range map[int64]string{0: "first", 5 << 20: "in the middle", size - 4: "last"} {
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := copySparse(to, from); err != nil {
		t.Fatal(err)
	}
	a, errA := os.ReadFile(from)
	b, errB := os.ReadFile(to)
	if err := errors.Join(errA, errB); err != nil || len(b) != size || !bytes.Equal(a, b) {
		t.Fatalf("%d bytes of %d, %v", len(b), size, err)
	}
	if err := copySparse(to, from); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file that is there: %v", err)
	}
	if err := os.Truncate(from, 0); err != nil {
		t.Fatal(err)
	}
	if err := copySparse(filepath.Join(dir, "empty"), from); err != nil {
		t.Errorf("nothing but a hole: %v", err)
	}
}

// Books that differ are an error, and so is a drill that proved nothing.
func TestVerdict(t *testing.T) {
	kinds := make([]sim.Sum, 8)
	for name, c := range map[string]struct {
		v    sim.Verdict
		bank string
		says string
	}{
		"good":       {sim.Verdict{Kinds: kinds}, `{"reversed":1}`, ""},
		"lost":       {sim.Verdict{Kinds: kinds, Lost: 1}, `{"reversed":1}`, "books differ"},
		"unresolved": {sim.Verdict{Kinds: kinds, Unresolved: 1}, `{"reversed":1}`, "books differ"},
		"a cent":     {sim.Verdict{Kinds: kinds, Net: 1}, `{"reversed":1}`, "books differ"},
		"pin":        {sim.Verdict{Kinds: kinds}, `{"reversed":1,"pin_faults":1}`, "PIN"},
		"no effect":  {sim.Verdict{Kinds: kinds}, `{}`, "nothing was reversed"},
		"sales only": {sim.Verdict{Kinds: kinds[:1]}, `{"reversed":1}`, "kinds"},
		"no summary": {sim.Verdict{Kinds: kinds}, ``, "summary"},
	} {
		d := drill{o: &Options{Log: &bytes.Buffer{}}, bank: &child{}}
		d.bank.out.WriteString(c.bank)
		err := d.verdict(&c.v)
		if (c.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestCutsThatTakeNothingAreNone(t *testing.T) {
	for _, c := range []struct {
		marked, lost int
		bad          bool
	}{{0, 0, false}, {5, 0, true}, {5, 1, false}} {
		if err := (&image{marked: c.marked, lost: c.lost}).proved(); (err != nil) != c.bad {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := folder("x").cut(func() { t.Error("it was killed") }); err == nil {
		t.Error("a folder has no power to cut")
	}
}

// A drill whose children cannot start, or end by themselves, ends with an error
// that says so.
func TestDrillWithoutASwitch(t *testing.T) {
	for _, self := range []string{filepath.Join(t.TempDir(), "nothing"), "/bin/false"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		r, err := Run(ctx, Options{Self: []string{self}, Dir: t.TempDir(), Kills: 1, Rate: 1, Log: &bytes.Buffer{}})
		cancel()
		if err == nil || ctx.Err() == context.DeadlineExceeded || r.Lost != 0 {
			t.Errorf("%s: %+v, %v", self, r, err)
		}
	}
}
