package card

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"tongka/txn"
)

func whole() []byte {
	b := AppendTag(nil, TagFamily, 2)
	b = AppendTag(b, TagIssuer, 1, 1, 0x10, 0, 0xFF, 0xFF, 0xFF, 0xFF)
	b = AppendTag(b, TagCity, 0x31, 0x20)
	b = AppendTag(b, TagSerial, 3, 0x10, 0x51, 0x70, 1, 1, 0x70, 0x90, 0x79, 0x84)
	b = AppendTag32(b, TagBalance, 5000)
	b = AppendTag(b, TagSeq, 0, 0x12)
	b = AppendTag(b, TagKey, 1, 2, 3)
	b = AppendTag(b, TagRandom, 0xA1, 0xB2, 0xC3, 0xD4)
	b = AppendTag(b, TagMAC1, 1, 2, 3, 4)
	b = AppendTag(b, TagTerminal, 0x31, 0x20, 0, 0, 0, 1)
	return AppendTag(b, TagOrder, []byte("A-1")...)
}

func TestParse(t *testing.T) {
	var d Data
	if err := d.Parse(whole(), TagFamily, TagOrder); err != nil {
		t.Fatal(err)
	}
	if d.Family != TUnion || d.Balance != 5000 || d.Seq != 0x12 || d.KeyVer != 2 || d.Alg != 3 || d.Terminal[5] != 1 ||
		d.Order.String() != "A-1" || !d.Has(TagMAC1) || d.Has(TagTAC) || d.Has(0xFF) {
		t.Errorf("%+v", d)
	}
	if s := d.Serial.String(); s != "0310*7984" {
		t.Errorf("the serial prints as %s", s)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		b     []byte
		wants []byte
		says  string
	}{
		{[]byte{0x77, 1, 0}, nil, "F58: byte 0: tag 77 is not known"},
		{[]byte{TagFamily}, nil, "F58: byte 1: tag 01 has no length"},
		{[]byte{TagFamily, 2, 1, 1}, nil, "F58: byte 1: tag 01 has 2 bytes, want 1 to 1"},
		{[]byte{TagSeq, 2, 1}, nil, "F58: byte 2: tag 06 has 2 bytes, 1 are left"},
		{[]byte{TagFamily, 1, 1, TagFamily, 1, 1}, nil, "F58: byte 3: tag 01 comes twice"},
		{[]byte{TagCity, 2, 0x3A, 0}, nil, "F58: byte 2: value of tag 03 not valid"},
		{[]byte{TagOrder, 1, '/'}, nil, "F58: byte 2: value of tag 20 not valid"},
		{[]byte{TagStatus, 1, 4}, nil, "F58: byte 2: value of tag 0E not valid"},
		{[]byte{TagFamily, 1, 1}, []byte{TagSerial}, "F58: byte 3: tag 04 is missing"},
		{nil, []byte{TagSerial}, "F58: byte 0: tag 04 is missing"},
	} {
		var d Data
		if err := d.Parse(c.b, c.wants...); err == nil || err.Error() != c.says {
			t.Errorf("%x: %v, want %s", c.b, err, c.says)
		}
	}
}

// Whatever comes, it is read or refused with its place.
func TestParseTakesAnything(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := whole()
		for range 1 + rng.IntN(4) {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
		b = b[:rng.IntN(len(b)+1)]
		var d Data
		if err := d.Parse(b); err != nil && !strings.HasPrefix(err.Error(), "F58: byte ") {
			t.Fatalf("%x: %v", b, err)
		}
	}
}

func full() Purse {
	pan, _ := txn.ParsePAN([]byte("6225880000000003"))
	n, _ := ParseNumber([]byte("ORDER-1"))
	return Purse{State: Left, Reason: WrongTAC, Family: TUnion, Failed: true, Kind: txn.LoadCash, Load: 1 << 40, Last: 7, At: 9, Serial: Serial{1, 9: 2},
		PAN: pan, Order: n, Balance: 500, Amount: 10_000, Seq: 18, Random: [4]byte{1, 2, 3, 4}, Terminal: [6]byte{5: 1}, Time: [7]byte{0x20, 6: 9},
		KeyIndex: 1, KeyVer: 2, Alg: 3, Issuer: [8]byte{4, 7: 5}, Link: 0x0102, MAC2: [4]byte{6, 7, 8, 9}, Shown: true, ShownSeq: 19, ShownBalance: 1 << 20}
}

// Every field of what is stored comes back, and no field was forgotten here.
func TestStored(t *testing.T) {
	p := full()
	v := reflect.ValueOf(p)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not set", v.Type().Field(i).Name)
		}
	}
	b := AppendPurse(nil, &p)
	if got, rest, err := ReadPurse(b); err != nil || got != p || len(b) != PurseSize || len(rest) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	o := Order{Number: p.Order, Family: CityCard, Serial: p.Serial, Amount: 7, Until: 8, State: Loading, Load: 9}
	stored := AppendOrder(nil, &o)
	if got, err := ReadOrder(stored); err != nil || got != o {
		t.Errorf("%+v, %v", got, err)
	}
	if got, _, err := ReadPurse(nil); err != nil || got != (Purse{}) {
		t.Errorf("a card that was never loaded: %+v, %v", got, err)
	}
	for n := 1; n < len(b); n++ {
		if _, _, err := ReadPurse(b[:n]); err == nil {
			t.Errorf("%d bytes of a purse were read", n)
		}
	}
	for n := range stored {
		if _, err := ReadOrder(stored[:n]); err == nil {
			t.Errorf("%d bytes of an order were read", n)
		}
	}
	for _, at := range []int{0, 1, 2, 40} {
		bad := bytes.Clone(b)
		bad[at] = 0xEE
		if _, _, err := ReadPurse(bad); err == nil || !strings.HasPrefix(err.Error(), "purse: byte ") {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	for _, version := range []byte{0, purseVersion + 1} {
		if _, _, err := ReadPurse(append([]byte{version}, b[1:]...)); err == nil {
			t.Errorf("version %d was read", version)
		}
	}
	stored[44] = 9
	if _, err := ReadOrder(stored); err == nil {
		t.Error("an unknown state of an order")
	}
}

// What older versions left on disk is still a card, and the next writing of it
// is of the version of now.
func TestStoredByOlderVersions(t *testing.T) {
	second := full()
	second.MAC2 = [4]byte{}
	first := second
	first.Shown, first.ShownSeq, first.ShownBalance = false, 0, 0
	for _, c := range []struct {
		version byte
		p       Purse
		kept    int // bytes that look as they do now
		spare   int
	}{{1, first, 111, 4}, {2, second, 118, 0}} {
		now := AppendPurse(nil, &c.p)
		old := append(append([]byte{c.version}, now[1:c.kept]...), make([]byte, c.spare)...)
		got, rest, err := ReadPurse(append(bytes.Clone(old), 7))
		if err != nil || got != c.p || !bytes.Equal(rest, []byte{7}) {
			t.Errorf("version %d: %+v, rest %x, %v", c.version, got, rest, err)
		}
		if again := AppendPurse(nil, &got); !bytes.Equal(again, now) {
			t.Errorf("version %d, written anew:\n%x\n%x", c.version, again, now)
		}
		if _, ok := got.Challenge(); ok {
			t.Errorf("version %d: a challenge from no MAC2", c.version)
		}
		for n := 1; n < len(old); n++ {
			if _, _, err := ReadPurse(old[:n]); err == nil {
				t.Errorf("version %d: %d bytes of a purse were read", c.version, n)
			}
		}
	}
}

// The rule of the next contact, case by case.
func TestSee(t *testing.T) {
	own := full().PAN
	for _, c := range []struct {
		name    string
		state   State
		seq     int // of the card, against the stored one
		balance int // against the one before
		random  byte
		amount  uint32
		other   bool // account
		spent   bool
		want    Meaning
		why     Reason
	}{
		{"never loaded", Unseen, 5, 9, 9, 1, false, false, Free, NoReason},
		{"parked", Parked, 0, 0, 9, 10_000, false, false, Waits, WrongTAC},
		{"the same wish", Left, 0, 0, 9, 10_000, false, false, Rewrite, NoReason},
		{"the same random", Left, 0, 0, 1, 10_000, false, false, Replay, NoReason},
		{"another amount", Left, 0, 0, 9, 9_999, false, false, Odd, OtherAmount},
		{"another account", Left, 0, 0, 9, 10_000, true, false, Odd, OtherAmount},
		{"spent", Left, 0, -1, 9, 10_000, false, false, Odd, BalanceOdd},
		{"spent, allowed", Left, 0, -1, 9, 10_000, false, true, Rewrite, NoReason},
		{"richer by itself", Left, 0, 1, 9, 10_000, false, true, Odd, BalanceOdd},
		{"written", Left, 1, 10_000, 9, 5, true, false, Proves, NoReason},
		{"written, spent", Left, 1, 9_999, 9, 5, true, false, Odd, BalanceOdd},
		{"written, spent, allowed", Left, 1, 9_999, 9, 5, true, true, Proves, NoReason},
		{"written, too rich", Left, 1, 10_001, 9, 5, true, true, Odd, BalanceOdd},
		{"two ahead", Left, 2, 10_000, 9, 5, true, true, Odd, CounterAhead},
		{"behind", Left, -1, 0, 9, 10_000, false, true, Odd, CounterBehind},
		{"closed, next", Closed, 1, 7, 9, 5, true, false, Free, NoReason},
		{"closed, far ahead", Closed, 9, 7, 9, 5, true, false, Free, NoReason},
		{"closed, the same", Closed, 0, 0, 9, 5, true, false, Replay, NoReason},
		{"undone", Undone, 0, 0, 9, 5, true, false, Free, NoReason},
		{"undone, behind", Undone, -1, 0, 9, 5, true, false, Replay, NoReason},
		{"undone, and written", Undone, 1, 10_000, 9, 5, true, false, Odd, WrittenAfterAll},
	} {
		p := full()
		p.State = c.state
		d := Data{Seq: uint16(int(p.Seq) + c.seq), Balance: uint32(int(p.Balance) + c.balance), Random: [4]byte{c.random, 2, 3, 4}}
		w := Wish{Amount: c.amount, PAN: own, Order: p.Order}
		if c.other {
			w.PAN = txn.PAN{}
		}
		if got, why := p.See(&d, &w, c.spent); got != c.want || why != c.why {
			t.Errorf("%s: %v %v, want %v %v", c.name, got, why, c.want, c.why)
		}
	}
	p := full() // the counter does not wrap round
	p.Seq = 0xFFFF
	if got, why := p.See(&Data{Seq: 0, Balance: p.Balance + p.Amount}, &Wish{}, true); got != Odd || why != CounterBehind {
		t.Errorf("at the end of the counter: %v %v", got, why)
	}
}

// A second MAC2 keeps whose money the first was.
func TestWrite(t *testing.T) {
	p := full()
	f := txn.Facts{ID: 99, Kind: txn.OrderLoad, At: 5, Link: 3}
	p.Write(&Data{Seq: 1, Serial: Serial{9}}, &Wish{Amount: 4}, &f, [7]byte{1}, [4]byte{2}, true)
	if p.State != Left || p.Reason != NoReason || p.Load != 1<<40 || p.Last != 99 || p.Kind != txn.LoadCash || p.Link != 0x0102 || p.Amount != 4 || p.Failed || p.MAC2 != [4]byte{2} {
		t.Errorf("%+v", p)
	}
	p.Write(&Data{}, &Wish{}, &f, [7]byte{1}, [4]byte{3}, false)
	if p.Load != 99 || p.Kind != txn.OrderLoad || p.Link != 3 {
		t.Errorf("%+v", p)
	}
}

func TestOrderOpen(t *testing.T) {
	n, _ := ParseNumber([]byte("1"))
	o := Order{Number: n, Family: CityCard, Serial: Serial{1}, Amount: 10, Until: 100}
	d := Data{Family: CityCard, Serial: Serial{1}}
	for _, c := range []struct {
		name   string
		change func(*Order, *Data)
		amount int64
		now    int64
		want   txn.Code
	}{
		{"open", func(*Order, *Data) {}, 10, 99, txn.Code{}},
		{"expired", func(*Order, *Data) {}, 10, 100, txn.Expired},
		{"amount", func(*Order, *Data) {}, 11, 99, txn.BadAmount},
		{"none", func(o *Order, _ *Data) { *o = Order{} }, 10, 99, txn.NoOriginal},
		{"another card", func(_ *Order, d *Data) { d.Serial[9] = 1 }, 10, 99, txn.NoOriginal},
		{"another family", func(_ *Order, d *Data) { d.Family = TUnion }, 10, 99, txn.NoOriginal},
		{"loading", func(o *Order, _ *Data) { o.State = Loading }, 10, 999, txn.Duplicate},
		{"loaded", func(o *Order, _ *Data) { o.State = Loaded }, 10, 99, txn.Duplicate},
		{"cancelled", func(o *Order, _ *Data) { o.State = Cancelled }, 10, 99, txn.BadTransaction},
	} {
		o, d := o, d
		c.change(&o, &d)
		if got := o.Open(&d, c.amount, c.now); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	for _, bad := range []string{"", "123456789012345678901", "a b", "a\x00"} {
		if _, ok := ParseNumber([]byte(bad)); ok {
			t.Errorf("order number %q", bad)
		}
	}
}

// What an app passes on of the card's answers.
func TestReplies(t *testing.T) {
	d := Data{Reply: []byte{0, 0, 1, 0xF4, 0, 7, 1, 0, 9, 8, 7, 6, 5, 4, 3, 2, 0x90, 0}}
	if !d.Initialised() || d.Balance != 500 || d.Seq != 7 || d.KeyVer != 1 || d.Random != [4]byte{9, 8, 7, 6} || d.MAC1 != [4]byte{5, 4, 3, 2} {
		t.Errorf("%+v", d)
	}
	for _, bad := range [][]byte{nil, {0x69, 0x85}, append(bytes.Clone(d.Reply), 0), append(bytes.Clone(d.Reply[:16]), 0x61, 0)} {
		if d := (Data{Reply: bad}); d.Initialised() {
			t.Errorf("%x was taken", bad)
		}
	}
	for _, c := range []struct {
		reply []byte
		want  Status
	}{{[]byte{1, 2, 3, 4, 0x90, 0}, Written}, {[]byte{0x93, 0x02}, NotWritten}, {[]byte{0x90, 0}, NotKnown}, {nil, NotKnown}, {[]byte{1, 2, 3, 4, 0x93, 2}, NotKnown}} {
		d := Data{Reply: c.reply}
		if d.Credited(); d.Status != c.want {
			t.Errorf("%x: %v, want %v", c.reply, d.Status, c.want)
		}
	}
	if got := AppendInitialise(nil, 1, 0x2710, &[6]byte{0x31, 5: 1}); !bytes.Equal(got, []byte{0x80, 0x50, 0, 2, 11, 1, 0, 0, 0x27, 0x10, 0x31, 0, 0, 0, 0, 1, 16}) {
		t.Errorf("%x", got)
	}
	if got := AppendCredit(nil, &[7]byte{0x20, 6: 5}, &[4]byte{1, 2, 3, 4}); !bytes.Equal(got, []byte{0x80, 0x52, 0, 0, 11, 0x20, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 4}) {
		t.Errorf("%x", got)
	}
}
