package pool

import (
	"container/heap"
	"fmt"
	"slices"
	"testing"
	"time"

	"tongka/hsm"
)

// world is a pool with modules of known speed, in time of its own: what is
// measured here is the choice, not this machine.
type world struct {
	*Pool[job]
	t       testing.TB
	now     int64
	queue   events
	serial  int
	boxes   []box
	waits   []int64 // of commands that ended well
	by      [][]int64
	failed  int
	load    int // clients that ask again at once
	verb    hsm.Verb
	until   int64
	started int
}

// box is one module: it serves one command after the other.
type box struct {
	service int64
	slow    int64 // for key management
	free    int64
	dead    bool
	check   [8]byte
	code    hsm.Code
	refused hsm.Code // to all but probes
}

type job struct {
	id   int
	from int64
	verb hsm.Verb
}

type event struct {
	at    int64
	order int
	f     func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

var check = [8]byte{0x26, 0x86, 0x04}

func newWorld(t testing.TB, o Options, modules int) *world {
	t.Helper()
	if o.Places == 0 {
		o.Places = 1024
	}
	p, err := New[job](o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Pool: p, t: t, verb: hsm.MakeMAC, now: 1}
	for i := range modules {
		w.boxes = append(w.boxes, box{service: int64(time.Millisecond), check: check})
		w.Add(Line{Module: i}, w.now)
	}
	w.by = make([][]int64, modules)
	return w
}

func (w *world) connect() {
	for i := range w.lines {
		w.Opened(i, w.now)
	}
	w.pump()
}

func (w *world) idle() bool { return w.Free() == w.Places() }

func (w *world) at(d int64, f func()) {
	w.serial++
	heap.Push(&w.queue, event{w.now + d, w.serial, f})
}

func (w *world) ask(v hsm.Verb) bool {
	w.started++
	o, ok := w.Ask(v, job{id: w.started, from: w.now, verb: v}, w.now)
	if ok {
		w.perform(o)
	}
	return ok
}

// perform does what an owner does with an order: a timer, and the bytes.
func (w *world) perform(o Order) {
	if o.At > w.now {
		w.at(o.At-w.now, func() { w.expire(o.Place, o.Use) })
	}
	if o.Line < 0 {
		return
	}
	b := &w.boxes[w.lines[o.Line].Module]
	if b.dead {
		return
	}
	service := b.service
	if v := w.places[o.Place].verb; v.Manages() && b.slow > 0 {
		service = b.slow
		w.at(service, func() { w.answer(o, b) }) // a processor of its own
		return
	}
	b.free = max(b.free, w.now) + service
	w.at(b.free-w.now, func() { w.answer(o, b) })
}

func (w *world) answer(o Order, b *box) {
	if b.dead {
		return
	}
	place, _, ok := w.Find(o.Line, o.Header, w.now)
	if !ok {
		return
	}
	r := hsm.Reply{Code: hsm.Done, KCV: b.check}
	if o.Probe && b.code != (hsm.Code{}) {
		r.Code = b.code
	}
	if !o.Probe && b.refused != (hsm.Code{}) {
		r.Code = b.refused
	}
	module := w.lines[o.Line].Module
	owner, retry, mine := w.Answer(place, &r, w.now)
	switch {
	case mine:
		w.done(owner, module, r.Code.OK())
	case retry.At != 0:
		w.perform(retry)
	}
	w.pump()
}

func (w *world) done(j job, module int, ok bool) {
	if ok {
		w.waits = append(w.waits, w.now-j.from)
		w.by[module] = append(w.by[module], w.now-j.from)
	} else {
		w.failed++
	}
	if w.load > 0 && w.now < w.until {
		w.ask(w.verb)
	}
}

func (w *world) expire(place, use uint32) {
	e, owner, o, line := w.Expire(place, use, w.now)
	switch e {
	case Failed:
		w.done(*owner, 0, false)
	case Repeat:
		w.perform(o)
	}
	if line >= 0 {
		w.lose(line)
	}
	w.pump()
}

func (w *world) lose(line int) {
	w.Lost(line, w.now, func(j job, o Order, again bool) {
		if again {
			w.perform(o)
		} else {
			w.done(j, 0, false)
		}
	})
}

// pump does what an owner does at the end of a turn.
func (w *world) pump() {
	for {
		o, _, ok := w.Next(w.now)
		if !ok {
			return
		}
		w.perform(o)
	}
}

// run lets time pass until d from now.
func (w *world) run(d time.Duration) {
	end := w.now + int64(d)
	for {
		next := end
		if at := w.Wait(w.now); at > w.now && at < next {
			next = at
		}
		if len(w.queue) > 0 && w.queue[0].at <= next {
			e := heap.Pop(&w.queue).(event)
			w.now = e.at
			e.f()
			continue
		}
		w.now = next
		w.pump()
		if next == end {
			return
		}
	}
}

// drive keeps n commands under way for d, and lets them end.
func (w *world) drive(n int, d time.Duration) {
	w.load, w.until = n, w.now+int64(d)
	for range n {
		w.ask(w.verb)
	}
	w.run(d + 5*time.Second)
}

func p99(v []int64) time.Duration {
	v = slices.Clone(v)
	slices.Sort(v)
	return time.Duration(v[len(v)*99/100])
}

// Twice the modules do twice the work.
func TestThroughputGrowsWithModules(t *testing.T) {
	var one float64
	for _, n := range []int{1, 2, 4, 8} {
		w := newWorld(t, Options{Seed: 7}, n)
		w.connect()
		w.run(10 * time.Millisecond)
		w.drive(8*n, time.Second)
		rate := float64(len(w.waits))
		if n == 1 {
			one = rate
		}
		if w.failed > 0 || rate < 0.93*one*float64(n) {
			t.Errorf("%d modules: %.0f commands a second, one alone %.0f; %d failed", n, rate, one, w.failed)
		}
	}
}

// One bad module of four does not make the others' work slower than half as much
// again, and no command is lost that may be repeated.
func TestABadModuleDoesNotSlowTheOthers(t *testing.T) {
	for _, load := range []int{4, 12, 24} {
		base := newWorld(t, Options{Seed: 3}, 4)
		base.connect()
		base.run(10 * time.Millisecond)
		base.drive(load, 2*time.Second)
		for name, spoil := range map[string]func(*box){
			"dead":             func(b *box) { b.dead = true },
			"ten times slow":   func(b *box) { b.service *= 10 },
			"slow as a second": func(b *box) { b.service *= 1000 },
		} {
			w := newWorld(t, Options{Seed: 3}, 4)
			w.connect()
			w.run(10 * time.Millisecond)
			spoil(&w.boxes[1])
			w.drive(load*3/4, 2*time.Second)
			var others []int64
			for i, v := range w.by {
				if i != 1 {
					others = append(others, v...)
				}
			}
			// What was repeated is counted by itself: it waited for the bad one.
			var clean []int64
			for _, v := range others {
				if v < int64(500*time.Millisecond) {
					clean = append(clean, v)
				}
			}
			if len(others)-len(clean) > 64 {
				t.Errorf("%s, %d clients: %d commands met the bad one", name, load, len(others)-len(clean))
			}
			if got, want := p99(clean), p99(base.waits); float64(got) > 1.5*float64(want) {
				t.Errorf("%s, %d clients: p99 of the others %v, before %v", name, load, got, want)
			}
			if w.failed > 0 {
				t.Errorf("%s, %d clients: %d commands failed", name, load, w.failed)
			}
		}
	}
}

// A pair of RSA keys is made for seconds, and no MAC waits for it.
func TestKeyManagementDelaysNoMAC(t *testing.T) {
	w := newWorld(t, Options{Seed: 5, Window: 1, KeyTimeout: 30 * time.Second}, 1)
	w.Add(Line{Module: 0, Keys: true}, w.now)
	w.boxes[0].slow = int64(5 * time.Second)
	w.connect()
	w.run(10 * time.Millisecond)
	for range 3 {
		w.ask(hsm.GenerateKey)
	}
	w.drive(1, time.Second)
	if n := len(w.waits); n < 900 {
		t.Errorf("%d commands in a second beside key management", n)
	}
	if got := p99(w.waits); got > 2*time.Millisecond {
		t.Errorf("p99 %v beside key management", got)
	}
	w.load = 0
	w.run(20 * time.Second)
	if w.failed > 0 || !w.idle() {
		t.Errorf("%d keys were not made, idle %v", w.failed, w.idle())
	}
}

func TestLicensedRate(t *testing.T) {
	w := newWorld(t, Options{Seed: 1, Rate: 60}, 2)
	w.connect()
	w.run(time.Second)
	w.drive(64, 10*time.Second)
	if n := len(w.waits); n < 1100 || n > 1300 {
		t.Errorf("%d commands in ten seconds under two licences of 60 a second", n)
	}
}

func BenchmarkCommand(b *testing.B) {
	for _, n := range []int{1, 4, 8} {
		b.Run(fmt.Sprintf("modules=%d", n), func(b *testing.B) {
			w := newWorld(b, Options{Places: 4096}, n)
			w.connect()
			w.run(10 * time.Millisecond)
			r := hsm.Reply{Code: hsm.Done}
			b.ReportAllocs()
			for b.Loop() {
				o, ok := w.Ask(hsm.MakeMAC, job{}, w.now)
				if !ok || o.Line < 0 {
					b.Fatal("no line")
				}
				place, _, _ := w.Find(o.Line, o.Header, w.now)
				w.Answer(place, &r, w.now)
				if _, _, ok := w.Next(w.now); ok {
					b.Fatal("something waits")
				}
			}
		})
	}
}

// BenchmarkModules says, in time of its own, what modules of 1 ms give together
// and what one bad one does to the others.
func BenchmarkModules(b *testing.B) {
	for _, n := range []int{1, 2, 4, 8} {
		b.Run(fmt.Sprintf("modules=%d", n), func(b *testing.B) {
			var done int
			for b.Loop() {
				w := newWorld(b, Options{Seed: 7}, n)
				w.connect()
				w.run(10 * time.Millisecond)
				w.drive(8*n, time.Second)
				done = len(w.waits)
			}
			b.ReportMetric(float64(done), "commands/s")
		})
	}
	b.Run("one,key=5s", func(b *testing.B) {
		var took time.Duration
		for b.Loop() {
			w := newWorld(b, Options{Seed: 5, Window: 1, KeyTimeout: 30 * time.Second}, 1)
			w.Add(Line{Module: 0, Keys: true}, w.now)
			w.boxes[0].slow = int64(5 * time.Second)
			w.connect()
			w.run(10 * time.Millisecond)
			w.ask(hsm.GenerateKey)
			w.drive(1, time.Second)
			took = p99(w.by[0][:len(w.by[0])-1]) // the last one is the key
		}
		b.ReportMetric(float64(took.Microseconds()), "p99-µs")
	})
	for name, spoil := range map[string]func(*box){"dead": func(b *box) { b.dead = true }, "slow": func(b *box) { b.service *= 10 }} {
		b.Run("four,one="+name, func(b *testing.B) {
			var ratio float64
			for b.Loop() {
				var p [2]time.Duration
				for i := range p {
					w := newWorld(b, Options{Seed: 3}, 4)
					w.connect()
					w.run(10 * time.Millisecond)
					if i == 1 {
						spoil(&w.boxes[1])
					}
					w.drive(24-6*i, 2*time.Second)
					p[i] = p99(append(append(append([]int64(nil), w.by[0]...), w.by[2]...), w.by[3]...))
				}
				ratio = float64(p[1]) / float64(p[0])
			}
			b.ReportMetric(ratio, "p99-ratio")
		})
	}
}
