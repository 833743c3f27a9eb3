package layout

import (
	"fmt"

	"tongka/yamlfile"
)

// faultAt notes a fault at a path, or at what it would stand in.
func (p *parser) faultAt(path, message, hint string) {
	for {
		if at, ok := p.at[path]; ok {
			p.fault(at, message, hint)
			return
		}
		cut := -1
		for i := range path {
			if path[i] == '.' || path[i] == '[' {
				cut = i
			}
		}
		if cut < 0 {
			p.fault(yamlfile.Pos{Line: 1, Column: 1}, message, hint)
			return
		}
		path = path[:cut]
	}
}

// check finds what is well-formed and cannot work, and fills in what follows.
func (p *parser) check(l *Layout) {
	if l.Name == "" && p.at["name"] == (yamlfile.Pos{}) {
		p.faultAt("name", "缺少 name · name is missing", "")
	}
	if l.Record == nil {
		p.faultAt("record", "缺少 record · record is missing", "")
		return
	}
	if l.Form == Separated && l.End == NoEnd {
		p.faultAt("end", "分隔格式须有换行 · separated records need an end", "lf")
	}
	if l.Form == Separated && l.Between != 0 {
		p.faultAt("between", "仅用于定长格式 · for fixed records only", "separator")
	}
	p.checkShape(l, l.Header, "header")
	p.checkShape(l, l.Record, "record")
	p.checkShape(l, l.Trailer, "trailer")
	if t := l.Trailer; t != nil && len(t.Fields) > 0 {
		if first := t.Fields[0]; first.Is == "" || first.Type.Binary() {
			p.faultAt("trailer.fields[0]", "文件尾的第一个域须有 is，且为字符，以与记录区分 · the first field of a trailer needs characters in is, to be told from a record", "is: \"END\"")
		}
		if l.End == NoEnd && t.Size != l.Record.Size {
			p.faultAt("trailer", "无换行时文件尾须与记录等长 · without ends a trailer has to be as long as a record", "")
		}
	}
}

func (p *parser) checkShape(l *Layout, s *Shape, path string) {
	if s == nil {
		return
	}
	if len(s.Fields) == 0 {
		p.faultAt(path, "缺少 fields · fields are missing", "")
		return
	}
	names, at := map[string]bool{}, 0
	for i := range s.Fields {
		f, here := &s.Fields[i], fmt.Sprintf("%s.fields[%d]", path, i)
		p.checkField(l, f, here)
		if names[f.Name] && f.Name != "-" {
			p.faultAt(here+".name", fmt.Sprintf("名称 %q 重复 · the name %q stands twice", f.Name, f.Name), "")
		}
		names[f.Name] = true
		if l.Form == Separated {
			continue
		}
		if l.Between != 0 && i > 0 {
			at++
		}
		if f.At >= 0 && f.At != at {
			p.faultAt(here+".at", fmt.Sprintf("前面的域止于 %d，此处写 %d · the fields before end at %d, here stands %d", at, f.At, at, f.At), `空档写作 · a gap is {name: "-", length: …}`)
		}
		f.At = at
		at += f.Width
	}
	if l.Form == Separated {
		if s.Tail > 0 {
			p.faultAt(path+".tail", "仅用于定长格式 · for fixed records only", "least")
		}
		if s.Least == 0 {
			s.Least = len(s.Fields)
		} else if s.Least > len(s.Fields) {
			p.faultAt(path+".least", "least 大于列数 · least is more than there are columns", "")
		}
		return
	}
	if at > MaxSize {
		p.faultAt(path, fmt.Sprintf("记录超过 %d 字节 · a record of more than %d bytes", MaxSize, MaxSize), "")
	}
	if s.Size != 0 && s.Size != at {
		p.faultAt(path+".length", fmt.Sprintf("各域共 %d 字节，此处写 %d · the fields are %d bytes, here stands %d", at, s.Size, at, s.Size), "")
	}
	s.Size = at
	if s.Tail > 0 && l.End == NoEnd {
		p.faultAt(path+".tail", "无换行时不可有 tail · without ends there is no tail", "")
	}
}

func (p *parser) checkField(l *Layout, f *Field, here string) {
	if f.Name == "" {
		p.faultAt(here, "缺少 name · name is missing", `填充写作 · a filler is "-"`)
	}
	if f.Width == 0 {
		p.faultAt(here, "缺少 length · length is missing", "")
	}
	numeric := f.Type == BigEndian || f.Type == LittleEndian
	if numeric && f.Width > 8 {
		p.faultAt(here+".length", "二进制数至多 8 字节 · a binary number has 8 bytes at most", "")
	}
	if f.Type.Binary() && l.Form == Separated {
		p.faultAt(here+".type", "分隔格式中不可有二进制域 · no binary fields between separators", "hex")
	}
	for i, v := range append([]string{f.Is}, f.Values...) {
		path := here + ".is"
		if i > 0 {
			path = here + ".values"
		}
		t := f.Type
		if numeric {
			t = HexNumber
		}
		if _, bad := convert(t, []byte(v)); v != "" && bad >= 0 {
			p.faultAt(path, fmt.Sprintf("%q 不是这种类型的值 · %q is no value of this type", v, v), "")
		}
		if len(v) > f.Width && !numeric {
			p.faultAt(path, "比域长 · longer than the field", "")
		}
	}
}

// Lint gives what is allowed and seldom meant, at its place.
func (l *Layout) Lint() yamlfile.Faults {
	var all yamlfile.Faults
	add := func(path, message, hint string) {
		at := l.at[path]
		all = append(all, yamlfile.Fault{File: l.file, Line: max(at.Line, 1), Column: max(at.Column, 1), Message: message, Hint: hint})
	}
	if l.Form == Fixed && l.End == NoEnd && l.Header == nil && l.Record.Index("-") < 0 && !l.anchored() {
		add("record", "既无换行也无定值域，错位的文件认不出来 · neither ends nor constants: a file that is shifted is not noticed", "is: …")
	}
	if l.Header == nil && l.Trailer == nil {
		add("record", "无文件头与文件尾，截断只能靠清单或摘要发现 · no header and no trailer: only a list or digest shows that a file was cut off", "")
	}
	for i := range l.Record.Fields {
		f, here := &l.Record.Fields[i], fmt.Sprintf("record.fields[%d]", i)
		if f.Optional && f.Is != "" {
			add(here, f.Name+": 定值而可空 · a constant that may be empty", "")
		}
		if f.Type == Text && f.Width > 1024 {
			add(here, f.Name+": 很长的文本 · a very long text", "")
		}
	}
	if l.Title == "" {
		add("name", "没有 title · no title", "")
	}
	all.Sort()
	return all
}

func (l *Layout) anchored() bool {
	for i := range l.Record.Fields {
		if l.Record.Fields[i].Is != "" {
			return true
		}
	}
	return false
}
