package offline_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/hsm/payshield"
	"tongka/offline"
	hsmsim "tongka/sim"
	sim "tongka/sim/offline"
)

// module starts a security module and gives its address.
func module(t *testing.T, delay time.Duration) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- hsmsim.ServeHSM(ctx, ln, hsmsim.HSMConfig{Delay: delay}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func remote(t *testing.T, addresses ...string) *offline.Remote {
	t.Helper()
	r := &offline.Remote{Addresses: addresses, Timeout: 5 * time.Second}
	if err := r.Dialect.Define("UB", payshield.Layout{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// Modules behind sockets say what the module in the process says, also when one of
// them is not there and one does not speak.
func TestRemoteModules(t *testing.T) {
	m := maker(t, "city-316", 11)
	wrong := make([]sim.Wrong, 300)
	for i := range wrong {
		if i%7 == 3 {
			wrong[i] = sim.TAC
		}
	}
	b, _, err := m.File(wrong)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close()
	rude, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer rude.Close()
	go func() {
		for {
			c, err := rude.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("\x00\x0c99999999UC00"))
			_ = c.Close()
		}
	}()
	for _, others := range [][]string{nil, {dead.Addr().String()}, {rude.Addr().String(), dead.Addr().String()}} {
		o := options(t, vfs.NewMem())
		o.Verifier = remote(t, append(others, module(t, time.Millisecond))...)
		s := open(t, o)
		f, err := s.Import(t.Context(), source(m, "a", b), nil)
		if err != nil || f.States["T"] != 257 || f.States["U"] != 43 {
			t.Errorf("with %d others: %+v %v", len(others), f, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	o := options(t, vfs.NewMem())
	o.Verifier = remote(t, dead.Addr().String(), rude.Addr().String())
	s := open(t, o)
	defer s.Close()
	f, err := s.Import(t.Context(), source(m, "a", b), nil)
	if err == nil || f.Stage != offline.Stored || !strings.Contains(err.Error(), dead.Addr().String()) {
		t.Errorf("nobody answers: %v", err)
	}
}

// A module that knows the command not, or the key not, decides nothing of a record.
func TestModuleThatRefuses(t *testing.T) {
	o := options(t, vfs.NewMem())
	for id, k := range o.Keys {
		k.B[0] ^= 0xFF // no key any more
		o.Keys[id] = k
	}
	s := open(t, o)
	defer s.Close()
	m := maker(t, "city-316", 12)
	b, _, err := m.File(make([]sim.Wrong, 3))
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Import(t.Context(), source(m, "a", b), nil)
	if err == nil || f.Stage != offline.Stored || f.States != nil {
		t.Errorf("%+v %v", f, err)
	}
}
