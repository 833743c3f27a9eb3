package node

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tongka/console"
	"tongka/engine"
	"tongka/sdnotify"
)

// TestRecoveryIsSeen: the log, systemd and the health answer say how far it is, once
// a second at most; nobody can give orders meanwhile.
func TestRecoveryIsSeen(t *testing.T) {
	name := "@tongka-recovery-" + strconv.Itoa(os.Getpid())
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	systemd, err := sdnotify.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	core, lines := observer.New(zap.InfoLevel)
	n := &Node{log: zap.New(core), opts: Options{Notify: systemd}}
	if n.Snapshot() != nil {
		t.Fatal("a picture before there is anything")
	}
	s := console.New(n, console.Options{})
	ask := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/healthz", nil))
		return w
	}
	if w := ask(); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "starting") {
		t.Error(w.Code, w.Body)
	}
	tell := n.recovering()
	for range 100 {
		tell(engine.Recovery{Records: 7000, Open: 600, Closed: 50})
	}
	if w := ask(); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"state":"recovering"`) || !strings.Contains(w.Body.String(), `"records":7000,"open":600,"closed":50`) {
		t.Error(w.Code, w.Body)
	}
	if all := lines.FilterMessage("recovering"); all.Len() == 0 || all.Len() > 3 {
		t.Errorf("%d lines", all.Len())
	}
	heard := ""
	b := make([]byte, 512)
	for !strings.Contains(heard, "EXTEND_TIMEOUT_USEC=") {
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		k, err := c.Read(b)
		if err != nil {
			t.Fatal(err, heard)
		}
		heard += string(b[:k]) + "\n"
	}
	if !strings.Contains(heard, "STATUS=recovering: 7000 records read, 600 open, 50 closed") {
		t.Error(heard)
	}
	w := httptest.NewRecorder()
	n.whenOpened(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("an order came through") })).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/stop", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Error(w.Code)
	}
}
