package row

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Field is one part of a key.
type Field uint8

// Fields that both sides may know.
const (
	ByRRN Field = iota + 1
	BySTAN
	BySent
	ByAmount
	ByTerminal
)

var fieldNames = [...]string{"", "rrn", "stan", "sent", "amount", "terminal"}

// String is the field's word in rules.
func (f Field) String() string {
	if f > 0 && int(f) < len(fieldNames) {
		return fieldNames[f]
	}
	return "invalid"
}

// Fields say what rows are matched by, at most three.
type Fields []Field

// ParseFields reads words with commas between them, such as rrn or
// stan,sent,amount.
func ParseFields(s string) (fs Fields, err error) {
	for _, word := range strings.Split(s, ",") {
		word = strings.TrimSpace(word)
		f := Field(0)
		for i, n := range fieldNames {
			if i > 0 && n == word {
				f = Field(i)
			}
		}
		if f == 0 {
			return nil, fmt.Errorf("没有匹配字段 %q · no field %q to match by (%s)", word, word, strings.Join(fieldNames[1:], ", "))
		}
		for _, g := range fs {
			if g == f {
				return nil, fmt.Errorf("匹配字段 %s 重复 · field %s twice", f, f)
			}
		}
		fs = append(fs, f)
	}
	if len(fs) > 3 {
		return nil, fmt.Errorf("匹配字段最多三个 · at most three fields to match by, %d given", len(fs))
	}
	return fs, nil
}

// SetKey fills the row's key.
func (r *Row) SetKey(fs Fields) {
	r.Key = Key{}
	binary.BigEndian.PutUint16(r.Key[:], uint16(r.Link))
	for i, f := range fs {
		b := r.Key[2+8*i:]
		switch f {
		case ByRRN:
			binary.BigEndian.PutUint64(b, r.RRN)
		case BySTAN:
			binary.BigEndian.PutUint64(b, uint64(r.STAN))
		case BySent:
			binary.BigEndian.PutUint64(b, r.Sent)
		case ByAmount:
			binary.BigEndian.PutUint64(b, uint64(r.Amount))
		case ByTerminal:
			copy(b, r.Terminal[:])
		}
	}
}
