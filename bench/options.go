// Package bench measures the switch against the least that any switch can cost:
// a raw relay on the same machine, with the same load generator and bank, on
// the loopback interface, in turns. Load generator, bank and system under test
// are processes of their own; the ratios between switch and relay hold from one
// machine to another, the absolute figures do not.
package bench

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tongka/bench/internal/bank"
	"tongka/bench/report"
)

// Options are the flags of the command.
type Options struct {
	Shape       []string           `help:"压测形态 A,D,W,C,M。 Shapes: A 50 terminals, one sale each under way; D 500; W 16 with 64 each; C connect, one sale, close; M 500 terminals with a day's mix." default:"A,D,W,C,M"`
	Seconds     float64            `help:"每次测量秒数。 Seconds of one measurement." default:"2"`
	WarmUp      float64            `help:"每次预热秒数。 Seconds of warm-up before it." default:"1"`
	Pairs       int                `help:"裸转发与交换轮流各测几次。 Measurements of each, raw and switch in turns; on a shared machine many short ones say more than few long ones." default:"7"`
	Peers       []string           `help:"同场测量的其他做法：net 每连接一协程的转发，moov 用 moov-io/iso8583 写的转换；none 不测。 Peers in the same rounds: net, a forwarder with a goroutine a connection; moov, a relay written with moov-io/iso8583; none." default:"net,moov" placeholder:"NAME"`
	Raw         bool               `help:"只测裸转发。 Measure the raw relay only."`
	Rate        int                `help:"开环：每秒到达笔数，时延自应到时刻起算；0 为闭环。 Open loop: sales that arrive in a second, each timed from when it was due; 0 is a closed loop." placeholder:"20000"`
	MixRate     int                `name:"mix-rate" help:"形态 M 另以此速率开环测量，0 不测。 Shape M is also measured as an open loop at this rate, 0: not." default:"20000"`
	PIN         bool               `name:"pin" help:"交易带 PIN。 Sales carry a PIN block (F52)."`
	Bank        string             `help:"银行时延：0 即时，fixed:5ms 固定，lognormal:20ms,0.5 对数正态（中位数与离散度），stuck 四条线路之一只收不答。 How long the bank takes: at once, fixed, log-normal (median and spread), or one of four lines stuck." default:"0" placeholder:"PROFILE"`
	HSM         string             `name:"hsm" help:"加密机在 TCP 之后，每条命令的时延；缺省为进程内软模块。 The security module behind a socket, with a time for each command; in the process when left out." placeholder:"tcp:1ms"`
	Idle        int                `help:"空闲终端内存测量的连接数，0 不测。 Connections for the memory of an idle terminal, 0: none." default:"5000"`
	Front       bool               `help:"改测接入：慢发送者与短连接旁的诚实终端。 Measure the front instead: honest terminals beside slow senders and short-lived ones."`
	Slow        int                `help:"--front 的慢发送者数，每秒一字节。 Slow senders of --front, a byte a second each." default:"10000"`
	Gather      float64            `help:"--front 的慢发送者陆续到来的秒数；缺省等于交换的半帧时限，此后每秒断开与重连同样多。 Seconds in which the slow senders come; as long as the switch lets a frame take, so that later as many are cut in each second as come again." default:"10"`
	Connects    int                `help:"--front 每秒短连接数。 Connects a second of short-lived terminals of --front." default:"1000"`
	Storm       bool               `help:"改测查询风暴：消费旁十倍的余额查询。 Measure a storm instead: sales beside ten times as many balance enquiries."`
	StormRate   int                `name:"storm-rate" help:"--storm 每秒消费数，查询放行同样多。 Sales a second of --storm; as many enquiries are let through." default:"1000"`
	MinStorm    float64            `name:"min-storm-ratio" help:"--storm 消费 TPS 之比的下限。 Fail when the sales' TPS ratio of --storm is below." placeholder:"0.95"`
	MaxFront    float64            `name:"max-front-ratio" help:"--front p99 之比的上限。 Fail when a p99 ratio of --front is above." placeholder:"2"`
	SAF         bool               `name:"saf" help:"改测存储转发：欠着大量冲正时的消费与内存，以及投递速度。 Measure store and forward instead: sales and memory beside a great many debts, and how fast these are delivered."`
	Debts       int                `help:"--saf 所欠笔数。 Debts of --saf." default:"1000000"`
	MinSAF      float64            `name:"min-saf-ratio" help:"--saf 消费 TPS 之比的下限。 Fail when the sales' TPS ratio of --saf is below." placeholder:"0.9"`
	MaxSAF      float64            `name:"max-saf-memory" help:"--saf 内存增长上限，MB。 Fail when the debts of --saf take more memory." placeholder:"MB"`
	MinDelivery float64            `name:"min-deliveries" help:"--saf 每秒投递数下限。 Fail when fewer debts of --saf are delivered in a second." placeholder:"20000"`
	Clearing    bool               `help:"改测清分：当日清分与消费并行时的消费。 Measure the clearing instead: sales beside a run that clears a day of the same switch."`
	Day         int                `name:"day" help:"--clearing 每方行数。 Rows a side of --clearing." default:"200000"`
	MinClearing float64            `name:"min-clearing-ratio" help:"--clearing 消费 TPS 之比的下限。 Fail when the sales' TPS ratio of --clearing is below." placeholder:"0.8"`
	Sustain     time.Duration      `help:"改测持续运行：形态 M 以 --rate 开环运行这么久，内存与 p99 须平稳；30m 约写 25 GB。 Measure a long run instead: shape M at --rate for so long, with flat memory and p99; 30m writes some 25 GB." placeholder:"30m"`
	MaxP99      float64            `name:"max-p99" help:"--sustain 全程 p99 上限，微秒。 Fail when the p99 of --sustain is above, microseconds." placeholder:"10000"`
	JSON        string             `name:"json" help:"结果写入文件。 Write the figures to a file." placeholder:"FILE"`
	HTML        string             `name:"html" help:"结果画成可离线打开的网页。 Draw the figures as a page that opens offline." placeholder:"FILE"`
	HGRM        string             `name:"hgrm" help:"各形态、各系统的时延分布写入目录，HdrHistogram 的 .hgrm 格式。 Write the latencies of each shape and system into a folder, as HdrHistogram's percentile files." placeholder:"DIR"`
	Goals       string             `help:"目标文件，未达标则退出码为 1。 A file of goals; exit 1 when one is missed." placeholder:"FILE"`
	Profile     string             `help:"改为剖析：每种形态的 CPU 与分配火焰图写入目录，时长取 --seconds（1 至 8）。 Profile instead: CPU and allocation flame graphs of each shape into a folder, over --seconds, 1 to 8." placeholder:"DIR"`
	LetSleep    bool               `name:"let-sleep" help:"任由空闲处理器休眠；缺省比较时对各系统一律保持唤醒，如交换繁忙时所请求。 Let idle processors sleep. Without it they are kept awake for all systems that are compared, as a busy switch asks for."`
	Switch      string             `help:"被测程序，缺省为本程序。 The switch, this program when left out." placeholder:"PROGRAM"`
	Dir         string             `help:"临时目录的位置，须在真实磁盘上。 Where the temporary folder is made; a real disk." placeholder:"DIR"`
	Keep        bool               `help:"保留临时目录。 Keep the temporary folder."`
	MinTPSRatio map[string]float64 `name:"min-tps-ratio" help:"TPS 与裸转发之比的下限，如 D=0.5。 Fail when TPS over raw is below." placeholder:"D=0.5"`
	MaxCPURatio map[string]float64 `name:"max-cpu-ratio" help:"CPU 与裸转发之比的上限。 Fail when CPU over raw is above." placeholder:"D=2"`
	MaxP99Ratio map[string]float64 `name:"max-p99-ratio" help:"p99 与裸转发之比的上限。 Fail when p99 over raw is above." placeholder:"D=3"`
	MaxIdle     float64            `help:"每空闲终端字节上限。 Fail when an idle terminal takes more bytes." placeholder:"BYTES"`
}

// shape is a way to load a system. A is a shop at noon: many turns of the loop,
// few requests in each, so what a turn costs counts. D is a city: groups are
// large, and commits and writes are shared. W is concentrators: system calls
// hardly count any more, so what is left is the program's own work. C is
// terminals that dial for every sale. M is a day of 500 terminals: sales, loads of cards,
// reversals, enquiries, sign-ins and settlements.
type shape struct {
	connections int
	depth       int
	reconnect   bool
	mix         bool
	terminals   int
	rate        int // transactions a second to make MACs ahead for: more than a switch does
	about       string
}

var shapes = map[string]shape{
	"A": {50, 1, false, false, 50, 150_000, "50 × 1"},
	"D": {500, 1, false, false, 500, 150_000, "500 × 1"},
	"W": {16, 64, false, false, 16, 600_000, "16 × 64"},
	"C": {32, 1, true, false, 500, 20_000, "短连接 connect"},
	"M": {500, 1, false, true, 500, 0, "混合 mix"},
}

// Validate reports every fault at once.
func (o *Options) Validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault(len(o.Shape) == 0, "--shape：至少一种形态 · at least one shape")
	seen := map[string]bool{}
	for _, name := range o.Shape {
		_, ok := shapes[name]
		fault(!ok, "--shape %s：须为 A、D、W、C、M · not one of A, D, W, C, M", name)
		fault(seen[name], "--shape %s：重复 · twice", name)
		seen[name] = true
	}
	fault(o.Seconds < 0.05 || o.Seconds > 600, "--seconds %g：须在 0.05 至 600 之间 · from 0.05 to 600", o.Seconds)
	fault(o.WarmUp < 0 || o.WarmUp > 60, "--warm-up %g：须在 0 至 60 之间 · from 0 to 60", o.WarmUp)
	fault(o.Pairs < 1 || o.Pairs > 100, "--pairs %d：须在 1 至 100 之间 · from 1 to 100", o.Pairs)
	fault(o.Idle < 0 || o.Idle > 100_000, "--idle %d：须在 0 至 100000 之间 · from 0 to 100000", o.Idle)
	o.validatePeers(fault)
	fault(o.Profile != "" && (o.Front || o.Storm || o.Raw), "--profile：不与 --front、--storm、--raw 同用 · not with --front, --storm or --raw")
	fault(o.Profile != "" && (o.window() < time.Second || o.window() > mostProfile), "--profile：--seconds 须在 1 至 8 之间 · wants --seconds from 1 to 8")
	fault(o.Rate < 0 || o.Rate > mostRate, "--rate %d：须在 0 至 %d 之间 · from 0 to %d", o.Rate, mostRate, mostRate)
	fault(o.MixRate < 0 || o.MixRate > mostRate, "--mix-rate %d：须在 0 至 %d 之间 · from 0 to %d", o.MixRate, mostRate, mostRate)
	fault(o.PIN && seen["M"], "--pin：形态 M 的交易不带 PIN · the transactions of shape M carry none")
	o.validateParties(fault, seen)
	o.validateSustain(fault)
	fault(o.Rate > 0 && o.Sustain == 0 && seen["W"], "--rate：形态 W 一条连接在途多笔，只能闭环 · shape W has many under way on a connection, and is a closed loop only")
	fault(o.Rate > 0 && o.special() && o.Sustain == 0, "--rate：不与 --front、--storm、--saf、--clearing、--profile 同用 · not with --front, --storm, --saf, --clearing or --profile")
	fault(o.HGRM != "" && o.special(), "--hgrm：不与 --front、--storm、--saf、--clearing、--profile 同用 · not with --front, --storm, --saf, --clearing or --profile")
	fault(o.Profile != "" && (o.JSON != "" || o.HTML != "" || o.Goals != ""), "--profile：不产生数据 · gives no figures for --json, --html or --goals")
	fault(o.HTML != "" && (o.Front || o.Storm), "--html：不与 --front、--storm 同用 · not with --front or --storm")
	fault(o.Goals != "" && (o.Front || o.Storm || o.Raw), "--goals：不与 --front、--storm、--raw 同用 · not with --front, --storm or --raw")
	for flag, limits := range o.limits() {
		for name := range limits {
			fault(!seen[name], "--%s %s：此形态不在本次压测内 · this shape is not in the run", flag, strings.ToUpper(name))
		}
		fault(o.Raw && len(limits) > 0, "--%s：--raw 时没有比值 · there is no ratio with --raw", flag)
	}
	fault(o.Front && o.Raw, "--front --raw：二者择一 · one of the two")
	fault(o.Front && (o.Slow < 1 || o.Slow > 50_000), "--slow %d：须在 1 至 50000 之间 · from 1 to 50000", o.Slow)
	fault(o.Front && (o.Gather < 0 || o.Gather > 600), "--gather %g：须在 0 至 600 之间 · from 0 to 600", o.Gather)
	fault(o.Front && (o.Connects < 1 || o.Connects > 10_000), "--connects %d：须在 1 至 10000 之间 · from 1 to 10000", o.Connects)
	fault(o.Storm && (o.Raw || o.Front), "--storm 不与 --raw、--front 同用 · not with --raw or --front")
	fault(o.Storm && (o.StormRate < 1 || o.StormRate > 10_000), "--storm-rate %d：须在 1 至 10000 之间 · from 1 to 10000", o.StormRate)
	fault(!o.Storm && o.MinStorm != 0, "--min-storm-ratio：须与 --storm 同用 · only with --storm")
	fault(o.SAF && (o.Raw || o.Front || o.Storm), "--saf 不与 --raw、--front、--storm 同用 · not with --raw, --front or --storm")
	fault(o.SAF && (o.Debts < 1000 || o.Debts > 5_000_000), "--debts %d：须在 1000 至 5000000 之间 · from 1000 to 5000000", o.Debts)
	fault(!o.SAF && (o.MinSAF != 0 || o.MaxSAF != 0 || o.MinDelivery != 0), "--min-saf-ratio、--max-saf-memory、--min-deliveries：须与 --saf 同用 · only with --saf")
	fault(o.Clearing && (o.Raw || o.Front || o.Storm || o.SAF), "--clearing 不与 --raw、--front、--storm、--saf 同用 · not with --raw, --front, --storm or --saf")
	fault(o.Clearing && (o.Day < 1000 || o.Day > 5_000_000), "--day %d：须在 1000 至 5000000 之间 · from 1000 to 5000000", o.Day)
	fault(!o.Clearing && o.MinClearing != 0, "--min-clearing-ratio：须与 --clearing 同用 · only with --clearing")
	fault(!o.Front && o.MaxFront != 0, "--max-front-ratio：须与 --front 同用 · only with --front")
	fault(o.MaxIdle != 0 && (o.Raw || o.Idle == 0), "--max-idle：本次不测内存 · memory is not measured in this run")
	return errors.Join(errs...)
}

// goals reads the file before anything is measured; none is no goals.
func (o *Options) goals() (report.Goals, error) {
	if o.Goals == "" {
		return nil, nil
	}
	return report.ReadGoals(o.Goals)
}

// validatePeers: none stands alone.
func (o *Options) validatePeers(fault func(bad bool, format string, args ...any)) {
	seen := map[string]bool{}
	for _, name := range o.Peers {
		_, ok := peers[name]
		fault(!ok && name != noPeers, "--peers %s：须为 net、moov、none · not one of net, moov, none", name)
		fault(seen[name], "--peers %s：重复 · twice", name)
		seen[name] = true
	}
	fault(seen[noPeers] && len(o.Peers) > 1, "--peers none：不与其他同用 · not with others")
}

func (o *Options) validateSustain(fault func(bad bool, format string, args ...any)) {
	fault(o.MaxP99 != 0 && o.Sustain == 0, "--max-p99：须与 --sustain 同用 · only with --sustain")
	if o.Sustain == 0 {
		return
	}
	fault(o.Sustain < time.Second || o.Sustain > 12*time.Hour, "--sustain %v：须在 1s 至 12h 之间 · from 1s to 12h", o.Sustain)
	fault(o.Rate == 0, "--sustain：须有 --rate · wants --rate")
	fault(o.Raw || o.Front || o.Storm || o.SAF || o.Clearing || o.Profile != "" || o.HTML != "" || o.Goals != "",
		"--sustain：不与 --raw、--front、--storm、--saf、--clearing、--profile、--html、--goals 同用 · not with --raw, --front, --storm, --saf, --clearing, --profile, --html or --goals")
}

// validateParties looks at who stands beside the switch.
func (o *Options) validateParties(fault func(bad bool, format string, args ...any), shape map[string]bool) {
	p, err := bank.ParseProfile(o.bankForm())
	fault(err != nil, "--bank %v", err)
	fault(p.Stuck && shape["M"], "--bank stuck：形态 M 的终端要求每笔都成 · the terminals of shape M want every deal to end well")
	fault(p != (bank.Profile{}) && (o.Front || o.Storm || o.SAF || o.Clearing), "--bank：不与 --front、--storm、--saf、--clearing 同用 · not with --front, --storm, --saf or --clearing")
	if o.HSM != "" {
		_, err := parseHSM(o.HSM)
		fault(err != nil, "--hsm %v", err)
		fault(o.Raw || o.SAF || o.Clearing, "--hsm：不与 --raw、--saf、--clearing 同用 · not with --raw, --saf or --clearing")
	}
}

func (o *Options) bankForm() string { return cmp.Or(o.Bank, "0") }

// bank is the profile of options that Validate has passed.
func (o *Options) bank() bank.Profile {
	p, _ := bank.ParseProfile(o.bankForm())
	return p
}

// mostHSM is what a switch waits for a module at most.
const mostHSM = 500 * time.Millisecond

// parseHSM reads tcp, or tcp and the time that a command takes.
func parseHSM(text string) (time.Duration, error) {
	kind, rest, timed := strings.Cut(text, ":")
	d, err := time.Duration(0), error(nil)
	if timed {
		d, err = time.ParseDuration(rest)
	}
	if kind != "tcp" || err != nil || d < 0 || d > mostHSM {
		return 0, fmt.Errorf("%q：须为 tcp 或 tcp:1ms，至多 %v · want tcp or tcp:1ms, %v at most", text, mostHSM, mostHSM)
	}
	return d, nil
}

// mostRate is the highest rate of an open loop: more than a switch and its load do on one machine.
const mostRate = 100_000

// special says that something else than the shapes is measured.
func (o *Options) special() bool {
	return o.Front || o.Storm || o.SAF || o.Clearing || o.Sustain > 0 || o.Profile != ""
}

// open says that a shape is measured as an open loop, too.
func (o *Options) open(name string) bool {
	return shapes[name].mix && o.MixRate > 0 && o.Rate == 0 && !o.Raw && !o.special()
}

// peerNames are the peers that take part.
func (o *Options) peerNames() []string {
	if o.Raw || o.special() || slices.Equal(o.Peers, []string{noPeers}) {
		return nil
	}
	return o.Peers
}

func (o *Options) limits() map[string]map[string]float64 {
	return map[string]map[string]float64{"min-tps-ratio": o.MinTPSRatio, "max-cpu-ratio": o.MaxCPURatio, "max-p99-ratio": o.MaxP99Ratio}
}

func (o *Options) window() time.Duration { return time.Duration(o.Seconds * float64(time.Second)) }
func (o *Options) warmUp() time.Duration { return time.Duration(o.WarmUp * float64(time.Second)) }

func (o *Options) gather() time.Duration { return time.Duration(o.Gather * float64(time.Second)) }

// connections is how many the switch must take at once.
func (o *Options) connections() int {
	n := max(o.Idle, 500) + 500
	if o.Front {
		n = max(n, 2*o.Slow+frontTerminals+2*shortTerminals) // those that are cut come again before they are counted out
	}
	if o.Storm {
		n = max(n, 2*(stormTerminals+stormAskers))
	}
	return n
}

// enquiries is how many of them a second the switch lets through, 0 for all.
func (o *Options) enquiries() int {
	if o.Storm {
		return o.StormRate
	}
	return 0
}

// bound is how long the whole run may take before it is ended: three times what
// it should, and the time that slow starts need.
func (o *Options) bound() time.Duration {
	once := o.window() + o.warmUp() + time.Second
	if o.Front {
		return 3*(3*once+o.gather())*time.Duration(o.Pairs) + 3*once + 3*time.Minute
	}
	if o.Storm {
		return 3*2*(once+time.Second)*time.Duration(o.Pairs) + 3*time.Minute
	}
	if o.Sustain > 0 { // with what a disk that stalls may take
		return o.Sustain + o.Sustain/4 + 3*time.Minute
	}
	if o.SAF || o.Clearing {
		return 3*2*once*time.Duration(o.Pairs) + 15*time.Minute
	}
	return 3*once*time.Duration(((2+len(o.peerNames()))*o.Pairs+1)*len(o.Shape)+o.Pairs) + 3*time.Minute
}

// terminals is how many the run needs: each measurement takes fresh ones, so
// that no trace number is used twice at a switch that refuses repeats.
func (o *Options) terminals() int {
	n := idleTerminals
	if o.Front {
		return n + o.Pairs*(3*frontTerminals+shortTerminals) + frontTerminals
	}
	if o.Storm {
		return n + o.Pairs*(2*stormTerminals+stormAskers)
	}
	if o.Sustain > 0 {
		return n + shapes[sustainShape].terminals
	}
	if o.SAF || o.Clearing { // both under the same shape
		return n + 2*o.Pairs*shapes[safShape].terminals
	}
	for _, name := range o.Shape { // and once more to count
		n += (o.Pairs + 1) * shapes[name].terminals
		if o.open(name) {
			n += o.Pairs * shapes[name].terminals
		}
	}
	return n
}
