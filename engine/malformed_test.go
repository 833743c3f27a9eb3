package engine

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/fault"
)

const testCard = "6222021234567890123"

// sale is a request of a terminal in the POS dialect, with card, tracks and PIN.
func saleFrame(t testing.TB) (frame []byte, head int) {
	t.Helper()
	head = 11 // TPDU and header
	b := iso8583.Pos().Begin(append(mustHex("6000030000"), mustHex("602200000000")...), 0x0200)
	b.Put(2, []byte(testCard))
	b.Put(3, []byte("000000"))
	b.PutUint(4, 12345)
	b.PutUint(11, 7)
	b.Put(22, []byte("021"))
	b.Put(25, []byte("00"))
	b.Put(35, []byte(testCard+"=30122010000"))
	b.Put(41, []byte(terminalNumber))
	b.Put(42, []byte(terminalMerchant))
	b.Put(49, []byte("156"))
	b.Put(52, mustHex("A1B2C3D4E5F60718"))
	b.Put(64, make([]byte, 8))
	frame, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	return frame, head
}

// secretFree fails when a part of card, PIN block or track is in what is shown.
func secretFree(t *testing.T, shown string) {
	t.Helper()
	bare := strings.ReplaceAll(shown, "*", "")
	for _, secret := range []string{testCard[3:12], hex.EncodeToString([]byte(testCard[4:10])), "A1B2C3D4", "30122010"} {
		if strings.Contains(strings.ToUpper(bare), strings.ToUpper(secret)) {
			t.Errorf("%s is in %s", secret, shown)
		}
	}
}

// TestMalformedIsKept: the last one of each place, with field and byte, and counted;
// a good frame neither makes an entry nor takes one away.
func TestMalformedIsKept(t *testing.T) {
	w := newWorld(t)
	book := new(fault.Book)
	w.shape = func(c *Config) { c.Faults, c.Logger = book, book.Watch(c.Logger) }
	w.open(vfs.NewCrashableMem())
	frame, head := saleFrame(t)
	good := w.connect(-1)
	w.shard.Frame(good, bytes.Clone(frame))
	w.pass(time.Second)
	if m := w.shard.Snapshot().Malformed; m != nil {
		t.Fatalf("a good frame: %+v", m)
	}
	v := w.parse(iso8583.Pos(), frame)
	start, _, _ := v.Extent(4)
	bad := bytes.Clone(frame)
	bad[head+start] = 0xFA // no digit
	for range 3 {
		id := w.connect(-1)
		w.shard.Frame(id, bytes.Clone(bad))
		w.shard.Refused(w.connect(0), []byte("GET / HTTP/1.1\r\n\r\n"), conn.ErrMalformed)
		w.pass(time.Second)
	}
	w.shard.Frame(good, bytes.Clone(frame))
	w.pass(time.Second)
	all := w.shard.Snapshot().Malformed
	if len(all) != 2 {
		t.Fatalf("%+v", all)
	}
	m := all[0]
	if m.Kind != "listener" || m.Place != "pos" || m.Count != 3 || m.Length != len(bad) || m.Field != "F4" || m.Offset != head+start || !strings.Contains(m.Why, "FA") || m.At == 0 {
		t.Errorf("%+v", m)
	}
	if want := strings.ToUpper(hex.EncodeToString(frame[:head+10])); m.Shown != want || m.Read != "F2:19 F3:6" {
		t.Errorf("shown %s, read %s, want %s", m.Shown, m.Read, want)
	}
	secretFree(t, m.Shown)
	if l := all[1]; l.Kind != "link" || l.Place != "bank-a#1" || l.Offset != -1 || l.Field != "" || !strings.HasPrefix(l.Shown, "474554") {
		t.Errorf("%+v", l)
	}
	if n := book.Of(fault.FrameRefused); n != 3 {
		t.Errorf("counted %d times", n)
	}
}

// TestMalformedShowsNoSecret: whatever byte of a sale is broken or cut off, and in
// whatever code a card number stands in rubbish.
func TestMalformedShowsNoSecret(t *testing.T) {
	w := newWorld(t)
	frame, head := saleFrame(t)
	spec := iso8583.Pos()
	try := func(b []byte) {
		var env iso8583.Envelope
		var view iso8583.View
		p := &peer{kind: terminalPeer}
		msg, err := spec.Split(b, &env)
		switch {
		case err != nil:
			w.shard.keepMalformed(p, b, nil, -1, err)
		default:
			if err = spec.Parse(&view, msg); err == nil {
				return
			}
			w.shard.keepMalformed(p, b, &view, len(b)-len(msg), err)
		}
		m := w.shard.malformedViews()[0]
		secretFree(t, m.Shown)
		if len(m.Shown) > 2*maxShown {
			t.Errorf("%d characters", len(m.Shown))
		}
	}
	for i := range frame {
		try(frame[:i])
		for _, with := range []byte{0, 0xFF, 0xFA, 0x99} {
			b := bytes.Clone(frame)
			b[i] = with
			try(b)
		}
	}
	try(append(bytes.Clone(frame), frame[head:]...))
	ebcdic := []byte(testCard)
	for i := range ebcdic {
		ebcdic[i] |= 0xF0
	}
	for _, card := range [][]byte{[]byte(testCard), mustHex(testCard + "0"), mustHex("F" + testCard), []byte(testCard[:16]), mustHex(testCard + "D30122010000F"), ebcdic, []byte("6222 0212 3456 7890 123")} {
		for at := range 20 {
			b := append(bytes.Repeat([]byte{0xEE}, at), card...)
			shown := mask(b, 0, beginning)
			secretFree(t, shown)
			if bare := strings.Trim(shown[min(len(shown), 2*at):], "*"); len(bare) > 4 {
				t.Errorf("%x at %d: %s", card, at, shown)
			}
		}
	}
}

// TestMalformedOfAnySize: none and 64 KiB, of one digit or of chance; the map does
// not grow with connections.
func TestMalformedOfAnySize(t *testing.T) {
	w := newWorld(t)
	dice := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 10, 127, 128, 129, 1 << 16} {
		for _, fill := range []func() byte{func() byte { return 0x11 }, func() byte { return 0xFF }, func() byte { return byte(dice.Uint32()) }, func() byte { return 'G' }} {
			b := make([]byte, n)
			for i := range b {
				b[i] = fill()
			}
			id := w.connect(-1)
			w.shard.Refused(id, b, conn.ErrOversize)
			w.shard.Frame(id, b)
			w.pass(0)
			w.shard.Closed(id, nil)
			w.shard.Refused(id, b, conn.ErrOversize) // of a connection that is gone
		}
	}
	if n := len(w.shard.malformed.last); n != 1 {
		t.Errorf("%d places", n)
	}
}
