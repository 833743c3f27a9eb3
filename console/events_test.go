package console

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// eventually polls until ok or a deadline far beyond what it takes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("never came: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestEventFormat(t *testing.T) {
	if got, want := string(event("status", []byte(`{"a":1}`))), "event: status\ndata: {\"a\":1}\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Line breaks in a name must not be able to end an event.
func TestEventsAreOneLineOfData(t *testing.T) {
	snap := snapshotAt(0)
	snap.Last[0].Terminal, snap.Links[0].Name = "a\n\ndata: b", "x\r\ny"
	s, _ := newServer(snap)
	r := bufio.NewReader(strings.NewReader(string(s.update().event)))
	name, data := readEvent(t, r)
	var st Status
	if err := json.Unmarshal([]byte(data), &st); err != nil || name != "status" {
		t.Fatal(name, err)
	}
	if st.Links[0].Name != "x\r\ny" || r.Buffered() != 0 {
		t.Errorf("got %q and %d bytes more", st.Links[0].Name, r.Buffered())
	}
}

func TestNewcomersGetTheCharts(t *testing.T) {
	s, src := newServer(snapshotAt(0))
	for i := 1; i <= 3; i++ {
		src.p.Store(snapshotAt(time.Duration(i) * time.Second))
		s.sample()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // it leaves at once, but only after the first events
	w := httptest.NewRecorder()
	s.ServeHTTP(w, request("/events").WithContext(ctx))
	if ct := w.Header().Get("Content-Type"); ct != "text/event-stream; charset=utf-8" {
		t.Errorf("content type %q", ct)
	}
	if !strings.HasPrefix(w.Body.String(), "retry: 2000\n\n") || !w.Flushed {
		t.Errorf("starts with %.20q, flushed %v", w.Body, w.Flushed)
	}
	r := bufio.NewReader(w.Body)
	name, data := readEvent(t, r)
	var points []Point
	if err := json.Unmarshal([]byte(data), &points); err != nil || name != "history" || len(points) != 3 {
		t.Fatalf("%s with %d points, want history with 3: %v", name, len(points), err)
	}
	_, data = readEvent(t, r)
	var st Status
	if err := json.Unmarshal([]byte(data), &st); err != nil {
		t.Fatal(err)
	}
	if st.Point == nil || st.Point.AtMS != points[2].AtMS {
		t.Errorf("the newest point is %+v, want that of the history", st.Point)
	}
	if s.hub.count() != 0 {
		t.Error("a client that left is still counted")
	}
}

func TestHubDropsWhoLagsAndKeepsTheOthers(t *testing.T) {
	var h hub
	slow, _ := h.join()
	quick, _ := h.join()
	for range clientLag + 1 {
		h.send(&update{})
		<-quick
	}
	n := 0
	for range slow { // ends because it was closed
		n++
	}
	if n != clientLag || h.count() != 1 {
		t.Errorf("the slow one got %d updates and %d clients stay, want %d and 1", n, h.count(), clientLag)
	}
	h.leave(slow) // after the drop: nothing happens
	h.close()
	if _, open := <-quick; open {
		t.Error("open after close")
	}
	h.send(&update{})
	if _, ok := h.join(); ok {
		t.Error("joined a closed hub")
	}
}

func TestClientsAreBounded(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	for range maxClients {
		if _, ok := s.hub.join(); !ok {
			t.Fatal("refused too early")
		}
	}
	w := get(s, "/events")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if s.hub.count() != maxClients {
		t.Errorf("%d clients after the refusal, want %d", s.hub.count(), maxClients)
	}
}

// stuck is a reader that takes nothing until it is let go.
type stuck struct {
	*httptest.ResponseRecorder
	writing, release chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	select {
	case s.writing <- struct{}{}:
	default:
	}
	<-s.release
	return len(b), nil
}

// A reader that hangs in a write does not hold up the clock, and its handler
// ends when the write does.
func TestSlowReaderIsDropped(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	w := &stuck{httptest.NewRecorder(), make(chan struct{}, 1), make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ServeHTTP(w, request("/events"))
	}()
	<-w.writing
	for range clientLag + 1 {
		s.sample()
	}
	if n := s.hub.count(); n != 0 {
		t.Errorf("%d clients after the drop, want 0", n)
	}
	close(w.release)
	<-done
}

// gone fails every write, as a closed connection does.
type gone struct{ *httptest.ResponseRecorder }

func (gone) Write([]byte) (int, error) { return 0, http.ErrHandlerTimeout }

func TestReaderThatIsGoneLeaves(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	s.ServeHTTP(gone{httptest.NewRecorder()}, request("/events"))
	if s.hub.count() != 0 {
		t.Error("still counted")
	}
}

func TestReaderThatLeavesIsForgotten(t *testing.T) {
	s := started(t, sourceOf(snapshotAt(0)))
	resp, err := client(t).Get("http://" + s.Addr().String() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a client", func() bool { return s.hub.count() == 1 })
	_ = resp.Body.Close()
	eventually(t, "its leaving", func() bool { return s.hub.count() == 0 })
}
