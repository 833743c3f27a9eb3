package load

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tongka/bench/internal/bank"
	"tongka/bench/internal/sale"
)

// echoBank is the quickest system under test: the bank's raw side answers
// requests as a relay would.
func echoBank(t *testing.T) netip.AddrPort {
	t.Helper()
	b, err := bank.Open(bank.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.Run(io.Discard) }()
	t.Cleanup(func() {
		b.Stop()
		if err := <-ended; err != nil {
			t.Errorf("bank: %v", err)
		}
	})
	return b.Raw()
}

func short(at netip.AddrPort) Spec {
	return Spec{
		Address: at, Connections: 8, Depth: 1, Terminals: 8, FirstTrace: 10, Echo: true,
		WarmUp: 20 * time.Millisecond, Window: 60 * time.Millisecond, PID: os.Getpid(), Ahead: 80,
		Drain: 5 * time.Second,
	}
}

func TestShapes(t *testing.T) {
	at := echoBank(t)
	cases := map[string]func(*Spec){
		"one each":  func(s *Spec) {},
		"pipelined": func(s *Spec) { s.Connections, s.Depth = 2, 64 },
		"reconnect": func(s *Spec) { s.Reconnect, s.Terminals = true, 20 },
		"shared":    func(s *Spec) { s.Terminals = 3 },
		"pin":       func(s *Spec) { s.PIN = true },
		"mix":       func(s *Spec) { s.Mix, s.Ahead = true, 0 },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			s := short(at)
			change(&s)
			if s.PIN {
				// F26 stands behind F11, so the echo still has it in its place.
				s.Ahead = 0
			}
			r, err := Run(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Faults) != 0 {
				t.Fatalf("faults %v", r.Faults)
			}
			if r.Answers < 10 || r.CPU <= 0 || r.Seconds < 0.06 {
				t.Fatalf("%+v", r)
			}
			if parts := r.User + r.System; parts != 0 && parts != r.CPU {
				t.Fatalf("user %v and system %v are not %v", r.User, r.System, r.CPU)
			}
			if r.P50 <= 0 || r.P99 < r.P50 {
				t.Fatalf("percentiles %v %v", r.P50, r.P99)
			}
			if len(r.Percentiles) != len(Quantiles) || !slices.IsSorted(r.Percentiles) || r.Percentiles[3] != r.P50 {
				t.Fatalf("percentiles %v", r.Percentiles)
			}
			// The beats' means make up what was answered in the window.
			var sum float64
			for _, tps := range r.OverTime {
				sum += tps * r.Seconds / float64(len(r.OverTime))
			}
			if len(r.OverTime) == 0 || len(r.OverTime) == 1 && (sum < 0.8*float64(r.Answers) || sum > 1.2*float64(r.Answers)) {
				t.Fatalf("over time %v, %d answers in %v s", r.OverTime, r.Answers, r.Seconds)
			}
		})
	}
}

func TestTraceNumbersStartAgain(t *testing.T) {
	cases := map[string]struct {
		spec Spec
		want []uint32
	}{
		"at the end of n6":           {Spec{Terminals: 1, Depth: 1, FirstTrace: 999_998}, []uint32{999_998, 999_999, 1, 2}},
		"at the last whole ring":     {Spec{Terminals: 1, Depth: 2, FirstTrace: 999_991}, []uint32{999_991, 999_992, 1, 2}},
		"of prepared, with an echo":  {Spec{Terminals: 2, Depth: 1, FirstTrace: 7, Ahead: 8, Echo: true}, []uint32{7, 8, 9, 10, 7, 8}},
		"of whole rings of prepared": {Spec{Terminals: 1, Depth: 2, FirstTrace: 1, Ahead: 23, Echo: true}, []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1}},
		"of loose rings":             {Spec{Terminals: 1, Depth: 2, FirstTrace: 999_935, Loose: true}, []uint32{999_935, 999_936, 1, 2}},
		"never within one ring":      {Spec{Terminals: 2, Depth: 2, FirstTrace: 7, Ahead: 16, Echo: true}, []uint32{7, 8, 9, 10, 11, 12, 13, 14, 15}},
		"of prepared, with a switch": {Spec{Terminals: 1, Depth: 1, FirstTrace: 7, Ahead: 4}, []uint32{7, 8, 9, 10, 11, 12}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			term := sale.NewTerminal(0)
			r, err := sale.NewRequest(&term, false)
			if err != nil {
				t.Fatal(err)
			}
			terminal := newTerminal(&c.spec, r)
			for i, want := range c.want {
				if _, got := terminal.frame(); got != want {
					t.Fatalf("request %d has trace %d, want %d", i, got, want)
				}
			}
		})
	}
}

// scripted is a system under test that answers each connection's first frame
// with what f makes of it.
func scripted(t *testing.T, f func(frame []byte) []byte) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 4096)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					out := f(b[:n])
					if out == nil {
						return
					}
					if _, err := c.Write(out); err != nil {
						return
					}
				}
			}()
		}
	}()
	return netip.MustParseAddrPort(ln.Addr().String())
}

// reply makes a 0210 with F11 and F39.
func reply(frame []byte, code string) []byte {
	b := append([]byte{0, 0}, frame[2:13]...)
	b = append(b, 0x02, 0x10, 0x00, 0x20, 0, 0, 2, 0, 0, 0)
	b = append(b, frame[sale.TraceAt:sale.TraceAt+3]...)
	b = append(b, code...)
	b[1] = byte(len(b) - 2)
	return b
}

func TestWhatIsNotApprovedIsAFault(t *testing.T) {
	cases := map[string]struct {
		answer func([]byte) []byte
		fault  string
	}{
		"declined":      {func(f []byte) []byte { return reply(f, "94") }, "F39 94"},
		"not asked for": {func(f []byte) []byte { f[sale.TraceAt] ^= 0x10; return reply(f, "00") }, "nobody waits"},
		"unreadable":    {func(f []byte) []byte { b := reply(f, "00"); b[14] = 0; return b }, "MTI 0200"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := short(scripted(t, c.answer))
			s.Echo, s.Connections, s.Drain = false, 1, 50*time.Millisecond
			r, err := Run(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for fault, n := range r.Faults {
				found = found || strings.Contains(fault, c.fault) && n > 0
			}
			if !found || r.Answers != 0 {
				t.Fatalf("faults %v, %d answers", r.Faults, r.Answers)
			}
		})
	}
}

func TestApprovalsOfASwitchCount(t *testing.T) {
	s := short(scripted(t, func(f []byte) []byte { return reply(f, "00") }))
	s.Echo = false
	r, err := Run(s, nil)
	if err != nil || len(r.Faults) != 0 || r.Answers == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestClosedConnectionIsAnError(t *testing.T) {
	s := short(scripted(t, func([]byte) []byte { return nil }))
	if _, err := Run(s, nil); err == nil || !strings.Contains(err.Error(), "load: connection") {
		t.Fatalf("error %v", err)
	}
}

func TestHold(t *testing.T) {
	s := short(echoBank(t))
	called := false
	if err := Hold(s, func() error { called = true; return nil }); err != nil || !called {
		t.Fatalf("held %v, %v", called, err)
	}
	s = short(scripted(t, func(f []byte) []byte { return reply(f, "97") }))
	s.Echo = false
	err := Hold(s, func() error { t.Error("held in spite of faults"); return nil })
	if err == nil || !strings.Contains(err.Error(), "8 × F39 97") {
		t.Fatalf("error %v", err)
	}
}

func TestSpecSaysEverythingThatIsWrong(t *testing.T) {
	_, err := Run(Spec{Depth: 2, First: -1, Reconnect: true, Ahead: -1, Mix: true}, nil)
	for _, word := range []string{"mix", "address", "connections", "depth", "terminals", "first ", "first_trace", "ahead"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not named in %v", word, err)
		}
	}
}

// Whoever counts for himself hears when the window begins and when it ends; his errors end
// the run.
func TestMarks(t *testing.T) {
	s := short(echoBank(t))
	s.Marks = true
	n := 0
	if r, err := Run(s, func() error { n++; return nil }); err != nil || n != 2 || r.Answers == 0 {
		t.Errorf("%d marks, %+v, %v", n, r, err)
	}
	gone := errors.New("nobody listens")
	if _, err := Run(s, func() error { return gone }); err != gone {
		t.Errorf("error %v", err)
	}
}
