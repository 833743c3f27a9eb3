// Package admin is how people and their tools tell a running switch what to do:
// a small JSON API over a Unix socket, the same behind a token on the console,
// and the client of `switch ctl`.
//
//	GET  /api/status            how the switch is
//	GET  /api/batches           batches that did not balance, or whose upload the journal does not bear out
//	GET  /api/audit             the end of the audit chain, as the journal keeps it
//	POST /api/reload[?dry=1]    read the config again (dry: only say what would change)
//	POST /api/drain/{link}      take a bank out of service
//	POST /api/undrain/{link}    and back
//	POST /api/keys/{link}       ask a bank for a new PIN key; ?kind=mac: a new MAC key
//	POST /api/log-level/{level} until the next start or reload
//	POST /api/stop              finish what is under way, and end
//	POST /api/restart           hand over to a new process
//	POST /api/checkpoint/{path} a copy of the journal as it is now
//	POST /api/day-cut/{date}    end the open business day
//	POST /api/purge/{date}      take the journal's days up to this one away
//	POST /api/registry/{table}/{verb}  do something to terminals, merchants, limits or the blacklist
//	POST /api/ask/{topic}       what is in the journal and in the queue, see the topics
//
// Nobody may do anything unless the door that he came by says who he is.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tongka/audit"
)

// Verb is one thing that can be asked of a running switch.
type Verb string

// Verbs.
const (
	Reload   Verb = "reload"
	Drain    Verb = "drain"
	Undrain  Verb = "undrain"
	Keys     Verb = "keys" // ask a bank for a new PIN key, or MAC key
	LogLevel Verb = "log-level"
	Stop     Verb = "stop"
	Restart  Verb = "restart"

	OrdersImport Verb = "orders-import" // a path on the switch's machine
	OrdersList   Verb = "orders-list"   // all, a state or a number
	OrderCancel  Verb = "order-cancel"  // a number

	Checkpoint Verb = "checkpoint" // of the journal, to a new folder on the switch's machine

	DayCut Verb = "day-cut" // a date: ends that business day
	Purge  Verb = "purge"   // a date: takes the journal up to it away
)

// takesWhat tells which verbs want a word behind them.
var takesWhat = map[Verb]bool{Reload: false, Drain: true, Undrain: true, Keys: true, LogLevel: true, Stop: false, Restart: false,
	OrdersImport: true, OrdersList: true, OrderCancel: true, Checkpoint: true, DayCut: true, Purge: true}

// Action is a verb and what it is done to.
type Action struct {
	Verb Verb
	What string // name of a link, or a log level
	Dry  bool   // of a reload: change nothing
	Kind string // of keys: PINKey, the same as none, or MACKey
}

// Kinds of keys.
const (
	PINKey = "pin"
	MACKey = "mac"
)

// Answer says what became of an action, in both languages.
type Answer struct {
	OK    bool     `json:"ok"`
	Zh    string   `json:"zh"`
	En    string   `json:"en"`
	Lines []string `json:"lines,omitempty"` // changes, or all that is wrong
	Text  string   `json:"text,omitempty"`  // a file or a table that was asked for
	PID   int      `json:"pid,omitempty"`   // of the process that goes on, after a restart
	// Before and After go into the audit file.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Refused is the answer that nothing was done.
func Refused(zh, en string, lines ...string) Answer { return Answer{Zh: zh, En: en, Lines: lines} }

// Done is the answer that it was.
func Done(zh, en string, lines ...string) Answer {
	return Answer{OK: true, Zh: zh, En: en, Lines: lines}
}

// Failed is Refused with the lines of an error.
func Failed(zh, en string, err error) Answer {
	return Refused(zh, en, strings.Split(err.Error(), "\n")...)
}

// Status is how a switch is, for `switch ctl status`.
type Status struct {
	Node     string     `json:"node"`
	Version  string     `json:"version"`
	PID      int        `json:"pid"`
	State    string     `json:"state"`
	Zh       string     `json:"zh"`
	En       string     `json:"en"`
	Started  time.Time  `json:"started"`
	Config   string     `json:"config"` // the file
	Loaded   time.Time  `json:"loaded"` // when what runs was read from it
	Level    string     `json:"log_level"`
	Slots    int        `json:"slots"`
	InFlight int        `json:"in_flight"`
	Owed     int        `json:"owed"`
	Parked   int        `json:"parked"`
	Cards    int        `json:"parked_cards"` // that a person has to decide about
	Open     uint64     `json:"connections"`
	Doors    []Door     `json:"listeners"`
	Links    []Link     `json:"links"`
	Reloaded *Reloading `json:"reload,omitempty"` // the last try, if there was one
	// HandOver is the last hot restart that failed after the new process was prepared.
	HandOver *HandOver `json:"hand_over,omitempty"`
}

// HandOver is a hot restart that failed, and why. Another process serves again.
type HandOver struct {
	At  time.Time `json:"at"`
	PID int       `json:"pid"` // of the process that was to follow
	Answer
}

// Door is one listener.
type Door struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// Link is one bank.
type Link struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	InFlight int    `json:"in_flight"`
	Owed     int    `json:"owed"`
}

// Reloading is one try to reload and what became of it.
type Reloading struct {
	At time.Time `json:"at"`
	Answer
}

// Switch is what the API works on. Its methods may be called from any goroutine.
type Switch interface {
	Status() Status
	// Act does what was asked and writes it into the audit file.
	Act(ctx context.Context, who audit.Who, a Action) Answer
	// AuditHead is the end of the audit chain that the journal vouches for.
	AuditHead(ctx context.Context) (audit.Head, error)
	// Batches are the batches of terminals that a person has to look at.
	Batches(ctx context.Context) ([]Batch, error)
	// Registry does something to the tables, and writes it into the audit file when
	// it changes anything. in is the file of an import.
	Registry(ctx context.Context, who audit.Who, e Edit, in io.Reader) Answer
	// Ask answers a question, thing by thing. What it does or shows of card
	// numbers it writes into the audit file.
	Ask(ctx context.Context, who audit.Who, topic string, question []byte, out func(any) error) error
}

// Edit is something to do to one of the tables of the registry.
type Edit struct{ Table, Verb, Key, Column, Value, File string }

// ErrNobody is what an identification gives when it knows nobody.
var ErrNobody = errors.New("nobody")

// Handler serves the API. identify says who asks; its error is told to him.
func Handler(sw Switch, identify func(*http.Request) (audit.Who, error)) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /api/status", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, sw.Status()) })
	m.HandleFunc("GET /api/audit", func(w http.ResponseWriter, r *http.Request) {
		h, err := sw.AuditHead(r.Context())
		if err != nil {
			reply(w, http.StatusInternalServerError, Failed("审计存证不可读", "the kept end of the audit chain cannot be read", err))
			return
		}
		reply(w, http.StatusOK, h)
	})
	m.HandleFunc("GET /api/batches", func(w http.ResponseWriter, r *http.Request) {
		all, err := sw.Batches(r.Context())
		if err != nil {
			reply(w, http.StatusInternalServerError, Failed("批次不可读", "the batches cannot be read", err))
			return
		}
		reply(w, http.StatusOK, all)
	})
	act := func(w http.ResponseWriter, r *http.Request) {
		a, err := action(r)
		if err != nil {
			reply(w, http.StatusNotFound, Failed("没有这个操作", "there is no such action", err))
			return
		}
		who, _ := r.Context().Value(whoKey{}).(audit.Who)
		answer := sw.Act(r.Context(), who, a)
		code := http.StatusOK
		if !answer.OK {
			code = http.StatusConflict
		}
		reply(w, code, answer)
	}
	m.HandleFunc("POST /api/registry/{table}/{verb}", func(w http.ResponseWriter, r *http.Request) {
		who, _ := r.Context().Value(whoKey{}).(audit.Who)
		q := r.URL.Query()
		e := Edit{r.PathValue("table"), r.PathValue("verb"), q.Get("key"), q.Get("column"), q.Get("value"), q.Get("file")}
		answer := sw.Registry(r.Context(), who, e, r.Body)
		code := http.StatusOK
		if !answer.OK {
			code = http.StatusConflict
		}
		reply(w, code, answer)
	})
	m.HandleFunc("POST /api/ask/{topic}", func(w http.ResponseWriter, r *http.Request) { ask(sw, w, r) })
	m.HandleFunc("POST /api/{verb}", act)
	m.HandleFunc("POST /api/{verb}/{what}", act)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := identify(r)
		if err != nil {
			reply(w, http.StatusForbidden, Failed("拒绝", "refused", err))
			return
		}
		most := int64(maxQuestion)
		if strings.HasPrefix(r.URL.Path, "/api/registry/") {
			most = maxUpload
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		m.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, who)))
	})
}

// maxUpload is the size in bytes of a file that is imported: some ten million lines.
const maxUpload = 1 << 30

type whoKey struct{}

// action reads what a path asks for.
func action(r *http.Request) (Action, error) {
	a := Action{Verb: Verb(r.PathValue("verb")), What: r.PathValue("what"), Dry: r.URL.Query().Get("dry") != "", Kind: r.URL.Query().Get("kind")}
	wants, known := takesWhat[a.Verb]
	switch {
	case !known:
		return a, fmt.Errorf("%q", a.Verb)
	case wants && a.What == "":
		return a, fmt.Errorf("%s: 缺少对象 · of what?", a.Verb)
	case !wants && a.What != "":
		return a, fmt.Errorf("%s: 多余的 %q · %q is too much", a.Verb, a.What, a.What)
	case a.Kind != "" && (a.Verb != Keys || a.Kind != PINKey && a.Kind != MACKey):
		return a, fmt.Errorf("%s: 没有 kind %q · no kind %q", a.Verb, a.Kind, a.Kind)
	case a.Dry && a.Verb != Reload:
		return a, fmt.Errorf("%s: dry 只用于 reload · dry is for reload only", a.Verb)
	}
	return a, nil
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the client may be gone
}
