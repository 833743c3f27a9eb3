package bench

import (
	"context"
	"fmt"
	"time"

	"tongka/bench/internal/load"
	"tongka/bench/internal/proc"
)

// idleTerminals is how many terminals the memory measurement uses: half to make
// the switch do work before, half for the connections, several of which may
// belong to one.
const idleTerminals = 100

// Idle is the memory of terminals that are connected and silent.
type Idle struct {
	Connections int     `json:"connections"`
	Before      int64   `json:"rss_before"` // bytes in RAM, after work and without them
	After       int64   `json:"rss_after"`
	Each        float64 `json:"bytes_per_terminal"`
}

// idle measures what a silent terminal costs a switch that has worked: first
// some sales, then as many terminals as are to be measured come, sell once and
// go, so that tables, pools and heap have the size that work gives them. What
// the process grows by when they come again, and say nothing, is theirs.
func (b *bench) idle(ctx context.Context) (*Idle, error) {
	s := b.sw.spec
	s.Connections, s.Depth, s.Terminals = idleTerminals/2, 1, idleTerminals/2
	s.Window = time.Second
	if _, err := b.load(ctx, &b.sw, s); err != nil {
		return nil, fmt.Errorf("idle: %w", err)
	}
	s.Connections, s.First, s.FirstTrace, s.Drain = b.o.Idle, b.fresh, 1, 10*time.Second
	b.fresh += s.Terminals
	_, before, err := b.hold(ctx, s, false)
	if err != nil {
		return nil, err
	}
	s.Silent = true
	open, after, err := b.hold(ctx, s, true)
	if err != nil {
		return nil, err
	}
	return &Idle{Connections: open, Before: before, After: after, Each: float64(after-before) / float64(open)}, nil
}

// hold lets terminals connect and gives how many did, and the switch's memory
// while they stay, or after they have gone.
func (b *bench) hold(ctx context.Context, s load.Spec, stay bool) (open int, rss int64, err error) {
	c, err := b.role(ctx, roleHold, s)
	if err != nil {
		return 0, 0, err
	}
	var h held
	if err := c.hear(&h); err != nil {
		return 0, 0, fmt.Errorf("idle: %w", err)
	}
	if !stay {
		if err := c.stop(); err != nil {
			return 0, 0, err
		}
		rss, err = settle(ctx, b.sw.pid)
		return h.Connections, rss, err
	}
	if rss, err = settle(ctx, b.sw.pid); err != nil {
		return 0, 0, err
	}
	return h.Connections, rss, c.stop()
}

// settle waits until a process's memory has stood still for four seconds, twenty
// at most (a quiet switch gives memory back after two), and gives its size in bytes.
func settle(ctx context.Context, pid int) (int64, error) {
	const step, still, most = 250 * time.Millisecond, 16, 80
	last, same := int64(-1), 0
	every := time.NewTicker(step)
	defer every.Stop()
	for range most {
		now, err := proc.RSS(pid)
		if err != nil {
			return 0, fmt.Errorf("bench: memory of process %d: %w", pid, err)
		}
		if same++; now != last {
			last, same = now, 0
		}
		if same == still {
			break
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-every.C:
		}
	}
	return last, nil
}
