package conn

import (
	"strings"
	"testing"
	"time"

	"tongka/conn/framing"
)

func TestValidateReportsEveryFault(t *testing.T) {
	binary4, _ := framing.Named("binary4")
	cfg := Config{
		Loops: -1,
		Listeners: []ListenerConfig{
			{Name: "good", Addr: ":0", Framing: Binary2},
			{Name: "bad", Addr: "nowhere", MaxConns: -1, Idle: -time.Second, FrameTimeout: -1},
			{Name: "long", Addr: ":0", Framing: ASCII4, MaxFrame: 10_000, MaxOutbound: -5},
		},
		Links: []LinkConfig{
			{Name: "bank", Framing: Binary2, MaxFrame: -1, DialTimeout: -1, BackoffMin: 2, BackoffMax: 1, FrameTimeout: -1},
			{Name: "giant", Addr: "h:1", Framing: binary4, MaxFrame: maxPayload + 1, BackoffMin: -1, BackoffMax: -1},
		},
	}
	err := cfg.Validate()
	if err == nil {
		t.Fatal("no fault found")
	}
	want := []string{
		`loops: -1`,
		`listeners[1] "bad": address "nowhere"`, `listeners[1] "bad": no framing`,
		`listeners[1] "bad": maximum connections`, `listeners[1] "bad": idle`, `listeners[1] "bad": frame timeout`,
		`listeners[2] "long": maximum frame 10000 is over the 9999`, `listeners[2] "long": maximum outbound`,
		`links[0] "bank": address ""`, `links[0] "bank": maximum frame is negative`, `links[0] "bank": dial timeout`,
		`links[0] "bank": frame timeout`, `links[0] "bank": shortest backoff 2ns is over the longest 1ns`,
		`links[1] "giant": maximum frame 1048577`, `links[1] "giant": shortest backoff`, `links[1] "giant": longest backoff`,
	}
	lines := strings.Split(err.Error(), "\n")
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("not reported: %s", w)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d faults reported, want %d:\n%v", len(lines), len(want), err)
	}
	if f, err := Start(cfg, nil); f != nil || err == nil {
		t.Error("Start takes what Validate refuses")
	}
}

func TestDefaults(t *testing.T) {
	l := listenerTerms(&ListenerConfig{Name: "pos", Framing: ASCII4}, nil)
	if l.maxConns != defaultMaxConns || l.framing.Max() != defaultMaxFrame ||
		l.room != defaultMaxFrame+framing.Overhead || l.maxOutbound != defaultMaxOutbound || l.idle != 0 || l.frameTimeout != int64(defaultFrameTimeout) {
		t.Errorf("%+v", l)
	}
	if d := newTerms(framing.Limited(ASCII4, 50), 0, 0, 0); d.framing.Max() != 50 {
		t.Errorf("a framing that can say 50 gets %d", d.framing.Max())
	}
	var none Config
	if err := none.Validate(); err != nil {
		t.Errorf("the zero Config: %v", err)
	}
}

// What cannot be listened on is an error that names the listener, and leaves
// nothing behind: TestMain looks for goroutines.
func TestStartFailsWhole(t *testing.T) {
	f, _ := run(t, door1())
	cfg := door1()
	cfg.Listeners = append(cfg.Listeners, ListenerConfig{Name: "taken", Addr: f.Addr(0).String(), Framing: Binary2})
	_, err := Start(cfg, func(Loop) Handler { t.Error("a handler was made"); return nil })
	if err == nil || !strings.Contains(err.Error(), `listeners[1] "taken"`) {
		t.Errorf("%v", err)
	}
}

func TestMemory(t *testing.T) {
	cfg := Config{
		Loops: 2,
		Listeners: []ListenerConfig{
			{Framing: Binary2, MaxConns: 1000, MaxFrame: 1000, MaxOutbound: 10_000},
			{Framing: ASCII4},
		},
		Links: []LinkConfig{{Framing: Binary2, MaxFrame: 2000, MaxOutbound: 1 << 20}},
	}
	idle, worst := cfg.Memory()
	if want := int64(1000+defaultMaxConns+2) * idleCost; idle != want {
		t.Errorf("idle %d, want %d", idle, want)
	}
	// A part is kept in a buffer of the next power of two.
	want := int64(1000*(idleCost+1024+10_000) + defaultMaxConns*(idleCost+16<<10+defaultMaxOutbound) + 2*(idleCost+2048+1<<20))
	if worst != want {
		t.Errorf("worst %d, want %d", worst, want)
	}
}
