package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"tongka/bench/internal/bank"
	"tongka/bench/internal/crowd"
	"tongka/bench/internal/load"
	"tongka/bench/internal/relay"
	"tongka/sim"
)

// roleFlag is the hidden first argument of the processes that the bench starts.
const roleFlag = "--role"

// Roles. Each runs in a process of its own, so that its processor time is its
// own and the kernel schedules it like the machines that it stands for.
const (
	roleBank  = "bank"
	roleRelay = "relay" // the raw relay; peers have roles by their names
	roleLoad  = "load"
	roleHold  = "hold"
	roleCrowd = "crowd"
	roleHSM   = "hsm"
)

// bankReady, relayReady and held are what parts say when they are ready.
type bankReady struct {
	Raw    netip.AddrPort `json:"raw"`
	Centre netip.AddrPort `json:"centre"`
}

type relaySpec struct {
	Bank netip.AddrPort `json:"bank"`
}

type relayReady struct {
	Address netip.AddrPort `json:"address"`
}

// mark is what the load generator says as its window begins and ends.
type mark struct{}

// hsmSpec is the security module behind a socket.
type hsmSpec struct {
	Delay time.Duration `json:"delay"`
}

type held struct {
	Connections int `json:"connections"`
}

// role is the main function of a part: one line of JSON in says what to do,
// lines of JSON out say what came of it, and the end of in ends it.
func role(name string, in io.Reader, out, complaints io.Writer) int {
	if err := play(name, json.NewDecoder(in), json.NewEncoder(out), complaints); err != nil {
		fmt.Fprintf(complaints, "bench: %s: %v\n", name, err)
		return 1
	}
	return 0
}

func play(name string, in *json.Decoder, out *json.Encoder, complaints io.Writer) error {
	switch name {
	case roleBank:
		return playBank(in, out, complaints)
	case roleRelay:
		return playRelay(in, out, startRaw)
	case roleLoad:
		var s load.Spec
		if err := in.Decode(&s); err != nil {
			return err
		}
		r, err := load.Run(s, func() error { return out.Encode(mark{}) })
		if err != nil {
			return err
		}
		return out.Encode(r)
	case roleHold:
		var s load.Spec
		if err := in.Decode(&s); err != nil {
			return err
		}
		return load.Hold(s, func() error {
			if err := out.Encode(held{s.Connections}); err != nil {
				return err
			}
			return untilEnd(in)
		})
	case roleHSM:
		return playHSM(in, out)
	case roleCrowd:
		return playCrowd(in, out)
	}
	if p, ok := peers[name]; ok {
		return playRelay(in, out, p.start)
	}
	return fmt.Errorf("no such role")
}

// playCrowd says when all are there, and at the end of its input what they did.
func playCrowd(in *json.Decoder, out *json.Encoder) error {
	var s crowd.Spec
	if err := in.Decode(&s); err != nil {
		return err
	}
	stop := make(chan struct{})
	ready := func() error {
		go func() {
			_ = untilEnd(in)
			close(stop)
		}()
		return out.Encode(held{s.Connections})
	}
	r, err := crowd.Run(s, ready, stop)
	if err != nil {
		return err
	}
	return out.Encode(r)
}

// playBank says where both doors are and serves until the end of its input.
func playBank(in *json.Decoder, out *json.Encoder, complaints io.Writer) error {
	var p bank.Profile
	if err := in.Decode(&p); err != nil {
		return err
	}
	b, err := bank.Open(p)
	if err != nil {
		return err
	}
	if err := out.Encode(bankReady{b.Raw(), b.Centre()}); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- b.Run(complaints) }()
	go func() {
		_ = untilEnd(in)
		b.Stop()
	}()
	return <-ended
}

// playHSM is a module behind a socket, under the test LMK, that takes a time for each command.
func playHSM(in *json.Decoder, out *json.Encoder) error {
	var s hsmSpec
	if err := in.Decode(&s); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- sim.ServeHSM(ctx, ln, sim.HSMConfig{Delay: s.Delay}) }()
	if err := out.Encode(relayReady{ln.Addr().(*net.TCPAddr).AddrPort()}); err != nil {
		return err
	}
	go func() {
		_ = untilEnd(in)
		cancel()
	}()
	return <-ended
}

// stopper is a relay of any make that runs.
type stopper interface{ Stop() error }

func startRaw(bank netip.AddrPort) (stopper, netip.AddrPort, error) { return relay.Start(bank) }

// playRelay says where terminals connect once the bank is connected.
func playRelay(in *json.Decoder, out *json.Encoder, start func(netip.AddrPort) (stopper, netip.AddrPort, error)) error {
	var s relaySpec
	if err := in.Decode(&s); err != nil {
		return err
	}
	r, at, err := start(s.Bank)
	if err != nil {
		return err
	}
	if err := out.Encode(relayReady{at}); err != nil {
		return err
	}
	_ = untilEnd(in)
	return r.Stop()
}

// untilEnd waits for the end of in.
func untilEnd(in *json.Decoder) error {
	var more json.RawMessage
	switch err := in.Decode(&more); err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("unexpected %s", more)
	default:
		return err
	}
}
