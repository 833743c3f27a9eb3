package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tongka/engine"
	"tongka/txn"
)

// The test binary plays chromium when it is called so, which shows what is
// said over the pipe without needing a browser.
const playEnv = "SCREENSHOT_TEST_PLAYS"

func TestMain(m *testing.M) {
	if how := os.Getenv(playEnv); how != "" {
		play(how)
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // libraries of the engine start some at once
}

// played is what the player answers a method with.
var played = map[string]string{
	"Target.createTarget":    `{"targetId":"T"}`,
	"Target.attachToTarget":  `{"sessionId":"S"}`,
	"Page.navigate":          `{"frameId":"F"}`,
	"Runtime.evaluate":       `{"result":{"type":"boolean","value":true}}`,
	"Page.captureScreenshot": `{"data":"iVBORw=="}`,
}

func play(how string) {
	if filepath.Base(os.Args[0]) == "go" {
		playDemo(how)
		return
	}
	in, out := bufio.NewReader(os.NewFile(3, "in")), os.NewFile(4, "out")
	for {
		line, err := in.ReadBytes(0)
		if err != nil || how == "hangs up" {
			return
		}
		var c command
		if err := json.Unmarshal(bytes.TrimSuffix(line, []byte{0}), &c); err != nil {
			return
		}
		result := played[c.Method]
		switch {
		case result == "":
			result = "{}"
		case how == "never ready" && c.Method == "Runtime.evaluate":
			result = `{"result":{"value":false}}`
		case how == "unreachable" && c.Method == "Page.navigate":
			result = `{"errorText":"net::ERR_CONNECTION_REFUSED"}`
		}
		answer := fmt.Sprintf(`{"id":%d,"result":%s}`, c.ID, result)
		if how == "refuses" && c.Method == "Page.captureScreenshot" {
			answer = fmt.Sprintf(`{"id":%d,"error":{"message":"no picture"}}`, c.ID)
		}
		// An event comes first: it must be skipped.
		_, _ = fmt.Fprintf(out, "{\"method\":\"Page.event\",\"params\":{}}\x00%s\x00", answer)
		if c.Method == "Browser.close" {
			return
		}
	}
}

// playDemo prints what a demo does and lasts until it is interrupted.
func playDemo(how string) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Println("building", strings.Join(os.Args[1:], " "))
	if how == "demo fails" {
		return
	}
	fmt.Println("console 控制台 http://127.0.0.1:1/ and more")
	<-ctx.Done()
}

// playChromium puts the test binary on the PATH as chromium and as go.
func playChromium(t *testing.T, how string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"chromium", "go"} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv(playEnv, how)
}

func TestPictureIsWritten(t *testing.T) {
	playChromium(t, "well")
	out := filepath.Join(t.TempDir(), "docs", "console.png")
	if err := run(context.Background(), []string{"-url", "http://127.0.0.1:1/", "-out", out, "-after", "1ms"}); err != nil {
		t.Fatal(err)
	}
	png, err := os.ReadFile(out)
	if err != nil || string(png) != "\x89PNG" {
		t.Errorf("%q, %v", png, err)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) != 0 {
		t.Errorf("%d folders left behind: %v", len(left), err)
	}
}

func TestPictureOfAnInventedSwitch(t *testing.T) {
	playChromium(t, "well")
	out := filepath.Join(t.TempDir(), "fake.png")
	if err := run(context.Background(), []string{"-fake", "running", "-out", out, "-after", "1ms", "-scheme", "dark"}); err != nil {
		t.Fatal(err)
	}
}

func TestPictureOfTheDemo(t *testing.T) {
	playChromium(t, "well")
	out := filepath.Join(t.TempDir(), "demo.png")
	if err := run(context.Background(), []string{"-demo", "-out", out, "-after", "1ms"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(out); err != nil {
		t.Error(err)
	}
}

func TestDemoThatFailsIsQuoted(t *testing.T) {
	playChromium(t, "demo fails")
	err := run(context.Background(), []string{"-demo", "-out", filepath.Join(t.TempDir(), "x.png"), "-after", "1ms"})
	if err == nil || !strings.Contains(err.Error(), "run ./cmd/switch demo --for 1m0.001s") {
		t.Errorf("got %v, want what the demo said", err)
	}
}

func TestTroubleWithTheBrowserIsTold(t *testing.T) {
	for how, want := range map[string]string{"hangs up": "hung up", "refuses": "no picture", "unreachable": "ERR_CONNECTION_REFUSED"} {
		playChromium(t, how)
		err := run(context.Background(), []string{"-url", "http://127.0.0.1:1/", "-out", filepath.Join(t.TempDir(), "x.png"), "-after", "1ms"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", how, err, want)
		}
	}
}

func TestPageThatNeverGetsReady(t *testing.T) {
	playChromium(t, "never ready")
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	_, err := take(ctx, settings{url: "http://127.0.0.1:1/", scheme: "light", width: 10, height: 10})
	if err == nil {
		t.Error("want an error")
	}
}

func TestMissingChromiumGivesTheHint(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := run(context.Background(), []string{"-url", "http://127.0.0.1:1/"})
	if err == nil || !strings.Contains(err.Error(), "apt-get install chromium") {
		t.Errorf("got %v, want the hint", err)
	}
}

func TestFlagsAreChecked(t *testing.T) {
	for _, args := range []string{
		"", "-url u -fake running", "-url u -demo", "-url u -size 10", "-url u -size 0x5", "-url u -scheme pink",
		"-url u -serve 127.0.0.1:0", "-url u extra", "-fake sunny", "-fake running -serve 0.0.0.0:0",
	} {
		if err := run(context.Background(), strings.Fields(args)); err == nil {
			t.Errorf("%q: want an error", args)
		}
	}
	s, err := parse(strings.Fields("-url http://127.0.0.1:8583/ -size 1400x900"))
	if err != nil || s.width != 1400 || s.height != 900 || s.out != "console.png" || s.scheme != "light" || s.after != 3*time.Second {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = parse([]string{"-demo"}); err != nil || s.after != demoFills {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestServeLastsUntilInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, []string{"-fake", "empty", "-serve", "127.0.0.1:0"}) }()
	cancel()
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("still serving")
	}
}

// Whatever is invented must look like what the engine shows: counters grow,
// links add up, cards are masked.
func TestInventedSwitches(t *testing.T) {
	start := time.Now()
	for _, scene := range scenes {
		f, err := newFake(scene, start)
		if err != nil {
			t.Fatal(err)
		}
		if scene == "running" || scene == "degraded" {
			f.advance(start.Add(2 * time.Second).UnixNano())
		}
		a, b := f.Snapshot(), f.Snapshot()
		if a.Ready == (scene == "recovering") {
			t.Errorf("%s: ready %v", scene, a.Ready)
		}
		if b.Counters.Approved < a.Counters.Approved || b.At < a.At {
			t.Errorf("%s: goes backwards", scene)
		}
		down := slices.ContainsFunc(a.Links, func(l engine.LinkView) bool { return l.State == "dialing" })
		if down != (scene == "degraded") {
			t.Errorf("%s: a link down: %v", scene, down)
		}
		checkLast(t, scene, a)
	}
}

func checkLast(t *testing.T, scene string, s *engine.Snapshot) {
	t.Helper()
	moving := scene == "running" || scene == "degraded"
	if moving != (len(s.Last) > 20) || moving != (s.Latency.Count > 1000) {
		t.Errorf("%s: %d rows, %d durations", scene, len(s.Last), s.Latency.Count)
	}
	for i, v := range s.Last {
		if len(v.PAN) != 16 || v.PAN[6:12] != "******" {
			t.Fatalf("%s: card %q is not masked", scene, v.PAN)
		}
		if i > 0 && v.ID >= s.Last[i-1].ID {
			t.Fatalf("%s: not the newest first", scene)
		}
		if (v.Result == txn.Approved) != (v.Code == txn.OK) {
			t.Fatalf("%s: %v with %v", scene, v.Result, v.Code)
		}
		if scene == "degraded" && v.Link == "bank-icbc" {
			t.Fatal("a link that is down carried a transaction")
		}
	}
}
