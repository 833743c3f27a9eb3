package conn

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var loopbacks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// bankDoor is a link that its peer dials.
func bankDoor(change ...func(*LinkConfig)) Config {
	l := LinkConfig{Name: "bank", Addr: "127.0.0.1:0", Framing: Binary2, Listen: true, Allow: loopbacks}
	for _, c := range change {
		c(&l)
	}
	return Config{Links: []LinkConfig{l}}
}

// knock is a bank that dials us, from an address of its own.
func knock(t *testing.T, f *Front, link int, from string) (net.Conn, error) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", f.LinkAddr(link).String())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c, nil
}

func comeIn(t *testing.T, f *Front) net.Conn {
	t.Helper()
	c, err := knock(t, f, 0, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBankDialsUs(t *testing.T) {
	f, probes := run(t, bankDoor())
	for i := range 3 { // a line that ends leaves its place
		c := comeIn(t, f)
		ask(t, c, "echo test")
		if i == 1 {
			reset(c.(*net.TCPConn))
		} else {
			_ = c.Close()
		}
		probes[0].ends(i + 1)
	}
	probes[0].see(func() {
		for _, p := range probes[0].peers {
			if p.Listener || p.Index != 0 || p.Line != 0 || p.Remote.Addr().String() != "127.0.0.1" {
				t.Errorf("peer %+v", p)
			}
		}
	})
	if s := f.Stats(); s.Accepted != 3 || s.Dialled != 0 || s.LinesRefused != 0 {
		t.Errorf("%+v", s)
	}
}

// A line that speaks is not given up for a newcomer, and hears nothing of it;
// but the kernel looks after it from then on.
func TestSecondLineIsRefusedWhileTheFirstLives(t *testing.T) {
	f, probes := run(t, bankDoor())
	first := comeIn(t, f)
	ask(t, first, "first")
	for range 5 {
		if c, err := knock(t, f, 0, "127.0.0.2"); err == nil {
			readEnd(t, c)
		}
	}
	within(t, "5 refused", func() bool { return f.Stats().LinesRefused == 5 })
	ask(t, first, "still here")
	if open, closed, _ := probes[0].count(); open != 1 || closed != 0 {
		t.Errorf("%d opened and %d closed", open, closed)
	}
	var idle, every int
	probes[0].see(func() {
		probes[0].onTick = func(int64) int64 {
			for id := range probes[0].peers {
				q := probes[0].loop.(*loop).peer(id)
				if q == nil {
					continue
				}
				fd := q.c.Fd()
				idle, _ = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE)
				every, _ = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
			}
			return 0
		}
	})
	ask(t, first, "looked after")
	probes[0].see(func() {
		if idle != 1 || every != 1 {
			t.Errorf("keep-alive after %d s, then each %d s, want 1 and 1", idle, every)
		}
	})
	within(t, "the refused are let go", func() bool { return f.Stats().Open == 1 })
}

// A silent line makes way, and its end is told before the newcomer's beginning
// takes its place.
func TestNewerLineReplacesASilentOne(t *testing.T) {
	f, probes := run(t, bankDoor(func(l *LinkConfig) { l.Silence = 100 * time.Millisecond }))
	first := comeIn(t, f)
	ask(t, first, "first")
	<-time.After(120 * time.Millisecond)
	second := comeIn(t, f)
	ask(t, second, "second")
	readEnd(t, first)
	if errs := probes[0].ends(1); !errors.Is(errs[0], ErrReplaced) {
		t.Errorf("closed for %v", errs[0])
	}
	within(t, "counted", func() bool { s := f.Stats(); return s.ClosedReplaced == 1 && s.Open == 1 && s.LinesRefused == 0 })
}

// A line that has said nothing yet is not silent before its time.
func TestNewLineIsNotSilent(t *testing.T) {
	f, _ := run(t, bankDoor())
	first := comeIn(t, f)
	within(t, "in", func() bool { return f.Stats().Open == 1 })
	if c, err := knock(t, f, 0, "127.0.0.2"); err == nil {
		readEnd(t, c)
	}
	within(t, "refused", func() bool { return f.Stats().LinesRefused == 1 })
	ask(t, first, "now")
}

func TestSeveralLinesWhereAllowed(t *testing.T) {
	f, _ := run(t, bankDoor(func(l *LinkConfig) { l.MaxLines, l.Silence = 2, 100*time.Millisecond }))
	quiet, busy := comeIn(t, f), comeIn(t, f)
	ask(t, quiet, "quiet")
	<-time.After(120 * time.Millisecond)
	ask(t, busy, "busy")
	third := comeIn(t, f) // takes the place of the one that is silent for longest
	ask(t, third, "third")
	readEnd(t, quiet)
	ask(t, busy, "still here")
	if s := f.Stats(); s.Open != 2 {
		t.Errorf("%d open", s.Open)
	}
}

// Who is not the bank gets nothing, and costs the bank nothing.
func TestStrangersAreDenied(t *testing.T) {
	f, probes := run(t, bankDoor(func(l *LinkConfig) { l.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.7/32")} }))
	for range 3 {
		if c, err := knock(t, f, 0, "127.0.0.8"); err == nil {
			readEnd(t, c)
		}
	}
	within(t, "3 denied", func() bool { return f.Stats().Denied == 3 })
	c, err := knock(t, f, 0, "127.0.0.7")
	if err != nil {
		t.Fatal(err)
	}
	ask(t, c, "it is me")
	if open, _, _ := probes[0].count(); open != 1 {
		t.Errorf("%d were opened", open)
	}
}

// Many who knock at once: one is in, the others are refused, nothing is left.
func TestCrowdAtABanksDoor(t *testing.T) {
	f, _ := run(t, bankDoor())
	const crowd = 60
	for range crowd {
		_, _ = knock(t, f, 0, "127.0.0.3")
	}
	within(t, "all but one refused", func() bool {
		s := f.Stats()
		return s.Refused+s.LinesRefused == crowd-1 && s.Open == 1
	})
}

// With two loops, a link that listens belongs to one of them.
func TestBanksDoorBelongsToALoop(t *testing.T) {
	cfg := bankDoor()
	cfg.Links = append(cfg.Links, cfg.Links[0])
	cfg.Loops = 2
	f, probes := run(t, cfg)
	for i := range cfg.Links {
		c, err := knock(t, f, i, "127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		ask(t, c, "hello")
		probes[i].see(func() {
			for _, p := range probes[i].peers {
				if p.Index != i || p.Line != i {
					t.Errorf("peer %+v on loop %d", p, i)
				}
			}
			if len(probes[i].peers) != 1 {
				t.Errorf("loop %d has %d lines", i, len(probes[i].peers))
			}
		})
	}
}

func TestBanksDoorThatIsTaken(t *testing.T) {
	f, _ := run(t, bankDoor())
	cfg := bankDoor(func(l *LinkConfig) { l.Addr = f.LinkAddr(0).String() })
	_, err := Start(cfg, func(Loop) Handler { t.Error("a handler was made"); return nil })
	if err == nil || !strings.Contains(err.Error(), `links[0] "bank"`) {
		t.Errorf("%v", err)
	}
}

func TestValidateWhoDialsWhom(t *testing.T) {
	cfg := Config{Links: []LinkConfig{
		{Name: "open", Addr: ":1", Framing: Binary2, Listen: true},
		{Name: "both", Addr: ":1", Framing: Binary2, Listen: true, Allow: loopbacks, Backups: []string{"h:1", "nowhere"}},
		{Name: "dialled", Addr: "h:1", Framing: Binary2, Allow: loopbacks},
		{Name: "minus", Addr: ":1", Framing: Binary2, Listen: true, Allow: []netip.Prefix{{}}, MaxLines: -1, Silence: -1},
	}}
	want := []string{
		`links[0] "open": listens and allows nobody`,
		`links[1] "both": backup address "nowhere"`, `links[1] "both": listens and has addresses to dial`,
		`links[2] "dialled": is dialled by us, and says who may dial`,
		`links[3] "minus": maximum lines`, `links[3] "minus": silence`, `links[3] "minus": allow[0]`,
	}
	err := cfg.Validate()
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("not reported: %s", w)
		}
	}
	if n := len(strings.Split(err.Error(), "\n")); n != len(want) {
		t.Errorf("%d faults reported, want %d:\n%v", n, len(want), err)
	}
}

// An Update changes who may dial while a line is up, moves the door, and takes
// it away.
func TestUpdateOfABanksDoor(t *testing.T) {
	cfg := bankDoor()
	f, probes := run(t, cfg)
	first := comeIn(t, f)
	ask(t, first, "first")
	at := f.LinkAddr(0).String()

	only := []netip.Prefix{netip.MustParsePrefix("127.0.0.7/32")}
	cfg.Links[0].Allow = only
	if c, err := f.Update(cfg); err != nil || len(c.Links.Changed) != 1 || c.Draining != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	ask(t, first, "still here")
	if c, err := knock(t, f, 0, "127.0.0.8"); err == nil {
		readEnd(t, c)
	}
	within(t, "denied", func() bool { return f.Stats().Denied == 1 })

	cfg = bankDoor(func(l *LinkConfig) { l.Addr, l.Allow = "localhost:0", only })
	if c, err := f.Update(cfg); err != nil || len(c.Links.Moved) != 1 || c.Draining != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	readEnd(t, first) // nothing is owed to it
	probes[0].ends(1)
	if f.LinkAddr(0).String() == at {
		t.Error("the door has not moved")
	}
	c, err := knock(t, f, 0, "127.0.0.7")
	if err != nil {
		t.Fatal(err)
	}
	ask(t, c, "at the new door")

	b := newBank(t)
	cfg.Links[0] = linkTo(b).Links[0]
	if c, err := f.Update(cfg); err != nil || len(c.Links.Replaced) != 1 || c.Links.Replaced[0].Index != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	ask(t, b.next(), "we dial now")
	readEnd(t, c)
	if f.LinkAddr(0) != nil || f.LinkAddr(1) != nil {
		t.Error("a door is still open")
	}
	if _, err := f.Update(Config{}); err != nil {
		t.Fatal(err)
	}
	within(t, "all gone", func() bool { return f.Stats().Open == 0 })
}

// A line of before the move still holds the place, so that the engine never
// knows two.
func TestMovedDoorWaitsForItsLine(t *testing.T) {
	cfg := bankDoor()
	f, _ := run(t, cfg)
	first := comeIn(t, f)
	write(t, first, framed("half")[:3]) // so it cannot leave yet
	within(t, "read", func() bool { return f.Stats().BytesIn == 3 })
	cfg.Links[0].Addr = "localhost:0"
	if _, err := f.Update(cfg); err != nil {
		t.Fatal(err)
	}
	if c, err := knock(t, f, 0, "127.0.0.1"); err == nil {
		readEnd(t, c)
	}
	within(t, "refused", func() bool { return f.Stats().LinesRefused == 1 })
	write(t, first, framed("half")[3:])
	readAll(t, first, "half")
	within(t, "gone", func() bool { return f.Stats().Open == 0 })
	c, err := knock(t, f, 0, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	ask(t, c, "in its place")
}

// readAll expects one answer and the end.
func readAll(t *testing.T, c net.Conn, want string) {
	t.Helper()
	if got := read(t, c); got != want {
		t.Errorf("answered %q", got)
	}
	readEnd(t, c)
}

// The door of a bank is handed over with those of the terminals.
func TestBanksDoorIsHandedOver(t *testing.T) {
	cfg := door1()
	cfg.Links = bankDoor().Links
	cfg.Links[0].Name = cfg.Listeners[0].Name // a listener and a link may have one name
	f, probes := run(t, cfg)
	ports := []string{f.Addr(0).String(), f.LinkAddr(0).String()}
	cfg.Inherited = handOver(t, f)
	cfg.Listeners[0].Addr, cfg.Links[0].Addr = ports[0], ports[1]
	stop(t, f, probes)
	next, _ := run(t, cfg)
	if next.Addr(0).String() != ports[0] || next.LinkAddr(0).String() != ports[1] {
		t.Errorf("at %v and %v, want %v", next.Addr(0), next.LinkAddr(0), ports)
	}
	ask(t, comeIn(t, next), "next")
}
