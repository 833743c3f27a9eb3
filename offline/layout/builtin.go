package layout

import (
	"embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"tongka/yamlfile"
)

//go:embed builtin/*.yaml
var files embed.FS

// Builtin gives the layouts that come with the program, by name.
func Builtin() []*Layout {
	entries, err := files.ReadDir("builtin")
	if err != nil {
		panic(err) // it is in the program
	}
	all := make([]*Layout, 0, len(entries))
	for _, e := range entries {
		b, err := files.ReadFile("builtin/" + e.Name())
		if err != nil {
			panic(err)
		}
		l, err := Parse(e.Name(), b)
		if err != nil {
			panic(fmt.Sprintf("built-in layout: %v", err)) // every test would say so
		}
		all = append(all, l)
	}
	return all
}

// Open finds a layout by its built-in name, or reads a file.
func Open(name string) (*Layout, error) {
	all := Builtin()
	if i := slices.IndexFunc(all, func(l *Layout) bool { return l.Name == name }); i >= 0 {
		return all[i], nil
	}
	if !strings.ContainsAny(name, "./\\") {
		known := make([]string, len(all))
		for i, l := range all {
			known[i] = l.Name
		}
		return nil, fmt.Errorf("没有格式 %q · no layout %q (%s)", name, name, yamlfile.DidYouMean(name, known))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("格式文件 · layout file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		return nil, fmt.Errorf("格式文件 · layout file: %w", err)
	}
	return Parse(name, b)
}
