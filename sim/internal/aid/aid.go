// Package aid holds what the simulated bank and the simulated terminals share.
package aid

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
)

// Pauses between attempts to connect: the first, and what doubling ends at.
const (
	FirstPause = 100 * time.Millisecond
	LastPause  = 5 * time.Second
)

// Pause waits for d, a quarter more or less so that many do not come at once.
// It says whether ctx still lives.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d*3/4 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Logger makes a nil logger a silent one.
func Logger(l *zap.Logger) *zap.Logger {
	if l == nil {
		return zap.NewNop()
	}
	return l
}

// AppendDigits appends v modulo 10^n as n decimal digits.
func AppendDigits(dst []byte, v uint64, n int) []byte {
	at := len(dst)
	for range n {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; i >= at; i-- {
		dst[i] += byte(v % 10)
		v /= 10
	}
	return dst
}
