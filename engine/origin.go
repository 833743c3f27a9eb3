package engine

import (
	"net/netip"

	"tongka/router/limit"
)

// origin is an address that terminals call from. Its bucket outlives its connections,
// or one who dials for each request would always find it full.
type origin struct {
	gate limit.Gate
	open int // connections that asked for something
}

// spareOrigins is how many addresses without a connection are remembered, about.
const spareOrigins = 1 << 14

// cameFrom gives what counts the requests of a connection's address, nil where there
// is no limit. It is looked for once for each connection.
func (s *Shard) cameFrom(p *peer, c *FlowControl) *origin {
	if c.Address == (limit.Cap{}) {
		return nil
	}
	if p.origin != nil {
		return p.origin
	}
	o := s.gates.origins[p.from]
	switch {
	case o == nil:
		if s.gates.away >= spareOrigins {
			s.forgetOrigin()
		}
		o = new(origin)
		s.gates.origins[p.from] = o
	case o.open == 0:
		s.gates.away--
	}
	o.open++
	p.origin = o
	return o
}

// leftFrom ends a connection from an address, nil for one that nothing counted.
func (s *Shard) leftFrom(o *origin) {
	if o == nil {
		return
	}
	if o.open--; o.open == 0 {
		s.gates.away++
	}
}

// forgetOrigin drops an address without a connection, of the few at which the map
// begins at random: one with nothing to remember, or else any with nothing under way.
func (s *Shard) forgetOrigin() {
	const most = 8
	tries, found, any := 0, false, netip.Addr{}
	for a, o := range s.gates.origins {
		if o.open == 0 && o.gate.InFlight() == 0 {
			if found, any = true, a; o.gate.Rested(s.now) {
				break
			}
		}
		if tries++; tries == most {
			break
		}
	}
	if found {
		delete(s.gates.origins, any)
		s.gates.away--
	}
}
