package aid

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestAppendDigits(t *testing.T) {
	for _, c := range []struct {
		v    uint64
		n    int
		want string
	}{{0, 1, "x0"}, {42, 6, "x000042"}, {1_234_567, 6, "x234567"}, {7, 0, "x"}} {
		if got := string(AppendDigits([]byte("x"), c.v, c.n)); got != c.want {
			t.Errorf("%d in %d digits: %s, want %s", c.v, c.n, got, c.want)
		}
	}
}

func TestPause(t *testing.T) {
	const d = 4 * time.Millisecond
	began := time.Now()
	if !Pause(t.Context(), d) || time.Since(began) < d*3/4 {
		t.Errorf("paused for %v", time.Since(began))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if Pause(ctx, time.Hour) {
		t.Error("a pause outlives its context")
	}
}

func TestLogger(t *testing.T) {
	own := zap.NewExample()
	if Logger(own) != own || Logger(nil) == nil {
		t.Error("a logger was replaced, or none made")
	}
}
