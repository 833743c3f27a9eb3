package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tongka/cpuidle"
)

// TestBusyIsOnWithManyRequests: one look a second, so many requests in it.
func TestBusyIsOnWithManyRequests(t *testing.T) {
	const above = 2000
	var b busy
	at, count := time.Now().UnixNano(), uint64(1_000_000) // what came before the first look is nobody's rate
	look := func(came uint64, after time.Duration, above int) bool {
		at += int64(after)
		count += came
		return b.look(count, at, above)
	}
	for i, c := range []struct {
		came  uint64
		after time.Duration
		above int
		want  bool
	}{
		{9000, time.Second, above, false}, // the first picture
		{2000, time.Second, above, false},
		{2001, time.Second, above, true},
		{2001, 2 * time.Second, above, true}, // fewer: half of it keeps it on
		{999, time.Second, above, true},
		{999, time.Second, above, true},
		{0, 0, above, true}, // the same picture is not calm
		{999, time.Second, above, true},
		{999, time.Second, above, true},
		{1000, time.Second, above, true}, // calm begins anew
		{0, time.Second, above, true},
		{0, time.Second, above, true},
		{0, time.Second, above, true},
		{0, time.Second, above, true},
		{0, time.Second, above, false},
		{1500, time.Second / 2, above, true}, // 3,000 a second
		{5000, time.Second, 0, false},
		{5000, time.Second, 0, false},
	} {
		if got := look(c.came, c.after, c.above); got != c.want {
			t.Errorf("look %d, %d in %v above %d: on is %v", i, c.came, c.after, c.above, got)
		}
	}
}

// TestProcessorsAreKeptAwake: the wish is written, dropped and told; a system without it
// is told of once, and nothing else comes of it.
func TestProcessorsAreKeptAwake(t *testing.T) {
	core, logged := observer.New(zap.InfoLevel)
	n := &Node{log: zap.New(core)}
	dev := filepath.Join(t.TempDir(), "dev")
	w := cpuidle.Wish{Device: dev}
	if n.wake(&w, true) || w.Made() {
		t.Error("there is no device")
	}
	if err := os.WriteFile(dev, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !n.wake(&w, true) || !w.Made() || !n.wake(&w, false) || w.Made() {
		t.Error("made and dropped:", w.Made())
	}
	all := logged.All()
	if len(all) != 3 || !strings.Contains(all[0].Message, "cannot be kept awake") || all[1].ContextMap()["kept_awake"] != true || all[2].ContextMap()["kept_awake"] != false {
		t.Errorf("%+v", all)
	}
}
