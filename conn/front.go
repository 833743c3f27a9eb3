package conn

import (
	"context"
	"errors"
	"net"
)

// Front is a running set of loops with their listeners and links.
type Front struct{}

// Start opens the listeners, starts the loops and begins to dial the links.
// newHandler is called once per loop, before anything happens on it.
func Start(cfg Config, newHandler func(Loop) Handler) (*Front, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return nil, errors.ErrUnsupported
}

// Addr is where a listener listens, by its index in Config.Listeners.
func (f *Front) Addr(listener int) net.Addr { return nil }

// Stop accepts and dials no more, sends what waits, closes all, and returns
// when the loops have ended or, with ctx's error, soon after ctx is done.
func (f *Front) Stop(ctx context.Context) error { return nil }

// Stats counts since Start. It may be called from any goroutine.
func (f *Front) Stats() Stats { return Stats{} }
