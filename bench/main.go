package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"tongka/bench/report"
)

// Exit codes of Main.
const (
	exitOK     = 0
	exitFailed = 1 // the run failed, had faults in it, or missed a limit
	exitUsage  = 2
)

// Main is the command: args are the words behind "bench". It ends its
// children when it is interrupted.
func Main(args []string, stdout, stderr io.Writer) int {
	if len(args) == 2 && args[0] == roleFlag {
		return role(args[1], os.Stdin, stdout, stderr)
	}
	if len(args) > 0 && slices.Contains(report.Commands, args[0]) {
		return report.Main(args, stdout, stderr)
	}
	o, code, done := parse(args, stdout, stderr)
	if done {
		return code
	}
	self, err := command(args)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	goals, err := o.goals()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	b := &bench{o: o, self: self, errors: stderr, bar: newBar(stderr)}
	rep, err := b.run(ctx)
	if err == nil && rep != nil { // a profile has no figures
		rep.print(stdout)
		err = errors.Join(rep.publish(o, goals, stdout), rep.check(o))
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return exitOK
}

// parse reads the flags; done says that there is nothing to run, because help
// was wanted or something is wrong.
func parse(args []string, stdout, stderr io.Writer) (o *Options, code int, done bool) {
	o = &Options{}
	k, err := kong.New(o, kong.Name("bench"), kong.Writers(stdout, stderr),
		kong.Description("压测：交换与裸转发轮流测量。 Measure the switch against a raw relay, in turns.\n\n已有结果 · with results: bench compare A.json B.json, bench goals FILE, bench html FILE PAGE, bench table FILE [DOC…]"),
		kong.Exit(func(c int) { code, done = c, true }))
	if err != nil {
		fmt.Fprintln(stderr, err)
		return o, exitUsage, true
	}
	_, err = k.Parse(args)
	if done {
		return o, code, true
	}
	if err == nil {
		err = o.Validate()
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return o, exitUsage, true
	}
	return o, exitOK, false
}

// command is how to start this program again up to where args begin: its file,
// and the words that lead to the bench when it is a subcommand.
func command(args []string) ([]string, error) {
	file, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("bench: this program's file: %w", err)
	}
	words := os.Args[1:]
	n := len(words) - len(args)
	if n < 0 || !slices.Equal(words[n:], args) {
		return nil, fmt.Errorf("bench: the arguments are not the end of the command line")
	}
	return append([]string{file}, words[:n]...), nil
}
