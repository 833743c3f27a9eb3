package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tongka/sim"
	"tongka/sim/book"
	"tongka/sim/kiosk"
)

// Summary is what the demo ends with. Lost and Duplicated come from comparing
// the books of terminals and cards with the banks'.
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
	// What was paid for cards, and what is on them.
	Kiosks *kiosk.Stats      `json:"kiosks"`
	Cards  *book.CardVerdict `json:"cards"`
	Day    Steps             `json:"day"`
	Data   string            `json:"data,omitempty"`
	// How its business day was cleared.
	Cleared *Cleared `json:"cleared"`
}

// Steps count what a terminal and the kiosks did in their day.
type Steps struct {
	Steps      int    `json:"steps"`
	Unexpected int    `json:"unexpected"` // that did not end as they should
	Finished   bool   `json:"finished"`   // all of it was played
	Why        string `json:"why,omitempty"`
}

// String is the day in one line.
func (d *Steps) String() string {
	end := "完成 finished"
	switch {
	case d.Why != "":
		end = "未完成 not finished: " + d.Why
	case !d.Finished:
		end = "中途停止 stopped on the way"
	}
	return fmt.Sprintf("%d 步 steps, 意外 unexpected %d, %s", d.Steps, d.Unexpected, end)
}

// sum compares the books.
func (w *world) sum(ran time.Duration) *Summary {
	st := w.fleet.Stats()
	bookings := slices.Concat(w.banks[0].Bookings(), w.banks[1].Bookings(), w.sm4.bank.Bookings())
	verdict := sim.Compare(slices.Concat(w.fleet.Sales(), w.till.Sales(), w.sm4.fleet.Sales()), bookings)
	purses := w.park.Book()
	cards := book.CompareCards(&purses, bookings)
	kiosks := w.park.Stats()
	s := &Summary{Sent: st.Sent, Approved: st.Approved, Declined: st.Declined, TimedOut: st.TimedOut,
		Reversed: w.banks[0].Stats().Reversed + w.banks[1].Stats().Reversed,
		Lost:     verdict.Lost + cards.Lost, Duplicated: verdict.Duplicated + cards.Duplicated,
		Differs: verdict.Differs + cards.Differs, Unresolved: verdict.Unresolved + cards.Unresolved,
		TPS: float64(st.Answer.Count) / ran.Seconds(), P50: st.Answer.P50, P99: st.Answer.P99,
		Seconds: ran.Seconds(), Console: "http://" + w.node.ConsoleAddr(), Data: w.o.Data,
		Kinds: append(verdict.Kinds, cards.Kinds...), Net: verdict.Net, NetBanks: verdict.NetBanks,
		Kiosks: &kiosks, Cards: &cards, Day: w.steps}
	if p := w.node.Snapshot(); p != nil {
		s.Owed = p.Owed
	}
	w.table(s.Kinds)
	w.say("%s", verdict.String())
	for _, d := range verdict.Discrepancies {
		w.say("  %s", d.String())
	}
	w.say("%s", cards.String())
	for i := range cards.Parked {
		w.say("  %s", cards.Parked[i].String())
	}
	for _, line := range cards.Says {
		w.say("  %s", line)
	}
	return s
}

// table prints what each kind came to on both sides.
func (w *world) table(kinds []sim.Sum) {
	w.say("%-18s %8s %8s %8s %8s %14s %14s", "种类 kind", "申请asked", "批准appr", "拒绝decl", "冲正rev", "终端 terminals", "银行 banks")
	for i := range kinds {
		k := &kinds[i]
		mark := ""
		if k.Approved != k.Held || k.ApprovedFen != k.HeldFen {
			mark = " ≠"
			if !k.Kind.MovesMoney() {
				mark = " (通知 notices)" // one that a terminal gave up may be with a bank
			}
		}
		w.say("%-18s %10d %10d %10d %9d %14s %14s%s", k.Kind, k.Asked, k.Approved, k.Declined, k.Reversed, yuan(k.ApprovedFen), yuan(k.HeldFen), mark)
	}
}

func yuan(fen int64) string { return fmt.Sprintf("%d.%02d", fen/100, fen%100) }

func (w *world) report(s *Summary) error {
	if w.o.JSON {
		if err := json.NewEncoder(w.out).Encode(s); err != nil {
			return err
		}
	} else {
		w.say("交易 sent %d · 批准 approved %d · 拒绝 declined %d · 超时 timed out %d · 已冲正 reversed %d · 待冲正 owed %d · %.0f 笔/秒 TPS · p50 %.2f ms · p99 %.2f ms",
			s.Sent, s.Approved, s.Declined, s.TimedOut, s.Reversed, s.Owed, s.TPS, float64(s.P50)/1000, float64(s.P99)/1000)
		w.say("净额 net: 终端 terminals %s = 银行 banks %s · 一日 day: %s", yuan(s.Net), yuan(s.NetBanks), s.Day.String())
		if c := s.Cleared; c != nil {
			w.say("清分 clearing %s: 平衡 balanced %v · 本方 ours %d · 对方 theirs %d · 差异 differences %d（预设一处 one is planted, RRN %s） · 报表 report %s",
				c.Date, c.Balanced, c.Ours, c.Theirs, c.Differences, c.Planted, c.Report)
		}
		w.say("丢失 lost %d · 重复 duplicated %d · 未决 unresolved %d", s.Lost, s.Duplicated, s.Unresolved)
	}
	var wrong []string
	if s.Lost+s.Duplicated+s.Differs > 0 || s.Net != s.NetBanks {
		wrong = append(wrong, fmt.Sprintf("lost %d, duplicated %d, other %d", s.Lost, s.Duplicated, s.Differs))
	}
	if s.Cards.Paid != s.Cards.OnCards+s.Cards.ParkedFen && s.Unresolved == 0 {
		wrong = append(wrong, s.Cards.String())
	}
	if c := s.Cleared; c != nil && !c.good() {
		wrong = append(wrong, fmt.Sprintf("清分 clearing: balanced %v, differences %d, traced %v (%s)", c.Balanced, c.Differences, c.Traced, c.Report))
	}
	var errs []error
	if len(wrong) > 0 {
		errs = append(errs, fmt.Errorf("账目不符 the books differ: %s", strings.Join(wrong, "; ")))
	}
	if s.Day.Why != "" || s.Day.Unexpected > 0 {
		errs = append(errs, fmt.Errorf("一日有误 the day did not go as it should: %s", s.Day.String()))
	}
	return errors.Join(errs...)
}
