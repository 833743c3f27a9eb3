package registry

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tongka/hsm"
	"tongka/txn"
)

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// ident makes an identity from its two numbers, padded as it travels.
func ident(merchant, number string) (id txn.Terminal) {
	copy(id.Merchant[:], fmt.Sprintf("%-15s", merchant))
	copy(id.Number[:], fmt.Sprintf("%-8s", number))
	return id
}

// key makes a double-length cryptogram that n tells from others.
func key(t testing.TB, n int) hsm.Key {
	t.Helper()
	k, err := hsm.ParseKey(fmt.Sprintf("U%032X", n))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func open(t testing.TB, o Options) *Registry {
	t.Helper()
	if o.Dir == "" {
		o.InMemory = true
	}
	if o.Now == nil {
		o.Now = func() time.Time { return start }
	}
	r, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func importText(t testing.TB, r *Registry, text string) (added, changed int) {
	t.Helper()
	added, changed, err := r.Import(strings.NewReader(text), "t.csv")
	if err != nil {
		t.Fatal(err)
	}
	return added, changed
}

// session gives a running session of a terminal, nil when there is none.
func session(t testing.TB, r *Registry, merchant, number string, at time.Time) *Session {
	t.Helper()
	id := ident(merchant, number)
	term := r.Snapshot().Terminal(&id)
	if term == nil {
		t.Fatalf("terminal %s/%s is not there", merchant, number)
	}
	return term.Session(at.UnixNano())
}

const two = `merchant,terminal,tmk,mac,kinds,group
123456789012345,12345678,U0123456789ABCDEF0123456789ABCDEF,x9.19,sale|sign-in,7
M1,T1,X00000000000000000000000000000001,,,
`

func TestImportFindsTerminals(t *testing.T) {
	r := open(t, Options{})
	if added, changed := importText(t, r, two); added != 2 || changed != 0 {
		t.Fatalf("added %d, changed %d", added, changed)
	}
	s := r.Snapshot()
	if s.Len() != 2 || s.At(0).ID != ident("123456789012345", "12345678") {
		t.Fatalf("%d terminals, the first is %v", s.Len(), s.At(0).ID)
	}
	id := ident("123456789012345", "12345678")
	got := s.Terminal(&id)
	want := Profile{ID: id, TMK: got.TMK, MAC: hsm.X919, Group: 7, Kinds: Kinds(0).With(txn.Sale).With(txn.SignIn)}
	if got.Profile != want || got.TMK.String() != "U0123456789ABCDEF0123456789ABCDEF" {
		t.Errorf("got %+v, want %+v", got.Profile, want)
	}
	if !got.Kinds.Has(txn.Sale) || got.Kinds.Has(txn.Reversal) || got.Kinds.Has(40) {
		t.Errorf("kinds are %v", got.Kinds)
	}
	id = ident("M1", "T1")
	if got = s.Terminal(&id); got.Kinds != AllKinds || got.MAC != hsm.UnionPay {
		t.Errorf("defaults: %+v", got.Profile)
	}
	for _, other := range []txn.Terminal{{}, ident("M1", "T2"), ident("M", "1T1")} {
		if s.Terminal(&other) != nil {
			t.Errorf("found %v", other)
		}
	}
}

func TestImportAgainCountsChanges(t *testing.T) {
	r := open(t, Options{})
	importText(t, r, two)
	before := r.Snapshot()
	if a, c := importText(t, r, two); a != 0 || c != 0 || r.Snapshot() != before {
		t.Errorf("the same file again: added %d, changed %d, same snapshot %v", a, c, r.Snapshot() == before)
	}
	a, c := importText(t, r, "terminal,group,tmk,merchant\nT1,9,X00000000000000000000000000000001,M1\nT2,0,0123456789ABCDEF,M1\n")
	if a != 1 || c != 1 || r.Snapshot().Len() != 3 {
		t.Errorf("added %d, changed %d, %d terminals", a, c, r.Snapshot().Len())
	}
	if before.Len() != 2 {
		t.Error("the old snapshot changed")
	}
}

func TestInstallIsSeenAtOnceAndEnds(t *testing.T) {
	r := open(t, Options{SessionTTL: time.Hour})
	importText(t, r, two)
	id := ident("M1", "T1")
	term := r.Snapshot().Terminal(&id)
	if term.Session(start.UnixNano()) != nil {
		t.Fatal("a session before the sign-in")
	}
	s := &Session{PIK: key(t, 1), MAK: key(t, 2), Batch: 3, Since: start.UnixNano(), Until: r.Until(start.UnixNano())}
	r.Install(term, s)
	if got := term.Session(start.UnixNano()); got != s {
		t.Errorf("got %v", got)
	}
	end := start.Add(time.Hour)
	if term.Session(end.UnixNano()-1) == nil || term.Session(end.UnixNano()) != nil {
		t.Error("the session does not end with its hour")
	}
}

// A terminal that is not of this registry is a caller's mistake that must not
// spread: its session is set and nothing else happens.
func TestInstallOfStranger(t *testing.T) {
	r := open(t, Options{})
	var stranger Terminal
	stranger.ID = ident("X", "Y")
	r.Install(&stranger, &Session{Until: 10})
	if stranger.Session(5) == nil {
		t.Error("no session")
	}
}

func TestSessionsSurviveReopen(t *testing.T) {
	dir := t.TempDir()
	r := open(t, Options{Dir: dir})
	importText(t, r, two)
	id := ident("M1", "T1")
	now := time.Now()
	s := Session{PIK: key(t, 1), MAK: key(t, 2), Batch: 3, Since: now.UnixNano(), Until: now.Add(time.Hour).UnixNano()}
	r.Install(r.Snapshot().Terminal(&id), &s)
	other := ident("123456789012345", "12345678")
	r.Install(r.Snapshot().Terminal(&other), &Session{PIK: key(t, 4), Until: now.Add(-time.Hour).UnixNano()})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, Options{Dir: dir})
	if r.Snapshot().Len() != 2 {
		t.Fatalf("%d terminals", r.Snapshot().Len())
	}
	if got := session(t, r, "M1", "T1", now); got == nil || *got != s {
		t.Errorf("got %+v, want %+v", got, s)
	}
	if r.Snapshot().Terminal(&other).session.Load() != nil {
		t.Error("Badger gave back a session that had ended")
	}
}

// What the writer brings to Badger does not wait for Close.
func TestSessionReachesBadgerBehind(t *testing.T) {
	r := open(t, Options{})
	importText(t, r, two)
	id := ident("M1", "T1")
	r.Install(r.Snapshot().Terminal(&id), &Session{PIK: key(t, 1), Until: time.Now().Add(time.Hour).UnixNano()})
	deadline := time.Now().Add(time.Minute)
	for stored := 0; stored == 0; runtime.Gosched() {
		err := scan(r.db, sessionPrefix, func(_, val []byte) error {
			stored++
			got, _, err := DecodeSession(val)
			if err == nil && got != id {
				err = fmt.Errorf("session of %v", got)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("not in Badger after 5 s")
		}
	}
}

// A write that Badger refuses leaves its marks, also when an import put a new
// snapshot in place between.
func TestFailedWriteIsRemembered(t *testing.T) {
	r := open(t, Options{})
	importText(t, r, two)
	snap := r.Snapshot()
	importText(t, r, "merchant,terminal,tmk\nA,A,0123456789ABCDEF\n")
	r.markAgain([]*Terminal{snap.At(1)})
	now, id := r.Snapshot(), ident("M1", "T1")
	if i := now.find(&id); !now.marked(i) {
		t.Error("the mark is lost")
	}
}

func TestImportedSessions(t *testing.T) {
	clock := start
	r := open(t, Options{SessionTTL: time.Hour, Now: func() time.Time { return clock }})
	row := func(tmk, pik int) string {
		return fmt.Sprintf("merchant,terminal,tmk,pik,mak,batch\nM1,T1,%s,%s,%s,42\n", key(t, tmk), key(t, pik), key(t, pik+1))
	}
	if a, c := importText(t, r, row(1, 10)); a != 1 || c != 0 {
		t.Errorf("added %d, changed %d", a, c)
	}
	s := session(t, r, "M1", "T1", start)
	if s == nil || s.PIK != key(t, 10) || s.MAK != key(t, 11) || s.Batch != 42 || s.Until != start.Add(time.Hour).UnixNano() {
		t.Fatalf("session %+v", s)
	}
	// A session that runs is younger than the file.
	if a, c := importText(t, r, row(1, 20)); a != 0 || c != 0 || session(t, r, "M1", "T1", start) != s {
		t.Errorf("added %d, changed %d, session %+v", a, c, session(t, r, "M1", "T1", start))
	}
	// A new TMK ends it, and the row's begins.
	importText(t, r, row(2, 30))
	if s := session(t, r, "M1", "T1", start); s == nil || s.PIK != key(t, 30) {
		t.Errorf("session %+v", s)
	}
	importText(t, r, fmt.Sprintf("merchant,terminal,tmk\nM1,T1,%s\n", key(t, 3)))
	if s := session(t, r, "M1", "T1", start); s != nil {
		t.Errorf("a new TMK kept the session %+v", s)
	}
	importText(t, r, row(3, 40))
	clock = start.Add(2 * time.Hour)
	if a, c := importText(t, r, row(3, 50)); a != 0 || c != 1 {
		t.Errorf("a session for one that has ended: added %d, changed %d", a, c)
	}
}

// A terminal whose session was dropped must not get it back at the next start.
func TestDroppedSessionIsRemovedFromBadger(t *testing.T) {
	dir := t.TempDir()
	r := open(t, Options{Dir: dir, Now: time.Now})
	importText(t, r, fmt.Sprintf("merchant,terminal,tmk,pik,mak\nM1,T1,%s,%s,%s\n", key(t, 1), key(t, 2), key(t, 3)))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, Options{Dir: dir, Now: time.Now})
	if session(t, r, "M1", "T1", time.Now()) == nil {
		t.Fatal("the imported session is gone")
	}
	importText(t, r, fmt.Sprintf("merchant,terminal,tmk\nM1,T1,%s\n", key(t, 9)))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, Options{Dir: dir, Now: time.Now})
	if s := session(t, r, "M1", "T1", time.Now()); s != nil {
		t.Errorf("session %+v came back", s)
	}
}

// Sign-ins go on while imports swap snapshots: none may be lost, in memory or
// in Badger.
func TestInstallDuringImports(t *testing.T) {
	const terminals, rounds = 200, 30
	dir := t.TempDir()
	r := open(t, Options{Dir: dir})
	var text strings.Builder
	text.WriteString("merchant,terminal,tmk\n")
	for i := range terminals {
		fmt.Fprintf(&text, "M,%d,%s\n", i, key(t, i))
	}
	importText(t, r, text.String())
	until := time.Now().Add(time.Hour).UnixNano()
	first := r.Snapshot() // some callers hold an old one
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for round := 1; round <= rounds; round++ {
				for i := g; i < terminals; i += 2 {
					id := ident("M", fmt.Sprint(i))
					snap := first
					if i%3 != 0 {
						snap = r.Snapshot()
					}
					r.Install(snap.Terminal(&id), &Session{Batch: uint32(round), Until: until})
				}
			}
		})
	}
	for n := range 20 {
		importText(t, r, fmt.Sprintf("merchant,terminal,tmk\nN,%d,%s\n", n, key(t, n)))
	}
	wg.Wait()
	check := func(r *Registry) {
		t.Helper()
		for i := range terminals {
			if s := session(t, r, "M", fmt.Sprint(i), time.Now()); s == nil || s.Batch != rounds {
				t.Fatalf("terminal %d has session %+v, want batch %d", i, s, rounds)
			}
		}
	}
	check(r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, Options{Dir: dir})
	check(r)
}

func TestOpenRefuses(t *testing.T) {
	_, err := Open(Options{SessionTTL: -1, Max: -1})
	for _, want := range []string{"TTL", "at most", "folder"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: file}); err == nil {
		t.Error("a file served as a folder")
	}
}

func TestOpenNamesBrokenRecord(t *testing.T) {
	dir := t.TempDir()
	r := open(t, Options{Dir: dir})
	importText(t, r, two)
	id := ident("M1", "T1")
	wb := r.db.NewWriteBatch()
	if err := wb.Set(storeKey(terminalPrefix, &id), []byte{9}); err != nil {
		t.Fatal(err)
	}
	if err := wb.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "T1") {
		t.Errorf("error %v does not name the terminal", err)
	}
}

func TestTooManyTerminals(t *testing.T) {
	r := open(t, Options{Max: 1})
	_, _, err := r.Import(strings.NewReader(two), "t.csv")
	if err == nil || !strings.Contains(err.Error(), "1 at most") || r.Snapshot().Len() != 0 {
		t.Errorf("err %v, %d terminals", err, r.Snapshot().Len())
	}
}

func TestExportReadsBack(t *testing.T) {
	r := open(t, Options{})
	importText(t, r, two)
	importText(t, r, fmt.Sprintf("merchant,terminal,tmk,kinds,pik,mak,batch\nM9,T9,%s,-,%s,%s,12\n", key(t, 1), key(t, 2), key(t, 3)))
	var out bytes.Buffer
	if err := r.Export(&out); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(out.Bytes())).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%v, %d rows:\n%s", err, len(rows), &out)
	}
	want := []string{"M9", "T9", key(t, 1).String(), "unionpay", "-", "0", key(t, 2).String(), key(t, 3).String(), "000012,,,,,,"}
	if got := strings.Join(rows[3], ","); got != strings.Join(want, ",") {
		t.Errorf("got %s, want %s", got, strings.Join(want, ","))
	}
	again := open(t, Options{})
	importText(t, again, out.String())
	var second bytes.Buffer
	if err := again.Export(&second); err != nil {
		t.Fatal(err)
	}
	if second.String() != out.String() {
		t.Errorf("exported again:\n%s\nfirst:\n%s", &second, &out)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestExportSaysWriteFault(t *testing.T) {
	r := open(t, Options{})
	importText(t, r, two)
	if err := r.Export(brokenWriter{}); err == nil {
		t.Error("no error")
	}
}
