package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/soft"
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
			// A snapshot is up to a quarter of a second old, so it alone does not tell.
			s.until("the books agree and nothing is owed", func() bool {
				v := sim.Compare(fleet.Sales(), bank.Bookings())
				return v.OK() && s.node.Snapshot().Owed == 0
			})
			f, b := fleet.Stats(), bank.Stats()
			if f.Approved == 0 || f.Enquiries == 0 || b.PINs == 0 || b.PINFaults != 0 || b.Reversed == 0 || b.SignOns == 0 || b.Rejected != 0 {
				t.Errorf("%+v\n%+v", f, b)
			}
		})
	}
}

// A bank of 1993 with MACs: both sides' are believed, wrong ones and missing ones
// are as good as silence, and a new MAC key is taken.
func TestABankOf1993WithMACs(t *testing.T) {
	for _, c := range []struct {
		name string
		bad  sim.Behaviour
	}{{"right", sim.Behaviour{}}, {"wrong", sim.Behaviour{WrongMAC: true}}, {"none", sim.Behaviour{NoMAC: true}}} {
		t.Run(c.name, func(t *testing.T) {
			m := soft.New(soft.TestLMK())
			key, master := unhex("0123456789ABCDEFFEDCBA9876543210"), unhex("2233445566778899AABBCCDDEEFF0011")
			zak, err := m.Wrap(hsm.ZAK, key)
			if err != nil {
				t.Fatal(err)
			}
			zmk, err := m.Wrap(hsm.ZMK, master)
			if err != nil {
				t.Fatal(err)
			}
			bank := bankAt(t, sim.BankConfig{Name: "bank", Listen: "127.0.0.1:0", Dialect: "93b", Behaviour: c.bad, ZMK: master,
				ZPK: unhex("1111222233334444AAAABBBBCCCCDDDD"), MAC: sim.BankMAC{Key: key}})
			s, terminals := withDoor(t, "93a", fmt.Sprintf("address: %q, dialect: 93b, max_missed: 0, zmk: %q, zak: %q, mac: {algorithm: x9.19, data: message}", bank.Addr(), zmk, zak))
			s.until("the link is up", func() bool { return s.linesIn("up") == 1 })
			if c.name == "right" {
				if a := s.node.askKeys(t.Context(), "bank", "mac"); !a.OK {
					t.Fatalf("%+v", a)
				}
				s.until("the key is taken", func() bool { return bank.Stats().KeysTaken == 1 })
			}
			fleet, err := sim.NewFleet(sim.FleetConfig{Addr: s.node.Addr(0).String(), Terminals: terminals, Dialect: "93a", Sales: 2, AnswerTimeout: 5 * time.Second})
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
			if err := bank.Behave(sim.Behaviour{}); err != nil {
				t.Fatal(err)
			}
			s.until("nothing is held that no terminal has", func() bool {
				return s.node.Snapshot().Owed == 0 && bank.Stats().Booked == int64(fleet.Stats().Approved)
			})
			f, b := fleet.Stats(), bank.Stats()
			if right := c.name == "right"; right != (f.Approved == 16) || right != (b.Booked == 16) || !right && (f.Approved != 0 || b.Booked != 0) || b.MACFaults != 0 || b.MACs == 0 {
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
