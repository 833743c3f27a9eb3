package sim

import (
	"context"
	"errors"
	"io"
	"time"
)

// Report says how a Run function tells what it does.
type Report struct {
	JSON  bool          // no status line; the summary is one JSON object
	Every time.Duration // between status lines, 1 s when 0
}

// RunBank runs a bank until ctx ends.
func RunBank(ctx context.Context, cfg BankConfig, r Report, out io.Writer) error {
	return errors.ErrUnsupported
}

// RunFleet runs a fleet until its Sales are made or ctx ends, then settles it
// for at most settle.
func RunFleet(ctx context.Context, cfg FleetConfig, settle time.Duration, r Report, out io.Writer) error {
	return errors.ErrUnsupported
}

// RunHSM runs a security module until ctx ends.
func RunHSM(ctx context.Context, cfg HSMConfig, r Report, out io.Writer) error {
	return errors.ErrUnsupported
}

// RunCompare compares books on disk; the error says that money is missing.
func RunCompare(terminals, banks []string, r Report, out io.Writer) error {
	return errors.ErrUnsupported
}
