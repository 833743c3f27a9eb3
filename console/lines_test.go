package console

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tongka/engine"
	"tongka/flow"
)

func withLines() *engine.Snapshot {
	s := snapshotAt(0)
	s.Links[0].Lines = []engine.LineView{
		{Number: 1, State: "up", Since: noon.UnixNano(), Trial: true, Serving: true, Priority: 1, Window: 8, InFlight: 1, Sent: 5, Answered: 3, TimedOut: 2},
		{Number: 2, State: "probing", Since: noon.UnixNano(), Priority: 2},
	}
	s.Changes = []engine.LineChange{
		{At: noon.UnixNano(), Link: "unionpay", Line: 2, From: "up", To: "probing", Cause: flow.Missed.String(), Serves: true},
		{At: noon.UnixNano(), Link: "citycard", Line: 1, From: "up", To: "dialing", Cause: flow.Lost.String()},
		{At: noon.UnixNano(), Link: "citycard", Line: 1, From: "up", To: "draining", Cause: flow.Drain.String()},
	}
	return s
}

func TestStatusShowsLinesAndTheirChanges(t *testing.T) {
	s, _ := newServer(withLines())
	var st Status
	if err := json.Unmarshal(get(s, "/api/snapshot").Body.Bytes(), &st); err != nil {
		t.Fatal(err)
	}
	want := []Line{
		{Line: 1, State: "up", StateWords: Words{"正常", "up"}, Since: clockTime(noon.UnixNano()), Trial: true, Serving: true,
			Priority: 1, Window: 8, InFlight: 1, Sent: 5, Answered: 3, TimedOut: 2},
		{Line: 2, State: "probing", StateWords: Words{"探测中", "probing"}, Since: clockTime(noon.UnixNano()), Priority: 2},
	}
	if d := cmp.Diff(want, st.Links[0].Lines); d != "" {
		t.Error(d)
	}
	if st.Links[1].Lines == nil || len(st.Changes) != 3 {
		t.Fatalf("lines %v, changes %v", st.Links[1].Lines, st.Changes)
	}
	for i, level := range []string{"warn", "bad", "note"} {
		if c := st.Changes[i]; c.Level != level || !hasHan(c.Hint.ZH) || !hasHan(c.ToWords.ZH) {
			t.Errorf("change %d: %+v, want level %s", i, c, level)
		}
	}
}

func TestLineMetrics(t *testing.T) {
	const want = `
# HELP tongka_line_timed_out_total Requests of the line whose deadline passed.
# TYPE tongka_line_timed_out_total counter
tongka_line_timed_out_total{line="1",link="unionpay"} 2
tongka_line_timed_out_total{line="2",link="unionpay"} 0
# HELP tongka_line_up 1 when the line is signed on and takes requests.
# TYPE tongka_line_up gauge
tongka_line_up{line="1",link="unionpay"} 1
tongka_line_up{line="2",link="unionpay"} 0
`
	err := testutil.CollectAndCompare(collector{sourceOf(withLines())}, strings.NewReader(want), "tongka_line_up", "tongka_line_timed_out_total")
	if err != nil {
		t.Error(err)
	}
}

// Every cause and state that there is has words of its own, in both languages.
func TestLineWordsAreComplete(t *testing.T) {
	for ev := flow.LineEvent(0); ev.String() != "invalid"; ev++ {
		if h := engine.LineHint(ev.String()); !hasHan(h.ZH) || h.EN == "" || h.EN == ev.String() {
			t.Errorf("%v: %+v", ev, h)
		}
	}
	for st := flow.LineState(0); st.String() != "invalid"; st++ {
		if w := WordsOfLink(st.String()); !hasHan(w.ZH) || w.EN == "" {
			t.Errorf("%v: %+v", st, w)
		}
	}
	if h := engine.LineHint("moon"); h.ZH != "moon" || h.EN != "moon" {
		t.Errorf("%+v", h)
	}
}
