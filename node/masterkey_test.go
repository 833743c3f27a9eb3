package node

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/config"
	"tongka/journal"
	"tongka/keyfile"
	"tongka/sim"
)

// module serves a simulated module until the test ends.
func module(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sim.ServeHSM(ctx, ln, sim.HSMConfig{}) }()
	t.Cleanup(func() { cancel(); <-done })
	return ln.Addr().String()
}

// answering plays a module that says the same whatever it is asked.
func answering(t *testing.T, answer string) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1024))
			_, _ = c.Write([]byte(answer))
			_ = c.Close()
		}
	}()
	return ln.Addr().String()
}

// A key that one kind of module wrapped under the test LMK opens with every module
// under it, and a dead module does not hinder while another is there.
func TestAKeyFromTheModule(t *testing.T) {
	soft := &config.Config{HSM: config.HSM{Mode: "soft"}}
	tcp := &config.Config{HSM: config.HSM{Mode: "tcp", Header: 8, Timeout: time.Second, Addresses: []string{answering(t, ""), module(t)}}}
	dir := t.TempDir()
	for name, by := range map[string]*config.Config{"soft": soft, "tcp": tcp} {
		w, err := WrapKey(by)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := w.Create(path); err != nil {
			t.Fatal(err)
		}
		var seen [32]byte
		for _, with := range []*config.Config{soft, tcp} {
			ring, err := journal.LoadRing(path, []string{path}, dir, OpenKey(with))
			if err != nil || keyfile.Check(&ring.Key) != w.Check || ring.Old[0] != ring.Key {
				t.Fatalf("wrapped by %s, opened by %s: %v", name, with.HSM.Mode, err)
			}
			if seen != ([32]byte{}) && seen != ring.Key {
				t.Error("two modules open two keys")
			}
			seen = ring.Key
		}
		if err := journal.CheckRing(path, []string{path}, dir); err != nil {
			t.Errorf("a check without a module: %v", err)
		}
		if _, err := journal.LoadKey(path, dir); !errors.Is(err, keyfile.ErrWrapped) {
			t.Errorf("a load without a module: %v", err)
		}
	}
}

func TestAModuleThatDoesNotOpenTheKey(t *testing.T) {
	w, err := WrapKey(&config.Config{HSM: config.HSM{Mode: "soft"}})
	if err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]string{
		"":                     "EOF",
		"\x00\x10half":         "unexpected EOF",
		"\x00\x0c00000001M310": "hsm code 10",
		"\x00\x0c00000002M300": "response to M2",
		"\x00\x2200000001M30000112233445566770002AB": "1 bytes: want 32",
		"\x00\x2200000007M30000112233445566770002AB": "header 7",
		"\x00\x0c00000001NC00":                       "response",
	} {
		cfg := &config.Config{HSM: config.HSM{Mode: "tcp", Header: 8, Addresses: []string{answering(t, answer)}}}
		if key, err := OpenKey(cfg)(w); err == nil || key != ([32]byte{}) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", answer, err)
		}
	}
	// Under another LMK the DEK is no key, or gives another one.
	w.DEK = "U00000000000000000000000000000000"
	path := filepath.Join(t.TempDir(), "k")
	if err := w.Create(path); err != nil {
		t.Fatal(err)
	}
	if _, err := keyfile.Read(path, OpenKey(&config.Config{HSM: config.HSM{Mode: "soft"}})); err == nil {
		t.Error("another DEK opens it")
	}
}
