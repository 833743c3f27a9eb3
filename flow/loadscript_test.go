package flow

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"tongka/card"
	"tongka/txn"
)

// cards is what a script says of the cards that the switch takes.
type cards struct {
	why    txn.Code
	listed bool
	spent  bool
	orders []card.Order // that a query finds
}

func (c *cards) Refuse(*Txn) (txn.Code, bool) { return c.why, c.listed }
func (c *cards) Spent() bool                  { return c.spent }
func (c *cards) Orders(t *Txn) bool           { t.Load.Orders = c.orders; return true }

// cardLine takes the lines that are about a card; false for all others.
//
//	takes … | takes CODE [listed]       what the switch takes; spent allows for purchases
//	card WORDS                          what the request says: family, and numbers by name
//	purse STATE KIND WORDS              what is kept of the card
//	order NUMBER AMOUNT STATE UNTIL     the order that the request names
//	past NUMBER AMOUNT STATE UNTIL      that of the card's last load
//	query NUMBER AMOUNT STATE UNTIL     one that a query finds
func (s *script) cardLine(w []string) bool {
	switch w[0] {
	case "takes":
		s.cards = cards{}
		for _, word := range w[1:] {
			switch word {
			case "spent":
				s.cards.spent = true
			case "listed":
				s.cards.listed = true
			default:
				copy(s.cards.why[:], word)
			}
		}
	case "card":
		s.txn.Load = &Load{}
		s.sayCard(w[1:])
	case "purse":
		s.keepPurse(w[1:])
	case "order":
		s.txn.Load.Order = s.anOrder(w[1:])
	case "past":
		s.txn.Load.Past = s.anOrder(w[1:])
		s.txn.Load.Purse.Order = s.txn.Load.Past.Number
	case "query":
		s.cards.orders = append(s.cards.orders, s.anOrder(w[1:]))
	default:
		return false
	}
	return true
}

// sayCard makes F58 and has it read, so that the script cannot say what no
// terminal could.
func (s *script) sayCard(w []string) {
	serial := card.Serial{0x20, 9: 1}
	b := card.AppendTag(nil, card.TagSerial, serial[:]...)
	family := byte(card.CityCard)
	for ; len(w) > 0; w = w[1:] {
		var n uint64
		if len(w) > 1 {
			n, _ = strconv.ParseUint(w[1], 10, 32)
		}
		switch w[0] {
		case "t-union":
			family = byte(card.TUnion)
			continue
		case "city":
			continue
		case "written", "not-written", "not-known":
			b = card.AppendTag(b, card.TagStatus, byte(map[string]card.Status{"written": card.Written, "not-written": card.NotWritten, "not-known": card.NotKnown}[w[0]]))
			continue
		case "balance":
			b = card.AppendTag32(b, card.TagBalance, uint32(n))
		case "after":
			b = card.AppendTag32(b, card.TagAfter, uint32(n))
		case "seq":
			b = card.AppendTag(b, card.TagSeq, byte(n>>8), byte(n))
		case "random":
			b = card.AppendTag32(b, card.TagRandom, uint32(n))
		case "proving": // INITIALIZE was given this MAC2 as the terminal's number
			b = card.AppendTag(b, card.TagTerminal, 0, 0, byte(n>>8), byte(n), 0, 0)
		case "round":
			b = card.AppendTag(b, card.TagRound, byte(n))
		case "order":
			b = card.AppendTag(b, card.TagOrder, []byte(w[1])...)
		default:
			s.t.Fatalf("card: %q", w[0])
		}
		w = w[1:]
	}
	if err := s.txn.Load.Data.Parse(card.AppendTag(b, card.TagFamily, family)); err != nil {
		s.t.Fatal(err)
	}
}

// keepPurse makes the purse as the transaction in Load.Data would have left it.
func (s *script) keepPurse(w []string) {
	p := &s.txn.Load.Purse
	for st := card.Unseen; st <= card.Decided; st++ {
		if st.String() == w[0] {
			p.State = st
		}
	}
	var ok bool
	if p.Kind, ok = txn.ParseKind(w[1]); !ok || p.State.String() != w[0] {
		s.t.Fatalf("purse %v", w)
	}
	p.Family, p.Serial, p.Load, p.PAN, p.Link = s.txn.Load.Family, s.txn.Load.Serial, 41, s.txn.PAN, 7
	for w = w[2:]; len(w) > 1; w = w[2:] {
		n, err := strconv.ParseUint(w[1], 10, 32)
		if err != nil {
			s.t.Fatal(err)
		}
		switch w[0] {
		case "balance":
			p.Balance = uint32(n)
		case "amount":
			p.Amount = uint32(n)
		case "seq":
			p.Seq = uint16(n)
		case "random":
			p.Random = [4]byte{3: byte(n)}
		case "mac2":
			p.MAC2 = [4]byte{2: byte(n >> 8), 3: byte(n)}
		case "load":
			p.Load = txn.ID(n)
		default:
			s.t.Fatalf("purse: %q", w[0])
		}
	}
}

func (s *script) anOrder(w []string) (o card.Order) {
	var ok bool
	if o.Number, ok = card.ParseNumber([]byte(w[0])); !ok {
		s.t.Fatalf("order %q", w[0])
	}
	amount, err := strconv.ParseUint(w[1], 10, 32)
	until, err2 := time.ParseDuration(w[3])
	for o.State.String() != w[2] && o.State < card.Cancelled {
		o.State++
	}
	if err != nil || err2 != nil || o.State.String() != w[2] {
		s.t.Fatalf("order %v", w)
	}
	o.Family, o.Serial, o.Amount, o.Until = s.txn.Load.Family, s.txn.Load.Serial, uint32(amount), int64(until)
	return o
}

// cardEffect draws what is done about a card; empty for all others.
func (s *script) cardEffect(e Effect) string {
	if s.txn.Load == nil {
		return ""
	}
	l := s.txn.Load
	switch e.Do {
	case SaveCard:
		p := &l.Purse
		line := "save card: " + p.State.String()
		switch {
		case p.State == card.Parked:
			line += " for " + p.Reason.String()
		case p.State == card.Left:
			line += fmt.Sprintf(", %v %d of transaction %d, at balance %d and counter %d", p.Kind, p.Amount, p.Load, p.Balance, p.Seq)
		}
		if p.Failed {
			line += ", not written says a terminal"
		}
		return line
	case SaveOrder:
		o := &l.Order
		if e.Orig {
			o = &l.Past
		}
		return fmt.Sprintf("save order %s: %v", o.Number, o.State)
	case Alert:
		return "alert " + e.Alarm.String()
	case Credit:
		return "owe the account what the card has paid"
	case Reply:
		switch {
		case l.Writes && l.Rewrite:
			return "reply 00 with MAC2, which was paid before"
		case l.Writes:
			return "reply " + s.txn.Code.String() + " with MAC2"
		case len(l.Orders) > 0 && s.txn.Code == txn.OK:
			var b bytes.Buffer
			for i := range l.Orders {
				fmt.Fprintf(&b, " %s", l.Orders[i].Number)
			}
			return "reply 00 with orders" + b.String()
		}
	}
	return ""
}
