// Package demo plays the whole world on one machine without set-up: a switch, a
// fleet of terminals, two banks and a security module, all on 127.0.0.1. Half
// way one bank falls silent and comes back; at the end the books of both sides
// are compared.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/node"
	"tongka/sim"
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

// Summary is what the demo ends with. Lost and Duplicated come from comparing
// the terminals' books with the banks'.
type Summary struct {
	Sent       uint64  `json:"sent"`
	Approved   uint64  `json:"approved"`
	Declined   uint64  `json:"declined"`
	TimedOut   uint64  `json:"timed_out"`
	Reversed   int64   `json:"reversed"` // bookings that the banks took back
	Owed       int     `json:"owed"`     // reversals not delivered at the end
	Lost       int     `json:"lost"`
	Duplicated int     `json:"duplicated"`
	Differs    int     `json:"differs"`
	Unresolved int     `json:"unresolved"`
	TPS        float64 `json:"tps"`
	P50        int64   `json:"p50_us"`
	P99        int64   `json:"p99_us"`
	Seconds    float64 `json:"seconds"`
	Console    string  `json:"console"`
	// What the terminals were told and what the banks hold, by kind and in all, fen.
	Kinds    []sim.Sum `json:"kinds"`
	Net      int64     `json:"net"`
	NetBanks int64     `json:"net_banks"`
	Data     string    `json:"data,omitempty"`
}

// seed of the demo's terminals: the same ones in every run, so that a run on an
// old data folder finds its own.
const seed = 8583

// zpkClear is the banks' PIN key, worth nothing outside of the demo.
var zpkClear = []byte{0x5B, 0x1C, 0x7F, 0x2A, 0x8C, 0xE3, 0xA4, 0xD6, 0x0E, 0x9B, 0x37, 0x62, 0x4F, 0xD1, 0xA8, 0xC2}

// world is everything that plays.
type world struct {
	o      Options
	out    io.Writer
	data   string
	log    *zap.Logger
	banks  [2]*sim.Bank
	fleet  *sim.Fleet
	node   *node.Node
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
	if err := w.fleet.Start(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := w.watch(ctx, began); err != nil {
		return nil, err
	}
	ran := time.Since(began)
	w.say("停止销售，等待未决交易与冲正 selling ends; waiting for what is open and owed")
	if err := w.settle(); err != nil {
		return nil, err
	}
	return w.sum(ran), nil
}

// say prints a line for people.
func (w *world) say(format string, a ...any) {
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
	// Every other terminal sells to cards of the second bank.
	for i := 1; i < len(terminals); i += 2 {
		for j, pan := range terminals[i].PANs {
			terminals[i].PANs[j] = "621700" + pan[6:]
		}
	}
	if err := os.WriteFile(filepath.Join(w.data, "terminals.csv"), csv, 0o600); err != nil {
		return err
	}
	if err := w.openNode(hsmAddr); err != nil {
		return err
	}
	w.fleet, err = sim.NewFleet(sim.FleetConfig{Addr: w.node.Addr(0).String(), Terminals: terminals, Rate: w.o.Rate,
		PINShare: 0.5, EnquiryShare: 0.05, Mix: sim.UsualMix(), AnswerTimeout: 8 * time.Second, Books: filepath.Join(w.data, "terminals.jsonl"), Log: w.log})
	if err == nil {
		w.closes = append(w.closes, w.fleet.Close)
	}
	return err
}

func (w *world) openBank(i int, name string) error {
	b, err := sim.NewBank(sim.BankConfig{Name: name, Listen: "127.0.0.1:0", ZPK: zpkClear, Log: w.log,
		Books: filepath.Join(w.data, name+".jsonl"), Behaviour: sim.Behaviour{DeclineRate: 0.02}})
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
	link := func(i int, name string) string {
		return fmt.Sprintf(`  - {name: %s, address: "%s", destination: "0001000%d", zpk: "%s", answer_timeout: 2s, echo_interval: 1s, echo_timeout: 1s,
     reversal: {interval: 1s, max_interval: 2s, answer_timeout: 1s, window: 64, max_attempts: 1000}}
`, name, w.banks[i].Addr(), i, zpk)
	}
	text := fmt.Sprintf(`node: {name: demo, acquirer: "48023310"}
data: "."
listeners:
  - {name: pos, address: "127.0.0.1:0"}
links:
%s%sroutes:
  - {bin: ["621700"], link: bank-b}
  - {link: bank-a}
hsm: {mode: tcp, addresses: ["%s"]}
registry: {import: terminals.csv}
limits: {in_flight: 4096}
console: {address: "127.0.0.1:0"}
`, link(0, "bank-a"), link(1, "bank-b"), hsmAddr)
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
	w.node = n
	w.closes = append(w.closes, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return n.Stop(ctx)
	})
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

// sum compares the books.
func (w *world) sum(ran time.Duration) *Summary {
	st := w.fleet.Stats()
	verdict := sim.Compare(w.fleet.Sales(), append(w.banks[0].Bookings(), w.banks[1].Bookings()...))
	s := &Summary{Sent: st.Sent, Approved: st.Approved, Declined: st.Declined, TimedOut: st.TimedOut,
		Reversed: w.banks[0].Stats().Reversed + w.banks[1].Stats().Reversed,
		Lost:     verdict.Lost, Duplicated: verdict.Duplicated, Differs: verdict.Differs, Unresolved: verdict.Unresolved,
		TPS: float64(st.Answer.Count) / ran.Seconds(), P50: st.Answer.P50, P99: st.Answer.P99,
		Seconds: ran.Seconds(), Console: "http://" + w.node.ConsoleAddr(), Data: w.o.Data,
		Kinds: verdict.Kinds, Net: verdict.Net, NetBanks: verdict.NetBanks}
	if p := w.node.Snapshot(); p != nil {
		s.Owed = p.Owed
	}
	w.say("%s", verdict.KindsLine())
	w.say("%s", verdict.String())
	for _, d := range verdict.Discrepancies {
		w.say("  %s", d.String())
	}
	return s
}

func (w *world) report(s *Summary) error {
	if w.o.JSON {
		if err := json.NewEncoder(w.out).Encode(s); err != nil {
			return err
		}
	} else {
		w.say("交易 sent %d · 批准 approved %d · 拒绝 declined %d · 超时 timed out %d · 已冲正 reversed %d · 待冲正 owed %d · %.0f 笔/秒 TPS · p50 %.2f ms · p99 %.2f ms",
			s.Sent, s.Approved, s.Declined, s.TimedOut, s.Reversed, s.Owed, s.TPS, float64(s.P50)/1000, float64(s.P99)/1000)
		w.say("丢失 lost %d · 重复 duplicated %d", s.Lost, s.Duplicated)
	}
	if s.Lost+s.Duplicated+s.Differs > 0 || s.Net != s.NetBanks {
		return fmt.Errorf("账目不符 the books differ: lost %d, duplicated %d, other %d", s.Lost, s.Duplicated, s.Differs)
	}
	return nil
}
