package conn

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tongka/conn/cert/certtest"
)

// clientRole makes the test binary a crowd of callers in a process of its own, so
// that what it costs is not the front's: "address plain|tls connections seconds".
// With 0 seconds each asks once and then holds its connection.
const clientRole = "TONGKA_CONN_CLIENT"

func playClient(role string) error {
	var addr, kind string
	var conns, seconds int
	if _, err := fmt.Sscan(role, &addr, &kind, &conns, &seconds); err != nil {
		return err
	}
	request := framed(strings.Repeat("x", 200))
	var asked atomic.Int64
	var end atomic.Bool
	var all sync.WaitGroup
	each := make([]net.Conn, conns)
	for i := range each {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		if kind == "tls" {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // a benchmark looks at no name
		}
		each[i] = c
		if err := askOnce(c, request); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	if seconds == 0 {
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	for _, c := range each {
		all.Go(func() {
			for !end.Load() && askOnce(c, request) == nil {
				asked.Add(1)
			}
		})
	}
	time.AfterFunc(time.Duration(seconds)*time.Second, func() { end.Store(true) })
	all.Wait()
	fmt.Println(asked.Load())
	return nil
}

func askOnce(c net.Conn, request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, len(request)))
	return err
}

// crowd starts the other process and waits until all are connected. rest reads
// what it says afterwards; stop ends it.
func crowd(b *testing.B, f *Front, kind string, conns, seconds int) (rest *bufio.Reader, stop func()) {
	b.Helper()
	c := exec.CommandContext(b.Context(), os.Args[0])
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d %d", clientRole, f.Addr(0), kind, conns, seconds))
	c.Stderr = os.Stderr
	in, errIn := c.StdinPipe()
	out, errOut := c.StdoutPipe()
	if errIn != nil || errOut != nil || c.Start() != nil {
		b.Fatal("the crowd does not start")
	}
	rest = bufio.NewReader(out)
	if line, err := rest.ReadString('\n'); line != "ready\n" {
		b.Fatalf("the crowd says %q, %v", line, err)
	}
	return rest, func() {
		_ = in.Close()
		_ = c.Wait()
	}
}

func startRelayTLS(b *testing.B, kind string, conns int) *Front {
	var change []func(*ListenerConfig)
	if kind == "tls" {
		own := certtest.NewCA(b).Issue(b, certtest.Leaf{Name: "switch"})
		change = append(change, func(l *ListenerConfig) {
			l.TLS, l.Guard.MaxHandshakes = &TLS{Cert: own.Cert, Key: own.Key}, conns
		})
	}
	f, _ := startRelay(b, conns, change...)
	return f
}

// BenchmarkTLS compares, in one run, what a request and its answer of 200 bytes
// take of this process's CPU time with and without TLS, over 200 connections.
func BenchmarkTLS(b *testing.B) {
	per := map[string]float64{}
	for _, kind := range []string{"plain", "tls"} {
		f := startRelayTLS(b, kind, 200)
		said, stop := crowd(b, f, kind, 200, 2)
		start := cpu()
		line, _ := said.ReadString('\n')
		used := cpu() - start
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || n == 0 {
			b.Fatalf("the crowd says %q", line)
		}
		stop()
		per[kind] = float64(used) / 1000 / float64(n)
	}
	for b.Loop() { // drops metrics of before
	}
	for kind, v := range per {
		b.ReportMetric(v, kind+"-CPU-µs/request")
	}
	b.ReportMetric(per["tls"]/per["plain"], "tls/plain")
}

// BenchmarkIdleTLS reports what a TLS session at rest costs this process beside a
// plain connection.
func BenchmarkIdleTLS(b *testing.B) {
	const conns = 1000
	per := map[string]float64{}
	for _, kind := range []string{"plain", "tls"} {
		f := startRelayTLS(b, kind, conns)
		before := memory()
		_, stop := crowd(b, f, kind, conns, 0)
		per[kind] = float64(memory().live-before.live) / conns
		stop()
	}
	for b.Loop() {
	}
	for kind, v := range per {
		b.ReportMetric(v, kind+"-B/conn")
	}
}
