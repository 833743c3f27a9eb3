package report

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// The table of a document stands between these lines, which stay.
const (
	tableBegin = "<!-- figures:begin -->\n"
	tableEnd   = "<!-- figures:end -->\n"
)

// Table is what a document quotes, in Markdown: the shapes, the peers, and on what they
// were measured. Nothing in it is written by hand.
func Table(f *File, chinese bool) string {
	pick := func(zh, en string) string {
		if chinese {
			return zh
		}
		return en
	}
	var b strings.Builder
	b.WriteString(pick("| 负载 | 裸转发 TPS | 交换 TPS | 比值 | 每笔 CPU，裸转发 → 交换 | 比值 | p50，裸转发 → 交换 | p99，裸转发 → 交换 |\n",
		"| load | raw relay, TPS | switch, TPS | ratio | CPU per sale, relay → switch | ratio | p50, relay → switch | p99, relay → switch |\n"))
	b.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, name := range f.shapes() {
		s := f.Shapes[name]
		words := shapeNames[name]
		fmt.Fprintf(&b, "| %s | %s | %s | %.2f | %.2f → %.2f µs | %.2f | %s → %s ms | %s → %s ms |\n", name+pick("："+words[0], ": "+words[1]),
			thousands(s.Raw.TPS), thousands(s.TPS), s.TPSRatio, s.Raw.CPU, s.CPU, s.CPURatio, millis(s.Raw.P50), millis(s.P50), millis(s.Raw.P99), millis(s.P99))
	}
	if peers := slices.Sorted(maps.Keys(f.Peers)); len(peers) > 0 {
		b.WriteString(pick("\n| 同场对比 | 负载 | TPS | 每笔 CPU | p99 |\n", "\n| in the same rounds | load | TPS | CPU per sale | p99 |\n"))
		b.WriteString("|---|---|---:|---:|---:|\n")
		for _, peer := range peers {
			words := newSystem(peer, Figures{})
			for _, name := range f.shapes() {
				if p, ok := f.Peers[peer][name]; ok {
					fmt.Fprintf(&b, "| %s | %s | %s | %.2f µs | %s ms |\n", pick(words.ZH, words.EN), name, thousands(p.TPS), p.CPU, millis(p.P99))
				}
			}
		}
	}
	m := &f.Machine
	fmt.Fprintf(&b, pick("\n%s 由 `make bench` 测得：%d 轮，每次 %g 秒，取中位数；%s，%d 核，Linux %s，%s，%s，开始时负载 %.1f；压测端、银行与被测系统共用这些核。",
		"\nMeasured on %s by `make bench`: medians of %d rounds of %g s; %s, %d cores, Linux %s, %s, %s, load %.1f at the start; load generator, bank and the system under test share the cores."),
		f.Time.UTC().Format("2006-01-02"), f.Pairs, f.Seconds, m.CPU, m.Cores, m.Kernel, m.Go, m.FileSystem, m.Load)
	if m.Awake {
		b.WriteString(pick("测量时各系统的空闲处理器一律保持唤醒（见 docs/operations.zh-CN.md）。", " Idle processors were kept awake for all systems (see docs/operations.md)."))
	}
	if f.Idle > 0 {
		fmt.Fprintf(&b, pick("一台空闲终端占 %.0f 字节。", " An idle terminal takes %.0f bytes."), f.Idle)
	}
	if f.Codec > 0 {
		fmt.Fprintf(&b, pick("解析一笔 18 个字段的消费并双向转换需 %.0f ns。", " Parsing a sale of 18 fields and translating it both ways takes %.0f ns."), f.Codec)
	}
	b.WriteString("\n")
	return b.String()
}

func millis(us float64) string {
	return fmt.Sprintf("%.3g", us/1000)
}

// inChinese tells a document's language by its name.
func inChinese(path string) bool { return strings.HasSuffix(path, ".zh-CN.md") }

// quote puts the table into a document; changed says whether it was another. An error
// names the document and the line that is missing.
func quote(doc []byte, path string, f *File) (out []byte, changed bool, err error) {
	for _, mark := range []string{tableBegin, tableEnd} {
		if n := bytes.Count(doc, []byte(mark)); n != 1 {
			return nil, false, fmt.Errorf("%s：%q 须恰有一行，现有 %d · want the line once, there are %d", path, strings.TrimSpace(mark), n, n)
		}
	}
	from := bytes.Index(doc, []byte(tableBegin)) + len(tableBegin)
	to := bytes.Index(doc, []byte(tableEnd))
	if to < from {
		return nil, false, fmt.Errorf("%s：%q 在 %q 之前 · comes before it", path, strings.TrimSpace(tableEnd), strings.TrimSpace(tableBegin))
	}
	out = slices.Concat(doc[:from], []byte(Table(f, inChinese(path))), doc[to:])
	return out, !bytes.Equal(out, doc), nil
}

// Quote writes the table of a run into documents, or with check only says which of
// them quote something else.
func Quote(f *File, paths []string, check bool) (stale []string, err error) {
	for _, path := range paths {
		doc, err := os.ReadFile(path)
		if err != nil {
			return stale, err
		}
		out, changed, err := quote(doc, path, f)
		if err != nil {
			return stale, err
		}
		if !changed {
			continue
		}
		if stale = append(stale, path); !check {
			if err := os.WriteFile(path, out, 0o644); err != nil {
				return stale, err
			}
		}
	}
	return stale, nil
}
