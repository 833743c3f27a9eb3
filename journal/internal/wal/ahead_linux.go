package wal

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// startWriting has the disk begin with a range of a file while we do something else. It
// promises nothing, and a file system that does not know it loses nothing.
func startWriting(fd uintptr, at, size int64) {
	if fd != vfs.InvalidFd {
		_ = unix.SyncFileRange(int(fd), at, size, unix.SYNC_FILE_RANGE_WRITE)
	}
}
