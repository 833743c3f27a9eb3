package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tongka/audit"
)

// fake is a switch that remembers what it was asked.
type fake struct {
	asked []Action
	by    []audit.Who
	err   error
	edits []string
	file  string // of tokens
	heard chan struct{}
}

func (f *fake) tokens() string { return f.file }

func (f *fake) Status() Status { return Status{Node: "n", Zh: "运行", En: "running", PID: 7} }
func (f *fake) Registry(_ context.Context, who audit.Who, e Edit, in io.Reader) Answer {
	b, err := io.ReadAll(in)
	if err != nil {
		return Failed("否", "no", err)
	}
	f.edits = append(f.edits, fmt.Sprintf("%s %s %s %s %s %s %q", e.Table, e.Verb, e.Key, e.Column, e.Value, e.File, b))
	a := Done("完成", "done")
	a.Text = "行\n"
	return a
}

func (f *fake) Batches(context.Context) ([]Batch, error) {
	return []Batch{{Merchant: "m", Batch: 7, Faults: []BatchFault{{Trace: 9, En: "not found"}}}}, f.err
}
func (f *fake) AuditHead(context.Context) (audit.Head, error) {
	return audit.Head{N: 3, Hash: "ab"}, f.err
}
func (f *fake) Ask(_ context.Context, who audit.Who, topic string, question []byte, out func(any) error) error {
	f.by = append(f.by, who)
	if topic == "half" {
		panic(http.ErrAbortHandler)
	}
	if topic == JournalVerify {
		err := out(json.RawMessage(`{"done":false}`))
		select {
		case <-f.heard: // the first line is out before there is a second
		case <-time.After(time.Minute):
			err = errors.New("nobody heard the first line")
		}
		return errors.Join(err, out(json.RawMessage(`{"done":true}`)))
	}
	return errors.Join(out(map[string]string{"topic": topic}), out(json.RawMessage(question)), f.err)
}
func (f *fake) Act(_ context.Context, who audit.Who, a Action) Answer {
	f.asked, f.by = append(f.asked, a), append(f.by, who)
	if a.What == "nobody" {
		return Refused("没有", "none", "line 1", "line 2")
	}
	return Done("好", "done")
}

func listening(t *testing.T) (*fake, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.sock")
	f := new(fake)
	s, err := Listen(path, f, f.tokens, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the socket is still there")
		}
	})
	return f, path
}

func TestSocket(t *testing.T) {
	f, path := listening(t)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	c, ctx := NewClient(path), context.Background()
	if st, err := c.Status(ctx); err != nil || st.PID != 7 || st.Zh != "运行" {
		t.Error(st, err)
	}
	if h, err := c.AuditHead(ctx); err != nil || h.N != 3 {
		t.Error(h, err)
	}
	if all, err := c.Batches(ctx); err != nil || len(all) != 1 || all[0].Batch != 7 || all[0].Faults[0].Trace != 9 {
		t.Error(all, err)
	}
	f.err = errors.New("disk")
	if all, err := c.Batches(ctx); err == nil || !strings.Contains(err.Error(), "disk") {
		t.Error(all, err)
	}
	if _, err := c.AuditHead(ctx); err == nil || !strings.Contains(err.Error(), "disk") {
		t.Error(err)
	}
	want := []Action{{Verb: Reload}, {Verb: Reload, Dry: true}, {Verb: Drain, What: "bank-a"}, {Verb: Undrain, What: "b"}, {Verb: LogLevel, What: "debug"},
		{Verb: Keys, What: "bank-a"}, {Verb: Keys, What: "bank-a", Kind: MACKey}, {Verb: Stop}, {Verb: Restart}, {Verb: Drain, What: "nobody"}}
	for _, a := range want {
		got, err := c.Act(ctx, a)
		if err != nil || got.OK != (a.What != "nobody") {
			t.Errorf("%+v: %+v, %v", a, got, err)
		}
		if !got.OK && !slices.Equal(got.Lines, []string{"line 1", "line 2"}) {
			t.Errorf("%+v", got)
		}
	}
	if !slices.Equal(f.asked, want) {
		t.Errorf("asked %+v", f.asked)
	}
	for _, w := range f.by {
		if w.UID != os.Getuid() || w.PID != os.Getpid() || w.Via != "socket" {
			t.Errorf("asked by %+v", w)
		}
	}
}

// TestWhatIsNoAction: nothing of it reaches the switch.
func TestWhatIsNoAction(t *testing.T) {
	f, path := listening(t)
	c := NewClient(path)
	for _, a := range []Action{{Verb: "format"}, {Verb: Drain}, {Verb: Stop, What: "now"}, {Verb: LogLevel}, {Verb: Stop, Dry: true}, {Verb: "../status"}} {
		if got, err := c.Act(context.Background(), a); err == nil && got.OK {
			t.Errorf("%+v: %+v", a, got)
		}
	}
	for _, r := range []string{"GET /api/reload HTTP/1.1\r\nHost: x\r\n\r\n", "DELETE /api/status HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01\x00\x00", strings.Repeat("A", 3*maxHeader), "POST /api/stop HTTP/1.1\r\n"} {
		raw(t, path, r)
	}
	if len(f.asked) != 0 {
		t.Errorf("asked %+v", f.asked)
	}
	if _, err := c.Status(context.Background()); err != nil {
		t.Error("after all that:", err)
	}
}

// raw sends bytes and hangs up.
func raw(t *testing.T, path, text string) {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte(text)) // it may hang up first
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(2 * headerTimeout))
	b := make([]byte, 64)
	if n, _ := c.Read(b); n > 0 && strings.HasPrefix(string(b), "HTTP/1.1 200") {
		t.Errorf("%.40q is answered %q", text, b[:n])
	}
}

// locked is a socket that somebody else may use.
type locked struct{}

func (locked) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", unix.EACCES)}
}

func TestSocketOfAnother(t *testing.T) {
	c := &Client{path: "/x", http: http.Client{Transport: locked{}}}
	if _, err := c.Status(context.Background()); err == nil || errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "not allowed") {
		t.Error(err)
	}
}

func TestStaleSocketAndLongPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	if err := old.Close(); err != nil { // as after kill -9
		t.Fatal(err)
	}
	if _, err := NewClient(path).Status(context.Background()); !errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
	s, err := Listen(path, new(fake), new(fake).tokens, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background())
	if _, err := NewClient(path).Status(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := Listen(filepath.Join(t.TempDir(), strings.Repeat("x", maxPath)), new(fake), new(fake).tokens, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "107") {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file, new(fake), new(fake).tokens, zap.NewNop()); err == nil {
		t.Error("a file that is no socket was replaced")
	}
}

// TestTooManyConnections: they are closed, and the socket lives on.
func TestTooManyConnections(t *testing.T) {
	_, path := listening(t)
	var open []net.Conn
	for range 2 * maxConns {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	if _, err := NewClient(path).Status(context.Background()); err == nil {
		t.Error("served beyond the limit")
	}
	for _, c := range open {
		c.Close()
	}
	for end := time.Now().Add(time.Minute); ; {
		if _, err := NewClient(path).Status(context.Background()); err == nil {
			return
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func tokenFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

const goodToken = "0123456789abcdef01234567"

func TestTokens(t *testing.T) {
	good := tokenFile(t, "# people\n\nalice: "+goodToken+"\nbob:"+goodToken+"x\n", 0o600)
	for _, c := range []struct {
		file, header, name string
	}{
		{good, "Bearer " + goodToken, "alice"},
		{good, "Bearer " + goodToken + "x", "bob"},
		{good, "Bearer " + goodToken[1:], ""},
		{good, "Bearer ", ""},
		{good, "Basic " + goodToken, ""},
		{good, "", ""},
		{"", "Bearer " + goodToken, ""},
		{good + "x", "Bearer " + goodToken, ""},
		{tokenFile(t, "alice:"+goodToken, 0o644), "Bearer " + goodToken, ""},
		{tokenFile(t, "alice:short", 0o600), "Bearer short", ""},
		{tokenFile(t, goodToken, 0o600), "Bearer " + goodToken, ""},
		{tokenFile(t, "a:"+goodToken+"\na:"+goodToken, 0o600), "Bearer " + goodToken, ""},
		{tokenFile(t, strings.Repeat("#\n", maxTokenFile), 0o600), "Bearer " + goodToken, ""},
	} {
		f := new(fake)
		h := Handler(f, ByToken(func() string { return c.file }))
		r := httptest.NewRequest(http.MethodPost, "/api/stop", strings.NewReader("body"))
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if c.name == "" {
			if w.Code != http.StatusForbidden || len(f.asked) != 0 || strings.Contains(w.Body.String(), goodToken) {
				t.Errorf("%+v: %d %s", c, w.Code, w.Body)
			}
			continue
		}
		if w.Code != http.StatusOK || len(f.by) != 1 || f.by[0] != (audit.Who{UID: -1, Token: c.name, Via: "console"}) {
			t.Errorf("%+v: %d %+v", c, w.Code, f.by)
		}
	}
}

// TestStrangersAreRefused: a connection of which the kernel says nothing, or that
// is another user's.
func TestStrangersAreRefused(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/api/status", nil)
	if _, err := peerOf(r); !errors.Is(err, ErrNobody) {
		t.Error(err)
	}
	for uid, may := range map[int]bool{0: true, os.Geteuid(): true, 65533: false} {
		by := r.WithContext(context.WithValue(r.Context(), credKey{}, &unix.Ucred{Uid: uint32(uid)}))
		if _, err := peerOf(by); (err == nil) != may {
			t.Errorf("user %d: %v", uid, err)
		}
	}
}

func TestEditsCarryTheirFile(t *testing.T) {
	f, path := listening(t)
	a, err := NewClient(path).Registry(t.Context(), Edit{"limits", "import", "a/b", "c", "值", "x.csv"}, strings.NewReader("l,m\n1,2\n"))
	if err != nil || !a.OK || a.Text != "行\n" || len(f.edits) != 1 || f.edits[0] != `limits import a/b c 值 x.csv "l,m\n1,2\n"` {
		t.Errorf("%+v, %v, %q", a, err, f.edits)
	}
}

// Of a switch that hangs nobody knows that it does not run.
func TestNoAnswerIsNotNotRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	ln, err := net.Listen("unix", path) // who calls waits in its backlog
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := NewClient(path).Status(ctx); err == nil || errors.Is(err, ErrNotRunning) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := NewClient(path + "x").Status(context.Background()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("nobody listens: %v", err)
	}
}

// Who waits for a long verification hears how far it is while it runs.
func TestProgressIsHeardAtOnce(t *testing.T) {
	f, path := listening(t)
	f.heard = make(chan struct{}, 2)
	n := 0
	err := NewClient(path).Ask(context.Background(), JournalVerify, struct{}{}, func([]byte) error {
		n++
		f.heard <- struct{}{}
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestAsk(t *testing.T) {
	f, path := listening(t)
	c, ctx := NewClient(path), context.Background()
	var lines []string
	keep := func(line []byte) error { lines = append(lines, string(line)); return nil }
	if err := c.Ask(ctx, "x", map[string]int{"a": 1}, keep); err != nil || !slices.Equal(lines, []string{`{"topic":"x"}`, `{"a":1}`}) {
		t.Errorf("%v: %v", err, lines)
	}
	if err := c.Ask(ctx, "x", strings.Repeat("x", maxQuestion), keep); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a long question: %v", err)
	}
	if err := c.Ask(ctx, "half", struct{}{}, keep); err == nil {
		t.Error("an answer that breaks off passes for whole")
	}
	f.err = errors.New("disk")
	if err := c.Ask(ctx, "x", struct{}{}, keep); err == nil || err.Error() != "disk" {
		t.Errorf("%v", err)
	}
	f.err, f.file = nil, filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(f.file, []byte("bob:0123456789abcdef01234567"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.As("0123456789abcdef01234567")
	if err := c.Ask(ctx, "x", struct{}{}, keep); err != nil || f.by[len(f.by)-1].Token != "bob" || f.by[len(f.by)-1].UID != os.Getuid() {
		t.Errorf("%v: %+v", err, f.by)
	}
	c.As("0123456789abcdef01234568")
	if err := c.Ask(ctx, "x", struct{}{}, keep); err == nil {
		t.Error("a wrong token passes")
	}
}
