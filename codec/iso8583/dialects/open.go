// Package dialects finds dialects by name: those that are built into the codec,
// and those that users declare in files, in YAML or in moov-io/iso8583's JSON. It
// also writes, compares and examines them.
package dialects

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"tongka/codec/iso8583"
	"tongka/yamlfile"
)

// maxFile is the size in bytes that a file may have.
const maxFile = 1 << 20

// Open gives the dialect of a name: a built-in one (pos, cups, 87A, whatever the
// case), or the one that the file at that path declares. A built-in name goes
// before a file of the same name; write ./pos for the file. It reads and compiles,
// so it is for start-up. The error is yamlfile.Faults when there is a file but it is
// not right.
func Open(nameOrPath string) (*iso8583.Spec, error) {
	if s, ok := iso8583.Named(nameOrPath); ok {
		return s, nil
	}
	f, err := Read(nameOrPath)
	if err != nil {
		return nil, err
	}
	return iso8583.Compile(f.Declaration)
}

// Find is Open for whoever wants the declaration: what a list shows, or compares.
// A built-in one has no places in a file.
func Find(nameOrPath string) (*File, error) {
	if s, ok := iso8583.Named(nameOrPath); ok {
		return &File{Name: s.Name(), Declaration: s.Declaration()}, nil
	}
	return Read(nameOrPath)
}

// Names are those of the built-in dialects.
func Names() []string {
	var names []string
	for _, s := range iso8583.Builtin() {
		names = append(names, s.Name())
	}
	return names
}

// File is a dialect that was read from a file.
type File struct {
	Name        string // the file's
	Declaration *iso8583.Declaration
	Notes       yamlfile.Faults // what of a moov specification has no words here
	at          map[string]yamlfile.Pos
}

// Read reads the file at a path. The error is yamlfile.Faults, all of them, when
// the file could be read but is not right.
func Read(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("方言 · dialect %q: %w; 内置 · built in: %s", path, err, strings.Join(Names(), ", "))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("方言文件 · dialect file: %w", err)
	}
	return Parse(path, b)
}

// Parse reads a file of either form. The name is for faults.
func Parse(name string, b []byte) (*File, error) {
	root, faults := yamlfile.Tree(name, b, maxFile, "switch dialect show 87b")
	r := &reader{file: name, faults: faults, at: map[string]yamlfile.Pos{}, defaults: map[iso8583.Kind]iso8583.Coding{}}
	if root == nil {
		return nil, r.faults
	}
	r.at[""] = yamlfile.NodePos(root)
	if isMoov(root) {
		r.moov(root)
	} else {
		r.dialect(root)
	}
	for _, f := range r.d.Faults() {
		r.declared(f)
	}
	if r.faults != nil {
		r.faults.Sort()
		return nil, r.faults
	}
	r.notes.Sort()
	return &File{Name: name, Declaration: &r.d, Notes: r.notes, at: r.at}, nil
}

// declared notes a fault of the declaration at the place that it came from, unless
// that line could not be read: what is missing then is no second fault.
func (r *reader) declared(f iso8583.Fault) {
	p := place(r.file, r.at, f)
	if !slices.ContainsFunc(r.faults, func(known yamlfile.Fault) bool { return known.Line == p.Line }) {
		r.faults = append(r.faults, p)
	}
}

// place finds where in the file something of a declaration stands.
func place(file string, at map[string]yamlfile.Pos, f iso8583.Fault) yamlfile.Fault {
	path, message := f.Key, f.Message
	var tries []string
	if f.Field >= 0 {
		path, message = fieldPath(f.Field), fmt.Sprintf("F%d: %s", f.Field, f.Message)
		if f.Part > 0 {
			tries = append(tries, fmt.Sprintf("%s.parts[%d]", path, f.Part-1))
		}
		tries = append(tries, path+"."+f.Key)
	}
	for _, p := range append(tries, path, "fields", "") {
		if pos, ok := at[p]; ok {
			return yamlfile.Fault{File: file, Line: pos.Line, Column: pos.Column, Message: message, Hint: f.Hint}
		}
	}
	return yamlfile.Fault{File: file, Line: 1, Column: 1, Message: message, Hint: f.Hint}
}

func fieldPath(n int) string { return fmt.Sprintf("F%d", n) }
