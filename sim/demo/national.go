package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/node"
	"tongka/sim"
	"tongka/txn"
)

// national is a small switch beside the big one, with a bank of its own, for a
// terminal with SM4: host commands have no MAC of SM4, so its module is the one in the
// process.
type national struct {
	bank  *sim.Bank
	fleet *sim.Fleet
}

func (w *world) openNational() error {
	s := &w.sm4
	var err error
	if s.bank, err = sim.NewBank(sim.BankConfig{Name: "bank-c", Listen: "127.0.0.1:0", ZPK: zpkClear, Log: w.log, Books: filepath.Join(w.data, "bank-c.jsonl")}); err != nil {
		return err
	}
	w.closes = append(w.closes, s.bank.Close)
	if err := s.bank.Start(); err != nil {
		return err
	}
	terminals, csv, err := sim.ProvisionSM4(1, seed)
	if err != nil {
		return err
	}
	zpk, err := soft.New(soft.TestLMK()).Wrap(hsm.ZPK, zpkClear)
	if err != nil {
		return err
	}
	dir := filepath.Join(w.data, "sm4")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	text := fmt.Sprintf(`node: {name: demo-sm4, acquirer: "48023310"}
data: "."
listeners:
  - {name: pos, address: "127.0.0.1:0"}
links:
  - {name: bank-c, address: "%s", destination: "00010002", zpk: "%s", answer_timeout: 10s}
routes:
  - {link: bank-c}
hsm: {mode: soft, test_lmk: true}
registry: {import: terminals.csv}
limits: {in_flight: 64}
console: {address: ""}
`, s.bank.Addr(), zpk)
	path := filepath.Join(dir, "demo.yaml")
	for name, b := range map[string][]byte{path: []byte(text), filepath.Join(dir, "terminals.csv"): csv} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			return err
		}
	}
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	n, err := node.Start(cfg, node.Options{Version: w.o.Version, Logger: w.log, Fatal: func(err error) { w.fatal <- err }})
	if err != nil {
		return err
	}
	w.closes = append(w.closes, func() error { return stop(n) })
	s.fleet, err = sim.NewFleet(sim.FleetConfig{Addr: n.Addr(0).String(), Terminals: terminals, AnswerTimeout: answerWithin,
		Books: filepath.Join(dir, "day.jsonl"), Log: w.log})
	if err == nil {
		w.closes = append(w.closes, s.fleet.Close)
	}
	return err
}

// stop ends a switch in order.
func stop(n *node.Node) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return n.Stop(ctx)
}

// national: a terminal whose keys, MACs and check values are those of SM4.
func (t *till) national(ctx context.Context) {
	d, err := t.sm4.fleet.Day(0)
	if err != nil {
		t.err = err
		return
	}
	defer d.Close()
	usual := t.day
	t.day = d
	defer func() { t.day = usual }()
	t.did(txn.SignIn, d.SignIn(ctx), txn.Code{}, "国密终端签到 006：SM4 主密钥下的 PIN、MAC、磁道密钥", "a terminal with SM4 signs in (006): PIN, MAC and track key under an SM4 master key")
	if t.err != nil {
		return
	}
	t.takeBackOlder(ctx, t.sm4.fleet.Sales())
	if s := t.make(ctx, txn.Sale, nil, "国密终端消费：SM4 MAC", "its sale, under SM4 MACs"); s != nil {
		t.make(ctx, txn.Void, s, "国密终端消费撤销", "void of it")
	}
	if t.err != nil {
		return
	}
	v, err := d.Settle(ctx, 0)
	if err == nil && !v.Balanced {
		err = sim.Refusal{Code: txn.Code{'9', '5'}}
	}
	t.did(txn.Settle, err, txn.Code{}, "国密终端批结算：平", "its settlement, in balance")
	t.did(txn.SignOff, d.SignOff(ctx), txn.Code{}, "国密终端签退", "its sign-off")
}
