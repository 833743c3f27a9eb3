// Package gate decides by the address alone who may come in, before a connection
// has cost anything.
package gate

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Config is what a gate looks at. The zero value lets everybody in.
type Config struct {
	Allow []netip.Prefix // who may come; empty is everybody
	Deny  []netip.Prefix // who may not, even when allowed

	// Of one address (of IPv6: one /64, which is one subscriber):
	MaxConns      int // connections at once; 0 is any number
	Connects      int // a second, on average; 0 is any number
	Burst         int // connects in one moment; default Connects
	MaxHandshakes int // TLS handshakes under way; default 64

	// Strikes are how often an address may send what is no frame or no TLS within
	// StrikeTime; then it is shut out for ShutOut. 0 never shuts out.
	Strikes    int
	StrikeTime time.Duration // default 1 min
	ShutOut    time.Duration // default 5 min
}

const (
	defaultHandshakes = 64
	defaultStrikeTime = time.Minute
	defaultShutOut    = 5 * time.Minute
)

// spare is how many addresses without a connection are remembered at most.
const spare = 1 << 14

// Validate reports every fault at once.
func (c *Config) Validate() error {
	var all []error
	for i, p := range c.Allow {
		if !p.IsValid() {
			all = append(all, fmt.Errorf("allow[%d] is no prefix", i))
		}
	}
	for i, p := range c.Deny {
		if !p.IsValid() {
			all = append(all, fmt.Errorf("deny[%d] is no prefix", i))
		}
	}
	for name, v := range map[string]int64{"connections": int64(c.MaxConns), "connects": int64(c.Connects), "burst": int64(c.Burst),
		"handshakes": int64(c.MaxHandshakes), "strikes": int64(c.Strikes), "strike time": int64(c.StrikeTime), "shut-out": int64(c.ShutOut)} {
		if v < 0 {
			all = append(all, fmt.Errorf("%s of an address is negative", name))
		}
	}
	if c.Burst > 0 && c.Connects == 0 {
		all = append(all, errors.New("a burst without connects a second limits nothing"))
	}
	return errors.Join(all...)
}

// Verdict says what becomes of a caller.
type Verdict uint8

const (
	In      Verdict = iota
	Denied          // not allowed, or denied
	TooMany         // connections of its address
	TooFast         // connects of its address
	ShutOut         // for a while, for the rubbish that it sent
)

// Gate keeps account of addresses. It is safe for all goroutines; the hot path
// never comes here.
type Gate struct {
	mu          sync.Mutex
	cfg         Config
	allow, deny *set
	guests      map[netip.Addr]*Guest
	idle        int // guests that have no connection
}

// Guest is one address; its fields belong to its gate.
type Guest struct {
	addr     netip.Addr
	open     int
	greeting int     // handshakes under way
	tokens   float64 // connects left
	filled   int64   // unix ns of tokens
	strikes  int
	first    int64 // unix ns of the first strike that counts
	until    int64 // unix ns: shut out before
}

// New makes a gate.
func New(c Config) *Gate {
	g := &Gate{guests: map[netip.Addr]*Guest{}}
	g.Set(c)
	return g
}

// Set replaces the configuration. Whoever is in stays in, and is counted.
func (g *Gate) Set(c Config) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.Burst = or(c.Burst, c.Connects)
	c.MaxHandshakes = or(c.MaxHandshakes, defaultHandshakes)
	c.StrikeTime, c.ShutOut = or(c.StrikeTime, defaultStrikeTime), or(c.ShutOut, defaultShutOut)
	g.cfg, g.allow, g.deny = c, newSet(c.Allow), newSet(c.Deny)
	for _, x := range g.guests {
		x.tokens = min(x.tokens, float64(c.Burst))
	}
}

// Enter asks for an address at a time (unix ns). A guest that is In must Leave.
func (g *Gate) Enter(a netip.Addr, now int64) (*Guest, Verdict) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a = a.Unmap().WithZone("")
	if g.deny.contains(a) || len(g.cfg.Allow) > 0 && !g.allow.contains(a) {
		return nil, Denied
	}
	x := g.guest(a, now)
	x.until = min(x.until, now+int64(g.cfg.ShutOut)) // the clock may have been set back
	switch {
	case now < x.until:
		return nil, ShutOut
	case g.cfg.MaxConns > 0 && x.open >= g.cfg.MaxConns:
		return nil, TooMany
	case g.cfg.Connects > 0 && !x.spend(now, float64(g.cfg.Connects), float64(g.cfg.Burst)):
		return nil, TooFast
	}
	if x.open == 0 {
		g.idle--
	}
	x.open++
	return x, In
}

// Subscriber is the address that one subscriber counts as: of IPv6, which hands
// them out by the /64, the first of its network.
func Subscriber(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); !a.Is6() {
		return a
	}
	p, _ := a.Prefix(64) // has an error for more bits than there are
	return p.Addr()
}

// guest finds the address, or takes it up.
func (g *Gate) guest(a netip.Addr, now int64) *Guest {
	a = Subscriber(a)
	if x := g.guests[a]; x != nil {
		return x
	}
	if g.idle >= spare {
		g.forget(now)
	}
	x := &Guest{addr: a, tokens: float64(g.cfg.Burst), filled: now}
	g.guests[a] = x
	g.idle++
	return x
}

// forget drops one address without a connection: of some that the map gives at
// random, one that is not shut out, or else the one that is for the shortest time.
func (g *Gate) forget(now int64) {
	var worst *Guest
	tries := 0
	for _, x := range g.guests {
		if x.open > 0 {
			continue
		}
		if worst == nil || x.until < worst.until {
			worst = x
		}
		if tries++; tries == 8 || worst.until <= now {
			break
		}
	}
	if worst != nil {
		delete(g.guests, worst.addr)
		g.idle--
	}
}

// spend takes one connect out of the bucket, if there is one.
func (x *Guest) spend(now int64, rate, burst float64) bool {
	if now > x.filled {
		x.tokens = min(burst, x.tokens+rate*float64(now-x.filled)/1e9)
	}
	x.filled = now // also backwards: a clock set back must not stop the refill
	if x.tokens < 1 {
		return false
	}
	x.tokens--
	return true
}

// Leave ends a connection of the guest. A guest about whom nothing is worth
// knowing is forgotten at once.
func (g *Gate) Leave(x *Guest, now int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if x.open--; x.open > 0 {
		return
	}
	g.idle++
	if g.cfg.Connects == 0 && x.strikes == 0 && now >= x.until {
		delete(g.guests, x.addr)
		g.idle--
	}
}

// Greet begins a TLS handshake of a guest, false when too many are under way.
func (g *Gate) Greet(x *Guest) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if x.greeting >= g.cfg.MaxHandshakes {
		return false
	}
	x.greeting++
	return true
}

// Greeted ends a handshake.
func (g *Gate) Greeted(x *Guest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x.greeting--
}

// Strike notes that a guest who has not left sent rubbish, and says whether its
// address is shut out from now.
func (g *Gate) Strike(x *Guest, now int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cfg.Strikes == 0 {
		return false
	}
	if now-x.first > int64(g.cfg.StrikeTime) {
		x.strikes, x.first = 0, now
	}
	if x.strikes++; x.strikes < g.cfg.Strikes {
		return false
	}
	x.strikes, x.until = 0, now+int64(g.cfg.ShutOut)
	return true
}

// or is v, or its default when v is zero.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
