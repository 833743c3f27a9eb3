package bench

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestSAFLimits(t *testing.T) {
	s := &SAF{Debts: 1000, Ratio: 0.95, RSSAlone: 100e6, RSSBeside: 250e6, Deliveries: 30_000}
	r := Report{SAF: s}
	if err := r.check(&Options{SAF: true, MinSAF: 0.9, MaxSAF: 200, MinDelivery: 20_000}); err != nil {
		t.Error(err)
	}
	err := r.check(&Options{SAF: true, MinSAF: 0.96, MaxSAF: 100, MinDelivery: 40_000})
	for _, want := range []string{"--min-saf-ratio 0.96：0.95", "--max-saf-memory 100：150", "--min-deliveries 40000：3e+04"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	var b bytes.Buffer
	r.print(&b)
	lines(t, b.String(), "所欠 debts 1000", "增长 growth 150 MB", "deliveries: 30000/s", "ratio 0.950")
	if strings.Contains(b.String(), "裸转发 raw") {
		t.Error("shapes are printed, too")
	}
}

// The watch begins with the first picture that shows debts and ends with none; one
// that saw none gives no rate, where a quotient would be without bounds.
func TestDeliveriesAreWatchedFromTheStart(t *testing.T) {
	pictures := []string{"", `{"at":"","owed":0}`, `{"at":"t","owed":0}`, `{"at":"t","owed":500}`, `{"at":"t","owed":20}`, `{"at":"t","owed":0}`}
	next := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(pictures[next]))
		next = min(next+1, len(pictures)-1)
	}))
	defer s.Close()
	at := netip.MustParseAddrPort(s.Listener.Addr().String())
	p := watchPayment(t.Context(), at)
	if rate, err := p.rate(); p.debts != 500 || err != nil || rate <= 0 || rate > 500/0.03 {
		t.Errorf("%+v: %v, %v", p, rate, err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := watchPayment(ended, at).rate(); err == nil {
		t.Error("a rate of nothing")
	}
}

func TestSAFOptions(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--saf --raw", "--saf"}, {"--saf --storm", "--saf"}, {"--saf --debts=10", "--debts 10"}, {"--saf --debts=6000000", "--debts"},
		{"--min-saf-ratio=0.9", "--saf"}, {"--max-saf-memory=1", "--saf"}, {"--min-deliveries=1", "--saf"},
	} {
		var out, errs bytes.Buffer
		if code := Main(strings.Fields(c.args), &out, &errs); code != exitUsage || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: exit %d: %s", c.args, code, errs.String())
		}
	}
}
