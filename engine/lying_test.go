package engine

import (
	"fmt"
	"testing"
	"time"

	"tongka/conn"
)

// A module that lies is not believed: whatever it answers to the MAC of a sale, the sale
// is approved by the other module's word or not at all, and the forged one never.
func TestALyingModuleIsNotBelieved(t *testing.T) {
	type answer = func(p *pair, right []byte) [][]byte
	code := func(two string) answer {
		return func(p *pair, right []byte) [][]byte {
			at := p.header + 2
			return [][]byte{append(append(append([]byte(nil), right[:at]...), two...), right[at+2:]...)}
		}
	}
	flipped := func(at func(p *pair) int) answer {
		return func(p *pair, right []byte) [][]byte {
			b := append([]byte(nil), right...)
			b[at(p)] ^= 1
			return [][]byte{b}
		}
	}
	for name, lie := range map[string]answer{
		"nothing":          func(*pair, []byte) [][]byte { return [][]byte{nil} },
		"one byte":         func(*pair, []byte) [][]byte { return [][]byte{{0}} },
		"half a header":    func(p *pair, right []byte) [][]byte { return [][]byte{right[:p.header/2]} },
		"only a header":    func(p *pair, right []byte) [][]byte { return [][]byte{right[:p.header]} },
		"no error code":    func(p *pair, right []byte) [][]byte { return [][]byte{right[:p.header+3]} },
		"another's header": flipped(func(p *pair) int { return p.header - 1 }),
		"another answer":   flipped(func(p *pair) int { return p.header }),
		"a header of no hex": func(p *pair, right []byte) [][]byte {
			return [][]byte{append([]byte("zzzzzzzz")[:p.header], right[p.header:]...)}
		},
		"much too much": func(_ *pair, right []byte) [][]byte {
			return [][]byte{append(append([]byte(nil), right...), make([]byte, 4096)...)}
		},
		"zeros":          func(*pair, []byte) [][]byte { return [][]byte{make([]byte, 64)} },
		"letters":        code("A1"),
		"letters, twice": func(p *pair, right []byte) [][]byte { return append(code("BB")(p, right), code("00")(p, right)...) },
		"sick":           code("13"),
		"not text":       code("\x00\xff"),
	} {
		for _, forged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, forged %v", name, forged), func(t *testing.T) {
				p := newPair(t, newWorld(t))
				bank := p.bankUp(0)
				till := p.signIn()
				signs := till.mak
				if forged {
					signs = till.pik // another key than the one that is known
				}
				till.send(0x0200, signs, till.money(7, 1250, false, ""))
				p.pass(0)
				for i, id := range p.boxes {
					for _, f := range p.take(id, conn.Binary2) {
						for _, b := range lie(p, p.server.Answer(nil, f)) {
							p.shard.Frame(p.boxes[i], b)
						}
					}
				}
				p.pass(0)
				// The other module, and half of the time later the one that was not asked yet.
				for range 3 {
					for p.serve(0)+p.serve(1) > 0 {
					}
					p.pass(1100 * time.Millisecond)
				}
				if forged {
					p.bankSilent(bank)
				}
				if len(p.sent[bank]) > 0 {
					return // it was verified by the other module, and went out
				}
				if c := till.code(); c != "96" && (c != "A0" || !forged) {
					t.Errorf("F39 %s", c)
				}
			})
		}
	}
}
