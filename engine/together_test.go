package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm"
	"tongka/txn"
)

// Requests of one turn are verified together: each gets its own verdict, in the
// order in which they came, also when they are more than one group, or fill none.
func TestEachOfATurnGetsItsOwnVerdict(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for _, requests := range []int{1, 2, 5, hsm.Together - 1, hsm.Together, hsm.Together + 1, 3*hsm.Together + 2} {
		for range 4 {
			ownVerdicts(t, requests, dice.Uint64())
		}
	}
}

// ownVerdicts sends so many requests in one turn; the bits of bad say whose MAC is wrong.
func ownVerdicts(t *testing.T, requests int, bad uint64) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	for i := range uint64(requests) {
		mak := p.mak
		if bad>>i&1 == 1 {
			mak = p.pik
		}
		p.send(0x0200, mak, p.money(10+i, 100+i, false, ""))
	}
	w.pass(0)
	var refused, passed []string
	for _, b := range w.take(p.id, conn.Binary2) {
		v := w.parse(iso8583.Pos(), b)
		w.want("F39", string(v.Field(39)), string(txn.BadMAC[:]))
		refused = append(refused, string(v.AppendText(nil, 11)))
	}
	for _, b := range w.take(bank, conn.ASCII4) {
		passed = append(passed, string(w.parse(iso8583.Cups(), b).AppendText(nil, 4)))
	}
	var wantRefused, wantPassed []string
	for i := range requests {
		if bad>>i&1 == 1 {
			wantRefused = append(wantRefused, fmt.Sprintf("%06d", 10+i))
		} else {
			wantPassed = append(wantPassed, fmt.Sprintf("%012d", 100+i))
		}
	}
	if !slices.Equal(refused, wantRefused) || !slices.Equal(passed, wantPassed) {
		t.Fatalf("bad %b: refused %v, want %v; forwarded %v, want %v", bad, refused, wantRefused, passed, wantPassed)
	}
}

// What has no MAC to wait for waits for what is held: the effects of a turn's requests
// come in the order of their arrival. Here the terminal signs off between its sales.
func TestWhatHasNoMACWaitsForWhatIsHeld(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.send(0x0200, p.mak, p.money(10, 100, false, ""))
	p.send(0x0200, p.pik, p.money(11, 100, false, "")) // a wrong MAC: refused
	w.want("requests that wait for more", w.shard.held.n, 2)
	p.send(0x0820, nil, func(b *iso8583.Builder) {
		b.PutUint(11, 12)
		p.identity(b)
		b.Put(60, []byte("00"+p.batch+"002"))
	})
	w.want("requests that wait after the sign-off", w.shard.held.n, 0)
	p.send(0x0200, p.mak, p.money(13, 100, false, ""))
	w.pass(0)
	var told []string
	for _, b := range w.take(p.id, conn.Binary2) {
		v := w.parse(iso8583.Pos(), b)
		told = append(told, string(v.AppendText(nil, 11))+" "+string(v.Field(39)))
	}
	want := []string{"000011 " + string(txn.BadMAC[:]), "000012 00", "000013 " + string(txn.SignInAgain[:])}
	if !slices.Equal(told, want) {
		t.Errorf("the terminal is told %q, want %q", told, want)
	}
	w.want("requests at the bank", len(w.take(bank, conn.ASCII4)), 1)
}

// A command is performed between requests, never before one that came earlier.
func TestCommandFindsNothingHeld(t *testing.T) {
	w := newWorld(t)
	w.bankUp(0)
	p := w.terminal()
	p.send(0x0200, p.mak, p.money(10, 100, false, ""))
	w.want("requests that wait for more", w.shard.held.n, 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nobody waits for it
	held, inFlight := -1, int32(-1)
	_ = w.shard.Do(ctx, probe(func(s *Shard) error {
		held, inFlight = s.held.n, int32(s.links[0].inFlight)
		return nil
	}))
	w.pass(0)
	w.want("held when a command is performed", held, 0)
	w.want("in flight at the bank by then", inFlight, int32(1))
}

// A turn's requests leave before its answers, whichever came first: the bank works
// on them while terminals are sent theirs.
func TestRequestsLeaveBeforeAnswers(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.send(0x0200, p.mak, p.money(10, 100, false, ""))
	w.pass(0)
	first := w.bankGot(bank)
	w.order = w.order[:0]
	w.shard.Frame(bank, w.bankReply(first, "00"))
	p.send(0x0200, p.mak, p.money(11, 200, false, ""))
	w.pass(0)
	if want := []conn.ID{bank, p.id}; !slices.Equal(w.order, want) {
		t.Errorf("sent to %x, want %x: the bank, then the terminal", w.order, want)
	}
}
