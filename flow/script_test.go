package flow

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tongka/router"
	"tongka/txn"
)

var rewrite = flag.Bool("rewrite", false, "renew the right-hand side of the scripts")

// script plays one golden script: lines at the margin are events, indented
// lines are what the machine did. Each "open" starts a new transaction.
type script struct {
	t     *testing.T
	env   Env
	txn   *Txn
	line1 *Line
	now   time.Duration
	links map[txn.LinkID]router.Readiness
	cards cards
	out   bytes.Buffer
}

func (s *script) Ready(l txn.LinkID) router.Readiness { return s.links[l] }
func (s *script) FullCode(txn.LinkID) txn.Code        { return txn.SystemFault }

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, want)
			if *rewrite {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs; got:\n%s", file, got)
			}
		})
	}
}

func play(t *testing.T, in []byte) []byte {
	var rules []router.Rule
	for bin, link := range map[string]txn.LinkID{"62": 7, "63": 8, "64": 9} {
		r, err := router.ParseRange(bin)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, router.Rule{BINs: []router.Range{r}, To: []router.Target{{Link: link, Weight: 1}}})
	}
	table, err := router.Compile(router.Source{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, links: map[txn.LinkID]router.Readiness{8: router.Away, 9: router.Busy}}
	s.env = Env{Routes: table, Health: s, Cards: &s.cards, AnswerTimeout: make([]int64, 10), Rules: Rules{Completion: 15, Tip: 20}}
	s.env.AnswerTimeout[7] = int64(30 * time.Second)
	lines := bufio.NewScanner(bytes.NewReader(in))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "\t") {
			continue
		}
		fmt.Fprintln(&s.out, line)
		if line != "" && line[0] != '#' {
			s.line(strings.Fields(line))
		}
	}
	return s.out.Bytes()
}

func (s *script) line(w []string) {
	switch w[0] {
	case "open":
		s.open(w[1:])
	case "line":
		s.openLine(w[1:])
	case "busy":
		s.line1.InFlight++
	case "free": // the message that was out has ended, however
		s.line1.InFlight--
	case "answered-in-time":
		s.line1.InFlight--
		s.line1.Answered()
	case "at":
		d, err := time.ParseDuration(w[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = d
	case "names":
		s.names(w[1:])
	case "resume":
		var out Effects
		Resume(s.txn, &out)
		s.print(&out)
	case "room":
		s.links[7] = map[string]router.Readiness{"full": router.Busy, "down": router.Away, "ready": router.Ready}[w[1]]
	default:
		if s.cardLine(w) {
			return
		}
		if i := slices.Index(lineEventNames[:], w[0]); i >= 0 {
			s.lineEvent(LineEvent(i))
			return
		}
		ev := s.event(w)
		var out Effects
		Decide(&s.env, s.txn, &ev, &out)
		s.print(&out)
	}
}

func (s *script) open(w []string) {
	kind, ok := txn.ParseKind(w[0])
	if !ok {
		s.t.Fatalf("kind %q", w[0])
	}
	s.txn, s.cards = &Txn{Facts: txn.Facts{ID: 43, Kind: kind}}, cards{}
	pan := "6225880000000003"
	for _, opt := range w[1:] {
		switch opt {
		case "pin":
			s.txn.HasPIN = true
		case "tdk":
			s.txn.HasTDK = true
		case "tmk":
			s.txn.Key = AskKey
		case "tmk-taken":
			s.txn.Key = KeyTaken
		case "no-route":
			pan = "4000000000000002"
		case "line-down":
			pan = "6300000000000002"
		case "lines-full":
			pan = "6400000000000009"
		default:
			n, err := strconv.ParseInt(opt, 10, 64)
			if err != nil {
				s.t.Fatalf("option %q", opt)
			}
			s.txn.Amount = n
		}
	}
	s.txn.PAN, _ = txn.ParsePAN([]byte(pan))
}

// names says what the transaction names: its kind, its amount, and what became of
// it: refunded N, tipped N, closed KIND, elsewhere (another terminal of the
// merchant), yesterday, other-card, other-merchant; and of a reversal's original,
// that it named another in its turn: parent, of which something was given back:
// parent-refunded N; unsent: no bank was asked.
func (s *script) names(w []string) {
	kind, ok := txn.ParseKind(w[0])
	amount, err := strconv.ParseInt(w[1], 10, 64)
	if !ok || err != nil {
		s.t.Fatalf("names %v", w)
	}
	o := &Ref{Facts: txn.Facts{ID: 41, Kind: kind, Amount: amount, PAN: s.txn.PAN, Link: 7, At: int64(s.now), Sent: 1}}
	for w = w[2:]; len(w) > 0; w = w[1:] {
		number := func() (n int64) {
			n, err := strconv.ParseInt(w[1], 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			w = w[1:]
			return n
		}
		switch w[0] {
		case "refunded":
			o.Own.Refunded = number()
		case "tipped":
			o.Own.Tip = number()
		case "closed":
			o.Own.By, _ = txn.ParseKind(w[1])
			o.Own.Closed = 42
			w = w[1:]
		case "elsewhere":
			o.Terminal.Number[0] = 1
		case "other-merchant":
			o.Terminal.Merchant[0] = 1
		case "other-card":
			o.PAN, _ = txn.ParsePAN([]byte("6225880000000011"))
		case "yesterday":
			o.At -= int64(24 * time.Hour)
		case "parent":
			o.Orig, o.Parent = 40, Chain{Closed: o.ID, By: kind}
			switch kind {
			case txn.Refund:
				o.Parent = Chain{Refunded: amount + 100}
			case txn.Tip:
				o.Parent = Chain{Tip: amount + 50}
			}
		case "parent-refunded":
			o.Parent.Refunded = number()
		case "unsent":
			o.Sent = 0
		default:
			s.t.Fatalf("names: %q", w[0])
		}
	}
	s.txn.Ref = o
}

func (s *script) event(w []string) Event {
	ev := Event{Now: int64(s.now)}
	for i, n := range eventNames {
		if n == w[0] {
			ev.Kind = EventKind(i)
		}
	}
	if eventNames[ev.Kind] != w[0] {
		s.t.Fatalf("event %q", w[0])
	}
	arg := append(w, "", "")[1:]
	switch ev.Kind {
	case Answered:
		copy(ev.Code[:], arg[0])
		copy(ev.Auth[:], "A00001")
	case Found:
		fates := map[string]Fate{"fresh": Fresh, "repeat": Repeat, "live": Live, "clash": Clash, "known": Known}
		ev.Fate = fates[arg[0]]
		for r := txn.Open; r <= txn.Reversed; r++ {
			if r.String() == arg[1] {
				ev.Orig = r
			}
		}
		switch arg[0] {
		case "fresh":
			copy(ev.Deny[:], arg[1]) // a look-up that failed
		case "refused":
			copy(ev.Refuse[:], arg[1]) // by a list or a limit of the day
		}
		if ev.Fate == Known {
			s.txn.Link = 7 // the shard copies it from the original
			if s.txn.Ref == nil {
				s.names([]string{"sale", "1000"})
			}
			s.txn.Ref.Result = ev.Orig
		}
	default:
		if arg[0] != "ok" {
			copy(ev.Deny[:], arg[0])
		}
	}
	return ev
}

func (s *script) print(out *Effects) {
	for _, e := range out.A[:out.N] {
		s.out.WriteString("\t" + s.effect(e) + "\n")
	}
	state := s.txn.State.String()
	if s.txn.State == Securing {
		state += " " + stepsOf(s.txn)[s.txn.Step].String()
	}
	fmt.Fprintf(&s.out, "\t= %s\n", state)
}

func (s *script) effect(e Effect) string {
	if line := s.cardEffect(e); line != "" {
		return line
	}
	switch e.Do {
	case Ask:
		return "ask " + e.Step.String()
	case Seek:
		return "seek " + e.Step.String()
	case Record:
		switch e.Rec {
		case Intent:
			return "record intent"
		case SignedIn:
			return "record signed-in"
		case SignedOut:
			return "record signed-out"
		case TMKMade:
			return "record tmk-made"
		case TMKTaken:
			return "record tmk-taken"
		}
		return fmt.Sprintf("record outcome %v %v", s.txn.Code, s.txn.Result)
	case Arm:
		return fmt.Sprintf("arm %v", time.Duration(e.At))
	case Forward:
		return fmt.Sprintf("forward link%d", e.Link)
	case Reply:
		return "reply " + s.txn.Code.String()
	case Owe:
		if e.Orig {
			return fmt.Sprintf("owe link%d the original's reversal", e.Link)
		}
		return fmt.Sprintf("owe link%d", e.Link)
	}
	if e.Do == Advise {
		return fmt.Sprintf("owe link%d a notice", e.Link)
	}
	if e.Do == Save {
		c, of := s.txn.Ref.Own, "named"
		if e.Orig {
			c, of = s.txn.Ref.Parent, "parent"
		}
		if c.Closed != 0 {
			return fmt.Sprintf("save %s: closed by %v", of, c.By)
		}
		return fmt.Sprintf("save %s: refunded %d, tips %d", of, c.Refunded, c.Tip)
	}
	return map[Do]string{Disarm: "disarm", Resend: "resend", Attach: "attach",
		Cancel: "cancel the original", Install: "install",
		SignOut: "sign out", Close: "close the batch", Note: "note the items", Adopt: "adopt the key"}[e.Do]
}

// openLine begins a line; options: half-duplex or short, window N, missed N,
// messages N, keep N.
func (s *script) openLine(w []string) {
	limits := LineLimits{AnswerTimeout: int64(10 * time.Second), EchoInterval: int64(time.Minute)}
	if len(w) > 0 && w[0] == "half-duplex" {
		limits.HalfDuplex, w = true, w[1:]
	}
	if len(w) > 0 && w[0] == "short" {
		limits.HalfDuplex, w = true, w[1:]
		limits.Short = Short{Messages: 1, Dial: int64(5 * time.Second)}
	}
	for ; len(w) >= 2; w = w[2:] {
		n, err := strconv.Atoi(w[1])
		if err != nil {
			s.t.Fatal(err)
		}
		switch w[0] {
		case "window":
			limits.Window = n
		case "missed":
			limits.MaxMissed = n
		case "messages":
			limits.Short.Messages = n
		case "keep": // seconds
			limits.Short.Keep = int64(n) * int64(time.Second)
		default:
			s.t.Fatalf("option %q", w[0])
		}
	}
	line := NewLine(limits)
	s.line1 = &line
}

func (s *script) lineEvent(ev LineEvent) {
	l := s.line1
	use := l.Use
	if ev == Missed {
		l.InFlight--
	}
	var out LineEffects
	DecideLine(l, ev, &out)
	for _, d := range out.A[:out.N] {
		s.out.WriteString("\t" + d.String())
		if d == ArmLine {
			fmt.Fprintf(&s.out, " %v", time.Duration(l.Wait))
		}
		s.out.WriteString("\n")
	}
	fmt.Fprintf(&s.out, "\t= %v", l.State)
	if l.InFlight > 0 {
		fmt.Fprintf(&s.out, ", %d in flight", l.InFlight)
	}
	if l.State == LineUp && !l.Takes() {
		s.out.WriteString(", full")
	}
	if l.Use != use && l.State != LineSigningOn && l.State != LineDialing {
		s.out.WriteString(", a new use")
	}
	s.out.WriteString("\n")
}

// The README beside the scripts names each of them.
func TestScriptsAreInTheirReadme(t *testing.T) {
	text, err := os.ReadFile("testdata/README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		if !strings.Contains(string(text), "("+name+")") && !strings.HasPrefix(name, "load-") {
			t.Errorf("%s is not in the README", name)
		}
	}
}
