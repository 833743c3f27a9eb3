package book

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is the kind of a request, by the name that txn gives it; empty for a sale.
type Kind string

// sign says what a kind does to what customers have paid: 1 takes, -1 gives back.
// A pre-authorisation takes nothing until it is completed, and its void nothing.
var signs = map[Kind]int64{"": 1, "void": -1, "refund": -1, "completion": 1, "completion-void": -1,
	"completion-advice": 1, "tip": 1, "offline-sale": 1, "offline-refund": -1}

// OfCards says that a kind moves money between a bank and an e-purse card. What
// became of it the card says, so CompareCards judges it.
func (k Kind) OfCards() bool {
	switch k {
	case "load-account", "load-other", "load-cash", "load-void", "unload":
		return true
	}
	return false
}

// MovesMoney says that what a bank holds of this kind must be known to a terminal
// as approved; not so what it was merely told.
func (k Kind) MovesMoney() bool { return k != "script-notice" && k != "adjust" }

// word is the kind in front of an amount; nothing for a sale.
func (k Kind) word() string {
	if k == "" {
		return ""
	}
	return string(k) + " "
}

// Sum is what both sides have of one kind. Fen are of F4, without a sign.
type Sum struct {
	Kind        Kind  `json:"kind"`  // "sale" for a sale
	Asked       int   `json:"asked"` // requests in the book, however they ended
	Declined    int   `json:"declined"`
	Reversed    int   `json:"reversed"` // taken back by whoever asked
	Approved    int   `json:"approved"`
	ApprovedFen int64 `json:"approved_fen"`
	Held        int   `json:"held"` // by the banks
	HeldFen     int64 `json:"held_fen"`
}

// ask counts a request of a terminal by how it ended.
func (s *Sum) ask(how State) {
	s.Asked++
	switch how {
	case Declined:
		s.Declined++
	case Reversed:
		s.Reversed++
	}
}

func (s *Sum) approve(fen int64) { s.Approved++; s.ApprovedFen += fen }
func (s *Sum) hold(fen int64)    { s.Held++; s.HeldFen += fen }

// String is the sum for people, the banks' side only when it differs.
func (s *Sum) String() string {
	text := fmt.Sprintf("%s %d (%s)", s.Kind, s.Approved, yuan(s.ApprovedFen))
	if s.Held != s.Approved || s.HeldFen != s.ApprovedFen {
		text += fmt.Sprintf(" / %d (%s)", s.Held, yuan(s.HeldFen))
	}
	return text
}

func sumOf(sums map[Kind]*Sum, k Kind) *Sum {
	if sums[k] == nil {
		sums[k] = &Sum{Kind: k}
	}
	return sums[k]
}

// addUp orders the sums and nets them.
func (v *Verdict) addUp(sums map[Kind]*Sum) {
	for k, s := range sums {
		v.Net += signs[k] * s.ApprovedFen
		v.NetBanks += signs[k] * s.HeldFen
		if k == "" {
			s.Kind = "sale"
		}
		v.Kinds = append(v.Kinds, *s)
	}
	slices.SortFunc(v.Kinds, func(a, b Sum) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
}

// KindsLine is what each kind comes to, and the net of both sides, in one line.
func (v *Verdict) KindsLine() string {
	var parts []string
	for i := range v.Kinds {
		parts = append(parts, v.Kinds[i].String())
	}
	return fmt.Sprintf("按种类 by kind: %s · 净额 net: 终端 terminals %s, 银行 banks %s", strings.Join(parts, " · "), yuan(v.Net), yuan(v.NetBanks))
}

func yuan(fen int64) string {
	sign := ""
	if fen < 0 {
		sign, fen = "-", -fen
	}
	return fmt.Sprintf("%s%d.%02d", sign, fen/100, fen%100)
}
