package mix

import (
	"tongka/card"
	"tongka/codec/iso8583"
	"tongka/hsm/clear"
)

// Heard takes the answer to what Next gave; more says that the deal goes on. The
// error says what a terminal would not have taken; the deal is over then, too.
func (t *Till) Heard(frame []byte) (more bool, err error) {
	if len(frame) < msgAt {
		return false, t.fault("a frame of %d bytes", len(frame))
	}
	if err := iso8583.Pos().Parse(&t.view, frame[msgAt:]); err != nil {
		return false, t.fault("%v", err)
	}
	want := t.trace
	if t.deal() == Reverse {
		want = t.sold
	}
	if trace, ok := t.view.Uint(11); !ok || trace != uint64(want) {
		return false, t.fault("an answer to trace %d, not %d", trace, want)
	}
	if mti := t.view.MTI(); mti != t.reply() {
		return false, t.fault("an answer %v, not %v", mti, t.reply())
	}
	if code := t.view.Field(39); string(code) != "00" {
		return false, t.fault("F39 %s", code)
	}
	switch t.deal() {
	case Sell:
		t.debit.fen, t.debit.n = t.debit.fen+saleFen, t.debit.n+1
	case Reverse:
		t.debit.fen, t.debit.n = t.debit.fen-saleFen, t.debit.n-1
	case Load:
		if t.stage == asked {
			return t.credited()
		}
		t.credit.fen, t.credit.n = t.credit.fen+loadFen, t.credit.n+1
	case SignIn:
		err = t.signedIn()
	case Settle:
		err = t.settled()
	}
	if err != nil {
		return false, err
	}
	t.over()
	return false, nil
}

// reply is the type of answer that the terminal waits for.
func (t *Till) reply() iso8583.MTI {
	switch {
	case t.stage == confirming:
		return 0x0230
	case t.deal() == Reverse:
		return 0x0410
	case t.deal() == SignIn:
		return 0x0810
	case t.deal() == Settle:
		return 0x0510
	}
	return 0x0210
}

// credited has the card write what the answer to a load brought.
func (t *Till) credited() (more bool, err error) {
	var mac2 [4]byte
	var time [7]byte
	found := 0
	for b := t.view.Field(58); len(b) >= 2 && len(b) >= 2+int(b[1]); b = b[2+b[1]:] {
		switch v := b[2 : 2+b[1]]; b[0] {
		case card.TagMAC2:
			found += copy(mac2[:], v)
		case card.TagTime:
			found += copy(time[:], v)
		case card.TagRewrite:
			return false, t.fault("the card is said not to have been written")
		}
	}
	if found != len(mac2)+len(time) {
		return false, t.fault("F58 without MAC2 or time")
	}
	tac, ok := t.card.credit(time, mac2)
	if !ok {
		return false, t.fault("the card does not take the MAC2")
	}
	t.tac = tac
	return t.wrote(), nil
}

// Where things stand in F62 of a sign-in: PIK 16, check value 4, MAK 16, check value 4.
// Source: UnionPay POS terminal specification.
const (
	slot    = 16
	makAt   = slot + 4
	f62Len  = 2 * makAt
	batchAt = 2 // in F60
)

// signedIn takes the working keys and the new batch.
func (t *Till) signedIn() error {
	f62 := t.view.Field(62)
	if len(f62) != f62Len {
		return t.fault("F62 has %d bytes, not %d", len(f62), f62Len)
	}
	key, err := t.tmk.AppendDecrypted(t.text[:0], f62[makAt:makAt+slot])
	if err != nil {
		return t.fault("MAK: %v", err)
	}
	var mak clear.Cipher
	mak.Expand(key) // of two blocks
	if check := mak.KCV(); string(check[:4]) != string(f62[makAt+slot:]) {
		return t.fault("the check value of the MAK is %X", check[:4])
	}
	t.mak = mak
	copy(t.term.MAK[:], key)
	f60 := t.view.AppendText(t.text[:0], 60)
	if len(f60) < batchAt+len(t.term.Batch) {
		return t.fault("F60 has no batch number")
	}
	t.term.Batch = string(f60[batchAt : batchAt+len(t.term.Batch)])
	t.sell.Rekey(&t.mak, t.term.Batch)
	t.ask.Rekey(&t.mak, t.term.Batch)
	return nil
}

// settled wants both classes of cards in balance, and begins anew.
func (t *Till) settled() error {
	got := t.view.AppendText(t.text[:0], 48)
	ours := t.debit
	t.debit, t.credit = totals{}, totals{}
	if len(got) != 2*f48Side || got[f48Side-1] != '1' || got[2*f48Side-1] != '1' {
		return t.fault("does not balance: %d sales, F48 %s", ours.n, got)
	}
	return nil
}
