package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tongka/sim"
)

// A bank that closes after each message, or after a few, is served by short-lived
// connections: never more than are allowed, and its books agree with the
// terminals'. A spell without the bank costs 91s, and what is owed is settled.
func TestShortLivedBank(t *testing.T) {
	for _, messages := range []int{1, 4} {
		t.Run(fmt.Sprint(messages), func(t *testing.T) {
			bank := bankAt(t, sim.BankConfig{Name: "bank", Listen: "127.0.0.1:0", Behaviour: sim.Behaviour{CloseAfter: messages}})
			s, terminals := withLines(t, fmt.Sprintf("lines: [{address: %q, short_lived: {connections: 3, messages: %d, dial_timeout: 500ms}}]", bank.Addr(), messages))
			s.until("the link is up", func() bool { return s.linesIn("up") == 3 })
			if n := bank.Stats().Connections; n != 0 {
				t.Errorf("%d connections before there is anything to send", n)
			}
			fleet, err := sim.NewFleet(sim.FleetConfig{Addr: s.node.Addr(0).String(), Terminals: terminals, Sales: 200, AnswerTimeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer fleet.Close()
			if err := fleet.Start(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := fleet.Wait(ctx); err != nil {
				t.Fatal(err)
			}
			s.until("nothing is owed, nothing is open", func() bool {
				return s.node.Snapshot().Owed == 0 && bank.Stats().Connections == 0
			})
			f, b := fleet.Stats(), bank.Stats()
			if f.Approved == 0 || int64(f.Approved) != b.Booked || b.SignOns != 0 || b.Echoes != 0 {
				t.Errorf("%d approved, %d booked, %d sign-ons, %d echoes", f.Approved, b.Booked, b.SignOns, b.Echoes)
			}
			if d := s.node.front.Stats().Dialled; messages == 1 && d < f.Approved || messages > 1 && d >= f.Approved {
				t.Errorf("%d connections for %d sales, %d messages each", d, f.Approved, messages)
			}
		})
	}
}
