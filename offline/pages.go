package offline

import (
	"bytes"
	"crypto/md5" // the field's digest of a results file
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"tongka/offline/layout"
)

// entry is one stored record.
type entry struct {
	member, line int
	raw          []byte
}

// loaded is a page in memory.
type loaded struct {
	entries []entry
	states  []byte // state and reason of each
	row     layout.Row
}

func (p *loaded) set(i int, to State, why Reason) {
	p.states[2*i], p.states[2*i+1] = byte(State(p.states[2*i]).to(to)), byte(why)
}

// load reads page n of a file.
func (w *work) load(f *File, n uint32) (*loaded, error) {
	key := pageKey('R', f.ID, n)
	sealed, err := w.get(key)
	if err != nil {
		return nil, err
	}
	plain, err := w.seal.open(n, key, sealed)
	if err != nil {
		return nil, err
	}
	p := &loaded{}
	if p.states, err = w.get(pageKey('Z', f.ID, n)); err != nil {
		return nil, err
	}
	for len(plain) > 0 {
		var v [3]uint64
		for i := range v {
			x, size := binary.Uvarint(plain)
			if size <= 0 {
				return nil, fmt.Errorf("offline: %s: 第 %d 页损坏 · page %d is damaged", f.Name, n, n)
			}
			v[i], plain = x, plain[size:]
		}
		if v[2] > uint64(len(plain)) || v[0] >= uint64(len(f.Members)) {
			return nil, fmt.Errorf("offline: %s: 第 %d 页损坏 · page %d is damaged", f.Name, n, n)
		}
		p.entries = append(p.entries, entry{int(v[0]), int(v[1]), plain[:v[2]]})
		plain = plain[v[2]:]
	}
	if len(p.states) != 2*len(p.entries) {
		return nil, fmt.Errorf("offline: %s: 第 %d 页的状态损坏 · the states of page %d are damaged", f.Name, n, n)
	}
	return p, nil
}

// read takes record i of a page apart again.
func (w *work) read(p *loaded, i int, it *Item) error {
	e := &p.entries[i]
	p.row.Line = e.line
	if err := w.format.Layout.Parse(&p.row, e.raw); err != nil {
		return err
	}
	return w.format.Read(&p.row, w.f.Members[e.member].Name, it)
}

// Entry is a record and where it stands, as Each shows it. Item is lent.
type Entry struct {
	Number uint32 // in the file, from 1
	Member string
	Line   int
	State  State
	Reason Reason
	*Item
}

// Each shows the stored records of a file in their order.
func (s *Store) Each(f *File, show func(*Entry) error) error {
	format, err := s.format(f)
	if err != nil {
		return err
	}
	w := &work{Store: s, f: f, format: format}
	if w.seal, err = newSealer(&s.o, s.secret, f); err != nil {
		return err
	}
	e := Entry{Item: &Item{}}
	for n := range f.Pages {
		p, err := w.load(f, n)
		if err != nil {
			return err
		}
		for i := range p.entries {
			if err := w.read(p, i, e.Item); err != nil {
				return err
			}
			e.Number++
			e.Member, e.Line = f.Members[p.entries[i].member].Name, p.entries[i].line
			e.State, e.Reason = State(p.states[2*i]), Reason(p.states[2*i+1])
			if err := show(&e); err != nil {
				return err
			}
		}
	}
	return nil
}

// ErrNotDone is for results that are not there yet.
var ErrNotDone = errors.New("文件未处理完 · the file is not done")

// Results writes the answer to the sender: a line file,records,sum,refused and for
// each record member,line,sam,sam-seq,card-seq,amount,code. A file in quarantine has
// code 8 and its faults instead. The same file gives the same bytes, and digest is
// their MD5.
func (s *Store) Results(f *File, out io.Writer) (digest string, err error) {
	sum := md5.New()
	w := &counted{Writer: io.MultiWriter(out, sum)}
	switch f.Stage {
	case Quarantined:
		w.line(f.Name, "0", "0", "8")
		for _, fault := range f.Faults {
			w.line("#" + fault)
		}
		w.flush()
		return hex.EncodeToString(sum.Sum(nil)), w.err
	case Done:
	default:
		return "", fmt.Errorf("%s: %w", f.Name, ErrNotDone)
	}
	w.line(f.Name, strconv.Itoa(int(f.Records)), strconv.FormatUint(f.Sum, 10), strconv.Itoa(int(f.Records-f.Codes[0])))
	err = s.Each(f, func(e *Entry) error {
		w.line(e.Member, strconv.Itoa(e.Line), string(e.SAM), strconv.FormatUint(e.SAMSeq, 10), strconv.FormatUint(e.CardSeq, 10),
			strconv.FormatUint(e.Amount, 10), string(e.Reason.Code()))
		return w.err
	})
	w.flush()
	return hex.EncodeToString(sum.Sum(nil)), errors.Join(err, w.err)
}

// counted gathers lines, so that a million of them are not a million writes.
type counted struct {
	io.Writer
	buf bytes.Buffer
	err error
}

func (w *counted) line(columns ...string) {
	for i, c := range columns {
		if i > 0 {
			w.buf.WriteByte(',')
		}
		w.buf.WriteString(c)
	}
	w.buf.WriteByte('\n')
	if w.buf.Len() > 64<<10 {
		w.flush()
	}
}

func (w *counted) flush() {
	if w.err == nil {
		_, w.err = w.Writer.Write(w.buf.Bytes())
	}
	w.buf.Reset()
}

// Settle moves the verified records of a file to settled, for whoever has put them
// into a settlement, and says how many there were. Doing it again moves none.
func (s *Store) Settle(f *File) (moved uint32, err error) {
	if f.Stage != Done {
		return 0, fmt.Errorf("%s: %w", f.Name, ErrNotDone)
	}
	b := s.db.NewBatch()
	defer b.Close()
	for n := range f.Pages {
		states, err := s.get(pageKey('Z', f.ID, n))
		if err != nil {
			return 0, err
		}
		for i := 0; i+1 < len(states); i += 2 {
			if State(states[i]) == Verified {
				states[i] = byte(Verified.to(Settled))
				moved++
			}
		}
		if err := b.Set(pageKey('Z', f.ID, n), states, nil); err != nil {
			return 0, err
		}
	}
	if moved == 0 {
		return 0, nil
	}
	f.States[string(Settled)] += moved
	delete(f.States, string(Verified))
	return moved, s.commit(b, f)
}
