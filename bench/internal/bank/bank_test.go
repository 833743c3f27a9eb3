package bank

import (
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tongka/bench/internal/sale"
	"tongka/codec/iso8583"
)

// cups makes a centre frame with the codec, which knows nothing of this package.
func cups(t *testing.T, mti iso8583.MTI, fields map[int]string) []byte {
	t.Helper()
	frame := iso8583.AppendCupsHeader([]byte("0000"), "00010000", "48220000")
	b := iso8583.Cups().Begin(frame, mti)
	for n := 2; n <= 128; n++ {
		if v, ok := fields[n]; ok {
			b.Put(n, []byte(v))
		}
	}
	frame, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	iso8583.PatchCupsLength(frame[4:], len(frame)-4)
	putDecimal(frame, len(frame)-4)
	return frame
}

var request = map[int]string{
	2: "6200000000000005", 3: "000000", 4: "000000000100", 7: "0102093000", 11: "004711", 12: "093000", 13: "0102",
	14: "3012", 18: "5411", 22: "052", 23: "001", 25: "00", 32: "48223100", 33: "48220000",
	35: "6200000000000005D30122010000000000000", 37: "000000004711", 41: "90000001", 42: "898310054110001",
	49: "156", 53: "2600000000000000", 55: "\x9f\x26\x08\x01\x02\x03\x04\x05\x06\x07\x08", 60: "00000500030", 100: "01020000",
}

// check parses an answer with the codec and compares its fields.
func check(t *testing.T, frame []byte, mti iso8583.MTI, want map[int]string) {
	t.Helper()
	if n, err := frameLen(frame); err != nil || n != len(frame) {
		t.Fatalf("length %d (%v), the frame has %d", n, err, len(frame))
	}
	var env iso8583.Envelope
	msg, err := iso8583.Cups().Split(frame[4:], &env)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(env.Header[6:28]); got != "48220000   00010000   " {
		t.Errorf("destination and source %q are not turned round", got)
	}
	var v iso8583.View
	if err := iso8583.Cups().Parse(&v, msg); err != nil {
		t.Fatal(err)
	}
	if v.MTI() != mti {
		t.Errorf("MTI %v, want %v", v.MTI(), mti)
	}
	for n := 2; n <= 128; n++ {
		if got := string(v.AppendText(nil, n)); v.Has(n) != (want[n] != "") || got != want[n] {
			t.Errorf("F%d: %q, want %q", n, got, want[n])
		}
	}
}

func only(from map[int]string, list ...int) map[int]string {
	m := map[int]string{}
	for _, n := range list {
		m[n] = from[n]
	}
	return m
}

func TestSaleIsApproved(t *testing.T) {
	got, err := answer(nil, cups(t, 0x0200, request))
	if err != nil {
		t.Fatal(err)
	}
	want := only(request, 2, 3, 4, 7, 11, 12, 13, 18, 25, 32, 33, 37, 41, 42, 49, 100)
	want[15], want[38], want[39] = "0102", "A00001", "00"
	check(t, got, 0x0210, want)
}

func TestReversalAndItsRepeatAreAccepted(t *testing.T) {
	r := only(request, 2, 3, 4, 7, 11, 37, 41, 42, 49)
	r[90] = "020000471101020930000004822310000048220000"
	r[38] = "B12345"
	for _, mti := range []iso8583.MTI{0x0420, 0x0421} {
		got, err := answer(nil, cups(t, mti, r))
		if err != nil {
			t.Fatal(err)
		}
		want := only(r, 2, 3, 4, 7, 11, 37, 41, 42, 49, 90)
		want[15], want[39] = "0102", "00"
		check(t, got, 0x0430, want)
	}
}

func TestSignOnIsAnswered(t *testing.T) {
	r := map[int]string{7: "0102093000", 11: "000001", 33: "48220000", 70: "001", 100: "49000000"}
	got, err := answer(nil, cups(t, 0x0820, r))
	if err != nil {
		t.Fatal(err)
	}
	want := only(r, 7, 11, 33, 70, 100)
	want[39] = "00"
	check(t, got, 0x0830, want)
}

func TestNothingIsAnsweredToAnswersAndIdleFrames(t *testing.T) {
	for _, f := range [][]byte{[]byte("0000"), cups(t, 0x0810, map[int]string{7: "0102093000", 11: "000001", 39: "00", 70: "101"})} {
		if got, err := answer(nil, f); err != nil || len(got) != 0 {
			t.Errorf("%q is answered %q, %v", f[:4], got, err)
		}
	}
}

func TestBrokenFramesNameTheirPlace(t *testing.T) {
	whole := cups(t, 0x0200, request)
	cut := append([]byte(nil), whole[:120]...)
	odd := append([]byte(nil), whole...)
	copy(odd[70:], "x6")
	cases := map[string]struct {
		frame []byte
		want  string
	}{
		"short":                 {whole[:60], "byte 60"},
		"cut":                   {cut, "F11 at byte 116"},
		"length of F2":          {odd, "F2 at byte 70"},
		"a field of no dialect": {setBit(whole, 8), "F8 at byte"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dst, err := answer([]byte("before"), c.frame)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if string(dst) != "before" {
				t.Errorf("half an answer stays: %q", dst)
			}
		})
	}
	if _, err := frameLen([]byte("02x4")); err == nil {
		t.Error("a length that is no number is accepted")
	}
}

func setBit(frame []byte, f int) []byte {
	b := append([]byte(nil), frame...)
	b[54+(f-1)/8] |= 0x80 >> ((f - 1) % 8)
	return b
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("0000"))
	f.Add(append(append([]byte("0200"), make([]byte, 46)...), "0200\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff16"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= lengthLen {
			if dst, err := answer(nil, b); err != nil && len(dst) != 0 {
				t.Fatalf("error %v and %d bytes", err, len(dst))
			}
		}
		echo(b)
	})
}

func TestAnswerDoesNotAllocate(t *testing.T) {
	frame, dst := cups(t, 0x0200, request), make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := answer(dst[:0], frame); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations an answer", n)
	}
}

// run starts a bank and stops it at the end of the test.
func run(t *testing.T) (*Bank, *bytes.Buffer) {
	t.Helper()
	return runWith(t, Profile{})
}

func runWith(t *testing.T, p Profile) (*Bank, *bytes.Buffer) {
	t.Helper()
	b, err := Open(p)
	if err != nil {
		t.Fatal(err)
	}
	complaints, ended := &bytes.Buffer{}, make(chan error, 1)
	go func() { ended <- b.Run(complaints) }()
	t.Cleanup(func() {
		b.Stop()
		if err := <-ended; err != nil {
			t.Errorf("the bank ended with %v", err)
		}
	})
	return b, complaints
}

func dial(t *testing.T, at netip.AddrPort) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// Frames come in pieces and several at once; the answers are the same.
func TestServesTheCentreInPieces(t *testing.T) {
	b, _ := run(t)
	c := dial(t, b.Centre())
	frame := cups(t, 0x0200, request)
	want, err := answer(nil, frame)
	if err != nil {
		t.Fatal(err)
	}
	stream := bytes.Repeat(frame, 3)
	go func() {
		for at := 0; at < len(stream); at += 100 {
			if _, err := c.Write(stream[at:min(at+100, len(stream))]); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	got := make([]byte, 3*len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, bytes.Repeat(want, 3)) {
		t.Fatalf("answers %q", got)
	}
}

func TestServesRawInPlace(t *testing.T) {
	b, _ := run(t)
	c := dial(t, b.Raw())
	term := sale.NewTerminal(1)
	r, err := sale.NewRequest(&term, false)
	if err != nil {
		t.Fatal(err)
	}
	sent := append([]byte(nil), r.Frame(42)...)
	if _, err := c.Write(append(sent, 0, 1, 0xAA)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(sent)+3)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if trace, err := sale.Echoed(got[:len(sent)]); err != nil || trace != 42 {
		t.Fatalf("trace %d, %v", trace, err)
	}
	got[rawMTI+1] = 0x00
	if !bytes.Equal(got[:len(sent)], sent) || hex.EncodeToString(got[len(sent):]) != "0001aa" {
		t.Fatal("more than the MTI changed")
	}
}

func TestDropsWhoBreaksTheDialect(t *testing.T) {
	b, err := Open(Profile{})
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- b.Run(&complaints) }()
	bad := dial(t, b.Centre())
	if _, err := bad.Write([]byte("12z4")); err != nil {
		t.Fatal(err)
	}
	if _, err := bad.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection is still there: %v", err)
	}
	// The bank goes on, and uses the place of the dropped connection again.
	good := dial(t, b.Centre())
	if _, err := good.Write(cups(t, 0x0820, map[int]string{7: "0102093000", 11: "000001", 70: "301"})); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(good, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	b.Stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(complaints.String(), `length "12z4" at byte 0`) {
		t.Errorf("complaint: %q", complaints.String())
	}
}

// A relay that does not read its answers must neither stop the bank for others
// nor lose anything.
func TestSlowReaderKeepsItsAnswers(t *testing.T) {
	b, _ := run(t)
	slow, other := dial(t, b.Raw()), dial(t, b.Raw())
	term := sale.NewTerminal(1)
	r, err := sale.NewRequest(&term, false)
	if err != nil {
		t.Fatal(err)
	}
	frame := append([]byte(nil), r.Frame(1)...)
	const n = 60_000 // 10 MB: more than the sockets hold
	stream, sent := bytes.Repeat(frame, n), make(chan error, 1)
	go func() {
		_, err := slow.Write(stream)
		sent <- err
	}()
	for range 10 {
		if _, err := other.Write(frame); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(other, make([]byte, len(frame))); err != nil {
			t.Fatal(err)
		}
	}
	frame[rawMTI+1] = 0x10
	got := make([]byte, len(frame))
	for i := range n {
		if _, err := io.ReadFull(slow, got); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if !bytes.Equal(got, frame) {
			t.Fatalf("answer %d differs", i)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}
