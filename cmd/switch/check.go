package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tongka/config"
	"tongka/hsm"
	"tongka/node"
	"tongka/registry"
	"tongka/router"
)

// configFlag is the file that most commands start from.
type configFlag struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"配置文件 · config file"`
}

// checkCmd does all of a start that has no effect: it reads the config and the
// terminals, and opens neither a store nor a socket.
type checkCmd struct {
	configFlag
	JSON bool `help:"输出 JSON · write JSON"`
}

// verdict is what check says as JSON.
type verdict struct {
	OK        bool          `json:"ok"`
	Faults    []string      `json:"faults,omitempty"`
	Warnings  []string      `json:"warnings,omitempty"` // of routes that work and may not be meant
	Terminals int           `json:"terminals"`
	Memory    []config.Term `json:"memory,omitempty"`
	Sum       int64         `json:"sum_bytes"`
}

// Run prints what would run, or every fault on standard error.
func (c *checkCmd) Run(s *streams) error {
	cfg, err := config.Load(c.Config)
	terminals := 0
	if err == nil {
		terminals, err = tryImport(cfg)
		err = errors.Join(usable(cfg, mayUse), err, node.Check(cfg))
	}
	var warned []string
	if err == nil {
		var table *router.Table
		if table, err = node.Routes(cfg); err == nil {
			warned = warnings(table, cfg)
		}
	}
	if c.JSON {
		return c.json(s, cfg, terminals, warned, err)
	}
	if err != nil {
		faults := faultLines(err)
		for _, f := range faults {
			fmt.Fprintln(s.err, f)
		}
		fmt.Fprintf(s.err, "配置有误：%d 处 · the config is not right: %s\n", len(faults), plural(len(faults), "fault"))
		return errShown
	}
	fmt.Fprintf(s.out, "配置正确 · OK: %s\n\n", c.Config)
	describe(s.out, cfg, terminals)
	memory(s.out, cfg)
	for _, line := range warned {
		fmt.Fprintf(s.out, "注意 · note: %s\n", line)
	}
	return nil
}

// json says the same for a program. A refused config is an answer, too, so it
// goes to standard output; only the exit code tells.
func (c *checkCmd) json(s *streams, cfg *config.Config, terminals int, warned []string, err error) error {
	v := verdict{OK: err == nil, Terminals: terminals, Warnings: warned}
	if err != nil {
		v.Faults = faultLines(err)
		return errors.Join(writeJSON(s.out, v), errShown)
	}
	v.Memory = cfg.Memory()
	v.Sum = sum(v.Memory)
	return writeJSON(s.out, v)
}

// plural counts things in English.
func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// faultLines gives one line for each fault of an error.
func faultLines(err error) []string { return strings.Split(err.Error(), "\n") }

// tryImport reads the terminals' file as a start would, into a registry that is
// thrown away, and gives the number of terminals.
func tryImport(cfg *config.Config) (int, error) {
	if cfg.Registry.Import == "" {
		return 0, nil
	}
	r, err := registry.Open(registry.Options{InMemory: true, Max: cfg.Registry.MaxTerminals})
	if err != nil {
		return 0, err
	}
	added, _, err := importFile(r, cfg.Registry.Import)
	if err == nil && cfg.HSM.Mode == "tcp" {
		err = noSM4(r.Snapshot())
	}
	return added, errors.Join(err, r.Close())
}

// noSM4 finds terminals that no module behind a socket can serve.
func noSM4(snap *registry.Snapshot) error {
	for i := range snap.Len() {
		if t := snap.At(i); t.TMK.Scheme == hsm.SM4Scheme {
			return fmt.Errorf("终端 %s/%s 的主密钥为 SM4：主机命令没有 SM4 的 MAC，须用 hsm.mode: soft · terminal %s/%s has a master key for SM4: host commands have no MAC of SM4, hsm.mode: soft is wanted",
				t.ID.Merchant[:], t.ID.Number[:], t.ID.Merchant[:], t.ID.Number[:])
		}
	}
	return nil
}

// importFile imports the file at path; faults name it as it was given.
func importFile(r *registry.Registry, path string) (added, changed int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, fmt.Errorf("终端文件 · terminals: %w", err)
	}
	defer f.Close()
	return r.Import(f, path)
}

// describe says what a config would run.
func describe(w io.Writer, c *config.Config, terminals int) {
	fmt.Fprintf(w, "节点 · node: %s, F32 %s, F33 %s\n", c.Node.Name, c.Node.Acquirer, c.Node.Forwarder)
	fmt.Fprintf(w, "数据 · data: %s\n", c.Data)
	for i := range c.Listeners {
		l := &c.Listeners[i]
		fmt.Fprintf(w, "终端接入 · listener %s: %s %s, ≤ %d 连接 · connections, 帧 · frames ≤ %d B%s\n",
			l.Name, l.Dialect, l.Address, l.MaxConnections, l.MaxFrame, comma(l.TLS.String()))
	}
	for i := range c.Links {
		l := &c.Links[i]
		var lines []string
		for _, n := range l.AllLines() {
			lines = append(lines, n.String())
		}
		fmt.Fprintf(w, "银行线路 · link %s: %s %s, 应答 · answer ≤ %v, 冲正 · reversals %v–%v × %d%s\n", l.Name, l.Dialect, strings.Join(lines, ", "),
			l.AnswerTimeout, l.Reversal.Interval, l.Reversal.MaxInterval, l.Reversal.MaxAttempts, comma(l.TLS.String()))
	}
	describeRoutes(w, c)
	switch c.HSM.Mode {
	case "soft":
		keys := "公开测试密钥，绝不可用于生产 · PUBLIC TEST KEYS, NEVER FOR PRODUCTION"
		if c.HSM.LMKFile != "" {
			keys = "LMK " + c.HSM.LMKFile + "，密钥在进程内存中，不可用于生产 · KEYS IN MEMORY, NEVER FOR PRODUCTION"
		}
		fmt.Fprintln(w, "加密机 · HSM: 内置软模块 · soft\n  !! "+keys)
	default:
		fmt.Fprintf(w, "加密机 · HSM: %s, 消息头 · header %d, 时限 · timeout %v\n", strings.Join(c.HSM.Addresses, ", "), c.HSM.Header, c.HSM.Timeout)
	}
	if c.Registry.Import != "" {
		fmt.Fprintf(w, "终端 · terminals: %d (%s), ≤ %d\n", terminals, c.Registry.Import, c.Registry.MaxTerminals)
	}
	if c.Console.Address != "" {
		fmt.Fprintf(w, "控制台 · console: http://%s\n", c.Console.Address)
	}
}

// comma puts one in front of what is there.
func comma(s string) string {
	if s != "" {
		s = ", " + s
	}
	return s
}

// memory prints the sum with all its terms.
func memory(w io.Writer, c *config.Config) {
	terms := c.Memory()
	fmt.Fprint(w, "\n内存上限估计 · memory, at most, estimated\n")
	for _, t := range terms {
		fmt.Fprintf(w, "%10.1f MiB  %s (%s)\n", mib(t.Bytes), t.Name, t.How)
	}
	fmt.Fprintf(w, "%10.1f MiB  合计 · sum\n", mib(sum(terms)))
}

// mib is bytes in mebibytes, the unit in which memory is bought.
func mib(n int64) float64 { return float64(n) / (1 << 20) }

// sum adds up the terms. They are printed with it, so that who finds it too
// large sees which limit to lower.
func sum(terms []config.Term) (n int64) {
	for _, t := range terms {
		n += t.Bytes
	}
	return n
}

// configCmd is about the config file itself.
type configCmd struct {
	Schema schemaCmd `cmd:"" help:"输出 JSON schema，供编辑器使用 · print the JSON schema, for editors"`
}

// schemaCmd prints what config/schema.json holds, so that an installed program
// needs no source tree beside it.
type schemaCmd struct{}

// Run prints the schema as it is made from the structs.
func (schemaCmd) Run(s *streams) error {
	b, err := config.Schema()
	if err != nil {
		return err
	}
	_, err = s.out.Write(b)
	return err
}
