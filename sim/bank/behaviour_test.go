package bank

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tongka/sim/book"
	"tongka/txn"
)

func behave(t *testing.T, b *Bank, v Behaviour) {
	t.Helper()
	if err := b.Behave(v); err != nil {
		t.Fatal(err)
	}
	if b.Behaviour() != v {
		t.Fatalf("behaves as %+v", b.Behaviour())
	}
}

func TestDecline(t *testing.T) {
	b, l := start(t, Config{Behaviour: Behaviour{DeclineRate: 1, Decline: txn.Code{'5', '1'}}})
	v := l.ask(0x0200, sale(1), "51")
	if v.Has(38) || !v.Has(15) {
		t.Errorf("a decline has F38 %s, F15 %s", v.Field(38), v.Field(15))
	}
	l.ask(0x0420, undo(1), "00") // nothing to take back
	behave(t, b, Behaviour{DeclineRate: 1})
	l.ask(0x0200, sale(2), "05")
	behave(t, b, Behaviour{})
	l.ask(0x0200, sale(3), "00")
	if s := b.Stats(); s.Declined != 2 || s.Booked != 1 || s.Reversed != 0 {
		t.Errorf("%+v", s)
	}
}

func TestDeclineShare(t *testing.T) {
	b, l := start(t, Config{Behaviour: Behaviour{DeclineRate: 0.5}})
	var all []byte
	for n := 1; n <= 400; n++ {
		all = append(all, frame(t, 0x0200, sale(n))...)
	}
	l.send(all)
	for range 400 {
		l.receive()
	}
	// 400 throws of a coin: ten standard deviations on each side.
	if s := b.Stats(); s.Declined < 100 || s.Declined > 300 || int64(s.Declined)+s.Booked != 400 {
		t.Errorf("declined %d, booked %d", s.Declined, s.Booked)
	}
}

func TestSilent(t *testing.T) {
	b, l := start(t, Config{Behaviour: Behaviour{Silent: true}})
	l.send(frame(t, 0x0200, sale(1)))
	l.quiet()
	l.ask(0x0420, undo(1), "00") // books and reversals are served as ever
	if s := b.Stats(); s.Unanswered != 1 || s.Reversed != 1 {
		t.Errorf("%+v", s)
	}
}

func TestDeaf(t *testing.T) {
	b, l := start(t, Config{Behaviour: Behaviour{Deaf: true}})
	l.send(frame(t, 0x0200, sale(1)), frame(t, 0x0420, undo(1)), frame(t, 0x0820, fields{7: "1121220000", 11: "000009", 70: "301"}))
	poll(t, "three frames that nobody answers", func() bool { return b.Stats().Unanswered == 3 })
	behave(t, b, Behaviour{})
	l.quiet() // so none of the three was answered
	if n := len(b.Bookings()); n != 0 {
		t.Errorf("%d bookings", n)
	}
}

func TestCloseEvery(t *testing.T) {
	b, l := start(t, Config{Behaviour: Behaviour{CloseEvery: 2}})
	l.ask(0x0200, sale(1), "00")
	l.send(frame(t, 0x0200, sale(2)))
	l.gone()
	l = dial(t, b)
	l.ask(0x0200, sale(3), "00")
	want := map[int64]book.State{101: book.Booked, 102: book.Booked, 103: book.Booked}
	for amount, state := range want {
		if got := states(b)[amount]; got != state {
			t.Errorf("amount %d: %s", amount, got)
		}
	}
	if s := b.Stats(); s.Dropped != 1 {
		t.Errorf("%+v", s)
	}
}

func TestTwice(t *testing.T) {
	b, l := start(t, Config{Behaviour: Behaviour{Twice: true}})
	l.ask(0x0200, sale(1), "00")
	l.expect(0x0210, "000001", "00")
	l.ask(0x0420, undo(1), "00")
	l.expect(0x0430, "900001", "00")
	l.quiet()
	if s := b.Stats(); s.Sales != 1 || s.Reversed != 1 {
		t.Errorf("%+v", s)
	}
}

// A delayed answer lets later ones pass, is in the book before it leaves, and
// does not hold up an echo.
func TestDelay(t *testing.T) {
	b, l := start(t, Config{})
	const delay = 50 * time.Millisecond
	behave(t, b, Behaviour{Delay: delay, DelayJitter: delay, Twice: true})
	began := time.Now()
	l.send(frame(t, 0x0200, sale(1)))
	l.quiet()
	if got := states(b)[101]; got != book.Booked {
		t.Errorf("state %q", got)
	}
	behave(t, b, Behaviour{})
	l.ask(0x0200, sale(2), "00")
	l.expect(0x0210, "000001", "00")
	if d := time.Since(began); d < delay {
		t.Errorf("answered after %v", d)
	}
	l.expect(0x0210, "000001", "00")
	// Close does not wait for what is held back.
	behave(t, b, Behaviour{Delay: maxDelay})
	l.send(frame(t, 0x0200, sale(3)))
	poll(t, "the sale to be booked", func() bool { return b.Stats().Booked == 3 })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestBehaveRefusesNonsense(t *testing.T) {
	b, _ := start(t, Config{})
	if err := b.Behave(Behaviour{Delay: maxDelay, DelayJitter: 1}); err == nil {
		t.Error("a delay without bound was taken")
	}
	if b.Behaviour() != (Behaviour{}) {
		t.Error("what was refused took effect")
	}
}

// poll waits for an event that only the bank's counters show.
func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// BenchmarkSales is one connection with 64 sales in flight, as a switch link has.
func BenchmarkSales(b *testing.B) {
	_, l := start(b, Config{Limit: 1 << 24, Books: b.TempDir() + "/bank.jsonl"})
	const window = 64
	var batch []byte
	at := make([]int, window)
	for i := range window {
		batch = append(batch, frame(b, 0x0200, sale(i))...)
		at[i] = len(batch)
	}
	trace := make([]int, window)
	rrn := make([]int, window)
	for i := range window {
		from := 0
		if i > 0 {
			from = at[i-1]
		}
		text := string(batch[from:at[i]])
		trace[i] = from + strings.Index(text, "1121220000"+fmt.Sprintf("%06d", i)) + 10
		rrn[i] = from + strings.Index(text, fmt.Sprintf("%012d", i)+"10000001")
	}
	b.ResetTimer()
	for n := 0; n < b.N; n += window {
		for i := range window {
			copy(batch[trace[i]:], fmt.Sprintf("%06d", (n+i)%1_000_000))
			copy(batch[rrn[i]:], fmt.Sprintf("%012d", n+i))
		}
		l.send(batch)
		for range window {
			l.raw()
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sales/s")
}

// One of several lines goes bad, and stays bad when it is dialled again.
func TestOneLineGoesBad(t *testing.T) {
	b, one := start(t, Config{Behaviour: Behaviour{Silent: true}, Line: 2})
	one.ask(0x0200, sale(1), "00")
	two := dial(t, b)
	two.send(frame(t, 0x0200, sale(2)))
	two.quiet()
	one.ask(0x0200, sale(3), "00")
	if err := b.BehaveLine(1, Behaviour{Silent: true}); err != nil {
		t.Fatal(err)
	}
	one.send(frame(t, 0x0200, sale(4)))
	one.quiet()
	if err := b.BehaveLine(2, Behaviour{Refuse: txn.Code{'9', '6'}}); err != nil {
		t.Fatal(err)
	}
	two.ask(0x0200, sale(5), "00")
	two.ask(0x0820, fields{7: "1121220000", 11: "999999", 70: "301"}, "96")
	for _, line := range []int{0, -1, maxLines + 1} {
		if b.BehaveLine(line, Behaviour{}) == nil {
			t.Errorf("line %d is taken", line)
		}
	}
	if b.BehaveLine(1, Behaviour{CloseEvery: -1}) == nil {
		t.Error("a behaviour that cannot be is taken")
	}
	if _, err := New(Config{Listen: "127.0.0.1:0", Line: -1}); err == nil {
		t.Error("line -1 is taken")
	}
}
