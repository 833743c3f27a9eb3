package node

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tongka/admin"
	"tongka/audit"
	"tongka/config"
)

// lives starts one node after the other on one file.
type lives struct {
	t    *testing.T
	file string
	node *Node
	logs *observer.ObservedLogs
	gets map[string]*net.TCPListener // sockets that the next one inherits
}

const token = "0123456789abcdef01234567"

func newLives(t *testing.T) *lives {
	t.Helper()
	dir := t.TempDir()
	l := &lives{t: t, file: filepath.Join(dir, "x.yaml")}
	for name, text := range map[string]string{"x.yaml": `node: {acquirer: "1"}
listeners: [{name: pos, address: "127.0.0.1:0"}]
links: [{name: a, address: "127.0.0.1:1", destination: "1", zpk: "U0123456789ABCDEF0123456789ABCDEF"}]
routes: [{link: a}]
hsm: {mode: soft, test_lmk: true}
limits: {in_flight: 64}
console: {address: "127.0.0.1:0"}
admin: {tokens: tokens}
`, "tokens": "alice:" + token + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l.start()
	t.Cleanup(l.stop)
	return l
}

func (l *lives) start() {
	l.t.Helper()
	cfg, err := config.Load(l.file)
	if err != nil {
		l.t.Fatal(err)
	}
	core, logs := observer.New(zap.ErrorLevel)
	l.logs = logs
	if l.node, err = Start(cfg, Options{Logger: zap.New(core), File: l.file, Inherited: l.gets, Fatal: func(err error) { l.t.Error(err) }}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lives) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.node.Stop(ctx); err != nil {
		l.t.Error(err)
	}
}

func (l *lives) act(a admin.Action) admin.Answer {
	return l.node.Act(context.Background(), audit.Who{UID: 7, Via: "test"}, a)
}

func (l *lives) edit(old, new string) {
	l.t.Helper()
	b, err := os.ReadFile(l.file)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(l.file, []byte(strings.Replace(string(b), old, new, 1)), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// TestReloadIsAllOrNothing: each file is refused, for the reason that is stated,
// and what runs stays as it was.
func TestReloadIsAllOrNothing(t *testing.T) {
	l := newLives(t)
	busy := l.node.Addr(0).String()
	for _, c := range []struct{ old, new, says string }{
		{"limits:", "limts:", "limts"},
		{"in_flight: 64", "in_flight: 65", "limits.in_flight"},
		{"name: a,", "name: b,", "link"},
		{"limits:", "registry: {import: gone.csv}\nlimits:", "gone.csv"},
		{"listeners: [", `listeners: [{name: second, address: "` + busy + `"}, `, "second"},
		{"routes: [{link: a}]", `routes: [{link: a, bin: ["x"]}]`, "digits"},
	} {
		good, err := os.ReadFile(l.file)
		if err != nil {
			t.Fatal(err)
		}
		l.edit(c.old, c.new)
		a := l.act(admin.Action{Verb: admin.Reload})
		if a.OK || !strings.Contains(strings.Join(a.Lines, "\n"), c.says) || a.Zh == "" {
			t.Errorf("%s: %+v", c.new, a)
		}
		if r := l.node.lastReload(); r == nil || r.OK {
			t.Errorf("%s: the console says %+v", c.new, r)
		}
		if err := os.WriteFile(l.file, good, 0o600); err != nil {
			t.Fatal(err)
		}
		if a := l.act(admin.Action{Verb: admin.Reload}); !a.OK || a.En != "the config has not changed" {
			t.Errorf("after %s: %+v", c.new, a)
		}
	}
}

// TestStopWithoutTime: a loop that cannot hear of the stop before the time is over,
// as when its disk stalls, is stopped in order all the same.
func TestStopWithoutTime(t *testing.T) {
	l := newLives(t)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 5 {
		if err := l.node.Stop(over); err != nil {
			t.Error(err)
		}
		l.start()
	}
}

// TestListenersChangePlaces: added before the first, the first removed, added
// again: each name stays at its door.
func TestListenersChangePlaces(t *testing.T) {
	l := newLives(t)
	first := l.node.Addr(0).String()
	l.edit("listeners: [", `listeners: [{name: new, address: "127.0.0.1:0"}, `)
	if a := l.act(admin.Action{Verb: admin.Reload}); !a.OK {
		t.Fatalf("%+v", a)
	}
	if got := l.node.Addr(1).String(); got != first {
		t.Errorf("the first moved from %s to %s", first, got)
	}
	second := l.node.Addr(0).String()
	l.edit(`, {name: pos, address: "127.0.0.1:0"}`, "")
	if a := l.act(admin.Action{Verb: admin.Reload}); !a.OK {
		t.Fatalf("%+v", a)
	}
	if got := l.node.Addr(0); got == nil || got.String() != second || l.node.Addr(1) != nil {
		t.Errorf("at %v, want %s", got, second)
	}
	l.edit(`}]
routes:`, `}, {name: b, address: "127.0.0.1:2", destination: "2", zpk: "U0123456789ABCDEF0123456789ABCDEF"}]
routes:`)
	if a := l.act(admin.Action{Verb: admin.Reload}); !a.OK {
		t.Fatalf("%+v", a)
	}
	if a := l.act(admin.Action{Verb: admin.Drain, What: "b"}); !a.OK {
		t.Errorf("the new link: %+v", a)
	}
}

// TestTamperedAuditIsSeenAtTheNextStart: the switch runs, the file is put aside,
// and the new one begins by saying so.
func TestTamperedAuditIsSeenAtTheNextStart(t *testing.T) {
	l := newLives(t)
	for range 3 {
		l.act(admin.Action{Verb: admin.Drain, What: "a"})
	}
	path := l.node.Running().AuditFile()
	l.stop()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(b), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines", len(lines)-1)
	}
	if err := os.WriteFile(path, []byte(lines[0]+lines[1]), 0o600); err != nil { // its end cut off
		t.Fatal(err)
	}
	l.start()
	if n := l.logs.FilterMessageSnippet("TAMPERED").Len(); n != 1 {
		t.Errorf("%d alarms", n)
	}
	var first *audit.Entry
	if _, err := audit.Verify(path, func(e *audit.Entry) { first = e }); err != nil || first == nil || first.Result != "refused" || !strings.Contains(first.Why, "missing") {
		t.Errorf("%+v, %v", first, err)
	}
	if aside, _ := filepath.Glob(path + ".broken-*"); len(aside) != 1 {
		t.Errorf("put aside: %v", aside)
	}
	l.act(admin.Action{Verb: admin.Undrain, What: "a"})
	l.stop()
	l.start()
	if n := l.logs.FilterMessageSnippet("TAMPERED").Len(); n != 0 {
		t.Error("the new file is not trusted")
	}
}

func TestActionsOfATokenHolder(t *testing.T) {
	l := newLives(t)
	for _, c := range []struct {
		bearer string
		want   int
	}{{"", 403}, {token[1:], 403}, {token, 200}} {
		r, err := http.NewRequest(http.MethodPost, "http://"+l.node.ConsoleAddr()+"/api/drain/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.bearer != "" {
			r.Header.Set("Authorization", "Bearer "+c.bearer)
		}
		r.Close = true
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%q: %d, want %d", c.bearer, res.StatusCode, c.want)
		}
	}
	var who []audit.Who
	if _, err := audit.Verify(l.node.Running().AuditFile(), func(e *audit.Entry) { who = append(who, e.Who) }); err != nil || len(who) != 1 || who[0].Token != "alice" {
		t.Errorf("%+v, %v", who, err)
	}
}

// TestWhatThisProcessCannot: a node that nobody prepared for it refuses.
func TestWhatThisProcessCannot(t *testing.T) {
	l := newLives(t)
	for _, a := range []admin.Action{{Verb: admin.Stop}, {Verb: admin.Restart}, {Verb: admin.LogLevel, What: "debug"}, {Verb: admin.LogLevel, What: "loud"},
		{Verb: "format"}, {Verb: admin.Drain, What: "nobody"}} {
		if answer := l.act(a); answer.OK || answer.Zh == "" || answer.En == "" {
			t.Errorf("%+v: %+v", a, answer)
		}
	}
	if st := l.node.Status(); st.PID != os.Getpid() || len(st.Doors) != 1 || st.Config != l.file {
		t.Errorf("%+v", st)
	}
	if h, err := l.node.AuditHead(context.Background()); err != nil || h.N != 6 {
		t.Errorf("%+v, %v", h, err)
	}
}
