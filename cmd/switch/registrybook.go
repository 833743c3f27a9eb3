package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"tongka/admin"
	"tongka/audit"
	"tongka/config"
	"tongka/node"
	"tongka/registry/desk"
)

// tableCmd is what can be done to terminals, merchants and limits.
type tableCmd struct {
	Import tableImportCmd `cmd:"" help:"从 CSV 导入 · import from CSV"`
	Export tableExportCmd `cmd:"" help:"导出为 CSV · export as CSV"`
}

// blacklistCmd is what can be done to the list of refused cards.
type blacklistCmd struct {
	Import   tableImportCmd  `cmd:"" help:"导入增量 CSV（列 card|serial|fingerprint,kind,level,cause,remove） · import a change from CSV"`
	Replace  tableImportCmd  `cmd:"" help:"导入全量 CSV，替换整个名单 · import the whole list"`
	Add      blacklistOneCmd `cmd:"" help:"加入一张卡，卡号从标准输入读取 · add the card whose number is read from standard input"`
	Remove   blacklistOneCmd `cmd:"" help:"移除一张卡，卡号从标准输入读取 · remove the card whose number is read from standard input"`
	Show     bookCmd         `cmd:"" help:"查询一张卡，卡号从标准输入读取 · what the list says of the card that is read from standard input"`
	Versions bookCmd         `cmd:"" help:"列出版本 · list the versions"`
	Export   bookCmd         `cmd:"" help:"导出指纹 CSV · export the fingerprints as CSV"`
}

// bookCmd is an order without words of its own: its path says which.
type bookCmd struct{ configFlag }

type tableExportCmd struct {
	configFlag
	KCV bool `name:"kcv" help:"另列密钥校验值（仅 transports） · with check values of the keys; of transports only"`
}

type tableImportCmd struct {
	configFlag
	File string `arg:"" help:"CSV 文件，- 为标准输入 · CSV file, - for standard input"`
}

// blacklistOneCmd is about one card. Its number is no argument: those stand in the
// list of processes and in the shell's history.
type blacklistOneCmd struct {
	configFlag
	Serial bool   `help:"是城市卡序列号 · it is a city card's serial number"`
	Grey   bool   `help:"灰名单 · grey"`
	Level  uint8  `help:"级别 0–15 · level"`
	Cause  string `default:"other" help:"原因 · cause: other, suspect-sale, suspect-load, lost, manual, returned, stolen, fraud, capture"`
}

// registrySetCmd changes one value.
type registrySetCmd struct {
	configFlag
	Table  string `arg:"" enum:"terminals,merchants,limits,transports" help:"terminals, merchants, limits, transports"`
	Key    string `arg:"" help:"商户/终端、商户，或 对象/档/类 · merchant/terminal, merchant, or subject/profile/class"`
	Column string `arg:"" help:"列名 · column"`
	Value  string `arg:"" help:"新值 · new value"`
}

// Run does it.
func (c *registrySetCmd) Run(s *streams) error {
	return book(s, c.Config, desk.Order{Table: c.Table, Verb: "set", Key: c.Key, Column: c.Column, Value: c.Value}, nil)
}

// registryPermitCmd lets a terminal download a master key.
type registryPermitCmd struct {
	configFlag
	Key string        `arg:"" help:"商户/终端 · merchant/terminal"`
	For time.Duration `default:"24h" help:"有效时长，至多 30 天 · how long the permission holds, 30 days at most"`
	Off bool          `help:"收回许可 · take the permission back"`
}

// Run does it, in the switch that runs or in its data folder.
func (c *registryPermitCmd) Run(s *streams) error {
	value := c.For.String()
	if c.Off {
		value = "off"
	}
	return book(s, c.Config, desk.Order{Table: "terminals", Verb: "permit", Key: c.Key, Value: value}, nil)
}

// Run imports the file.
func (c *tableImportCmd) Run(s *streams, at path) error {
	in, name := s.in, "<stdin>"
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in, name = f, c.File
	}
	return book(s, c.Config, desk.Order{Table: at.table, Verb: at.verb, File: name}, in)
}

// Run writes the file to standard output.
func (c *tableExportCmd) Run(s *streams, at path) error {
	return exportTable(s, c.Config, at.table, c.KCV)
}

// Run does the order of the path.
func (c *bookCmd) Run(s *streams, at path) error {
	verb := at.verb
	if verb == "show" {
		verb = "find"
	}
	return book(s, c.Config, desk.Order{Table: at.table, Verb: verb}, s.in)
}

// Run adds or removes the card.
func (c *blacklistOneCmd) Run(s *streams, at path) error {
	number, err := io.ReadAll(io.LimitReader(s.in, 64))
	if err != nil {
		return err
	}
	column, kind, remove := "card", "black", 0
	if c.Serial {
		column = "serial"
	}
	if c.Grey {
		kind = "grey"
	}
	if at.verb == "remove" {
		remove = 1
	}
	line := fmt.Sprintf("%s,kind,level,cause,remove\n%s,%s,%d,%s,%d\n", column, strings.TrimSpace(string(number)), kind, c.Level, c.Cause, remove)
	return book(s, c.Config, desk.Order{Table: at.table, Verb: at.verb}, strings.NewReader(line))
}

// path is where a command stands: registry blacklist versions.
type path struct{ table, verb string }

func pathOf(ctx *kong.Context) (p path) {
	words := strings.Fields(ctx.Command())
	if len(words) > 2 {
		p.table, p.verb = words[1], words[2]
	}
	return p
}

// book does an order by the switch that runs, or, when none does, in its data
// folder. Either way it stands in the audit file.
func book(s *streams, file string, o desk.Order, in io.Reader) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	client := admin.NewClient(cfg.Admin.Socket)
	live, err := running(s.ctx, client)
	if err != nil {
		return err
	}
	if live {
		answer, err := client.Registry(s.ctx, admin.Edit(o), in)
		if err != nil {
			return err
		}
		if !answer.OK {
			return (&ctlFlags{}).print(s, &answer)
		}
		_, err = io.WriteString(s.out, answer.Text)
		return err
	}
	return bookOffline(s, file, o, in)
}

func bookOffline(s *streams, file string, o desk.Order, in io.Reader) (err error) {
	r, cfg, err := openRegistry(file, o.Verb != "export")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	d, err := node.OpenDesk(cfg, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Blacklist.Close()) }()
	res, failed := d.Do(o, in)
	if res.Changed || failed != nil {
		log, _, err := audit.Open(cfg.AuditFile())
		if err != nil {
			return errors.Join(failed, err)
		}
		_, err = log.Append(node.Entry(audit.Who{UID: os.Getuid(), PID: os.Getpid(), Via: "tool"}, o, &res, failed))
		if err = errors.Join(failed, err, log.Close()); err != nil {
			return err
		}
	}
	_, err = io.WriteString(s.out, res.Text)
	return err
}
