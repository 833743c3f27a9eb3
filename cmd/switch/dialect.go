package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"tongka/codec/iso8583"
	"tongka/codec/iso8583/dialects"
)

// dialectCmd shows and examines dialects. None of it needs a config.
type dialectCmd struct {
	List   dialectListCmd   `cmd:"" help:"内置方言 · what is built in"`
	Show   dialectShowCmd   `cmd:"" help:"显示方言（YAML，可作新方言的起点）· show a dialect as YAML, to begin a new one with"`
	Import dialectImportCmd `cmd:"" help:"把 moov-io/iso8583 的 JSON 规范转为方言文件 · make a dialect file of a specification in moov-io/iso8583's JSON"`
	Lint   dialectLintCmd   `cmd:"" help:"检查方言文件：错误与可疑之处 · faults of a dialect file, and what is seldom meant"`
	Diff   dialectDiffCmd   `cmd:"" help:"逐域比较两个方言 · compare two dialects field by field"`
}

type dialectListCmd struct {
	JSON bool `help:"输出 JSON · write JSON"`
}

// dialectRow is one line of the list.
type dialectRow struct {
	Name    string `json:"name"`
	About   string `json:"about"`
	Framing string `json:"framing"`
	Fields  int    `json:"fields"`
}

// Run lists the built-in dialects.
func (c *dialectListCmd) Run(s *streams) error {
	var rows []dialectRow
	for _, d := range iso8583.Builtin() {
		rows = append(rows, dialectRow{d.Name(), d.Declaration().About, d.Framing().String(), len(d.Declaration().Fields)})
	}
	if c.JSON {
		return writeJSON(s.out, rows)
	}
	fmt.Fprintln(s.out, "名称 name     域 fields  前置 framing  说明 about")
	for _, r := range rows {
		fmt.Fprintf(s.out, "%-14s%9d  %-13s %s\n", r.Name, r.Fields, r.Framing, r.About)
	}
	return nil
}

type dialectShowCmd struct {
	JSON    bool   `help:"输出 JSON · write JSON"`
	Dialect string `arg:"" name:"name" help:"内置方言或文件 · a built-in dialect, or a file"`
}

// fieldRow is one field for scripts.
type fieldRow struct {
	Field  int    `json:"field"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Coding string `json:"coding"`
	Length int    `json:"length"`
	Prefix string `json:"prefix,omitempty"`
	Check  string `json:"check,omitempty"`
}

// Run writes a dialect.
func (c *dialectShowCmd) Run(s *streams) error {
	f, err := dialects.Find(c.Dialect)
	if err != nil {
		return err
	}
	d := f.Declaration
	if !c.JSON {
		return dialects.Write(s.out, d)
	}
	out := struct {
		dialectRow
		MTI    string     `json:"mti"`
		Bitmap string     `json:"bitmap"`
		Table  []fieldRow `json:"table"`
	}{dialectRow{d.Name, d.About, d.Framing.String(), len(d.Fields)}, d.MTI.String(), d.Bitmap.String(), nil}
	for _, n := range d.Numbers() {
		f := d.Fields[n]
		row := fieldRow{n, f.Name, f.Kind.String(), f.Coding.String(), f.Length, "", f.Check.String()}
		if f.Prefix > 0 {
			row.Prefix = strings.Repeat("L", f.Prefix) + " " + f.Count.String()
		}
		out.Table = append(out.Table, row)
	}
	return writeJSON(s.out, out)
}

type dialectImportCmd struct {
	Out  string `short:"o" placeholder:"FILE" help:"写入文件（不覆盖），缺省为标准输出 · the file to write, which must not exist; standard output otherwise"`
	File string `arg:"" help:"JSON 规范 · the specification"`
}

// Run writes the dialect, and to standard error what became of what has no words
// here.
func (c *dialectImportCmd) Run(s *streams) error {
	f, err := dialects.Read(c.File)
	if err != nil {
		return err
	}
	for _, note := range f.Notes {
		fmt.Fprintf(s.err, "switch: 注意 · note: %s\n", note)
	}
	var b bytes.Buffer
	if err := dialects.Write(&b, f.Declaration); err != nil {
		return err
	}
	if c.Out == "" {
		_, err := b.WriteTo(s.out)
		return err
	}
	out, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("写方言文件 · writing the dialect: %w", err)
	}
	_, err = b.WriteTo(out)
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}

type dialectLintCmd struct {
	JSON    bool   `help:"输出 JSON · write JSON"`
	Dialect string `arg:"" name:"file" help:"方言文件或内置方言 · a dialect file, or a built-in dialect"`
}

// Run lists what is suspicious, on standard output; faults are an error.
func (c *dialectLintCmd) Run(s *streams) error {
	f, err := dialects.Find(c.Dialect)
	if err != nil {
		return err
	}
	found := append(f.Notes, f.Lint()...)
	if c.JSON {
		return writeJSON(s.out, append(make([]dialects.Finding, 0), dialects.Findings(found)...))
	}
	for _, x := range found {
		fmt.Fprintln(s.out, x)
	}
	fmt.Fprintf(s.out, "%s：%d 个域，%d 处可疑 · %d fields, %d findings\n", f.Declaration.Name, len(f.Declaration.Fields), len(found), len(f.Declaration.Fields), len(found))
	return nil
}

type dialectDiffCmd struct {
	JSON bool   `help:"输出 JSON · write JSON"`
	A    string `arg:"" help:"内置方言或文件 · a built-in dialect, or a file"`
	B    string `arg:"" help:"内置方言或文件 · a built-in dialect, or a file"`
}

// Run lists the differences. That there are some is no failure.
func (c *dialectDiffCmd) Run(s *streams) error {
	a, err := dialects.Find(c.A)
	if err != nil {
		return err
	}
	b, err := dialects.Find(c.B)
	if err != nil {
		return err
	}
	diff := dialects.Diff(a.Declaration, b.Declaration)
	if c.JSON {
		return writeJSON(s.out, append(make([]dialects.Difference, 0), diff...))
	}
	for _, d := range diff {
		place, x, y := d.Key, d.A, d.B
		if d.Field >= 0 {
			place = strings.TrimSpace(fmt.Sprintf("F%d %s", d.Field, d.Key))
		}
		fmt.Fprintf(s.out, "%-18s %s | %s\n", place, orNone(x), orNone(y))
	}
	fmt.Fprintf(s.out, "%s | %s：%d 处不同 · %d differences\n", a.Declaration.Name, b.Declaration.Name, len(diff), len(diff))
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
