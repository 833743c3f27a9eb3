package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// A thousand hosts at once each get their own answers, and who sends bytes at random,
// half a command or nothing at all takes nothing from them.
func TestHSMManyConnections(t *testing.T) {
	addr, stop := module(t, HSMConfig{HeaderLen: 4})
	const hosts = 1000
	conns := make([]net.Conn, hosts)
	for i := range conns {
		conns[i] = dialHSM(t, addr)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i, c := range conns {
		var out []byte
		switch i % 4 {
		case 0: // rubbish of whole frames, then a command
			for range 5 {
				b := make([]byte, r.IntN(300))
				for j := range b {
					b[j] = byte(r.Uint32())
				}
				out = append(out, binary.BigEndian.AppendUint16(nil, uint16(len(b)))...)
				out = append(out, b...)
			}
			out = append(out, command(fmt.Sprintf("%04dB20004last", i))...)
		case 1: // half a command: no answer, and no harm
			out = command(fmt.Sprintf("%04dNC", i))[:5]
		case 2:
			continue // silence
		default:
			for n := range 20 {
				out = append(out, command(fmt.Sprintf("%04dB20002%02d", i, n))...)
			}
		}
		if _, err := c.Write(out); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i, c := range conns {
		switch i % 4 {
		case 0:
			wg.Go(func() {
				want := fmt.Sprintf("%04dB300last", i)
				for range 6 { // rubbish is answered with codes, or not at all
					if answerOf(t, c) == want {
						return
					}
				}
				t.Errorf("host %d did not get %s", i, want)
			})
		case 3:
			wg.Go(func() {
				for n := range 20 {
					if got, want := answerOf(t, c), fmt.Sprintf("%04dB300%02d", i, n); got != want {
						t.Errorf("host %d: %s, want %s", i, got, want)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	done := make(chan error, 1)
	go func() { done <- stop() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("it does not stop beside a thousand connections")
	}
}

// The greatest command that a length can say is answered, with a trailer too.
func TestHSMLongestCommand(t *testing.T) {
	addr, _ := module(t, HSMConfig{HeaderLen: 4})
	c := dialHSM(t, addr)
	data := strings.Repeat("x", 32000)
	if _, err := c.Write(command("0001B27D00" + data + "\x19end")); err != nil {
		t.Fatal(err)
	}
	if got := answerOf(t, c); got != "0001B300"+data+"\x19end" {
		t.Errorf("%d characters: %.40q", len(got), got)
	}
	if _, err := c.Write(append([]byte{0xFF, 0xFF}, bytes.Repeat([]byte{'0'}, 0xFFFF)...)); err != nil {
		t.Fatal(err)
	}
	if got := answerOf(t, c); got != "0000"+"0168" {
		t.Errorf("a command of zeros: %q", got)
	}
}
