package registry

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tongka/txn"
)

// want is what a model knows of one terminal.
type want struct {
	tmk     int
	group   int
	session *Session
}

// world is a registry beside a plain map that is told the same.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	dir   string
	clock time.Time
	r     *Registry
	model map[txn.Terminal]*want
	stale []*Snapshot // older snapshots, whose terminals are still used
}

func (w *world) reopen() {
	if w.r != nil {
		if err := w.r.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
	w.r = open(w.t, Options{Dir: w.dir, SessionTTL: time.Hour, Now: func() time.Time { return w.clock }})
	w.stale = nil
}

// importSome imports a few random rows, some of which say what is known already.
func (w *world) importSome() {
	w.stale = append(w.stale, w.r.Snapshot())
	var b strings.Builder
	b.WriteString("merchant,terminal,tmk,group,pik,mak,batch\n")
	seen := map[string]bool{}
	added, changed := 0, 0
	for range 1 + w.rng.IntN(8) {
		number := fmt.Sprint(w.rng.IntN(20))
		if seen[number] {
			continue
		}
		seen[number] = true
		row := want{tmk: w.rng.IntN(2), group: w.rng.IntN(2)}
		keys := ",,"
		var preset *Session
		if w.rng.IntN(3) == 0 {
			n := w.rng.IntN(1000)
			keys = fmt.Sprintf("%s,%s,%d", key(w.t, n), key(w.t, n+1), n)
			now := w.clock.UnixNano()
			preset = &Session{PIK: key(w.t, n), MAK: key(w.t, n+1), Batch: uint32(n), Since: now, Until: now + int64(time.Hour)}
		}
		fmt.Fprintf(&b, "M,%s,%s,%d,%s\n", number, key(w.t, row.tmk), row.group, keys)
		w.tell(number, row, preset, &added, &changed)
	}
	a, c := importText(w.t, w.r, b.String())
	if a != added || c != changed {
		w.t.Fatalf("added %d, changed %d, want %d, %d for\n%s", a, c, added, changed, &b)
	}
}

// tell applies a row to the model by the words of Import's comment.
func (w *world) tell(number string, row want, preset *Session, added, changed *int) {
	id := ident("M", number)
	old, known := w.model[id]
	if !known {
		*added++
		old = &want{tmk: row.tmk}
	}
	differs := old.tmk != row.tmk || old.group != row.group
	if old.tmk != row.tmk {
		old.session = nil
	}
	row.session = old.session
	if preset != nil && !runs(row.session, w.clock) {
		row.session = preset
		differs = true
	}
	if known && differs {
		*changed++
	}
	w.model[id] = &row
}

func runs(s *Session, now time.Time) bool { return s != nil && now.UnixNano() < s.Until }

// signIn installs a session by a terminal of the newest or of an older snapshot.
func (w *world) signIn() {
	snap := w.r.Snapshot()
	if n := len(w.stale); n > 0 && w.rng.IntN(2) == 0 {
		snap = w.stale[w.rng.IntN(n)]
	}
	if snap.Len() == 0 {
		return
	}
	term := snap.At(w.rng.IntN(snap.Len()))
	n, now := w.rng.IntN(1000), w.clock.UnixNano()
	s := &Session{PIK: key(w.t, n), MAK: key(w.t, n), Batch: uint32(n), Since: now, Until: w.r.Until(now)}
	w.r.Install(term, s)
	w.model[term.ID].session = s
}

func (w *world) check(step int) {
	snap := w.r.Snapshot()
	if snap.Len() != len(w.model) {
		w.t.Fatalf("step %d: %d terminals, want %d", step, snap.Len(), len(w.model))
	}
	for id, m := range w.model {
		term := snap.Terminal(&id)
		if term == nil || term.TMK != key(w.t, m.tmk) || int(term.Group) != m.group {
			w.t.Fatalf("step %d: terminal %s is %+v, want %+v", step, id.Number, term, m)
		}
		got := term.Session(w.clock.UnixNano())
		if runs(m.session, w.clock) != (got != nil) || got != nil && *got != *m.session {
			w.t.Fatalf("step %d: session of %s is %+v, want %+v", step, id.Number, got, m.session)
		}
	}
}

// Random imports, sign-ins, restarts and passing hours, compared with a map
// after every step.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			// Badger has a clock of its own: the model's runs a little ahead of it,
			// so that Badger never ends a session that still runs here.
			w := &world{
				t: t, rng: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(),
				clock: time.Now().Add(time.Minute), model: map[txn.Terminal]*want{},
			}
			w.reopen()
			for step := range 150 {
				switch n := w.rng.IntN(20); {
				case n < 6:
					w.importSome()
				case n < 17:
					w.signIn()
				case n < 19:
					w.clock = w.clock.Add(time.Duration(w.rng.IntN(40)) * time.Minute)
				default:
					w.reopen()
				}
				w.check(step)
			}
		})
	}
}

// A store that refuses writes costs no session: it is in memory, the log says
// so, and when the store is well again it is written.
func TestStoreFailsForAWhile(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	dir := t.TempDir()
	var calls atomic.Int32
	written := make(chan struct{})
	r := open(t, Options{Dir: dir, Logger: zap.New(core), save: func(db *badger.DB, terminals []*Terminal) error {
		switch calls.Add(1) {
		case 1:
			return os.ErrDeadlineExceeded
		case 2:
			defer close(written)
		}
		return saveSessions(db, terminals)
	}})
	importText(t, r, two)
	id := ident("M1", "T1")
	s := Session{PIK: key(t, 1), Until: time.Now().Add(time.Hour).UnixNano()}
	r.Install(r.Snapshot().Terminal(&id), &s)
	select {
	case <-written:
	case <-time.After(time.Minute):
		t.Fatal("not written again")
	}
	if n := logs.FilterMessageSnippet("will try again").Len(); n != 1 {
		t.Errorf("%d log lines", n)
	}
	if got := session(t, r, "M1", "T1", time.Now()); got == nil || *got != s {
		t.Errorf("in memory: %+v", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, Options{Dir: dir})
	if got := session(t, r, "M1", "T1", time.Now()); got == nil || *got != s {
		t.Errorf("on disk: %+v", got)
	}
}

// A store that fails until the end is said at the end; the journal has the rest.
func TestStoreFailsAtClose(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	r := open(t, Options{Logger: zap.New(core), save: func(*badger.DB, []*Terminal) error { return os.ErrDeadlineExceeded }})
	importText(t, r, two)
	r.Install(r.Snapshot().At(0), &Session{Until: start.Add(time.Hour).UnixNano()})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if logs.FilterMessageSnippet("the journal has them").Len() != 1 {
		t.Errorf("log: %v", logs.All())
	}
}

func TestBadgerLog(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	l := badgerLog{zap.New(core).Sugar()}
	l.Errorf("a %d\n", 1)
	l.Warningf("b")
	l.Infof("c")
	l.Debugf("d")
	var got []string
	for _, e := range logs.All() {
		got = append(got, e.Level.String()+" "+e.Message)
	}
	if want := "error badger: a 1, warn badger: b, debug badger: c, debug badger: d"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
}
