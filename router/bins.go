package router

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// BINs says whose cards begin how. It never changes.
type BINs struct {
	issuers map[string]int32
	parts   [][]place // of each issuer: the card numbers that no narrower entry gives to another
	ranges  int
}

// Fault is one thing wrong in a BIN table.
type Fault struct {
	Name    string // of the file
	Line    int    // from 1
	Column  int    // in bytes, from 1
	Message string // Chinese and English
}

// String is name:line:column: message.
func (f Fault) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.Name, f.Line, f.Column, f.Message)
}

// Faults are all that is wrong in a BIN table, in the order of its lines.
type Faults []Fault

// Error gives one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

const (
	maxFaults = 200
	maxIssuer = 64 // bytes of a name
)

// binReader reads one BIN table.
type binReader struct {
	in     *csv.Reader
	name   string
	bin    int // columns
	issuer int
	places []place // value is the issuer
	lines  []int   // of each place
	bins   *BINs
	names  []string
	faults Faults
}

// ReadBINs reads a BIN table from CSV. The first line names the columns: bin (a
// prefix, or two of one length joined by -; 1 to 10 digits) and issuer (any
// name), and remark, which is not read. Where entries lie over each other the
// narrowest one counts. The error is Faults with all that is wrong.
func ReadBINs(r io.Reader, name string) (*BINs, error) {
	b := &binReader{in: csv.NewReader(r), name: name, bins: &BINs{issuers: map[string]int32{}}}
	b.in.ReuseRecord = true
	b.in.Comment = '#'
	b.in.FieldsPerRecord = -1
	if b.header() {
		for b.next() {
		}
	}
	if b.faults == nil {
		b.settle()
	}
	if b.faults == nil {
		return b.bins, nil
	}
	slices.SortStableFunc(b.faults, func(x, y Fault) int {
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	if more := len(b.faults) - maxFaults; more > 0 {
		b.faults = b.faults[:maxFaults]
		last := &b.faults[maxFaults-1]
		last.Message += fmt.Sprintf("（另有 %d 处错误 · %d more faults）", more, more)
	}
	return nil, b.faults
}

func (b *binReader) fault(line, column int, format string, a ...any) {
	b.faults = append(b.faults, Fault{b.name, line, column, fmt.Sprintf(format, a...)})
}

// read gives the next record, nil at the end. A record with a broken quote is a
// fault, and the reading goes on behind it.
func (b *binReader) read() []string {
	for {
		rec, err := b.in.Read()
		var broken *csv.ParseError
		switch {
		case err == nil:
			return rec
		case errors.As(err, &broken):
			b.fault(broken.Line, broken.Column, "引号不成对 · a quote that does not pair: %v", broken.Err)
		case err == io.EOF:
			return nil
		default:
			b.fault(1, 1, "读取失败 · cannot read: %v", err)
			return nil
		}
	}
}

func (b *binReader) header() bool {
	rec := b.read()
	if rec == nil {
		b.fault(1, 1, "空文件，首行须为 bin,issuer · the file is empty; the first line is bin,issuer")
		return false
	}
	b.bin, b.issuer = -1, -1
	for i, name := range rec {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\uFEFF")))
		line, column := b.in.FieldPos(i)
		switch name {
		case "bin":
			b.bin = i
		case "issuer":
			b.issuer = i
		case "remark":
		default:
			b.fault(line, column, "未知列 %q · unknown column %q: bin, issuer, remark", name, name)
		}
	}
	if b.bin < 0 || b.issuer < 0 {
		b.fault(1, 1, "须有 bin 与 issuer 两列 · the columns bin and issuer are wanted")
	}
	return b.faults == nil
}

// next reads one entry; false at the end.
func (b *binReader) next() bool {
	rec := b.read()
	if rec == nil {
		return false
	}
	line, _ := b.in.FieldPos(0)
	if len(rec) <= max(b.bin, b.issuer) {
		b.fault(line, 1, "字段不足 · a field is missing")
		return true
	}
	issuer := strings.TrimSpace(rec[b.issuer])
	if issuer == "" || len(issuer) > maxIssuer {
		_, column := b.in.FieldPos(b.issuer)
		b.fault(line, column, "发卡方须为 1 至 %d 字节 · issuer: 1 to %d bytes wanted", maxIssuer, maxIssuer)
		return true
	}
	r, err := ParseRange(strings.TrimSpace(rec[b.bin]))
	if err != nil {
		_, column := b.in.FieldPos(b.bin)
		b.fault(line, column, "%v", err)
		return true
	}
	b.places = append(b.places, place{r, r.width(), b.issuerOf(issuer)})
	b.lines = append(b.lines, line)
	if len(b.places) > MaxRanges {
		b.fault(line, 1, "超过 %d 行 · more than %d entries", MaxRanges, MaxRanges)
		return false
	}
	return true
}

func (b *binReader) issuerOf(name string) int32 {
	i, ok := b.bins.issuers[name]
	if !ok {
		name = strings.Clone(name)
		i = int32(len(b.names))
		b.names = append(b.names, name)
		b.bins.issuers[name] = i
	}
	return i
}

// settle gives each card number to the narrowest entry. Two of one width on one
// number contradict each other, or say the same twice.
func (b *binReader) settle() {
	entries := b.places // each is its own value while they are sorted out
	numbered := make([]place, len(entries))
	for i, p := range entries {
		numbered[i] = place{p.Range, p.width, int32(i)}
	}
	cut, err := sweep(numbered, nil)
	if err != nil {
		b.fault(1, 1, "%v", err)
		return
	}
	b.bins.ranges = len(entries)
	b.bins.parts = make([][]place, len(b.names))
	told := map[[2]int32]bool{}
	for i, head := range cut.heads {
		if head == end {
			continue
		}
		first := cut.nodes[head].rule
		p := entries[first]
		if second := cut.nodes[head].next; second != end {
			if other := cut.nodes[second].rule; entries[other].width == p.width && !told[[2]int32{first, other}] {
				told[[2]int32{first, other}] = true
				b.fault(b.lines[other], 1, "%v 与第 %d 行的 %v 重叠且同宽 · %v overlaps %v in line %d and is as wide",
					entries[other].Range, b.lines[first], p.Range, entries[other].Range, p.Range, b.lines[first])
			}
		}
		b.bins.parts[p.value] = append(b.bins.parts[p.value], place{Range{cut.starts[i], cut.last(i)}, p.width, 0})
	}
}

// of gives the card ranges of an issuer.
func (b *BINs) of(issuer string) ([]place, bool) {
	if b == nil {
		return nil, false
	}
	i, ok := b.issuers[issuer]
	if !ok {
		return nil, false
	}
	return b.parts[i], true
}

// Len is the number of entries.
func (b *BINs) Len() int { return b.ranges }

// Issuers is how many different names the table holds.
func (b *BINs) Issuers() int { return len(b.issuers) }
