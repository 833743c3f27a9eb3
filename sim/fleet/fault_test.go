package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tongka/hsm"
	"tongka/txn"
)

// Who looks at a fleet that does not sell is told why: in the counters as long
// as it lasts, and in the log once, however many terminals try again and again.
func TestSignInFaultIsTold(t *testing.T) {
	cured := make(chan struct{})
	f := newFake(t, hsm.UnionPay, func(r request) act {
		select {
		case <-cured:
			return friendly(r)
		default:
			return act{code: "97", batch: "000001"}
		}
	})
	core, logs := observer.New(zap.InfoLevel)
	fl := play(t, f, Config{Terminals: terminals(3), Sales: 1, Log: zap.New(core)})
	poll(t, "second attempts", func() bool { return len(f.requests()) > 3 })
	want := Fault{"97", "终端未登记", "terminal not registered"}
	if s := fl.Stats(); s.Fault != want || s.Fault.String() != "F39 97 终端未登记 terminal not registered" {
		t.Errorf("fault %+v, want %+v", s.Fault, want)
	}
	lines := logs.FilterMessage("terminals cannot sign in").All()
	if len(lines) != 1 || lines[0].ContextMap()["why"] != "terminal not registered" || lines[0].ContextMap()["code"] != "97" {
		t.Errorf("%d lines: %v", len(lines), lines)
	}
	close(cured)
	finish(t, fl)
	if s := fl.Stats(); s.Fault != (Fault{}) || s.Fault.String() != "" {
		t.Errorf("signed in, and still %+v", s.Fault)
	}
}

func TestFaultsAreSorted(t *testing.T) {
	for _, c := range []struct {
		err error
		has string
	}{
		{refused(txn.NotRegistered), "F39 97 终端未登记"},
		{refused(txn.Code{'Z', '9'}), "F39 Z9 未知应答码 unknown response code"},
		{fmt.Errorf("%w: PIK: check value", errBadKeys), "another TMK (seed)?"},
		{fmt.Errorf("%w: %w", errNoAnswer, io.EOF), "签到无应答"},
		{errors.New("dial tcp: connection refused"), "连接不上交换 cannot connect"},
	} {
		got := faultOf(c.err)
		if !strings.Contains(got.String(), c.has) || got.ZH == "" || got.EN == "" {
			t.Errorf("%v: %q, want %q in it", c.err, got, c.has)
		}
	}
}

// What a fleet says at its end is for people.
func TestEndIsSaidInBothLanguages(t *testing.T) {
	f := newFake(t, hsm.UnionPay, sellTo(func(request) act { return act{silent: true} }))
	fl := play(t, f, Config{Sales: 1, AnswerTimeout: time.Minute})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := fl.Wait(ctx)
	if err == nil || !strings.Contains(err.Error(), "未决 0 笔 · fleet: 0 sales unresolved") {
		t.Errorf("wait: %v", err)
	}
	poll(t, "the sign-in", func() bool { return fl.Stats().SignedIn == 1 })
	if err := fl.Close(); err != nil {
		t.Fatal(err)
	}
	never, err := New(Config{Addr: "127.0.0.1:1", Terminals: terminals(2)})
	if err != nil {
		t.Fatal(err)
	}
	defer never.Close()
	if err := never.SignedIn(ctx); err == nil || !strings.Contains(err.Error(), "终端 2 台，已签到 0 台 · fleet: 0 of 2 terminals") {
		t.Errorf("signed in: %v", err)
	}
}
