package day

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// Book is the file in which cuts are written down, a line for each:
//
//	20261001 81985536 1790866800000000000 schedule 1c291ca3
//	date     end      at                  by       CRC-32 of what is before it
//
// A cut counts once its line is there to the end and on disk. What a crash left
// of a line is no cut, and is taken away before the next is written; a whole
// line that is wrong is an error, since a day could change by it.
type Book struct {
	f    *os.File
	size int64
	cuts Cuts
}

// maxBook is more than the cuts of a thousand years.
const maxBook = 32 << 20

// OpenBook opens the book at path, and makes an empty one when there is none. Who
// opens it must be the only one.
func OpenBook(path string) (*Book, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cuts: %w", err)
	}
	b := &Book{f: f}
	if err := errors.Join(b.read(), syncFolder(filepath.Dir(path))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return b, nil
}

// ReadBook reads the cuts of a book that another process may have open, and
// changes nothing.
func ReadBook(path string) (Cuts, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cuts: %w", err)
	}
	b := &Book{f: f}
	err = errors.Join(b.read(), f.Close())
	return b.cuts, err
}

// Cuts are those decided so far. They must not be changed.
func (b *Book) Cuts() Cuts { return b.cuts }

func (b *Book) read() error {
	all, err := io.ReadAll(io.LimitReader(b.f, maxBook+1))
	if err != nil || len(all) > maxBook {
		return errors.Join(fmt.Errorf("cuts: %s cannot be read to its end", b.f.Name()), err)
	}
	for n := 1; ; n++ {
		line, rest, whole := bytes.Cut(all[b.size:], []byte{'\n'})
		if !whole {
			return nil // nothing, or what a crash left
		}
		c, err := parseCut(line)
		if err == nil {
			b.cuts, err = b.cuts.Decide(c)
		}
		if err != nil {
			return fmt.Errorf("cuts: %s:%d:1: %w", b.f.Name(), n, err)
		}
		b.size = int64(len(all) - len(rest))
	}
}

// Decide adds a cut, durably: it counts if and only if the error is nil.
func (b *Book) Decide(next Cut) error {
	cuts, err := b.cuts.Decide(next)
	if err != nil {
		return err
	}
	line := appendCut(nil, &next)
	if err := b.f.Truncate(b.size); err != nil {
		return fmt.Errorf("cuts: %w", err)
	}
	_, err = b.f.WriteAt(line, b.size)
	if err := errors.Join(err, b.f.Sync()); err != nil {
		return fmt.Errorf("cuts: %w", err)
	}
	b.size += int64(len(line))
	b.cuts = cuts
	return nil
}

// Close lets the file go.
func (b *Book) Close() error { return b.f.Close() }

func appendCut(dst []byte, c *Cut) []byte {
	at := len(dst)
	dst = fmt.Appendf(dst, "%s %d %d %s", c.Date, c.End, c.At, c.By)
	return fmt.Appendf(dst, " %08x\n", crc32.ChecksumIEEE(dst[at:]))
}

// parseCut reads a line without its end. It has to be exactly what appendCut
// writes.
func parseCut(line []byte) (c Cut, err error) {
	var date, by string
	var sum uint32
	if _, err = fmt.Sscanf(string(line), "%s %d %d %s %x", &date, &c.End, &c.At, &by, &sum); err != nil {
		return c, fmt.Errorf("no cut: %w", err)
	}
	var ok bool
	if c.By, ok = parseReason(by); !ok {
		return c, fmt.Errorf("no cut: unknown reason %q", by)
	}
	if c.Date, err = ParseDate(date); err != nil {
		return c, err
	}
	if got := appendCut(nil, &c); !bytes.Equal(got[:len(got)-1], line) {
		return c, errors.New("the line is damaged: its sum is another")
	}
	return c, nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
