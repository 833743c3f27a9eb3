package bank

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/sim/book"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a test that waits for what never comes.
const patience = 60 * time.Second

// testPAN is a test number with a right check digit.
const testPAN = "6225880000000001"

// fields is a message by field number; text, or raw bytes for binary fields.
type fields map[int]string

// with gives a copy with some fields changed; an empty one is left out.
func (f fields) with(changes fields) fields {
	g := fields{}
	for _, m := range []fields{f, changes} {
		for n, v := range m {
			g[n] = v
		}
	}
	return g
}

// frame makes a request as the switch sends it: length, header, message.
func frame(t testing.TB, mti iso8583.MTI, f fields) []byte {
	t.Helper()
	b := iso8583.AppendCupsHeader([]byte("0000"), "00010000", "48023310")
	m := iso8583.Cups().Begin(b, mti)
	for n := range 129 {
		if v := f[n]; v != "" {
			m.Put(n, []byte(v))
		}
	}
	out, err := m.End()
	if err != nil {
		t.Fatal(err)
	}
	return sized(out)
}

// sized sets both lengths.
func sized(out []byte) []byte {
	iso8583.PatchCupsLength(out[4:], len(out)-4)
	copy(out, fmt.Sprintf("%04d", len(out)-4))
	return out
}

// sale number n; each has its own trace, RRN and amount.
func sale(n int) fields {
	return fields{
		2: testPAN, 3: "000000", 4: fmt.Sprintf("%012d", 100+n), 7: "1121220000", 11: fmt.Sprintf("%06d", n),
		14: "3012", 18: "5411", 22: "022", 25: "00", 32: "48023310", 33: "48023310", 37: fmt.Sprintf("%012d", n),
		41: "10000001", 42: "898310054110000", 49: "156",
	}
}

// undo is the reversal of sale number n, with a trace of its own.
func undo(n int) fields {
	s := sale(n)
	return s.with(fields{14: "", 11: fmt.Sprintf("%06d", 900000+n), 7: "1121220105", 90: "0200" + s[11] + s[7] + "00048023310" + "00048023310"})
}

// line is the switch's end of a connection to the bank.
type line struct {
	t testing.TB
	net.Conn
}

func start(t testing.TB, cfg Config) (*Bank, *line) {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, dial(t, b)
}

func dial(t testing.TB, b *Bank) *line {
	t.Helper()
	c, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &line{t, c}
}

func (l *line) send(b ...[]byte) {
	l.t.Helper()
	for _, p := range b {
		if _, err := l.Write(p); err != nil {
			l.t.Fatal(err)
		}
	}
}

// receive reads one frame; the message is the caller's.
func (l *line) receive() (header []byte, v *iso8583.View) {
	l.t.Helper()
	raw := l.raw()
	var env iso8583.Envelope
	msg, err := iso8583.Cups().Split(raw, &env)
	if err != nil {
		l.t.Fatal(err)
	}
	v = new(iso8583.View)
	if err := iso8583.Cups().Parse(v, msg); err != nil {
		l.t.Fatal(err)
	}
	return env.Header, v
}

func (l *line) raw() []byte {
	l.t.Helper()
	l.SetReadDeadline(time.Now().Add(patience))
	var size [4]byte
	if _, err := io.ReadFull(l, size[:]); err != nil {
		l.t.Fatal(err)
	}
	n, err := strconv.Atoi(string(size[:]))
	if err != nil {
		l.t.Fatal(err)
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(l, raw); err != nil {
		l.t.Fatal(err)
	}
	return raw
}

// ask sends a request and checks MTI and F39 of the answer.
func (l *line) ask(mti iso8583.MTI, f fields, code string) *iso8583.View {
	l.t.Helper()
	l.send(frame(l.t, mti, f))
	return l.expect(mti.Reply(), f[11], code)
}

func (l *line) expect(mti iso8583.MTI, trace, code string) *iso8583.View {
	l.t.Helper()
	_, v := l.receive()
	if v.MTI() != mti || string(v.Field(11)) != trace || string(v.Field(39)) != code {
		l.t.Fatalf("answer %v trace %s code %s, want %v %s %s", v.MTI(), v.Field(11), v.Field(39), mti, trace, code)
	}
	return v
}

// quiet proves that nothing more comes: the bank answers in order, so the answer
// to an echo must be the next frame.
func (l *line) quiet() {
	l.t.Helper()
	l.ask(0x0820, fields{7: "1121220000", 11: "999999", 70: "301"}, "00")
}

// gone waits for the bank to close the connection.
func (l *line) gone() {
	l.t.Helper()
	l.SetReadDeadline(time.Now().Add(patience))
	_, err := l.Read(make([]byte, 1))
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		l.t.Fatalf("read: %v; want a closed connection", err)
	}
}

// states gives the ledger's states by amount.
func states(b *Bank) map[int64]book.State {
	m := map[int64]book.State{}
	for _, k := range b.Bookings() {
		m[k.Amount] = k.State
	}
	return m
}

func key(t testing.TB, text string) []byte {
	t.Helper()
	k, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// pinBlock is F52 under a key as the switch would translate it.
func pinBlock(t testing.TB, zpk []byte, pan12 string) string {
	t.Helper()
	p := [12]byte([]byte(pan12))
	b, err := clear.EncryptPIN(zpk, []byte("123456"), &p, hsm.ISO0)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:])
}
