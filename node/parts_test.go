package node

import (
	"strings"
	"testing"

	"go.uber.org/zap"

	"tongka/config"
)

const partsText = `
node: {acquirer: "48023310"}
listeners: [{name: pos, address: "127.0.0.1:0"}]
links: [{name: a, address: "127.0.0.1:9001", destination: "1", zpk: "U0123456789ABCDEF0123456789ABCDEF",
   reversal: {window: WINDOW, max_attempts: ATTEMPTS, interval: INTERVAL, max_interval: 24h}}]
routes: [{link: a}]
hsm: {mode: tcp, addresses: ["127.0.0.1:1500"], header: HEADER}
`

// What a config may say, the parts behind it must take, and not one more: else a
// file that check calls right would fail in the start, or in a busy night.
func TestRangesOfTheConfigAreThoseOfTheParts(t *testing.T) {
	for _, c := range []struct {
		window, attempts, interval, header string
		right                              bool
	}{
		{"1", "1", "100ms", "4", true},
		{"1024", "65534", "24h", "255", true},
		{"1025", "1", "1s", "4", false},
		{"1", "65535", "1s", "4", false},
		{"1", "1", "1s", "3", false},
		{"1", "1", "1s", "256", false},
	} {
		text := strings.NewReplacer("WINDOW", c.window, "ATTEMPTS", c.attempts, "INTERVAL", c.interval, "HEADER", c.header).Replace(partsText)
		cfg, err := config.Parse("x.yaml", []byte(text))
		if (err == nil) != c.right {
			t.Errorf("%+v: %v", c, err)
		}
		if err != nil {
			continue
		}
		n := &Node{cfg: cfg, log: zap.NewNop()}
		parts, front, err := n.parts(Options{Fatal: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		if err := parts.Validate(); err != nil {
			t.Errorf("%+v: the config takes it, the engine does not: %v", c, err)
		}
		if l := &front.Listeners[0]; l.MaxOutbound != 64<<10 || front.Links[0].MaxOutbound != config.LineOutbound || front.Links[1].MaxOutbound != config.ModuleOutbound {
			t.Errorf("what may wait for who does not read is not what check adds up: %d", l.MaxOutbound)
		}
		if len(front.Links) != 3 || len(parts.HSMs) != 2 || parts.HSMs[0].Machine != parts.HSMs[1].Machine || !parts.HSMs[1].Keys {
			t.Errorf("%d sockets, modules %+v; want a bank, a module and its line for keys", len(front.Links), parts.HSMs)
		}
	}
}

// A line's backups reach its socket.
func TestBackupsOfALine(t *testing.T) {
	text := strings.Replace(partsText, `address: "127.0.0.1:9001", d`, `lines: [{address: "127.0.0.1:9001", backups: ["127.0.0.2:9001", "127.0.0.3:9001"]}], d`, 1)
	text = strings.NewReplacer("WINDOW", "1", "ATTEMPTS", "1", "INTERVAL", "1s", "HEADER", "4").Replace(text)
	cfg, err := config.Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	_, front, err := (&Node{cfg: cfg, log: zap.NewNop()}).parts(Options{Fatal: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	if got := front.Links[0]; got.Addr != "127.0.0.1:9001" || strings.Join(got.Backups, " ") != "127.0.0.2:9001 127.0.0.3:9001" {
		t.Errorf("%+v", got)
	}
}
