package conn

import (
	"crypto/tls"
	"fmt"
	"io"
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
	for ends := uint64(1); ; ends++ {
		raw := &tap{Conn: dial(t, f)}
		c := tls.Client(raw, client)
		ask(t, c, "hello")
		pause, err := halfRecords(c, raw, 4*limit)
		if err != nil && (pause < limit/2 || ends > 100) {
			t.Fatalf("%v, after pauses of at most %v", err, pause)
		}
		within(t, "the last is given up", func() bool { return f.Stats().ClosedHalfFrame == ends })
		if err == nil {
			return // else a pause was ours, and it was right to give up
		}
	}
}

// halfRecords asks for a time, each record in two pieces that come with those of
// its neighbours, and says for how long at most it has sent nothing.
func halfRecords(c *tls.Conn, raw *tap, length time.Duration) (pause time.Duration, err error) {
	raw.open = true
	cut := 0
	answer := make([]byte, 6)
	for began, last := time.Now(), time.Now(); time.Since(began) < length; {
		left := len(raw.kept)
		if _, err := c.Write(framed("more")); err != nil {
			return pause, err
		}
		cut = 9 - cut // once in the head, once behind it
		at := left + max(cut, 2)
		if _, err = raw.Conn.Write(raw.kept[:at]); err == nil && left > 0 {
			_, err = io.ReadFull(c, answer)
		}
		pause, last = max(pause, time.Since(last)), time.Now()
		if err != nil {
			return pause, err
		}
		raw.kept = append(raw.kept[:0], raw.kept[at:]...)
		if left > 0 && string(answer) != string(framed("more")) {
			return 0, fmt.Errorf("answered %q", answer)
		}
	}
	return pause, nil
}
