package fee

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tongka/clearing/row"
	"tongka/txn"
)

// Role is what a party is to a transaction.
type Role uint8

// Roles.
const (
	Merchant Role = iota + 1
	Issuer        // the bank behind a link, as we know it
	Acquirer      // our own institution
	Centre
	Fund // the money on purse cards
)

var roleNames = [...]string{"", "merchant", "issuer", "acquirer", "centre", "fund"}

var roleWords = [...]txn.Words{{}, {ZH: "商户", EN: "merchant"}, {ZH: "发卡方", EN: "issuer"}, {ZH: "受理方", EN: "acquirer"},
	{ZH: "中心", EN: "centre"}, {ZH: "卡基金", EN: "card fund"}}

// String is the role's word in rules and files.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return "invalid"
}

// Words are for people.
func (r Role) Words() txn.Words {
	if int(r) < len(roleWords) {
		return roleWords[r]
	}
	return txn.Words{}
}

// ParseRole finds a role by its word.
func ParseRole(s string) (Role, bool) {
	i := slices.Index(roleNames[:], s)
	return Role(max(i, 0)), i > 0
}

// Party is who has a position. In rules a merchant and an issuer have no Name:
// they are those of the row.
type Party struct {
	Role Role
	Name string // the merchant's number, the link's number; empty for the others
}

// String is the party as ParseParty reads it: its role, and its name behind a colon.
func (p Party) String() string {
	if p.Name == "" {
		return p.Role.String()
	}
	return p.Role.String() + ":" + p.Name
}

// ParseParty reads a party such as merchant:104…, issuer:1 or acquirer. A
// merchant and an issuer want a name.
func ParseParty(s string) (Party, error) {
	word, name, _ := strings.Cut(s, ":")
	role, ok := ParseRole(word)
	if !ok || (name == "") == (role == Merchant || role == Issuer) || len(name) > 15 || strings.ContainsAny(name, " ,:\n\x00") {
		return Party{}, fmt.Errorf("%q 不是参与方 · %q is no party (merchant:NUMBER, issuer:LINK, acquirer, centre, fund)", s, s)
	}
	return Party{role, name}, nil
}

// of gives the party of a row. Who issued a purse is the card fund.
func (p Party) of(r *row.Row) Party {
	switch {
	case p.Name != "":
	case p.Role == Issuer && r.Flags&row.Purse != 0:
		p.Role = Fund
	case p.Role == Merchant:
		p.Name = strings.TrimRight(string(r.Merchant[:]), " \x00")
	case p.Role == Issuer:
		p.Name = fmt.Sprint(r.Link)
	}
	return p
}

// kindOf is what a row is, or takes back.
func kindOf(r *row.Row) txn.Kind {
	if r.Kind == txn.Reversal {
		return r.Of
	}
	return r.Kind
}

// sides gives who pays and who gets what a kind moves, when it is positive.
func sides(k txn.Kind, r *row.Row) (from, to Party) {
	merchant, issuer, fund := Party{Role: Merchant}.of(r), Party{Role: Issuer}.of(r), Party{Role: Fund}
	switch k {
	case txn.LoadAccount, txn.LoadOther, txn.Unload:
		return issuer, fund
	case txn.LoadCash, txn.LoadVoid: // the merchant has the customer's notes
		return merchant, fund
	}
	return issuer, merchant
}

// Position is what a party gets, fen; negative is what it pays.
type Position struct {
	Net   int64
	Moved int64 // transactions towards it
}

// Positions are kept in memory: as many as there are merchants and banks.
type Positions struct {
	of   map[Party]*Position
	last [len(roleNames)]asked // one row asks for the same few parties again and again
	Fees int64                 // fen charged
}

type asked struct {
	name string
	at   *Position
}

// NewPositions has none yet.
func NewPositions() *Positions { return &Positions{of: map[Party]*Position{}} }

func (p *Positions) at(who Party) *Position {
	l := &p.last[who.Role]
	if l.at != nil && l.name == who.Name {
		return l.at
	}
	x := p.of[who]
	if x == nil {
		x = &Position{}
		p.of[who] = x
	}
	*l = asked{who.Name, x}
	return x
}

// Move books a transfer, fen; a negative one goes the other way.
func (p *Positions) Move(from, to Party, fen int64) {
	p.at(from).Net -= fen
	p.at(to).Net += fen
}

func (p *Positions) count(who Party) { p.at(who).Moved++ }

// Tolerate books a difference within the tolerance: r is the row with the difference
// for its amount, and Less when their net is the smaller. Beside the merchant, who gets
// what we say, the row's other party pays or gets what they say; who bears the
// difference makes both true.
func (p *Positions) Tolerate(r *row.Row, bears Party) {
	fen := r.Amount
	if r.Flags&row.Less != 0 {
		fen = -fen
	}
	from, to := sides(kindOf(r), r)
	switch {
	case from.Role == Issuer:
		p.Move(from, bears, fen)
	case to.Role == Fund:
		p.Move(bears, to, fen)
	}
}

// AddTo adds all positions to others. named says under which party one is added.
func (p *Positions) AddTo(sum *Positions, named func(Party) Party) {
	for who, x := range p.of {
		to := sum.at(named(who))
		to.Net += x.Net
		to.Moved += x.Moved
	}
	sum.Fees += p.Fees
}

// Get gives one position.
func (p *Positions) Get(who Party) Position {
	if x := p.of[who]; x != nil {
		return *x
	}
	return Position{}
}

// Parties lists everybody, by role and name.
func (p *Positions) Parties() []Party {
	return slices.SortedFunc(maps.Keys(p.of), func(a, b Party) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Name, b.Name))
	})
}

// Sum is of all positions, and 0.
func (p *Positions) Sum() (sum int64) {
	for _, x := range p.of {
		sum += x.Net
	}
	return sum
}
