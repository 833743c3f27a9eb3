package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

// A wall display, a few desks and some forgotten tabs fit; a page that opens
// streams in a loop does not get to use up the process's descriptors.
const (
	maxClients = 32
	clientLag  = 5               // updates a client may be behind before it is dropped
	sendWithin = 5 * time.Second // for one event
)

// update is one second, encoded once for all clients.
type update struct {
	status []byte // the Status as JSON, one line
	event  []byte // the same as an event
	past   []byte // the charts so far as an event, for those who come new
}

func newUpdate(st *Status, points []Point) (*update, error) {
	body, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	if points == nil {
		points = []Point{}
	}
	history, err := json.Marshal(points)
	if err != nil {
		return nil, err
	}
	// The capacity is cut so that an append by a reader never writes here.
	return &update{status: body[:len(body):len(body)], event: event("status", body), past: event("history", history)}, nil
}

// event writes a server-sent event (HTML Living Standard, 9.2). JSON has no
// line breaks of its own, so one data line is enough.
func event(name string, data []byte) []byte {
	b := make([]byte, 0, len(name)+len(data)+20)
	b = append(b, "event: "...)
	b = append(b, name...)
	b = append(b, "\ndata: "...)
	b = append(b, data...)
	return append(b, "\n\n"...)
}

// hub hands updates to the event streams. It never waits for one of them.
type hub struct {
	mu     sync.Mutex
	closed bool
	all    map[chan *update]struct{}
}

// join adds a client, unless there are too many or the hub is closed.
func (h *hub) join() (chan *update, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.all) >= maxClients {
		return nil, false
	}
	if h.all == nil {
		h.all = make(map[chan *update]struct{}, maxClients)
	}
	c := make(chan *update, clientLag)
	h.all[c] = struct{}{}
	return c, true
}

// leave forgets a client, also one that was dropped before.
func (h *hub) leave(c chan *update) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, c)
}

// send drops whoever is too far behind: it has its reader reconnect and start
// from the newest, which is better than old figures.
func (h *hub) send(u *update) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.all {
		select {
		case c <- u:
		default:
			delete(h.all, c)
			close(c)
		}
	}
}

// close ends all streams and lets nobody in any more.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for c := range h.all {
		delete(h.all, c)
		close(c)
	}
}

func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all)
}

// events is one live stream: the charts so far, the newest Status at once, and
// then one Status a second. It ends when the reader leaves, lags or the console
// closes; a browser then comes again by itself.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	c, ok := s.hub.join()
	if !ok {
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, "监视页面已达上限", "too many pages are watching")
		return
	}
	defer s.hub.leave(c)
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	out := stream{w, http.NewResponseController(w)}
	// The server's read deadline would end the stream as well.
	if err := unlessUnsupported(out.ctl.SetReadDeadline(time.Time{})); err != nil {
		return
	}
	first := s.update()
	if out.send([]byte("retry: 2000\n\n"), first.past, first.event) != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case u, open := <-c:
			if !open || out.send(u.event) != nil {
				return
			}
		}
	}
}

// stream writes events, each with its own deadline.
type stream struct {
	w   http.ResponseWriter
	ctl *http.ResponseController
}

func (s stream) send(parts ...[]byte) error {
	if err := unlessUnsupported(s.ctl.SetWriteDeadline(time.Now().Add(sendWithin))); err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := s.w.Write(p); err != nil {
			return err
		}
	}
	return unlessUnsupported(s.ctl.Flush())
}

// unlessUnsupported forgives a writer without deadlines, as under a recorder.
func unlessUnsupported(err error) error {
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
