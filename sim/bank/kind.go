package bank

import (
	"tongka/codec/iso8583"
	"tongka/sim/book"
	"tongka/txn"
)

// Kinds of bookings, by the names of txn; a sale's is empty.
const (
	kindSale book.Kind = ""
)

var (
	kindVoid             = named(txn.Void)
	kindRefund           = named(txn.Refund)
	kindPreAuth          = named(txn.PreAuth)
	kindPreAuthVoid      = named(txn.PreAuthVoid)
	kindCompletion       = named(txn.Completion)
	kindCompletionVoid   = named(txn.CompletionVoid)
	kindCompletionAdvice = named(txn.CompletionAdvice)
	kindTip              = named(txn.Tip)
	kindAdjust           = named(txn.Adjust)
	kindOfflineSale      = named(txn.OfflineSale)
	kindOfflineRefund    = named(txn.OfflineRefund)
	kindScriptNotice     = named(txn.ScriptNotice)
	kindLoadAccount      = named(txn.LoadAccount)
	kindLoadOther        = named(txn.LoadOther)
	kindLoadCash         = named(txn.LoadCash)
	kindLoadVoid         = named(txn.LoadVoid)
	kindUnload           = named(txn.Unload)
)

func named(k txn.Kind) book.Kind { return book.Kind(k.String()) }

// kindOf tells what a message is by its type, F3, F25 and whether it names an
// original (F90); told says that it is a notice. A refund has the type of a notice
// and names its sale. An offline settlement is booked as an offline sale: nothing
// in the message tells them apart; nor a tip from an adjustment, but by what they
// name. Source: CUPS message types; F3 and F25 as the terminal sent them.
func kindOf(v *iso8583.View) (kind book.Kind, told bool) {
	proc, _ := v.Uint(3)
	cond, _ := v.Uint(25)
	if kind, ok := cardKinds[proc]; ok && cond == cardCond {
		return kind, kind == kindUnload
	}
	if cond == cardCond && v.MTI()&^1 == 0x0220 && proc == unloadProc {
		return kindUnload, true
	}
	back, preAuth, names := proc/10000 == 20, cond == 6, v.Has(90)
	switch mti := v.MTI() &^ 1; {
	case mti == 0x0620:
		return kindScriptNotice, true
	case mti == 0x0100 && back:
		return kindPreAuthVoid, false
	case mti == 0x0100:
		return kindPreAuth, false
	case mti == 0x0220 && back && names:
		return kindRefund, false
	case mti == 0x0220 && back:
		return kindOfflineRefund, true
	case mti == 0x0220 && preAuth && names:
		return kindCompletionAdvice, true
	case mti == 0x0220 && names:
		return kindTip, true
	case mti == 0x0220:
		return kindOfflineSale, true
	case back && preAuth:
		return kindCompletionVoid, false
	case back:
		return kindVoid, false
	case preAuth:
		return kindCompletion, false
	}
	return kindSale, false
}

// cardCond is F25 of what is about an e-purse card, and cardKinds what F3 says of
// it then. Source: docs/card-load.md.
const (
	cardCond   = 91
	unloadProc = 210000 // of a notice that a card has paid into an account
)

var cardKinds = map[uint64]book.Kind{600000: kindLoadAccount, 650000: kindLoadOther, 630000: kindLoadCash, 170000: kindLoadVoid,
	210000: kindUnload}
