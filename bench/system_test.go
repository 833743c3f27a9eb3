package bench

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// script writes a program that stands for a switch.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "switch.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// somewhere is a place whose console is a server with the given status.
func somewhere(t *testing.T, status int) place {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(s.Close)
	dir := t.TempDir()
	return place{
		dir: dir, config: filepath.Join(dir, "switch.yaml"), log: filepath.Join(dir, "switch.log"),
		console: netip.MustParseAddrPort(s.Listener.Addr().String()),
	}
}

func TestSwitchIsStartedAndStopped(t *testing.T) {
	p := somewhere(t, http.StatusOK)
	mark := filepath.Join(p.dir, "mark")
	s, err := startSwitch(t.Context(), script(t, `trap 'touch `+mark+`; exit 0' TERM; echo "$@"; while :; do sleep 0.01; done`), p, false)
	if err != nil {
		t.Fatal(err)
	}
	// The shell has its trap set when it has spoken.
	waitFor(t, "the log", func() bool { return strings.Contains(tail(p.log, 1000), "run -c "+p.config) })
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("it was not asked to end: %v", err)
	}
}

func TestSwitchThatEndsBadlyShowsItsLog(t *testing.T) {
	p := somewhere(t, http.StatusOK)
	full := filepath.Join(p.dir, "full")
	s, err := startSwitch(t.Context(), script(t, "until [ -e "+full+" ]; do sleep 0.01; done; echo the disk is full; exit 7"), p, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end", func() bool { return len(s.ended) == 1 })
	if err := s.stop(); err == nil || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "the disk is full") {
		t.Fatalf("error %v", err)
	}
}

func TestSwitchThatIsNeverReady(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := somewhere(t, http.StatusServiceUnavailable)
	go func() { // when it has spoken, it has been waited for long enough
		for !strings.Contains(tail(p.log, 100), "no bank") && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := startSwitch(ctx, script(t, "echo no bank; exec sleep 600"), p, false)
	if err == nil || !strings.Contains(err.Error(), "not ready") || !strings.Contains(err.Error(), "no bank") {
		t.Fatalf("error %v", err)
	}
}

func TestFreePorts(t *testing.T) {
	a, b, err := freePorts()
	if err != nil || a == b {
		t.Fatalf("%v %v %v", a, b, err)
	}
	for _, at := range []netip.AddrPort{a, b} {
		ln, err := net.Listen("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
	}
}

func TestSettle(t *testing.T) {
	b := make([]byte, 32<<20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	got, err := settle(t.Context(), os.Getpid())
	if err != nil || got < int64(len(b)) {
		t.Fatalf("%d bytes, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	runtime.KeepAlive(b)
	if _, err := settle(ctx, os.Getpid()); err != context.Canceled {
		t.Errorf("error %v after the end of the run", err)
	}
	if _, err := settle(t.Context(), 1<<22); err == nil {
		t.Error("nobody's memory")
	}
}

func TestFlags(t *testing.T) {
	o, code, done := parse([]string{"--shape=D,A", "--min-tps-ratio=D=0.5;A=0.4", "--max-p99-ratio=A=3", "--pin", "--max-idle=3000"}, nil, os.Stderr)
	if done || code != 0 {
		t.Fatalf("exit %d", code)
	}
	if strings.Join(o.Shape, "") != "DA" || o.MinTPSRatio["D"] != 0.5 || o.MinTPSRatio["A"] != 0.4 || o.MaxP99Ratio["A"] != 3 ||
		!o.PIN || o.Pairs != 7 || o.Seconds != 2 || o.Idle != 5000 || o.MaxIdle != 3000 {
		t.Fatalf("%+v", o)
	}
}

// The bench starts itself again with the words that lead to it.
func TestCommand(t *testing.T) {
	saved := os.Args
	defer func() { os.Args = saved }()
	os.Args = []string{"switch", "bench", "--raw"}
	got, err := command([]string{"--raw"})
	if err != nil || len(got) != 2 || got[1] != "bench" {
		t.Fatalf("%q, %v", got, err)
	}
	if got, err = command([]string{"bench", "--raw"}); err != nil || len(got) != 1 {
		t.Fatalf("%q, %v", got, err)
	}
	for _, args := range [][]string{{"--pin"}, {"a", "b", "c", "d"}} {
		if _, err := command(args); err == nil {
			t.Errorf("%q are not the end of the command line", args)
		}
	}
}
