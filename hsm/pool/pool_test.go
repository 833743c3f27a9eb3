package pool

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tongka/hsm"
)

func TestValidate(t *testing.T) {
	o := Options{Places: 0, Width: -1, Window: -1, Rate: -1, Timeout: -1, Deep: -1}
	err := o.Validate()
	for _, want := range []string{"places", "header", "window", "rate", "time", "probe"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name the %s", err, want)
		}
	}
	if _, err := New[int](o); err == nil {
		t.Error("a pool is made of that")
	}
}

// state of a world's module, by its first line.
func (w *world) state(module int) (State, Reason) {
	for i := range w.lines {
		if w.lines[i].Module == module {
			v := w.View(i)
			return v.State, v.Reason
		}
	}
	w.t.Fatal("no such module")
	return 0, 0
}

func (w *world) wants(module int, s State, r Reason) {
	w.t.Helper()
	if gs, gr := w.state(module); gs != s || gr != r {
		w.t.Errorf("module %d is %v (%v), want %v (%v)", module, gs, gr, s, r)
	}
}

func (w *world) heard() (all []Event) {
	w.Events(func(e Event) { all = append(all, e) })
	return all
}

func TestNobodyIsTrustedUnseen(t *testing.T) {
	w := newWorld(t, Options{}, 1)
	if w.ask(hsm.MakeMAC) {
		t.Error("a command is taken without a line")
	}
	w.connect()
	if !w.ask(hsm.MakeMAC) {
		t.Fatal("refused while the module is looked at")
	}
	w.wants(0, Testing, Fine)
	w.run(5 * time.Millisecond)
	w.wants(0, Ready, Fine)
	if len(w.waits) != 1 || len(w.heard()) != 1 {
		t.Errorf("%d answers", len(w.waits))
	}
}

func TestAnotherLMKIsAnAlarm(t *testing.T) {
	w := newWorld(t, Options{LMK: check}, 3)
	w.boxes[1].check[0]++
	w.connect()
	w.run(10 * time.Millisecond)
	w.wants(0, Ready, Fine)
	w.wants(1, Quarantined, WrongLMK)
	w.drive(8, time.Second)
	if n := len(w.by[1]); n != 0 || w.failed > 0 {
		t.Errorf("%d commands went to it, %d failed", n, w.failed)
	}
	alarms := 0
	for _, e := range w.heard() {
		if e == (Event{1, Quarantined, WrongLMK}) {
			alarms++
		}
	}
	if alarms != 1 {
		t.Errorf("%d alarms", alarms)
	}
	// Somebody loads the right LMK: it comes back by itself.
	w.boxes[1].check = check
	w.run(time.Minute)
	w.wants(1, Ready, Fine)
}

func TestTheFirstLMKIsThePools(t *testing.T) {
	w := newWorld(t, Options{}, 2)
	w.Opened(0, w.now)
	w.pump()
	w.run(5 * time.Millisecond)
	w.boxes[1].check[7]++
	w.Opened(1, w.now)
	w.pump()
	w.run(5 * time.Millisecond)
	w.wants(0, Ready, Fine)
	w.wants(1, Quarantined, WrongLMK)
}

func TestAChangedLMKIsFoundByADeepProbe(t *testing.T) {
	w := newWorld(t, Options{Probe: time.Second, Deep: 3}, 2)
	w.connect()
	w.run(10 * time.Millisecond)
	w.boxes[0].check[0]++
	w.run(5 * time.Second)
	w.wants(0, Quarantined, WrongLMK)
	w.wants(1, Ready, Fine)
}

func TestSilenceIsFoundByProbes(t *testing.T) {
	w := newWorld(t, Options{Probe: time.Second, Timeout: time.Second}, 1)
	w.connect()
	w.run(10 * time.Millisecond)
	w.boxes[0].dead = true
	w.run(10 * time.Second)
	w.wants(0, Quarantined, Silent)
	if w.View(0).Up {
		t.Error("its line is kept")
	}
	if w.ask(hsm.MakeMAC) {
		t.Error("a command is taken for it")
	}
	w.boxes[0].dead = false
	w.Opened(0, w.now)
	w.pump()
	w.run(time.Minute)
	w.wants(0, Ready, Fine)
}

func TestBackOffGrowsAndEnds(t *testing.T) {
	w := newWorld(t, Options{LMK: check}, 1)
	w.boxes[0].check[0]++
	w.connect()
	asked := 0
	for range 600 {
		before := w.lines[0].probes
		w.run(time.Second)
		asked += w.lines[0].probes - before
	}
	if asked < 15 || asked > 40 {
		t.Errorf("asked %d times in ten minutes", asked)
	}
}

// A module that says it is not well does no harm: its command goes elsewhere.
func TestFaultyModule(t *testing.T) {
	for _, code := range []string{"13", "40", "41", "42", "49"} {
		w := newWorld(t, Options{}, 2)
		w.connect()
		w.run(10 * time.Millisecond)
		w.boxes[0].refused, w.boxes[0].code = hsm.Code([]byte(code)), hsm.Code([]byte(code))
		w.drive(4, time.Second)
		if w.failed > 0 || w.Stats().Retried == 0 {
			t.Errorf("code %s: %d failed, %d retried", code, w.failed, w.Stats().Retried)
		}
		w.wants(0, Quarantined, Faulty)
	}
	// What the data is to blame for is no fault of the module's.
	w := newWorld(t, Options{}, 2)
	w.connect()
	w.run(10 * time.Millisecond)
	w.boxes[0].refused = hsm.BadPINBlock
	w.drive(4, 100*time.Millisecond)
	w.wants(0, Ready, Fine)
	if w.failed == 0 || w.Stats().Retried != 0 {
		t.Errorf("%d failed, %d retried", w.failed, w.Stats().Retried)
	}
}

// A key that was perhaps made is not made again.
func TestGeneratedKeysAreNotRepeated(t *testing.T) {
	w := newWorld(t, Options{Timeout: time.Second, KeyTimeout: 2 * time.Second}, 2)
	w.connect()
	w.run(10 * time.Millisecond)
	for i := range w.boxes {
		w.boxes[i].dead = true
	}
	w.ask(hsm.GenerateKey)
	w.run(10 * time.Second)
	if w.failed != 1 || w.Stats().Retried != 0 {
		t.Errorf("%d failed, %d retried", w.failed, w.Stats().Retried)
	}
	w.ask(hsm.ImportKey)
	w.lose(0)
	w.lose(1)
}

func TestLostLineMovesItsCommands(t *testing.T) {
	w := newWorld(t, Options{}, 2)
	w.connect()
	w.run(10 * time.Millisecond)
	w.boxes[0].dead = true
	for range 8 {
		w.ask(hsm.MakeMAC)
	}
	out := w.View(0).InFlight
	w.lose(0)
	w.pump()
	w.run(time.Second)
	if out == 0 || w.failed > 0 || len(w.waits) != 8 || w.Stats().Retried != uint64(out) {
		t.Errorf("%d were out, %d failed, %d answered, %d retried", out, w.failed, len(w.waits), w.Stats().Retried)
	}
	if !w.idle() {
		t.Error("places are lost")
	}
}

// A late answer keeps its place until it comes, and is nobody's.
func TestLateAnswersAreDropped(t *testing.T) {
	w := newWorld(t, Options{Timeout: 100 * time.Millisecond}, 1)
	w.connect()
	w.run(10 * time.Millisecond)
	w.boxes[0].service = int64(150 * time.Millisecond)
	w.ask(hsm.MakeMAC)
	w.run(120 * time.Millisecond)
	if w.failed != 1 || w.idle() || w.Busy(0) {
		t.Errorf("%d failed, idle %v", w.failed, w.idle())
	}
	w.run(time.Second)
	if len(w.waits) != 0 || w.Stats().Late != 1 || !w.idle() {
		t.Errorf("%d answers, %d late, idle %v", len(w.waits), w.Stats().Late, w.idle())
	}
}

func TestUnknownHeaders(t *testing.T) {
	w := newWorld(t, Options{Width: 4, Places: 8}, 2)
	w.connect()
	w.run(10 * time.Millisecond)
	o, _ := w.Ask(hsm.MakeMAC, job{}, w.now)
	other := 1 - o.Line
	for _, c := range []struct {
		line   int
		header uint32
	}{{other, o.Header}, {o.Line, o.Header ^ 0x1000}, {o.Line, o.Header + 1}, {o.Line, 0xFFF}, {o.Line, 0xFFFFFFFF}} {
		if _, _, ok := w.Find(c.line, c.header, w.now); ok {
			t.Errorf("header %X on line %d is taken for %X on line %d", c.header, c.line, o.Header, o.Line)
		}
	}
	if w.Stats().Unmatched != 5 {
		t.Errorf("%d unmatched", w.Stats().Unmatched)
	}
	if _, verb, ok := w.Find(o.Line, o.Header, w.now); !ok || verb != hsm.MakeMAC {
		t.Error("its own answer is not found")
	}
}

// A place is used in turn, so that its header comes again as late as it can.
func TestHeadersComeAgainLate(t *testing.T) {
	w := newWorld(t, Options{Width: 4, Places: 16}, 1)
	w.connect()
	w.run(10 * time.Millisecond)
	seen := map[uint32]bool{}
	r := hsm.Reply{Code: hsm.Done}
	for i := range 256 {
		o, _ := w.Ask(hsm.MakeMAC, job{}, w.now)
		if seen[o.Header] {
			t.Fatalf("header %X again after %d", o.Header, i)
		}
		seen[o.Header] = true
		w.Answer(o.Place, &r, w.now)
	}
}

func TestWindowAndPlacesAreLimits(t *testing.T) {
	w := newWorld(t, Options{Window: 2, Places: 5}, 1)
	w.connect()
	w.run(10 * time.Millisecond)
	var sent, waiting int
	for range 5 {
		o, ok := w.Ask(hsm.MakeMAC, job{}, w.now)
		if !ok {
			t.Fatal("refused")
		}
		if o.Line >= 0 {
			sent++
		} else {
			waiting++
		}
	}
	if sent != 2 || waiting != 3 {
		t.Errorf("%d sent, %d wait", sent, waiting)
	}
	if _, ok := w.Ask(hsm.MakeMAC, job{}, w.now); ok || w.Stats().Refused != 1 {
		t.Error("a sixth is taken")
	}
}

func TestWhatWaitsTooLongFails(t *testing.T) {
	w := newWorld(t, Options{Window: 1, Timeout: time.Second}, 1)
	w.connect()
	w.run(10 * time.Millisecond)
	w.boxes[0].service = int64(900 * time.Millisecond)
	for range 3 {
		w.ask(hsm.MakeMAC)
	}
	w.run(10 * time.Second)
	if len(w.waits) != 1 || w.failed != 2 || !w.idle() {
		t.Errorf("%d answered, %d failed, idle %v", len(w.waits), w.failed, w.idle())
	}
}

func TestCancelAndLeave(t *testing.T) {
	w := newWorld(t, Options{}, 1)
	w.connect()
	w.run(10 * time.Millisecond)
	o, _ := w.Ask(hsm.MakeMAC, job{}, w.now)
	w.Cancel(o)
	if !w.idle() || w.View(0).InFlight != 0 {
		t.Error("a command that was not written keeps its place")
	}
	w.ask(hsm.MakeMAC)
	w.Leaves(0, true)
	if w.ask(hsm.MakeMAC) {
		t.Error("a line that leaves takes a command")
	}
	if !w.Busy(0) {
		t.Error("nobody waits for what is out")
	}
	w.run(10 * time.Millisecond)
	if len(w.waits) != 1 || w.Busy(0) {
		t.Error("what was out is not answered")
	}
}

// A module whose first line is let go is looked at by its other one.
func TestALeavingLineIsNotProbed(t *testing.T) {
	w := newWorld(t, Options{Probe: time.Second}, 1)
	w.Add(Line{Module: 0}, w.now)
	w.Opened(0, w.now)
	w.Leaves(0, true)
	w.Opened(1, w.now)
	w.pump()
	w.run(5 * time.Millisecond)
	w.wants(0, Ready, Fine)
	w.run(10 * time.Second)
	if w.lines[0].probes != 0 || w.lines[1].probes < 5 {
		t.Errorf("%d and %d probes", w.lines[0].probes, w.lines[1].probes)
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	w := newWorld(t, Options{Probe: time.Hour}, 4)
	w.connect()
	w.run(10 * time.Millisecond)
	r := hsm.Reply{Code: hsm.Done}
	n := testing.AllocsPerRun(100, func() {
		o, _ := w.Ask(hsm.MakeMAC, job{}, w.now)
		place, _, _ := w.Find(o.Line, o.Header, w.now)
		w.Answer(place, &r, w.now)
		w.Next(w.now)
		w.Wait(w.now)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever happens in whatever order, each command has one end, and no place or
// window is lost.
func TestAnyOrderOfThings(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t, Options{Places: 32, Width: 4, Window: 1 + r.IntN(4), Rate: []int{0, 2000}[r.IntN(2)],
			Timeout: 50 * time.Millisecond, KeyTimeout: 80 * time.Millisecond, Probe: 20 * time.Millisecond, Seed: seed}, 3)
		w.Add(Line{Module: 1, Keys: true}, w.now)
		w.Add(Line{Module: 2}, w.now)
		w.connect()
		taken := 0
		for range 400 {
			switch n := r.IntN(20); {
			case n < 12:
				if w.ask(hsm.Verb(1 + r.IntN(int(hsm.Echo)))) {
					taken++
				}
			case n < 13:
				w.lose(r.IntN(len(w.lines)))
			case n < 15:
				if i := r.IntN(len(w.lines)); !w.lines[i].up {
					w.Opened(i, w.now)
				}
			case n < 16:
				w.Leaves(r.IntN(len(w.lines)), r.IntN(2) == 0)
			case n < 17:
				w.boxes[r.IntN(3)].dead = r.IntN(3) == 0
			case n < 18:
				w.boxes[r.IntN(3)].service = int64(r.IntN(40)) * int64(time.Millisecond)
			default:
				w.boxes[r.IntN(3)].refused = []hsm.Code{{}, {'4', '1'}, hsm.BadKey}[r.IntN(3)]
			}
			w.pump()
			w.run(time.Duration(r.IntN(10)) * time.Millisecond)
		}
		for i := range w.lines {
			w.lose(i)
		}
		w.run(10 * time.Second)
		if !w.idle() {
			t.Fatalf("seed %d: %d places of %d are free", seed, w.free.n, len(w.places))
		}
		if got := len(w.waits) + w.failed; got != taken {
			t.Fatalf("seed %d: %d commands, %d ends", seed, taken, got)
		}
		for i := range w.lines {
			if v := w.View(i); v.InFlight != 0 || v.Late != 0 {
				t.Fatalf("seed %d: line %d: %+v", seed, i, v)
			}
		}
	}
}
