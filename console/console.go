// Package console is the switch's window: one web page with live figures, the
// same figures as JSON, as Prometheus metrics and as two health answers. It
// reads snapshots itself, so nothing of that can slow or change a transaction. A
// second page reads and makes single messages of what is pasted into it.
//
//	/              the page
//	/message       messages taken apart and made, of what is pasted
//	/api/decode    POST: what that page does; so /api/encode
//	/events        server-sent events: one Status a second
//	/api/snapshot  the newest Status
//	/metrics       Prometheus text
//	/healthz       may terminals be sent here? 200 or 503 with the reason
//	/livez         does the process still move? 200, or 503: restart it
//	/debug/pprof/  profiles of the process, with Options.Profile only
//	/debug/vars    its memory, counted exactly; with Options.Profile only
//	POST /api/…    what Options.Admin does, when there is one
package console

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"go.uber.org/zap"

	"tongka/conn"
	"tongka/engine"
	"tongka/fault"
)

// DefaultAddress is where the console listens unless told otherwise.
const DefaultAddress = "127.0.0.1:8080"

// Source is where the figures come from. Snapshot gives the newest one, from
// any goroutine and without waiting, or nil before there is a first. A shard
// that moves makes one at least every two seconds, idle or not; one that is
// older than five seconds is shown as stalled.
type Source interface{ Snapshot() *engine.Snapshot }

// Options of a console. All may be left empty.
type Options struct {
	Version string      // of the switch, shown on the page and in the metrics
	Address string      // host:port to listen on; DefaultAddress when empty
	Logger  *zap.Logger // nothing is logged when nil
	// Front gives what the doors have counted, from any goroutine; their metrics
	// are left out when it is nil.
	Front func() conn.Stats
	// Admin gets every POST below /api/ and says itself who may; nil: the console
	// only reads.
	Admin http.Handler
	// Faults are counted there; nil: none are shown.
	Faults *fault.Book
	// Profile lets /debug/pprof/ and /debug/vars be read: what the process spends time and
	// memory on. Reading the latter stops it for some microseconds.
	Profile bool
	// Reload is the last try to read the configuration again, nil before the first.
	Reload func() *Reload
}

// Reload is a try to read the configuration again, and what became of it.
type Reload struct {
	At    string   `json:"at"`
	OK    bool     `json:"ok"`
	Words Words    `json:"words"`
	Lines []string `json:"lines"` // what has changed, or all that is wrong
}

// Limits of the web server. The console is for a few people and one scraper.
const (
	sampleEvery   = time.Second
	headerTimeout = 5 * time.Second
	answerTimeout = 10 * time.Second // events set their own, message by message
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10
)

// Server is the console. It serves as an http.Handler as soon as it is made;
// the figures move once Start runs its clock. Its methods may be called from
// any goroutine.
type Server struct {
	src     Source
	log     *zap.Logger
	address string
	version string
	front   func() conn.Stats
	faults  *fault.Book
	now     func() time.Time // a field so that tests can say what is stale
	reload  func() *Reload
	within  time.Duration // for reading a request and for writing an answer
	handler http.Handler
	hub     hub

	mu      sync.Mutex // guards what follows
	past    past
	sampled *engine.Snapshot // by the last sample
	at      time.Time        // of the last sample
	newest  *update          // never nil after New
	stale   bool             // newest is of a sample before the last
	http    *http.Server
	bound   net.Addr
	stop    chan struct{}
	running sync.WaitGroup
}

// New makes a console that reads src. It opens nothing yet.
func New(src Source, o Options) *Server {
	s := &Server{src: src, log: o.Logger, address: o.Address, version: o.Version, front: o.Front, now: time.Now, within: answerTimeout,
		reload: o.Reload, faults: o.Faults}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.address == "" {
		s.address = DefaultAddress
	}
	if s.version == "" {
		s.version = "dev"
	}
	s.handler = guard(s.routes(o.Profile), o.Admin)
	s.newest = &update{status: []byte("{}"), event: event("status", []byte("{}")), past: event("history", []byte("[]"))}
	s.sample()
	return s
}

// routes has no method patterns: guard has refused all but GET before, and POST to
// what needs it.
func (s *Server) routes(profile bool) http.Handler {
	m := http.NewServeMux()
	m.Handle("/{$}", page(s.version))
	m.Handle("/assets/{name}", assets())
	var pasted messages
	m.Handle("/message", messagePage())
	m.HandleFunc(decodePath, pasted.answer(decodeMessage))
	m.HandleFunc(encodePath, pasted.answer(encodeMessage))
	m.HandleFunc("/events", s.events)
	m.HandleFunc("/api/snapshot", s.snapshot)
	m.HandleFunc("/healthz", s.healthz)
	m.HandleFunc("/livez", s.livez)
	m.Handle("/metrics", metricsHandler(s.src, s.front, s.faults, s.version, s.log))
	if profile {
		m.HandleFunc("/debug/pprof/", pprof.Index)
		m.HandleFunc("/debug/pprof/profile", pprof.Profile)
		m.Handle("/debug/vars", expvar.Handler())
	}
	m.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "没有这个页面", "no such page")
	})
	return m
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Start listens and begins to take samples. It fails when the address is not a
// loopback one: the console has no sign-in and no TLS, so it must not be
// reachable from another machine.
func (s *Server) Start() error {
	if err := CheckAddress(s.address); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil {
		return errors.New("console: started already")
	}
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	// A name like localhost is what the hosts file makes of it, so look again.
	if err := CheckAddress(l.Addr().String()); err != nil {
		return errors.Join(err, l.Close())
	}
	s.bound, s.stop = l.Addr(), make(chan struct{})
	// Without these a client that sends or reads a byte a minute would hold a
	// connection, and the memory behind it, for ever.
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       s.within,
		WriteTimeout:      s.within,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(logWriter{s.log}, "", 0),
	}
	srv, stop := s.http, s.stop
	s.running.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("console stopped serving", fault.Field(fault.DoorClosed), zap.Error(err))
		}
	})
	s.running.Go(func() { s.clock(stop) })
	s.log.Info("console listens", zap.Stringer("address", s.bound))
	return nil
}

// Addr is the bound address, or nil before Start.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bound
}

// Close ends all event streams, waits for the other answers until ctx ends and
// then cuts them. Closing twice, or before Start, does nothing.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	srv, stop := s.http, s.stop
	s.stop = nil
	s.mu.Unlock()
	if srv == nil || stop == nil {
		return nil
	}
	close(stop)
	s.hub.close() // first: Shutdown waits for streams, and they would not end
	err := srv.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("console: %w", err), srv.Close())
	}
	s.running.Wait()
	return err
}

// clock is the console's only timer; it belongs to Start and ends with Close.
func (s *Server) clock(stop <-chan struct{}) {
	t := time.NewTicker(sampleEvery)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			s.sample()
		}
	}
}

// sample is the once-a-second work: rates are computed here, for all clients
// together. Putting them into words takes hundreds of objects, so it waits for
// somebody who reads.
func (s *Server) sample() {
	now, snap := s.now(), s.src.Snapshot()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past.add(snap)
	s.sampled, s.at, s.stale = snap, now, true
	if s.hub.count() > 0 {
		s.hub.send(s.encoded())
	}
}

// update is the last sample in words, which are made once for all who ask.
func (s *Server) update() *update {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.encoded()
}

// encoded is update where s.mu is held.
func (s *Server) encoded() *update {
	if !s.stale {
		return s.newest
	}
	s.stale = false
	st := status(s.version, s.at, s.sampled, &s.past)
	if s.front != nil {
		counted := s.front()
		st.Doors = doors(&counted)
	}
	st.Faults = Faults(s.faults)
	if s.reload != nil {
		st.Reload = s.reload()
	}
	u, err := newUpdate(st, s.past.points)
	if err != nil { // a Status is plain data without NaN, so this is a bug
		s.log.Error("console cannot encode its figures", fault.Field(fault.ConsoleFault), zap.Error(err))
		return s.newest
	}
	s.newest = u
	return u
}

// snapshot gives the Status of the last sample, at most a second old. Asking
// often costs no more than sending it.
func (s *Server) snapshot(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(append(s.update().status, '\n')) // the client may be gone
}

// logWriter puts net/http's complaints into our log.
type logWriter struct{ log *zap.Logger }

func (l logWriter) Write(b []byte) (int, error) {
	l.log.Warn("console http", fault.Field(fault.ConsoleFault), zap.ByteString("message", b))
	return len(b), nil
}
