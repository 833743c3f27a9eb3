package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tongka/hsm"
	"tongka/txn"
)

var rewrite = flag.Bool("rewrite", false, "renew the golden files and schema.json")

// golden compares got with the file, or renews the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// Each testdata/*.yaml is refused; what is said of it is in *.golden.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(filepath.Base(file), b)
			var faults Faults
			if c != nil || !errors.As(err, &faults) {
				t.Fatalf("got %v, %v", c, err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", err.Error()+"\n")
		})
	}
}

const whole = `
node: {name: n, acquirer: "48023310", forwarder: "123"}
data: ./data
listeners: [{name: pos, address: "0.0.0.0:8583", dialect: pos, max_connections: 5, max_frame: 100, max_outbound: 5000, idle_timeout: 1m30s, frame_timeout: 10s,
  framing: {length: bcd2, zeros: 2, keep_alive: 9s}, tls: {cert: c.pem, key: /k.pem, ca: ca.pem, names: [pos], min: "1.3", timeout: 3s},
  allow: [10.0.0.0/8], deny: [10.9.0.0/16], per_address: {connections: 4, connects: 2, burst: 3, strikes: 5, strike_time: 10s, shut_out: 20s}}]
links:
  - {name: a, address: "127.0.0.1:9001", dialect: cups, destination: "00010000", source: "9", zpk: U0123456789ABCDEF0123456789ABCDEF,
     answer_timeout: 2s, echo_interval: 3s, echo_timeout: 1s, max_missed: 4, when_full: "91", zmk: U89ABCDEF0123456789ABCDEF01234567,
     zak: 0123456789ABCDEF, mac: {algorithm: x9.9, check: "D5D44F", messages: [request, network], fields: [2, 4, 39], key_fields: [70], raw: true, field: 64, form: hex, key_change: old}, key_grace: 1m,
     reversal: {interval: 1s, max_interval: 2s, max_attempts: 3, window: 4, answer_timeout: 5s, round: 3s, per_round: 7}, limit: {rate: 10, per: 2s, burst: 3, in_flight: 4}}
  - {name: b, lines: [{address: "bank:9002", window: 8, backups: ["bank2:9002", "bank3:9002"]}, {send: "bank:9003", listen: ":9004", allow: ["10.1.0.0/16"], priority: 2}], destination: "2", zpk: "X0123456789ABCDEF0123456789ABCDEF"}
routes:
  - {kinds: [sale], bin: ["62", "6225-6229"], link: a}
  - name: large
    kinds: [sale, balance]
    issuer: [CMB]
    merchant: ["898310048160001", "8983*"]
    group: [1, 65535]
    amount: {min_fen: 100, max_fen: 999999999999}
    hours: ["08:00-20:00", "22:00-02:00"]
    days: [workday, sunday]
    to: [{link: a, weight: 70}, {link: b}]
  - {link: b, fallback: [a]}
bin_table: bins.csv
calendar: {holidays: ["2026-10-01"], workdays: ["2026-10-10"]}
flow_control:
  code: "91"
  payments: {rate: 3000, burst: 6000, in_flight: 500}
  enquiries: {rate: 100}
  address: {rate: 30, in_flight: 9}
  terminal: {rate: 20, per: 1m, burst: 5, in_flight: 2}
  merchant: {in_flight: 50}
day: {foreign_bins: ["4", "51-55"], count_voided: true, short_mak_groups: [7], signals: "ABC", downloads: [{code: 370, file: ca.bin, version: "3", groups: [1, 2], block: 200}]}
rules: {completion_percent: 10, tip_percent: 0}
hsm: {mode: tcp, addresses: ["127.0.0.1:1500", "127.0.0.2:1500"], header: 4, timeout: 500ms, commands: [{code: UB}]}
cards: {ceiling: 100000, single: 50000, cities: ["3120"], city_levels: 2, tunion_levels: 1, sm4_algorithm: 4, spent_since: true, air_terminal: "3120FF000001", air_key: 1,
  keys: [{family: city, use: load, issuer: "8698312000000000", index: 1, version: 1, sm4: true, key: U0123456789ABCDEF0123456789ABCDEF}]}
registry: {session_ttl: 12h, max_terminals: 7, import: /t.csv}
business_day: {cut: 2h30m, follow: a, tell: [a, b]}
journal: {key_file: key}
limits: {in_flight: 100, history: 20, max_frame: 2048}
processors: {awake_above: 7}
console: {address: ""}
admin: {socket: a.sock, tokens: /tokens}
stop: {deadline: 5s, restart_deadline: 900ms}
supervisor: {heartbeat: 4s, start_timeout: 1m, memory: 4096, backoff: 1s, max_backoff: 2m}
log: {level: debug, file: log/x.log}
`

func wholeConfig(t *testing.T) *Config {
	t.Helper()
	key := func(s string) hsm.Key {
		k, err := hsm.ParseKey(s)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	b := Link{}
	b.start()
	b.Name, b.Destination, b.Source = "b", "2", "48023310"
	b.Lines = []Line{{Address: "bank:9002", Backups: []string{"bank2:9002", "bank3:9002"}, Priority: 1, Window: 8}, {Send: "bank:9003", Listen: ":9004", Allow: []string{"10.1.0.0/16"}, Priority: 2}}
	b.ZPK = key("X0123456789ABCDEF0123456789ABCDEF")
	return &Config{
		Cards: Cards{Ceiling: 100_000, Single: 50_000, Cities: []string{"3120"}, CityLevels: 2, TUnionLevels: 1, SM4: 4, Spent: true, Terminal: "3120FF000001", AirKey: 1,
			Keys: []CardKey{{Family: "city", Use: "load", Issuer: "8698312000000000", Index: 1, Version: 1, SM4: true, Key: key("U0123456789ABCDEF0123456789ABCDEF")}}},
		Node: Node{Name: "n", Acquirer: "48023310", Forwarder: "123"},
		Data: "/etc/data",
		Listeners: []Listener{{Name: "pos", Address: "0.0.0.0:8583", Dialect: "pos", MaxConnections: 5, MaxFrame: 100, MaxOutbound: 5000,
			IdleTimeout: 90 * time.Second, FrameTimeout: 10 * time.Second,
			Framing: Framing{Length: "bcd2", Zeros: 2, KeepAlive: 9 * time.Second},
			TLS:     TLS{Cert: "/etc/c.pem", Key: "/k.pem", CA: "/etc/ca.pem", Names: []string{"pos"}, Min: "1.3", Timeout: 3 * time.Second},
			Allow:   []string{"10.0.0.0/8"}, Deny: []string{"10.9.0.0/16"},
			PerAddress: PerAddress{Connections: 4, Connects: 2, Burst: 3, Strikes: 5, StrikeTime: 10 * time.Second, ShutOut: 20 * time.Second}}},
		Links: []Link{{Name: "a", Address: "127.0.0.1:9001", Dialect: "cups", Destination: "00010000", Source: "9",
			ZPK: key("U0123456789ABCDEF0123456789ABCDEF"), AnswerTimeout: 2 * time.Second, EchoInterval: 3 * time.Second, EchoTimeout: time.Second, MaxMissed: 4, WhenFull: "91", ZMK: key("U89ABCDEF0123456789ABCDEF01234567"), ZAK: key("0123456789ABCDEF"), KeyGrace: time.Minute,
			MAC:      MAC{Algorithm: "x9.9", Check: "D5D44F", Messages: []string{"request", "network"}, Fields: []int{2, 4, 39}, KeyFields: []int{70}, Raw: true, Field: 64, Form: "hex", KeyChange: "old"},
			Reversal: Reversal{Interval: time.Second, MaxInterval: 2 * time.Second, MaxAttempts: 3, Window: 4, AnswerTimeout: 5 * time.Second, Round: 3 * time.Second, PerRound: 7}, Limit: Cap{10, 2 * time.Second, 3, 4}}, b},
		Routes: []Route{{Kinds: []txn.Kind{txn.Sale}, BIN: []string{"62", "6225-6229"}, Link: "a"},
			{Label: "large", Kinds: []txn.Kind{txn.Sale, txn.Balance}, Issuer: []string{"CMB"}, Merchant: []string{"898310048160001", "8983*"},
				Group: []int{1, 65535}, Amount: Amount{Min: 100, Max: 999_999_999_999}, Hours: []string{"08:00-20:00", "22:00-02:00"},
				Days: []string{"workday", "sunday"}, To: []To{{"a", 70}, {"b", 1}}},
			{Link: "b", Fallback: []string{"a"}}},
		BINTable:    "/etc/bins.csv",
		BusinessDay: BusinessDay{Cut: 150 * time.Minute, Follow: "a", Tell: []string{"a", "b"}},
		Calendar:    Calendar{Holidays: []string{"2026-10-01"}, Workdays: []string{"2026-10-10"}},
		FlowControl: FlowControl{Code: "91", Payments: Cap{3000, time.Second, 6000, 500}, Enquiries: Cap{100, time.Second, 0, 0},
			Address: Cap{30, time.Second, 0, 9}, Terminal: Cap{20, time.Minute, 5, 2}, Merchant: Cap{0, time.Second, 0, 50}},
		Day: TerminalDay{ForeignBINs: []string{"4", "51-55"}, CountVoided: true, ShortMAKGroups: []int{7}, Signals: "ABC",
			Downloads: []Download{{Code: 370, File: "/etc/ca.bin", Version: "3", Groups: []int{1, 2}, Block: 200}}},
		Rules: Rules{CompletionPercent: 10},
		HSM: HSM{Mode: "tcp", Addresses: []string{"127.0.0.1:1500", "127.0.0.2:1500"}, Commands: []HSMCommand{{Code: "UB"}}, Header: 4, Timeout: 500 * time.Millisecond,
			Connections: 1, KeyConnection: true, Window: 16, Probe: 5 * time.Second},
		Registry:   Registry{SessionTTL: 12 * time.Hour, MaxTerminals: 7, MaxBlacklist: 20_000_000, MaxCards: 1_000_000, Import: "/t.csv"},
		Journal:    Journal{KeyFile: "/etc/key", Reserve: 512, Full: "96"},
		Offline:    Offline{MaxFile: 4096},
		Limits:     Limits{InFlight: 100, History: 20, MaxFrame: 2048},
		Processors: Processors{AwakeAbove: 7},
		Admin:      Admin{Socket: "/etc/a.sock", Tokens: "/tokens"},
		Stop:       Stop{Deadline: 5 * time.Second, RestartDeadline: 900 * time.Millisecond},
		Supervisor: Supervisor{Heartbeat: 4 * time.Second, StartTimeout: time.Minute, Memory: 4096, Backoff: time.Second,
			MaxBackoff: 2 * time.Minute},
		Log: Log{Level: "debug", File: "/etc/log/x.log"},
	}
}

func TestParseWhole(t *testing.T) {
	got, err := Parse("/etc/x.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wholeConfig(t), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseSmallestTakesDefaults(t *testing.T) {
	got, err := Parse("dir/x.yaml", []byte(`
node: {acquirer: "1"}
listeners: [{name: a, address: ":1"}]
links: [{name: b, address: "h:1", destination: "1", zpk: "U0123456789ABCDEF0123456789ABCDEF"}]
routes: [{link: b}]
hsm: {mode: soft, test_lmk: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults()
	want.Node.Acquirer, want.Node.Forwarder = "1", "1"
	want.Data, want.Journal.KeyFile = "dir/data", "dir/data/journal.key"
	want.Admin.Socket = "dir/data/admin.sock"
	want.HSM.Mode, want.HSM.TestLMK = "soft", true
	var l Listener
	l.start()
	l.Name, l.Address = "a", ":1"
	want.Listeners = []Listener{l}
	want.Links, want.Routes = got.Links, []Route{{Link: "b"}}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if k := got.Links[0]; k.AnswerTimeout != 25*time.Second || k.Source != "1" || k.Reversal.MaxAttempts != 100 {
		t.Errorf("link %+v", k)
	}
}

func TestExampleIsRight(t *testing.T) {
	c, err := Load("../examples/tongka.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "examples")
	if c.Registry.Import != filepath.Join(dir, "terminals.csv") || c.RegistryDir() != filepath.Join(dir, "data", "registry") || c.JournalDir() != filepath.Join(dir, "data", "journal") {
		t.Errorf("paths %q, %q", c.Registry.Import, c.Data)
	}
}

func TestLoadMissingAndLarge(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, []byte(strings.Repeat("#\n", maxFile/2+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	var faults Faults
	if _, err := Load(large); !errors.As(err, &faults) || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
}

// 100,000 card ranges may stand in the routes themselves.
func TestManyRangesInTheRoutes(t *testing.T) {
	b, err := os.ReadFile("../examples/tongka.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const ranges = 100_000
	list := make([]byte, 0, ranges*14)
	for i := range ranges {
		list = fmt.Appendf(list, `"%010d", `, 6_000_000_000+i*7)
	}
	text := strings.Replace(string(b), "routes:\n", "routes:\n  - {link: bank-a, bin: ["+string(list)+"]}\n", 1)
	c, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(c.Routes[0].BIN); n != ranges {
		t.Errorf("%d ranges, want %d", n, ranges)
	}
}

func TestMemoryAddsUp(t *testing.T) {
	c := wholeConfig(t)
	sum := func() (n int64) {
		for _, term := range c.Memory() {
			if term.Name == "" || term.How == "" || term.Bytes <= 0 {
				t.Errorf("term %+v", term)
			}
			n += term.Bytes
		}
		return n
	}
	before, known := sum(), int64(c.Registry.MaxTerminals*c.Limits.History)
	c.Limits.InFlight++
	c.Limits.History += 10
	c.Listeners[0].MaxConnections++
	c.Registry.MaxTerminals++
	c.Links[0].Reversal.Window++
	if c.Cards.Ceiling == 0 {
		t.Fatal("the file takes no cards")
	}
	known = int64(c.Registry.MaxTerminals*c.Limits.History) - known
	want := int64(slotBytes+loadBytes+connBytes+sessionBytes+buffersPerConn*100+5000+terminalBytes+reversalBytes) + known*historyBytes
	if got := sum() - before; got != want {
		t.Errorf("one more of each adds %d bytes, want %d", got, want)
	}
}

// Whatever a file holds, it gives a config or faults that have a place.
func FuzzParse(f *testing.F) {
	f.Add(whole)
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f.yaml", []byte(text))
		var faults Faults
		if (c == nil) == (err == nil) || err != nil && !errors.As(err, &faults) {
			t.Fatalf("got %v, %v", c, err)
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
				t.Errorf("fault without a place: %+v", fault)
			}
		}
	})
}

// Port 0 is any free one: several doors may ask for it.
func TestAnyPortMayStandTwice(t *testing.T) {
	doors := strings.Replace(whole, "listeners: [", `listeners: [{name: x, address: "127.0.0.1:0"}, {name: y, address: "127.0.0.1:0"}, `, 1)
	doors = strings.Replace(doors, `console: {address: ""}`, `console: {address: "127.0.0.1:0"}`, 1)
	c, err := Parse("x.yaml", []byte(doors))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Listeners) != 3 || c.Console.Address != "127.0.0.1:0" {
		t.Errorf("%+v", c)
	}
}
