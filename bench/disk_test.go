package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestCommitsOfASwitch(t *testing.T) {
	page := fakeCommits
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) }))
	defer srv.Close()
	at := netip.MustParseAddrPort(strings.TrimPrefix(srv.URL, "http://"))
	got, err := commitsOf(context.Background(), at)
	if want := (commits{n: 9, quick: 7, seconds: 0.3}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	page = "tongka_ready 1\n"
	if _, err := commitsOf(context.Background(), at); err == nil || !strings.Contains(err.Error(), commitMetric) {
		t.Errorf("a switch that does not say it: %v", err)
	}
	srv.Close()
	if _, err := commitsOf(context.Background(), at); err == nil {
		t.Error("nobody answers, and there is no error")
	}
}

func TestDiskOverSeveralRounds(t *testing.T) {
	var d Disk
	d.add(commits{10, 9, 1}, commits{30, 28, 1.4}, 2)
	d.add(commits{30, 28, 1.4}, commits{40, 37, 2}, 2)
	near := func(got, want float64) bool { return got > want*0.999 && got < want*1.001 }
	if d.Commits != 30 || d.Slow != 2 || !near(d.Mean, 1e6/30) || !near(d.Share, 0.25) || d.Seconds != 4 {
		t.Errorf("%+v", d)
	}
}
