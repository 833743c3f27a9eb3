// Package layout reads and writes files of records whose form is data: fixed widths
// or columns between separators, with a header and a trailer, described in a YAML
// file. It streams in bounded memory, and what is wrong in a file is named by line,
// column and byte. What the fields mean is for others to know.
package layout

import (
	"fmt"

	"tongka/yamlfile"
)

// Form is how the fields of a record are told apart.
type Form uint8

// Forms.
const (
	Fixed     Form = iota // each field has its width
	Separated             // a character stands between two fields; there is no quoting
)

// Type is what a field may hold and what its value is.
type Type uint8

// Types. Text loses the spaces around it; the others are exactly their characters.
const (
	Text      Type = iota
	Digits         // decimal digits, kept as text
	Hex            // hexadecimal digits, kept as text
	Number         // decimal digits as a number
	HexNumber      // hexadecimal digits as a number
	Bytes          // anything
	BigEndian      // 1 to 8 bytes as a number
	LittleEndian
)

var typeNames = []string{"text", "digits", "hex", "number", "hex-number", "bytes", "big-endian", "little-endian"}

// String is the type's word in a layout file.
func (t Type) String() string { return typeNames[t] }

// Numeric says that values of the type are numbers.
func (t Type) Numeric() bool { return t == Number || t == HexNumber || t >= BigEndian }

// Binary says that the bytes are no characters.
func (t Type) Binary() bool { return t >= Bytes }

// Field is one field of a record. Width is in bytes; of a separated field it is the
// most that is allowed. A filler has the name "-".
type Field struct {
	Name     string
	At       int // offset in the record, fixed form only
	Width    int
	Type     Type
	Optional bool     // spaces, or nothing, are a value too: empty text, 0
	Is       string   // what it always holds, when not empty
	Values   []string // what it may hold, when not empty
}

// Shape is one kind of record. Size is the bytes of a fixed one, without its end.
// Of a separated one the last columns may be missing down to Least. Behind a fixed
// one up to Tail bytes may stand that nobody looks at.
type Shape struct {
	Fields []Field
	Size   int
	Least  int
	Tail   int
}

// Index gives the place of a field, -1 when there is none of that name.
func (s *Shape) Index(name string) int {
	if s == nil || name == "" {
		return -1
	}
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// End is what stands after each record.
type End uint8

// Ends of a record.
const (
	LF End = iota
	CRLF
	AnyEnd // LF or CRLF, line by line
	NoEnd  // fixed form only
)

var endNames = []string{"lf", "crlf", "any", "none"}

// Charset is what texts are written in. Separators and numbers are ASCII in all.
type Charset uint8

// Charsets.
const (
	AnyChars Charset = iota // nobody looks
	UTF8
	GBK // and the four bytes of GB 18030
)

var charsetNames = []string{"any", "utf-8", "gbk"}

// Layout is the form of one kind of file. It is not changed once it is read.
type Layout struct {
	Name      string
	Title     string // Chinese and English
	Form      Form
	Separator byte
	Between   byte // between two fields of a fixed record, 0 = nothing
	Charset   Charset
	End       End
	MaxLine   int // bytes of a line at most, separated form
	Header    *Shape
	Record    *Shape
	Trailer   *Shape
	Use       map[string]string // for whoever gives the fields a meaning
	Rows      map[string]string // the same, for clearing
	Source    []byte            // the YAML that it was read from

	file string
	at   map[string]yamlfile.Pos
}

// Fault gives a fault at a key of Use, or at the layout's beginning.
func (l *Layout) Fault(key, message, hint string) yamlfile.Fault {
	return l.faultAt("use."+key, message, hint)
}

// RowsFault gives a fault at a key of Rows, or at the layout's beginning.
func (l *Layout) RowsFault(key, message, hint string) yamlfile.Fault {
	return l.faultAt("rows."+key, message, hint)
}

func (l *Layout) faultAt(path, message, hint string) yamlfile.Fault {
	p, ok := l.at[path]
	if !ok {
		p = yamlfile.Pos{Line: 1, Column: 1}
	}
	return yamlfile.Fault{File: l.file, Line: p.Line, Column: p.Column, Message: message, Hint: hint}
}

// Limits of a layout.
const (
	MaxFields  = 256
	MaxSize    = 64 << 10 // bytes of a record
	defaultMax = 4096
	maxSource  = 256 << 10
)

// Fault is one thing wrong in a file of records. It names the place, and quotes
// nothing: there are card numbers in these files.
type Fault struct {
	File   string
	Line   int   // record from 1, the header included; the line where records are lines
	Column int   // byte in the record, from 1
	Offset int64 // byte in the file, from 0
	Field  string
	Says   string // Chinese and English
	Last   bool   // nothing can be read behind it
	Cut    bool   // the file ends before its end: more may be on its way
}

// Error is file:line:column: what, then the byte.
func (f *Fault) Error() string {
	name := f.Field
	if name != "" {
		name += ": "
	}
	return fmt.Sprintf("%s:%d:%d: %s%s (第 %d 字节 · byte %d)", f.File, f.Line, f.Column, name, f.Says, f.Offset, f.Offset)
}
