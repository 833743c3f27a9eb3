package sdnotify

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// listen is a systemd of the test.
func listen(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	return c
}

func heard(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 512)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestWhatSystemdHears(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "n"), "@tongka-test-" + strconv.Itoa(os.Getpid())} {
		c := listen(t, name)
		s, err := FromEnv()
		if err != nil || s == nil {
			t.Fatal(s, err)
		}
		for _, say := range []struct {
			do   func() error
			want string
		}{
			{func() error { return s.Ready("3 links\nREADY=0") }, "READY=1\nSTATUS=3 links READY=0"},
			{func() error { return s.Stopping("bye") }, "STOPPING=1\nSTATUS=bye"},
			{s.Watchdog, "WATCHDOG=1"},
			{func() error { return s.MainPID(42) }, "MAINPID=42"},
			{func() error { return s.WatchdogWithin(2 * time.Second) }, "WATCHDOG_USEC=2000000"},
			{func() error { return s.Status("10 %\nREADY=1") }, "STATUS=10 % READY=1"},
			{func() error { return s.ExtendTimeout(1500 * time.Millisecond) }, "EXTEND_TIMEOUT_USEC=1500000"},
		} {
			if err := say.do(); err != nil {
				t.Fatal(err)
			}
			if got := heard(t, c); got != say.want {
				t.Errorf("heard %q, want %q", got, say.want)
			}
		}
		if err := s.Reloading(); err != nil {
			t.Fatal(err)
		}
		usec, ok := strings.CutPrefix(heard(t, c), "RELOADING=1\nMONOTONIC_USEC=")
		if n, err := strconv.ParseInt(usec, 10, 64); !ok || err != nil || n <= 0 {
			t.Errorf("reloading at %q", usec)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	s, err := FromEnv()
	if err != nil || s != nil || s.Ready("x") != nil {
		t.Error(s, err)
	}
	t.Setenv("NOTIFY_SOCKET", "relative")
	if _, err := FromEnv(); err == nil {
		t.Error("a relative path is taken")
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	if s, err = FromEnv(); err != nil || s.Watchdog() == nil {
		t.Error("a socket that is not there gives no error")
	}
}

func TestWatchdogEvery(t *testing.T) {
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
		ok        bool
	}{
		{"", "", 0, true},
		{"30000000", "", 10 * time.Second, true},
		{"30000000", strconv.Itoa(os.Getpid()), 10 * time.Second, true},
		{"30000000", "1", 0, true},
		{"0", "", 0, false},
		{"-1", "", 0, false},
		{"soon", "", 0, false},
		{"9223372036854775807", "", 0, false},
	} {
		t.Setenv("WATCHDOG_USEC", c.usec)
		t.Setenv("WATCHDOG_PID", c.pid)
		if got, err := WatchdogEvery(); got != c.want || (err == nil) != c.ok {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
}
