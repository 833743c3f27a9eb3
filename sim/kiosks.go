package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tongka/sim/book"
	"tongka/sim/kiosk"
)

// RunKiosks runs kiosks until their Visits are made or ctx ends, then gives them
// settle to bring what is open to its end. The error says what is not. With
// Report.JSON the summary is one object: kiosk.Stats and the seconds it ran.
func RunKiosks(ctx context.Context, cfg kiosk.Config, settle time.Duration, r Report, out io.Writer) error {
	p, err := kiosk.New(cfg)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := p.Start(); err != nil {
		return errors.Join(err, p.Close())
	}
	r.say(out, "自助终端 %d 台、卡 %d 张，连接 %d kiosks and %d cards connect to %s", len(cfg.Kiosks), cfg.Cards, len(cfg.Kiosks), cfg.Cards, cfg.Addr)
	done := make(chan struct{})
	var ended error
	go func() {
		defer close(done)
		ended = p.Wait(ctx)
	}()
	r.watch(ctx, done, out, func(float64) string {
		s := p.Stats()
		return kiosksLine(&s)
	})
	<-done
	if ctx.Err() != nil {
		limit, cancel := context.WithTimeout(context.Background(), settle)
		defer cancel()
		ended = p.Settle(limit)
	}
	s := p.Stats()
	if ended == nil && s.SignIns == 0 {
		ended = fmt.Errorf("没有一台自助终端签到成功 · no kiosk signed in. %s", s.Fault)
	}
	err = errors.Join(ended, p.Close())
	return errors.Join(err, r.end(out, struct {
		Kiosks  int     `json:"kiosks"`
		Cards   int     `json:"cards"`
		Seconds float64 `json:"seconds"`
		kiosk.Stats
	}{len(cfg.Kiosks), cfg.Cards, time.Since(began).Seconds(), s}, total+kiosksLine(&s)))
}

func kiosksLine(s *kiosk.Stats) string {
	line := fmt.Sprintf("接触 visits %d · 写卡 written %d · 补写 rewritten %d · 撤销 voided %d · 断线 torn %d · 掉电 cut %d · 未决 open %d · 挂账 parked %d",
		s.Visits, s.Written, s.Rewrites, s.Voided, s.Torn, s.Cut, s.Open, s.Parked)
	if s.SignIns == 0 && s.Fault != "" {
		line += " · " + s.Fault
	}
	return line
}

// compareKiosks holds a book of kiosks against the banks'. Cards and wishes have
// their numbers within one book, so there is one.
func compareKiosks(path string, banks []Booking, r *Report, out io.Writer) (*book.CardVerdict, error) {
	k, err := book.ReadCards(path)
	if err != nil {
		return nil, err
	}
	v := book.CompareCards(&k, banks)
	for i := range v.Parked {
		r.say(out, "%s", v.Parked[i].String())
	}
	for _, line := range v.Says {
		r.say(out, "%s", line)
	}
	r.say(out, "%s", v.String())
	return &v, nil
}
