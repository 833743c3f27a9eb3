package bench

import (
	"context"
	"net/netip"

	"tongka/bench/internal/load"
	"tongka/bench/peers/forward"
	"tongka/bench/peers/moov"
)

// noPeers is the word for a run without any.
const noPeers = "none"

// peer is another way to write a relay, measured in the same rounds. One that
// translates connects to the centre's door of the bank and approves; one that forwards
// connects to the raw door, whose answers are the requests. One that translates knows sales
// only, and has no part in a mix.
type peer struct {
	about     string
	translate bool
	start     func(bank netip.AddrPort) (stopper, netip.AddrPort, error)
}

var peers = map[string]peer{
	"net": {about: "net 转发 net", start: func(a netip.AddrPort) (stopper, netip.AddrPort, error) { return forward.Start(a) }},
	"moov": {about: "moov 转换 moov", translate: true,
		start: func(a netip.AddrPort) (stopper, netip.AddrPort, error) { return moov.Start(a) }},
}

// startPeers starts those that take part, in the order of the command line. Silent
// ones cost nothing while others are measured. The caller stops them.
func (b *bench) startPeers(ctx context.Context, bank bankReady) (started []*child, err error) {
	// Both have a goroutine for each connection or message, and the scheduler may leave one behind.
	for _, name := range b.o.peerNames() {
		p, door := peers[name], bank.Raw
		if p.translate {
			door = bank.Centre
		}
		c, at, err := b.startRelay(ctx, name, door)
		if err != nil {
			return started, err
		}
		started = append(started, c)
		b.peers = append(b.peers, target{name, c.cmd.Process.Pid, load.Spec{Address: at, Echo: !p.translate, Loose: true}, false})
	}
	return started, nil
}
