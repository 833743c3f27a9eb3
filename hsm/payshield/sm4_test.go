package payshield

import (
	"encoding/hex"
	"testing"

	"tongka/hsm"
	"tongka/hsm/soft"
)

// An SM4 card's MAC1, by the reading that a test program computed it with, over
// the wire of a module that writes SM4 keys as S and 32 digits.
func TestSM4CardOverTheWire(t *testing.T) {
	d := city(t)
	d.SM4Keys = true
	m, err := soft.NewWith(soft.TestLMK(), soft.Options{SM4Cards: true})
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := hex.DecodeString("0123456789ABCDEFFEDCBA9876543210")
	key, err := m.WrapSM4(hsm.MKAC, raw)
	if err != nil {
		t.Fatal(err)
	}
	card := hsm.Card{Alg: hsm.CardSM4, Levels: 1, Kind: hsm.PurseLoad, Balance: 5000, Amount: 10000, Seq: 0x12,
		Random: [4]byte{0xA1, 0xB2, 0xC3, 0xD4}, Terminal: [6]byte{0x31, 0x20, 5: 1}}
	card.Div[0] = [8]byte{0x31, 0x20, 0, 0, 0x01, 0x23, 0x45, 0x67}
	s := NewServer(m, d)
	for mac, want := range map[[4]byte]hsm.Code{{0xB6, 0x68, 0xAB, 0xEC}: hsm.Done, {0xB6, 0x68, 0xAB, 0xED}: hsm.Mismatch} {
		q := hsm.Request{Verb: hsm.VerifyMAC1, Key: key, More: &hsm.More{Card: card}}
		copy(q.MAC[:], mac[:])
		frame, err := d.Append(nil, 1, &q)
		if err != nil {
			t.Fatal(err)
		}
		var r hsm.Reply
		if _, err := d.Parse(s.Answer(nil, frame), q.Verb, &r); err != nil || r.Code != want {
			t.Errorf("%s: %v, %v, want %v", frame, r.Code, err, want)
		}
	}
	if got := ask(t, s, "KAS0123"+"09"); got != "KB15" {
		t.Errorf("a short SM4 key: %s", got)
	}
}

// Whatever a module answers, the client gives an error or fields, and never panics.
func FuzzParseCall(f *testing.F) {
	for _, v := range captured {
		f.Add([]byte("0001"+v.response), byte(1))
	}
	for _, s := range []string{"0001UC00B9277FC6", "0001A700" + zpk + "6F1E3F", "0001M10000112233445566770008ABCDEF12", "0001B300tongka", "0001O10000"} {
		f.Add([]byte(s), byte(20))
	}
	d := Dialect{HeaderLen: 4, SM4Keys: true}
	for _, code := range []string{"UB", "N0"} {
		if err := d.Define(code, Layout{}); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte, verb byte) {
		var r hsm.Reply
		_, _ = d.Parse(frame, hsm.Verb(verb), &r)
		if len(frame) < 6 {
			return
		}
		var fields Fields
		fields.v[fMode] = []byte("01")
		code := string([]byte{frame[4], frame[5] - 1})
		_, _, _ = d.ParseCall(frame, code, &fields)
	})
}
