package dialects

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"tongka/codec/iso8583"
	"tongka/codec/iso8583/internal/dialect"
)

// Write writes a declaration in the form that Parse reads: the same comes back. The
// codings that most fields have are said once.
func Write(w io.Writer, d *iso8583.Declaration) error {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\n", quote(d.Name))
	if d.About != "" {
		fmt.Fprintf(&b, "about: %s\n", quote(d.About))
	}
	if d.Framing != iso8583.Bare {
		fmt.Fprintf(&b, "framing: %s\n", d.Framing)
	}
	fmt.Fprintf(&b, "mti: %s\nbitmap: %s\n", d.MTI, d.Bitmap)
	if d.Wide {
		b.WriteString("both-bitmaps: true\n")
	}
	if d.Third != dialect.NoThird {
		fmt.Fprintf(&b, "third-bitmap: %s\n", d.Third)
	}
	codings, count := usual(d)
	b.WriteString("defaults:\n")
	for k := iso8583.Numeric; k <= iso8583.Binary; k++ {
		if codings[k] != 0 {
			fmt.Fprintf(&b, "  %s: %s\n", k, codings[k])
		}
	}
	if count != 0 {
		fmt.Fprintf(&b, "  prefix: %s\n", count)
	}
	b.WriteString("fields:\n")
	for _, n := range d.Numbers() {
		f := d.Fields[n]
		fmt.Fprintf(&b, "  %d: {%s}\n", n, strings.Join(words(n, &f, codings[f.Kind], count), ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// usual finds the codings that most fields of each kind and most prefixes have.
func usual(d *iso8583.Declaration) (codings map[iso8583.Kind]iso8583.Coding, count iso8583.Coding) {
	votes := map[iso8583.Kind]map[iso8583.Coding]int{}
	const prefixes = iso8583.Absent // fields have another kind, so this key is free
	vote := func(k iso8583.Kind, c iso8583.Coding) {
		if votes[k] == nil {
			votes[k] = map[iso8583.Coding]int{}
		}
		votes[k][c]++
	}
	for _, f := range d.Fields {
		if vote(f.Kind, f.Coding); f.Prefix > 0 {
			vote(prefixes, f.Count)
		}
	}
	codings = map[iso8583.Kind]iso8583.Coding{}
	for k, of := range votes {
		for c, n := range of {
			if best := of[codings[k]]; n > best || n == best && c < codings[k] {
				codings[k] = c
			}
		}
	}
	count = codings[prefixes]
	delete(codings, prefixes)
	return codings, count
}

// words are the entries of a field.
func words(n int, f *iso8583.Field, coding, count iso8583.Coding) []string {
	list := []string{"type: " + f.Kind.String()}
	add := func(when bool, format string, v ...any) {
		if when {
			list = append(list, fmt.Sprintf(format, v...))
		}
	}
	add(f.Coding != coding, "coding: %s", f.Coding)
	add(true, "length: %d", f.Length)
	add(f.Prefix > 0, "prefix: %s", strings.Repeat("L", f.Prefix))
	add(f.Prefix > 0 && f.Count != count, "prefix-coding: %s", f.Count)
	add(f.Loose, "loose-pad: true")
	add(f.Pad.Char != 0, "pad: %s", padWord(f.Pad))
	add(f.Check != dialect.NoCheck, "check: %s", f.Check)
	add(f.Name != iso8583.NameOf(n), "name: %s", quote(f.Name))
	if f.Parts != nil {
		add(true, "parts: {%s}", strings.Join(partWords(f.Parts), ", "))
	}
	return list
}

func padWord(p iso8583.Pad) string {
	side, char := "right", string(p.Char)
	if p.Left {
		side = "left"
	}
	if p.Char == ' ' {
		char = "space"
	}
	return quote(side + " " + char)
}

func partWords(p *iso8583.Parts) []string {
	list := []string{"form: " + p.Form.String()}
	if p.Form == dialect.TLV {
		list = append(list, fmt.Sprintf("tag: %d, length: %d", p.Tag, p.Length))
	}
	var parts []string
	for _, part := range p.List {
		words := []string{fmt.Sprintf("at: %d, length: %d", part.At, part.Length)}
		if p.Form != dialect.Positions {
			words = []string{"tag: " + quote(part.Tag)}
		}
		if part.Name != "" {
			words = append(words, "name: "+quote(part.Name))
		}
		parts = append(parts, "{"+strings.Join(words, ", ")+"}")
	}
	if len(parts) > 0 {
		list = append(list, "list: ["+strings.Join(parts, ", ")+"]")
	}
	return list
}

// quote writes a string that YAML reads as the same string, bare if it can be.
func quote(s string) string {
	plain := s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == "" && (s[0]|0x20) >= 'a' && (s[0]|0x20) <= 'z'
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		plain = false
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}
