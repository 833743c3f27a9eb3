package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tongka/admin"
	"tongka/audit"
	history "tongka/clearing/chain"
	"tongka/clearing/rules"
	"tongka/config"
)

// clerkFlags say which house, and who works at its desks. The desks' stores are files
// of the clearing's folder: they are worked at beside a switch that runs or not.
type clerkFlags struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"交换的配置文件 · config file of the switch"`
	Rules  string `placeholder:"FILE" help:"清分规则，缺省为配置旁的 clearing.yaml · rules; clearing.yaml beside the config when left out"`
	Dir    string `placeholder:"DIR" help:"清分目录，缺省为数据目录下 clearing · the clearing's folder; clearing in the data folder when left out"`
	Token  string `placeholder:"FILE" help:"本人令牌文件，用以区分同一系统用户的两人 · file with your token, where two people share one user of the machine"`
	JSON   bool   `help:"输出 JSON · write JSON"`
}

// clerk is somebody at work.
type clerk struct {
	cfg   *config.Config
	file  string       // the config's name: others lie beside it
	rules *rules.Rules // nil without a file
	dir   string       // of the clearing
	who   audit.Who
}

// someone says who works, and where, without the rules: whoever looks after files need
// not know how money is cleared.
func (f *clerkFlags) someone() (*clerk, error) {
	cfg, err := config.Load(f.Config)
	if err != nil {
		return nil, err
	}
	c := &clerk{cfg: cfg, file: f.Config, dir: f.Dir, who: audit.Who{UID: os.Getuid(), PID: os.Getpid(), Via: "command"}}
	if c.dir == "" {
		c.dir = filepath.Join(cfg.Data, "clearing")
	}
	if f.Token != "" {
		if c.who.Token, err = tokenName(cfg.Admin.Tokens, f.Token); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (f *clerkFlags) clerk() (*clerk, error) {
	c, err := f.someone()
	if err != nil {
		return nil, err
	}
	name := f.Rules
	if name == "" {
		name = filepath.Join(filepath.Dir(f.Config), "clearing.yaml")
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) && f.Rules == "" {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("清分规则 · rules: %w", err)
	}
	var links []string
	for i := range c.cfg.Links {
		links = append(links, c.cfg.Links[i].Name)
	}
	c.rules, err = rules.Parse(name, text, links)
	return c, err
}

// tokenName finds whose token a file holds, among those of the config.
func tokenName(all, own string) (string, error) {
	if all == "" {
		return "", errors.New("未配置 admin.tokens · --token wants admin.tokens in the config")
	}
	b, err := os.ReadFile(own)
	if err != nil {
		return "", fmt.Errorf("令牌文件 · token file: %w", err)
	}
	tokens, err := admin.ReadTokens(all)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(string(b))))
	found := ""
	for name, want := range tokens {
		if subtle.ConstantTimeCompare(sum[:], want[:]) == 1 {
			found = name
		}
	}
	if found == "" {
		return "", errors.New("令牌无效 · the token is not one of ours")
	}
	return found, nil
}

// note writes what was done into the audit file: by the switch when it runs, for the
// end of that chain is kept in its journal, else into the file.
func (c *clerk) note(ctx context.Context, n admin.Note) error {
	n.Token = c.who.Token
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ctlWithin) // what has happened is written down
	defer cancel()
	err := admin.NewClient(c.cfg.Admin.Socket).Ask(ctx, admin.DeskNote, &n, func([]byte) error { return nil })
	if errors.Is(err, admin.ErrNotRunning) {
		err = noteAtRest(c.cfg.AuditFile(), n.Entry(c.who))
	}
	if err != nil {
		return fmt.Errorf("未能写入审计 · not audited: %w", err)
	}
	return nil
}

// busyFor is how long a command waits for another one at the same desk.
const busyFor = 10 * time.Second

// waiting opens a store that another command may have for a moment.
func waiting[T any](ctx context.Context, open func() (T, error)) (store T, err error) {
	late := poll(ctx, busyFor, "", func(context.Context) bool {
		store, err = open()
		return !errors.Is(err, history.ErrBusy)
	})
	if err == nil && late != nil {
		err = late
	}
	return store, err
}

// headOf is the end of a desk's history, for the audit file: what a chain cannot show
// by itself is that its end was cut off.
func headOf(h audit.Head) string { return fmt.Sprintf("history %d %s", h.N, h.Hash) }
