package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// streams is what a command reads and writes, and when it is to stop.
type streams struct {
	ctx context.Context // ends at the first SIGINT or SIGTERM
	in  io.Reader
	out io.Writer
	err io.Writer
	// step is called between changes on disk of work that may be killed anywhere; nil but
	// for tests of that.
	step func(name string) error
}

// at is a place where such work may end.
func (s *streams) at(name string) error {
	if s.step == nil {
		return nil
	}
	return s.step(name)
}

// errShown is the error of a command that has written its faults already.
var errShown = errors.New("shown")

// cli is the command line. The order is the one of the help.
type cli struct {
	Demo     demoCmd     `cmd:"" help:"演示：一键运行交换、终端、两家银行与加密机 · the whole world on this machine, no set-up"`
	Run      runCmd      `cmd:"" help:"运行交换 · run the switch"`
	Ctl      ctlCmd      `cmd:"" help:"管理运行中的交换 · manage a running switch"`
	Journal  journalCmd  `cmd:"" help:"流水：查找、追踪、导出、校验 · the journal: find, show, export, verify"`
	Saf      safCmd      `cmd:"" help:"欠银行的冲正与通知：列出、暂停、恢复、了结 · what banks are owed: list, hold, release, settle"`
	Check    checkCmd    `cmd:"" help:"检查配置：将运行什么、占多少内存 · check a config: what it would run, the memory it takes"`
	Decode   decodeCmd   `cmd:"" help:"逐字段解读报文 · read a message field by field"`
	Encode   encodeCmd   `cmd:"" help:"由 JSON 生成报文 · make a message from JSON"`
	Dialect  dialectCmd  `cmd:"" help:"报文方言：列出、显示、导入、检查、比较 · message dialects: list, show, import, lint, diff"`
	Route    routeCmd    `cmd:"" help:"路由：说明一笔交易的去向 · routes: where a transaction goes, and why"`
	Explain  explainCmd  `cmd:"" help:"说明故障码 TK-xxxx：含义与处理 · what a fault code means, and what to do"`
	Registry registryCmd `cmd:"" help:"终端登记 · terminals and their keys"`
	Offline  offlineCmd  `cmd:"" help:"脱机交易文件：导入、状态、结果、明细 · files of offline transactions: import, status, results, list"`
	Orders   ordersCmd   `cmd:"" help:"补登与空充订单：导入、列出、取消 · orders paid online for a card: import, list, cancel"`
	Day      dayCmd      `cmd:"" help:"营业日：时钟、关闭前核对 · the business day: its clock, and what is missing before it can be closed"`
	Dispute  disputeCmd  `cmd:"" help:"差错：列出、证据、双人处理、导出 · cases: list, evidence, decisions by two persons, export"`
	Files    filesCmd    `cmd:"" help:"文件站：收、验、列、重试、拒绝、格式 · the file station: take in, verify, list, retry, reject, forms"`
	Reserve  reserveCmd  `cmd:"" help:"备付金：开户、存取、限额、日终证明与签名、对账单 · reserve accounts: open, deposit, withdraw, limits, nights proved and signed, statements"`
	Clean    cleanCmd    `cmd:"" help:"数据清理：日汇总、备份、清理 · daily summaries, backups proved by restoring, purge by age"`
	Clear    clearCmd    `cmd:"" help:"清分与对账 · clearing and reconciliation"`
	Config   configCmd   `cmd:"" help:"配置文件 · the config file"`
	HSM      hsmCmd      `cmd:"" name:"hsm" help:"软加密机与开发用 LMK · the software security module, and LMKs for development"`
	Sim      simCmd      `cmd:"" help:"模拟器与测试密钥 · simulators and test keys"`
	Bench    benchCmd    `cmd:"" passthrough:"" help:"压测：与裸转发对比 · measure against a raw relay"`
	Version  versionCmd  `cmd:"" help:"版本 · version"`
}

const description = "通卡：ISO 8583 支付交换 · Tongka: an ISO 8583 payment switch\n\n" +
	"退出码 · exit codes: 0 完成 · done, 1 拒绝或失败 · refused or failed, 2 命令行有误 · not a command line of this program"

// run is the whole program but the process: it gives the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the default is back, so that a second one kills.
	context.AfterFunc(ctx, stop)
	return runIn(args, streams{ctx: ctx, in: stdin, out: stdout, err: stderr})
}

// exited is how kong's wish to exit, after it has printed help, comes back here.
type exited int

// runIn is run with streams and a context of the caller's choice.
func runIn(args []string, s streams) (code int) {
	defer func() {
		if p := recover(); p != nil {
			c, ok := p.(exited)
			if !ok {
				panic(p)
			}
			code = int(c)
		}
	}()
	// Made anew each time: the library writes what it parses into the grammar.
	var c cli
	k, err := kong.New(&c,
		kong.Name("switch"), kong.Description(description),
		kong.Writers(s.out, s.err), kong.Help(help),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 120}),
		kong.Exit(func(c int) { panic(exited(c)) }),
	)
	if err != nil {
		panic(err) // the grammar above is wrong: every run would say so
	}
	ctx, err := k.Parse(args)
	if err != nil {
		usage(s.err, err)
		return exitUsage
	}
	var own exitCode
	switch err := ctx.Run(&s, pathOf(ctx)); {
	case err == nil:
		return exitDone
	case errors.As(err, &own):
		return int(own)
	case !errors.Is(err, errShown):
		for _, line := range faultLines(err) {
			fmt.Fprintf(s.err, "switch: %s\n", line)
		}
	}
	return exitFailed
}

// usage says in one line what is wrong with a command line, and in another where
// the help is.
func usage(w io.Writer, err error) {
	path := "switch"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if n := parse.Context.Selected(); n != nil {
			path = n.FullPath()
		}
	}
	fmt.Fprintf(w, "switch: %s · %v\n帮助 · help: %s --help\n", inChinese(err.Error()), err, path)
}

// inChinese names the kind of a usage error of kong.
func inChinese(message string) string {
	for _, known := range [...][2]string{
		{"unknown flag", "未知选项"},
		{"unexpected argument", "未知命令或多余参数"},
		{"can't be used together", "选项不能同时使用"},
		{"missing flags", "缺少选项"},
		{"missing positional", "缺少参数"},
		{"must be one of", "取值不在范围内"},
		{"but got", "取值无效"},
		{"expected one of", "缺少命令"},
		{"expected", "缺少参数"},
	} {
		if strings.Contains(message, known[0]) {
			return known[1]
		}
	}
	return "命令行有误"
}

// helpWords are what the library says in English only.
var helpWords = strings.NewReplacer(
	"Usage: ", "用法 · usage: ",
	"\nArguments:\n", "\n参数 · arguments:\n",
	"\nFlags:\n", "\n选项 · flags:\n",
	"\nCommands:\n", "\n命令 · commands:\n",
	"Show context-sensitive help.", "显示帮助 · show this help",
	`for more information on a command.`, `查看某一命令 · for more on a command`,
	`Run "`, `运行 · run "`,
	// The library does not show that flags exclude each other.
	"--listen=ADDR --connect=ADDR", "(--listen=ADDR | --connect=ADDR)",
)

// help prints the library's help with both languages in it.
func help(o kong.HelpOptions, ctx *kong.Context) error {
	to := ctx.Stdout
	var b bytes.Buffer
	ctx.Stdout = &b
	err := kong.DefaultHelpPrinter(o, ctx)
	ctx.Stdout = to
	if err != nil {
		return err
	}
	_, err = helpWords.WriteString(to, b.String())
	return err
}
