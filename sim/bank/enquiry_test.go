package bank

import "testing"

func TestBalanceIsShownAndBooksNothing(t *testing.T) {
	b, l := start(t, Config{})
	ask := sale(1).with(fields{3: "310000", 4: ""})
	v := l.ask(0x0200, ask, "00")
	if got := string(v.Field(54)); got != shownBalance || v.Has(38) || v.Has(4) {
		t.Errorf("F54 %q, F38 %v, F4 %v", got, v.Has(38), v.Has(4))
	}
	l.ask(0x0200, ask, "00") // asked again it is shown again
	l.ask(0x0200, ask.with(fields{2: ""}), "14")
	if s := b.Stats(); s.Enquiries != 3 || s.Sales != 0 || s.Booked != 0 || len(b.Bookings()) != 0 {
		t.Errorf("%+v", s)
	}
	if err := b.Behave(Behaviour{Silent: true}); err != nil {
		t.Fatal(err)
	}
	l.send(frame(t, 0x0200, ask))
	l.quiet()
}
