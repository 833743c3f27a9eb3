package sale

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/hsm/clear"
)

// pos35 is a public message with its key (cnblogs q/128930): a sale whose F64
// is B3A092AE under MAK 0723C80DB5F4CD3D twice.
const pos35 = "0200" + "3020048000C08015" + "000000" + "000000001234" + "000002" + "0300" + "99" +
	"3030303030303031" + "393532373138313832323137383735" + "313536" +
	"00192600000100060000000000435F01123238343431323334353637383930313233345F03063136303033365F04063230303832365C023031"

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The whole trick rests on this: the MAC of the folded 8 bytes is the MAC of
// the message, and a trace number folds in later.
func TestFoldedMACOfAPublicMessage(t *testing.T) {
	mab := unhex(t, pos35)
	mak, err := clear.NewCipher(unhex(t, "0723C80DB5F4CD3D0723C80DB5F4CD3D"))
	if err != nil {
		t.Fatal(err)
	}
	var fold [8]byte
	const traceAt = 2 + 8 + 3 + 6
	for i, c := range mab {
		if i < traceAt || i >= traceAt+3 {
			fold[i%8] ^= c
		}
	}
	for i, c := range bcd3(2) {
		fold[(traceAt+i)%8] ^= c
	}
	if got := mak.MAC(hsm.UnionPay, fold[:]); string(got[:]) != "B3A092AE" {
		t.Fatalf("MAC %s, the message has B3A092AE", got)
	}
}

func TestEveryFrameHasTheMACOfThePlainAlgorithm(t *testing.T) {
	for _, pin := range []bool{false, true} {
		term := NewTerminal(7)
		r, err := NewRequest(&term, pin)
		if err != nil {
			t.Fatal(err)
		}
		r.Prepare(100, 50)
		// Before, inside and after what was prepared.
		for _, trace := range []uint32{1, 99, 100, 123, 149, 150, 999_999} {
			f := r.Frame(trace)
			want, err := clear.MAC(hsm.UnionPay, term.MAK[:], f[posMTI:len(f)-8])
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(f[len(f)-8:], want[:]) {
				t.Errorf("pin %v trace %d: MAC %s, want %s", pin, trace, f[len(f)-8:], want)
			}
			f[posMTI+1] = 0x10
			got, err := Echoed(f)
			f[posMTI+1] = 0x00
			if err != nil || got != trace {
				t.Errorf("trace %d reads back as %d (%v)", trace, got, err)
			}
		}
	}
}

// After a sign-in a request is what a terminal of that key and batch would make, and
// nothing of before is left of what was prepared.
func TestRekeyedIsMadeAnew(t *testing.T) {
	for name, make := range map[string]func(*Terminal) (*Request, error){
		"sale":    func(t *Terminal) (*Request, error) { return NewRequest(t, false) },
		"PIN":     func(t *Terminal) (*Request, error) { return NewRequest(t, true) },
		"enquiry": NewEnquiry,
	} {
		term := NewTerminal(7)
		r, err := make(&term)
		if err != nil {
			t.Fatal(err)
		}
		r.Prepare(1, 10)
		for i, batch := range []string{"000002", "999999", "123456"} {
			r.Frame(uint32(i + 5))
			term.Batch, term.MAK[3] = batch, term.MAK[3]^0x30
			mak, err := clear.NewCipher(term.MAK[:])
			if err != nil {
				t.Fatal(err)
			}
			r.Rekey(mak, batch)
			want, err := make(&term)
			if err != nil {
				t.Fatal(err)
			}
			for _, trace := range []uint32{1, 5, 999_999} {
				if got, want := r.Frame(trace), want.Frame(trace); !bytes.Equal(got, want) {
					t.Fatalf("%s, batch %s, trace %d:\n%X, want\n%X", name, batch, trace, got, want)
				}
				frame, fold := want.Unsealed(trace)
				if mac := mak.MAC(hsm.UnionPay, fold[:]); !bytes.Equal(mac[:], frame[len(frame)-8:]) {
					t.Fatalf("%s: the fold gives %s, want %s", name, mac, frame[len(frame)-8:])
				}
			}
		}
	}
}

func TestFrameParsesWithTheCodec(t *testing.T) {
	term := NewTerminal(123)
	for _, pin := range []bool{false, true} {
		r, err := NewRequest(&term, pin)
		if err != nil {
			t.Fatal(err)
		}
		frame := r.Frame(4711)
		if FrameLen(frame) != len(frame) || r.Len() != len(frame) {
			t.Fatalf("length %d, frame %d", FrameLen(frame), len(frame))
		}
		var v iso8583.View
		if err := iso8583.Pos().Parse(&v, frame[posMTI:]); err != nil {
			t.Fatal(err)
		}
		want := map[int]string{
			2: term.PAN, 3: "000000", 4: "000000000100", 11: "004711", 14: "3012", 23: "001", 25: "00",
			35: term.PAN + "D30122010000000000000", 41: term.Number, 42: term.Merchant, 49: "156",
			60: "22" + term.Batch + "000601",
		}
		for n, w := range want {
			if got := string(v.AppendText(nil, n)); got != w {
				t.Errorf("pin %v F%d: %q, want %q", pin, n, got, w)
			}
		}
		if entry := string(v.AppendText(nil, 22)); (entry == "051") != pin {
			t.Errorf("pin %v F22: %q", pin, entry)
		}
		if v.Has(52) != pin || v.Has(26) != pin || v.Has(53) != pin || !v.Has(55) || !v.Has(64) {
			t.Errorf("pin %v: wrong set of fields", pin)
		}
		if pin {
			checkPIN(t, &term, v.Field(52))
		} else if len(frame) != 180 {
			t.Errorf("the frame has %d bytes, the figures in the docs are for 180", len(frame))
		}
	}
}

func checkPIN(t *testing.T, term *Terminal, block []byte) {
	t.Helper()
	var tail [12]byte
	copy(tail[:], term.PAN[3:])
	if pin, err := clear.DecryptPIN(term.PIK[:], [8]byte(block), &tail, hsm.ISO0); err != nil || string(pin) != "123456" {
		t.Errorf("PIN %q, %v", pin, err)
	}
}

func TestFrameDoesNotAllocate(t *testing.T) {
	term := NewTerminal(0)
	r, err := NewRequest(&term, false)
	if err != nil {
		t.Fatal(err)
	}
	trace := uint32(1)
	if n := testing.AllocsPerRun(100, func() { r.Frame(trace); trace++ }); n != 0 {
		t.Fatalf("%v allocations a frame", n)
	}
}

func TestTerminalsDifferAndHaveOddParity(t *testing.T) {
	seen := map[[16]byte]bool{}
	for i := range 1000 {
		term := NewTerminal(i)
		if len(term.Number) != 8 || len(term.Merchant) != 15 || len(term.PAN) != 16 {
			t.Fatalf("terminal %d: %+v", i, term)
		}
		for _, k := range [][16]byte{term.MAK, term.PIK} {
			if seen[k] {
				t.Fatalf("terminal %d repeats a key", i)
			}
			seen[k] = true
			for _, b := range k {
				ones := 0
				for ; b != 0; b &= b - 1 {
					ones++
				}
				if ones%2 == 0 {
					t.Fatalf("terminal %d: key %X has an even byte", i, k)
				}
			}
		}
	}
	// A published test number checks the check digit.
	if got := withCheckDigit("620000000000000"); got != "6200000000000005" {
		t.Fatalf("check digit: %s", got)
	}
}

// answerHex is a 0210 with the given bitmap and fields.
func answerHex(bitmap string, fields ...string) string {
	body := "6000000003" + "603100310000" + "0210" + bitmap + strings.Join(fields, "")
	return hex.EncodeToString([]byte{0, byte(len(body) / 2)}) + body
}

func TestAnswer(t *testing.T) {
	full := answerHex("703A02810E808001", "166200000000000005", "000000", "000000000100", "004711",
		"093000", "0101", "0102", "0000", "0848023310", "303030303030303030303031", "313233343536", "3030", "3930303030303030")
	cases := []struct {
		name, hex, code, err string
		trace                uint32
	}{
		{name: "all fields", hex: answerHex("7038000102000000", "166200000000000005", "000000", "000000000100", "004711", "093000", "0101", "0800000000", "3030"), code: "00", trace: 4711},
		{name: "declined, few fields", hex: answerHex("0020000002000000", "000009", "3934"), code: "94", trace: 9},
		{name: "cut off", hex: full[:60], err: "F2 at byte 23"},
		{name: "no answer code", hex: answerHex("0020000000000000", "000009"), err: "no F39"},
		{name: "a field that is not expected", hex: answerHex("0020000082000000", "000009", "11", "3030"), err: "F33 at byte 26"},
		{name: "a request", hex: strings.Replace(full, "0210", "0200", 1), err: "MTI 0200 at byte 13"},
		{name: "short", hex: "0000", err: "before the bitmap"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			trace, code, err := Answer(unhex(t, c.hex))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil || trace != c.trace || string(code[:]) != c.code {
				t.Fatalf("trace %d code %s err %v", trace, code, err)
			}
		})
	}
}

func TestFrameLenOfTooLittle(t *testing.T) {
	if FrameLen([]byte{1}) != 0 || FrameLen([]byte{1, 0}) != 258 {
		t.Fatal("length of a frame is wrong")
	}
	if _, err := Echoed(make([]byte, TraceAt+2)); err == nil {
		t.Fatal("a frame without F11 has a trace")
	}
	if _, err := Echoed(make([]byte, TraceAt+3)); err == nil {
		t.Fatal("a frame without MTI 0210 is an answer")
	}
}

// Whatever a system under test sends, the reader gives an error and no panic.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		answerHex("7038000102000000", "166200000000000005", "000000", "000000000100", "004711", "093000", "0101", "0800000000", "3030"),
		answerHex("FFFFFFFFFFFFFFFF", "99"), "0000", "",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, code, err := Answer(b); err == nil && !bytes.Contains(b, code[:]) {
			t.Errorf("code %q out of %X", code, b)
		}
		if trace, err := Echoed(b); err == nil && len(b) < TraceAt+3 {
			t.Errorf("trace %d out of %X", trace, b)
		}
	})
}

func TestAnswerDoesNotAllocate(t *testing.T) {
	b := unhex(t, answerHex("0020000002000000", "000009", "3030"))
	if n := testing.AllocsPerRun(100, func() {
		if _, _, err := Answer(b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations an answer", n)
	}
}

// Preparing changes nothing but the cost.
func TestPreparedFramesEqualOthers(t *testing.T) {
	term := NewTerminal(9)
	a, err := NewRequest(&term, true)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewRequest(&term, true)
	if err != nil {
		t.Fatal(err)
	}
	// PIN blocks of format 0 have no random part, so both are the same message.
	b.Prepare(5, 20)
	for trace := uint32(1); trace < 40; trace++ {
		if !bytes.Equal(a.Frame(trace), b.Frame(trace)) {
			t.Fatalf("trace %d: frames differ", trace)
		}
	}
}
