package node

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"tongka/codec/iso8583"
	"tongka/config"
	"tongka/engine"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/soft"
	"tongka/sim"
)

// What must never stand in a log line: a card number, its track, a PIN block and
// a key, of the terminal below.
var (
	secretPAN   = "6225880123456789"
	secretTrack = secretPAN + "D29122011234567890"
	secretMAK   = unhex("A1B2C3D4E5F60718293A4B5C6D7E8F90") // and the PIN key
	secretPIN   = pinBlock()
)

func pinBlock() []byte {
	c, err := clear.NewCipher(secretMAK)
	if err != nil {
		panic(err)
	}
	block, err := c.EncryptPIN([]byte("123456"), (*[12]byte)([]byte("588012345678")), 1)
	if err != nil {
		panic(err)
	}
	return block[:]
}

// startLogged is a switch like start's, with one terminal that has a session, and
// its log lines kept.
func startLogged(t *testing.T) (*started, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	s := &started{t: t}
	var err error
	if s.bank, err = sim.NewBank(sim.BankConfig{Name: "bank", Listen: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	if err := s.bank.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.bank.Close() })
	m := soft.New(soft.TestLMK())
	wrap := func(kt hsm.KeyType, key []byte) hsm.Key {
		k, err := m.Wrap(kt, key)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	dir := t.TempDir()
	some := wrap(hsm.TMK, secretMAK)
	files := map[string]string{
		"t.csv": "merchant,terminal,tmk,mac,kinds,group,pik,mak,batch\n" +
			fmt.Sprintf("898310048160001,T0000001,%s,unionpay,*,0,%s,%s,1\n", some, some, wrap(hsm.TAK, secretMAK)),
		"switch.yaml": fmt.Sprintf(`node: {acquirer: "48023310"}
data: .
listeners: [{name: pos, address: "127.0.0.1:0", frame_timeout: 300ms, idle_timeout: 1m},
   {name: safe, address: "127.0.0.1:0", frame_timeout: 300ms, idle_timeout: 1m, tls: {cert: c.pem, key: k.pem, timeout: 500ms}}]
links: [{name: bank, address: "%s", destination: "00010000", zpk: "%s"}]
routes: [{link: bank}]
hsm: {mode: soft, test_lmk: true}
registry: {import: t.csv}
limits: {in_flight: 64}
console: {address: ""}
`, s.bank.Addr(), wrap(hsm.ZPK, secretMAK)),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.trust = certificate(t, dir, 1)
	cfg, err := config.Load(filepath.Join(dir, "switch.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s.node, err = Start(cfg, Options{Logger: zap.New(core), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.node.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	s.until("the link is up", func() bool {
		p := s.node.Snapshot()
		return p != nil && p.Links[0].State == "up"
	})
	return s, logs
}

// sale is a good sale by track with a PIN, framed; spoil changes it before it
// gets its MAC and its length.
func sale(t *testing.T, trace uint64, spoil func(msg []byte) []byte) []byte {
	t.Helper()
	b := iso8583.Pos().Begin(nil, 0x0200)
	b.Put(2, []byte(secretPAN))
	b.PutUint(3, 0)
	b.PutUint(4, 1250)
	b.PutUint(11, trace)
	b.PutUint(22, 21)
	b.PutUint(25, 0)
	b.Put(35, []byte(secretTrack))
	b.Put(41, []byte("T0000001"))
	b.Put(42, []byte("898310048160001"))
	b.Put(49, []byte("156"))
	b.Put(52, secretPIN)
	b.Put(53, []byte("2600000000000000"))
	b.Put(60, []byte("22000001"))
	b.Put(64, make([]byte, 8))
	msg, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	if spoil != nil {
		msg = spoil(msg)
	}
	if n := len(msg) - 8; n > 0 {
		mac, err := clear.MAC(hsm.UnionPay, secretMAK, msg[:n])
		if err != nil {
			t.Fatal(err)
		}
		copy(msg[n:], mac[:])
	}
	return framed(append(unhex("6000030000602200000000"), msg...))
}

func framed(payload []byte) []byte {
	return append([]byte{byte(len(payload) >> 8), byte(len(payload))}, payload...)
}

// Offsets in the message of sale: MTI 2, bitmap 8, then the fields.
const (
	atBitmap = 2
	atPAN    = 10            // length, then 8 bytes
	atAmount = atPAN + 9 + 3 // F3 is 3 bytes
	atTrack  = atAmount + 6 + 3 + 2 + 1
	atID     = atTrack + 1 + 17 // F41, 8 bytes
)

// badInput is one line of what a switch must survive. code is F39 of the answer,
// "" when the right thing is to close.
type badInput struct {
	name    string
	frame   []byte
	code    string
	counter func(*engine.Counters) *uint64
}

var (
	badFormat    = func(c *engine.Counters) *uint64 { return &c.BadFormat }
	badMAC       = func(c *engine.Counters) *uint64 { return &c.BadMAC }
	unregistered = func(c *engine.Counters) *uint64 { return &c.Unregistered }
)

func badInputs(t *testing.T) []badInput {
	at := func(i int, b byte) func([]byte) []byte {
		return func(m []byte) []byte { m[i] = b; return m }
	}
	or := func(i int, b byte) func([]byte) []byte {
		return func(m []byte) []byte { m[i] |= b; return m }
	}
	good := sale(t, 1, nil)
	long := append([]byte(nil), good...)
	long[1] += 40 // says more than comes: the rest never does
	short := append([]byte(nil), good...)
	short[1] -= 30 // says less: F60 is cut, and what is left is no frame
	wrongMAC := append([]byte(nil), good...)
	wrongMAC[len(wrongMAC)-1] ^= 1
	changed := append([]byte(nil), good...)
	changed[2+11+atAmount+5] ^= 1 // an amount that the MAC does not cover
	ascii, _ := sample(t, "ascii-harda-0200")
	return []badInput{
		{"length above what comes", long, "", nil},        // never a frame: conn's deadline ends it
		{"length below what comes", short, "", badFormat}, // read as two, of which the second has no end
		{"length zero", []byte{0, 0}, "", nil},
		{"length above the limit", []byte{0xFF, 0xFF, 0x60}, "", nil},
		{"another dialect", framed(ascii), "", badFormat},
		{"another protocol", framed([]byte("GET / HTTP/1.1\r\nHost: pos\r\n\r\n")), "", badFormat},
		{"only a TPDU", framed(unhex("6000030000")), "", badFormat},
		{"only an envelope", framed(unhex("6000030000602200000000")), "", badFormat},
		{"no bitmap", sale(t, 1, func(m []byte) []byte { return m[:6] }), "", badFormat},
		{"MTI with a letter", sale(t, 1, at(0, 0x0A)), "", badFormat},
		{"an answer, from a terminal", sale(t, 1, at(1, 0x10)), "", badFormat},
		{"second bitmap", sale(t, 1, or(atBitmap, 0x80)), "", badFormat},
		{"bitmap names F63, which is not there", sale(t, 1, or(atBitmap+7, 0x02)), "30", badFormat},
		{"bitmap names F36, which is not there", sale(t, 1, or(atBitmap+4, 0x10)), "", badFormat},
		{"bitmap names F8, which no terminal has", sale(t, 1, or(atBitmap, 0x01)), "", badFormat},
		{"card number of 20 digits", sale(t, 1, at(atPAN, 0x20)), "", badFormat},
		{"card number's length is no number", sale(t, 1, at(atPAN, 0xF6)), "", badFormat},
		{"letter in the amount", sale(t, 1, at(atAmount, 0xA0)), "", badFormat},
		{"track of 38 digits", sale(t, 1, at(atTrack, 0x38)), "", badFormat},
		{"cut in the terminal's number", sale(t, 1, func(m []byte) []byte { return m[:atID+4] }), "", badFormat},
		{"cut behind the merchant's number", sale(t, 1, func(m []byte) []byte { return m[:atID+8+15] }), "30", badFormat},
		{"one byte too many", sale(t, 1, func(m []byte) []byte { return append(m, 0) }), "30", badFormat},
		{"wrong MAC", wrongMAC, "A0", badMAC},
		{"amount changed", changed, "A0", badMAC},
		{"terminal not registered", sale(t, 1, at(atID+7, '9')), "97", unregistered},
	}
}

// TestBadInput sends each over a socket of its own: the outcome is the one that
// is stated, a counter and a masked log line tell of it, and no bank ever does.
func TestBadInput(t *testing.T) {
	s, logs := startLogged(t)
	var want engine.Counters
	lines := 0
	for i, c := range badInputs(t) {
		if i%8 == 7 { // the switch writes ten such lines a second
			now := time.Now().Unix()
			s.until("the next second", func() bool { return time.Now().Unix() > now })
		}
		v, code := s.ask(c.frame), ""
		if v != nil {
			code = string(v.Field(39))
		}
		if code != c.code {
			t.Errorf("%s: answered %q, want %q", c.name, code, c.code)
		}
		if c.counter == nil {
			continue
		}
		*c.counter(&want)++
		lines++
		s.until(c.name+": a log line", func() bool { return warned(logs) >= lines })
	}
	s.until("the counters", func() bool {
		got := s.node.Snapshot().Counters
		return got.BadFormat == want.BadFormat && got.BadMAC == want.BadMAC && got.Unregistered == want.Unregistered
	})
	if n := s.bank.Stats(); n.Sales != 0 || n.Reversals != 0 {
		t.Errorf("the bank heard %+v", n)
	}
	if v := s.ask(sale(t, 1, nil)); v == nil || string(v.Field(39)) != "00" {
		t.Error("after all that, a good sale is not approved")
	}
	s.until("all slots are free", func() bool { return s.node.Snapshot().InFlight == 0 })
	masked(t, logs)
}

func warned(logs *observer.ObservedLogs) int {
	return logs.FilterLevelExact(zapcore.WarnLevel).FilterMessageSnippet("refused").Len()
}

// masked checks that no line holds card data or keys, in digits or in bytes.
func masked(t *testing.T, logs *observer.ObservedLogs) {
	t.Helper()
	enc := zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "m"})
	for _, e := range logs.All() {
		buf, err := enc.EncodeEntry(e.Entry, e.Context)
		if err != nil {
			t.Fatal(err)
		}
		line := strings.ToUpper(buf.String())
		for name, secret := range map[string]string{
			"card number": secretPAN[6:12], "track": secretTrack[17:25],
			"PIN block": strings.ToUpper(hex.EncodeToString(secretPIN))[:8], "key": strings.ToUpper(hex.EncodeToString(secretMAK))[:8],
		} {
			if strings.Contains(line, secret) || strings.Contains(line, string(unhexOr(secret))) {
				t.Errorf("the log shows the %s: %s", name, line)
			}
		}
	}
}

// unhexOr gives the bytes that hexadecimal text stands for.
func unhexOr(s string) []byte {
	if b, err := hex.DecodeString(s); err == nil {
		return b
	}
	return []byte(s)
}

// TestHalfFrames holds many connections that never finish a frame: they are ended
// by the deadline, and meanwhile a terminal is served.
func TestHalfFrames(t *testing.T) {
	s, _ := startLogged(t)
	var open []net.Conn
	for range 50 {
		c, err := net.Dial("tcp", s.node.Addr(0).String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(sale(t, 1, nil)[:30]); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	if v := s.ask(sale(t, 1, nil)); v == nil || string(v.Field(39)) != "00" {
		t.Error("a good sale is not approved")
	}
	for _, c := range open {
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || os.IsTimeout(err) {
			t.Errorf("read %d, %v: want the end", n, err)
		}
	}
	if n := s.bank.Stats().Sales; n != 1 {
		t.Errorf("the bank saw %d sales, want 1", n)
	}
}

// TestBadFramesInARow: three unreadable frames end a connection, each of them
// answered; a good one between them makes it start again.
func TestBadFramesInARow(t *testing.T) {
	s, _ := startLogged(t)
	c, err := net.Dial("tcp", s.node.Addr(0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	bad := sale(t, 1, func(m []byte) []byte { return append(m, 0) })
	good := sale(t, 2, nil)
	for i, frame := range [][]byte{bad, bad, good, bad, bad, bad} {
		if _, err := c.Write(frame); err != nil {
			t.Fatal(err)
		}
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			t.Fatalf("frame %d is not answered: %v", i, err)
		}
		if _, err := io.ReadFull(c, make([]byte, int(size[0])<<8|int(size[1]))); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read %d, %v: want the end", n, err)
	}
}
