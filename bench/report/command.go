package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"
)

// Exit codes of Main.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Commands are the words that Main knows.
var Commands = []string{"compare", "goals", "html", "table"}

// streams are where the commands write.
type streams struct{ out io.Writer }

type commands struct {
	Compare compareCmd `cmd:"" help:"比较两次压测，指出噪声 · compare two runs, and say what is noise"`
	Goals   goalsCmd   `cmd:"" help:"以目标文件评判一次压测 · judge a run by a file of goals"`
	HTML    htmlCmd    `cmd:"" name:"html" help:"画成可离线打开的网页 · draw a page that opens offline"`
	Table   tableCmd   `cmd:"" help:"打印 Markdown 表，或写入文档 · the table in Markdown, or written into documents"`
}

type compareCmd struct {
	A string `arg:"" help:"结果文件 · a file of results" placeholder:"A.json"`
	B string `arg:"" help:"与之相比的结果文件 · the one held against it" placeholder:"B.json"`
}

type goalsCmd struct {
	File  string `arg:"" help:"结果文件 · a file of results" placeholder:"FILE"`
	Goals string `help:"目标文件 · the file of goals" default:"bench/goals.yaml" placeholder:"FILE"`
}

type htmlCmd struct {
	File string `arg:"" help:"结果文件 · a file of results" placeholder:"FILE"`
	Out  string `arg:"" help:"网页 · the page" placeholder:"PAGE.html"`
}

type tableCmd struct {
	File  string   `arg:"" help:"结果文件 · a file of results" placeholder:"FILE"`
	Docs  []string `arg:"" optional:"" help:"含 figures:begin 与 figures:end 两行的文档 · documents with the lines figures:begin and figures:end" placeholder:"DOC"`
	Check bool     `help:"只核对，不写 · only look whether they quote this run"`
	Zh    bool     `help:"无文档时打印中文 · print it in Chinese"`
}

// Main runs one of the Commands and gives the exit code.
func Main(args []string, stdout, stderr io.Writer) (code int) {
	done := false
	var c commands
	k, err := kong.New(&c, kong.Name("bench"), kong.Writers(stdout, stderr), kong.Exit(func(n int) { code, done = n, true }))
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	ctx, err := k.Parse(args)
	if done {
		return code
	}
	if err != nil {
		fmt.Fprintf(stderr, "命令行有误 · %v\n", err)
		return exitUsage
	}
	if err := ctx.Run(&streams{stdout}); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return exitOK
}

// Run compares.
func (c *compareCmd) Run(s *streams) error {
	a, err1 := Read(c.A)
	b, err2 := Read(c.B)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	Compare(s.out, a, b)
	return nil
}

// Run judges.
func (c *goalsCmd) Run(s *streams) error {
	goals, err1 := ReadGoals(c.Goals)
	f, err2 := Read(c.File)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return goals.Hold(s.out, f)
}

// Hold is Judge with an error when a goal is missed.
func (gs Goals) Hold(w io.Writer, f *File) error {
	if missed := gs.Judge(w, f); missed > 0 {
		return fmt.Errorf("%d 项未达标 · %d of %d goals missed", missed, missed, len(gs))
	}
	return nil
}

// Run draws.
func (c *htmlCmd) Run(*streams) error {
	f, err := Read(c.File)
	if err != nil {
		return err
	}
	return Save(f, c.Out)
}

// Save writes the page to a file; folders on the way are made.
func Save(f *File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	w, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(HTML(w, f), w.Close())
}

// Run prints or writes the table.
func (c *tableCmd) Run(s *streams) error {
	f, err := Read(c.File)
	if err != nil {
		return err
	}
	if len(c.Docs) == 0 {
		_, err := io.WriteString(s.out, Table(f, c.Zh))
		return err
	}
	stale, err := Quote(f, c.Docs, c.Check)
	if err != nil {
		return err
	}
	for _, path := range stale {
		if c.Check {
			err = errors.Join(err, fmt.Errorf("%s：所引并非此次压测 · quotes another run", path))
		} else {
			fmt.Fprintf(s.out, "%s：已更新 · written\n", path)
		}
	}
	return err
}
