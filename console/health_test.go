package console

import (
	"encoding/json"
	"testing"
	"time"

	"tongka/engine"
)

func TestHealth(t *testing.T) {
	for _, c := range []struct {
		name          string
		change        func(*engine.Snapshot)
		age           time.Duration
		healthz, live int
		state         State
	}{
		{"all links up", func(s *engine.Snapshot) { s.Links[1].State = "up" }, 0, 200, 200, Running},
		{"one link up", func(*engine.Snapshot) {}, 0, 200, 200, Degraded},
		{"no link up", func(s *engine.Snapshot) { s.Links[0].State = "signing-on" }, 0, 503, 200, Isolated},
		{"a module left", func(s *engine.Snapshot) { s.HSMs[1].Connected = true }, 0, 200, 200, Degraded},
		{"no module left", func(s *engine.Snapshot) { s.HSMs[0].Connected = false }, 0, 503, 200, Unsecured},
		{"module in the process", func(s *engine.Snapshot) { s.HSMs = nil }, 0, 200, 200, Degraded},
		{"recovering", func(s *engine.Snapshot) { s.Ready = false }, time.Hour, 503, 200, Recovering},
		{"stalled", func(*engine.Snapshot) {}, time.Minute, 503, 503, Stalled},
	} {
		snap := snapshotAt(0)
		c.change(snap)
		s, _ := newServer(snap)
		s.now = func() time.Time { return noon.Add(c.age) }
		for path, want := range map[string]int{"/healthz": c.healthz, "/livez": c.live} {
			w := get(s, path)
			var h Health
			if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil {
				t.Fatal(err)
			}
			status := "ok"
			if want != 200 {
				status = "unavailable"
			}
			if w.Code != want || h.Status != status || h.State != c.state || !hasHan(h.Words.ZH) || h.Words.EN == "" {
				t.Errorf("%s %s: %d %+v, want %d %s %s", c.name, path, w.Code, h, want, status, c.state)
			}
		}
	}
}

// Before the first snapshot the process lives, but nobody should come.
func TestHealthBeforeTheFirstSnapshot(t *testing.T) {
	s := New(sourceOf(nil), Options{})
	if a, b := get(s, "/healthz").Code, get(s, "/livez").Code; a != 503 || b != 200 {
		t.Errorf("healthz %d, livez %d; want 503, 200", a, b)
	}
}
