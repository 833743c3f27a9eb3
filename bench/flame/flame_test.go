package flame

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// made is a profile of stacks, root first, and their nanoseconds.
func made(t *testing.T, stacks map[string]int64) *bytes.Buffer {
	t.Helper()
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}}
	known := map[string]*profile.Location{}
	for stack, v := range stacks {
		s := &profile.Sample{Value: []int64{1, v}}
		for _, name := range strings.Split(stack, ";") {
			l := known[name]
			if l == nil {
				f := &profile.Function{ID: uint64(len(known) + 1), Name: name}
				l = &profile.Location{ID: f.ID, Line: []profile.Line{{Function: f}}}
				known[name] = l
				p.Function, p.Location = append(p.Function, f), append(p.Location, l)
			}
			s.Location = append([]*profile.Location{l}, s.Location...)
		}
		p.Sample = append(p.Sample, s)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestFlame(t *testing.T) {
	in := made(t, map[string]int64{
		"runtime.main;tongka/engine.(*Shard).Tick":                        3e9,
		"runtime.main;tongka/engine.(*Shard).Tick;internal/syscall.write": 1e9,
		"runtime.main;github.com/a/<b>.Loop":                              4e9,
		"runtime.main;tongka/tiny.Thing":                                  1e5,
	})
	var w bytes.Buffer
	if err := HTML(&w, "D <CPU>", in, "cpu"); err != nil {
		t.Fatal(err)
	}
	text := w.String()
	for _, want := range []string{
		"D &lt;CPU&gt;", "共 total 8 s", `class="own" title="tongka/engine.(*Shard).Tick：4 s，50.00%">engine.(*Shard).Tick</b>`,
		`style="width:25.000%"><b class="kernel"`, `class="lib"`, "&lt;b&gt;.Loop", `class="runtime"`, "</html>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	for _, bad := range []string{"http:", "https:", "src=", "<b>.Loop", "tiny.Thing"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

func TestNoProfile(t *testing.T) {
	var w bytes.Buffer
	if err := HTML(&w, "x", strings.NewReader("404 not found"), "cpu"); err == nil {
		t.Error("text is a profile")
	}
	if err := HTML(&w, "x", made(t, map[string]int64{"a": 1}), "alloc_space"); err == nil || !strings.Contains(err.Error(), "alloc_space") {
		t.Errorf("error %v", err)
	}
	// A switch that allocates nothing has an empty graph and not a fault.
	w.Reset()
	if err := HTML(&w, "x", made(t, map[string]int64{"a": 0}), "cpu"); err != nil || !strings.Contains(w.String(), "共 total 0 s") {
		t.Errorf("%v: %s", err, w.String())
	}
}
