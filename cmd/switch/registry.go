package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"tongka/config"
	"tongka/hsm"
	"tongka/registry"
	"tongka/txn"
)

// registryCmd is about the tables: those of a switch that runs, by its socket, or
// those of a data folder. show reads the folder of one that does not run.
type registryCmd struct {
	Import registryImportCmd `cmd:"" help:"从 CSV 导入终端 · import terminals from CSV"`
	Export registryExportCmd `cmd:"" help:"导出为 CSV（密钥均在 LMK 下） · export as CSV, keys under the LMK"`
	Show   registryShowCmd   `cmd:"" help:"列出终端与签到状态 · list terminals and their sessions"`

	Keys   registryKeysCmd   `cmd:"" help:"传输密钥与银行密钥的校验值 · check values of transport keys and of banks' keys"`
	Set    registrySetCmd    `cmd:"" help:"修改一个值 · change one value"`
	Permit registryPermitCmd `cmd:"" help:"许可一台终端下载一次主密钥 · let a terminal download a master key once"`

	Transports tableCmd     `cmd:"" help:"传输密钥（母 POS），按厂商、组或全部 · transport keys (mother POS) by maker, group or for all"`
	Merchants  tableCmd     `cmd:"" help:"商户 · merchants"`
	Limits     tableCmd     `cmd:"" help:"限额 · limits of a day"`
	Blacklist  blacklistCmd `cmd:"" help:"黑名单 · cards that are refused or watched"`
}

// registryImportCmd adds and changes terminals; it removes none.
type registryImportCmd struct {
	configFlag
	File string `arg:"" optional:"" help:"CSV 文件，- 为标准输入，缺省取配置 · CSV file, - for standard input, the config's when left out"`
}

// registryExportCmd writes what registryImportCmd reads: for backups, and to
// move terminals to another node with the same LMK.
type registryExportCmd struct {
	configFlag
	KCV bool `name:"kcv" help:"另列密钥校验值，供人核对，不能再导入 · with check values of the keys, for people; not for an import"`
}

// registryShowCmd answers "is this terminal known, and is it signed in?".
type registryShowCmd struct {
	configFlag
	Merchant string `help:"只列此商户号 · only this merchant"`
	Terminal string `help:"只列此终端号 · only this terminal"`
	JSON     bool   `help:"输出 JSON · write JSON"`
	KCV      bool   `name:"kcv" help:"由加密机计算主密钥与传输密钥的校验值 · have the module make the check values of master and transport keys"`
}

// openRegistry opens the store of a config. It is for tools: a switch that runs
// holds the store, and so does not let a second process in.
// With create false a store that is not there is an error and is not made: who
// only looks must not leave an empty store behind.
func openRegistry(path string, create bool) (*registry.Registry, *config.Config, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, nil, err
	}
	dir := cfg.RegistryDir()
	if _, err := os.Stat(dir); err != nil && !create {
		return nil, nil, fmt.Errorf("尚无终端登记 · nothing is registered yet: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("数据目录 · data folder: %w", err)
	}
	r, err := registry.Open(registry.Options{Dir: dir, SessionTTL: cfg.Registry.SessionTTL, Max: cfg.Registry.MaxTerminals})
	if err != nil {
		return nil, nil, fmt.Errorf("%w\n交换正在运行？登记库一次只能由一个进程打开 · is the switch running? one process at a time may open the store", err)
	}
	return r, cfg, nil
}

// Run imports the file that was named, standard input, or the config's file.
func (c *registryImportCmd) Run(s *streams) error {
	file := c.File
	if file == "" {
		cfg, err := config.Load(c.Config)
		if err != nil {
			return err
		}
		if file = cfg.Registry.Import; file == "" {
			return errors.New("未给出 CSV 文件，配置中也没有 registry.import · no CSV file given, and the config has no registry.import")
		}
	}
	from := tableImportCmd{c.configFlag, file}
	return from.Run(s, path{"terminals", "import"})
}

// Run writes the CSV to standard output, where a pipe may encrypt it.
func (c *registryExportCmd) Run(s *streams) error {
	return exportTable(s, c.Config, "terminals", c.KCV)
}

// shown is a terminal as show prints it. Keys are not in it.
type shown struct {
	id       txn.Terminal
	Merchant string     `json:"merchant"`
	Terminal string     `json:"terminal"`
	Kinds    string     `json:"kinds"`
	Group    uint16     `json:"group"`
	Batch    uint32     `json:"batch,omitempty"`
	Since    *time.Time `json:"since,omitempty"` // of the running session
	Until    *time.Time `json:"until,omitempty"`
	// Check values; with --kcv only.
	TMK       string `json:"tmk_check,omitempty"`
	Transport string `json:"transport_check,omitempty"`
	// Until when it may download a master key.
	Permit *time.Time `json:"key_permit,omitempty"`
}

// Run lists the terminals that fit.
func (c *registryShowCmd) Run(s *streams) (err error) {
	r, cfg, err := openRegistry(c.Config, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	found := c.find(r.Snapshot(), time.Now())
	if c.KCV {
		if err := checkValues(cfg, r, found); err != nil {
			return err
		}
	}
	if c.JSON {
		return writeJSON(s.out, found)
	}
	printShown(s.out, found)
	return nil
}

// find picks the terminals that the flags ask for, never nil: a program that
// reads the JSON gets an empty list. A session that has ended is none.
func (c *registryShowCmd) find(snap *registry.Snapshot, now time.Time) []shown {
	found := []shown{}
	for i := range snap.Len() {
		t := snap.At(i)
		v := shown{
			Merchant: strings.TrimRight(string(t.ID.Merchant[:]), " "),
			Terminal: strings.TrimRight(string(t.ID.Number[:]), " "),
			Kinds:    t.Kinds.String(), Group: t.Group,
		}
		if c.Merchant != "" && c.Merchant != v.Merchant || c.Terminal != "" && c.Terminal != v.Terminal {
			continue
		}
		if session := t.Session(now.UnixNano()); session != nil {
			since, until := time.Unix(0, session.Since), time.Unix(0, session.Until)
			v.Batch, v.Since, v.Until = session.Batch, &since, &until
		}
		if d := snap.Details(&t.ID); d != nil && d.Permit != 0 && d.PermitUntil > now.UnixNano() {
			until := time.Unix(0, d.PermitUntil)
			v.Permit = &until
		}
		v.id = t.ID
		found = append(found, v)
	}
	return found
}

// checkValues has a module make the check values of what was found.
func checkValues(cfg *config.Config, r *registry.Registry, found []shown) error {
	check, err := newChecker(cfg)
	if err != nil {
		return err
	}
	snap := r.Snapshot()
	for i := range found {
		v := &found[i]
		v.TMK, v.Transport = check.of(hsm.TMK, r.TMK(snap.Terminal(&v.id))), check.of(hsm.TMK, snap.TransportFor(&v.id))
	}
	return check.close()
}

// printShown writes a table; a Chinese character counts as two columns, so the
// headings are padded by hand.
func printShown(w io.Writer, found []shown) {
	fmt.Fprintln(w, "商户 merchant    终端 terminal  组 group  签到 session                            种类 kinds")
	for _, v := range found {
		session := "未签到 · none"
		if v.Until != nil {
			session = fmt.Sprintf("批次 batch %06d → %s", v.Batch, v.Until.Format(time.DateTime))
		}
		fmt.Fprintf(w, "%-15s  %-13s  %8d  %-38s  %s", v.Merchant, v.Terminal, v.Group, session, v.Kinds)
		if v.TMK != "" {
			fmt.Fprintf(w, "  TMK %s · 传输 transport %s", v.TMK, v.Transport)
		}
		if v.Permit != nil {
			fmt.Fprintf(w, "  可下载主密钥至 · may download a master key until %s", v.Permit.Format(time.DateTime))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "共 · total %d\n", len(found))
}
