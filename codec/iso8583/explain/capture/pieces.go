package capture

import (
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/ip4defrag"
	"github.com/gopacket/gopacket/layers"
)

// pieces puts IPv4 datagrams together that came in fragments. Those of IPv6 are
// only counted: no host sends TCP so unless it is made to.
type pieces struct {
	whole *ip4defrag.IPv4Defragmenter
	open  map[datagram]int // fragments that wait for others
	lost  int              // fragments that nothing can be made of
	bytes int              // of all fragments; they are kept
}

// datagram is what its fragments have in common.
type datagram struct {
	flow gopacket.Flow
	id   uint16
}

func newPieces() pieces {
	return pieces{whole: ip4defrag.NewIPv4Defragmenter(), open: map[datagram]int{}}
}

// add takes a fragment, and gives the datagram that it makes whole, or nil.
func (p *pieces) add(v4 *layers.IPv4) *layers.IPv4 {
	key := datagram{v4.NetworkFlow(), v4.Id}
	p.bytes += len(v4.Payload)
	all, err := p.whole.DefragIPv4(v4)
	switch {
	case err != nil: // its others wait in vain
		p.lost++
		return nil
	case all == nil:
		p.open[key]++
		return nil
	}
	delete(p.open, key)
	return all
}

// unused is how many fragments served for nothing.
func (p *pieces) unused() int {
	n := p.lost
	for _, some := range p.open {
		n += some
	}
	return n
}
