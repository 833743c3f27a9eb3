package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"time"

	"tongka/bench/internal/codecspeed"
	"tongka/bench/internal/load"
	"tongka/bench/internal/proc"
	"tongka/cpuidle"
)

// bench is one run. It goes through its steps in one goroutine; the children do
// the work.
type bench struct {
	o       *Options
	self    []string // the command that starts this program again
	errors  io.Writer
	raw     target
	sw      target
	peers   []target
	bar     *bar
	console netip.AddrPort // of the switch
	module  netip.AddrPort // the security module behind a socket, if there is one
	dir     string         // of the run's files, the switch's data among them
	fresh   int            // index of the next unused terminal
}

// target is a system under test.
type target struct {
	name  string // as the report calls it
	pid   int
	spec  load.Spec // what all its measurements have in common
	knows bool      // terminals and their repeats: each measurement takes fresh ones
}

// run measures and gives the report. Figures with faults in them are no
// figures: they end the run with an error.
func (b *bench) run(ctx context.Context) (rep *Report, err error) {
	// The kernel kills our children when this thread ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeoutCause(ctx, b.o.bound(), fmt.Errorf("bench: not done after %v", b.o.bound()))
	defer cancel()
	dir, remove, err := b.folder()
	if err != nil {
		return nil, err
	}
	defer stopped(&err, remove)
	b.dir = dir
	if _, err := proc.RaiseFiles(); err != nil {
		return nil, fmt.Errorf("bench: open files: %w", err)
	}
	rep = newReport(b.o, proc.Look(dir))
	if !b.o.special() {
		if rep.Codec, err = codecspeed.Measure(); err != nil {
			return nil, err
		}
	}
	bank, ready, err := b.startBank(ctx)
	if err != nil {
		return nil, err
	}
	defer stopped(&err, bank.stop)
	if b.o.SAF || b.o.Clearing {
		return rep, b.prepared(ctx, dir, ready, rep)
	}
	relay, at, err := b.startRelay(ctx, roleRelay, ready.Raw)
	if err != nil {
		return nil, err
	}
	defer stopped(&err, relay.stop)
	b.raw = target{rawName, relay.cmd.Process.Pid, load.Spec{Address: at, Echo: true}, false}
	if !b.o.Raw {
		if b.o.HSM != "" {
			module, at, bad := b.startHSM(ctx)
			if bad != nil {
				return nil, bad
			}
			defer stopped(&err, module.stop)
			b.module = at
		}
		s, bad := b.startSwitch(ctx, dir, ready) // not err: what stopping finds must reach the result
		if bad != nil {
			return nil, bad
		}
		defer stopped(&err, s.stop)
		if b.o.Profile != "" {
			return nil, b.profile(ctx)
		}
		if b.o.Idle > 0 {
			if rep.Idle, err = b.idle(ctx); err != nil {
				return nil, err
			}
			rep.IdleEach = rep.Idle.Each
		}
	}
	others, err := b.startPeers(ctx, ready)
	for _, c := range others {
		defer stopped(&err, c.stop)
	}
	if err != nil {
		return nil, err
	}
	return rep, b.measureWhat(ctx, rep)
}

// measureWhat takes what the options want of systems that run.
func (b *bench) measureWhat(ctx context.Context, rep *Report) (err error) {
	switch {
	case b.o.Sustain > 0:
		rep.Sustained, err = b.sustain(ctx)
	case b.o.Front:
		rep.Front, err = b.front(ctx)
	case b.o.Storm:
		rep.Storm, err = b.storm(ctx)
	default:
		err = b.measureAll(ctx, rep)
	}
	return err
}

// prepared measures switches whose journals are written before they start; there is no
// yardstick beside them.
func (b *bench) prepared(ctx context.Context, dir string, bank bankReady, rep *Report) (err error) {
	if b.o.SAF {
		rep.SAF, err = b.saf(ctx, dir, bank)
	} else {
		rep.Clearing, err = b.clearing(ctx, dir, bank)
	}
	return err
}

// folder makes the run's temporary folder, which remove takes away unless it is to
// be kept.
func (b *bench) folder() (dir string, remove func() error, err error) {
	if dir, err = os.MkdirTemp(b.o.Dir, "tongka-bench-"); err != nil {
		return "", nil, fmt.Errorf("bench: %w", err)
	}
	if b.o.Keep {
		fmt.Fprintf(b.errors, "临时目录 the temporary folder: %s\n", dir)
		return dir, func() error { return nil }, nil
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

// stopped stops a process at the end of a run. That it ends badly matters too.
func stopped(err *error, stop func() error) { *err = errors.Join(*err, stop()) }

// startBank starts the one bank; raw and switch use it in turns.
func (b *bench) startBank(ctx context.Context) (c *child, ready bankReady, err error) {
	profile := b.o.bank()
	profile.Alone = true
	if c, err = b.role(ctx, roleBank, profile); err == nil {
		err = c.hear(&ready)
	}
	return c, ready, err
}

// startRelay starts the yardstick, or a peer, and says where it listens. It stays for
// the whole run; silent, it costs nothing.
func (b *bench) startRelay(ctx context.Context, name string, bank netip.AddrPort) (c *child, at netip.AddrPort, err error) {
	if c, err = b.role(ctx, name, relaySpec{bank}); err != nil {
		return nil, at, err
	}
	var ready relayReady
	err = c.hear(&ready)
	return c, ready.Address, err
}

// startHSM starts the module behind a socket and says where it listens.
func (b *bench) startHSM(ctx context.Context) (c *child, at netip.AddrPort, err error) {
	delay, err := parseHSM(b.o.HSM)
	if err != nil {
		return nil, at, err
	}
	if c, err = b.role(ctx, roleHSM, hsmSpec{delay}); err != nil {
		return nil, at, err
	}
	var ready relayReady
	err = c.hear(&ready)
	return c, ready.Address, err
}

// program is the switch under test.
func (b *bench) program() string {
	if b.o.Switch != "" {
		return b.o.Switch
	}
	return b.self[0] // we are a command of the switch
}

// startSwitch writes the switch's folder and starts it. One switch serves the whole run,
// as in life: tables fill and files grow. Its console tells what it allocates.
func (b *bench) startSwitch(ctx context.Context, dir string, bank bankReady) (*system, error) {
	p, err := provision(dir, b.o.terminals(), settings{Bank: bank.Centre, Stuck: b.o.bank().Stuck, Module: b.module, Connections: b.o.connections(), Enquiries: b.o.enquiries(), Sleep: b.o.LetSleep})
	if err != nil {
		return nil, err
	}
	s, err := startSwitch(ctx, b.program(), p, true)
	if err != nil {
		return nil, err
	}
	b.console = s.console
	b.sw = target{switchName, s.cmd.Process.Pid, load.Spec{Address: p.pos}, true}
	return s, nil
}

// measureAll takes all systems in turns, so that what else the machine does
// meets all.
func (b *bench) measureAll(ctx context.Context, rep *Report) error {
	// A busy switch asks the machine for it; so that nobody has an advantage, all have it.
	var wish cpuidle.Wish
	defer func() { _ = wish.Drop() }() // it ends with us in any case
	rep.Machine.Awake = !b.o.LetSleep && wish.Make() == nil
	systems := []*target{&b.raw}
	if !b.o.Raw {
		systems = append(systems, &b.sw)
	}
	for i := range b.peers {
		systems = append(systems, &b.peers[i])
	}
	steps := 0
	for _, name := range b.o.Shape {
		steps++
		for round := range b.o.Pairs {
			steps += len(b.taking(systems, name, round))
		}
		if b.o.open(name) {
			steps += b.o.Pairs
		}
	}
	b.bar.begin(steps)
	defer b.bar.end()
	for _, name := range b.o.Shape {
		if err := b.measureShape(ctx, rep, name, systems); err != nil {
			return err
		}
	}
	return nil
}

// peerRounds is in how many rounds of a shape peers take part: they are told from the switch
// by factors and not by a tenth, and the time is better spent on the switch.
const peerRounds = 3

// taking are the systems that take part in a round of a shape.
func (b *bench) taking(systems []*target, name string, round int) (part []*target) {
	for _, t := range systems {
		p, isPeer := peers[t.name]
		if !isPeer || round < peerRounds && !(shapes[name].mix && p.translate) {
			part = append(part, t)
		}
	}
	return part
}

// measureShape takes the rounds of one shape, and then counts.
func (b *bench) measureShape(ctx context.Context, rep *Report, name string, systems []*target) error {
	measured := map[string][]load.Result{}
	var disk *Disk
	for round := range b.o.Pairs {
		for _, t := range b.taking(systems, name, round) {
			b.bar.step(name + " " + t.name)
			r, err := b.watched(ctx, t, name, &disk)
			if err != nil {
				return err
			}
			measured[t.name] = append(measured[t.name], r)
		}
	}
	var counts *Counts
	if !b.o.Raw {
		b.bar.step(name + " 计数 counting")
		var err error
		if counts, err = b.census(ctx, name); err != nil {
			return err
		}
	}
	if err := rep.add(name, measured, disk, counts); err != nil || !b.o.open(name) {
		return err
	}
	return b.openLoop(ctx, rep, name)
}

// openLoop measures the switch in a shape at a rate.
func (b *bench) openLoop(ctx context.Context, rep *Report, name string) error {
	var rounds []load.Result
	s := b.spec(&b.sw, name)
	s.Rate, s.Shortfall = b.o.MixRate, true
	for range b.o.Pairs {
		b.bar.step(fmt.Sprintf("%s 开环 open loop %d/s", name, s.Rate))
		r, err := b.load(ctx, &b.sw, s)
		if err != nil {
			return fmt.Errorf("%s: open loop: %w", name, err)
		}
		rounds = append(rounds, r)
	}
	return rep.addOpen(name, s.Rate, rounds)
}

// watched measures and, when it is the switch, looks at its disk before and after.
func (b *bench) watched(ctx context.Context, t *target, name string, disk **Disk) (r load.Result, err error) {
	if t != &b.sw {
		return b.measure(ctx, t, name)
	}
	if *disk == nil {
		*disk = new(Disk)
	}
	before, err := commitsOf(ctx, b.console)
	if err != nil {
		return r, err
	}
	if r, err = b.measure(ctx, t, name); err != nil {
		return r, err
	}
	after, err := commitsOf(ctx, b.console)
	(*disk).add(before, after, (b.o.warmUp() + b.o.window()).Seconds())
	return r, err
}

// measure loads one system in one shape.
func (b *bench) measure(ctx context.Context, t *target, name string) (load.Result, error) {
	r, err := b.load(ctx, t, b.spec(t, name))
	if err != nil {
		return r, fmt.Errorf("%s: %s: %w", name, t.name, err)
	}
	return r, nil
}

// spec is how a system is loaded in one shape.
func (b *bench) spec(t *target, name string) load.Spec {
	sh, s := shapes[name], t.spec
	s.Connections, s.Depth, s.Reconnect, s.Terminals = sh.connections, sh.depth, sh.reconnect, sh.terminals
	s.WarmUp, s.Window = b.o.warmUp(), b.o.window()
	most := sh.rate
	if b.o.Rate > 0 { // a system that cannot keep up is behind, which the report says
		s.Rate, s.Shortfall, most = b.o.Rate, true, min(b.o.Rate, sh.rate)
	}
	s.Mix, s.Timeouts = sh.mix, b.o.bank().Stuck && t.name == switchName
	s.Ahead = min(most*int((s.WarmUp+s.Window)/time.Millisecond)/1000, 8<<20)
	return s
}

// load runs the load generator against fresh terminals.
func (b *bench) load(ctx context.Context, t *target, s load.Spec) (load.Result, error) {
	c, err := b.startLoad(ctx, t, s)
	if err != nil {
		return load.Result{}, err
	}
	return loaded(ctx, c)
}

// startLoad lets the load begin; loaded gives what came of it.
func (b *bench) startLoad(ctx context.Context, t *target, s load.Spec) (*child, error) {
	return b.role(ctx, roleLoad, b.specOf(t, s))
}

// specOf completes what a load generator is told. A switch would answer a terminal that
// begins its trace numbers again from its books, which is an approval too, but no sale:
// so terminals are used once.
func (b *bench) specOf(t *target, s load.Spec) load.Spec {
	s.FirstTrace, s.PID, s.PIN, s.Drain, s.Alone = 1, t.pid, b.o.PIN, 12*time.Second, true
	if t.knows {
		s.First = b.fresh
		b.fresh += s.Terminals
	}
	return s
}

func loaded(ctx context.Context, c *child) (r load.Result, err error) {
	if err := c.hear(&r); err != nil {
		return r, errors.Join(err, context.Cause(ctx))
	}
	if err := c.stop(); err != nil {
		return r, err
	}
	for fault, n := range r.Faults {
		err = errors.Join(err, fmt.Errorf("%d × %s", n, fault))
	}
	if err != nil {
		return r, fmt.Errorf("bench: answers that are not approvals: %w", err)
	}
	if r.Answers == 0 {
		return r, errors.New("bench: no answer within the window")
	}
	return r, nil
}
