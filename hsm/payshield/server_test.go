package payshield

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/soft"
)

func ask(t testing.TB, s *Server, command string) string {
	t.Helper()
	out := string(s.Answer([]byte("kept"), []byte("0001"+command)))
	if !strings.HasPrefix(out, "kept0001") {
		t.Fatalf("%q is answered %q", command, out)
	}
	return out[len("kept0001"):]
}

func newServer() *Server { return NewServer(soft.New(soft.TestLMK()), Dialect{HeaderLen: 4}) }

func TestAnswers(t *testing.T) {
	s := newServer()
	mac := ask(t, s, "M600131003"+tak+"0003ABC")[4:]
	for _, c := range []struct{ name, command, want string }{
		{"status", "NO00", "NP003164" + soft.Firmware + "00000"},
		{"echo", "B20003abc", "B300abc"},
		{"echo of a delimiter", "B20003a\x19c", "B300a\x19c"},
		{"echo of nothing", "B20000", "B300"},
		{"verify", "M800131003" + tak + "0003ABC" + mac, "M900"},
		{"verify, lower case", "M800131003" + tak + "0003ABC" + strings.ToLower(mac), "M900"},
		{"verify, wrong", "M800131003" + tak + "0003ABD" + mac, "M901"},
		{"verify half", "M800031003" + tak + "0003ABC" + mac[:8], "M900"},
		{"hexadecimal message counts characters", "M801131003" + tak + "0006414243" + mac, "M900"},
		{"text message", "M802131003" + tak + "0003ABC" + mac, "M900"},
		{"check value of six digits", "BU011" + zpk + ";001", "BV006F1E3F"},
		{"check value, three-digit type", "BUFF1" + zpk + ";001;000", "BV006F1E3F74F826B7EB"},
		{"check value, KA", "KA" + zpk + "01", "KB006F1E3F74F826B7EB"},
		{"check value, KA, six digits", "KA" + zpk + "01;001", "KB006F1E3F"},
		{"FA with schemes", "FAU1457FF6ADF6250C66C368416B4C9D3832B930A07119F93A8;0Z1", "FB00BAB32D775A38E4AB73936E"},
		{"A8 with a flag", "A8002;0U1457FF6ADF6250C66C368416B4C9D3837BB126F2BE631486Z", "A90016224FDAA779AFB31FFD3C"},
	} {
		if got := ask(t, s, c.command); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestFaultsGiveCodes(t *testing.T) {
	s := newServer()
	const pin = "126428EB94035AF53B0101550000025321"
	for _, c := range []struct{ name, command, want string }{
		{"unknown", "ZZ", "Z[68"},
		{"unknown, with a trailer", "ZZ\x19T", "Z[68\x19T"},
		{"NC with more", "NCx", "ND15"},
		{"NC for another LMK", "NC%07", "ND13"},
		{"NC for another LMK, with a trailer", "NC%07\x19T", "ND13\x19T"},
		{"LMK cut", "NC%0", "ND15"},
		{"trailer too long", "NC\x19" + strings.Repeat("x", 33), "ND15"},
		{"status mode", "NO01", "NP15"},
		{"echo too short", "B20004abc", "B380"},
		{"echo too long", "B20002abc", "B315"},
		{"echo length", "B200G2abc", "B315"},
		{"generate: mode", "A02002U", "A115"},
		{"generate: type of two digits", "A000EU", "A115"},
		{"generate: unknown type", "A000EEU", "A104"},
		{"generate: scheme", "A00002Q", "A126"},
		{"generate: no scheme", "A00002", "A115"},
		{"generate: flag", "A01002U;2" + tpk + "X", "A115"},
		{"generate: master key's parity", "A01002U;1" + zpk + "X", "A110"},
		{"generate: lengths differ", "A01002U;1" + tpk + "Z", "A127"},
		{"import: scheme does not fit", "A6001U71979DEB8587E2734F1E99D5DCAEF9ACU482C4E722BB0CF1845E1E5BD16310119Z", "A727"},
		{"export: the key", "A8001" + "U71979DEB8587E2734F1E99D5DCAEF9AC" + tpk + "U", "A911"},
		{"check value: flag", "BU013" + zpk, "BV05"},
		{"check value: flag differs", "BU010" + zpk, "BV27"},
		{"check value: parity", "BU021" + zpk, "BV10"},
		{"check value: type missing", "BUFF1" + zpk, "BV15"},
		{"check value: key block cut", "BUFF1S1009", "BV15"},
		{"check value: key scheme", "BUFF1Q1009", "BV26"},
		{"PIN: source key", "CA" + zpk + zpk + pin, "CB10"},
		{"PIN: destination key", "CA" + tpk + tpk + pin, "CB11"},
		{"PIN: block", "CA" + tpk + zpk + "126428EB94035AF53C0101550000025321", "CB20"},
		{"PIN: account", "CA" + tpk + zpk + "126428EB94035AF53B01015500000253x1", "CB22"},
		{"PIN: format", "CA" + tpk + zpk + "126428EB94035AF53B0199550000025321", "CB23"},
		{"PIN: maximum length", "CA" + tpk + zpk + "116428EB94035AF53B0101550000025321", "CB15"},
		{"PIN: cut", "CA" + tpk + zpk + pin[:len(pin)-1], "CB15"},
		{"PIN: base key without a serial number", "CA" + tpk + "*" + zpk + pin, "CB15"},
		{"PIN: no base key", "CA" + tpk + "*" + zpk + "A05FFFF9876543210E00001" + pin, "CB11"},
		{"PIN: half a digit of a serial number", "CA" + tpk + "*" + zpk + "A04FFFF9876543210E0000" + pin, "CB15"},
		{"PIN: a format for scripts only", "CA" + tpk + zpk + strings.Replace(pin, "0101", "4101", 1), "CB23"},
		{"PIN: a format of 16 bytes under a DES key", "CA" + tpk + zpk + strings.Replace(pin, "0101", "0148", 1), "CB27"},
		{"MAC: mode", "M640031003" + tak, "M715"},
		{"MAC: algorithm", "M600021003" + tak + "0003ABC", "M715"},
		{"MAC: AES algorithm with a DES key", "M600051003" + tak + "0003ABC", "M710"},
		{"MAC: padding", "M600014003" + tak + "0003ABC", "M715"},
		{"MAC: type", "M600011001" + tak + "0003ABC", "M704"},
		{"MAC: no data", "M600011003" + tak + "0000", "M780"},
		{"MAC: too short", "M600011003" + tak + "0004ABC", "M780"},
		{"MAC: too long", "M600011003" + tak + "0002ABC", "M715"},
		{"MAC: unpadded", "M600010003" + tak + "0003ABC", "M780"},
		{"MAC: first part not of whole blocks", "M610011003" + tak + "0003ABC", "M780"},
		{"MAC: odd digits", "M601011003" + tak + "0003414", "M780"},
		{"MAC: no digits", "M601011003" + tak + "0004414x", "M715"},
		{"MAC: X9.19 with a single key", "M600031003C6F34693FB39CB6E0003ABC", "M727"},
		{"MAC: verify without", "M800031003" + tak + "0003ABC", "M915"},
		{"MA without data", "MA" + tak, "MB80"},
		{"MC, wrong", "MCC6F34693FB39CB6E170C2BDCgivemeSOMEMACing", "MD01"},
		{"MS, key length", "MS0020" + tak + "0003ABC", "MT15"},
		{"MS, lengths differ", "MS0000" + tak + "0003ABC", "MT27"},
	} {
		if got := ask(t, s, c.command); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for _, frame := range []string{"", "0001", "0001N"} {
		if got := s.Answer(nil, []byte(frame)); len(got) != 0 {
			t.Errorf("%q is answered %q", frame, got)
		}
	}
}

// A long message in three parts has the MAC that it has in one.
func TestMACInParts(t *testing.T) {
	s := newServer()
	for _, alg := range []string{"1", "3"} {
		for _, form := range []struct{ input, pad string }{{"0", "1"}, {"2", "2"}} {
			middle := form.input + "1" + alg + form.pad + "003" + tak
			const a, b, c = "first 8+", "middle part 16b.", "last"
			whole := ask(t, s, fmt.Sprintf("M60%s%04X%s", middle, len(a+b+c), a+b+c))
			iv := ask(t, s, fmt.Sprintf("M61%s%04X%s", middle, len(a), a))[4:]
			iv = ask(t, s, fmt.Sprintf("M62%s%s%04X%s", middle, iv, len(b), b))[4:]
			last := ask(t, s, fmt.Sprintf("M63%s%s%04X%s", middle, iv, len(c), c))
			if last != whole || len(whole) != 4+16 {
				t.Errorf("algorithm %s, padding %s: %s in parts, %s whole", alg, form.pad, last, whole)
			}
			if got := ask(t, s, fmt.Sprintf("M83%s%s%04X%s%s", middle, iv, len(c), c, whole[4:])); got != "M900" {
				t.Errorf("the last part does not verify: %s", got)
			}
			if got := ask(t, s, fmt.Sprintf("M81%s%04X%s", middle, len(a), a)); !strings.HasPrefix(got, "M900") || len(got) != 4+16 {
				t.Errorf("verifying the first part: %s", got)
			}
		}
	}
}

func TestMAB(t *testing.T) {
	s := newServer()
	want := ask(t, s, "M600131003"+tak+"000AABCDEFGHIJ")[4:]
	for _, command := range []string{
		"MS0010" + tak + "000AABCDEFGHIJ",
		"MS0011" + tak + "000A4142434445464748494A", // the length counts bytes here
	} {
		if got := ask(t, s, command); got != "MT00"+want {
			t.Errorf("%s: %s, want %s", command, got, want)
		}
	}
}

func TestGenerated(t *testing.T) {
	s := newServer()
	zmk := "U71979DEB8587E2734F1E99D5DCAEF9AC"
	for _, c := range []struct {
		command  string
		t        string // of the new key
		own, out int    // length of the key under the LMK and of the export
		lmkFirst bool
	}{
		{"A00001U", "01", 33, 0, true},
		{"A00001Z", "01", 16, 0, true},
		{"A00001T", "01", 49, 0, true},
		{"A01001U;1" + tpk + "X", "01", 33, 33, true},
		{"A01001U;0" + zmk + "U", "01", 33, 33, true},
		{"A01001U" + zmk + "X0", "01", 33, 33, true}, // as old hosts ask
		{"HC" + tpk, "02", 33, 33, false},
		{"HC" + single, "02", 16, 16, false},
		{"HC" + tpk + ";XU0", "02", 33, 33, false},
		{"HA" + tpk, "03", 33, 33, false},
	} {
		got := ask(t, s, c.command)
		if got[2:4] != "00" {
			t.Errorf("%s: %s", c.command, got)
			continue
		}
		fields := got[4:]
		own := fields
		if !c.lmkFirst {
			own = fields[c.out:]
		}
		own = own[:c.own]
		flag := map[int]string{16: "0", 33: "1", 49: "2"}[c.own]
		kcv := ask(t, s, "BU"+c.t+flag+own+";001")
		if kcv[:4] != "BV00" {
			t.Errorf("%s: %s is no key of type %s: %s", c.command, own, c.t, kcv)
		}
		if c.lmkFirst && fields != own+fields[c.own:c.own+c.out]+kcv[4:] {
			t.Errorf("%s: %s, check value %s", c.command, fields, kcv)
		}
		if again := ask(t, s, c.command); again == got {
			t.Errorf("%s: the same key twice", c.command)
		}
	}
}

// The client and the server, with a wire between them, answer what the module
// answers when it is asked directly.
func TestWireEqualsModule(t *testing.T) {
	r := rand.New(rand.NewPCG(8583, 1))
	direct := soft.New(soft.TestLMK())
	for _, d := range []Dialect{{}, {HeaderLen: 4, LMK: "01"}} {
		s := NewServer(soft.New(soft.TestLMK()), d)
		for i := range 3000 {
			q := someRequest(t, r, direct)
			var want, got hsm.Reply
			direct.Do(&q, &want)
			header := uint32(i)
			frame, err := d.Append(nil, header, &q)
			if err != nil {
				var code hsm.Code
				if !errors.As(err, &code) || code != want.Code {
					t.Fatalf("%+v: %v, directly %v", q, err, want.Code)
				}
				continue
			}
			h, err := d.Parse(s.Answer(nil, frame), q.Verb, &got)
			if err != nil || h != header {
				t.Fatalf("%+v: header %d, %v", q, h, err)
			}
			if q.Verb == hsm.GenerateKey || q.To == hsm.ISO1 || q.To == hsm.ISO3 {
				// Random by nature: the tests of the module look inside.
				got.Key, got.Export, got.KCV, got.PIN = want.Key, want.Export, want.KCV, want.PIN
			}
			if got != want {
				t.Fatalf("%s\n got %+v\nwant %+v", frame, got, want)
			}
		}
	}
}

// maker makes requests of all verbs, with a fault in some.
type maker struct {
	t *testing.T
	r *rand.Rand
	m *soft.Module
}

func someRequest(t *testing.T, r *rand.Rand, m *soft.Module) hsm.Request {
	g := maker{t, r, m}
	q := hsm.Request{Verb: hsm.Verb(1 + r.IntN(6))}
	switch q.Verb {
	case hsm.VerifyMAC, hsm.MakeMAC:
		g.mac(&q)
	case hsm.TranslatePIN:
		g.pin(&q)
	case hsm.GenerateKey:
		q.Type = hsm.TAK
		q.Len = []uint8{0, 8, 16, 24}[r.IntN(4)]
		if r.IntN(3) > 0 {
			q.Key = g.key(hsm.TMK)
		}
	case hsm.CheckValue:
		q.Type = []hsm.KeyType{hsm.ZMK, hsm.ZPK, hsm.TMK, hsm.TAK, hsm.ZAK, 0x402}[r.IntN(6)]
		q.Key = g.key(q.Type)
	}
	return q
}

func (g maker) key(kt hsm.KeyType) hsm.Key {
	b := make([]byte, 8+8*g.r.IntN(2))
	for i := range b {
		b[i] = byte(g.r.Uint32())
	}
	k, err := g.m.Wrap(kt, b)
	if err != nil {
		g.t.Fatal(err)
	}
	if g.r.IntN(20) == 0 {
		k.B[g.r.IntN(8)] ^= 0x10 // a key that does not open
	}
	return k
}

func (g maker) mac(q *hsm.Request) {
	q.Alg = hsm.MACAlg(g.r.IntN(3))
	q.Key = g.key(hsm.TAK)
	q.Data = make([]byte, g.r.IntN(300))
	for i := range q.Data {
		q.Data[i] = byte(g.r.Uint32())
	}
	if g.r.IntN(3) == 0 {
		q.Type, q.Key = hsm.ZAK, g.key(hsm.ZAK)
	}
	if q.Verb == hsm.MakeMAC {
		return
	}
	twin := *q
	twin.Verb = hsm.MakeMAC
	var a hsm.Reply
	g.m.Do(&twin, &a)
	if q.MAC = a.MAC; !a.Code.OK() {
		q.MAC = [8]byte([]byte("00000000"))
	}
	if g.r.IntN(4) == 0 {
		q.MAC[g.r.IntN(8)] ^= byte(1 + g.r.IntN(255))
	}
}

func (g maker) pin(q *hsm.Request) {
	q.Type = []hsm.KeyType{0, hsm.TPK, hsm.ZPK}[g.r.IntN(3)]
	source := q.Type
	if source == 0 {
		source = hsm.TPK
	}
	plain := []byte("0123456789ABCDEF")
	var err error
	if q.Key, err = g.m.Wrap(source, plain); err != nil {
		g.t.Fatal(err)
	}
	q.Key2 = g.key(hsm.ZPK)
	formats := []hsm.PINFormat{hsm.ISO0, hsm.ISO1, hsm.ISO3, hsm.IBM}
	q.From, q.To = formats[g.r.IntN(4)], formats[g.r.IntN(4)]
	for i := range q.PAN12 {
		q.PAN12[i] = '0' + byte(g.r.IntN(10))
	}
	pin := q.PAN12[:4+g.r.IntN(9)]
	if q.PIN, err = clear.EncryptPIN(plain, pin, &q.PAN12, q.From); err != nil {
		g.t.Fatal(err)
	}
	if g.r.IntN(8) == 0 {
		q.PIN[g.r.IntN(8)] ^= 1
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	s := NewServer(soft.New(soft.TestLMK()), Dialect{})
	var d Dialect
	mac := hsm.Request{Verb: hsm.MakeMAC, Key: parse(t, tak), Data: make([]byte, 176)}
	pin := hsm.Request{Verb: hsm.TranslatePIN, Key: parse(t, tpk), Key2: parse(t, zpk), From: 1, To: 1,
		PIN: [8]byte{0x64, 0x28, 0xEB, 0x94, 0x03, 0x5A, 0xF5, 0x3B}, PAN12: [12]byte([]byte("550000025321"))}
	verify := mac
	verify.Verb, verify.MAC = hsm.VerifyMAC, [8]byte([]byte("00000000"))
	for _, q := range []*hsm.Request{&mac, &pin, &verify} {
		frame, response := make([]byte, 0, 512), make([]byte, 0, 512)
		var r hsm.Reply
		var err error
		n := testing.AllocsPerRun(100, func() {
			frame, _ = d.Append(frame[:0], 7, q)
			response = s.Answer(response[:0], frame)
			_, err = d.Parse(response, q.Verb, &r)
		})
		if n != 0 || err != nil || r.Code.OK() == (q == &verify) {
			t.Errorf("verb %d: %v allocations, %v, %v", q.Verb, n, r.Code, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, v := range published {
		f.Add([]byte(v.command))
	}
	for _, s := range []string{"0001NO00", "0001B20003abc", "0001HC" + tpk + ";XU0", "0001HA" + tpk, "0001A01001U;1" + tpk + "X%00\x19T",
		"0001M63213003" + tak, "0001MS3111" + tak, "0001MC" + tak, "0001KA" + zpk + "01;001"} {
		f.Add([]byte(s))
	}
	s := newServer()
	f.Fuzz(func(t *testing.T, frame []byte) {
		got := s.Answer(nil, frame)
		if len(frame) < 6 {
			if len(got) != 0 {
				t.Errorf("%q is answered %q", frame, got)
			}
			return
		}
		if len(got) < 8 || string(got[:5]) != string(frame[:5]) || got[5] != frame[5]+1 {
			t.Errorf("%q is answered %q", frame, got)
		}
	})
}

func BenchmarkWire(b *testing.B) {
	var d Dialect
	s := NewServer(soft.New(soft.TestLMK()), d)
	q := hsm.Request{Verb: hsm.MakeMAC, Key: parse(b, tak), Data: make([]byte, 176)}
	frame, err := d.Append(nil, 1, &q)
	if err != nil {
		b.Fatal(err)
	}
	response := s.Answer(nil, frame)
	b.Run("Append", func(b *testing.B) {
		for b.Loop() {
			frame, _ = d.Append(frame[:0], 1, &q)
		}
	})
	b.Run("Parse", func(b *testing.B) {
		var r hsm.Reply
		for b.Loop() {
			_, _ = d.Parse(response, q.Verb, &r)
		}
	})
	b.Run("Answer", func(b *testing.B) {
		var out []byte
		for b.Loop() {
			out = s.Answer(out[:0], frame)
		}
	})
}
