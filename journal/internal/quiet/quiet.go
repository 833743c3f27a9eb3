// Package quiet stands between Pebble and the house's log.
package quiet

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"tongka/fault"
)

// Logger is a pebble.Logger. Information goes to the log at debug level, errors
// once a second, and the last words to Fatal.
type Logger struct {
	To    *zap.Logger
	Fatal func(msg string) // must not return; nil = print and exit(1)

	last atomic.Int64 // Unix seconds of the last error that was logged
}

// Infof tells of flushes, compactions and files.
func (l *Logger) Infof(format string, args ...any) {
	if c := l.To.Check(zap.DebugLevel, "pebble"); c != nil {
		c.Write(zap.String("said", fmt.Sprintf(format, args...)))
	}
}

// Errorf logs one error a second: on a full disk Pebble reports tens of
// thousands of them, and the log is on a disk too.
func (l *Logger) Errorf(format string, args ...any) {
	now := time.Now().Unix()
	if last := l.last.Load(); now != last && l.last.CompareAndSwap(last, now) {
		l.To.Error("pebble", fault.Field(fault.StoreComplains), zap.String("said", fmt.Sprintf(format, args...)))
	}
}

// Fatalf never returns: Pebble would go on as if the write had succeeded, and an
// engine would approve what is not on disk.
func (l *Logger) Fatalf(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	l.To.Error("pebble cannot go on", fault.Field(fault.JournalFailed), zap.String("said", msg))
	if l.Fatal != nil {
		l.Fatal(msg)
		select {} // a hook that returned all the same must not let Pebble go on
	}
	_ = l.To.Sync()
	fmt.Fprintln(os.Stderr, "journal: pebble cannot go on:", msg)
	os.Exit(1)
}
