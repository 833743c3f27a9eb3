// Package load is the bench's terminals: sales in one thread, as a closed loop
// where each connection keeps its share of requests under way and sends the next
// one when an answer comes, so that the system under test sets the pace; or at a
// rate, as people do who come to a counter whether or not it is quick (pace.go).
package load

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tongka/bench/internal/proc"
	"tongka/bench/internal/sale"
)

// Spec is one run. Durations are nanoseconds in JSON.
type Spec struct {
	Address     netip.AddrPort `json:"address"`
	Connections int            `json:"connections"`
	Depth       int            `json:"depth"`     // requests under way on each
	Reconnect   bool           `json:"reconnect"` // a new connection for every request
	Rate        int            `json:"rate"`      // sales a second, by whichever connection is free: an open loop; 0 is a closed one
	Terminals   int            `json:"terminals"` // connections take them in turn
	First       int            `json:"first"`     // index of the first terminal
	FirstTrace  uint32         `json:"first_trace"`
	PIN         bool           `json:"pin"`
	Mix         bool           `json:"mix"`       // a day's mix in place of sales, see package mix
	Enquiry     bool           `json:"enquiry"`   // balance enquiries, of which some may be refused for being too many
	Timeouts    bool           `json:"timeouts"`  // 98 and 91 are no faults: a bank's line is stuck
	Shortfall   bool           `json:"shortfall"` // what a slow system keeps from being sent at Rate is no fault
	Loose       bool           `json:"loose"`     // a request may be overtaken by many: the system has a thread of work for each
	Silent      bool           `json:"silent"`    // connect and say nothing
	Echo        bool           `json:"echo"`      // answers are the requests sent back, without F39
	WarmUp      time.Duration  `json:"warm_up"`
	Window      time.Duration  `json:"window"`
	Slice       time.Duration  `json:"slice"` // of SliceP99, half a second when 0
	Drain       time.Duration  `json:"drain"` // how long the last answers may take
	PID         int            `json:"pid"`   // the system under test
	Ahead       int            `json:"ahead"` // MACs to make before the run, all terminals together
	Marks       bool           `json:"marks"` // somebody waits for Run's mark
	Alone       bool           `json:"alone"` // this process does nothing else, see poll.Poller
}

// validate reports everything that is wrong at once.
func (s *Spec) validate() error {
	var errs []error
	for name, bad := range map[string]bool{
		"address":     !s.Address.Addr().Is4(),
		"connections": s.Connections < 1 || s.Connections > 100_000,
		"depth":       s.Depth < 1 || s.Depth > 1024 || s.Reconnect && s.Depth != 1,
		"rate":        s.Rate < 0 || s.Rate > 100_000 || s.Rate > 0 && s.Depth != 1,
		"terminals":   s.Terminals < 1 || s.Terminals > 1_000_000 || s.Reconnect && s.Terminals < s.Connections,
		"first":       s.First < 0 || s.First+s.Terminals > 1_000_000,
		"slice":       s.Slice < 0,
		"mix":         s.Mix && (s.Depth != 1 || s.Reconnect || s.Terminals != s.Connections || s.Enquiry || s.PIN || s.Ahead != 0),
		"first_trace": s.FirstTrace < 1 || s.FirstTrace > sale.MaxTrace,
		"ahead":       s.Ahead < 0 || s.Ahead > 1<<26,
	} {
		if bad {
			errs = append(errs, fmt.Errorf("load: %s is out of range", name))
		}
	}
	return errors.Join(errs...)
}

// Result is what one window gave. Percentiles are microseconds from the moment
// before the write to the moment after the read (Reconnect: from connect; Rate:
// from the moment at which it was due).
type Result struct {
	Answers int64         `json:"answers"`
	Seconds float64       `json:"seconds"`
	CPU     time.Duration `json:"cpu"` // of the process PID
	// User and System are its parts, both 0 when the window was too short to tell them apart.
	User   time.Duration `json:"user"`
	System time.Duration `json:"system"`
	// Machine is what all processors worked in the window, whoever for, in hundredths of a second.
	Machine time.Duration `json:"machine"`
	P50     float64       `json:"p50_us"`
	P99     float64       `json:"p99_us"`
	// SliceP99 is, with Rate, the p99 of each slice of the window: a machine that
	// stands still for a moment spoils one of them and not the whole.
	SliceP99 []float64 `json:"slice_p99_us,omitempty"`
	// Percentiles are microseconds at Quantiles; OverTime are the answers a second in
	// each tenth of a second.
	Percentiles []float64 `json:"percentiles_us"`
	OverTime    []float64 `json:"tps_over_time"`
	// Histogram is what the percentiles are taken from, in nanoseconds: HdrHistogram V2,
	// compressed and in base64.
	Histogram string `json:"histogram"`

	Refused int64            `json:"refused,omitempty"` // of the answers: code 96 of Enquiry, 98 and 91 of Timeouts
	Unsent  int64            `json:"unsent,omitempty"`  // of what was due at Rate: found no connection free, and was sent later or never
	Behind  int64            `json:"behind,omitempty"`  // of these, not sent by the window's end
	Faults  map[string]int64 `json:"faults,omitempty"`  // what came instead of approvals, warm-up included
}

// Quantiles are those of a Result's Percentiles, in percent.
var Quantiles = []float64{1, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100}

// beat is how long answers are counted for a point of OverTime.
const beat = 100 * time.Millisecond

// Run connects, warms up, measures one window and closes. Requests that the
// system does not approve are Faults; a connection that breaks is an error. With Marks it
// calls mark as the window begins and as it ends, for others to look at their own
// counters; the loop stands still meanwhile.
func Run(s Spec, mark func() error) (Result, error) {
	g, err := open(&s)
	if err != nil {
		return Result{}, err
	}
	defer g.close()
	if err := g.start(); err != nil {
		return Result{}, err
	}
	if err := g.until(time.Now().Add(s.WarmUp)); err != nil {
		return Result{}, err
	}
	r, err := g.marked(mark)
	if err != nil {
		return r, err
	}
	if err := g.drain(); err != nil {
		return r, err
	}
	if r.Behind > int64(s.Connections) && !s.Shortfall {
		g.faults["sale that could not be sent in time"] += r.Behind
	}
	r.Faults, r.Refused = g.faults, g.refused
	return r, nil
}

// slice is how long a percentile is taken over, with Rate: so long that it stands
// on hundreds of answers at a thousand a second.
func (s *Spec) slice() time.Duration {
	if s.Rate > 0 {
		return cmp.Or(s.Slice, 500*time.Millisecond)
	}
	return s.Window
}

// spent is the processor time at a moment: of the system under test, in the ticks of its
// parts, and of the machine.
type spent struct {
	cpu, machine time.Duration
	user, system int64
}

func look(pid int) (c spent, err error) {
	if c.cpu, err = proc.CPU(pid); err != nil {
		return c, err
	}
	if c.user, c.system, err = proc.Split(pid); err != nil {
		return c, err
	}
	c.machine, err = proc.Busy()
	return c, err
}

// charge books what came between two moments.
func (r *Result) charge(before, after spent) {
	r.CPU, r.Machine = after.cpu-before.cpu, after.machine-before.machine
	user, system := after.user-before.user, after.system-before.system
	if all := user + system; all > 0 {
		r.User = time.Duration(float64(r.CPU) * float64(user) / float64(all))
		r.System = r.CPU - r.User
	}
}

// marked is the window between two marks, if there are to be any.
func (g *generator) marked(mark func() error) (r Result, err error) {
	if !g.spec.Marks {
		return g.window()
	}
	if err := mark(); err != nil {
		return r, err
	}
	if r, err = g.window(); err != nil {
		return r, err
	}
	return r, mark()
}

// window measures.
func (g *generator) window() (r Result, err error) {
	before, err := look(g.spec.PID)
	if err != nil {
		return r, err
	}
	began, held := time.Now(), g.pacer.held
	whole := newHistogram()
	for at := time.Duration(0); at < g.spec.Window; {
		end := min(at+g.spec.slice(), g.spec.Window)
		g.latency.Reset()
		if err := g.beats(&r, began, at, end); err != nil {
			return r, err
		}
		at = end
		switch {
		case g.spec.Rate == 0:
		case g.latency.TotalCount() == 0: // nobody was answered: it took no less than this
			r.SliceP99 = append(r.SliceP99, float64(g.spec.slice().Microseconds()))
		default:
			r.SliceP99 = append(r.SliceP99, float64(g.latency.ValueAtQuantile(99))/1e3)
		}
		whole.Merge(g.latency)
	}
	end := time.Now()
	r.Seconds = end.Sub(began).Seconds()
	after, err := look(g.spec.PID)
	if err != nil {
		return r, err
	}
	r.charge(before, after)
	r.Answers = whole.TotalCount()
	if g.paced() {
		r.Behind = g.pacer.behind(end)
		r.Unsent = g.pacer.held - held + r.Behind
		g.book(end, func(took time.Duration) { _ = whole.RecordValue(int64(min(took, time.Minute))) })
	}
	return r, r.distribution(whole)
}

// distribution books the latencies.
func (r *Result) distribution(whole *hdrhistogram.Histogram) error {
	encoded, err := whole.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return err
	}
	r.Histogram = string(encoded)
	micros := func(q float64) float64 { return float64(whole.ValueAtQuantile(q)) / 1e3 }
	r.P50, r.P99 = micros(50), micros(99)
	for _, q := range Quantiles {
		r.Percentiles = append(r.Percentiles, micros(q))
	}
	return nil
}

// beats runs the loop from one moment of the window to another and counts the answers
// of each beat. The clock is read anew, since a machine that stood still makes one longer.
func (g *generator) beats(r *Result, began time.Time, at, end time.Duration) error {
	last, before := began.Add(at), int64(0)
	for at < end {
		at = min(at+beat, end)
		if err := g.until(began.Add(at)); err != nil {
			return err
		}
		now, count := g.clock, g.latency.TotalCount()
		if took := now.Sub(last).Seconds(); took > 0 {
			r.OverTime = append(r.OverTime, float64(count-before)/took)
		}
		last, before = now, count
	}
	return nil
}

// Hold opens all connections, sends one sale on each (unless Silent), waits for the answers and
// calls held while everything is idle.
func Hold(s Spec, held func() error) error {
	s.Reconnect = false
	g, err := open(&s)
	if err != nil {
		return err
	}
	defer g.close()
	if err := g.start(); err != nil {
		return err
	}
	if err := g.drain(); err != nil {
		return err
	}
	for fault, n := range g.faults {
		return fmt.Errorf("load: %d × %s", n, fault)
	}
	return held()
}

// newHistogram holds nanoseconds up to a minute with an error below 1 %.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(time.Minute), 2)
}

// requests makes the sales of all terminals and the MACs that were asked for,
// on all processors.
func requests(s *Spec) ([]terminal, error) {
	list := make([]terminal, s.Terminals)
	failed := make([]error, runtime.NumCPU())
	var wg sync.WaitGroup
	for worker := range failed {
		wg.Go(func() {
			for i := worker; i < len(list); i += len(failed) {
				t := sale.NewTerminal(s.First + i)
				r, err := newRequest(s, &t)
				if err != nil {
					failed[worker] = err
					return
				}
				list[i] = newTerminal(s, r)
			}
		})
	}
	wg.Wait()
	return list, errors.Join(failed...)
}

func newRequest(s *Spec, t *sale.Terminal) (*sale.Request, error) {
	if s.Enquiry {
		return sale.NewEnquiry(t)
	}
	return sale.NewRequest(t, s.PIN)
}

// terminal is a sale and the trace number that its next request gets. After
// last comes first again.
type terminal struct {
	req   *sale.Request
	next  uint32
	first uint32
	last  uint32
}

// newTerminal prepares MACs. Where nobody refuses a repeated trace number, the
// numbers stay within what was prepared, so a run of any length costs the
// generator the same. Numbers start again after a multiple of the session's
// ring, or they would meet those that are still under way in it.
func newTerminal(s *Spec, r *sale.Request) terminal {
	ring := uint32(s.ring())
	n := uint32(s.Ahead/s.Terminals) / ring * ring
	r.Prepare(s.FirstTrace, int(n))
	t := terminal{req: r, next: s.FirstTrace, first: 1, last: sale.MaxTrace / ring * ring}
	if s.Echo && n > ring {
		t.first, t.last = s.FirstTrace, s.FirstTrace+n-1
	}
	return t
}

// ring is how many requests a session can tell apart by their trace numbers, a
// power of two: more than are under way, because answers come in any order.
func (s *Spec) ring() int {
	n, most := 1, 4*s.Depth
	if s.Loose {
		most *= 16
	}
	for n < most && s.Depth > 1 {
		n *= 2
	}
	return n
}

func (t *terminal) frame() (frame []byte, trace uint32) {
	trace = t.next
	if t.next++; t.next > t.last {
		t.next = t.first
	}
	return t.req.Frame(trace), trace
}
