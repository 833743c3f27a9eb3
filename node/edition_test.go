package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tongka/config"
	"tongka/sim"
)

// Terminals and a bank of ISO 8583:1993 do business by a switch, and both books
// agree: every kind of transaction, PINs, declines, and a bank that breaks off.
// The simulators have tables of their own.
func TestTerminalsAndABankOf1993(t *testing.T) {
	for _, dialects := range [][2]string{{"93a", "93a"}, {"93b", "93b"}, {"", "93a"}, {"93b", ""}} {
		t.Run(strings.Join(dialects[:], " to "), func(t *testing.T) {
			bank := bankAt(t, sim.BankConfig{Name: "bank", Listen: "127.0.0.1:0", Dialect: dialects[1], ZPK: unhex("1111222233334444AAAABBBBCCCCDDDD"),
				Behaviour: sim.Behaviour{DeclineRate: 0.1, CloseEvery: 60}})
			link := fmt.Sprintf("address: %q", bank.Addr())
			if dialects[1] != "" {
				link += ", dialect: " + dialects[1]
			}
			s, terminals := withDoor(t, dialects[0], link)
			s.until("the link is up", func() bool { return s.linesIn("up") == 1 })
			fleet, err := sim.NewFleet(sim.FleetConfig{Addr: s.node.Addr(0).String(), Terminals: terminals, Dialect: dialects[0], Sales: 30, PINShare: 0.5,
				EnquiryShare: 0.1, Mix: sim.UsualMix(), AnswerTimeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer fleet.Close()
			if err := fleet.Start(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			if err := fleet.Wait(ctx); err != nil {
				t.Fatal(err)
			}
			s.until("nothing is owed", func() bool { return s.node.Snapshot().Owed == 0 })
			f, b := fleet.Stats(), bank.Stats()
			if v := sim.Compare(fleet.Sales(), bank.Bookings()); !v.OK() {
				t.Errorf("%+v", v)
			}
			if f.Approved == 0 || f.Enquiries == 0 || b.PINs == 0 || b.PINFaults != 0 || b.Reversed == 0 || b.SignOns == 0 || b.Rejected != 0 {
				t.Errorf("%+v\n%+v", f, b)
			}
		})
	}
}

// Keys that say what only 1993 has are refused elsewhere, and so are wrong ones.
func TestKeysOf1993(t *testing.T) {
	for _, c := range []struct{ door, link, want string }{
		{"action_codes: [115=57], ", "", "dialects of 1993 only"},
		{"", "point_of_service: '510101001141', ", "dialects of 1993 only"},
		{"dialect: 93a, action_codes: ['115'], ", "", "such as 115=57"},
		{"", "dialect: 93a, point_of_service: '51', ", "12 characters"},
		{"", "dialect: 93b, zak: 7B7B1BE6AFBA184A, mac: {algorithm: x9.9}, ", "data: message"},
		{"dialect: 93a, action_codes: [115=57], ", "dialect: 93b, action_codes: [115=57], point_of_service: '510101001141', ", ""},
	} {
		text := strings.NewReplacer("name: pos, ", "name: pos, "+c.door, "name: a, ", "name: a, "+c.link, "WINDOW", "1", "ATTEMPTS", "1", "INTERVAL", "1s", "HEADER", "4").Replace(partsText)
		cfg, err := config.Parse("x.yaml", []byte(text))
		if err == nil {
			err = Check(cfg)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s%s: %v, want %q", c.door, c.link, err, c.want)
		}
	}
}
