package main

import (
	"errors"
	"fmt"
	"os"
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

	Postgres string `type:"existingdir" placeholder:"BIN" help:"与 PostgreSQL 比较：同样的文件，COPY 与连接；BIN 如 /usr/lib/postgresql/15/bin · compare with PostgreSQL on the same files, COPY and join; BIN is where its programs are"`
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
	dir, err := os.MkdirTemp(c.Dir, "clear-bench-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if c.Postgres != "" {
		return c.comparePostgres(s, dir)
	}
	from := time.Now()
	day, err := clearing.NewDay(clearing.Options{Dir: dir, Memory: c.Memory << 20, Fields: row.Fields{row.ByRRN}, Fees: clearing.PlayFees()})
	if err != nil {
		return err
	}
	planted, err := clearing.Play(c.Rows, heeding(s, day.Ours), day.Theirs)
	if err != nil {
		return errors.Join(err, day.Close())
	}
	verdicts := 0
	out, err := day.Settle(func(*recon.Result) error {
		if verdicts++; verdicts%4096 == 0 {
			return s.ctx.Err()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if out.Differences() != planted {
		return fmt.Errorf("找到 %d 处差异，应为 %d · %d differences found, %d were planted", out.Differences(), planted, out.Differences(), planted)
	}
	m := clearMeasure{Rows: c.Rows, Seconds: time.Since(from).Seconds(), Differences: out.Differences(), Unbalanced: out.Unbalanced()}
	if m.PeakMB, err = peakMB(); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, m)
	}
	fmt.Fprintf(s.out, "双方各 %d 行 · rows of each side: %d\n用时 · took: %.2f s\n内存峰值 · peak memory: %.0f MB\n差异 · differences: %d\n未平 · unbalanced: %d\n",
		m.Rows, m.Rows, m.Seconds, m.PeakMB, m.Differences, m.Unbalanced)
	return nil
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
