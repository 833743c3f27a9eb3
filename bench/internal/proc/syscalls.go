package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// traceFolders are where the kernel's trace points may be mounted.
var traceFolders = []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}

// Syscalls counts the system calls of one process, those of threads that are yet to come
// included. Source: perf_event_open(2); what `perf stat -e raw_syscalls:sys_enter -p PID` does.
type Syscalls struct{ fds []int }

// CountSyscalls begins to count. It wants root, or other rights to the trace points. While it
// counts, every call of every process is a little slower. The caller calls Close.
func CountSyscalls(pid int) (*Syscalls, error) {
	id, err := tracePoint(traceFolders)
	if err != nil {
		return nil, err
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(threads) == 0 {
		return nil, errors.Join(err, fmt.Errorf("process %d has no threads", pid))
	}
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Bits: unix.PerfBitInherit}
	attr.Size = uint32(unsafe.Sizeof(attr))
	s := &Syscalls{}
	for _, path := range threads {
		tid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err == unix.ESRCH { // it ended meanwhile
			continue
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("perf_event_open: %w", err), s.Close())
		}
		s.fds = append(s.fds, fd)
	}
	return s, nil
}

// tracePoint finds the number of the point at which every system call begins.
func tracePoint(folders []string) (id uint64, err error) {
	for _, dir := range folders {
		b, bad := os.ReadFile(filepath.Join(dir, "events/raw_syscalls/sys_enter/id"))
		if bad == nil {
			return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
		}
		err = errors.Join(err, bad)
	}
	return 0, err
}

// Count is how many there were so far.
func (s *Syscalls) Count() (n uint64, err error) {
	var b [8]byte
	for _, fd := range s.fds {
		if got, err := unix.Read(fd, b[:]); err != nil || got != len(b) {
			return 0, fmt.Errorf("perf counter: %d bytes, %w", got, err)
		}
		n += binary.NativeEndian.Uint64(b[:])
	}
	return n, nil
}

// Close ends the counting.
func (s *Syscalls) Close() (err error) {
	for _, fd := range s.fds {
		err = errors.Join(err, unix.Close(fd))
	}
	s.fds = nil
	return err
}
