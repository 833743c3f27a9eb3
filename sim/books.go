package sim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// State is how far a sale has come in a book.
type State string

// States. A terminal's sale is Open, Approved, Declined, Reversed or
// Unresolved; a bank's booking is Booked, Declined, Reversed or Refused.
const (
	Open       State = "open"       // sent or about to be; nothing known
	Approved   State = "approved"   // the terminal holds an approval that verified
	Declined   State = "declined"   // refused by code; 98 belongs here too
	Reversed   State = "reversed"   // taken back, confirmed by the other side
	Unresolved State = "unresolved" // a reversal is due and no repeat was answered yet
	Booked     State = "booked"     // the bank has taken the money
	Refused    State = "refused"    // came after its own reversal, so never booked
)

// Sale is one sale in a terminal's book.
type Sale struct {
	Merchant string `json:"merchant"` // F42, 15 characters
	Terminal string `json:"terminal"` // F41, 8 characters
	Amount   int64  `json:"amount"`   // F4, fen; unique in its terminal
	Trace    uint32 `json:"trace"`    // F11
	Batch    uint32 `json:"batch"`    // F60.2
	PAN      string `json:"pan"`      // masked
	PIN      bool   `json:"pin,omitempty"`
	RRN      string `json:"rrn,omitempty"`    // F37 of the answer
	State    State  `json:"state"`            //
	Code     string `json:"code,omitempty"`   // F39 of the answer that closed it
	Reason   string `json:"reason,omitempty"` // F39 of its reversal: 98 no answer, A0 answer's MAC wrong
	At       int64  `json:"at"`               // first sent, Unix nanoseconds
	Micros   int64  `json:"us,omitempty"`     // request to answer
	Repeats  int    `json:"repeats,omitempty"`
}

// Booking is one sale in a bank's ledger.
type Booking struct {
	Bank     string `json:"bank"`
	Merchant string `json:"merchant"` // F42
	Terminal string `json:"terminal"` // F41
	Amount   int64  `json:"amount"`   // F4, fen
	RRN      string `json:"rrn"`      // F37
	STAN     uint32 `json:"stan"`     // F11, the switch's
	Sent     uint64 `json:"sent"`     // F7 as a number, MMDDhhmmss
	PAN      string `json:"pan"`      // masked
	PANHash  uint64 `json:"pan_hash,omitempty"`
	State    State  `json:"state"`
	Code     string `json:"code"` // F39 of the bank's answer
}

// book is an append-only file of JSON lines; the zero book keeps nothing. The
// last line of a key counts.
type book struct {
	f   *os.File
	buf []byte
}

// errBook marks a book that can no longer be written: its owner must stop, for
// what it does next would be in no book.
var errBook = errors.New("sim: book not written")

// openBook opens or creates the file and gives every whole line of it to read.
// A last line without its newline is what a killed process left; it is cut off,
// for nothing was sent on its strength.
func openBook(path string, read func(line []byte) error) (*book, error) {
	if path == "" {
		return &book{}, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sim: book: %w", err)
	}
	end, err := readLines(f, path, read)
	if err == nil {
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &book{f: f}, nil
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
		if err != nil {
			return end, fmt.Errorf("sim: book: %w", err)
		}
		if err := read(line); err != nil {
			return end, fmt.Errorf("sim: book: %s:%d: %w", name, n, err)
		}
		end += int64(len(line))
	}
}

// add puts a line into the buffer; flush writes it.
func (b *book) add(entry any) error {
	if b.f == nil {
		return nil
	}
	line, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("%w: %w", errBook, err)
	}
	b.buf = append(append(b.buf, line...), '\n')
	return nil
}

// flush hands what was added to the kernel in one write.
func (b *book) flush() error {
	if len(b.buf) == 0 {
		return nil
	}
	_, err := b.f.Write(b.buf)
	b.buf = b.buf[:0]
	if err != nil {
		return fmt.Errorf("%w: %w", errBook, err)
	}
	return nil
}

func (b *book) close() error {
	if b.f == nil {
		return nil
	}
	return errors.Join(b.flush(), b.f.Close())
}

// saleKey is what joins the two books.
type saleKey struct {
	merchant, terminal string
	amount             int64
}

func (s *Sale) key() saleKey { return saleKey{s.Merchant, s.Terminal, s.Amount} }

// ReadSales reads a fleet's book; the last line of each sale counts.
func ReadSales(path string) ([]Sale, error) {
	var c latest[saleKey, Sale]
	err := readBook(path, func(line []byte) error {
		var s Sale
		err := json.Unmarshal(line, &s)
		c.put(s.key(), s)
		return err
	})
	return c.all, err
}

// ReadBookings reads a bank's book; the last line of each booking counts.
func ReadBookings(path string) ([]Booking, error) {
	var c latest[bookingKey, Booking]
	err := readBook(path, func(line []byte) error {
		var b Booking
		err := json.Unmarshal(line, &b)
		c.put(b.key(), b)
		return err
	})
	return c.all, err
}

func readBook(path string, read func([]byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sim: book: %w", err)
	}
	defer f.Close()
	_, err = readLines(f, path, read)
	return err
}

// latest keeps the last value of each key in the order of first sight.
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
