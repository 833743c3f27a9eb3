package fleet

import (
	"strings"
	"testing"

	"tongka/hsm"
)

func TestEnquiriesAmongSales(t *testing.T) {
	f := newFake(t, hsm.UnionPay, friendly)
	fl := play(t, f, Config{Sales: 20, EnquiryShare: 0.5, PINShare: 0.5})
	if sales := finish(t, fl); len(sales) != 20 {
		t.Errorf("%d sales are in the book", len(sales))
	}
	s, asked := fl.Stats(), 0
	seen := map[string]bool{}
	for _, r := range f.requests()[1:] {
		if !r.good || seen[r.trace] {
			t.Errorf("%s: MAC good %v, trace seen before %v", r.line(), r.good, seen[r.trace])
		}
		seen[r.trace] = true
		if strings.HasPrefix(r.f60, "01") {
			asked++
			if r.amount != 0 || r.pan == "" {
				t.Errorf("%s: amount %d, card %q", r.line(), r.amount, r.pan)
			}
		}
	}
	if asked == 0 || s.Enquiries != uint64(asked) || s.Sent != 20 || s.Unanswered != 0 {
		t.Errorf("%d enquiries seen, %+v", asked, s)
	}
}

// An enquiry without an answer is forgotten: nothing is reversed for it.
func TestEnquiryWithoutAnAnswer(t *testing.T) {
	f := newFake(t, hsm.UnionPay, sellTo(func(r request) act {
		return act{code: "00", drop: strings.HasPrefix(r.f60, "01")}
	}))
	fl := play(t, f, Config{Sales: 10, EnquiryShare: 0.5})
	finish(t, fl)
	s := fl.Stats()
	if s.Unanswered == 0 || s.Enquiries != 0 || s.Approved != 10 || s.Reversed != 0 || s.Unresolved != 0 {
		t.Errorf("%+v", s)
	}
}

func TestEnquiryShareIsChecked(t *testing.T) {
	for _, share := range []float64{-0.1, 1.1} {
		if _, err := New(Config{Addr: "127.0.0.1:1", Terminals: terminals(1), EnquiryShare: share}); err == nil || !strings.Contains(err.Error(), "enquiry share") {
			t.Errorf("%v: %v", share, err)
		}
	}
}
