package translate

import (
	"errors"

	"tongka/codec/iso8583"
)

// Sums are the totals of one class of cards in a batch. Source: UnionPay direct
// POS terminal specification, F48 of a batch settlement.
type Sums struct {
	Debit, Credit   int64 // fen
	Debits, Credits int   // how many
}

// Verdict is what a terminal is told of its totals.
type Verdict byte

// Verdicts.
const (
	Equal   Verdict = '1'
	Unequal Verdict = '2'
	Failed  Verdict = '3' // nobody could compare them
)

const (
	sumsSize   = 12 + 3 + 12 + 3 + 1 // with the verdict behind
	totalsSize = 2 * sumsSize
	itemSize   = 2 + 6 + 20 + 12
	// MaxItems is how many items one upload holds at most: F48 has 322 digits.
	MaxItems = (322 - 2) / itemSize
)

var errTotals = errors.New("F48 of a settlement: two times debit n12, count n3, credit n12, count n3, flag n1 are wanted")

// ReadTotals reads F48 of a batch settlement: cards of this country first, then
// those of other ones. The flags are the host's to set and not looked at.
func ReadTotals(v *iso8583.View) (t [2]Sums, err error) {
	var b [totalsSize]byte
	if v.Len(48) != totalsSize {
		return t, errTotals
	}
	d := v.AppendText(b[:0], 48)
	if !digitsOnly(d) {
		return t, errTotals
	}
	for i := range t {
		p := d[i*sumsSize:]
		t[i] = Sums{int64(number(p, 0, 12)), int64(number(p, 15, 27)), int(number(p, 12, 15)), int(number(p, 27, 30))}
	}
	return t, nil
}

// AppendTotals appends F48 of the answer: for each class the figures and the
// verdict on them. What does not fit a field is told as all nines.
func AppendTotals(dst []byte, t *[2]Sums, v [2]Verdict) []byte {
	for i := range t {
		s := &t[i]
		dst = appendUint(dst, capped(s.Debit, 999_999_999_999), 12)
		dst = appendUint(dst, capped(int64(s.Debits), 999), 3)
		dst = appendUint(dst, capped(s.Credit, 999_999_999_999), 12)
		dst = appendUint(dst, capped(int64(s.Credits), 999), 3)
		dst = append(dst, byte(v[i]))
	}
	return dst
}

func capped(n, most int64) uint64 { return uint64(min(max(n, 0), most)) }

// Item is one transaction of a batch upload, as the terminal has it.
type Item struct {
	Foreign bool // a card of another country
	Trace   uint32
	PAN     [20]byte // digits, right aligned, zeros before them
	Amount  int64    // fen
}

// Upload is what a batch upload says.
type Upload struct {
	End   bool // nothing follows: Count is how many items there were
	Count int
	Items int // of Item that are filled
	Item  [MaxItems]Item
	// Records are offline transactions of F62, lent with the message, and Amount is
	// F4, their sum in fen; nil when the upload has none.
	Records []byte
	Amount  int64
}

var (
	errItems   = errors.New("F48 of a batch upload: a count n2, and 40 digits for each item are wanted")
	errOffline = errors.New("an upload of offline transactions: F4, the sum of those in F62, is wanted")
	errSingle  = errors.New("an upload of a single transaction: F2, F4 and F11 are wanted")
)

// Network management codes (F60.3) of a batch upload: of magnetic cards in
// blocks, and of its end. All others upload one transaction each.
const (
	uploadBlocks     = 201
	uploadEndEqual   = 202
	uploadEndUnequal = 207

	offlineUse = 36 // F60.1 of offline purchases; with F60.3 000 they may come in F62
)

// ReadUpload reads a batch upload. Source: UnionPay direct POS terminal
// specification; that an upload ends with F48 alone is common practice.
func ReadUpload(v *iso8583.View, e *Echo, u *Upload) error {
	switch e.Net() {
	case uploadBlocks:
		return readBlock(v, u)
	case uploadEndEqual, uploadEndUnequal:
		var b [322]byte
		if n := v.Len(48); n == 0 || n > 18 {
			return errItems
		}
		d := v.AppendText(b[:0], 48)
		if !digitsOnly(d) {
			return errItems
		}
		u.End, u.Count = true, int(min(number(d, 0, len(d)), 1<<31-1))
		return nil
	case 0:
		if number(e.F60[:e.N60], 0, 2) == offlineUse && v.Len(62) > 0 {
			amount, ok := v.Uint(4)
			if !ok {
				return errOffline
			}
			u.Records, u.Amount = v.Field(62), int64(amount)
			return nil
		}
	}
	return readSingle(v, u)
}

func readBlock(v *iso8583.View, u *Upload) error {
	var b [322]byte
	if v.Len(48) > len(b) {
		return errItems
	}
	d := v.AppendText(b[:0], 48)
	n := int(number(d, 0, 2))
	if !digitsOnly(d) || n == 0 || n > MaxItems || len(d) != 2+n*itemSize {
		return errItems
	}
	for i := range n {
		p := d[2+i*itemSize:]
		it := &u.Item[i]
		it.Foreign = number(p, 0, 2) != 0
		it.Trace = uint32(number(p, 2, 8))
		copy(it.PAN[:], p[8:28])
		it.Amount = int64(number(p, 28, 40))
	}
	u.Items = n
	return nil
}

// readSingle takes the transaction that F61 names, else that of the message's own
// numbers.
func readSingle(v *iso8583.View, u *Upload) error {
	amount, hasAmount := v.Uint(4)
	trace, hasTrace := v.Uint(11)
	var b [20]byte
	pan := b[:0]
	if n := v.Len(2); n > 0 && n <= 19 {
		pan = v.AppendText(pan, 2)
	}
	if !hasAmount || !hasTrace || len(pan) == 0 {
		return errSingle
	}
	if named := ReadNamed(v); named.Trace != 0 {
		trace = uint64(named.Trace)
	}
	it := &u.Item[0]
	it.Trace, it.Amount = uint32(trace), int64(amount)
	for i := range it.PAN {
		it.PAN[i] = '0'
	}
	copy(it.PAN[len(it.PAN)-len(pan):], pan)
	u.Items = 1
	return nil
}

func digitsOnly(d []byte) bool {
	for _, c := range d {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}
