package console

import (
	"encoding/json"
	"net/http"
)

// Health is the answer of /healthz and /livez.
type Health struct {
	Status string `json:"status"` // ok or unavailable
	State  State  `json:"state"`  // the reason
	Words  Words  `json:"words"`
	// Recovery is how far it is, while it is at that.
	Recovery *Recovery `json:"recovery,omitempty"`
}

// healthz is for whoever sends terminals here: it is ok when the doors are
// open, at least one link is up and a security module can be asked. A switch
// without any of the former declines everything, and one without the latter
// cannot even answer, so terminals are better off elsewhere. Both answers look at the
// source and not at the last sample: a console whose own clock hangs must not
// call the switch healthy.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	st := judge(s.src.Snapshot(), s.now())
	s.health(w, st, st == Running || st == Degraded) // some banks are better than none
}

// livez is for whoever restarts the process. Only a shard that stands still is
// a reason: a restart neither speeds up a recovery nor repairs a bank's line.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) {
	st := judge(s.src.Snapshot(), s.now())
	s.health(w, st, st != Stalled)
}

// health writes the answer; the words are for the person who runs curl.
func (s *Server) health(w http.ResponseWriter, st State, ok bool) {
	h, code := Health{Status: "ok", State: st, Words: stateWords[st]}, http.StatusOK
	if p := s.src.Snapshot(); p != nil && !p.Ready {
		h.Recovery = new(Recovery(p.Recovery))
	}
	if !ok {
		h.Status, code = "unavailable", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(h) // the client may be gone
}
