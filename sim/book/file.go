package book

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// File is an append-only file of JSON lines; the last line of a key counts. What
// Flush handed to the kernel survives the death of the process, though not a
// power cut: it is not synced. One goroutine at a time may use it. A File
// without a name keeps nothing.
type File struct {
	f   *os.File
	buf []byte
}

// ErrWrite marks a book that can no longer be written: its owner must stop, for
// what it does next would be in no book.
var ErrWrite = errors.New("book not written")

// OpenSales opens or creates a fleet's book and gives what it holds.
func OpenSales(path string) (*File, []Sale, error) {
	var c latest[SaleKey, Sale]
	f, err := open(path, c.reader((*Sale).Key))
	return f, c.all, err
}

// OpenBookings opens or creates a bank's book and gives what it holds.
func OpenBookings(path string) (*File, []Booking, error) {
	var c latest[BookingKey, Booking]
	f, err := open(path, c.reader((*Booking).Key))
	return f, c.all, err
}

// ReadSales reads a fleet's book, which may be in use.
func ReadSales(path string) ([]Sale, error) {
	var c latest[SaleKey, Sale]
	err := readFile(path, c.reader((*Sale).Key))
	return c.all, err
}

// ReadBookings reads a bank's book, which may be in use.
func ReadBookings(path string) ([]Booking, error) {
	var c latest[BookingKey, Booking]
	err := readFile(path, c.reader((*Booking).Key))
	return c.all, err
}

func readFile(path string, read func([]byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("账本 · book: %w", err)
	}
	_, err = readLines(f, path, read)
	return errors.Join(err, f.Close())
}

// open gives every whole line of the file to read. A last line without its
// newline is what a killed process left; it is cut off, for nothing was sent on
// its strength.
func open(path string, read func(line []byte) error) (*File, error) {
	if path == "" {
		return &File{}, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("账本 · book: %w", err)
	}
	end, err := readLines(f, path, read)
	if err == nil {
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{f: f}, nil
}

// readLines gives each whole line to read and returns the offset behind the
// last of them.
func readLines(r io.Reader, name string, read func([]byte) error) (end int64, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		line, err := br.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err == nil {
			err = read(line)
		}
		if err != nil {
			return end, fmt.Errorf("账本 · book: %s:%d: %w", name, n, err)
		}
		end += int64(len(line))
	}
}

// Add puts an entry into the buffer; Flush writes it.
func (b *File) Add(entry any) error {
	if b.f == nil {
		return nil
	}
	line, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	b.buf = append(append(b.buf, line...), '\n')
	return nil
}

// Flush hands what was added to the kernel in one write.
func (b *File) Flush() error {
	if len(b.buf) == 0 {
		return nil
	}
	_, err := b.f.Write(b.buf)
	b.buf = b.buf[:0]
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	return nil
}

// Close flushes and closes.
func (b *File) Close() error {
	if b.f == nil {
		return nil
	}
	return errors.Join(b.Flush(), b.f.Close())
}

// latest keeps the last value of each key, in the order of first sight.
type latest[K comparable, V any] struct {
	at  map[K]int
	all []V
}

func (l *latest[K, V]) put(k K, v V) {
	if i, ok := l.at[k]; ok {
		l.all[i] = v
		return
	}
	if l.at == nil {
		l.at = map[K]int{}
	}
	l.at[k] = len(l.all)
	l.all = append(l.all, v)
}

// reader takes lines of JSON into l.
func (l *latest[K, V]) reader(key func(*V) K) func(line []byte) error {
	return each(func(v *V) { l.put(key(v), *v) })
}

// each gives every line of JSON to take.
func each[V any](take func(*V)) func(line []byte) error {
	return func(line []byte) error {
		var v V
		if err := json.Unmarshal(line, &v); err != nil {
			return err
		}
		take(&v)
		return nil
	}
}
