package blacklist

import (
	"slices"

	"tongka/txn"
)

// Cause says why a card is on the list. The first five after Other have the
// numbers that city-card centres give them in their files.
type Cause uint8

// Causes.
const (
	Other       Cause = iota
	SuspectSale       // 消费可疑
	SuspectLoad       // 充值可疑
	Lost              // 挂失
	Manual            // 录入
	Returned          // 退卡
	Stolen
	Fraud
	Capture
	causes
)

// cause is what the switch makes of one.
type cause struct {
	name, zh, digit string
	code            txn.Code // F39 of the refusal
	fraud           bool     // somebody should look at who tried
}

var causeTable = [causes]cause{
	Other:       {"other", "其他", "0", txn.Code{'0', '5'}, false},
	SuspectSale: {"suspect-sale", "消费可疑", "1", txn.Code{'3', '4'}, true},
	SuspectLoad: {"suspect-load", "充值可疑", "2", txn.Code{'3', '4'}, true},
	Lost:        {"lost", "挂失", "3", txn.Code{'4', '1'}, false},
	Manual:      {"manual", "录入", "4", txn.Code{'0', '5'}, false},
	Returned:    {"returned", "退卡", "5", txn.BadCard, false},
	Stolen:      {"stolen", "被窃", "6", txn.Code{'4', '3'}, true},
	Fraud:       {"fraud", "作弊", "7", txn.Code{'3', '4'}, true},
	Capture:     {"capture", "没收", "8", txn.Code{'0', '4'}, true},
}

// String is the cause's name in files.
func (c Cause) String() string { return causeTable[c%causes].name }

// Zh is its name in Chinese.
func (c Cause) Zh() string { return causeTable[c%causes].zh }

// ParseCause finds a cause by its name or digit.
func ParseCause(s string) (Cause, bool) {
	i := slices.IndexFunc(causeTable[:], func(c cause) bool { return c.name == s || c.digit == s })
	return Cause(max(i, 0)), i >= 0
}

// Mark is what the list says of a card, in two bytes: bit 0 grey, bits 1 to 4
// the level, bits 5 to 8 the cause.
type Mark uint16

// MaxLevel is the highest level of an entry.
const MaxLevel = 15

// NewMark makes a mark; the level is at most MaxLevel.
func NewMark(grey bool, level uint8, c Cause) Mark {
	m := Mark(level&MaxLevel)<<1 | Mark(c)<<5
	if grey {
		m |= 1
	}
	return m
}

// Grey says that the card is to be watched and not refused.
func (m Mark) Grey() bool { return m&1 != 0 }

// Level is 0 to MaxLevel; what it means is the list's owner's affair.
func (m Mark) Level() uint8 { return uint8(m >> 1 & MaxLevel) }

// Cause is why.
func (m Mark) Cause() Cause { return Cause(m>>5) % causes }

// Code is the response code (F39) that refuses the card.
func (m Mark) Code() txn.Code { return causeTable[m.Cause()].code }

// Suspicious says that whoever brings this card should be looked at.
func (m Mark) Suspicious() bool { return causeTable[m.Cause()].fraud }

// kind is the word for black or grey in files.
func (m Mark) kind() string {
	if m.Grey() {
		return "grey"
	}
	return "black"
}
