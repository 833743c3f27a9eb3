package journal

import (
	"errors"
	"fmt"
	"io/fs"

	"tongka/journal/internal/wal"
)

// FirstOf is the first place of a tick, as TickAt gives one.
func FirstOf(tick uint64) LSN { return lsnAt(tick, 0) }

// Checkpoint makes dir, which must not be there yet, a journal of its own that
// holds all that was committed before the call, without the index. Its files are
// links to the live ones, which are never changed, so it costs little on the same
// file system. It may be called from any goroutine while the shard commits.
func (l *Log) Checkpoint(dir string) error {
	if err := l.err(); err != nil {
		return err
	}
	if err := l.checkpoint(dir); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = fs.ErrExist
		}
		return fmt.Errorf("journal: checkpoint %s: %w", dir, err)
	}
	return nil
}

// checkpoint copies the tables when all is in them, and gives the copy a log that ends
// where ours was. Of what is committed meanwhile the copy has a beginning: memtables
// go into tables one after the other.
func (l *Log) checkpoint(dir string) error {
	if err := l.flush(); err != nil {
		return err
	}
	if err := l.db.Checkpoint(dir); err != nil {
		return err
	}
	l.order.Lock()
	segment, frame := l.wal.Segment()
	l.order.Unlock()
	o := Options{FS: l.fs, Dir: dir}
	return wal.Stub(o.log(), segment, frame)
}
