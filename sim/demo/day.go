package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"tongka/admin"
	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/sim"
	"tongka/sim/book"
	"tongka/sim/internal/aid"
	"tongka/sim/kiosk"
	"tongka/txn"
)

// What terminals load; invented.
var (
	caKeys     = bytes.Repeat([]byte("DEMO CA PUBLIC KEY · "), 30)
	parameters = []byte("13=0100=30=3=demo")
	blackCards = []byte("6225880000999990\n6225880000999983\n")
)

// The day takes most of the time that there is, so that a watcher can follow it.
const (
	dayShare  = 0.8
	dayLines  = 85 // about
	mostPace  = 400 * time.Millisecond
	partLimit = 3 * time.Minute // of one part of a day, whatever goes wrong
)

// playDay plays the day of a terminal and then that of the kiosks, in one order,
// beside the steady traffic. The end of ctx ends it between two parts. What it sends
// says whether it came to its end.
func (w *world) playDay(ctx context.Context) <-chan dayEnd {
	pace := min(time.Duration(dayShare*float64(w.o.For)/dayLines), mostPace)
	done := make(chan dayEnd, 1)
	go func() {
		t := &till{world: w, ctx: ctx, pace: pace}
		finished, err := t.play()
		if finished {
			limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.o.For+partLimit)
			defer cancel()
			err = w.park.Day(limit, func(s kiosk.Step) { w.step(ctx, pace, "自助 kiosk", s.Kind, s.Code, s.Good, s.ZH, s.EN) })
		}
		done <- dayEnd{finished && err == nil, err}
	}()
	return done
}

// dayEnd is how a day ended: finished, by a fault, or because somebody stopped it.
type dayEnd struct {
	finished bool
	err      error
}

// step prints one step of a day and lets people read it.
func (w *world) step(ctx context.Context, pace time.Duration, who string, kind txn.Kind, code txn.Code, good bool, zh, en string) {
	w.steps.Steps++
	mark := "✓"
	if !good {
		w.steps.Unexpected++
		mark = "✗"
	}
	w.say("  %s %s %-16s %s  %s · %s", mark, who, kind, code, zh, en)
	t := time.NewTimer(pace)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// till is a terminal in its day.
type till struct {
	*world
	ctx  context.Context
	pace time.Duration
	day  *sim.Day
	err  error // the first that no step explains; nothing is done after it
}

// play goes through the day of a terminal; false when it did not come to its end.
func (t *till) play() (finished bool, err error) {
	if t.day, err = t.world.till.Day(0); err != nil {
		return false, err
	}
	defer t.day.Close()
	for _, part := range []func(context.Context){t.morning, t.sells, t.authorises, t.tells, t.rules, t.uploads, t.evening, t.uneven, t.national} {
		if t.ctx.Err() != nil {
			return false, nil
		}
		// A step that has begun comes to its end, also when people stop the demo.
		limit, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), partLimit)
		part(limit)
		cancel()
		if t.err != nil {
			return false, t.err
		}
	}
	return true, nil
}

// did tells a step of which only the error is to be told: refused is the code that
// it should be refused with, zero for none.
func (t *till) did(kind txn.Kind, err error, refused txn.Code, zh, en string) {
	code := txn.OK
	var r sim.Refusal
	switch {
	case errors.As(err, &r):
		code = r.Code
	case err != nil:
		t.err = errors.Join(t.err, fmt.Errorf("%v: %w", kind, err))
		return
	}
	want := txn.OK
	if refused != (txn.Code{}) {
		want = refused
	}
	t.step(t.ctx, t.pace, "终端 terminal", kind, code, code == want, zh, en)
}

// A machine with too much to do answers late, and a link may be down for a moment:
// then somebody at the keys tries again.
const (
	mostTries = 10
	tryEvery  = time.Second
)

// busy says that a code means not now.
func busy(c txn.Code) bool {
	return c == txn.NoAnswer || c == txn.SystemFault || c == txn.LinkDown || c == txn.InProgress
}

// make makes one request, again when it cannot be done now, and tells how it ended.
func (t *till) make(ctx context.Context, kind txn.Kind, of *book.Sale, zh, en string) *book.Sale {
	if t.err != nil {
		return nil
	}
	var s *book.Sale
	var code txn.Code
	for range mostTries {
		var err error
		if s, code, err = t.once(ctx, kind, of); err != nil {
			t.err = fmt.Errorf("%v: %w", kind, err)
			return nil
		}
		if s.State == book.Approved || !busy(code) || !aid.Pause(ctx, tryEvery) {
			break
		}
	}
	t.step(t.ctx, t.pace, "终端 terminal", kind, code, s.State == book.Approved, zh, en)
	if s.State != book.Approved {
		return nil
	}
	return s
}

// once makes one request; what is not answered is taken back, so that the books have
// an end of it. The error is one that no code explains.
func (t *till) once(ctx context.Context, kind txn.Kind, of *book.Sale) (*book.Sale, txn.Code, error) {
	s, err := t.day.Make(ctx, kind, of)
	if s.State == book.Open && err == nil {
		if s, err = t.day.TakeBack(ctx, &s); err == nil && s.State == book.Reversed {
			return &s, txn.NoAnswer, nil
		}
	}
	var code txn.Code
	copy(code[:], s.Code)
	var r sim.Refusal
	if errors.As(err, &r) {
		code, err = r.Code, nil
	}
	return &s, code, err
}

// again does f until it is not told that it cannot be done now.
func (t *till) again(ctx context.Context, f func() error) (err error) {
	for range mostTries {
		var r sim.Refusal
		if err = f(); !errors.As(err, &r) || !busy(r.Code) || !aid.Pause(ctx, tryEvery) {
			break
		}
	}
	return err
}

// morning: keys, a word with the host, and what the terminal works with.
func (t *till) morning(ctx context.Context) {
	d := t.day
	if t.err = t.allow(ctx); t.err != nil {
		return
	}
	_, err := d.Make(ctx, txn.Sale, nil)
	t.did(txn.Sale, err, txn.SignInAgain, "签到前消费：终端无密钥，不能发送", "a sale before the sign-in: no key to send it with")
	t.masterKey(ctx)
	if t.err != nil {
		return
	}
	t.did(txn.SignIn, d.SignInFor(ctx, "001"), txn.Code{}, "签到 001：单倍长工作密钥", "sign-in 001: single-length keys")
	t.did(txn.SignIn, d.SignInFor(ctx, "004"), txn.Code{}, "签到 004：双倍长并含磁道密钥", "sign-in 004: double-length keys and one for track data")
	t.did(txn.SignIn, d.SignInFor(ctx, "003"), txn.Code{}, "签到 003：新工作密钥与批次号", "sign-in 003: working keys and a batch number")
	t.takeBackOlder(ctx, t.world.till.Sales())
	t.did(txn.Echo, d.Echo(ctx), txn.Code{}, "回响测试", "echo test")
	_, newer, err := d.Newer(ctx, 370, "2")
	t.did(txn.Download, err, txn.Code{}, fmt.Sprintf("公钥状态上送：有更新 %v", newer), fmt.Sprintf("CA keys: newer ones are there: %v", newer))
	for _, l := range []struct {
		code   int
		zh, en string
	}{{360, "参数下载", "parameters"}, {370, "CA 公钥分块下载", "CA keys, in blocks"}, {380, "IC 卡参数下载", "parameters of chip cards"}, {390, "黑名单下载", "blacklist"}} {
		data, blocks, err := d.Load(ctx, l.code)
		t.did(txn.Download, err, txn.Code{}, fmt.Sprintf("%s：%d 字节 %d 块", l.zh, len(data), blocks), fmt.Sprintf("%s: %d bytes in %d block(s)", l.en, len(data), blocks))
	}
	first, _, err := d.Block(ctx, 370, 1)
	d.Close()
	if err == nil {
		_, _, err = d.Block(ctx, 370, 2)
	}
	t.did(txn.Download, err, txn.Code{}, fmt.Sprintf("下载中断后续传：第 1 块 %d 字节，断线，第 2 块", len(first)), fmt.Sprintf("broken off behind block 1 (%d bytes), taken up at block 2", len(first)))
}

// takeBackOlder ends what a process that was killed left open in the terminal's book.
func (t *till) takeBackOlder(ctx context.Context, sales []book.Sale) {
	for _, s := range sales {
		if s.State == book.Open || s.State == book.Unresolved {
			err := t.again(ctx, func() error { _, err := t.day.TakeBack(ctx, &s); return err })
			t.did(txn.Reversal, err, txn.Code{}, "冲正上次中断的交易", "what an older process left open is taken back")
		}
	}
}

// masterKey: nobody gets one without an operator's permission, and nobody a second
// one for it.
func (t *till) masterKey(ctx context.Context) {
	d := t.day
	t.did(txn.Download, d.AskKey(ctx), txn.NotAllowed, "主密钥下载：未经许可，拒绝", "master key: refused without a permission")
	if t.err = errors.Join(t.err, t.permit(ctx)); t.err != nil {
		return
	}
	t.did(txn.Download, d.AskKey(ctx), txn.Code{}, "操作员许可一次后下载，传输密钥加密", "permitted once by an operator, and downloaded under the transport key")
	t.did(txn.Download, d.TakeKey(ctx), txn.Code{}, "下载确认：新主密钥启用", "confirmed: the new master key is in use")
}

// transportKey is what the mother POS of the demo has loaded; worth nothing.
var transportKey = []byte("\x7A\x15\xC4\x9B\x02\x8E\xD3\x61\xB7\x4C\x29\xF0\x5D\xA6\x38\xEF")

// permit registers the transport key and lets the terminal download one master key.
func (t *till) permit(ctx context.Context) error {
	key, err := soft.New(soft.TestLMK()).Wrap(hsm.TMK, transportKey)
	if err != nil {
		return err
	}
	return errors.Join(
		t.edit(ctx, admin.Edit{Table: "transports", Verb: "import", File: "transports.csv"}, "of,name,key\nany,,"+key.String()+"\n"),
		t.edit(ctx, admin.Edit{Table: "terminals", Verb: "permit", Key: t.name, Value: "1h"}, ""))
}

// sells: sales, and what gives back.
func (t *till) sells(ctx context.Context) {
	sale := t.make(ctx, txn.Sale, nil, "消费", "sale")
	if sale != nil {
		t.make(ctx, txn.Void, sale, "消费撤销", "void of it")
	}
	if sale = t.make(ctx, txn.Sale, nil, "消费", "sale"); sale != nil {
		t.make(ctx, txn.Refund, sale, "部分退货", "partial refund")
		t.make(ctx, txn.Refund, sale, "再次部分退货", "another partial refund of the same sale")
		t.refused(ctx, txn.Refund, sale, "13", "第三次退货：合计超过原交易，拒绝", "a third refund: more than the sale in all, refused")
	}
	if t.err == nil {
		err := t.again(ctx, func() error { _, err := t.day.Balance(ctx); return err })
		t.did(txn.Balance, err, txn.Code{}, "余额查询", "balance enquiry")
	}
	if sale = t.make(ctx, txn.Sale, nil, "消费", "sale"); sale != nil {
		_, err := t.day.TakeBack(ctx, sale)
		t.did(txn.Reversal, err, txn.Code{}, "终端冲正：打印失败", "the terminal's reversal: its printer failed")
	}
}

// authorises: pre-authorisations and what becomes of them.
func (t *till) authorises(ctx context.Context) {
	if p := t.make(ctx, txn.PreAuth, nil, "预授权", "pre-authorisation"); p != nil {
		t.make(ctx, txn.PreAuthVoid, p, "预授权撤销", "its void")
	}
	if p := t.make(ctx, txn.PreAuth, nil, "预授权", "pre-authorisation"); p != nil {
		if c := t.make(ctx, txn.Completion, p, "预授权完成（请求）", "completion"); c != nil {
			t.make(ctx, txn.CompletionVoid, c, "预授权完成撤销", "void of the completion")
		}
	}
	if p := t.make(ctx, txn.PreAuth, nil, "预授权", "pre-authorisation"); p != nil {
		t.make(ctx, txn.CompletionAdvice, p, "预授权完成（通知）", "completion by advice")
	}
}

// tells: what a bank is only told of.
func (t *till) tells(ctx context.Context) {
	if s := t.make(ctx, txn.Sale, nil, "消费", "sale"); s != nil {
		t.make(ctx, txn.Tip, s, "小费", "tip")
		t.make(ctx, txn.ScriptNotice, s, "脚本结果通知", "result of an issuer's script")
	}
	t.make(ctx, txn.OfflineSale, nil, "脱机消费上送", "offline sale, uploaded")
	t.make(ctx, txn.OfflineRefund, nil, "脱机退货上送", "offline refund, uploaded")
	if s := t.make(ctx, txn.OfflineSettle, nil, "离线结算", "offline settlement"); s != nil {
		t.make(ctx, txn.Adjust, s, "结算调整", "adjustment of it")
	}
}

// evening: the batch balances.
func (t *till) evening(ctx context.Context) {
	v, err := t.day.Settle(ctx, 0)
	if err == nil && !v.Balanced {
		err = sim.Refusal{Code: txn.Code{'9', '5'}}
	}
	t.did(txn.Settle, err, txn.Code{}, fmt.Sprintf("批结算：终端 %s = 主机 %s，平", yuan(v.Ours.Debit), yuan(v.Theirs.Debit)),
		fmt.Sprintf("settlement: terminal %s, host %s, in balance", yuan(v.Ours.Debit), yuan(v.Theirs.Debit)))
}

// uneven: the next batch does not balance, and so its items are uploaded.
func (t *till) uneven(ctx context.Context) {
	d := t.day
	t.did(txn.SignIn, d.SignIn(ctx), txn.Code{}, "再次签到", "sign-in again")
	t.make(ctx, txn.Sale, nil, "消费", "sale")
	if t.err != nil {
		return
	}
	v, err := d.Settle(ctx, 5)
	if err == nil && v.Balanced {
		err = sim.Refusal{Code: txn.Code{'9', '5'}}
	}
	t.did(txn.Settle, err, txn.Code{}, fmt.Sprintf("批结算：终端 %s，主机 %s，不平", yuan(v.Ours.Debit), yuan(v.Theirs.Debit)),
		fmt.Sprintf("settlement: terminal %s, host %s, not in balance", yuan(v.Ours.Debit), yuan(v.Theirs.Debit)))
	n, err := d.Upload(ctx)
	t.did(txn.BatchUpload, err, txn.Code{}, fmt.Sprintf("批上送 %d 笔", n), fmt.Sprintf("batch upload, %d item(s)", n))
	t.did(txn.SignOff, d.SignOff(ctx), txn.Code{}, "签退", "sign-off")
}
