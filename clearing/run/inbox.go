package run

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"tongka/clearing/day"
	"tongka/clearing/layouts"
	"tongka/clearing/row"
	"tongka/clearing/rules"
)

// FileInfo is one file of the other side.
type FileInfo struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Empty  bool   `json:"empty,omitempty"` // known to have no records: such files may be the same
}

// Inbox gives the files that were brought for a day. What it gives for a day may
// grow until the day is registered.
type Inbox interface {
	// Files lists a day's, by name.
	Files(d day.Date) ([]FileInfo, error)
	// Rows gives each record of a file: ID is its line, Amount, Kind, Status and what
	// the rows are matched by are filled in; Link, File and Date are not. Lines that
	// are wrong are errors with file, line and column, joined, and the file counts
	// not at all then. at is how many bytes of the file lie before the record's end,
	// sum the SHA-256 of what was read.
	Rows(d day.Date, name string, f func(r *row.Row, at int64) error) (sum string, err error)
}

// Folder is an Inbox of our own CSV: dir/DATE/NAME, each put there by a rename. What
// ends in .part or begins with a dot is not there yet.
type Folder struct {
	Dir  string
	Zone *time.Location
}

// Files implements Inbox.
func (in Folder) Files(d day.Date) (all []FileInfo, err error) {
	dir := filepath.Join(in.Dir, d.String())
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range list {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), temporary) {
			continue
		}
		f := FileInfo{Name: e.Name()}
		if f.Size, f.SHA256, err = digest(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

func digest(name string) (size int64, sum string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return size, hex.EncodeToString(h.Sum(nil)), err
}

// Rows implements Inbox.
func (in Folder) Rows(d day.Date, name string, f func(r *row.Row, at int64) error) (sum string, err error) {
	file, err := os.Open(filepath.Join(in.Dir, d.String(), name))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	h := sha256.New()
	// Without a fault it was read to its end.
	_, err = (&layouts.Form{Name: layouts.Own}).Read(io.TeeReader(file, h), layouts.Reading{Name: name, Date: d, Zone: in.Zone}, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// expectedAs finds what the rules say of a file by its name.
func expectedAs(r *rules.Rules, name string) (rules.File, bool) {
	for _, f := range r.Files {
		if ok, err := path.Match(f.Name, name); err == nil && ok {
			return f, true
		}
	}
	return rules.File{}, false
}

// theirFile is one file of the day, as it was registered.
type theirFile struct {
	FileInfo
	Link   uint16 `json:"link"`
	Number uint16 `json:"number"` // from 1; in rows
}

// registered is what the first step freezes.
type registered struct {
	Rules     string      `json:"rules"` // digest
	From      uint64      `json:"from"`
	To        uint64      `json:"to"`
	Files     []theirFile `json:"files"`
	Missing   []string    `json:"missing"`   // required, and gone without
	Decisions FileInfo    `json:"decisions"` // no name: there are none
	End       int64       `json:"end"`       // the moment of the cut
	// Caps are what parties with a reserve account may lose, fen.
	Caps map[string]int64 `json:"caps,omitempty"`
	// Purses are files of offline transactions that the day takes. PursesLeft is how
	// many wait because the rules do not say whose they are.
	Purses     []PurseFile `json:"purses,omitempty"`
	PursesLeft int         `json:"purses_left,omitempty"`
}

// maxFiles is how many files a day may have: their numbers are in rows.
const maxFiles = 60_000

// register freezes what the day is made of.
func (j *job) register() (any, error) {
	r := registered{Rules: j.o.Rules.Digest}
	files, err := j.o.Inbox.Files(j.o.Date)
	if err != nil {
		return nil, err
	}
	if len(files) > maxFiles {
		return nil, fmt.Errorf("%d 个文件，至多 %d · %d files, at most %d", len(files), maxFiles, len(files), maxFiles)
	}
	var faults []error
	names := map[string]string{}
	for _, f := range files {
		if err := j.ctx.Err(); err != nil {
			return nil, err
		}
		want, err := j.admit(&f, names)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if want != nil {
			r.Files = append(r.Files, theirFile{f, uint16(want.Link), uint16(len(r.Files) + 1)})
		}
	}
	for _, want := range j.o.Rules.Files {
		if !want.Required || anyFits(&want, r.Files) {
			continue
		}
		if j.without(want.Name) {
			r.Missing = append(r.Missing, want.Name)
			continue
		}
		faults = append(faults, fmt.Errorf("%s: 应到文件未到；若照常清算，用 --without · this file is required and not there; --without %s goes on", want.Name, want.Name))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if err := errors.Join(j.findDecisions(&r), j.findPurses(&r)); err != nil {
		return nil, err
	}
	if err := j.window(&r); err != nil || j.o.Caps == nil {
		return &r, err
	}
	r.Caps, err = j.o.Caps(j.o.Date)
	return &r, err
}

// admit says what a file is expected as: nil when the day is run without it.
func (j *job) admit(f *FileInfo, seen map[string]string) (*rules.File, error) {
	if j.without(f.Name) {
		return nil, nil
	}
	want, ok := expectedAs(j.o.Rules, f.Name)
	was, err := j.st.fileOf(f.SHA256)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("%s: 规则 files 中没有此文件名 · no name under files in the rules fits it", f.Name)
	case f.Empty:
	case was != 0:
		return nil, fmt.Errorf("%s: 内容与 %s 已清算的文件相同 · the same contents were cleared on %s", f.Name, was, was)
	case seen[f.SHA256] != "":
		return nil, fmt.Errorf("%s: 内容与 %s 相同 · the same contents as %s", f.Name, seen[f.SHA256], seen[f.SHA256])
	}
	seen[f.SHA256] = f.Name
	return &want, nil
}

func (j *job) without(name string) bool {
	for _, w := range j.o.GoWithout {
		if w == name {
			return true
		}
	}
	return false
}

func anyFits(want *rules.File, files []theirFile) bool {
	for i := range files {
		if ok, err := path.Match(want.Name, files[i].Name); err == nil && ok {
			return true
		}
	}
	return false
}

// DecisionsFile is where the desk puts what counts with a day.
func DecisionsFile(dir string, d day.Date) string {
	return filepath.Join(dir, "decisions", d.String()+".jsonl")
}

func (j *job) decisionsFile() string { return DecisionsFile(j.o.Dir, j.o.Date) }

func (j *job) findDecisions(r *registered) error {
	if j.o.Decide != nil {
		if err := j.o.Decide(j.o.Date); err != nil {
			return fmt.Errorf("差错决定 · decisions: %w", err)
		}
	}
	name := j.decisionsFile()
	size, sum, err := digest(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	r.Decisions = FileInfo{Name: filepath.Base(name), Size: size, SHA256: sum}
	return err
}

// sameRules refuses to go on by other rules than the day was begun with.
func (j *job) sameRules() error {
	var r registered
	if _, err := j.st.step(j.o.Date, Register, &r); err != nil {
		return err
	}
	if r.Rules != j.o.Rules.Digest {
		return fmt.Errorf("规则 · rules: %w；用 --redo register 重做 · begin again with --redo register", ErrChanged)
	}
	return nil
}
