package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// module starts a security module and gives its address.
func module(t *testing.T, cfg HSMConfig) (addr string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String(), background(t, func(ctx context.Context) error { return ServeHSM(ctx, ln, cfg) })
}

func dialHSM(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func command(text string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)
}

func answerOf(t *testing.T, c net.Conn) string {
	t.Helper()
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Commands are pipelined on several connections, with and without a delay; the
// header finds the answer, and it stays in order here.
func TestHSMPipelines(t *testing.T) {
	for _, cfg := range []HSMConfig{{}, {HeaderLen: 4}, {HeaderLen: 4, Delay: time.Millisecond}} {
		width := cfg.HeaderLen
		if width == 0 {
			width = 8
		}
		addr, _ := module(t, cfg)
		conns := []net.Conn{dialHSM(t, addr), dialHSM(t, addr)}
		var all []byte
		for i := range 50 {
			all = append(all, command(fmt.Sprintf("%0*dNC", width, i))...)
		}
		for _, c := range conns {
			// In two pieces, cut inside a command.
			for _, p := range [][]byte{all[:77], all[77:]} {
				if _, err := c.Write(p); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, c := range conns {
			for i := range 50 {
				if got, want := answerOf(t, c), fmt.Sprintf("%0*dND00268604", width, i); !strings.HasPrefix(got, want) {
					t.Fatalf("%+v: answer %q, want %q…", cfg, got, want)
				}
			}
		}
	}
}

func TestHSMFaults(t *testing.T) {
	addr, stop := module(t, HSMConfig{HeaderLen: 4})
	c := dialHSM(t, addr)
	if _, err := c.Write(append(append(command("0001ZZ"), command("x")...), command("0002NC")...)); err != nil {
		t.Fatal(err)
	}
	if got := answerOf(t, c); got != "0001Z[68" {
		t.Errorf("unknown command: %q", got)
	}
	if got := answerOf(t, c); !strings.HasPrefix(got, "0002ND00") { // what has no command code gets no answer
		t.Errorf("after a fragment: %q", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlives the module")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := ServeHSM(t.Context(), ln, HSMConfig{Delay: time.Hour, HeaderLen: -1}); err == nil || !strings.Contains(err.Error(), "delay") || !strings.Contains(err.Error(), "header") {
		t.Errorf("faults: %v", err)
	}
	if _, err := ln.Accept(); err == nil {
		t.Error("the listener was left open")
	}
}

// A module that is told to stop does not wait for the answers it holds back.
func TestHSMStopsAtOnce(t *testing.T) {
	addr, stop := module(t, HSMConfig{HeaderLen: 4, Delay: time.Minute})
	c := dialHSM(t, addr)
	if _, err := c.Write(command("0001NC")); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestHSMWarns(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	addr, _ := module(t, HSMConfig{Log: zap.New(core)})
	dialHSM(t, addr)
	poll(t, "a warning", func() bool { return logs.FilterMessageSnippet("PUBLIC TEST LMK").Len() == 1 })
}
