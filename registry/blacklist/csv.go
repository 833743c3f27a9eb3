package blacklist

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"tongka/registry/sheet"
	"tongka/txn"
)

// Columns of an import. One of the first three names the card; an export has
// fingerprints, which mean something under the same key only.
var columns = []string{"card", "serial", "fingerprint", "kind", "level", "cause", "remove"}

const (
	colCard = iota
	colSerial
	colPrint
	colKind
	colLevel
	colCause
	colRemove
)

// parse reads entries, in the order of the file.
func parse(in io.Reader, name string, h *Hasher, most int) ([]Entry, error) {
	t := sheet.Open(in, name, columns, 0)
	var entries []Entry
	for t.Next() {
		e := Entry{Print: card(t, h)}
		e.Mark = NewMark(t.Word(colKind, []string{"black", "grey", "b", "g"})%2 == 1, uint8(t.Number(colLevel, 0, MaxLevel)), causeOf(t))
		e.Remove = t.Number(colRemove, 0, 1) == 1
		if t.Faulty() {
			continue // nothing will be applied: what follows is read for its faults
		}
		if entries = append(entries, e); len(entries) > most {
			return nil, fmt.Errorf("%s:%d: 超过 %d 行 · more than %d lines", name, t.Line(), most, most)
		}
	}
	return entries, t.Verdict()
}

// card reads which card a line is about. Its number is not repeated in a fault.
func card(t *sheet.Reader, h *Hasher) (print uint64) {
	named, at := 0, 0
	for c := colCard; c <= colPrint; c++ {
		v, i := t.Field(c)
		if v == "" {
			continue
		}
		named, at = named+1, i
		var err error
		switch c {
		case colCard:
			var p txn.PAN
			if p, err = txn.ParsePAN([]byte(v)); err == nil {
				print = h.Card(&p)
			}
		case colSerial:
			print, err = h.Serial([]byte(v))
		case colPrint:
			if print, err = strconv.ParseUint(v, 16, 64); err != nil || len(v) != 16 {
				err = fmt.Errorf("16 hexadecimal digits wanted")
			}
		}
		if err != nil {
			t.FaultAt(i, "%s 格式错 · %s: %v", columns[c], columns[c], err)
		}
	}
	if named != 1 {
		t.FaultAt(at, "须恰有 card、serial、fingerprint 之一 · one of card, serial, fingerprint is wanted")
	}
	return print
}

func causeOf(t *sheet.Reader) Cause {
	v, i := t.Field(colCause)
	if v == "" {
		return Other
	}
	c, ok := ParseCause(strings.ToLower(v))
	if !ok {
		t.FaultAt(i, "未知原因 %q · unknown cause %q, want one of: %s", v, v, causeWords())
	}
	return c
}

func causeWords() string {
	var words []string
	for c := range causes {
		words = append(words, c.String())
	}
	return strings.Join(words, ", ")
}

// Export writes the list as Import reads it, in the order of the fingerprints.
func (l *List) Export(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, "fingerprint,kind,level,cause")
	for i, p := range l.prints {
		m := l.marks[i]
		fmt.Fprintf(out, "%016x,%s,%d,%s\n", p, m.kind(), m.Level(), m.Cause())
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("blacklist: export: %w", err)
	}
	return nil
}

// Look gives what the list says of a number, as a card's and as a serial number.
func (b *Book) Look(digits string) (marks []Mark, err error) {
	h, l := b.Hasher(), b.List()
	p, errCard := txn.ParsePAN([]byte(digits))
	serial, errSerial := h.Serial([]byte(digits))
	if errCard != nil && errSerial != nil {
		return nil, errors.Join(errCard, errSerial)
	}
	if m, ok := l.Find(h.Card(&p)); ok && errCard == nil {
		marks = append(marks, m)
	}
	if m, ok := l.Find(serial); ok && errSerial == nil {
		marks = append(marks, m)
	}
	return marks, nil
}
