package bench

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bar shows on a terminal how far a run is. On anything else it writes nothing, so that
// logs stay clean. Its methods may be called on nil.
type bar struct {
	w           io.Writer
	now         func() time.Time
	began       time.Time
	total, done int
}

// newBar is nil unless w is a terminal.
func newBar(w io.Writer) *bar {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return nil
	}
	return &bar{w: w, now: time.Now}
}

func (b *bar) begin(total int) {
	if b != nil {
		b.total, b.done, b.began = total, 0, b.now()
	}
}

const barWidth = 30

// step says what is done next. The time left is as long for each step as it was so far.
func (b *bar) step(what string) {
	if b == nil || b.total == 0 {
		return
	}
	full := barWidth * b.done / b.total
	left := ""
	if b.done > 0 {
		took := b.now().Sub(b.began)
		left = fmt.Sprintf("，约余 about %.0f s", (took / time.Duration(b.done) * time.Duration(b.total-b.done)).Seconds())
	}
	// To the line's start, and what an older, longer line leaves is cleared.
	fmt.Fprintf(b.w, "\r[%s%s] %d/%d %s%s\x1b[K", strings.Repeat("█", full), strings.Repeat("·", barWidth-full), b.done+1, b.total, what, left)
	b.done++
}

// end leaves an empty line for what follows.
func (b *bar) end() {
	if b != nil {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}
