package pace

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// settle waits until the disk has a range of a file. It promises nothing.
func settle(fd uintptr, at, size int64) {
	if fd != vfs.InvalidFd {
		_ = unix.SyncFileRange(int(fd), at, size, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	}
}

// letGo has the system give up what it keeps in memory of a range that is on disk.
func letGo(fd uintptr, at, size int64) {
	if fd != vfs.InvalidFd {
		_ = unix.Fadvise(int(fd), at, size, unix.FADV_DONTNEED)
	}
}
