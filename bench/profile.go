package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tongka/bench/flame"
	"tongka/bench/internal/proc"
)

// mostProfile is how long a profile may take: the console ends every answer after ten
// seconds.
const mostProfile = 8 * time.Second

// profiles are what is taken of the switch under load, at the same time.
var profiles = []struct{ name, path, kind, about string }{
	{"cpu", "profile", "cpu", "CPU"},
	{"allocs", "allocs", "alloc_space", "分配 allocations"},
}

// profile draws, in place of a measurement, where the switch spends its processor time
// and what it allocates, in each shape. The files are in a folder: SHAPE.cpu.html,
// SHAPE.allocs.html, and the profiles for go tool pprof beside them.
func (b *bench) profile(ctx context.Context) error {
	if err := os.MkdirAll(b.o.Profile, 0o755); err != nil {
		return err
	}
	b.bar.begin(len(b.o.Shape))
	defer b.bar.end()
	for _, name := range b.o.Shape {
		b.bar.step(name)
		if err := b.profileShape(ctx, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (b *bench) profileShape(ctx context.Context, name string) error {
	// Longer than the profiles, which begin when the load has. MACs are not made ahead, so
	// that it begins at once.
	s := b.spec(&b.sw, name)
	s.Ahead, s.Window = 0, b.o.window()+2*time.Second
	c, err := b.startLoad(ctx, &b.sw, s)
	if err != nil {
		return err
	}
	if err := b.untilBusy(ctx); err != nil {
		return errors.Join(err, c.stop())
	}
	taken := make(chan error, len(profiles))
	for _, p := range profiles {
		go func() {
			raw, err := b.fetch(ctx, p.path)
			if err == nil {
				err = b.draw(name, p.name, p.kind, p.about, raw)
			}
			taken <- err
		}()
	}
	for range profiles {
		err = errors.Join(err, <-taken)
	}
	_, bad := loaded(ctx, c)
	return errors.Join(err, bad)
}

// busyFor is the processor time that a switch has used once the terminals are connected
// and sell.
const busyFor = 300 * time.Millisecond

// untilBusy asks the clock of the switch's process, since there is nobody to tell it when
// a load has begun.
func (b *bench) untilBusy(ctx context.Context) error {
	before, err := proc.CPU(b.sw.pid)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, errors.New("bench: the switch does nothing"))
	defer cancel()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for {
		now, err := proc.CPU(b.sw.pid)
		if err != nil || now-before > busyFor {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-every.C:
		}
	}
}

// fetch takes one profile of the switch, over the window.
func (b *bench) fetch(ctx context.Context, path string) ([]byte, error) {
	return askConsole(ctx, b.console, fmt.Sprintf("/debug/pprof/%s?seconds=%d", path, int(b.o.window().Seconds())))
}

func (b *bench) draw(shape, name, kind, about string, raw []byte) error {
	base := filepath.Join(b.o.Profile, shape+"."+name)
	if err := os.WriteFile(base+".pb.gz", raw, 0o644); err != nil {
		return err
	}
	w, err := os.Create(base + ".html")
	if err != nil {
		return err
	}
	heading := fmt.Sprintf("%s %s：%s，%g s", shape, shapes[shape].about, about, b.o.window().Seconds())
	err = errors.Join(flame.HTML(w, heading, bytes.NewReader(raw), kind), w.Close())
	if err == nil {
		fmt.Fprintf(b.errors, "已写 written: %s\n", w.Name())
	}
	return err
}
