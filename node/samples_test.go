package node

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/soft"
	"tongka/sim"
)

const samples = "../codec/iso8583/testdata/samples"

// Keys published with pos-34 (X9.19) and pos-35 (UnionPay ECB).
var (
	mak34 = unhex("73FE29329283FDF12540B6F80437C107")
	mak35 = unhex("0723C80DB5F4CD3D0723C80DB5F4CD3D")
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// started is a switch with one bank, over real sockets.
type started struct {
	t     *testing.T
	node  *Node
	bank  *sim.Bank
	trust *x509.CertPool // of the door with TLS, where there is one
}

func start(t *testing.T) *started {
	t.Helper()
	s := &started{t: t}
	var err error
	s.bank, err = sim.NewBank(sim.BankConfig{Name: "bank", Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.bank.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.bank.Close() })
	dir := t.TempDir()
	m := soft.New(soft.TestLMK())
	wrap := func(kt hsm.KeyType, key []byte) hsm.Key {
		k, err := m.Wrap(kt, key)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	some := wrap(hsm.TMK, unhex("0123456789ABCDEFFEDCBA9876543210"))
	csv := "merchant,terminal,tmk,mac,kinds,group,pik,mak,batch\n" +
		fmt.Sprintf("306581054990003,axtest3-,%s,x9.19,*,0,%s,%s,160529\n", some, some, wrap(hsm.TAK, mak34)) +
		fmt.Sprintf("952718182217875,00000001,%s,unionpay,*,0,%s,%s,1\n", some, some, wrap(hsm.TAK, mak35))
	text := fmt.Sprintf(`node: {acquirer: "48023310"}
data: .
listeners: [{name: pos, address: "127.0.0.1:0", frame_timeout: 500ms, idle_timeout: 1m}]
links: [{name: bank, address: "%s", destination: "00010000", zpk: "%s"}]
routes: [{link: bank}]
hsm: {mode: soft, test_lmk: true}
registry: {import: t.csv}
limits: {in_flight: 64}
console: {address: ""}
`, s.bank.Addr(), wrap(hsm.ZPK, mak34))
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("t.csv", csv)
	cfg, err := config.Load(write("switch.yaml", text))
	if err != nil {
		t.Fatal(err)
	}
	s.node, err = Start(cfg, Options{Logger: zap.NewNop(), Fatal: func(err error) { t.Error(err) }})
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
	return s
}

// until waits for something that will happen soon.
func (s *started) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			s.t.Fatalf("%s: not within a minute", what)
		}
		time.Sleep(5 * time.Millisecond) // polled: the picture is made four times a second
	}
}

// ask sends one frame on a connection of its own. The answer is nil when the
// switch closed the connection.
func (s *started) ask(frame []byte) *iso8583.View {
	s.t.Helper()
	c, err := net.Dial("tcp", s.node.Addr(0).String())
	if err != nil {
		s.t.Fatal(err)
	}
	return s.askBy(c, frame)
}

// askBy does so on a connection, and closes it.
func (s *started) askBy(c net.Conn, frame []byte) *iso8583.View {
	s.t.Helper()
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := c.Write(frame); err != nil {
		s.t.Fatal(err)
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil
	}
	body := make([]byte, int(size[0])<<8|int(size[1]))
	if _, err := io.ReadFull(c, body); err != nil {
		s.t.Fatal(err)
	}
	var env iso8583.Envelope
	msg, err := iso8583.Pos().Split(body, &env)
	if err != nil {
		s.t.Fatal(err)
	}
	v := new(iso8583.View)
	if err := iso8583.Pos().Parse(v, msg); err != nil {
		s.t.Fatal(err)
	}
	return v
}

// sample reads one captured message, with a length in front if it has none.
func sample(t *testing.T, name string) (frame []byte, about struct {
	Length  any `json:"length_prefix"`
	MTI     string
	Dialect string
	Bad     bool `json:"must_be_refused"`
}) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(samples, name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	if frame, err = hex.DecodeString(strings.TrimSpace(string(text))); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join(samples, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(doc, &about); err != nil {
		t.Fatal(err)
	}
	if about.Length == false {
		frame = append([]byte{byte(len(frame) >> 8), byte(len(frame))}, frame...)
	}
	return frame, about
}

func TestPublishedMACsAreAccepted(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		name string
		mak  []byte
		alg  hsm.MACAlg
		code string
		// amount is where the last byte of F4 is.
		amount int
	}{
		{"pos-34-reversal-x919", mak34, hsm.X919, "25", 2 + 11 + 10 + 9 + 3 + 5}, // its original never came here
		{"pos-35-sale-cnblogs-mac", mak35, hsm.UnionPay, "00", 2 + 11 + 10 + 3 + 5},
	} {
		frame, _ := sample(t, c.name)
		before := s.bank.Stats().Sales
		for _, at := range []int{len(frame) - 1, len(frame) - 8, c.amount} { // in the MAC, and in what it protects
			wrong := append([]byte(nil), frame...)
			wrong[at] ^= 1
			v := s.ask(wrong)
			if v == nil || string(v.Field(39)) != "A0" {
				t.Errorf("%s with byte %d changed: not answered with A0", c.name, at)
			}
		}
		if s.bank.Stats().Sales != before {
			t.Errorf("%s: a wrong MAC reached the bank", c.name)
		}
		v := s.ask(frame)
		if v == nil {
			t.Fatalf("%s: no answer", c.name)
		}
		if got := string(v.Field(39)); got != c.code {
			t.Errorf("%s: F39 %s, want %s", c.name, got, c.code)
		}
		mac, err := clear.MAC(c.alg, c.mak, v.Before(64))
		if err != nil {
			t.Fatal(err)
		}
		if string(mac[:]) != string(v.Field(64)) {
			t.Errorf("%s: the answer's MAC is %X, want %X", c.name, v.Field(64), mac)
		}
	}
	if n := s.bank.Stats().Sales; n != 1 {
		t.Errorf("the bank saw %d sales, want 1", n)
	}
}

func TestCapturedFramesPassThrough(t *testing.T) {
	s := start(t)
	files, err := filepath.Glob(samples + "/*.hex")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".hex")
		frame, about := sample(t, name)
		v := s.ask(frame)
		request := about.Dialect == "pos" && !about.Bad && len(about.MTI) == 4 && about.MTI[2]%2 == 0
		switch {
		case !request && v != nil && string(v.Field(39)) != "30":
			t.Errorf("%s: answered with F39 %s, want 30 or a close", name, v.Field(39))
		case !request:
		case name == "pos-34-reversal-x919" || name == "pos-35-sale-cnblogs-mac":
			if v == nil || string(v.Field(39)) == "A0" {
				t.Errorf("%s: refused", name)
			}
		case name == "pos-01-tmk-request-0800":
			if v != nil { // names no terminal: nobody to answer
				t.Errorf("%s: answered with %s", name, v.Field(39))
			}
		case v == nil || string(v.Field(39)) != "97":
			t.Errorf("%s: want F39 97, the terminal is not registered (answer %v)", name, v != nil)
		}
	}
	if n := s.bank.Stats().Sales; n != 1 { // pos-35
		t.Errorf("the bank saw %d sales, want 1", n)
	}
	good, _ := sample(t, "pos-35-sale-cnblogs-mac")
	if v := s.ask(good); v == nil || string(v.Field(39)) != "00" {
		t.Error("after all that, the repeat of pos-35 is not answered from the journal")
	}
}
