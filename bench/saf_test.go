package bench

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"tongka/bench/internal/load"
	"tongka/config"
	"tongka/journal"
	"tongka/journal/query"
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
	pictures, next = []string{"", `{"at":"","owed":0}`, `{"at":"t","owed":0,"counters":{"delivered":30}}`}, 0
	p = watchPayment(t.Context(), at)
	if _, err := p.rate(); p.debts != 30 || err != nil {
		t.Errorf("all gone between two pictures: %+v, %v", p, err)
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

// What is owed to begin with is owed for sales that are in the journal, so that its
// verification holds, and no other.
func TestOweWritesAWholeJournal(t *testing.T) {
	any := netip.MustParseAddrPort("127.0.0.1:1")
	p, err := provision(t.TempDir(), 1, settings{Bank: any, Connections: 10, Debtor: any})
	if err != nil {
		t.Fatal(err)
	}
	const debts = 1500
	if err := owe(p.config, debts); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(p.config)
	if err != nil {
		t.Fatal(err)
	}
	key, err := journal.LoadKey(cfg.Journal.KeyFile, cfg.JournalDir())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := journal.OpenReadOnly(journal.Options{Dir: cfg.JournalDir(), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	desk, err := query.NewDesk(kept.Reader, 1)
	if err != nil {
		t.Fatal(err)
	}
	rep, err := desk.Verify(t.Context(), nil)
	if err != nil || !rep.OK || rep.Debts != debts || rep.Ended != debts || rep.Open != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// A switch that saw a terminal's trace number before answers from its books, which is no
// sale: whatever its name, each measurement of one takes terminals of its own.
func TestNoTerminalSellsTwice(t *testing.T) {
	b := &bench{o: &Options{}}
	next := 0
	for range 3 {
		for _, name := range []string{"alone", "owing", switchName} {
			s := b.specOf(&target{name: name, pid: 7, knows: true}, load.Spec{Terminals: 500})
			if s.First != next || s.FirstTrace != 1 || s.PID != 7 {
				t.Errorf("%s: %+v, want terminals from %d", name, s, next)
			}
			next += 500
		}
		if s := b.specOf(&target{name: rawName}, load.Spec{Terminals: 500}); s.First != 0 {
			t.Errorf("raw: %+v", s)
		}
	}
}

func TestClosedPortStaysOurs(t *testing.T) {
	at, release, err := closedPort()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", at.String()); err == nil {
		c.Close()
		t.Error("somebody listens")
	}
	if ln, err := net.Listen("tcp", at.String()); err == nil {
		ln.Close()
		t.Error("somebody else took it")
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}
