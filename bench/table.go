package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// column is one heading and the width of what stands below it, in cells of a
// terminal.
type column struct {
	zh, en string
	width  int
}

var columns = []column{
	{"形态", "shape", 18}, {"系统", "system", 18}, {"CPU µs/笔", "per txn", 10}, {"TPS", "", 11},
	{"p50 µs", "", 10}, {"p99 µs", "", 10}, {"CPU 比", "ratio", 8}, {"TPS 比", "ratio", 8}, {"p99 比", "ratio", 8},
}

// print writes the report for people.
func (r *Report) print(w io.Writer) {
	m := &r.Machine
	fmt.Fprintf(w, "通卡压测 · Tongka bench: %d × %g s, %s, %d 核 cores, Linux %s, %s, %s, 负载 load %.2f\n",
		r.Pairs, r.Seconds, m.CPU, m.Cores, m.Kernel, m.Go, m.FileSystem, m.Load)
	if r.Rate > 0 {
		fmt.Fprintf(w, "开环 open loop: 每秒到达 %d 笔，时延自应到时刻起算 · %d arrive a second, each timed from when it was due\n", r.Rate, r.Rate)
	}
	if r.Bank != "0" || r.HSM != "soft" {
		fmt.Fprintf(w, "银行 bank: %s，加密机 security module: %s\n", r.Bank, r.HSM)
	}
	if m.Volatile() {
		fmt.Fprintln(w, "注意：数据在内存文件系统上，落盘不花时间，结果无意义 · The data is on tmpfs, where a sync costs nothing: these figures mean nothing. Use --dir.")
	}
	switch {
	case r.Sustained != nil:
		r.Sustained.print(w)
	case r.Front != nil:
		r.Front.print(w)
	case r.Storm != nil:
		r.Storm.print(w)
	case r.SAF != nil:
		r.SAF.print(w)
	case r.Clearing != nil:
		r.Clearing.print(w)
	default:
		r.printShapes(w)
	}
	if i := r.Idle; i != nil {
		fmt.Fprintf(w, "空闲终端 idle terminals: %d，每终端 each %.0f B（%.1f → %.1f MiB）\n",
			i.Connections, i.Each, float64(i.Before)/(1<<20), float64(i.After)/(1<<20))
	}
	if r.Codec > 0 {
		fmt.Fprintf(w, "解析并双向转换 parse + translate both ways, 18 fields: %.0f ns\n", r.Codec)
	}
}

func (r *Report) printShapes(w io.Writer) {
	fmt.Fprintln(w, "空闲处理器 idle processors:", r.Machine.Waiting())
	var zh, en []string
	for _, c := range columns {
		zh, en = append(zh, c.zh), append(en, c.en)
	}
	row(w, zh...)
	row(w, en...)
	for _, name := range r.order {
		s := r.Shapes[name]
		row(w, append([]string{name + " " + shapes[name].about, "裸转发 raw"}, s.Raw.cells()...)...)
		if s.TPS > 0 {
			ratios := []string{fmt.Sprintf("%.2f", s.CPURatio), fmt.Sprintf("%.2f", s.TPSRatio), fmt.Sprintf("%.2f", s.P99Ratio)}
			row(w, append(append([]string{"", "交换 switch"}, s.cells()...), ratios...)...)
		}
		if o := s.Open; o != nil {
			row(w, append([]string{"", fmt.Sprintf("开环 open %d/s", o.Rate)}, o.cells()...)...)
			sayBehind(w, o.Behind, o.Rate)
		}
		sayBehind(w, s.Behind, r.Rate)
		if s.Refused > 0 {
			fmt.Fprintf(w, "%s未成 not approved (98, 91)：%.3f%%\n", strings.Repeat(" ", columns[0].width), 100*s.Refused)
		}
		s.Counts.print(w, strings.Repeat(" ", columns[0].width))
		if s.Disk != nil {
			fmt.Fprintf(w, "%s落盘 disk: %v\n", strings.Repeat(" ", columns[0].width), s.Disk)
		}
		for _, peer := range slices.Sorted(maps.Keys(r.Peers)) {
			p, ok := r.Peers[peer][name]
			if !ok {
				continue
			}
			row(w, append([]string{"", peers[peer].about}, p.cells()...)...)
		}
	}
}

// sayBehind names a rate that was not kept; a few are always on their way.
func sayBehind(w io.Writer, behind int64, rate int) {
	if behind > int64(rate)/100 {
		fmt.Fprintf(w, "%s跟不上：一轮结束时至多 %d 笔应到未发 · behind: up to %d were due and not sent at the end of a round\n", strings.Repeat(" ", columns[0].width), behind, behind)
	}
}

func (f *Figures) cells() []string {
	return []string{fmt.Sprintf("%.2f", f.CPU), fmt.Sprintf("%.0f", f.TPS), fmt.Sprintf("%.0f", f.P50), fmt.Sprintf("%.0f", f.P99)}
}

// row writes one line: words to the left, figures to the right.
func row(w io.Writer, cells ...string) {
	var line strings.Builder
	for i, c := range cells {
		pad := strings.Repeat(" ", max(0, columns[i].width-cellWidth(c)))
		if i < 2 {
			line.WriteString(c + pad)
		} else {
			line.WriteString(pad + c)
		}
	}
	fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
}

// cellWidth is how many cells a terminal uses: two for a Chinese character.
func cellWidth(s string) (n int) {
	for _, c := range s {
		if n++; c >= 0x2E80 {
			n++
		}
	}
	return n
}
