package wal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrDamaged says that frames which were safe cannot be read.
var ErrDamaged = errors.New("wal: damaged")

// Found is what Recover saw: where a log goes on.
type Found struct {
	files  []found
	newest uint64 // segment
	number uint64 // of the newest frame
	oldest uint64 // segments below are not needed
	Frames int    // that were given
}

// found is a file and the segment that its first frame names, 0 without one.
type found struct {
	name    string
	segment uint64
	first   uint64 // number of its first frame
}

// Next is the number of the segment that Begin begins.
func (f *Found) Next() uint64 { return f.newest + 1 }

// Recover gives the payloads of all frames that are needed, in their order, lent
// for the call, and changes nothing on disk. A folder that is not there is an empty log. since is a
// segment that was once in use: when the log ends before it, files are missing. A
// frame that a crash tore ends the log; whatever else cannot be read is ErrDamaged,
// with file and byte.
func Recover(o Options, since uint64, each func(payload []byte) error) (*Found, error) {
	f := &Found{oldest: 1}
	names, err := o.FS.List(o.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("wal: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		if err := f.see(o.FS, o.FS.PathJoin(o.Dir, name)); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(f.files, func(a, b found) int { return cmp.Compare(a.segment, b.segment) })
	if err := f.end(o.FS); err != nil {
		return nil, err
	}
	if f.newest < since {
		return nil, fmt.Errorf("%w: %s ends with segment %d, and segment %d was in use: files are missing", ErrDamaged, o.Dir, f.newest, since)
	}
	return f, f.replay(o, each)
}

// see looks at the first frame of a file.
func (f *Found) see(fs vfs.FS, name string) error {
	r, err := open(fs, name)
	if err != nil {
		return err
	}
	at := found{name: name}
	h, _, ok, err := r.frame(0)
	if ok {
		at.segment, at.first = h.segment, h.number
	}
	f.files = append(f.files, at)
	return errors.Join(err, r.Close())
}

// end finds the newest frame. Its file is the newest, and so are all frames of a
// higher segment that a damaged file holds behind its first.
func (f *Found) end(fs vfs.FS) error {
	if len(f.files) == 0 {
		return nil
	}
	last := f.files[len(f.files)-1]
	f.newest, f.number = last.segment, last.first
	for _, at := range f.files {
		if at.segment != 0 && at.segment != f.newest {
			continue
		}
		r, err := open(fs, at.name)
		if err != nil {
			return err
		}
		err = r.walk(at.segment, at.first, func(h head, _ []byte) error {
			f.number, f.oldest = h.number, h.oldest
			return nil
		}, f.newest)
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return nil
}

// replay gives the frames of the segments that are needed.
func (f *Found) replay(o Options, each func([]byte) error) error {
	next := uint64(0)
	want := f.oldest
	for _, at := range f.files {
		if at.segment == 0 || at.segment < f.oldest {
			continue
		}
		if at.segment != want || next != 0 && at.first != next {
			return fmt.Errorf("%w: %s begins with frame %d of segment %d, where frame %d of segment %d should be", ErrDamaged, at.name, at.first, at.segment, next, want)
		}
		r, err := open(o.FS, at.name)
		if err != nil {
			return err
		}
		err = r.walk(at.segment, at.first, func(h head, payload []byte) error {
			next = h.number + 1
			f.Frames++
			return each(payload)
		}, at.segment)
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
		want++
	}
	return nil
}

// reader reads one file.
type reader struct {
	vfs.File
	name string
	size int64
	buf  []byte
}

func open(fs vfs.FS, name string) (*reader, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("wal: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wal: %w", err), f.Close())
	}
	return &reader{File: f, name: name, size: info.Size(), buf: make([]byte, grain)}, nil
}

// frame reads what stands at a place; ok when it is a frame.
func (r *reader) frame(at int64) (h head, payload []byte, ok bool, err error) {
	if at+headSize > r.size {
		return h, nil, false, nil
	}
	if err := r.read(r.buf[:headSize], at); err != nil {
		return h, nil, false, err
	}
	h = parseHead(r.buf)
	if h.segment == 0 || h.number == 0 || int64(h.size) > r.size-at-headSize {
		return h, nil, false, nil
	}
	if need := headSize + int(h.size); need > len(r.buf) {
		r.buf = slices.Grow(r.buf[:headSize], need)[:need]
	}
	b := r.buf[:headSize+int(h.size)]
	if err := r.read(b, at); err != nil {
		return h, nil, false, err
	}
	return h, b[headSize:], intact(b), nil
}

func (r *reader) read(b []byte, at int64) error {
	if n, err := r.ReadAt(b, at); n < len(b) {
		return fmt.Errorf("wal: read %s at byte %d: %w", r.name, at, cmp.Or(err, io.ErrUnexpectedEOF))
	}
	return nil
}

// walk gives the frames of a segment, which begin with a number. What follows them
// may be one frame that was torn, and frames of segments before highest.
func (r *reader) walk(segment, number uint64, each func(head, []byte) error, highest uint64) error {
	at := int64(0)
	for segment != 0 {
		h, payload, ok, err := r.frame(at)
		if err != nil {
			return err
		}
		if !ok || h.segment != segment || h.number != number {
			break
		}
		if err := each(h, payload); err != nil {
			return fmt.Errorf("%s at byte %d: %w", r.name, at, err)
		}
		at += whole(int(h.size))
		number++
	}
	for torn := at; at < r.size; at += grain {
		switch h, _, ok, err := r.frame(at); {
		case err != nil:
			return err
		case ok && (h.segment == segment || h.segment > highest):
			return fmt.Errorf("%w: %s cannot be read at byte %d, and frame %d of segment %d stands behind it at byte %d", ErrDamaged, r.name, torn, h.number, h.segment, at)
		}
	}
	return nil
}
