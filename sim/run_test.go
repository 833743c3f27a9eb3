package sim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tongka/sim/book"
)

func TestRunBank(t *testing.T) {
	var out output
	stop := background(t, func(ctx context.Context) error {
		return RunBank(ctx, BankConfig{Name: "a", Listen: "127.0.0.1:0"}, Report{Every: time.Millisecond}, &out)
	})
	poll(t, "a status line", func() bool { return strings.Contains(out.String(), "booked 0") })
	at := regexp.MustCompile(`bank listens at (\S+)`).FindStringSubmatch(out.String())
	if at == nil {
		t.Fatalf("no address in %q", out.String())
	}
	c, err := net.Dial("tcp", at[1])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	poll(t, "the connection to be counted", func() bool { return strings.Contains(out.String(), "连接 connections 1") })
	if err := stop(); err != nil || !strings.Contains(out.String(), total) {
		t.Errorf("%v: %s", err, out.String())
	}
	out = output{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := RunBank(ctx, BankConfig{Name: "a", Listen: "127.0.0.1:0"}, Report{JSON: true}, &out); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Name   string
		Booked *int
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil || got.Name != "a" || got.Booked == nil {
		t.Errorf("%v: %s", err, out.String())
	}
	if err := RunBank(ctx, BankConfig{}, Report{}, &out); err == nil {
		t.Error("a bank without an address ran")
	}
	if err := RunBank(ctx, BankConfig{Listen: at[1] + "x"}, Report{}, &out); err == nil {
		t.Error("a bank with a bad address ran")
	}
}

// A fleet that nobody answers ends when it is told to, and says so.
func TestRunFleet(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	terminals, _, err := Provision(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	cfg := FleetConfig{Addr: ln.Addr().String(), Terminals: terminals}
	var out output
	stop := background(t, func(ctx context.Context) error {
		return RunFleet(ctx, cfg, time.Second, Report{Every: time.Millisecond}, &out)
	})
	poll(t, "a status line", func() bool { return strings.Contains(out.String(), "signed in 0") })
	stop()
	if !strings.Contains(out.String(), "2 terminals connect to") || !strings.Contains(out.String(), total) {
		t.Errorf("%q", out.String())
	}
	out = output{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = RunFleet(ctx, cfg, 0, Report{JSON: true}, &out)
	var got struct {
		Terminals int
		TPS       *float64
		Answer    struct{ Count *int }
	}
	if e := json.Unmarshal([]byte(out.String()), &got); e != nil || got.Terminals != 2 || got.TPS == nil || got.Answer.Count == nil {
		t.Errorf("%v (run: %v): %s", e, err, out.String())
	}
	if err := RunFleet(ctx, FleetConfig{}, 0, Report{}, io.Discard); err == nil {
		t.Error("an empty fleet ran")
	}
}

func TestRunHSM(t *testing.T) {
	var out output
	stop := background(t, func(ctx context.Context) error {
		return RunHSM(ctx, HSMConfig{Listen: "127.0.0.1:0"}, Report{}, &out)
	})
	poll(t, "the address", func() bool { return strings.Contains(out.String(), "HSM listens at 127.0.0.1:") })
	if s := out.String(); !strings.Contains(s, "警告") || !strings.Contains(s, "WARNING") {
		t.Errorf("no warning in both languages: %q", s)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := RunHSM(t.Context(), HSMConfig{Listen: "nowhere"}, Report{}, &out); err == nil {
		t.Error("listens nowhere")
	}
}

func TestRunCompare(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, lines ...any) string {
		path := filepath.Join(dir, name)
		var b strings.Builder
		for _, l := range lines {
			if err := json.NewEncoder(&b).Encode(l); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sale := Sale{Merchant: "m", Terminal: "t1", Amount: 12345, State: book.Open}
	done := sale
	done.State = book.Approved
	held := Booking{Merchant: "m", Terminal: "t1", Amount: 12345, State: book.Booked}
	stray := Booking{Bank: "b", Merchant: "m", Terminal: "t2", Amount: 7, State: book.Booked}
	fleet, a, b := write("fleet", &sale, &done), write("a", &held), write("b", &stray)

	var out output
	if err := RunCompare([]string{fleet}, []string{a}, "", Report{}, &out); err != nil || !strings.Contains(out.String(), "账目一致 books agree") {
		t.Errorf("%v: %s", err, out.String())
	}
	out = output{}
	if err := RunCompare([]string{fleet}, []string{a, b}, "", Report{}, &out); !errors.Is(err, errBooks) || !strings.Contains(out.String(), "重复 duplicated: 商户 merchant m 终端 terminal t2 金额 amount 0.07") {
		t.Errorf("%v: %s", err, out.String())
	}
	out = output{}
	var v Verdict
	if err := RunCompare([]string{fleet}, nil, "", Report{JSON: true}, &out); !errors.Is(err, errBooks) || json.Unmarshal([]byte(out.String()), &v) != nil || v.Lost != 1 || len(v.Discrepancies) != 1 {
		t.Errorf("%v: %s", err, out.String())
	}
	for _, c := range [][2][]string{{{"none"}, {a}}, {{fleet}, {"none"}}} {
		if err := RunCompare(c[0], c[1], "", Report{}, io.Discard); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a book that is not there: %v", err)
		}
	}
}
