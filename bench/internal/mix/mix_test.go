package mix

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"tongka/bench/internal/sale"
	"tongka/card"
	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/hsm/clear"
	simcard "tongka/sim/card"
)

// The card of the load generator says what the simulators' card says, over many loads.
func TestPurseIsTheSimulatorsCard(t *testing.T) {
	p, err := newPurse(7)
	if err != nil {
		t.Fatal(err)
	}
	sim, err := simcard.Issue(simcard.Card{Family: card.TUnion, Serial: p.serial, Issuer: issuer, City: city, Seq: 1},
		simcard.Masters{Load: LoadMaster[:], TAC: TACMaster[:], Levels: 1})
	if err != nil {
		t.Fatal(err)
	}
	host, err := clear.NewPurse(LoadMaster[:], &hsm.Card{Levels: 1, Div: [hsm.MaxLevels][8]byte{[8]byte(p.serial[2:])}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		fen := uint32(100 + i)
		got, err := p.begin(nil, fen)
		if want := sim.InitLoad(fen, kiosk); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("load %d: F58\n%X, %v; want\n%X", i, got, err, want)
		}
		time := [7]byte{0x20, 0x26, 0x11, 0x22, 0x10, 0x30, byte(i)}
		about := p.about
		about.Time = time
		mac2 := host.MAC2(&about)
		tac, ok := p.credit(time, mac2)
		if want, _ := sim.Credit(time, mac2); !ok || tac != want {
			t.Fatalf("load %d: TAC %X, %v; want %X", i, tac, ok, want)
		}
		if p.balance != sim.Balance || p.seq != sim.Seq {
			t.Fatalf("load %d: balance %d, counter %d", i, p.balance, p.seq)
		}
	}
	if _, ok := p.credit([7]byte{}, [4]byte{}); ok {
		t.Error("a card is written without a load")
	}
	if _, err := p.begin(nil, 1); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.credit([7]byte{}, [4]byte{1}); ok || p.balance != sim.Balance {
		t.Error("a wrong MAC2 is taken")
	}
	p.seq = 0
	if _, err := p.begin(nil, 1); err == nil {
		t.Error("a counter that has gone round")
	}
}

var macs clear.Batch

// next is the till's next frame, whole.
func next(till *Till) ([]byte, error) {
	frame, err := till.Next(&macs)
	macs.Make()
	if err == nil {
		till.Seal(frame)
	}
	return frame, err
}

// The shares are what the day promises.
func TestDay(t *testing.T) {
	var n [deals]int
	for i, d := range day {
		if n[d]++; d == Reverse && day[i-1] != Sell {
			t.Error("a reversal without a sale before it")
		}
	}
	if want := [deals]int{Sell: 12, Load: 4, Reverse: 1, Ask: 1, SignIn: 1, Settle: 1}; n != want {
		t.Errorf("%v, want %v", n, want)
	}
	if day[0] != SignIn || day[len(day)-1] != Settle {
		t.Error("a closed batch is not followed by a sign-in")
	}
}

// host answers a till as a switch does, and looks at each message.
type host struct {
	t    *testing.T
	term sale.Terminal
	view iso8583.View
	n    [0x10000]int // by MTI
	code string
	more func(*iso8583.Builder) // puts what comes behind F39
}

func (h *host) answer(frame []byte) []byte {
	h.t.Helper()
	msg := frame[msgAt:]
	if err := iso8583.Pos().Parse(&h.view, msg); err != nil {
		h.t.Fatal(err)
	}
	v := &h.view
	h.n[v.MTI()]++
	if v.MTI() != 0x0800 {
		c, err := clear.NewCipher(h.term.MAK[:])
		if err != nil {
			h.t.Fatal(err)
		}
		if mac := c.MAC(hsm.UnionPay, v.Before(64)); !bytes.Equal(mac[:], v.Field(64)) {
			h.t.Fatalf("MTI %v: MAC %s, want %s", v.MTI(), v.Field(64), mac)
		}
	}
	trace, _ := v.Uint(11)
	b := iso8583.Pos().Begin(append([]byte{0, 0}, envelope...), v.MTI()|0x0010)
	b.PutUint(11, trace)
	b.Put(39, []byte(h.code))
	switch {
	case h.more != nil:
		h.more(&b)
	case v.MTI() == 0x0800:
		b.Put(60, []byte("00"+h.term.Batch+"003"))
		b.Put(62, h.keys())
	case v.MTI() == 0x0500:
		side := "000000000000000000000000000000"
		b.Put(48, []byte(side+"1"+side+"1"))
	case v.MTI() == 0x0200 && v.Len(58) > 0:
		b.Put(58, h.mac2())
	}
	out, err := b.End()
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// keys are the terminal's own again, in the form of a sign-in.
func (h *host) keys() []byte {
	tmk, err := clear.NewCipher(h.term.PIK[:])
	if err != nil {
		h.t.Fatal(err)
	}
	var out []byte
	for _, k := range [][16]byte{h.term.PIK, h.term.MAK} {
		out, _ = tmk.AppendEncrypted(out, k[:])
		c, _ := clear.NewCipher(k[:])
		kcv := c.KCV()
		out = append(out, kcv[:4]...)
	}
	return out
}

func (h *host) mac2() []byte {
	var d card.Data
	if err := d.Parse(h.view.Field(58), card.TagMAC1, card.TagSerial); err != nil {
		h.t.Fatal(err)
	}
	p, err := clear.NewPurse(LoadMaster[:], &hsm.Card{Levels: 1, Div: [hsm.MaxLevels][8]byte{[8]byte(d.Serial[2:])}})
	if err != nil {
		h.t.Fatal(err)
	}
	about := hsm.Card{Kind: hsm.PurseLoad, Balance: d.Balance, Amount: loadFen, Seq: d.Seq, Random: d.Random, Terminal: d.Terminal, Time: [7]byte{0x20}}
	if mac1 := p.MAC1(&about); mac1 != d.MAC1 {
		h.t.Fatalf("MAC1 %X, want %X", d.MAC1, mac1)
	}
	mac2 := p.MAC2(&about)
	return card.AppendTag(card.AppendTag(nil, card.TagMAC2, mac2[:]...), card.TagTime, about.Time[:]...)
}

// Three days of a till: every message carries a right MAC under the key of its last sign-in,
// and the batches add up.
func TestDaysOfATill(t *testing.T) {
	till, err := New(40, sale.MaxTrace-5) // 40 begins with a sign-in
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, term: sale.NewTerminal(40), code: "00"}
	ended := 0
	for range 3*len(day) + 3*4 {
		frame, err := next(till)
		if err != nil {
			t.Fatal(err)
		}
		if till.deal() == SignIn { // each gives new keys and the next batch
			h.term.MAK[0] ^= 2 * byte(1+ended)
			h.term.Batch = "00000" + string(rune('2'+ended/len(day)))
		}
		if till.deal() == Settle {
			if till.debit != (totals{11 * saleFen, 11}) || till.credit != (totals{4 * loadFen, 4}) {
				t.Errorf("a day comes to %v, %v", till.debit, till.credit)
			}
		}
		more, err := till.Heard(h.answer(frame))
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			ended++
		}
	}
	if ended != 3*len(day) || h.n[0x0200] != 3*17 || h.n[0x0220] != 12 || h.n[0x0400] != 3 || h.n[0x0500] != 3 || h.n[0x0800] != 3 {
		t.Errorf("%d deals; 0200 %d, 0220 %d, 0400 %d, 0500 %d, 0800 %d", ended, h.n[0x0200], h.n[0x0220], h.n[0x0400], h.n[0x0500], h.n[0x0800])
	}
	if till.trace >= sale.MaxTrace-5 || till.term.Batch != "000004" {
		t.Errorf("trace %d, batch %s", till.trace, till.term.Batch)
	}
}

// What a terminal would not take is a fault that names the deal, and the day goes on.
func TestWrongAnswers(t *testing.T) {
	side := strings.Repeat("0", f48Side-1)
	cases := []struct {
		deal Deal
		code string
		more func(*iso8583.Builder)
		says string
	}{
		{Sell, "96", nil, "sale: F39 96"},
		{Load, "00", func(*iso8583.Builder) {}, "load: F58 without MAC2"},
		{Load, "00", func(b *iso8583.Builder) {
			b.Put(58, card.AppendTag(card.AppendTag(nil, card.TagMAC2, 1, 2, 3, 4), card.TagTime, make([]byte, 7)...))
		}, "load: the card does not take"},
		{Load, "00", func(b *iso8583.Builder) { b.Put(58, card.AppendTag(nil, card.TagRewrite, 1)) }, "load: the card is said not"},
		{SignIn, "00", func(b *iso8583.Builder) { b.Put(62, make([]byte, 24)) }, "sign-in: F62 has 24"},
		{SignIn, "00", func(b *iso8583.Builder) { b.Put(62, make([]byte, 40)) }, "sign-in: the check value"},
		{Settle, "00", func(b *iso8583.Builder) { b.Put(48, []byte(side+"1"+side+"2")) }, "settlement: does not balance"},
		{Reverse, "25", nil, "reversal: F39 25"},
	}
	for _, c := range cases {
		till, err := New(0, 1)
		if err != nil {
			t.Fatal(err)
		}
		for till.deal() != c.deal {
			till.over()
		}
		at := till.at
		h := &host{t: t, term: sale.NewTerminal(0), code: c.code, more: c.more}
		frame, err := next(till)
		if err != nil {
			t.Fatal(err)
		}
		if more, err := till.Heard(h.answer(frame)); more || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v, %v; want %s", c.deal, more, err, c.says)
		}
		if till.at == at || till.stage != fresh {
			t.Errorf("%v: the day does not go on", c.deal)
		}
	}
	till, err := New(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := next(till)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(frame)
	binary.BigEndian.PutUint16(other[msgAt:], 0x0210)
	other[sale.TraceAt+2]++
	for _, bad := range [][]byte{nil, frame[:20], frame, other} {
		if _, err := till.Heard(bad); err == nil {
			t.Errorf("%X is taken", bad)
		}
	}
}

// Through a relay a day is the same messages.
func TestEchoedDay(t *testing.T) {
	till, err := New(10, 1) // begins with the reversal's place, which it leaves out
	if err != nil {
		t.Fatal(err)
	}
	ended, sent := 0, 0
	for ended < len(day)-1 {
		frame, err := next(till)
		if err != nil {
			t.Fatal(err)
		}
		sent++
		more, err := till.Echoed(frame)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			ended++
		}
	}
	if sent != len(day)-1+4 {
		t.Errorf("%d messages", sent)
	}
	if _, err := next(till); err != nil {
		t.Fatal(err)
	}
	if _, err := till.Echoed([]byte{1}); err == nil {
		t.Error("another message came back")
	}
}

// The MACs of many tills, whatever each sends, are made together as each alone.
func TestTillsTogether(t *testing.T) {
	var together clear.Batch
	var tills [clear.BatchSize]*Till
	var frames [clear.BatchSize][]byte
	for i := range tills {
		var err error
		if tills[i], err = New(i, uint32(100*i+1)); err != nil {
			t.Fatal(err)
		}
	}
	for range len(day) {
		sealed := 0
		for i, till := range tills {
			if together.Full() {
				t.Fatal("full before its time")
			}
			var err error
			if frames[i], err = till.Next(&together); err != nil {
				t.Fatal(err)
			}
		}
		together.Make()
		for i, till := range tills {
			till.Seal(frames[i])
			msg := frames[i][msgAt:]
			var v iso8583.View
			if err := iso8583.Pos().Parse(&v, msg); err != nil {
				t.Fatal(err)
			}
			if v.Has(64) {
				sealed++
				if mac := till.mak.MAC(hsm.UnionPay, v.Before(64)); !bytes.Equal(mac[:], v.Field(64)) {
					t.Fatalf("till %d, %v: MAC %s, want %s", i, till.deal(), v.Field(64), mac)
				}
			} else if v.MTI() != 0x0800 {
				t.Fatalf("MTI %v without a MAC", v.MTI())
			}
			if _, err := till.Echoed(frames[i]); err != nil {
				t.Fatal(err)
			}
		}
		if sealed < len(tills)/2 {
			t.Fatalf("%d of %d carry a MAC", sealed, len(tills))
		}
	}
}

// A day makes no garbage.
func TestMixAllocatesNothing(t *testing.T) {
	till, err := New(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		for range day {
			frame, err := next(till)
			if err != nil {
				t.Fatal(err)
			}
			more, err := till.Echoed(frame)
			if err != nil {
				t.Fatal(err)
			}
			if more {
				if frame, err = next(till); err == nil {
					_, err = till.Echoed(frame)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations a day", n)
	}
}
