package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"tongka/sim/book"
	"tongka/sim/fleet"
	"tongka/txn"
)

// Report says how a Run function tells what it does.
type Report struct {
	JSON  bool          // no status lines; the summary is one JSON object
	Every time.Duration // between status lines, 1 s when 0
}

// total begins the last line, which would else look like one more status line.
const total = "合计 total: "

// say writes a line for people.
func (r *Report) say(out io.Writer, format string, args ...any) {
	if !r.JSON {
		fmt.Fprintf(out, format+"\n", args...)
	}
}

// end writes the summary: v as JSON, or the line for people.
func (r *Report) end(out io.Writer, v any, line string) error {
	if !r.JSON {
		_, err := fmt.Fprintln(out, line)
		return err
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// watch writes a status line now and then, until ctx or done ends.
func (r *Report) watch(ctx context.Context, done <-chan struct{}, out io.Writer, line func(seconds float64) string) {
	every := r.Every
	if every <= 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-done:
			return
		case now := <-tick.C:
			r.say(out, "%s", line(now.Sub(last).Seconds()))
			last = now
		}
	}
}

// RunBank runs a bank until ctx ends. out gets where it listens, a status line a
// second, and a summary: with Report.JSON one object, BankStats and the name.
func RunBank(ctx context.Context, cfg BankConfig, r Report, out io.Writer) error {
	b, err := NewBank(cfg)
	if err != nil {
		return err
	}
	if err := b.Start(); err != nil {
		return errors.Join(err, b.Close())
	}
	if a := b.Addr(); a != "" {
		r.say(out, "银行监听 bank listens at %s", a)
	} else {
		r.say(out, "银行连接 bank dials %s", cfg.Connect)
	}
	var old BankStats
	r.watch(ctx, nil, out, func(seconds float64) string {
		s := b.Stats()
		line := bankLine(&s, float64(s.Sales-old.Sales)/seconds)
		old = s
		return line
	})
	s := b.Stats()
	err = b.Close()
	return errors.Join(err, r.end(out, struct {
		Name string `json:"name"`
		BankStats
	}{cfg.Name, s}, total+bankLine(&s, 0)))
}

func bankLine(s *BankStats, rate float64) string {
	return fmt.Sprintf("连接 connections %d · 消费 sales %d (%.0f/s) · 记账 booked %d · 已冲正 reversed %d · 拒绝 declined %d · 重复 repeated %d · 冲正 reversals %d (无原交易 unknown %d) · 拒收 rejected %d · PIN %d (错 faults %d)",
		s.Connections, s.Sales, rate, s.Booked, s.Reversed, s.Declined, s.Repeated, s.Reversals, s.ReversalUnknown, s.Rejected, s.PINs, s.PINFaults)
}

// RunFleet runs a fleet until its Sales are made or ctx ends, then gives it
// settle to resolve what is open (0 = none). The error says what is not
// resolved, or why no terminal could sign in at all. With Report.JSON the summary is one object: FleetStats, the seconds
// it ran and answered sales a second.
func RunFleet(ctx context.Context, cfg FleetConfig, settle time.Duration, r Report, out io.Writer) error {
	f, err := NewFleet(cfg)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := f.Start(); err != nil {
		return errors.Join(err, f.Close())
	}
	r.say(out, "终端 %d 台连接 %d terminals connect to %s", len(cfg.Terminals), len(cfg.Terminals), cfg.Addr)
	done := make(chan struct{})
	var ended error
	go func() {
		defer close(done)
		ended = f.Wait(ctx)
	}()
	var old FleetStats
	r.watch(ctx, done, out, func(seconds float64) string {
		s := f.Stats()
		line := fleetLine(&s, float64(s.Answer.Count-old.Answer.Count)/seconds)
		old = s
		return line
	})
	<-done
	ran := time.Since(began).Seconds()
	if ctx.Err() != nil {
		limit, cancel := context.WithTimeout(context.Background(), settle)
		defer cancel()
		ended = f.Settle(limit)
	}
	s := f.Stats()
	if ended == nil && s.SignIns == 0 {
		ended = fmt.Errorf("没有一台终端签到成功 · no terminal signed in. %s", s.Fault)
	}
	tps := float64(s.Answer.Count) / ran
	err = errors.Join(ended, f.Close())
	return errors.Join(err, r.end(out, struct {
		Terminals int     `json:"terminals"`
		Seconds   float64 `json:"seconds"`
		TPS       float64 `json:"tps"`
		FleetStats
	}{len(cfg.Terminals), ran, tps, s}, total+fleetLine(&s, tps)))
}

// KindsLine is what a mix has come to, in a few words: by groups, since a line of a
// terminal has an end.
func KindsLine(k map[txn.Kind]uint64) string {
	return fmt.Sprintf("撤销 voids %d · 退货 refunds %d · 预授权 pre-auths %d · 完成 completions %d · 通知 notices %d",
		k[txn.Void]+k[txn.PreAuthVoid]+k[txn.CompletionVoid], k[txn.Refund], k[txn.PreAuth], k[txn.Completion]+k[txn.CompletionAdvice],
		k[txn.Tip]+k[txn.OfflineSale]+k[txn.OfflineRefund]+k[txn.OfflineSettle]+k[txn.Adjust]+k[txn.ScriptNotice])
}

func fleetLine(s *FleetStats, rate float64) string {
	ms := func(us int64) float64 { return float64(us) / 1000 }
	fault := ""
	if s.Fault != (fleet.Fault{}) {
		fault = " · 签到失败 sign-in fails: " + s.Fault.String()
	}
	if len(s.Kinds) > 0 {
		fault = " · " + KindsLine(s.Kinds) + fault
	}
	return fmt.Sprintf("签到 signed in %d · 发送 sent %d · 应答 answered %.0f/s · 批准 approved %d · 拒绝 declined %d · 超时 timed out %d · 已冲正 reversed %d · 未决 unresolved %d · 时延 latency p50 %.2f ms p99 %.2f ms%s",
		s.SignedIn, s.Sent, rate, s.Approved, s.Declined, s.TimedOut, s.Reversed, s.Unresolved, ms(s.Answer.P50), ms(s.Answer.P99), fault)
}

// RunHSM runs a security module until ctx ends.
func RunHSM(ctx context.Context, cfg HSMConfig, r Report, out io.Writer) error {
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("加密机 · hsm: %w", err)
	}
	lmk := cfg.lmk()
	if !lmk.Test() {
		r.say(out, "%s\n软模块只供开发：LMK 在进程内存中 · for development only: the LMK is in the memory of this process", lmk)
		r.say(out, "加密机监听 HSM listens at %s", ln.Addr())
		return ServeHSM(ctx, ln, cfg)
	}
	// Even with JSON: a warning that can be turned off is none.
	fmt.Fprintf(out, "!! 警告：加密机模拟器使用公开的测试 LMK，其密钥毫无保护，严禁用于生产。\n!! WARNING: %s\n", testLMKWarning)
	r.say(out, "加密机监听 HSM listens at %s", ln.Addr())
	return ServeHSM(ctx, ln, cfg)
}

// errBooks says that a comparison found money lost or taken twice.
var errBooks = errors.New("账目不符 the books differ")

// RunCompare compares books on disk; kiosks is the book of kiosks, or "". The error
// says that money is missing or was taken twice. With Report.JSON the result is one
// Verdict, which has what was found about cards as "cards".
func RunCompare(terminals, banks []string, kiosks string, r Report, out io.Writer) error {
	var sales []Sale
	for _, path := range terminals {
		s, err := book.ReadSales(path)
		if err != nil {
			return err
		}
		sales = append(sales, s...)
	}
	var bookings []Booking
	for _, path := range banks {
		b, err := book.ReadBookings(path)
		if err != nil {
			return err
		}
		bookings = append(bookings, b...)
	}
	if len(terminals) == 0 && kiosks != "" { // sales are not asked about
		bookings = slices.DeleteFunc(bookings, func(b Booking) bool { return !b.Kind.OfCards() })
	}
	v := Compare(sales, bookings)
	for _, d := range v.Discrepancies {
		r.say(out, "%s", d.String())
	}
	line := v.String()
	if len(v.Kinds) > 1 {
		line = v.KindsLine() + "\n" + line
	}
	var cards *book.CardVerdict
	if kiosks != "" {
		var err error
		if cards, err = compareKiosks(kiosks, bookings, &r, out); err != nil {
			return err
		}
	}
	if err := r.end(out, struct {
		*Verdict
		Cards *book.CardVerdict `json:"cards,omitempty"`
	}{&v, cards}, line); err != nil {
		return err
	}
	if !v.OK() || cards != nil && !cards.OK() {
		return errBooks
	}
	return nil
}
