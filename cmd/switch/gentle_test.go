package main

import (
	"context"
	"testing"
	"time"
)

func TestRests(t *testing.T) {
	r := &rests{ctx: t.Context(), share: 0.25}
	for _, x := range []struct{ used, want time.Duration }{
		{5 * time.Second, 0}, // began late
		{5*time.Second + 10*time.Millisecond, 30 * time.Millisecond},
		{5*time.Second + 10*time.Millisecond, 0},
		{6*time.Second + 10*time.Millisecond, 3 * time.Second},
	} {
		if got := r.length(x.used); got != x.want {
			t.Errorf("after %v: %v, want %v", x.used, got, x.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	(&rests{ctx: ctx, share: 1e-9, used: 1}).now() // a rest of years ends with the run
}
