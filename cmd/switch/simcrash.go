package main

import (
	"errors"
	"fmt"
	"os"

	"tongka/sim/drill"
)

// simCrashCmd pulls the plugs of a real switch under load.
type simCrashCmd struct {
	Kills     int    `default:"10" help:"强杀（SIGKILL）次数 · how often it is killed (SIGKILL)"`
	PowerCuts int    `default:"0" help:"断电次数，须 root：数据置于 ext4 映像，断电后挂载其副本 · how often the power of its disk is cut; needs root: the data lie on an ext4 image, whose copy is mounted afterwards"`
	Rate      int    `default:"800" help:"每秒消费笔数 · sales a second"`
	Dir       string `placeholder:"DIR" help:"临时目录的位置，须在真实磁盘上 · where the temporary folder is made; a real disk"`
	Keep      bool   `help:"保留临时目录 · keep the temporary folder"`
	JSON      bool   `help:"只输出末行 JSON · the last line only, as JSON"`
}

// Validate is called by the parser.
func (c *simCrashCmd) Validate() error {
	const most = 100_000
	switch {
	case c.Kills < 0 || c.PowerCuts < 0 || c.Kills > most || c.PowerCuts > most:
		return fmt.Errorf("--kills %d --power-cuts %d：须为 0 至 %d · from 0 to %d", c.Kills, c.PowerCuts, most, most)
	case c.Kills+c.PowerCuts == 0:
		return errors.New("--kills 与 --power-cuts 至少一项 · at least one of --kills and --power-cuts")
	case c.Rate < 1 || c.Rate > 10_000:
		return fmt.Errorf("--rate %d：须为 1 至 10000 · from 1 to 10000", c.Rate)
	}
	return nil
}

// Run pulls, compares the books, and ends with an error when they differ.
func (c *simCrashCmd) Run(s *streams) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Dir, "tongka-crash-")
	if err != nil {
		return err
	}
	if c.Keep {
		fmt.Fprintf(s.err, "临时目录 the temporary folder: %s\n", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	o := drill.Options{Self: []string{self}, Dir: dir, Kills: c.Kills, Cuts: c.PowerCuts, Rate: c.Rate, Log: s.out}
	if c.JSON {
		o.Log = s.err
	}
	r, err := drill.Run(s.ctx, o)
	return errors.Join(err, writeLine(s.out, r))
}
