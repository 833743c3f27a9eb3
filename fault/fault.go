// Package fault is the one table of what can go wrong inside the switch: each
// fault has a code that stands in log lines, on the console and in the metrics,
// words and a hint in both languages, and says whether somebody must be woken.
//
//	TK-1xxx  the stores and the audit file
//	TK-2xxx  terminals and their doors
//	TK-3xxx  banks and what is owed to them
//	TK-4xxx  security modules and keys
//	TK-5xxx  cards and orders
//	TK-6xxx  the process, its supervisor and its configuration
//
// A code is never given a second meaning: what is not used any more leaves a gap.
package fault

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Code names a fault; it is printed as TK-1001.
type Code uint16

// String is the code as people see it.
func (c Code) String() string { return fmt.Sprintf("TK-%04d", uint16(c)) }

// Fault is one line of the table.
type Fault struct {
	Code   Code
	Alarm  bool // somebody has to do something, soon
	ZH, EN string
	// What to look at and to do.
	HintZH, HintEN string
}

// Find gives the fault of a code as people write it: TK-1001, tk1001 or 1001.
func Find(word string) (Fault, bool) {
	digits := strings.TrimPrefix(strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(word)), "TK"), "-")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || len(digits) != 4 {
		return Fault{}, false
	}
	i := place(Code(n))
	if i < 0 {
		return Fault{}, false
	}
	return table[i], true
}

// All gives the table, in the order of the codes. It is shared: nobody changes it.
func All() []Fault { return table }

// place is the line of a code, -1 for a code that there is not.
func place(c Code) int {
	low, high := 0, len(table)
	for low < high {
		if mid := (low + high) / 2; table[mid].Code < c {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == len(table) || table[low].Code != c {
		return -1
	}
	return low
}

// Book counts the faults of one switch. Any goroutine may count and read; nothing
// is counted where nothing goes wrong, so the path of a sale never comes here. A
// nil Book counts nothing.
type Book struct {
	lines [tableSize]struct {
		count atomic.Uint64
		last  atomic.Int64 // Unix nanoseconds
	}
}

// Count counts a fault that has no log line of its own, or one line for many.
func (b *Book) Count(c Code) { b.Add(c, 1) }

// Add counts a fault n times.
func (b *Book) Add(c Code, n uint64) {
	i := place(c)
	if b == nil || n == 0 || i < 0 {
		return
	}
	b.lines[i].count.Add(n)
	b.lines[i].last.Store(time.Now().UnixNano())
}

// FieldKey is the name of a log line's field that holds its code.
const FieldKey = "fault"

// Field is what a log line of a fault carries. A logger made by Watch counts it.
func Field(c Code) zap.Field { return zap.Stringer(FieldKey, c) }

// Watch has the book count the faults that a logger is told of, also those that
// its level or its sampling then keep out of the log: a fault is counted where it
// is logged, so that no room of the house needs the book for that.
func (b *Book) Watch(log *zap.Logger) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core { return zapcore.NewTee(c, watcher{b}) }))
}

// watcher is a core that writes nothing.
type watcher struct{ book *Book }

// Enabled leaves out what tells of no faults.
func (watcher) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }

// With knows that codes stand with their lines and never in a logger's context.
func (w watcher) With([]zapcore.Field) zapcore.Core { return w }

// Check takes part in every line.
func (w watcher) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if w.Enabled(e.Level) {
		return to.AddCore(e, w)
	}
	return to
}

// Write counts.
func (w watcher) Write(_ zapcore.Entry, fields []zapcore.Field) error {
	for i := range fields {
		if c, ok := fields[i].Interface.(Code); ok && fields[i].Key == FieldKey {
			w.book.Count(c)
		}
	}
	return nil
}

// Sync has nothing to do.
func (watcher) Sync() error { return nil }

// Seen is a fault that has happened.
type Seen struct {
	Fault
	Count uint64
	Last  int64 // Unix nanoseconds
}

// Seen gives what has happened since the start, in the order of the codes.
func (b *Book) Seen() (all []Seen) {
	if b == nil {
		return nil
	}
	for i := range table {
		if n := b.lines[i].count.Load(); n > 0 {
			all = append(all, Seen{table[i], n, b.lines[i].last.Load()})
		}
	}
	return all
}

// Of gives how often one has happened.
func (b *Book) Of(c Code) uint64 {
	i := place(c)
	if b == nil || i < 0 {
		return 0
	}
	return b.lines[i].count.Load()
}

// Error is an error that has a code: it ends a command or a process.
type Error struct {
	Code Code
	Err  error
}

// Because gives an error its code; nil stays nil.
func Because(c Code, err error) error {
	if err == nil {
		return nil
	}
	return &Error{c, err}
}

// Error begins with the code.
func (e *Error) Error() string { return e.Code.String() + ": " + e.Err.Error() }

// Unwrap gives what the code was given to.
func (e *Error) Unwrap() error { return e.Err }
