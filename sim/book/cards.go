package book

import (
	"cmp"
	"fmt"
	"slices"
)

// Parked is a wish about whose card a person decides. The other states of one are
// Open, Approved (the card was written), Declined, and Reversed (a void gave the
// money back).
const Parked State = "parked"

// Wish is money that somebody wants on a card, however many visits of whatever
// kiosks it takes: a second visit asks for the same.
type Wish struct {
	Number   int    `json:"n"` // in its book
	Kind     Kind   `json:"kind"`
	Card     int    `json:"card"`   // Number of the card
	Amount   int64  `json:"amount"` // fen; of those that an account pays, no two are the same
	Order    string `json:"order,omitempty"`
	Merchant string `json:"merchant"` // of the kiosk that asked last
	Terminal string `json:"terminal"`
	PAN      string `json:"pan,omitempty"` // masked
	Account  int    `json:"account"`       // which of the kiosk's that asked first
	State    State  `json:"state"`
	Code     string `json:"code,omitempty"` // F39 of the newest answer
	Asked    int    `json:"asked"`          // requests
	Refused  int    `json:"refused,omitempty"`
	Debits   int    `json:"debits,omitempty"`  // that a MAC2 proved: nobody gives one away
	Written  bool   `json:"written,omitempty"` // the card has it
	// Voids of a cash load: requests, what is known to have taken money back, and
	// whether the end of the last one is unknown.
	VoidsAsked int  `json:"voids_asked,omitempty"`
	Voids      int  `json:"voids,omitempty"`
	VoidOpen   bool `json:"void_open,omitempty"`
}

// Card is a card as its holder knows it: what the chip holds outlives its power
// and the kiosk's.
type Card struct {
	Number  int    `json:"n"`
	Name    string `json:"name"` // serial number, masked
	Initial uint32 `json:"initial"`
	Balance uint32 `json:"balance"`
	Spent   int64  `json:"spent,omitempty"`
	Seq     uint16 `json:"seq"`   // online counter
	Drawn   uint32 `json:"drawn"` // randoms given
	Proven  bool   `json:"proven,omitempty"`
	Parked  bool   `json:"parked,omitempty"`
	Kiosk   int    `json:"kiosk"` // that saw it last
	Trace   uint32 `json:"trace"` // number behind that kiosk's last request
}

// Value is what was put on the card in its life, fen.
func (c *Card) Value() int64 { return int64(c.Balance) + c.Spent - int64(c.Initial) }

// Visit is one line of a kiosks' book: what a moment changed, at once.
type Visit struct {
	Card *Card `json:"of,omitempty"`
	Wish *Wish `json:"wish,omitempty"`
}

// Cards is what a book of kiosks says.
type Cards struct {
	Cards  []Card
	Wishes []Wish
}

// cardsReader keeps the last word about each card and wish.
type cardsReader struct {
	cards  latest[int, Card]
	wishes latest[int, Wish]
}

func (r *cardsReader) take(v *Visit) {
	if v.Card != nil {
		r.cards.put(v.Card.Number, *v.Card)
	}
	if v.Wish != nil {
		r.wishes.put(v.Wish.Number, *v.Wish)
	}
}

// OpenCards opens or creates a book of kiosks and gives what it holds.
func OpenCards(path string) (*File, Cards, error) {
	var r cardsReader
	f, err := open(path, each(r.take))
	return f, Cards{r.cards.all, r.wishes.all}, err
}

// ReadCards reads a book of kiosks, which may be in use.
func ReadCards(path string) (Cards, error) {
	var r cardsReader
	err := readFile(path, each(r.take))
	return Cards{r.cards.all, r.wishes.all}, err
}

// ParkedCard is one that a person has to look at.
type ParkedCard struct {
	Card   string `json:"card"` // serial number, masked
	Kind   Kind   `json:"kind"`
	Amount int64  `json:"amount"`          // of the wish that waits, fen
	Owing  int64  `json:"owing"`           // paid and not on the card, fen
	Order  string `json:"order,omitempty"` // that waits
}

// CardVerdict is the result of holding cards against ledgers.
type CardVerdict struct {
	Cards      int          `json:"cards"`
	Wishes     int          `json:"wishes"`
	Written    int          `json:"written"`
	Paid       int64        `json:"paid"`       // fen: held by the banks, and of orders begun
	OnCards    int64        `json:"on_cards"`   // fen: what the cards say
	ParkedFen  int64        `json:"parked_fen"` // the difference, of cards with a name
	Parked     []ParkedCard `json:"parked"`
	Unresolved int          `json:"unresolved"` // wishes whose end nobody knows
	Lost       int          `json:"lost"`       // a card was written, and no bank booked it
	Duplicated int          `json:"duplicated"` // paid, neither on the card nor parked
	Differs    int          `json:"differs"`    // a card that does not hold what its wishes say
	Kinds      []Sum        `json:"kinds,omitempty"`
	Says       []string     `json:"says,omitempty"` // each fault in a line; the first maxDiscrepancies
}

// OK says that each fen that was paid is on its card, or waits for a person.
func (v *CardVerdict) OK() bool { return v.Lost+v.Duplicated+v.Differs == 0 }

// String is the verdict in one line of Chinese and English.
func (v *CardVerdict) String() string {
	word := "卡账一致 cards agree"
	if !v.OK() {
		word = "卡账不符 CARDS DIFFER"
	}
	return fmt.Sprintf("%s: 卡 cards %d · 已付 value paid %s = 卡上 on cards %s + 挂账 parked %s (%d 张 cards) · 丢失 lost %d · 重复 duplicated %d · 未决 unresolved %d",
		word, v.Cards, yuan(v.Paid), yuan(v.OnCards), yuan(v.ParkedFen), len(v.Parked), v.Lost, v.Duplicated, v.Unresolved)
}

// String is a parked card in one line.
func (p *ParkedCard) String() string {
	return fmt.Sprintf("挂账卡 parked card %s: %s %s, 未到账 paid and not on it %s", p.Card, p.Kind, yuan(p.Amount), yuan(p.Owing))
}

// toCard is 1 for a kind that brings money to a card, -1 for one that takes it away.
func toCard(k Kind) int64 {
	if k == "load-void" || k == "unload" {
		return -1
	}
	return 1
}

// heldLoads is what banks hold of one wish.
type heldLoads struct{ loads, voids int }

// CompareCards holds what the cards say against what was paid. A wish is known at
// the banks by its kind and amount. What the bank holds of it must be on the card
// exactly once, or the card be parked; a debit that no wish explains is paid and
// not on any card. Orders were paid before, so of these it counts that one is
// written once at most and that what was begun is written. Of an unload the card
// pays first, and a bank must have been told of it once.
func CompareCards(k *Cards, banks []Booking) CardVerdict {
	v := CardVerdict{Cards: len(k.Cards), Wishes: len(k.Wishes), Parked: []ParkedCard{}}
	held := map[int64]*heldLoads{}
	sums := map[Kind]*Sum{}
	for i := range banks {
		b := &banks[i]
		if b.State != Booked || !b.Kind.OfCards() {
			continue
		}
		sumOf(sums, b.Kind).hold(b.Amount)
		if held[b.Amount] == nil {
			held[b.Amount] = &heldLoads{}
		}
		if b.Kind == "load-void" {
			held[b.Amount].voids++
		} else {
			held[b.Amount].loads++
		}
		v.Paid += toCard(b.Kind) * b.Amount
	}
	cards := map[int]*Card{}
	written := map[int]int64{}
	for i := range k.Cards {
		c := &k.Cards[i]
		cards[c.Number] = c
		v.OnCards += c.Value()
	}
	orders := map[string]int{}
	for i := range k.Wishes {
		w := &k.Wishes[i]
		if w.Written {
			written[w.Card] += toCard(w.Kind) * w.Amount
		}
		v.judgeWish(w, cards[w.Card], held, orders, sums)
	}
	for amount, h := range held {
		v.Duplicated += h.loads
		v.say("重复 duplicated: 银行借记无人申请 a bank holds %d debits of %s that no kiosk asked for", h.loads, yuan(amount))
	}
	for i := range k.Cards {
		if c := &k.Cards[i]; c.Value() != written[c.Number] {
			v.Differs++
			v.say("不符 differs: 卡 card %s: 卡上 holds %s, 充值 its loads come to %s", c.Name, yuan(c.Value()), yuan(written[c.Number]))
		}
	}
	v.finish(sums)
	return v
}

// judgeWish compares one wish with what was paid for it.
func (v *CardVerdict) judgeWish(w *Wish, c *Card, held map[int64]*heldLoads, orders map[string]int, sums map[Kind]*Sum) {
	sum := sumOf(sums, w.Kind)
	sum.Asked += w.Asked
	sum.Declined += w.Refused
	paid, on := 0, 0
	if w.Written {
		v.Written++
		on = 1
	}
	switch {
	case w.Kind.OfCards():
		if h := held[w.Amount]; h != nil {
			paid = h.loads - h.voids
			delete(held, w.Amount)
		}
	case w.Debits > 0:
		if orders[w.Order]++; orders[w.Order] == 1 {
			paid = 1
			v.Paid += w.Amount
			sum.hold(w.Amount)
		}
	}
	for range w.Debits {
		sum.approve(w.Amount)
	}
	if w.Kind == "unload" && w.Written { // the card pays, and then the bank is told
		sum.approve(w.Amount)
	}
	if w.VoidsAsked > 0 {
		voids := sumOf(sums, "load-void")
		voids.Asked += w.VoidsAsked
		for range w.Voids {
			voids.approve(w.Amount)
		}
	}
	v.settle(w, c, paid, on)
}

// settle says what it means that a wish was paid so often and is on the card so
// often.
func (v *CardVerdict) settle(w *Wish, c *Card, paid, on int) {
	name := "?"
	if c != nil {
		name = c.Name
	}
	owing := int64(paid-on) * toCard(w.Kind)
	switch {
	case w.State == Parked && (owing == 0 || owing == 1):
		open := owing * w.Amount
		v.ParkedFen += open
		v.Parked = append(v.Parked, ParkedCard{name, w.Kind, w.Amount, open, w.Order})
	case paid < on:
		v.Lost += on - paid
		v.say("丢失 lost: 卡 card %s, %s %s: 卡已写而银行未记账 the card is written, and no bank has booked it", name, w.Kind, yuan(w.Amount))
	case paid > on:
		v.Duplicated += paid - on
		v.say("重复 duplicated: 卡 card %s, %s %s: 付款 paid %d 次 times, 写卡 written %d (%s)", name, w.Kind, yuan(w.Amount), paid, on, w.State)
	}
	if w.State == Open {
		v.Unresolved++
	}
}

func (v *CardVerdict) say(format string, args ...any) {
	if len(v.Says) < maxDiscrepancies {
		v.Says = append(v.Says, fmt.Sprintf(format, args...))
	}
}

func (v *CardVerdict) finish(sums map[Kind]*Sum) {
	for k, s := range sums {
		s.Kind = k
		v.Kinds = append(v.Kinds, *s)
	}
	slices.SortFunc(v.Kinds, func(a, b Sum) int { return cmp.Compare(a.Kind, b.Kind) })
	slices.Sort(v.Says)
}
