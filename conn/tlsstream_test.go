package conn

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"tongka/conn/cert/certtest"
)

// tap keeps what is written, while it is open.
type tap struct {
	net.Conn
	open bool
	kept []byte
}

func (c *tap) Write(b []byte) (int, error) {
	if c.open {
		c.kept = append(c.kept, b...)
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// In a stream without a pause every look can find half a record: that is no
// half frame as long as records end. The last one, which does not, is.
func TestTLSHalfRecordsOfAStream(t *testing.T) {
	const limit = 100 * time.Millisecond
	cfg, client := tlsDoor(t, certtest.NewCA(t), func(l *ListenerConfig) { l.FrameTimeout = limit })
	f, _ := run(t, cfg)
	raw := &tap{Conn: dial(t, f)}
	c := tls.Client(raw, client)
	ask(t, c, "hello")
	raw.open = true
	cut := 0
	for began := time.Now(); time.Since(began) < 4*limit; {
		left := len(raw.kept)
		write(t, c, framed("more"))
		cut = 9 - cut // once in the head, once behind it
		at := left + max(cut, 2)
		write(t, raw.Conn, raw.kept[:at])
		raw.kept = append(raw.kept[:0], raw.kept[at:]...)
		if left == 0 {
			continue
		}
		if got := read(t, c); got != "more" {
			t.Fatalf("%q", got)
		}
	}
	within(t, "the last is given up", func() bool { return f.Stats().ClosedHalfFrame == 1 })
}
