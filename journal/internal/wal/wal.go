package wal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options say where a log is and how large its files are.
type Options struct {
	FS      vfs.FS
	Dir     string // made when missing; its parent is not
	Segment int64  // bytes of a file; one longer frame has a file for itself
	Warm    bool   // Begin writes the files that are needed before the first frame, full of zeros
}

const (
	// kept is how many files a log has when all is well: one in use, the one before,
	// whose frames are on their way into tables, and one that may be written over.
	kept     = 3
	retain   = 1 << 20 // bytes of buffer that are kept: more than a turn of a thousand sales needs
	category = vfs.DiskWriteCategory("journal-wal")
)

// Log is written by one goroutine at a time.
type Log struct {
	o       Options
	release Release
	seg     *file // in use
	at      int64 // where its next frame begins
	old     []*file
	free    []*file
	next    int // the number in the name of the next file that is made
	head    head
	buf     []byte
	begin   beginner
	flying  bool   // the last frame is not yet safe
	safe    uint64 // oldest of the newest frame that is
}

// Release is called when a segment is full: from now on its frames are to be made
// safe elsewhere, and the channel that it gives is closed when they are.
type Release func() (<-chan struct{}, error)

// file is a segment, or will be one.
type file struct {
	vfs.File
	name    string
	segment uint64          // which it holds; 0: none that is needed
	done    <-chan struct{} // its frames are safe elsewhere
}

// Write writes a frame and has the disk begin. What was written before is made safe
// first (invariant 2). The payload is copied. After an error the log is at its end.
func (l *Log) Write(payload []byte) error {
	if err := l.Sync(); err != nil {
		return err
	}
	if l.at > 0 && l.at+whole(len(payload)) > l.o.Segment {
		if err := l.roll(); err != nil {
			return err
		}
	}
	l.head.oldest = l.oldest()
	return l.put(payload)
}

func (l *Log) put(payload []byte) error {
	l.head.number++
	l.head.segment = l.seg.segment
	l.buf = appendFrame(l.buf[:0], l.head, payload)
	n, begun, err := l.begin.write(l.seg.File, l.buf, l.at)
	if !begun {
		n, err = l.seg.WriteAt(l.buf, l.at)
	}
	if err != nil || n != len(l.buf) {
		return fmt.Errorf("wal: write %s at byte %d: %d of %d bytes: %w", l.seg.name, l.at, n, len(l.buf), cmp.Or(err, io.ErrShortWrite))
	}
	if !begun {
		startWriting(l.seg.Fd(), l.at, int64(len(l.buf)))
	}
	l.at += int64(len(l.buf))
	l.flying = true
	if cap(l.buf) > retain {
		l.buf = nil
	}
	return nil
}

// Sync waits until what was written is safe.
func (l *Log) Sync() error {
	if !l.flying {
		return nil
	}
	if err := l.seg.SyncData(); err != nil {
		return fmt.Errorf("wal: sync %s: %w", l.seg.name, err)
	}
	l.flying, l.safe = false, l.head.oldest
	return nil
}

// Segment is the number of the segment in use, and the number of its newest frame.
func (l *Log) Segment() (segment, frame uint64) { return l.seg.segment, l.head.number }

// oldest is the first segment that is still needed.
func (l *Log) oldest() uint64 {
	if len(l.old) > 0 {
		return l.old[0].segment
	}
	return l.seg.segment
}

// roll goes on in another file. All that was written is safe.
func (l *Log) roll() error {
	done, err := l.release()
	if err != nil {
		return fmt.Errorf("wal: release %s: %w", l.seg.name, err)
	}
	l.seg.done = done
	l.old = append(l.old, l.seg)
	for len(l.old) > 0 && ended(l.old[0].done) {
		l.free = append(l.free, l.old[0])
		l.old = l.old[1:]
	}
	return l.take(l.seg.segment + 1)
}

func ended(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// take makes a file that nobody needs, or a new one, the segment in use.
func (l *Log) take(segment uint64) (err error) {
	i := slices.IndexFunc(l.free, func(f *file) bool { return f.segment < l.safe })
	if i >= 0 {
		l.seg = l.free[i]
		l.free = slices.Delete(l.free, i, i+1)
	} else if l.seg, err = l.create(); err != nil {
		return err
	}
	l.seg.segment, l.seg.done, l.at = segment, nil, 0
	return nil
}

// create makes a file whose name is safe.
func (l *Log) create() (*file, error) {
	l.next++
	f := &file{name: nameOf(l.o, l.next)}
	var err error
	if f.File, err = l.o.FS.Create(f.name, category); err != nil {
		return nil, fmt.Errorf("wal: create: %w", err)
	}
	if err = syncDir(l.o.FS, l.o.Dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Finish says that nothing of the log is needed any more, and ends it.
func (l *Log) Finish() error {
	if err := l.Sync(); err != nil {
		return err
	}
	l.head.oldest = l.seg.segment + 1
	return errors.Join(l.put(nil), l.Sync(), l.Close())
}

// Close lets the files go as they are.
func (l *Log) Close() (err error) {
	for _, f := range slices.Concat(l.old, l.free, []*file{l.seg}) {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// warm fills the files that will be needed, so that no frame waits for the disk to
// find blocks, and removes those that are more than that. None of them is needed.
func (l *Log) warm() error {
	for len(l.free) > kept-1 {
		f := l.free[0]
		l.free = l.free[1:]
		if err := errors.Join(f.Close(), l.o.FS.Remove(f.name)); err != nil {
			return fmt.Errorf("wal: remove: %w", err)
		}
	}
	if !l.o.Warm {
		return nil
	}
	for len(l.free) < kept-1 {
		f, err := l.create()
		if err != nil {
			return err
		}
		l.free = append(l.free, f)
	}
	for _, f := range slices.Concat(l.free, []*file{l.seg}) {
		if err := l.fill(f); err != nil {
			return fmt.Errorf("wal: fill %s: %w", f.name, err)
		}
	}
	return nil
}

// fill writes zeros behind the end of a file until it has its size.
func (l *Log) fill(f *file) error {
	info, err := f.Stat()
	if err != nil || info.Size() >= l.o.Segment {
		return err
	}
	noise := make([]byte, min(1<<20, l.o.Segment))
	for at := info.Size(); at < l.o.Segment; at += int64(len(noise)) {
		if _, err := f.WriteAt(noise[:min(int64(len(noise)), l.o.Segment-at)], at); err != nil {
			return err
		}
	}
	err = f.Sync()
	forget(f.Fd())
	return err
}

func nameOf(o Options, n int) string { return o.FS.PathJoin(o.Dir, fmt.Sprintf("%06d%s", n, suffix)) }

const suffix = ".wal"

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("wal: %w", err)
	}
	if err = errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("wal: sync %s: %w", dir, err)
	}
	return nil
}
