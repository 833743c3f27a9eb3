// Package demo plays the whole world on one machine without set-up: a switch, a
// fleet of terminals, kiosks that load cards, banks and a security module, all
// on 127.0.0.1. Beside the steady traffic one terminal and two kiosks go through
// their day, step by step. Half way one bank falls silent and comes back; at the
// end the books of all sides are compared.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/audit"
	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/node"
	"tongka/sim"
	"tongka/sim/kiosk"
	simoffline "tongka/sim/offline"
)

// Options of a demo.
type Options struct {
	For       time.Duration // of traffic
	JSON      bool          // the last line is one object and nothing else is printed but that
	Data      string        // kept and continued; "" is a temporary folder
	Terminals int           // 50 when 0
	Rate      float64       // sales a second, 500 when 0
	Version   string
}

// seed of the demo's terminals: the same ones in every run, so that a run on an
// old data folder finds its own.
const seed = 8583

// zpkClear is the banks' PIN key, worth nothing outside of the demo.
var zpkClear = []byte{0x5B, 0x1C, 0x7F, 0x2A, 0x8C, 0xE3, 0xA4, 0xD6, 0x0E, 0x9B, 0x37, 0x62, 0x4F, 0xD1, 0xA8, 0xC2}

// world is everything that plays.
type world struct {
	o      Options
	mu     sync.Mutex // of out: the day and the second hand both write
	out    io.Writer
	data   string
	log    *zap.Logger
	banks  [2]*sim.Bank
	fleet  *sim.Fleet
	till   *sim.Fleet // of one terminal, whose day is played
	name   string     // of that terminal
	pans   []string   // of its cards
	park   *kiosk.Park
	node   *node.Node
	cfg    *config.Config // of it
	sm4    national
	steps  Steps
	fatal  chan error
	closes []func() error
}

// Run plays the demo. The error says so when money was lost or duplicated.
func Run(ctx context.Context, o Options, out io.Writer) error {
	if o.Terminals == 0 {
		o.Terminals = 50
	}
	if o.Rate == 0 {
		o.Rate = 500
	}
	w := &world{o: o, out: out, data: o.Data, fatal: make(chan error, 1)}
	sum, err := w.play(ctx)
	err = errors.Join(err, w.close())
	if sum == nil {
		return err
	}
	return errors.Join(err, w.report(sum))
}

func (w *world) play(ctx context.Context) (*Summary, error) {
	if err := w.open(); err != nil {
		return nil, err
	}
	w.say("控制台 console http://%s · 数据 data %s", w.node.ConsoleAddr(), w.data)
	if err := errors.Join(w.fleet.Start(), w.park.Start()); err != nil {
		return nil, err
	}
	began := time.Now()
	day := w.playDay(ctx)
	if err := w.watch(ctx, began); err != nil {
		return nil, err
	}
	ran := time.Since(began)
	end := <-day
	if w.steps.Finished = end.finished; end.err != nil {
		w.steps.Why = end.err.Error()
	}
	w.say("停止销售，等待未决交易与冲正 selling ends; waiting for what is open and owed")
	if err := w.settle(); err != nil {
		return nil, err
	}
	sum := w.sum(ran)
	var err error
	sum.Cleared, err = w.clear(context.WithoutCancel(ctx))
	if err != nil {
		return nil, fmt.Errorf("清分 · clearing: %w", err)
	}
	return sum, nil
}

// say prints a line for people.
func (w *world) say(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.o.JSON {
		fmt.Fprintf(w.out, format+"\n", a...)
	}
}

func (w *world) open() (err error) {
	if w.data == "" {
		if w.data, err = os.MkdirTemp("", "tongka-demo-"); err != nil {
			return fmt.Errorf("临时目录 · temporary folder: %w", err)
		}
		w.closes = append(w.closes, func() error { return os.RemoveAll(w.data) })
	} else if err := os.MkdirAll(w.data, 0o700); err != nil {
		return fmt.Errorf("数据目录 · data folder: %w", err)
	}
	if w.log, err = fileLog(filepath.Join(w.data, "switch.log")); err != nil {
		return fmt.Errorf("日志文件 · log file: %w", err)
	}
	for i, name := range []string{"bank-a", "bank-b"} {
		if err := w.openBank(i, name); err != nil {
			return err
		}
	}
	hsmAddr, err := w.openHSM()
	if err != nil {
		return err
	}
	terminals, csv, err := sim.Provision(w.o.Terminals, seed)
	if err != nil {
		return err
	}
	kiosks, more, err := sim.ProvisionKiosks(steadyKiosks+kiosk.Led+1, seed)
	if err != nil {
		return err
	}
	elsewhere(terminals)
	elsewhere(kiosks[:steadyKiosks])
	csv = append(csv, more[bytes.IndexByte(more, '\n')+1:]...)
	if err := os.WriteFile(filepath.Join(w.data, "terminals.csv"), csv, 0o600); err != nil {
		return err
	}
	if err := w.openNode(hsmAddr); err != nil {
		return err
	}
	if err := w.openNational(); err != nil {
		return err
	}
	return w.openPlayers(terminals, kiosks)
}

// elsewhere has every other terminal sell to cards of the second bank. Those of the
// day are not among them, so that its act is not theirs.
func elsewhere(terminals []sim.TerminalConfig) {
	for i := 1; i < len(terminals); i += 2 {
		for j, pan := range terminals[i].PANs {
			terminals[i].PANs[j] = "621700" + pan[6:]
		}
	}
}

// How many kiosks are busy all the time, and how many cards and orders go round; and
// how long they and the terminals wait for an answer: as long as real ones do, so that
// a busy machine is not taken for a switch that is gone.
const (
	answerWithin = 30 * time.Second

	steadyKiosks = 4
	cards        = 60
	orders       = 40
)

// openPlayers makes all who play against the switch.
func (w *world) openPlayers(terminals, kiosks []sim.TerminalConfig) (err error) {
	addr := w.node.Addr(0).String()
	w.fleet, err = sim.NewFleet(sim.FleetConfig{Addr: addr, Terminals: terminals, Rate: w.o.Rate,
		PINShare: 0.5, EnquiryShare: 0.05, Mix: sim.UsualMix(), AnswerTimeout: answerWithin, Books: filepath.Join(w.data, "terminals.jsonl"), Log: w.log})
	if err != nil {
		return err
	}
	w.closes = append(w.closes, w.fleet.Close)
	last := len(kiosks) - 1
	kiosks[last].Transport, w.pans = transportKey, kiosks[last].PANs
	w.name = kiosks[last].Merchant + "/" + kiosks[last].Number
	w.till, err = sim.NewFleet(sim.FleetConfig{Addr: addr, Terminals: kiosks[last:], AnswerTimeout: answerWithin,
		Books: filepath.Join(w.data, "day.jsonl"), Log: w.log})
	if err != nil {
		return err
	}
	w.closes = append(w.closes, w.till.Close)
	w.park, err = kiosk.New(kiosk.Config{Addr: addr, Kiosks: kiosks[:last], Cards: cards, Orders: orders, Seed: seed, Led: true,
		Rate: min(w.o.Rate/10, 20), Mishaps: 0.3, AnswerTimeout: answerWithin, Books: filepath.Join(w.data, "kiosks.jsonl"), Log: w.log})
	if err != nil {
		return err
	}
	w.closes = append(w.closes, w.park.Close)
	a := w.node.Act(context.Background(), audit.Who{Via: "demo"}, admin.Action{Verb: admin.OrdersImport, What: filepath.Join(w.data, "orders.csv")})
	if !a.OK {
		return fmt.Errorf("%s · %s: %v", a.Zh, a.En, a.Lines)
	}
	return nil
}

// usually is how the banks are when nothing is wrong. The first one declines
// nothing, so that the day, which is with it, is the same each time.
var usually = [2]sim.Behaviour{1: {DeclineRate: 0.04}}

func (w *world) openBank(i int, name string) error {
	b, err := sim.NewBank(sim.BankConfig{Name: name, Listen: "127.0.0.1:0", ZPK: zpkClear, Log: w.log,
		Books: filepath.Join(w.data, name+".jsonl"), Behaviour: usually[i]})
	if err != nil {
		return err
	}
	w.closes = append(w.closes, b.Close)
	w.banks[i] = b
	return b.Start()
}

func (w *world) openHSM() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sim.ServeHSM(ctx, l, sim.HSMConfig{Log: w.log}) }()
	w.closes = append(w.closes, func() error { cancel(); return <-done })
	return l.Addr().String(), nil
}

// openNode starts the switch from a configuration like any other.
func (w *world) openNode(hsmAddr string) error {
	zpk, err := soft.New(soft.TestLMK()).Wrap(hsm.ZPK, zpkClear)
	if err != nil {
		return err
	}
	// The second bank is the one that falls silent, and nobody is to wait long for it.
	within := [...]string{"10s", "2s"}
	link := func(i int, name string) string {
		return fmt.Sprintf(`  - {name: %s, address: "%s", destination: "0001000%d", zpk: "%s", answer_timeout: %s, echo_interval: 1s, echo_timeout: 1s,
     reversal: {interval: 1s, max_interval: 2s, answer_timeout: 1s, window: 64, max_attempts: 1000}}
`, name, w.banks[i].Addr(), i, zpk, within[i])
	}
	purses, orderCSV, err := kiosk.Setup(cards, orders)
	if err != nil {
		return err
	}
	files, err := simoffline.Lists()
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{"orders.csv": orderCSV, "ca-keys.bin": caKeys, "parameters.txt": parameters, "blacklist.txt": blackCards} {
		files[name] = b
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(w.data, name), b, 0o600); err != nil {
			return err
		}
	}
	text := fmt.Sprintf(`node: {name: demo, acquirer: "48023310"}
data: "."
listeners:
  - {name: pos, address: "127.0.0.1:0"}
links:
%s%sroutes:
  - {bin: ["621700"], link: bank-b}
  - {link: bank-a}
hsm: {mode: tcp, addresses: ["%s"], commands: [{code: UB}]}
registry: {import: terminals.csv}
limits: {in_flight: 4096}
console: {address: "127.0.0.1:0"}
day:
  downloads:
    - {code: 360, file: parameters.txt, version: "1"}
    - {code: 370, file: ca-keys.bin, version: "3", block: 250}
    - {code: 380, file: parameters.txt, version: "1"}
    - {code: 390, file: blacklist.txt, version: "20261122"}
%s%s`, link(0, "bank-a"), link(1, "bank-b"), hsmAddr, simoffline.Section, purses)
	path := filepath.Join(w.data, "demo.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	n, err := node.Start(cfg, node.Options{Version: w.o.Version, Logger: w.log, Fatal: func(err error) { w.fatal <- err }})
	if err != nil {
		return err
	}
	w.node, w.cfg = n, cfg
	w.closes = append(w.closes, func() error { return stop(n) })
	return nil
}

// fileLog writes the log of all that plays into the data folder.
func fileLog(path string) (*zap.Logger, error) {
	c := zap.NewProductionConfig()
	c.OutputPaths, c.ErrorOutputPaths = []string{path}, []string{path}
	c.Sampling = nil
	return c.Build()
}

// close ends what plays in the opposite order of its start.
func (w *world) close() (err error) {
	for i := len(w.closes) - 1; i >= 0; i-- {
		err = errors.Join(err, w.closes[i]())
	}
	return err
}
