package node

import (
	"context"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"tongka/audit"
	"tongka/card"
	"tongka/config"
	"tongka/engine"
	"tongka/fault"
	"tongka/hsm"
)

// mostAlerts may wait for the audit file at once. The journal and the log have
// them all; more than this at once are a flood, and counted.
const mostAlerts = 1024

// cardsOf makes the engine's rules for cards; nil when none are loaded.
func (n *Node) cardsOf(c *config.Cards) *engine.Cards {
	if c.Ceiling == 0 {
		return nil
	}
	single := c.Single
	if single == 0 {
		single = c.Ceiling
	}
	e := &engine.Cards{Ceiling: uint32(c.Ceiling), Single: uint32(single), Cities: map[[2]byte]bool{}, Keys: hsm.CardKeys{},
		Levels: [3]uint8{card.CityCard: uint8(c.CityLevels), card.TUnion: uint8(c.TUnionLevels)}, Spent: c.Spent,
		AirKey: uint8(c.AirKey), Alert: n.alerted}
	if c.SM4 != 0 {
		e.SM4 = map[uint8]bool{uint8(c.SM4): true}
	}
	hsm.DecodeHex(e.Virtual[:len(c.Terminal)/2], []byte(c.Terminal))
	for _, city := range c.Cities {
		var b [2]byte
		hsm.DecodeHex(b[:], []byte(city))
		e.Cities[b] = true
	}
	for i := range c.Keys {
		k := &c.Keys[i]
		id := hsm.CardKeyID{Family: hsm.CityCard, TAC: k.Use == "tac", Unload: k.Use == "unload", Index: uint8(k.Index), Version: uint8(k.Version)}
		if k.Family == "t-union" {
			id.Family = hsm.TUnion
		}
		if k.SM4 {
			id.Alg = hsm.CardSM4
		}
		hsm.DecodeHex(id.Issuer[:len(k.Issuer)/2], []byte(k.Issuer))
		e.Keys[id] = k.Key
	}
	return e
}

// alerted is called on the loop and does not wait.
func (n *Node) alerted(a engine.CardAlert) {
	select {
	case n.alerts <- a:
	default:
		n.log.Error("card alert not audited: too many at once", fault.Field(fault.NotAudited), zap.Stringer("alarm", a.Alarm), zap.Uint64("load", uint64(a.Load)))
	}
}

// auditCards writes what smells, or is for a person, into the audit file until
// the node stops.
func (n *Node) auditCards(stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	for {
		select {
		case a := <-n.alerts:
			n.auditCard(&a)
		case <-stop:
			for len(n.alerts) > 0 {
				a := <-n.alerts
				n.auditCard(&a)
			}
			return
		}
	}
}

func (n *Node) auditCard(a *engine.CardAlert) {
	e := audit.Entry{At: time.Unix(0, a.At), Who: audit.Who{UID: os.Getuid(), PID: os.Getpid(), Via: "switch"}, Action: "card",
		What:   fmt.Sprintf("card %s, load %d, terminal %s, trace %06d, %d.%02d", a.Card, a.Load, a.Terminal.Number, a.Trace, a.Amount/100, a.Amount%100),
		Result: a.Alarm.String(), Why: a.Reason.String()}
	head, err := n.audit.Append(e)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), actWithin)
		defer cancel()
		err = n.keepHead(ctx, head)
	}
	if err != nil {
		n.log.Error("not audited", fault.Field(fault.NotAudited), zap.String("action", e.Action), zap.Error(err))
	}
}
