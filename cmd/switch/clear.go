package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"tongka/clearing"
	"tongka/clearing/recon"
	"tongka/clearing/row"
)

// clearCmd is the clearing of business days.
type clearCmd struct {
	Run   clearRunCmd   `cmd:"" help:"清算一日：文件登记 → 入库 → 对账 → 清分 → 结算 → 备付金 → 报表 → 关闭 · clear a business day, step by step; may be killed and run again"`
	Bench clearBenchCmd `cmd:"" help:"对账与清分的速度与内存，用生成的一天 · speed and memory of reconciling and settling a day that is made up"`
}

type clearBenchCmd struct {
	Rows   int64  `default:"1000000" help:"双方各多少行 · rows of each side"`
	Memory int    `default:"64" help:"每方排序内存 MB · megabytes to sort each side in"`
	Dir    string `type:"path" help:"临时文件的上级目录，缺省为系统临时目录 · where temporary files go, the system's folder when left out"`
	JSON   bool   `help:"输出 JSON · write JSON"`

	MaxSeconds float64 `placeholder:"S" help:"用时超过即失败 · fail when it takes longer"`
	MaxMB      float64 `name:"max-mb" placeholder:"MB" help:"内存峰值超过即失败 · fail when the peak of memory is above"`
	Flat       float64 `placeholder:"RATIO" help:"内存峰值超过十分之一行数时的 RATIO 倍即失败 · fail when the peak of memory is above RATIO times that with a tenth of the rows"`

	Postgres string  `placeholder:"BIN" help:"与 PostgreSQL 比较：同样的文件，COPY 与连接；BIN 如 /usr/lib/postgresql/15/bin；auto 取已安装的最新版，未安装则略过 · compare with PostgreSQL on the same files, COPY and join; BIN is where its programs are; auto is the newest that is installed, and nothing is compared when none is"`
	MinRatio float64 `placeholder:"RATIO" help:"与 PostgreSQL 之比低于此即失败 · fail when PostgreSQL takes less than RATIO times as long"`
}

// clearMeasure is what the bench says.
type clearMeasure struct {
	Rows        int64   `json:"rows"`        // of each side
	Seconds     float64 `json:"seconds"`     // with the making of the rows
	PeakMB      float64 `json:"peak_mb"`     // resident memory of the process at its most
	Differences int64   `json:"differences"` // found
	Unbalanced  int64   `json:"unbalanced"`  // fen that nothing explains
}

// Run measures. A day whose differences are not those that were planted in it is
// an error: a fast wrong answer is none.
func (c *clearBenchCmd) Run(s *streams) (err error) {
	if c.Rows < 1 || c.Rows > 1_000_000_000 || c.Memory < 1 || c.Memory > 1<<16 {
		return errors.New("--rows 须为 1 至 10 亿，--memory 须为 1 至 65536 · --rows is 1 to 1,000,000,000, --memory 1 to 65,536")
	}
	if c.Postgres == "auto" {
		if c.Postgres = newestPostgres(); c.Postgres == "" {
			fmt.Fprintln(s.err, "PostgreSQL 未安装，略过比较 · PostgreSQL is not installed: the comparison is left out")
			return nil
		}
	}
	// Before anything else: a child begins with the peak of the process that made it.
	tenth, err := c.tenth(s)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Dir, "clear-bench-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if c.Postgres != "" {
		return c.comparePostgres(s, dir)
	}
	m, err := c.measure(s, dir)
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(s.out, m)
	} else {
		fmt.Fprintf(s.out, "双方各 %d 行 · rows of each side: %d\n用时 · took: %.2f s\n内存峰值 · peak memory: %.0f MB\n差异 · differences: %d\n未平 · unbalanced: %d\n",
			m.Rows, m.Rows, m.Seconds, m.PeakMB, m.Differences, m.Unbalanced)
	}
	return errors.Join(err, c.judge(m, tenth))
}

// tenth measures a tenth of the rows in a process of its own; nil when nobody asks.
func (c *clearBenchCmd) tenth(s *streams) (*clearMeasure, error) {
	if c.Flat == 0 || c.Postgres != "" {
		return nil, nil
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"clear", "bench", "--json", "--rows", fmt.Sprint(max(1, c.Rows/10)), "--memory", fmt.Sprint(c.Memory)}
	if c.Dir != "" {
		args = append(args, "--dir", c.Dir)
	}
	child := exec.CommandContext(s.ctx, program, args...)
	child.Stderr = s.err
	out, err := child.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	m := &clearMeasure{}
	return m, json.Unmarshal(out, m)
}

// judge holds what was measured against what was asked for.
func (c *clearBenchCmd) judge(m, tenth *clearMeasure) error {
	var faults []error
	if c.MaxSeconds > 0 && m.Seconds > c.MaxSeconds {
		faults = append(faults, fmt.Errorf("用时 %.1f s，上限 %.1f s · it took %.1f s, at most %.1f s are wanted", m.Seconds, c.MaxSeconds, m.Seconds, c.MaxSeconds))
	}
	if c.MaxMB > 0 && m.PeakMB > c.MaxMB {
		faults = append(faults, fmt.Errorf("内存峰值 %.0f MB，上限 %.0f MB · the peak of memory is %.0f MB, at most %.0f MB are wanted", m.PeakMB, c.MaxMB, m.PeakMB, c.MaxMB))
	}
	if tenth != nil && m.PeakMB > c.Flat*tenth.PeakMB {
		faults = append(faults, fmt.Errorf("内存随行数增长：%d 行 %.0f MB，%d 行 %.0f MB · memory grows with the rows: %.0f MB with %d, %.0f MB with %d",
			tenth.Rows, tenth.PeakMB, m.Rows, m.PeakMB, tenth.PeakMB, tenth.Rows, m.PeakMB, m.Rows))
	}
	return errors.Join(faults...)
}

// measure clears a day that is made up.
func (c *clearBenchCmd) measure(s *streams, dir string) (*clearMeasure, error) {
	from := time.Now()
	day, err := clearing.NewDay(clearing.Options{Dir: dir, Memory: c.Memory << 20, Fields: row.Fields{row.ByRRN}, Fees: clearing.PlayFees()})
	if err != nil {
		return nil, err
	}
	planted, err := clearing.Play(c.Rows, heeding(s, day.Ours), day.Theirs)
	if err != nil {
		return nil, errors.Join(err, day.Close())
	}
	verdicts := 0
	out, err := day.Settle(func(*recon.Result) error {
		if verdicts++; verdicts%4096 == 0 {
			return s.ctx.Err()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if out.Differences() != planted {
		return nil, fmt.Errorf("找到 %d 处差异，应为 %d · %d differences found, %d were planted", out.Differences(), planted, out.Differences(), planted)
	}
	m := &clearMeasure{Rows: c.Rows, Seconds: time.Since(from).Seconds(), Differences: out.Differences(), Unbalanced: out.Unbalanced()}
	m.PeakMB, err = peakMB()
	return m, err
}

// heeding ends the adding of rows when the command is to stop.
func heeding(s *streams, add func(*row.Row) error) func(*row.Row) error {
	n := 0
	return func(r *row.Row) error {
		if n++; n%4096 == 0 && s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		return add(r)
	}
}

// peakMB is the most resident memory that the process ever had.
func peakMB() (float64, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return float64(u.Maxrss) / 1024, nil
}
