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

// forget has the system give up what it keeps in memory of a file that is on disk.
func forget(fd uintptr) {
	if fd != vfs.InvalidFd {
		_ = unix.Fadvise(int(fd), 0, 0, unix.FADV_DONTNEED)
	}
}
