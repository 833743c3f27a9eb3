package report

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// compared are the figures that are held against each other, of each round. Ratios to
// raw come first: they hold from one machine and hour to another.
var compared = []struct {
	name string
	more bool // is better
	of   func(round map[string]Figures) float64
}{
	{"cpu_ratio_raw", false, func(r map[string]Figures) float64 { return r[switchName].CPU / r[rawName].CPU }},
	{"tps_ratio_raw", true, func(r map[string]Figures) float64 { return r[switchName].TPS / r[rawName].TPS }},
	{"p99_ratio_raw", false, func(r map[string]Figures) float64 { return r[switchName].P99 / r[rawName].P99 }},
	{"cpu_us", false, func(r map[string]Figures) float64 { return r[switchName].CPU }},
	{"tps", true, func(r map[string]Figures) float64 { return r[switchName].TPS }},
	{"p50_us", false, func(r map[string]Figures) float64 { return r[switchName].P50 }},
	{"p99_us", false, func(r map[string]Figures) float64 { return r[switchName].P99 }},
	{"raw cpu_us", false, func(r map[string]Figures) float64 { return r[rawName].CPU }},
	{"raw tps", true, func(r map[string]Figures) float64 { return r[rawName].TPS }},
}

const (
	rawName    = "raw"
	switchName = "switch"
	openName   = "open" // the switch at a rate
)

// spread is a figure over the rounds of one run.
type spread struct{ least, middle, most float64 }

// leastRounds is how many rounds both runs must have for a verdict. The ranges of three
// and three numbers from one hat lie apart once in ten times, of five and five once in
// 126.
const leastRounds = 3

// Compare writes how two runs differ. A difference is noise when the spreads of the
// rounds of both touch, since then one more round could have turned it round.
func Compare(w io.Writer, a, b *File) {
	fmt.Fprintf(w, "A %s，%d × %g s，负载 load %.2f，%s\nB %s，%d × %g s，负载 load %.2f，%s\n",
		a.Time.Format("2006-01-02 15:04"), a.Pairs, a.Seconds, a.Machine.Load, a.Machine.CPU,
		b.Time.Format("2006-01-02 15:04"), b.Pairs, b.Seconds, b.Machine.Load, b.Machine.CPU)
	if a.Machine.CPU != b.Machine.CPU || a.Machine.Cores != b.Machine.Cores || a.Machine.FileSystem != b.Machine.FileSystem {
		fmt.Fprintln(w, "机器不同，只有与裸转发之比可比 · The machines differ: only the ratios to raw can be compared.")
	}
	if a.Machine.Awake != b.Machine.Awake {
		fmt.Fprintln(w, "其一测量时空闲处理器保持唤醒，另一可休眠 · Idle processors were kept awake in one and slept in the other.")
	}
	fmt.Fprintln(w)
	fmt.Fprintf(w, "%-3s%-16s%-30s%-30s%9s  %s\n", "", "", "A", "B", "B/A", "结论 verdict")
	for _, name := range a.shapes() {
		sb, ok := b.Shapes[name]
		if !ok {
			fmt.Fprintf(w, "%-3sB 未测此形态 · not in B\n", name)
			continue
		}
		sa := a.Shapes[name]
		for _, c := range compared {
			x, ok1 := spreadOf(&sa, c.of)
			y, ok2 := spreadOf(&sb, c.of)
			if !ok1 || !ok2 {
				continue
			}
			fmt.Fprintf(w, "%-3s%-16s%-30s%-30s%+8.1f%%  %s\n", name, c.name, x, y, 100*(y.middle/x.middle-1),
				verdict(x, y, c.more, min(len(sa.Rounds), len(sb.Rounds))))
		}
	}
	for _, name := range b.shapes() {
		if _, ok := a.Shapes[name]; !ok {
			fmt.Fprintf(w, "%-3sA 未测此形态 · not in A\n", name)
		}
	}
}

// spreadOf is false when the run has no such figure, as the switch's with --raw.
func spreadOf(s *Shape, of func(map[string]Figures) float64) (spread, bool) {
	var all []float64
	for _, r := range s.Rounds {
		v := of(r)
		if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
			return spread{}, false
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		return spread{}, false
	}
	slices.Sort(all)
	n := len(all)
	return spread{all[0], (all[(n-1)/2] + all[n/2]) / 2, all[n-1]}, true
}

// String is the middle and the range.
func (s spread) String() string {
	return fmt.Sprintf("%s (%s … %s)", short(s.middle), short(s.least), short(s.most))
}

// verdict names a difference or calls it noise.
func verdict(a, b spread, more bool, rounds int) string {
	switch {
	case rounds < leastRounds:
		return fmt.Sprintf("轮次太少 · too few rounds: %d", rounds)
	case b.least <= a.most && a.least <= b.most:
		return "噪声之内 · noise"
	case (b.middle > a.middle) == more:
		return "更好 · better"
	}
	return "更差 · worse"
}
