// Package report reads the files that a bench run leaves: it judges them by a file
// of goals, draws them as a page, compares two of them and writes the tables that
// documents quote. It knows a file by its names and not by the bench's types, so that a
// figure that a run adds can be a goal at once.
package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// File is one run's result.
type File struct {
	Time    time.Time        `json:"time"`
	Seconds float64          `json:"seconds"`
	Pairs   int              `json:"pairs"`
	Machine Machine          `json:"machine"`
	Shapes  map[string]Shape `json:"shapes"`
	// Peers are medians by name and shape.
	Peers     map[string]map[string]Figures `json:"peers"`
	Quantiles []float64                     `json:"quantiles"` // in percent
	Idle      float64                       `json:"idle_bytes_per_terminal"`
	Codec     float64                       `json:"codec_ns"`

	tree map[string]any
}

// Machine is what the figures were measured on.
type Machine struct {
	CPU        string  `json:"cpu"`
	Cores      int     `json:"cores"`
	Kernel     string  `json:"kernel"`
	Go         string  `json:"go"`
	FileSystem string  `json:"file_system"`
	Load       float64 `json:"load_1m"`
	Awake      bool    `json:"kept_awake"`
}

// Shape is the switch in one shape, and the raw relay.
type Shape struct {
	Figures
	CPURatio float64              `json:"cpu_ratio_raw"`
	TPSRatio float64              `json:"tps_ratio_raw"`
	P99Ratio float64              `json:"p99_ratio_raw"`
	Raw      Figures              `json:"raw"`
	Rounds   []map[string]Figures `json:"rounds"` // by system
	// Open is the switch at a rate, nil when that was not measured.
	Open *Open `json:"open"`
	// What a transaction takes of the switch; nil where it could not be counted.
	Allocs     *float64          `json:"allocs_per_txn"`
	Syscalls   *float64          `json:"syscalls_per_txn"`
	Disk       *float64          `json:"disk_bytes_per_txn"`
	Written    *float64          `json:"written_bytes_per_txn"`
	Memory     *float64          `json:"rss_bytes"`
	Unmeasured map[string]string `json:"unmeasured"` // why, by the figure's name
}

// Open is a shape's open loop.
type Open struct {
	Figures
	Rate int `json:"rate"`
}

// Figures are of one system: microseconds, but for TPS.
type Figures struct {
	CPU         float64   `json:"cpu_us"`
	User        float64   `json:"user_us"`
	System      float64   `json:"sys_us"`
	Machine     float64   `json:"machine_us"`
	TPS         float64   `json:"tps"`
	P50         float64   `json:"p50_us"`
	P99         float64   `json:"p99_us"`
	Percentiles []float64 `json:"percentiles_us"`
	OverTime    []float64 `json:"tps_over_time"` // of each tenth of a second
}

// mostBytes is the size of the largest file that is read: a hundred rounds of every
// shape are a tenth of it.
const mostBytes = 64 << 20

// Read reads a file that --json wrote. The error names the file, and the byte where it
// cannot be read.
func Read(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > mostBytes {
		return nil, fmt.Errorf("%s：不是结果文件，或超过 %d 字节 · not a file of results, or larger than %d bytes", path, mostBytes, mostBytes)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s：不是压测结果 · not a result of the bench: %w", path, err)
	}
	return f, nil
}

// Parse reads what a file holds.
func Parse(b []byte) (*File, error) {
	f := &File{}
	if err := json.Unmarshal(b, f); err != nil {
		switch at := err.(type) {
		case *json.SyntaxError:
			return nil, fmt.Errorf("byte %d: %w", at.Offset, err)
		case *json.UnmarshalTypeError:
			return nil, fmt.Errorf("byte %d, %s: %w", at.Offset, at.Field, err)
		}
		return nil, err
	}
	if err := json.Unmarshal(b, &f.tree); err != nil {
		return nil, err
	}
	if len(f.Shapes) == 0 {
		return nil, fmt.Errorf("shapes 为空 · shapes is empty")
	}
	return f, nil
}

// Number is the figure at a path of names, such as shapes.D.cpu_us.
func (f *File) Number(path string) (float64, bool) {
	var v any = f.tree
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return 0, false
		}
		v = m[name]
	}
	n, ok := v.(float64)
	return n, ok && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// has says whether a path leads to anything.
func (f *File) has(path string) bool {
	var v any = f.tree
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any) // a name of nothing is nothing
		next, ok := m[name]
		if !ok {
			return false
		}
		v = next
	}
	return true
}

// shapeOrder is how people list them.
const shapeOrder = "ADWCM"

// shapes are the names of the shapes, in their order; others behind.
func (f *File) shapes() (names []string) {
	for name := range f.Shapes {
		names = append(names, name)
	}
	place := func(s string) int {
		if i := strings.Index(shapeOrder, s); i >= 0 {
			return i
		}
		return len(shapeOrder)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}

// shapeNames are the words of the shapes, Chinese and English.
var shapeNames = map[string][2]string{
	"A": {"50 台终端，各 1 笔在途", "50 terminals × 1 under way"},
	"D": {"500 台终端，各 1 笔", "500 terminals × 1"},
	"W": {"16 条连接，各 64 笔", "16 connections × 64"},
	"C": {"连接、一笔、断开（32 路）", "connect, one sale, close (32)"},
	"M": {"一日的混合交易", "a day's mix"},
}
