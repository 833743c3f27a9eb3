package clearing

import (
	"tongka/clearing/fee"
	"tongka/clearing/row"
	"tongka/txn"
)

// Play makes a day of n rows a side, theirs in another order, with every kind of
// difference in it, and gives how many differences there are to be found. It is
// for measuring and for tests: the same n gives the same day.
func Play(n int64, ours, theirs func(*row.Row) error) (differences int64, err error) {
	for i := range n {
		r := played(i)
		d := spoil(i, &r, nil)
		if d != onlyTheirs {
			if err := ours(&r); err != nil {
				return 0, err
			}
		}
		if d != none {
			differences++
		}
		// Theirs come in the order of their own: by a step that has no divisor of n.
		j := i * step(n) % n
		r = played(j)
		t := r
		switch spoil(j, &r, &t) {
		case onlyOurs:
			continue
		case twice:
			if err := theirs(&t); err != nil {
				return 0, err
			}
		}
		if err := theirs(&t); err != nil {
			return 0, err
		}
	}
	return differences, nil
}

// What a row of a played day may be.
const (
	none = iota
	otherAmount
	onlyTheirs
	onlyOurs
	otherStatus
	twice
)

// spoil makes of every hundredth row one of the kinds in turn.
func spoil(i int64, ours, theirs *row.Row) int {
	if i%100 != 99 {
		return none
	}
	d := int(i/100%5) + 1
	if d == otherStatus {
		ours.Status, ours.Flags = row.Failed, row.Owed
	}
	if d == otherAmount && theirs != nil {
		theirs.Amount += 7
	}
	return d
}

// step is odd, large, and shares no divisor with n.
func step(n int64) int64 {
	for s := n*2/3 | 1; ; s += 2 {
		a, b := s, n
		for b != 0 {
			a, b = b, a%b
		}
		if a == 1 {
			return s
		}
	}
}

func played(i int64) row.Row {
	kind := txn.Sale
	if i%17 == 0 {
		kind = txn.Refund
	}
	r := row.Row{ID: uint64(i + 1), RRN: 274_000_000_000 + uint64(i), STAN: uint32(i % 1_000_000), Amount: 100 + i*7919%100_000, Kind: kind,
		Status: row.Settled, Date: 20261001}
	copy(r.Merchant[:], "100000000000000")
	for k, m := 14, i%1000; m > 0; k, m = k-1, m/10 {
		r.Merchant[k] = '0' + byte(m%10)
	}
	copy(r.Terminal[:], "00000001")
	return r
}

// PlayFees are the fees of played days: 0.38 % and at most 20 yuan, of which the
// issuer has 70 % and the centre 10 %.
func PlayFees() *fee.Table {
	t, err := fee.NewTable([]fee.Rule{{Name: "played", Payer: fee.Party{Role: fee.Merchant}, Remainder: fee.Party{Role: fee.Acquirer},
		Tiers:  []fee.Tier{{Price: fee.Price{Rate: 3800, Max: 2000}}},
		Shares: []fee.Share{{To: fee.Party{Role: fee.Issuer}, Parts: 700_000}, {To: fee.Party{Role: fee.Centre}, Parts: 100_000}}}})
	if err != nil {
		panic(err) // it is in the program
	}
	return t
}
