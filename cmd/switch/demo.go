package main

import (
	"fmt"
	"time"

	"tongka/sim/demo"
)

// demoCmd plays everything on this machine; it needs no set-up.
type demoCmd struct {
	For       time.Duration `default:"20s" help:"交易时长 · how long the terminals sell"`
	JSON      bool          `name:"json" help:"只输出一个 JSON 汇总 · print one JSON summary only"`
	Data      string        `type:"path" help:"数据目录，保留并可续跑；缺省为临时目录 · data folder, kept and continued; a temporary one when left out"`
	Terminals int           `default:"50" help:"终端数 · terminals"`
	Rate      float64       `default:"500" help:"每秒交易数 · sales a second"`
}

// Validate bounds what one machine can play.
func (c *demoCmd) Validate() error {
	switch {
	case c.For < time.Second || c.For > time.Hour:
		return fmt.Errorf("--for %v：须为 1s 至 1h · wanted 1s to 1h", c.For)
	case c.Terminals < 1 || c.Terminals > 2000:
		return fmt.Errorf("--terminals %d：须为 1 至 2000 · wanted 1 to 2000", c.Terminals)
	case c.Rate <= 0 || c.Rate > 20000:
		return fmt.Errorf("--rate %v：须大于 0，至多 20000 · wanted above 0, at most 20000", c.Rate)
	}
	return nil
}

// Run plays the demo.
func (c *demoCmd) Run(s *streams) error {
	return demo.Run(s.ctx, demo.Options{For: c.For, JSON: c.JSON, Data: c.Data, Terminals: c.Terminals,
		Rate: c.Rate, Version: version()}, s.out)
}
