package console

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tongka/engine"
	"tongka/txn"
)

// Libraries below the engine start goroutines when the program does; those are
// not ours to end.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// source is a switch whose snapshot the test sets.
type source struct {
	p atomic.Pointer[engine.Snapshot]
}

func (s *source) Snapshot() *engine.Snapshot { return s.p.Load() }

func sourceOf(s *engine.Snapshot) *source {
	src := new(source)
	src.p.Store(s)
	return src
}

// noon is when all the invented snapshots start.
var noon = time.Date(2026, 9, 30, 12, 0, 0, 0, time.UTC)

// snapshotAt is a healthy switch, d after noon.
func snapshotAt(d time.Duration) *engine.Snapshot {
	s := &engine.Snapshot{
		At: noon.Add(d).UnixNano(), Started: noon.Add(-time.Hour).UnixNano(), Ready: true,
		Slots: 2000, InFlight: 17, Owed: 3, Parked: 1,
		Counters: engine.Counters{Received: 120, Approved: 100, Declined: 10, TimedOut: 2, Reversed: 4, BadMAC: 7},
		Links: []engine.LinkView{
			{Name: "unionpay", State: "up", Since: noon.Add(-time.Minute).UnixNano(), InFlight: 17, Owed: 3, Sent: 112, Answered: 110, TimedOut: 2},
			{Name: "citycard", State: "down", Since: noon.UnixNano()},
		},
		HSMs: []engine.HSMView{
			{Name: "hsm-1", Connected: true, Since: noon.Add(-time.Minute).UnixNano(), InFlight: 5, Late: 1, Missed: 9},
			{Name: "hsm-2", Since: noon.UnixNano()},
		},
		Last: []engine.View{{
			ID: 9007199254740993, At: noon.UnixNano(), Micros: 5300, Terminal: "31000001", Merchant: "898310541100001",
			PAN: "622848******0017", Kind: txn.Sale, Amount: 123456, Code: txn.Code{'5', '1'}, Result: txn.Declined, Link: "unionpay",
		}},
	}
	addLatency(&s.Latency, 100, 5300)
	addLatency(&s.Disk, 20, 500)
	return s
}

// addLatency counts n durations of us microseconds.
func addLatency(l *engine.Latency, n, us uint64) {
	i := 0
	for engine.LatencyBound(i) <= us {
		i++
	}
	l.Count, l.Sum, l.Buckets[i] = l.Count+n, l.Sum+n*us, l.Buckets[i]+n
}

// newServer is a console whose clock stands at the snapshot's time.
func newServer(s *engine.Snapshot) (*Server, *source) {
	src := sourceOf(s)
	c := New(src, Options{Version: "v1.2.3"})
	c.now = func() time.Time { return time.Unix(0, src.Snapshot().At) }
	c.sample()
	return c, src
}

func request(path string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "127.0.0.1:8583"
	return r
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(path))
	return w
}

// started is a console on a port of the machine's choice, closed at the end.
func started(t *testing.T, src Source) *Server {
	t.Helper()
	s := New(src, Options{Address: "127.0.0.1:0"})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeWithin(t, s) })
	return s
}

func closeWithin(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// client is one that keeps no connection behind.
func client(t *testing.T) *http.Client {
	tr := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

func TestStartRefusesAddressesThatOthersCanReach(t *testing.T) {
	for _, a := range []string{":8583", "0.0.0.0:0", "[::]:0", "192.168.1.7:0", "switch.example:0", "127.0.0.1", "localhost.example:0"} {
		s := New(sourceOf(nil), Options{Address: a})
		err := s.Start()
		if err == nil {
			closeWithin(t, s)
			t.Errorf("%q: want an error", a)
			continue
		}
		if !strings.Contains(err.Error(), a) {
			t.Errorf("%q: the error does not name the address: %v", a, err)
		}
		if !strings.Contains(err.Error(), "控制台地址") {
			t.Errorf("%q: the error is not in both languages: %v", a, err)
		}
		if s.Addr() != nil {
			t.Errorf("%q: bound to %v", a, s.Addr())
		}
	}
}

func TestStartServesAndCloseEnds(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	s := New(sourceOf(snapshotAt(0)), Options{Address: "localhost:0", Logger: zap.New(core)})
	if s.Addr() != nil {
		t.Error("an address before Start")
	}
	closeWithin(t, s) // before Start: nothing happens
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil {
		t.Error("a second Start must fail")
	}
	if n := logs.FilterMessage("console listens").Len(); n != 1 {
		t.Errorf("logged %d times where it listens, want 1", n)
	}
	resp, err := client(t).Get("http://" + s.Addr().String() + "/api/snapshot")
	if err != nil {
		t.Fatal(err)
	}
	var st Status
	if err := json.NewDecoder(resp.Body).Decode(&st); err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if st.InFlight != 17 || st.Version != "dev" {
		t.Errorf("got in flight %d, version %q; want 17, dev", st.InFlight, st.Version)
	}
	closeWithin(t, s)
	closeWithin(t, s) // twice: nothing happens
	if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("still listening after Close")
	}
}

func TestStartTellsThatThePortIsTaken(t *testing.T) {
	first := started(t, sourceOf(nil))
	second := New(sourceOf(nil), Options{Address: first.Addr().String()})
	if err := second.Start(); err == nil || !strings.Contains(err.Error(), "console: ") {
		t.Errorf("got %v, want an error of the console", err)
	}
}

// A live stream brings the charts, then the figures, and moves with the clock;
// Close ends it though the reader stays.
func TestEventsOverTheWire(t *testing.T) {
	src := sourceOf(snapshotAt(0))
	s := New(src, Options{Address: "127.0.0.1:0"})
	// Shorter than the stream lasts: it must not be cut by the server's own deadlines.
	s.within = 300 * time.Millisecond
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer closeWithin(t, s)
	resp, err := client(t).Get("http://" + s.Addr().String() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	r := bufio.NewReader(resp.Body)
	if name, data := readEvent(t, r); name != "history" || data != "[]" {
		t.Fatalf("first came %s %s, want an empty history", name, data)
	}
	if name, _ := readEvent(t, r); name != "status" {
		t.Fatalf("then came %s, want status", name)
	}
	next := snapshotAt(time.Second)
	next.InFlight = 18
	src.p.Store(next)
	var st Status
	for range 3 { // a sample may have been under way
		_, data := readEvent(t, r)
		if err := json.Unmarshal([]byte(data), &st); err != nil {
			t.Fatal(err)
		}
		if st.InFlight == 18 {
			break
		}
	}
	if st.InFlight != 18 {
		t.Errorf("in flight is %d after three seconds, want 18", st.InFlight)
	}
	closeWithin(t, s)
	if _, err := io.ReadAll(r); err != nil {
		t.Errorf("the stream did not end cleanly: %v", err)
	}
}

// readEvent reads the next event and skips what has no name.
func readEvent(t *testing.T, r *bufio.Reader) (name, data string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		case line == "" && name != "":
			return name, data
		}
	}
}

func TestServerComplaintsReachTheLog(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	if _, err := (logWriter{zap.New(core)}).Write([]byte("http: TLS handshake error")); err != nil {
		t.Fatal(err)
	}
	if n := logs.FilterLevelExact(zap.WarnLevel).Len(); n != 1 {
		t.Errorf("%d warnings, want 1", n)
	}
}
