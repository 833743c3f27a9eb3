package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"tongka/codec/iso8583"
	"tongka/sim/book"
	"tongka/txn"
)

// Mix says how often a terminal does something else than sell: the share of each
// kind in its turns. What is left are sales, and so are turns in which there is
// nothing that could be named.
type Mix map[txn.Kind]float64

// UsualMix is a shop with a bit of everything.
func UsualMix() Mix {
	return Mix{txn.Void: 0.06, txn.Refund: 0.08, txn.PreAuth: 0.10, txn.PreAuthVoid: 0.02, txn.Completion: 0.04, txn.CompletionVoid: 0.01,
		txn.CompletionAdvice: 0.02, txn.Tip: 0.04, txn.OfflineSale: 0.05, txn.OfflineRefund: 0.01, txn.ScriptNotice: 0.03, txn.OfflineSettle: 0.02, txn.Adjust: 0.01}
}

// ParseMix reads "usual", or shares such as "void=0.1,refund=0.2"; nothing is no
// mix. The error names what it cannot use.
func ParseMix(text string) (Mix, error) {
	switch text {
	case "":
		return nil, nil
	case "usual":
		return UsualMix(), nil
	}
	m := Mix{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		kind, known := txn.ParseKind(name)
		share, err := strconv.ParseFloat(value, 64)
		if _, twice := m[kind]; !known || twice || err != nil {
			return nil, fmt.Errorf("混合 %q：须为 种类=比例 · mix %q: kind=share wanted, each kind once", part, part)
		}
		m[kind] = share
	}
	return m, m.validate()
}

func (m Mix) validate() error {
	sum := 0.0
	for k, share := range m {
		if _, can := forms[k]; !can || k == txn.Sale {
			return fmt.Errorf("混合：终端不做 %v · mix: a terminal does not do %v; it does %s", k, k, strings.Join(mixKinds(), ", "))
		}
		if !(share >= 0 && share <= 1) { // written so that NaN fails
			return fmt.Errorf("混合：%v=%v 须为 0 至 1 · mix: %v=%v: wanted 0 to 1", k, share, k, share)
		}
		sum += share
	}
	if sum > 1+1e-9 {
		return fmt.Errorf("混合：比例合计 %v，至多 1 · mix: the shares come to %v: wanted 1 at most", sum, sum)
	}
	return nil
}

func mixKinds() (names []string) {
	for k := range forms {
		if k != txn.Sale {
			names = append(names, k.String())
		}
	}
	slices.Sort(names)
	return names
}

// draw gives the kind of a terminal's request number n: from the two numbers
// alone, as wantsPIN, by a stream of its own.
func (m Mix) draw(id int, n uint32) txn.Kind {
	if len(m) == 0 {
		return txn.Sale
	}
	at := rand.New(rand.NewPCG(uint64(id), uint64(n)|1<<33)).Float64()
	for k := range txn.Kinds { // in one order, which a map has not
		if at < m[k] {
			return k
		}
		at -= m[k]
	}
	return txn.Sale
}

// form is how the requests of a kind look. Source: UnionPay direct POS terminal
// specification, identification of transactions.
type form struct {
	mti              iso8583.MTI
	proc, cond       string
	usage, net       string   // F60.1, and F60.3 with what follows
	of               txn.Kind // that it names
	told             bool     // a notice: no PIN
	amount           func(of int64) int64
	again            int  // requests of this kind that one original takes
	spends           bool // the original takes nothing more
	leavesNoReversal bool // it moves no money
}

func same(of int64) int64  { return of }
func part(of int64) int64  { return of / 3 }
func above(of int64) int64 { return of + of/10 }
func tenth(of int64) int64 { return of / 10 }
func nothing(int64) int64  { return 0 }

const session = "00050" // F60.3 and what follows, of a request about money

var forms = map[txn.Kind]*form{
	txn.Sale:             {mti: 0x0200, proc: "000000", cond: "00", usage: "22", net: session},
	txn.PreAuth:          {mti: 0x0100, proc: "030000", cond: "06", usage: "10", net: session},
	txn.OfflineSale:      {mti: 0x0200, proc: "000000", cond: "00", usage: "36", net: session, told: true},
	txn.OfflineRefund:    {mti: 0x0220, proc: "200000", cond: "00", usage: "27", net: session, told: true},
	txn.Void:             {mti: 0x0200, proc: "200000", cond: "00", usage: "23", net: session, of: txn.Sale, amount: same, again: 1, spends: true},
	txn.Refund:           {mti: 0x0220, proc: "200000", cond: "00", usage: "25", net: session, of: txn.Sale, amount: part, again: 2},
	txn.PreAuthVoid:      {mti: 0x0100, proc: "200000", cond: "06", usage: "11", net: session, of: txn.PreAuth, amount: same, again: 1, spends: true},
	txn.Completion:       {mti: 0x0200, proc: "000000", cond: "06", usage: "20", net: session, of: txn.PreAuth, amount: above, again: 1, spends: true},
	txn.CompletionVoid:   {mti: 0x0200, proc: "200000", cond: "06", usage: "21", net: session, of: txn.Completion, amount: same, again: 1, spends: true},
	txn.CompletionAdvice: {mti: 0x0220, proc: "000000", cond: "06", usage: "24", net: session, of: txn.PreAuth, told: true, amount: above, again: 1, spends: true},
	txn.OfflineSettle:    {mti: 0x0220, proc: "000000", cond: "00", usage: "30", net: session, told: true},
	txn.Adjust:           {mti: 0x0220, proc: "000000", cond: "00", usage: "32", net: session, of: txn.OfflineSettle, told: true, amount: above, again: 1, leavesNoReversal: true},
	txn.Tip:              {mti: 0x0220, proc: "000000", cond: "00", usage: "34", net: session, of: txn.Sale, told: true, amount: tenth, again: 1},
	txn.ScriptNotice:     {mti: 0x0620, proc: "000000", cond: "00", usage: "22", net: "951", of: txn.Sale, told: true, amount: nothing, again: 1, leavesNoReversal: true},
}

// formOf gives the form of what stands in a book.
func formOf(s *book.Sale) *form { return forms[kindOf(s)] }

func kindOf(s *book.Sale) txn.Kind {
	if k, ok := txn.ParseKind(string(s.Kind)); ok {
		return k
	}
	return txn.Sale
}

// original is an approved request that a later one of this session may name.
type original struct {
	sale  int // index in sales
	kind  txn.Kind
	named map[txn.Kind]int // how often, by kind
	spent bool
}

// maxOriginals bounds what a terminal keeps in mind.
const maxOriginals = 16

// approved keeps what may be named later.
func (t *terminal) approved(i int, s *book.Sale) {
	k := kindOf(s)
	if len(t.fleet.cfg.Mix) == 0 || k != txn.Sale && k != txn.PreAuth && k != txn.Completion && k != txn.OfflineSettle {
		return
	}
	if len(t.originals) == maxOriginals {
		t.originals = slices.Delete(t.originals, 0, 1)
	}
	t.originals = append(t.originals, original{sale: i, kind: k, named: map[txn.Kind]int{}})
}

// choose picks what request number n is, and the original that it names or nil. No
// two requests of a terminal have the same kind, amount and original, for by
// these its book and the bank's are held against each other.
func (t *terminal) choose(n uint32) (txn.Kind, *original) {
	k := t.fleet.cfg.Mix.draw(t.id, n)
	f := forms[k]
	if f.of == txn.Unknown {
		return k, nil
	}
	for i := range t.originals {
		o := &t.originals[i]
		if o.kind == f.of && !o.spent && o.named[k] < f.again {
			return k, o
		}
	}
	return txn.Sale, nil
}

// name makes s a request of kind k that names o.
func (t *terminal) name(s *book.Sale, k txn.Kind, o *original) *book.Sale {
	t.mu.Lock()
	orig := t.sales[o.sale]
	t.mu.Unlock()
	f := forms[k]
	s.Of, s.Card, s.Amount = orig.Amount, t.cardOf(&orig), f.amount(orig.Amount)+int64(o.named[k])
	o.named[k]++
	o.spent = o.spent || f.spends
	return &orig
}
