package dialects

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tongka/codec/iso8583"
)

// Difference is one thing in which two dialects differ. Field is -1 for the dialect
// itself; a field that one of them has not is empty there and whole on the other
// side, without a key.
type Difference struct {
	Field int    `json:"field"`
	Key   string `json:"key,omitempty"`
	A     string `json:"a"`
	B     string `json:"b"`
}

// Diff compares two dialects, field by field. Names are not compared: two parties
// call the same thing by different ones.
func Diff(a, b *iso8583.Declaration) []Difference {
	var all []Difference
	add := func(field int, key, x, y string) {
		if x != y {
			all = append(all, Difference{field, key, x, y})
		}
	}
	add(-1, "framing", a.Framing.String(), b.Framing.String())
	add(-1, "mti", a.MTI.String(), b.MTI.String())
	add(-1, "bitmap", a.Bitmap.String(), b.Bitmap.String())
	add(-1, "both-bitmaps", fmt.Sprint(a.Wide), fmt.Sprint(b.Wide))
	add(-1, "third-bitmap", a.Third.String(), b.Third.String())
	numbers := maps.Clone(a.Fields)
	maps.Copy(numbers, b.Fields)
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		f, inA := a.Fields[n]
		g, inB := b.Fields[n]
		if !inA || !inB {
			x, y := "", ""
			if inA {
				x = Brief(&f)
			} else {
				y = Brief(&g)
			}
			add(n, "", x, y)
			continue
		}
		add(n, "type", f.Kind.String(), g.Kind.String())
		add(n, "coding", codingOf(&f), codingOf(&g))
		add(n, "length", size(&f), size(&g))
		add(n, "prefix", prefixOf(&f), prefixOf(&g))
		add(n, "loose-pad", fmt.Sprint(f.Loose), fmt.Sprint(g.Loose))
		add(n, "pad", padOf(&f), padOf(&g))
		add(n, "check", f.Check.String(), g.Check.String())
		add(n, "parts", partsOf(&f), partsOf(&g))
	}
	return all
}

// Brief is a field in one line: number 12 bcd; number ..19 bcd LL bcd.
func Brief(f *iso8583.Field) string {
	s := f.Kind.String() + " " + size(f) + " " + f.Coding.String()
	if f.Prefix > 0 {
		s += " " + prefixOf(f)
	}
	if f.Check != 0 {
		s += " " + f.Check.String()
	}
	return s
}

// codingOf is a field's coding; with an even number of digits there is no pad, and
// both alignments are the same.
func codingOf(f *iso8583.Field) string {
	if f.Packed() && f.Prefix == 0 && f.Length%2 == 0 {
		return "bcd"
	}
	return f.Coding.String()
}

func prefixOf(f *iso8583.Field) string {
	if f.Prefix == 0 {
		return "fixed"
	}
	return strings.Repeat("L", f.Prefix) + " " + f.Count.String()
}

func padOf(f *iso8583.Field) string {
	if f.Pad.Char == 0 {
		return ""
	}
	return padWord(f.Pad)
}

// partsOf is without names.
func partsOf(f *iso8583.Field) string {
	if f.Parts == nil {
		return ""
	}
	p := *f.Parts
	p.List = slices.Clone(p.List)
	for i := range p.List {
		p.List[i].Name = ""
	}
	return strings.Join(partWords(&p), ", ")
}
