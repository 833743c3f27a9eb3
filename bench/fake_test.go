package bench

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tongka/bench/internal/sale"
	"tongka/codec/iso8583"
	"tongka/config"
)

// The test program plays every part of the bench, and a switch: "bench …" is
// the command as "switch bench" would be, "--role X" behind it a part, and
// "run -c FILE" the switch under test.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "bench":
			os.Exit(Main(os.Args[2:], os.Stdout, os.Stderr))
		case "run":
			if err := fakeSwitch(os.Args[3], os.Getenv("FAKE_SWITCH")); err != nil {
				fmt.Fprintln(os.Stderr, "fake switch:", err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// fakeSwitch signs on at the bank of a config, is healthy, and answers sales by
// itself. The fault makes it refuse them, answer none for a second, not start, or end
// with an error.
func fakeSwitch(file, fault string) error {
	c, err := config.Load(file)
	if err != nil {
		return err
	}
	if fault == "dies" {
		return fmt.Errorf("cannot open the journal")
	}
	if err := signOn(c.Links[0].Address); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", c.Listeners[0].Address)
	if err != nil {
		return err
	}
	go http.ListenAndServe(c.Console.Address, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch {
		case q.URL.Path == "/healthz":
		case q.URL.Path == "/metrics":
			fmt.Fprint(w, fakeCommits)
		case q.URL.Path == "/debug/pprof/profile" && slices.Contains(os.Args, "--profile") && fault != "hides":
			pprof.Profile(w, q)
		case q.URL.Path == "/debug/vars" && slices.Contains(os.Args, "--profile"):
			fmt.Fprint(w, fakeHeap)
		case q.URL.Path == "/debug/pprof/allocs":
			pprof.Index(w, q)
		default:
			http.NotFound(w, q)
		}
	}))
	go endOnTerm(fault)
	code := "00"
	if fault == "declines" {
		code = "94"
	}
	// Two turns of 500 terminals at 1,000 sales a second, and a little.
	stalled := sync.OnceValue(func() time.Time { return time.Now().Add(1100 * time.Millisecond) })
	ready := func() {
		if fault == "stalls" {
			<-time.After(time.Until(stalled()))
		}
	}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go answerSales(conn, code, ready)
	}
}

// endOnTerm ends the fake switch in order when it is told to, or with a fault.
func endOnTerm(fault string) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	<-told
	if fault == "ends badly" {
		fmt.Fprintln(os.Stderr, "fake switch: the journal could not be closed")
		os.Exit(3)
	}
	os.Exit(0)
}

// fakeCommits are a switch's: nine commits, two of them slow, in 0.3 s.
const fakeCommits = `# TYPE tongka_journal_commit_seconds histogram
tongka_journal_commit_seconds_bucket{le="0.004096"} 6
tongka_journal_commit_seconds_bucket{le="0.008192"} 7
tongka_journal_commit_seconds_bucket{le="0.016384"} 8
tongka_journal_commit_seconds_bucket{le="+Inf"} 9
tongka_journal_commit_seconds_sum 0.3
tongka_journal_commit_seconds_count 9
`

const fakeHeap = `{"cmdline": [], "memstats": {"Mallocs": 5000, "TotalAlloc": 1000000}}`

// signOn wants a 0830 from the bank.
func signOn(bank string) error {
	c, err := net.Dial("tcp", bank)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	b := iso8583.Cups().Begin(iso8583.AppendCupsHeader([]byte("0000"), "1", "2"), 0x0820)
	b.Put(7, []byte("0102093000"))
	b.Put(11, []byte("000001"))
	b.Put(70, []byte("001"))
	frame, err := b.End()
	if err != nil {
		return err
	}
	iso8583.PatchCupsLength(frame[4:], len(frame)-4)
	copy(frame, fmt.Sprintf("%04d", len(frame)-4))
	if _, err := c.Write(frame); err != nil {
		return err
	}
	head := make([]byte, 4+46+4)
	if _, err := io.ReadFull(c, head); err != nil {
		return err
	}
	if got := string(head[50:]); got != "0830" {
		return fmt.Errorf("the bank answers the sign-on with %s", got)
	}
	return nil
}

func answerSales(c net.Conn, code string, ready func()) {
	defer c.Close()
	var head [2]byte
	for {
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(c, frame); err != nil {
			return
		}
		ready()
		at := sale.TraceAt - 2
		out := append([]byte{0, 0}, frame[:11]...)
		out = append(out, 0x02, 0x10, 0x00, 0x20, 0, 0, 2, 0, 0, 0)
		out = append(append(out, frame[at:at+3]...), code...)
		out[1] = byte(len(out) - 2)
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// lines is a strings.Contains for several needles that says which is missing.
func lines(t *testing.T, text string, needles ...string) {
	t.Helper()
	for _, n := range needles {
		if !strings.Contains(text, n) {
			t.Errorf("%q is not in:\n%s", n, text)
		}
	}
}
