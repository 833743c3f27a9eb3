package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// sector is the unit of /proc/diskstats, whatever the disk's own is.
const sector = 512

// DeviceWritten is how many bytes have been written to the device that holds a folder, by
// anybody, since the machine's start. File systems without a device of their own (overlay,
// tmpfs, btrfs) are an error. Source: proc_diskstats(5).
func DeviceWritten(dir string) (int64, error) {
	var s unix.Stat_t
	if err := unix.Stat(dir, &s); err != nil {
		return 0, fmt.Errorf("%s: %w", dir, err)
	}
	b, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return 0, err
	}
	return written(b, unix.Major(s.Dev), unix.Minor(s.Dev))
}

// written reads the tenth number of a device's line: sectors written.
func written(b []byte, major, minor uint32) (int64, error) {
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) < 10 || f[0] != strconv.Itoa(int(major)) || f[1] != strconv.Itoa(int(minor)) {
			continue
		}
		n, err := strconv.ParseInt(f[9], 10, 64)
		return n * sector, err
	}
	return 0, fmt.Errorf("/proc/diskstats has no device %d:%d", major, minor)
}

// Written is how many bytes a process has had sent to a disk. Source: proc_pid_io(5), write_bytes.
func Written(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, err
	}
	return writeBytes(b)
}

func writeBytes(b []byte) (int64, error) {
	for line := range bytes.Lines(b) {
		if name, value, ok := strings.Cut(string(line), ":"); ok && name == "write_bytes" {
			return strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("io has no line write_bytes")
}
