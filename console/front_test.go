package console

import (
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tongka/conn"
)

// Each field of the doors' statistics has a number of its own here, so that a
// counter that is shown under another's name, twice or not at all is found.
func TestEveryCountOfTheDoorsIsShown(t *testing.T) {
	var s conn.Stats
	want := map[uint64]string{}
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		v.Field(i).SetUint(uint64(100 + i))
		if name := v.Type().Field(i).Name; name != "Open" {
			want[uint64(100+i)] = name
		}
	}
	for _, k := range frontCounts {
		n := k.get(&s)
		if want[n] == "" {
			t.Errorf("%v %q shows %d, which another shows or none should", k.desc, k.label, n)
		}
		delete(want, n)
	}
	for _, name := range want {
		t.Errorf("%s is not shown", name)
	}
}

// Each refusal and each fault is in one of the page's sums, and in one only.
func TestDoorsAddUp(t *testing.T) {
	var s conn.Stats
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		v.Field(i).SetUint(1)
	}
	got := doors(&s)
	if want := (Doors{Open: 1, Accepted: 1, Refused: 7, Faulty: 7, BadTLS: 2, ShutOuts: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestFrontMetrics(t *testing.T) {
	c := frontCollector{func() conn.Stats { return conn.Stats{Open: 3, Denied: 7, ClosedTLS: 5, HandshakesLate: 2} }}
	err := testutil.CollectAndCompare(c, strings.NewReader(`
# HELP tongka_connections Connections open now, links included.
# TYPE tongka_connections gauge
tongka_connections 3
# HELP tongka_tls_handshakes_total TLS handshakes of those who came in, by result.
# TYPE tongka_tls_handshakes_total counter
tongka_tls_handshakes_total{result="bad"} 0
tongka_tls_handshakes_total{result="late"} 2
tongka_tls_handshakes_total{result="ok"} 0
`), "tongka_connections", "tongka_tls_handshakes_total")
	if err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
