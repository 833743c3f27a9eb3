// Package book is what each side of the switch writes down, and the comparison
// of the two that finds lost and duplicated money. It knows nothing of messages
// and connections.
package book

// State is how far a sale has come in a book.
type State string

// States. A terminal's sale is Open, Approved, Declined, Reversed or
// Unresolved; a bank's booking is Booked, Declined, Reversed or Refused.
const (
	Open       State = "open"       // sent or about to be; nothing known
	Approved   State = "approved"   // the terminal holds an approval that verified
	Declined   State = "declined"   // refused by code; 98 belongs here too
	Reversed   State = "reversed"   // taken back, confirmed by the other side
	Unresolved State = "unresolved" // a reversal is due and no repeat was answered yet
	Booked     State = "booked"     // the bank has taken the money
	Refused    State = "refused"    // reversed before it came, so never booked
)

// Sale is one sale in a terminal's book, or a request of another kind.
type Sale struct {
	Merchant string `json:"merchant"`       // F42, 15 characters
	Terminal string `json:"terminal"`       // F41, 8 characters
	Kind     Kind   `json:"kind,omitempty"` // empty for a sale
	Amount   int64  `json:"amount"`         // F4, fen; unique in its terminal, kind and Of
	Of       int64  `json:"of,omitempty"`   // amount of the earlier request that it names, fen
	Number   uint32 `json:"n,omitempty"`    // of a terminal's requests; 0 in old books of sales
	Card     int    `json:"card,omitempty"` // which of the terminal's cards, when there is a Number
	Trace    uint32 `json:"trace"`          // F11
	Batch    uint32 `json:"batch"`          // F60.2
	PAN      string `json:"pan"`            // masked
	PIN      bool   `json:"pin,omitempty"`
	RRN      string `json:"rrn,omitempty"` // F37 of the answer
	State    State  `json:"state"`
	Code     string `json:"code,omitempty"`    // F39 of the answer that closed it
	Reason   string `json:"reason,omitempty"`  // F39 of its reversal: 98 no answer, A0 answer's MAC wrong
	At       int64  `json:"at"`                // first sent, Unix nanoseconds
	Micros   int64  `json:"us,omitempty"`      // request to answer, or to giving up
	Repeats  int    `json:"repeats,omitempty"` // of its reversal
}

// SaleKey is what joins the two books.
type SaleKey struct {
	Merchant, Terminal string
	Kind               Kind
	Amount, Of         int64
}

// Key is the sale's name in both books.
func (s *Sale) Key() SaleKey {
	k := s.Kind
	if k == "offline-settle" {
		k = "offline-sale" // nothing that a bank sees tells them apart
	}
	return SaleKey{s.Merchant, s.Terminal, k, s.Amount, s.Of}
}

// Booking is one sale in a bank's ledger, or a request or notice of another kind.
type Booking struct {
	Bank     string `json:"bank"`
	Merchant string `json:"merchant"` // F42
	Terminal string `json:"terminal"` // F41
	Kind     Kind   `json:"kind,omitempty"`
	Amount   int64  `json:"amount"`          // F4, fen
	Of       int64  `json:"of,omitempty"`    // amount of the booking that F90 names
	OfKey    uint64 `json:"of_at,omitempty"` // F7 and F11 of that, as in BookingKey
	RRN      string `json:"rrn"`             // F37
	STAN     uint32 `json:"stan"`            // F11, the switch's
	Sent     uint64 `json:"sent"`            // F7 as a number, MMDDhhmmss
	PAN      string `json:"pan"`             // masked; a hash beside it would give the rest away
	State    State  `json:"state"`
	Code     string `json:"code"` // F39 of the bank's answer
}

// BookingKey finds a booking from its sale (F7, F11, F37) and from a reversal of
// it (F90, or its own F7 and F11, and F37).
type BookingKey struct {
	When uint64 // F7 and F11 as one number, MMDDhhmmss then six digits
	RRN  [12]byte
}

// Key is the booking's name in its bank.
func (b *Booking) Key() BookingKey {
	k := BookingKey{When: b.Sent*1_000_000 + uint64(b.STAN)}
	copy(k.RRN[:], b.RRN)
	return k
}

// SaleKey is the name under which the terminal has it.
func (b *Booking) SaleKey() SaleKey {
	return SaleKey{b.Merchant, b.Terminal, b.Kind, b.Amount, b.Of}
}
