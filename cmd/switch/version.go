package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"
)

// versionCmd says what runs here, for a support case.
type versionCmd struct {
	JSON bool `help:"输出 JSON · write JSON"`
}

// build is what the binary says of itself.
type build struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"` // of the commit, RFC 3339
	Modified bool   `json:"modified"`       // built from a tree with changes
}

// Run prints what the Go tool put into the binary; no build flags are needed.
func (c *versionCmd) Run(s *streams) error {
	info, _ := debug.ReadBuildInfo()
	b := readBuild(info)
	if c.JSON {
		return writeJSON(s.out, b)
	}
	fmt.Fprintf(s.out, "通卡 Tongka %s (%s, %s)\n", b.Version, b.Go, b.Platform)
	if b.Revision != "" {
		dirty := ""
		if b.Modified {
			dirty = "，含未提交改动 · with local changes"
		}
		fmt.Fprintf(s.out, "提交 · commit %s %s%s\n", b.Revision, b.Time, dirty)
	}
	return nil
}

// readBuild picks what matters; info is nil when the binary carries none.
func readBuild(info *debug.BuildInfo) build {
	b := build{Module: "tongka", Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info == nil {
		return b
	}
	if info.Main.Path != "" {
		b.Module = info.Main.Path
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, v := range info.Settings {
		switch v.Key {
		case "vcs.revision":
			b.Revision = v.Value
		case "vcs.time":
			if t, err := time.Parse(time.RFC3339, v.Value); err == nil {
				b.Time = t.Format(time.RFC3339)
			}
		case "vcs.modified":
			b.Modified = v.Value == "true"
		}
	}
	return b
}

// writeJSON writes v for a program to read: indented, one newline at the end.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
