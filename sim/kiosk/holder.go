package kiosk

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"tongka/card"
	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/sim/book"
	simcard "tongka/sim/card"
)

// What the cards of the simulator have in common: public, and worth nothing.
var (
	loadMaster = []byte("\x12\x35\x5A\x77\x01\x9C\xE2\x3B\x48\xD0\x6F\x81\xB4\x2E\x95\xC3")
	unloadKey  = []byte("\x77\x58\xC1\x0D\x3E\x94\xBA\x26\xE9\x4F\x70\xD3\x18\xA5\x6C\x8B")
	tacMaster  = []byte("\x33\x45\x90\x1E\xAF\x62\x7D\xC8\x05\xB9\x54\xF3\x2A\x8C\xD6\x17")
	issuer     = [8]byte{0x86, 0x98, 0x31, 0x20}
	city       = [2]byte{0x31, 0x20}
)

// levels of diversification, by family.
var levels = [3]uint8{card.CityCard: 2, card.TUnion: 1}

const (
	firstBalance = 500 // fen
	maxOrders    = 100
	orderFen     = 1000 // of a card's first order; each next has one fen more
	airTerminal  = "3120FF000001"
)

// holder is a card and who carries it. While it is busy it belongs to a kiosk's
// goroutine; state and wish are written under the park's lock.
type holder struct {
	card     *simcard.Card
	state    book.Card // as the book has it
	wish     int       // number of the open one, or -1
	orders   int       // that were paid for it
	begun    int       // of these, taken up
	busy     bool
	reserved bool // for somebody who leads the kiosks himself
}

func newHolder(i, orders int) (*holder, error) {
	c := simcard.Card{Family: card.CityCard + card.Family(i%2), Serial: serial(i), Issuer: issuer, City: city, Balance: firstBalance}
	chip, err := simcard.Issue(c, simcard.Masters{Load: loadMaster, TAC: tacMaster, Unload: unloadKey, Levels: levels[c.Family]})
	if err != nil {
		return nil, err
	}
	h := &holder{card: chip, wish: -1, orders: orders}
	h.state = book.Card{Number: i, Name: c.Serial.String(), Initial: firstBalance, Balance: firstBalance}
	return h, nil
}

// serial gives the i-th test card's number, 20 digits.
func serial(i int) (s card.Serial) {
	hex.Decode(s[:], fmt.Appendf(nil, "3120%016d", 1000+i)) // digits are hexadecimal
	return s
}

// recall brings the chip to where an older process left it.
func (h *holder) recall(c book.Card) {
	h.state = c
	h.card.Balance, h.card.Seq, h.card.Drawn = c.Balance, c.Seq, c.Drawn+unwritten
}

// note takes what the chip holds into what is written.
func (h *holder) note() {
	h.state.Balance, h.state.Seq, h.state.Drawn = h.card.Balance, h.card.Seq, h.card.Drawn
}

// took notes what a wish means for its card.
func (h *holder) took(w *book.Wish) {
	if h.wish = -1; w.State == book.Open {
		h.wish = w.Number
	}
}

// unproven says that the card was written, and the switch may not know it: what it
// owes for that, it owes from the next contact on.
func (h *holder) unproven() bool { return !h.state.Proven && h.state.Seq > 0 }

// nextOrder names the order that is to be loaded next.
func (h *holder) nextOrder() (number string, fen int64) {
	return orderNumber(h.state.Number, h.begun), int64(orderFen + h.begun)
}

func orderNumber(card, i int) string { return fmt.Sprintf("K%d-%d", card, i) }

// Setup is what a switch needs to know to take the cards: the section cards of its
// configuration, with keys under the public test LMK, and a file of the orders
// that were paid for them.
func Setup(cards, orders int) (yaml string, csv []byte, err error) {
	if cards < 1 || cards > maxCards || orders < 0 || orders > maxOrders {
		return "", nil, fmt.Errorf("kiosk: %d cards, %d orders each: wanted 1 to %d and 0 to %d", cards, orders, maxCards, maxOrders)
	}
	module := soft.New(soft.TestLMK())
	var y strings.Builder
	fmt.Fprintf(&y, "cards:\n  ceiling: 100000\n  single: %d\n  cities: [\"%X\"]\n  city_levels: %d\n  tunion_levels: %d\n  spent_since: true\n  air_terminal: \"%s\"\n  air_key: 1\n  keys:\n",
		maxFen, city, levels[card.CityCard], levels[card.TUnion], airTerminal)
	for _, m := range []struct {
		use string
		key []byte
	}{{"load", loadMaster}, {"unload", unloadKey}, {"tac", tacMaster}} {
		key, err := module.Wrap(hsm.MKAC, m.key)
		if err != nil {
			return "", nil, err
		}
		for _, family := range []string{"city", "t-union"} {
			fmt.Fprintf(&y, "    - {family: %s, use: %s, index: 1, version: 1, key: \"%s\"}\n", family, m.use, key)
		}
	}
	var b bytes.Buffer
	b.WriteString("number,family,serial,amount,until\n")
	for i := range cards {
		for n := range orders {
			s := serial(i)
			fmt.Fprintf(&b, "%s,%s,%X,%d,2099-12-31\n", orderNumber(i, n), []string{"city", "t-union"}[i%2], s[:], orderFen+n)
		}
	}
	return y.String(), b.Bytes(), nil
}
