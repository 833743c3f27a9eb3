package sim

import (
	"context"
	"errors"
	"net"
	"time"

	"go.uber.org/zap"
)

// HSMConfig describes a security module that answers host commands under the
// public test LMK.
type HSMConfig struct {
	Listen    string        // for RunHSM; port 0 takes a free one
	HeaderLen int           // characters of the message header, 4 when 0
	Delay     time.Duration // before each answer; commands of a connection stay pipelined
	Log       *zap.Logger   // nil = silent
}

// ServeHSM answers host commands on every connection of ln until ctx ends, then
// closes ln and waits for its goroutines.
func ServeHSM(ctx context.Context, ln net.Listener, cfg HSMConfig) error {
	return errors.ErrUnsupported
}
