package wal

import (
	"errors"
	"fmt"
	"path"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Begin goes on after Recover, once the frames that it gave are safe elsewhere: the
// first frame of the new log says that none of them is needed, and is safe when Begin
// returns. Then the files that the log will need are made ready.
func Begin(o Options, f *Found, first []byte, release Release) (l *Log, err error) {
	l = &Log{o: o, release: release, safe: f.oldest, head: head{number: f.number}}
	l.begin.off = o.FS != vfs.Default // what stands between sees every write
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
			l = nil
		}
	}()
	if len(f.files) == 0 {
		if err = makeDir(o); err != nil {
			return l, err
		}
	}
	for _, at := range f.files {
		h, err := o.FS.OpenReadWrite(at.name, category)
		if err != nil {
			return l, fmt.Errorf("wal: %w", err)
		}
		l.free = append(l.free, &file{File: h, name: at.name, segment: at.segment})
		l.next = max(l.next, numberOf(o, at.name))
	}
	if err = l.take(f.Next()); err != nil {
		return l, err
	}
	l.head.oldest = l.seg.segment
	if err = l.put(first); err != nil {
		return l, err
	}
	if err = l.Sync(); err != nil {
		return l, err
	}
	return l, l.warm()
}

// Stub makes a log in a folder without one that ends with a segment and needs nothing
// of it: the log of a copy whose tables hold everything.
func Stub(o Options, segment, frame uint64) (err error) {
	if err = makeDir(o); err != nil {
		return err
	}
	l := &Log{o: o, head: head{number: frame}}
	l.begin.off = true
	if l.seg, err = l.create(); err != nil {
		return err
	}
	l.seg.segment = segment
	return l.Finish()
}

func makeDir(o Options) error {
	if err := o.FS.MkdirAll(o.Dir, 0o755); err != nil {
		return fmt.Errorf("wal: %w", err)
	}
	return syncDir(o.FS, o.FS.PathDir(o.Dir))
}

// numberOf is the number in a file's name, 0 for a name of another kind.
func numberOf(o Options, name string) (n int) {
	_, _ = fmt.Sscanf(path.Base(name), "%d"+suffix, &n)
	return n
}
