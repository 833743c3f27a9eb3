package bench

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tongka/bench/internal/load"
)

// histograms are the latencies of all rounds together, by shape and system. Percentiles
// of a report are medians of the rounds' own; these are of every single answer.
type histograms map[string]*hdrhistogram.Histogram

// add merges the rounds of one system in one shape.
func (hs histograms) add(name string, rounds []load.Result) error {
	for i := range rounds {
		h, err := hdrhistogram.Decode([]byte(rounds[i].Histogram))
		if err != nil {
			return fmt.Errorf("bench: %s: histogram of round %d: %w", name, i+1, err)
		}
		if hs[name] == nil {
			hs[name] = h
			continue
		}
		hs[name].Merge(h) // made alike: nothing falls out of range
	}
	return nil
}

// Ticks of a percentile file in each half of what is left, and nanoseconds in its unit.
const (
	hgrmTicks = 5
	hgrmUnit  = 1000 // microseconds
)

// save writes a file NAME.hgrm for each, the text that HdrHistogram's own tools draw.
func (hs histograms) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, h := range hs {
		if err := writeFile(filepath.Join(dir, name+".hgrm"), func(w io.Writer) error {
			_, err := h.PercentilesPrint(w, hgrmTicks, hgrmUnit)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// writeFile makes a file of what f writes.
func writeFile(path string, f func(io.Writer) error) error {
	w, err := os.Create(path)
	if err != nil {
		return err
	}
	err = f(w)
	if bad := w.Close(); err == nil {
		err = bad
	}
	return err
}
