package quiet

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// Pebble reports an error per retry; the log gets one a second. Its last words
// reach the hook, and it goes no further.
func TestPebbleLog(t *testing.T) {
	core, seen := observer.New(zap.DebugLevel)
	said := make(chan string, 1)
	q := &Logger{To: zap.New(core), Fatal: func(msg string) { said <- msg; runtime.Goexit() }}
	start := time.Now()
	for i := range 10_000 {
		q.Errorf("disk full %d", i)
	}
	if n, most := seen.Len(), int(time.Since(start)/time.Second)+2; n < 1 || n > most {
		t.Errorf("%d errors are logged, want 1 to %d", n, most)
	}
	q.Infof("flushed %d", 1)
	if seen.FilterLevelExact(zap.DebugLevel).Len() != 1 {
		t.Error("no word at debug level")
	}
	went := make(chan bool)
	go func() {
		defer close(went)
		q.Fatalf("the manifest: %v", errors.New("EIO"))
		went <- true
	}()
	if msg := <-said; msg != "the manifest: EIO" {
		t.Errorf("the hook got %q", msg)
	}
	if <-went {
		t.Error("Fatalf returned")
	}
}
