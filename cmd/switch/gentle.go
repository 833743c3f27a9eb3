package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// gentle lets everybody else go first: one processor at most, of that what nobody
// else wants, and of the disk the same (schedulers that know classes, mq-deadline and bfq,
// heed it). A day that is cleared beside the switch has the night; a sale
// has milliseconds. Priorities belong to threads, and new threads get that of the one
// that starts them, so the ones that are there are told one by one.
func gentle() error {
	runtime.GOMAXPROCS(1)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("priority: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err == nil {
			err = unix.Setpriority(unix.PRIO_PROCESS, id, 19)
		}
		if err == nil {
			err = idleDisk(id)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // it has ended meanwhile
			return fmt.Errorf("priority: %w", err)
		}
	}
	return nil
}

// The numbers of ioprio_set (2): its target is a thread, the class is above the 13 bits
// of the level.
const (
	ioprioWhoProcess = 1
	ioprioClassIdle  = 3 << 13
)

func idleDisk(thread int) error {
	_, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, uintptr(thread), ioprioClassIdle)
	if errno != 0 {
		return errno
	}
	return nil
}

// besideShare is the part of one processor that a clearing takes beside the switch. Its
// writes are spread by it as well, and these are what a sale feels: a sync of the journal
// waits for what the disk was given before. A quarter was too much: 0.78 to 0.87 of the
// sales' rate beside a run, where this has 0.80 to 1.02 (four runs of switch bench
// --clearing of each, in turns).
const besideShare = 0.15

// rests keeps a process to a share of a processor. It goes by the time that the
// process was on one, so where others leave it little it rests as little.
type rests struct {
	ctx   context.Context
	share float64
	used  time.Duration
}

// now rests for what was used since the last time; it is called often.
func (r *rests) now() {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return
	}
	used := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	t := time.NewTimer(r.length(used))
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.ctx.Done():
	}
}

// length is the rest that is due; used is all that the process has used.
func (r *rests) length(used time.Duration) time.Duration {
	since := used - r.used
	first := r.used == 0
	r.used = used
	if first { // what was used before it had to be gentle
		return 0
	}
	return time.Duration(float64(since) * (1/r.share - 1))
}
