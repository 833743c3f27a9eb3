package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"tongka/bench/internal/load"
	"tongka/bench/internal/proc"
)

// Counts are what the switch takes for one transaction, counted in a measurement of its
// own behind the rounds: who counts system calls slows every one of them down. A figure that
// this machine does not give is null, and Unmeasured says why.
type Counts struct {
	Allocs     *float64 `json:"allocs_per_txn"`      // objects on the heap
	AllocBytes *float64 `json:"alloc_bytes_per_txn"` // and their size
	Syscalls   *float64 `json:"syscalls_per_txn"`    // of all threads
	Disk       *float64 `json:"disk_bytes_per_txn"`  // written to the device of the data folder, by anybody
	Written    *float64 `json:"written_bytes_per_txn"`
	Memory     *float64 `json:"rss_bytes"` // at the end, of the process
	// Unmeasured says of a figure why there is none.
	Unmeasured map[string]string `json:"unmeasured,omitempty"`
}

// put books a figure or why there is none.
func (c *Counts) put(to **float64, name string, v float64, err error) {
	if err == nil {
		*to = &v
		return
	}
	if c.Unmeasured == nil {
		c.Unmeasured = map[string]string{}
	}
	c.Unmeasured[name] = err.Error()
}

// tally is one look at all counters. An error stands for its counter alone.
type tally struct {
	objects, bytes, calls, device, written float64
	heapErr, callsErr, deviceErr, writeErr error
}

// counters are those of the switch under test.
type counters struct {
	b        *bench
	calls    *proc.Syscalls
	callsErr error
	scrape   tally // what one look costs the switch itself
}

// look reads the cheap counters last at the window's start and first at its end, so that
// asking the console lies outside of them.
func (c *counters) look(ctx context.Context, atEnd bool) (t tally) {
	quick := func() {
		if t.callsErr = c.callsErr; t.callsErr == nil {
			var n uint64
			n, t.callsErr = c.calls.Count()
			t.calls = float64(n)
		}
		var n int64
		n, t.deviceErr = proc.DeviceWritten(c.b.dir)
		t.device = float64(n)
		n, t.writeErr = proc.Written(c.b.sw.pid)
		t.written = float64(n)
	}
	if atEnd {
		quick()
	}
	t.look(ctx, c.b)
	if !atEnd {
		quick()
	}
	return t
}

// look asks the console for what the switch has allocated.
func (t *tally) look(ctx context.Context, b *bench) {
	t.objects, t.bytes, t.heapErr = heapOf(ctx, b.console)
}

// heapOf gives the objects and bytes that a switch has allocated since its start, as
// runtime.ReadMemStats counts them. The counters among its metrics are of no use for a few
// thousand objects: they take an object into account when the span that it lies in is full,
// up to a thousand at once, whenever these were made.
func heapOf(ctx context.Context, console netip.AddrPort) (objects, bytes float64, err error) {
	raw, err := askConsole(ctx, console, "/debug/vars")
	if err != nil {
		return 0, 0, err
	}
	var vars struct {
		Memstats struct{ Mallocs, TotalAlloc *float64 }
	}
	if err := json.Unmarshal(raw, &vars); err != nil {
		return 0, 0, fmt.Errorf("bench: the switch's /debug/vars: %w", err)
	}
	m := vars.Memstats
	if m.Mallocs == nil || m.TotalAlloc == nil {
		return 0, 0, errors.New("bench: the switch's /debug/vars does not say memstats.Mallocs and TotalAlloc")
	}
	return *m.Mallocs, *m.TotalAlloc, nil
}

// calibrate finds what a look allocates in the switch: the least of three while nobody
// sells.
func (c *counters) calibrate(ctx context.Context) {
	var last tally
	last.look(ctx, c.b)
	for i := range 3 {
		var now tally
		now.look(ctx, c.b)
		if objects, bytes := now.objects-last.objects, now.bytes-last.bytes; i == 0 || objects < c.scrape.objects {
			c.scrape.objects, c.scrape.bytes = objects, bytes
		}
		last = now
	}
}

// census counts what the switch takes for a transaction of a shape.
func (b *bench) census(ctx context.Context, name string) (counts *Counts, err error) {
	c := &counters{b: b}
	c.calibrate(ctx)
	c.calls, c.callsErr = proc.CountSyscalls(b.sw.pid)
	if c.callsErr == nil {
		defer func() { err = errors.Join(err, c.calls.Close()) }()
	}
	s := b.spec(&b.sw, name)
	s.Marks = true
	gen, err := b.startLoad(ctx, &b.sw, s)
	if err != nil {
		return nil, err
	}
	var looks [2]tally
	for i := range looks {
		var m mark
		if err := gen.hear(&m); err != nil {
			return nil, fmt.Errorf("%s: %w", name, errors.Join(err, context.Cause(ctx)))
		}
		looks[i] = c.look(ctx, i == 1)
	}
	memory, memoryErr := proc.RSS(b.sw.pid)
	r, err := loaded(ctx, gen)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	counts = &Counts{}
	counts.add(&looks[0], &looks[1], &c.scrape, &r)
	counts.put(&counts.Memory, "rss_bytes", float64(memory), memoryErr)
	return counts, nil
}

// add books the differences, per answer.
func (c *Counts) add(before, after, scrape *tally, r *load.Result) {
	each := func(v float64) float64 { return max(v, 0) / float64(r.Answers) }
	c.put(&c.Allocs, "allocs_per_txn", each(after.objects-before.objects-scrape.objects), errors.Join(before.heapErr, after.heapErr))
	c.put(&c.AllocBytes, "alloc_bytes_per_txn", each(after.bytes-before.bytes-scrape.bytes), errors.Join(before.heapErr, after.heapErr))
	c.put(&c.Syscalls, "syscalls_per_txn", each(after.calls-before.calls), errors.Join(before.callsErr, after.callsErr))
	c.put(&c.Disk, "disk_bytes_per_txn", each(after.device-before.device), errors.Join(before.deviceErr, after.deviceErr))
	c.put(&c.Written, "written_bytes_per_txn", each(after.written-before.written), errors.Join(before.writeErr, after.writeErr))
}

// print writes a line of all counts, and one of what could not be counted.
func (c *Counts) print(w io.Writer, indent string) {
	var parts []string
	say := func(v *float64, format string) {
		if v != nil {
			parts = append(parts, fmt.Sprintf(format, *v))
		}
	}
	say(c.Allocs, "分配 allocations %.3f")
	say(c.Syscalls, "系统调用 system calls %.2f")
	say(c.Written, "写盘 to disk %.0f B")
	say(c.Disk, "设备写入 by the device %.0f B")
	if c.Memory != nil {
		parts = append(parts, fmt.Sprintf("内存 memory %.1f MiB", *c.Memory/(1<<20)))
	}
	if len(parts) > 0 {
		fmt.Fprintf(w, "%s每笔 each: %s\n", indent, strings.Join(parts, "，"))
	}
	for _, name := range []string{"allocs_per_txn", "syscalls_per_txn", "disk_bytes_per_txn", "written_bytes_per_txn", "rss_bytes"} {
		if why, ok := c.Unmeasured[name]; ok {
			fmt.Fprintf(w, "%s未测得 not measured: %s：%s\n", indent, name, strings.ReplaceAll(why, "\n", "; "))
		}
	}
}
