package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tongka/card"
	"tongka/conn"
	"tongka/flow"
	"tongka/hsm/clear"
	"tongka/journal"
	"tongka/registry/blacklist"
	"tongka/translate"
	"tongka/txn"
)

// Each kind of bad input by its name: its response code, no word to the bank,
// nothing owed or approved, and an alarm for the audit file where it smells of
// fraud and only there.
func TestBadInput(t *testing.T) {
	load := func(what func(l *loads, p *pos, bank conn.ID) []byte) func(*loads, *pos, conn.ID) string {
		return func(l *loads, p *pos, bank conn.ID) string {
			p.card(recharge(700, 10_000, what(l, p, bank)))
			return p.about().code
		}
	}
	loaded := func(l *loads, p *pos, bank conn.ID) (f58 []byte) { // and its MAC2 has left
		c := l.issue(1, card.CityCard)
		f58 = c.InitLoad(10_000, kioskNo)
		p.card(recharge(699, 10_000, f58))
		l.debited(bank, "00")
		l.want("the load before", p.about().code, "00")
		return f58
	}
	for _, c := range []struct {
		name, code string
		alarm      flow.Alarm
		do         func(l *loads, p *pos, bank conn.ID) string
	}{
		{"wrong MAC1", "63", flow.WrongMAC1, load(func(l *loads, _ *pos, _ conn.ID) []byte {
			return tag(l.issue(1, card.CityCard).InitLoad(10_000, kioskNo), card.TagMAC1, 0)
		})},
		{"replayed MAC1", "34", flow.ReplayedMAC1, load(loaded)},
		{"TAC mismatch", "63", flow.CardParked, func(l *loads, p *pos, bank conn.ID) string {
			loaded(l, p, bank)
			c := l.issue(1, card.CityCard)
			c.Balance += 10_000
			p.card(confirm(700, c, 0, card.Written, [4]byte{1}))
			return p.about().code
		}},
		{"unknown key version", "A7", flow.NoAlarm, load(func(l *loads, _ *pos, _ conn.ID) []byte {
			return tag(l.issue(1, card.CityCard).InitLoad(10_000, kioskNo), card.TagKey, 1)
		})},
		{"expired session key", "77", flow.NoAlarm, func(l *loads, p *pos, bank conn.ID) string {
			l.pass(25 * time.Hour)
			l.take(bank, conn.ASCII4) // echoes
			p.id = l.connect(-1)
			p.card(recharge(700, 10_000, l.issue(1, card.CityCard).InitLoad(10_000, kioskNo)))
			return p.code()
		}},
		{"PIN block of the wrong format", "99", flow.NoAlarm, func(l *loads, p *pos, bank conn.ID) string {
			p.pik, _ = clear.NewCipher([]byte("another PIN key!")) // what comes out of the block is no PIN
			p.sale(700, 1000, true)
			return p.code()
		}},
		{"over-limit", "61", flow.NoAlarm, func(l *loads, p *pos, bank conn.ID) string {
			p.card(recharge(700, 50_001, l.issue(1, card.CityCard).InitLoad(50_001, kioskNo)))
			return p.about().code
		}},
		{"blacklisted card", "43", flow.Blacklisted, load(func(l *loads, _ *pos, _ conn.ID) []byte {
			list := "serial,cause\n20000000000000001201,stolen\n"
			if _, err := l.listed.Import(strings.NewReader(list), "list.csv", blacklist.How{}); err != nil {
				l.t.Fatal(err)
			}
			return l.issue(1, card.CityCard).InitLoad(10_000, kioskNo)
		})},
		{"closed batch", "77", flow.NoAlarm, func(l *loads, p *pos, bank conn.ID) string {
			code, _ := p.settles(600, p.batch, translate.Sums{}, translate.Sums{})
			l.want("settled", code, "00")
			p.card(recharge(700, 10_000, l.issue(1, card.CityCard).InitLoad(10_000, kioskNo)))
			return p.code()
		}},
		{"refund over the original", "13", flow.NoAlarm, func(l *loads, p *pos, bank conn.ID) string {
			p.sale(600, 1000, false)
			l.debited(bank, "00")
			l.want("the sale", p.code(), "00")
			return p.through(bank, refund(700, 600, 1001), "00")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLoads(t)
			l.t = t
			bank := l.bankUp(0)
			p := l.terminal()
			if got := c.do(l, p, bank); got != c.code {
				t.Errorf("code %s, want %s", got, c.code)
			}
			l.bankSilent(bank)
			l.want("owed", l.shard.owed.Total(), 0)
			l.want("approved", l.approvals(), 0)
			want := []flow.Alarm{c.alarm}
			if c.alarm == flow.NoAlarm {
				want = nil
			}
			var got []flow.Alarm
			for _, a := range l.alerts {
				got = append(got, a.Alarm)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("alarms %v, want %v", got, want)
			}
			l.quiet()
		})
	}
}

// approvals counts what stands approved under the trace of the bad request.
func (l *loads) approvals() (n int) {
	l.t.Helper()
	err := l.log.Replay(0, func(_ journal.LSN, r *journal.Record) error {
		if r.Kind == journal.Outcome && r.Facts.Trace == 700 && r.Facts.Result == txn.Approved {
			n++
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

// tag gives F58 with one byte of an element changed.
func tag(f58 []byte, tag byte, at int) []byte {
	for i := 0; i < len(f58); i += 2 + int(f58[i+1]) {
		if f58[i] == tag {
			f58[i+2+at] ^= 0x5A
		}
	}
	return f58
}
