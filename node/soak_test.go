package node

import (
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"tongka/codec/iso8583"
)

// soakMinutes says for how long TestFrontSoak plays; without it a few seconds.
const soakMinutes = "TONGKA_SOAK_MINUTES"

// assault is one pattern of a hostile caller: what it does with its connection.
type assault struct {
	name string
	do   func(c caller, r *rand.Rand)
}

func rubbish(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// assaults gives the patterns; each may end before the switch ends it.
func assaults(t *testing.T) []assault {
	good, bad := sale(t, 1, nil), badInputs(t)
	say := func(c caller, b []byte) { _, _ = c.Write(b) }
	hear := func(c caller) { _, _ = io.Copy(io.Discard, c) }
	return []assault{
		{"nothing", func(c caller, _ *rand.Rand) {}},
		{"reset", func(c caller, _ *rand.Rand) { _ = c.SetLinger(0) }},
		{"half a frame, held", func(c caller, r *rand.Rand) { say(c, good[:1+r.IntN(len(good)-1)]); hear(c) }},
		{"half a frame, reset", func(c caller, r *rand.Rand) {
			say(c, good[:1+r.IntN(len(good)-1)])
			_ = c.SetLinger(0)
		}},
		{"half a frame, FIN", func(c caller, r *rand.Rand) { say(c, good[:1+r.IntN(len(good)-1)]); _ = c.CloseWrite(); hear(c) }},
		{"random bytes", func(c caller, r *rand.Rand) { say(c, rubbish(r, 1+r.IntN(5000))); _ = c.CloseWrite(); hear(c) }},
		{"random payloads, well framed", func(c caller, r *rand.Rand) {
			for range 5 {
				say(c, framed(rubbish(r, 1+r.IntN(1000))))
			}
			hear(c)
		}},
		{"a sale with a byte changed, in pieces", func(c caller, r *rand.Rand) {
			b := append([]byte(nil), good...)
			b[2+r.IntN(len(b)-2)] ^= byte(1 + r.IntN(255))
			for len(b) > 0 {
				n := 1 + r.IntN(len(b))
				say(c, b[:n])
				b = b[n:]
			}
			_ = c.CloseWrite()
			hear(c)
		}},
		{"bad input of the table", func(c caller, r *rand.Rand) { say(c, bad[r.IntN(len(bad))].frame); _ = c.CloseWrite(); hear(c) }},
		{"zero or huge length", func(c caller, r *rand.Rand) {
			b := byte(0xFF * r.IntN(2))
			say(c, []byte{b, b})
			hear(c)
		}},
		{"asks much and reads nothing", func(c caller, _ *rand.Rand) {
			unknown := sale(t, 1, func(m []byte) []byte { m[atID+7] = '8'; return m })
			for range 500 {
				if _, err := c.Write(unknown); err != nil {
					return
				}
			}
			_ = c.SetLinger(0)
		}},
	}
}

// TestFrontSoak plays hostile callers at random against a switch with a real
// journal and bank, while an honest terminal makes sales on new connections and on
// one that stays: each is approved, and in the end nothing is left over.
func TestFrontSoak(t *testing.T) {
	length := 2 * time.Second
	if m, err := strconv.ParseFloat(os.Getenv(soakMinutes), 64); err == nil {
		length = time.Duration(m * float64(time.Minute))
	}
	s, logs := startLogged(t)
	patterns := assaults(t)
	addrs := [2]string{s.node.Addr(0).String(), s.node.Addr(1).String()} // plain and TLS
	stop := make(chan struct{})
	var crowd sync.WaitGroup
	played := make([]int, 8) // by each of the crowd
	for i := range played {
		crowd.Go(func() { played[i] = harass(addrs[i%2], i%4 == 1, patterns, rand.New(rand.NewPCG(20, uint64(i))), stop) })
	}
	begin := time.Now()
	warm, early, sales := uint64(0), uint64(0), uint64(0)
	for trace := uint64(2); time.Since(begin) < length; trace = trace%999_998 + 2 {
		v := s.askAt(addrs, trace%2 == 0, sale(t, trace, nil))
		if v == nil || string(v.Field(39)) != "00" {
			t.Errorf("sale %d of an honest terminal is not approved: %v", trace, v)
			break
		}
		if sales++; sales%100 == 0 {
			logs.TakeAll() // the test's own memory of them
		}
		if warm == 0 && time.Since(begin) > length/3 {
			warm, early = heap(), sales
		}
	}
	close(stop)
	crowd.Wait()
	s.until("all slots are free", func() bool { return s.node.Snapshot().InFlight == 0 })
	s.until("only the link is open", func() bool { return s.node.doors().Open == 1 })
	total := 0
	for _, n := range played {
		total += n
	}
	left := heap()
	t.Logf("%d hostile callers, %d honest sales, heap %d KB after a third and %d KB in the end", total, sales, warm>>10, left>>10)
	if sales == 0 || total == 0 {
		t.Error("nothing was played")
	}
	const ledger = 320 // bytes that the simulated bank, in this process, remembers of a sale
	if left > warm+4<<20+(sales-early)*ledger {
		t.Errorf("the heap has grown from %d to %d bytes", warm, left)
	}
	// The sale with a byte changed may be changed in its TPDU only, which no MAC
	// covers: then it is one good sale, and from then on a repeat of it.
	if n := s.bank.Stats().Sales; n != sales && n != sales+1 {
		t.Errorf("the bank saw %d sales, want %d", n, sales)
	}
}

// askAt asks by the plain door, or by the one that speaks TLS.
func (s *started) askAt(addrs [2]string, safe bool, frame []byte) *iso8583.View {
	s.t.Helper()
	if !safe {
		return s.ask(frame)
	}
	c, err := tls.Dial("tcp", addrs[1], &tls.Config{RootCAs: s.trust})
	if err != nil {
		s.t.Errorf("an honest terminal is not greeted: %v", err)
		return nil
	}
	return s.askBy(c, frame)
}

// caller is what a pattern does its worst to.
type caller interface {
	net.Conn
	CloseWrite() error
	SetLinger(sec int) error
}

// session is a caller who has come as far as TLS lets him.
type session struct {
	*tls.Conn
	raw *net.TCPConn
}

func (s session) SetLinger(sec int) error { return s.raw.SetLinger(sec) }

// harass plays one pattern after the other until stop, within TLS or at the bare
// socket of whatever door it is.
func harass(addr string, within bool, patterns []assault, r *rand.Rand, stop <-chan struct{}) (played int) {
	for {
		select {
		case <-stop:
			return played
		default:
		}
		c, err := net.Dial("tcp", addr)
		if err != nil {
			continue // reset before it was looked at
		}
		_ = c.SetDeadline(time.Now().Add(time.Second))
		raw := c.(*net.TCPConn)
		var who caller = raw
		if within {
			// He checks nothing: whom he calls he knows.
			who = session{tls.Client(raw, &tls.Config{InsecureSkipVerify: true}), raw}
		}
		patterns[r.IntN(len(patterns))].do(who, r)
		_ = who.Close()
		played++
	}
}

// heap is what is in use after a collection, in bytes.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // the second empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
