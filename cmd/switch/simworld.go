package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"tongka/sim/world"
)

// simWorldCmd plays histories against the production code, with a simulated
// clock, network and disk.
type simWorldCmd struct {
	Seed         uint64 `default:"0" help:"首个种子 · first seed"`
	Seeds        uint64 `default:"1" help:"种子个数 · how many seeds"`
	Transactions int    `default:"1000" help:"每段历史的交易数 · transactions of each history"`
	PebbleEvery  uint64 `default:"25" placeholder:"N" help:"每第 N 个种子用真实存储（Pebble），0 为不用 · every n-th seed is played on the real store, 0: none"`
	Journal      string `enum:"mixed,memory,pebble" default:"mixed" help:"流水存放：mixed、memory、pebble · where the journal is kept"`
	Trace        bool   `help:"打印经过（单个种子） · print what happens (one seed)"`
	Shrink       int    `default:"400" placeholder:"N" help:"出错时最多重放 N 次以求最短历史 · histories to play to cut a failure down"`
	JSON         bool   `help:"只输出末行 JSON · the last line only, as JSON"`
}

// worldSum is the last line of "switch sim world".
type worldSum struct {
	Seeds        uint64  `json:"seeds"`
	Transactions int     `json:"transactions"`
	Crashes      int     `json:"crashes"`
	Violations   int     `json:"violations"`
	PerSecond    float64 `json:"per_second"`
}

// Validate is called by the parser.
func (c *simWorldCmd) Validate() error {
	switch {
	case c.Transactions < 1 || c.Transactions > 10_000_000:
		return fmt.Errorf("--transactions %d：须在 1 至 10000000 之间 · from 1 to 10000000", c.Transactions)
	case c.Seeds < 1:
		return errors.New("--seeds：至少 1 · at least 1")
	case c.Trace && c.Seeds != 1:
		return errors.New("--trace 只用于单个种子 · --trace is for one seed")
	}
	return nil
}

func (c *simWorldCmd) options(seed uint64) world.Options {
	pebble := c.Journal == "pebble" || c.Journal == "mixed" && c.PebbleEvery > 0 && seed%c.PebbleEvery == c.PebbleEvery-1
	return world.Options{Seed: seed, Transactions: c.Transactions, Pebble: pebble}
}

// Run plays the seeds and ends with an error at the first that breaks a promise.
func (c *simWorldCmd) Run(s *streams) error {
	// Each history makes tables of megabytes anew; collecting them less often is an eighth of the time.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	var sum worldSum
	begin := time.Now()
	var failed error
	for seed := c.Seed; seed < c.Seed+c.Seeds && failed == nil && s.ctx.Err() == nil; seed++ {
		o := c.options(seed)
		r, err := c.play(s, o)
		if err != nil {
			return err
		}
		sum.Seeds++
		sum.Transactions += r.Transactions
		sum.Crashes += r.Crashes
		sum.Violations += len(r.Violations)
		if len(r.Violations) > 0 {
			failed = c.explain(s, o, r)
		} else if !c.JSON {
			fmt.Fprintf(s.out, "种子 seed %d · 交易 transactions %d · 崩溃 crashes %d · 散列 hash %016x\n", seed, r.Transactions, r.Crashes, r.Hash)
		}
	}
	sum.PerSecond = float64(sum.Transactions) / time.Since(begin).Seconds()
	line, err := json.Marshal(&sum)
	fmt.Fprintf(s.out, "%s\n", line)
	return errors.Join(failed, err, s.ctx.Err())
}

func (c *simWorldCmd) play(s *streams, o world.Options) (*world.Result, error) {
	if !c.Trace {
		return world.Run(o)
	}
	r, err := world.Trace(o)
	if err == nil {
		for _, line := range r.Trail {
			fmt.Fprintln(s.out, line)
		}
	}
	return r, err
}

// explain shows what was broken, and the shortest history that breaks it.
func (c *simWorldCmd) explain(s *streams, o world.Options, r *world.Result) error {
	v := r.Violations[0]
	fmt.Fprintf(s.err, "违例 violation: 种子 seed %d · %s · %s · %v\n", o.Seed, v.Checker, v.What, time.Duration(v.At))
	small, err := world.Shrink(o, r, c.Shrink)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "最短历史 shortest history, %d:\n", len(small.Shortest))
	for _, line := range small.Shortest {
		fmt.Fprintf(s.err, "  %s\n", line)
	}
	return fmt.Errorf("种子 %d 违反 %s · seed %d breaks %s", o.Seed, v.Checker, o.Seed, v.Checker)
}
