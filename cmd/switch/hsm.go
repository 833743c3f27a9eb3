package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"time"

	"tongka/hsm/soft"
	"tongka/node"
	"tongka/sim"
)

// hsmCmd is the software module with a key of one's own.
type hsmCmd struct {
	Serve hsmServeCmd `cmd:"" help:"应答主机命令（仅供开发） · answer host commands, for development only"`
	LMK   hsmLMKCmd   `cmd:"" name:"lmk" help:"开发用 LMK · LMKs for development"`
}

// lmkFile names a sealed LMK.
type lmkFile struct {
	PassFile string `placeholder:"FILE" required:"" help:"口令文件，取首行，至少 8 字节 · file whose first line is the passphrase, 8 bytes at least"`
}

// hsmLMKCmd makes and shows sealed LMKs.
type hsmLMKCmd struct {
	New  hsmLMKNewCmd  `cmd:"" help:"新建随机 LMK，加密存放 · make a random LMK and seal it"`
	Show hsmLMKShowCmd `cmd:"" help:"显示校验值 · show its check value"`
}

type hsmLMKNewCmd struct {
	lmkFile
	File string `arg:"" help:"新文件 · file to make"`
}

// Run never writes over a file: the keys under the old LMK would be lost.
func (c *hsmLMKNewCmd) Run(s *streams) error {
	pass, err := node.ReadPass(c.PassFile)
	if err != nil {
		return err
	}
	lmk, err := soft.RandomLMK(rand.Reader)
	if err != nil {
		return err
	}
	b, err := lmk.Seal(pass)
	if err != nil {
		return fmt.Errorf("不能加密 · %w", err)
	}
	f, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("LMK: %w", err)
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("LMK: %w", err)
	}
	fmt.Fprintf(s.out, "%s\n仅供开发，不可用于生产 · for development, never for production\n", lmk)
	return nil
}

type hsmLMKShowCmd struct {
	lmkFile
	File string `arg:"" help:"LMK 文件 · sealed LMK"`
}

// Run prints what an LMK may tell.
func (c *hsmLMKShowCmd) Run(s *streams) error {
	lmk, err := node.ReadLMK(c.File, c.PassFile)
	if err == nil {
		fmt.Fprintln(s.out, lmk)
	}
	return err
}

// hsmServeCmd is sim hsm with a key of one's own.
type hsmServeCmd struct {
	Listen   string        `default:"127.0.0.1:1500" placeholder:"ADDR" help:"监听地址 · address to listen on"`
	Header   int           `default:"8" help:"消息头字符数 · characters of the message header"`
	LMK      string        `name:"lmk" placeholder:"FILE" help:"加密存放的 LMK，缺省为公开测试 LMK · sealed LMK; the public test LMK when left out"`
	PassFile string        `placeholder:"FILE" help:"口令文件，随 --lmk · file of the passphrase, with --lmk"`
	SM4Cards bool          `name:"sm4-cards" help:"SM4 卡，按未经证实的通行算法 · cards with SM4, by the usual reading, which nobody confirmed"`
	Delay    time.Duration `help:"应答前等待 · wait before every answer"`
}

// Validate holds the header to what modules can be set to, and wants both of a
// sealed LMK's files.
func (c *hsmServeCmd) Validate() error {
	if (c.LMK == "") != (c.PassFile == "") {
		return fmt.Errorf("--lmk 与 --pass-file 须同时给出 · --lmk and --pass-file go together")
	}
	return (&simHSMCmd{Header: c.Header}).Validate()
}

// Run answers host commands until it is told to stop.
func (c *hsmServeCmd) Run(s *streams) error {
	cfg := sim.HSMConfig{Listen: c.Listen, HeaderLen: c.Header, SM4Cards: c.SM4Cards, Delay: c.Delay, Log: simLog(s)}
	if c.LMK != "" {
		lmk, err := node.ReadLMK(c.LMK, c.PassFile)
		if err != nil {
			return err
		}
		cfg.LMK = &lmk
	}
	return sim.RunHSM(s.ctx, cfg, sim.Report{}, s.out)
}
