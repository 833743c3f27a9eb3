// Package proc reads what the system says of a process and of the machine.
package proc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the user and system time that a process has used, with all its
// threads, those that ended included. It reads the process's CPU clock, which
// counts nanoseconds; /proc/PID/stat counts hundredths of a second, too coarse
// for a window of two. What the kernel does in soft interrupts is not in it.
func CPU(pid int) (time.Duration, error) {
	var ts unix.Timespec
	// The clock's number, as clock_getcpuclockid(3) makes it: scheduler time of a
	// whole process.
	const processSched = 2
	if err := unix.ClockGettime(int32(^pid)<<3|processSched, &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// Split is the user and the system time that a process has used, in the ticks that
// /proc/PID/stat counts, usually hundredths of a second: good for their shares over a
// window, while CPU says how much it was. Source: proc_pid_stat(5), fields 14 and 15.
func Split(pid int) (user, system int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	return split(b)
}

// split skips the name in parentheses, which may hold anything.
func split(b []byte) (user, system int64, err error) {
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 13 {
		return 0, 0, fmt.Errorf("stat has %d fields behind the name, want 13 at least", len(f))
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return user, system, errors.Join(err1, err2)
}

// tick is the unit of the kernel's counters of time, USER_HZ, which is 100 a second
// wherever Linux runs today.
const tick = 10 * time.Millisecond

// Busy is the time that all processors together have worked since the machine's start: user,
// system and interrupts, in ticks. What waits for a disk and what the host took away is
// not in it. Source: proc_stat(5).
func Busy() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return busy(b)
}

// busy adds user, nice, system, irq and softirq of the first line.
func busy(b []byte) (time.Duration, error) {
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	f := strings.Fields(string(line))
	if len(f) < 8 || f[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q, want cpu and 7 numbers at least", line)
	}
	var sum int64
	for _, at := range [...]int{1, 2, 3, 6, 7} {
		n, err := strconv.ParseInt(f[at], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: number %d: %w", at, err)
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}

// RSS is the memory of a process that is in RAM, in bytes.
func RSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return rollup(b)
}

// rollup reads the line "Rss:   1234 kB".
func rollup(b []byte) (int64, error) {
	for line := range bytes.Lines(b) {
		words := strings.Fields(string(line))
		if len(words) == 3 && words[0] == "Rss:" && words[2] == "kB" {
			n, err := strconv.ParseInt(words[1], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("smaps_rollup has no Rss line in kB")
}

// Machine is what a figure cannot be read without.
type Machine struct {
	CPU        string  `json:"cpu"`
	Cores      int     `json:"cores"`
	Kernel     string  `json:"kernel"`
	Go         string  `json:"go"`
	FileSystem string  `json:"file_system"` // under the journal
	Load       float64 `json:"load_1m"`     // before the run: what else the machine was doing
	Awake      bool    `json:"kept_awake"`  // idle processors polled while systems were compared
}

// Look describes this machine; dir is where the journal will be.
func Look(dir string) Machine {
	m := Machine{CPU: "unknown", Cores: runtime.NumCPU(), Go: runtime.Version(), FileSystem: fileSystem(dir)}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if name, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(b), " ")
		m.Load, _ = strconv.ParseFloat(first, 64)
	}
	return m
}

// Waiting says in Chinese and English what processors without work did.
func (m *Machine) Waiting() string {
	if m.Awake {
		return "一律保持唤醒 · kept awake, for all systems"
	}
	return "可休眠 · may sleep"
}

// Volatile says that a sync costs nothing there, so that figures of a durable
// path mean nothing.
func (m *Machine) Volatile() bool { return m.FileSystem == "tmpfs" }

// fileSystem names the common ones. Source: statfs(2).
func fileSystem(dir string) string {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return "unknown"
	}
	switch s.Type {
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	}
	return fmt.Sprintf("0x%x", s.Type)
}

// RaiseFiles lifts the limit of open files as far as it goes and says how far
// that is. Children inherit it.
func RaiseFiles() (uint64, error) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, err
	}
	l.Cur = l.Max
	return l.Cur, unix.Setrlimit(unix.RLIMIT_NOFILE, &l)
}
