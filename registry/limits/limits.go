// Package limits says whether one more transaction of a day may pass: single
// amounts, sums and counts, of terminals, merchants and cards. It owns no clock,
// takes no lock and allocates nothing while it counts; who owns a counter brings
// the time. Amounts are in fen.
package limits

import (
	"time"

	"tongka/txn"
)

// Class is what is counted together.
type Class uint8

// Classes. Free is never counted: sign-ins, reversals and the like.
const (
	Pay  Class = iota // money leaves the card: sales and their like
	Load              // money is put onto a card: recharge
	Back              // money goes back: refunds
	Ask               // enquiries
	Classes
	Free = Classes
)

// ClassWords are the names of the classes in files, by Class.
var ClassWords = []string{"pay", "load", "back", "ask"}

// What a terminal reports when it has happened already is free: refusing it undoes
// nothing. So is what names another transaction that was counted, but a refund,
// which may be spread over many.
var classOf = [txn.Kinds]Class{
	txn.Sale: Pay, txn.PreAuth: Pay,
	txn.LoadAccount: Load, txn.LoadCash: Load, txn.LoadOther: Load, txn.OrderLoad: Load, txn.AirLoad: Load,
	txn.Refund: Back, txn.Unload: Back,
	txn.Balance: Ask, txn.OrderQuery: Ask,

	txn.Unknown: Free, txn.SignIn: Free, txn.Echo: Free, txn.Reversal: Free, txn.Void: Free, txn.PreAuthVoid: Free,
	txn.Completion: Free, txn.CompletionVoid: Free, txn.CompletionAdvice: Free, txn.OfflineSettle: Free, txn.Adjust: Free, txn.Tip: Free,
	txn.OfflineSale: Free, txn.OfflineRefund: Free, txn.ScriptNotice: Free, txn.SignOff: Free, txn.Settle: Free, txn.BatchUpload: Free,
	txn.Download: Free, txn.LoadVoid: Free, txn.LoadConfirm: Free,
}

// ClassOf gives the class of a kind; one that the table does not know counts as
// a payment.
func ClassOf(k txn.Kind) Class {
	if int(k) < len(classOf) {
		return classOf[k]
	}
	return Pay
}

// Subject is who is limited.
type Subject uint8

// Subjects.
const (
	Terminal Subject = iota
	Merchant
	Card
	Subjects
)

// SubjectWords are the names of the subjects in files, by Subject.
var SubjectWords = []string{"terminal", "merchant", "card"}

// Rule bounds one class. Zero is no bound.
type Rule struct {
	Single int64  // of one transaction, fen
	Sum    int64  // of a day, fen
	Count  uint32 // of a day
}

// Profile is the rules of one subject, by class.
type Profile [Classes]Rule

// Default is the name of the profile of those that name none.
const Default = "default"

// Set is all profiles. Nothing in it changes once it is in use.
type Set [Subjects]map[string]*Profile

// Find gives a profile, that of Default when the name is empty; nil when there is
// none: no limits.
func (s *Set) Find(of Subject, name string) *Profile {
	if s == nil {
		return nil
	}
	if name == "" {
		name = Default
	}
	return s[of][name]
}

// Len is the number of rules.
func (s *Set) Len() (n int) {
	if s == nil {
		return 0
	}
	for _, profiles := range s {
		for _, p := range profiles {
			for _, r := range p {
				if r != (Rule{}) {
					n++
				}
			}
		}
	}
	return n
}

const (
	day  = int64(24 * time.Hour)
	zone = int64(8 * time.Hour) // China has one zone and no summer time
)

// Day numbers the business day of a moment (Unix nanoseconds): it begins at cut
// after midnight, Beijing time.
func Day(at int64, cut time.Duration) int32 { return int32((at + zone - int64(cut)) / day) }

// Use is what one class of one subject has had in its newest day.
type Use struct {
	Sum   int64 // fen
	Day   int32
	Count uint32
}

// Uses is what a subject has had, by class.
type Uses [Classes]Use

// Verdict says what a rule makes of one more.
type Verdict uint8

// Verdicts.
const (
	Pass Verdict = iota
	OverAmount
	OverCount
	NoRoom // the table of cards is full: whether it is over nobody can tell
)

// Code is the response code (F39) of a verdict: 61, 65, 96; zero is none.
func (v Verdict) Code() txn.Code {
	return [...]txn.Code{Pass: {}, OverAmount: {'6', '1'}, OverCount: {'6', '5'}, NoRoom: txn.SystemFault}[v]
}

// Check says whether a transaction of amount may come on top of what u had on
// day. Where two bounds are reached the amount is named.
func (r *Rule) Check(u *Use, day int32, amount int64) Verdict {
	had := *u
	if had.Day != day {
		had = Use{}
	}
	switch {
	case r.Single != 0 && amount > r.Single, r.Sum != 0 && amount > r.Sum-had.Sum:
		return OverAmount
	case r.Count != 0 && had.Count >= r.Count:
		return OverCount
	}
	return Pass
}

// Add counts one. What belongs to a day that is over is not counted any more.
func (u *Use) Add(day int32, amount int64) {
	switch {
	case day > u.Day:
		*u = Use{Sum: amount, Day: day, Count: 1}
	case day == u.Day:
		u.Sum += amount
		u.Count++
	}
}

// Take takes back one that Add counted; nothing when its day is over.
func (u *Use) Take(day int32, amount int64) {
	if u.Day == day && u.Count > 0 {
		u.Sum -= amount
		u.Count--
	}
}
