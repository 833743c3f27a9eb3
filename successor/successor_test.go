package successor

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tongka/conn"
)

// role tells the test binary what to play when it is started as a successor.
const role = "TONGKA_TEST_ROLE"

func TestMain(m *testing.M) {
	if r := os.Getenv(role); r != "" && os.Getenv(env) != "" {
		os.Exit(play(r))
	}
	os.Exit(m.Run())
}

// play is the new process.
func play(r string) int {
	h, err := FromEnv()
	if err != nil || h == nil || r == "dies at once" {
		return 1
	}
	if r == "hangs" {
		select {}
	}
	if r == "says why" {
		h.Fail(errors.New("密钥 · a key is missing, said " + h.Note()))
		return 1
	}
	if r == "says half" {
		_, _ = h.line.Write([]byte{wordFailed, 0, 9, 'x'})
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got, err := h.Take(ctx)
	if r == "says why later" {
		h.Fail(errors.New(strings.Repeat("钥", maxReason)))
		return 1
	}
	if err != nil || r == "dies later" {
		return 1
	}
	h.Ready()
	for _, ln := range got { // one caller each, then the end
		c, err := ln.Accept()
		if err != nil {
			return 1
		}
		_, _ = c.Write([]byte("the new one"))
		_ = c.Close()
	}
	return 0
}

type silent struct{}

func (silent) Opened(conn.ID, conn.Peer)   {}
func (silent) Frame(conn.ID, []byte)       {}
func (silent) Closed(conn.ID, error)       {}
func (silent) Tick(now int64) (next int64) { return 0 }

func front(t *testing.T, inherited map[string]*net.TCPListener) *conn.Front {
	t.Helper()
	f, err := conn.Start(conn.Config{Listeners: []conn.ListenerConfig{{Name: "pos", Addr: "127.0.0.1:0", Framing: conn.Binary2}}, Inherited: inherited},
		func(conn.Loop) conn.Handler { return silent{} })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, f) })
	return f
}

func stop(t *testing.T, f *conn.Front) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := f.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func spawn(t *testing.T, as string) (*Successor, error) {
	t.Helper()
	t.Setenv(role, as)
	within := time.Minute
	if as == "hangs" {
		within = time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return Spawn(ctx, os.Args[0], nil, "a note")
}

// TestHandOver: who calls while nobody accepts waits, and the new one serves him.
func TestHandOver(t *testing.T) {
	f := front(t, nil)
	s, err := spawn(t, "runs")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Give(f); err != nil {
		t.Fatal(err)
	}
	addr := f.Addr(0).String()
	stop(t, f)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal("refused between the two:", err)
	}
	defer c.Close()
	if err := s.Go(context.Background()); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "the new one" {
		t.Errorf("%q, %v", b, err)
	}
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
}

// TestNewProcessFails at each of its steps: the old one is told, soon, and
// nothing of the new one is left.
func TestNewProcessFails(t *testing.T) {
	for as, says := range map[string]string{"dies at once": "ended", "hangs": "too long", "says why": "a key is missing, said a note", "says half": "without its reason"} {
		if _, err := spawn(t, as); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", as, err)
		}
	}
	t.Run("later", func(t *testing.T) {
		f := front(t, nil)
		s, err := spawn(t, "says why later")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Give(f); err != nil {
			t.Fatal(err)
		}
		if err := s.Go(context.Background()); err == nil || strings.Count(err.Error(), "钥") < maxReason/3-1 || !utf8.ValidString(err.Error()) {
			t.Errorf("%v", err)
		}
	})
	f := front(t, nil)
	kept, err := Keep(f)
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	s, err := spawn(t, "dies later")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Give(f); err != nil {
		t.Fatal(err)
	}
	addr := f.Addr(0).String()
	stop(t, f)
	if err := s.Go(context.Background()); err == nil {
		t.Error("a dead process is ready")
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal("the socket that was kept does not listen:", err)
	}
	c.Close()
	if got := front(t, kept).Addr(0).String(); got != addr {
		t.Logf("opened again at %s, was %s", got, addr)
	}
	if _, err := Spawn(context.Background(), "/nowhere/at/all", nil, ""); err == nil {
		t.Error("a program that is not there was started")
	}
}

// TestOldProcessDies: the end of the line means go.
func TestOldProcessDies(t *testing.T) {
	f := front(t, nil)
	ours, theirs, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	line, err := asConn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	h := &Heir{line: line}
	type taken struct {
		got map[string]*net.TCPListener
		err error
	}
	done := make(chan taken, 1)
	go func() {
		got, err := h.Take(context.Background())
		done <- taken{got, err}
	}()
	var b [1]byte
	if _, err := io.ReadFull(ours, b[:]); err != nil || b[0] != wordPrepared {
		t.Fatal(b, err)
	}
	if err := f.HandOver(ours); err != nil {
		t.Fatal(err)
	}
	ours.Close()
	r := <-done
	if r.err != nil || len(r.got) != 1 {
		t.Fatal(r.got, r.err)
	}
	for _, ln := range r.got {
		ln.Close()
	}
	h.Ready() // nobody hears it
}

// TestTakeIsBounded: it neither waits for ever nor takes rubbish for sockets.
func TestTakeIsBounded(t *testing.T) {
	for _, say := range []string{"", "rubbish that is no message of sockets"} {
		ours, theirs, err := pair()
		if err != nil {
			t.Fatal(err)
		}
		line, err := asConn(theirs)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ours.Write([]byte(say)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		if got, err := (&Heir{line: line}).Take(ctx); err == nil {
			t.Errorf("%q: took %v", say, got)
		}
		cancel()
		ours.Close()
		line.Close()
	}
}

func TestFromEnv(t *testing.T) {
	t.Setenv(env, "")
	if h, err := FromEnv(); h != nil || err != nil {
		t.Error(h, err)
	}
	t.Setenv(env, "17")
	if _, err := FromEnv(); err == nil {
		t.Error("any descriptor is taken")
	}
	if os.Getenv(env) != "" {
		t.Error("what this process starts would be a successor, too")
	}
}
