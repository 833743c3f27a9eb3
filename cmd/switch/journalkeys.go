package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"tongka/admin"
	"tongka/config"
	"tongka/journal"
	"tongka/keyfile"
	"tongka/node"
	"tongka/offline"
	"tongka/translate"
)

// journalKeysCmd says which key files are still needed.
type journalKeysCmd struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"配置文件 · config file"`
	JSON   bool   `help:"输出 JSON 行 · write JSON lines"`
}

// keyUseRow is one master key: a file, or a key that something wants and no file is.
type keyUseRow struct {
	File    string          `json:"file,omitempty"`
	Check   string          `json:"check"`
	Newest  bool            `json:"newest"`
	Journal *journal.KeyUse `json:"journal,omitempty"`
	Offline bool            `json:"offline"` // the store of offline transactions lies under it
}

// Run asks and prints. A key that is wanted and not there is a failure.
func (c *journalKeysCmd) Run(s *streams) (err error) {
	f := journalFlags{Config: c.Config}
	src, err := f.open(s.ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	var uses []journal.KeyUse
	if src.live != nil {
		err = src.ask(s.ctx, admin.JournalKeys, struct{}{}, false, func(line []byte) error {
			var u journal.KeyUse
			err := json.Unmarshal(line, &u)
			uses = append(uses, u)
			return err
		})
	} else {
		uses, err = src.kept.KeyUses()
	}
	if err != nil {
		return err
	}
	rows, err := keyUseRows(src.cfg, uses)
	if err != nil {
		return err
	}
	var failed error
	for i := range rows {
		r := &rows[i]
		if r.File == "" {
			failed = errShown
		}
		if c.JSON {
			err = errors.Join(err, writeLine(s.out, r))
		} else {
			fmt.Fprintln(s.out, r)
		}
	}
	return errors.Join(err, failed)
}

// keyUseRows puts files and what lies under them together; a key file that is listed
// and unreadable is an error.
func keyUseRows(cfg *config.Config, uses []journal.KeyUse) (rows []keyUseRow, err error) {
	offlineCheck, err := offline.SealedUnder(cfg.OfflineDir())
	if err != nil {
		return nil, err
	}
	for i, path := range append([]string{cfg.Journal.KeyFile}, cfg.Journal.OldKeys...) {
		check, err := keyfile.CheckOf(path)
		if err != nil {
			return nil, err
		}
		rows = append(rows, keyUseRow{File: path, Check: fmt.Sprintf("%X", check), Newest: i == 0})
	}
	of := func(check string) *keyUseRow {
		for i := range rows {
			if rows[i].Check == check {
				return &rows[i]
			}
		}
		rows = append(rows, keyUseRow{Check: check})
		return &rows[len(rows)-1]
	}
	for i := range uses {
		of(uses[i].Check).Journal = &uses[i]
	}
	// A store from before it had a key of its own lies under whichever opens it; the
	// first start after a change moves it, and until then no file is free.
	switch _, err := os.Stat(cfg.OfflineDir()); {
	case offlineCheck != "":
		of(offlineCheck).Offline = true
	case err == nil:
		for i := range rows {
			rows[i].Offline = true
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return rows, nil
}

// String is the row for people.
func (r *keyUseRow) String() string {
	name, verdict := r.File, ""
	switch used := r.Journal != nil || r.Offline; {
	case r.File == "":
		name, verdict = "（缺 · missing）", "须列入 journal.old_keys · name its file in journal.old_keys"
	case r.Newest:
		verdict = "现用 · in use"
	case used:
		verdict = "仍需要：以现配置启动一次后再看 · still needed: look again after a start with this config"
	default:
		verdict = "不再需要，可自 old_keys 删去并销毁（若无他处备份要用） · not needed, may leave old_keys and be destroyed, unless a backup wants it"
	}
	line := fmt.Sprintf("%s  校验值 · check %s  %s", name, r.Check, verdict)
	if u := r.Journal; u != nil {
		line += fmt.Sprintf("\n  流水 · journal: 启动 · starts %d，页 · ticks %d–%d，%s", u.Epochs, u.First, u.Limit-1, days(u))
	}
	if r.Offline {
		line += "\n  脱机交易库 · store of offline transactions"
	}
	return line
}

func days(u *journal.KeyUse) string {
	day := func(ns int64) string {
		if ns == 0 {
			return "?"
		}
		return time.Unix(0, ns).In(translate.Zone).Format(time.DateOnly)
	}
	if !u.Pages {
		return "无记录 · no records"
	}
	return fmt.Sprintf("日期 · days %s – %s", day(u.From), day(u.To))
}

// journalNewKeyCmd makes a key file.
type journalNewKeyCmd struct {
	File string `arg:"" help:"新文件，须不存在 · file to make, must not be there"`
	HSM  string `name:"hsm" placeholder:"CONFIG" help:"由此配置的加密机封装，每次打开都要用它 · sealed by the security module of this config, which is then wanted at each opening"`
}

// Run makes it and says its check value.
func (c *journalNewKeyCmd) Run(s *streams) error {
	if _, err := os.Lstat(c.File); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("%s 已存在 · %s is there already", c.File, c.File))
	}
	check, err := c.make()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s  校验值 · check %X\n"+
		"现在备份它，再改 journal.key_file，旧文件列入 journal.old_keys，然后重启 · back it up now, then name it in journal.key_file and the earlier one in journal.old_keys, and restart\n", c.File, check)
	return nil
}

func (c *journalNewKeyCmd) make() (check [keyfile.CheckSize]byte, err error) {
	if c.HSM == "" {
		key, err := keyfile.Load(c.File, true)
		return keyfile.Check(&key), err
	}
	cfg, err := config.Load(c.HSM)
	if err != nil {
		return check, err
	}
	w, err := node.WrapKey(cfg)
	if err != nil {
		return check, err
	}
	return w.Check, w.Create(c.File)
}
