package wal

import (
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// beginner writes to files of the disk and has it begin in the same call. It belongs to
// who writes.
type beginner struct {
	off bool // not asked for, or the system or the file system does not know it
	vec unix.Iovec
}

// write says by ok whether it has written: if not, nothing is. The system keeps nothing of
// such a write in memory behind it, so it hands it to the disk before it returns (flag
// RWF_DONTCACHE of pwritev2, Linux 6.14; ext4 from 6.16, XFS). A frame fills whole pages,
// so none is read again for the next.
func (b *beginner) write(f vfs.File, buf []byte, at int64) (n int, ok bool, err error) {
	const dontCache = 0x80
	fd := f.Fd()
	if b.off || fd == vfs.InvalidFd || len(buf) == 0 {
		return 0, false, nil
	}
	b.vec.Base = unsafe.SliceData(buf)
	b.vec.SetLen(len(buf))
	done, _, errno := unix.Syscall6(unix.SYS_PWRITEV2, fd, uintptr(unsafe.Pointer(&b.vec)), 1, uintptr(at), 0, dontCache)
	b.vec.Base = nil
	switch errno {
	case 0:
		return int(done), true, nil
	case unix.EOPNOTSUPP, unix.ENOSYS, unix.EINVAL:
		b.off = true
		return 0, false, nil
	}
	return 0, true, errno
}

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
