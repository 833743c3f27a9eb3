package console

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tongka/engine"
	"tongka/txn"
)

func TestJudge(t *testing.T) {
	with := func(f func(*engine.Snapshot)) *engine.Snapshot {
		s := snapshotAt(0)
		f(s)
		return s
	}
	for _, c := range []struct {
		name string
		snap *engine.Snapshot
		age  time.Duration
		want State
	}{
		{"none", nil, 0, Starting},
		{"replaying", with(func(s *engine.Snapshot) { s.Ready = false }), 0, Recovering},
		{"replaying for long", with(func(s *engine.Snapshot) { s.Ready = false }), time.Hour, Recovering},
		{"old", snapshotAt(0), staleAfter + 1, Stalled},
		{"just in time", snapshotAt(0), staleAfter, Degraded},
		{"all up", with(func(s *engine.Snapshot) { s.Links[1].State = "up" }), 0, Running},
		{"signing on", with(func(s *engine.Snapshot) { s.Links[0].State = "signing-on" }), 0, Isolated},
		{"no module", with(func(s *engine.Snapshot) { s.HSMs[0].Connected = false }), 0, Unsecured},
		{"no module and no link", with(func(s *engine.Snapshot) { s.HSMs[0].Connected, s.Links[0].State = false, "down" }), 0, Unsecured},
		{"module in the process", with(func(s *engine.Snapshot) { s.HSMs = nil }), 0, Degraded},
		{"no links", with(func(s *engine.Snapshot) { s.Links = nil }), 0, Running},
	} {
		if got := judge(c.snap, noon.Add(c.age)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestStatusOfNothing(t *testing.T) {
	st := status("v1", noon, nil, &past{})
	b, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"state":"starting"`, `"links":[]`, `"hsms":[]`, `"last":[]`, `"changes":[]`, `"point":null`, `"p99_us":null`, `"approved":0`, `"at":""`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}

func TestStatusShowsTheSnapshot(t *testing.T) {
	s, src := newServer(snapshotAt(0))
	next := snapshotAt(time.Second)
	next.Counters.Approved += 30
	next.Counters.BadMAC += 2
	addLatency(&next.Latency, 30, 700)
	src.p.Store(next)
	s.sample()
	var st Status
	if err := json.Unmarshal(get(s, "/api/snapshot").Body.Bytes(), &st); err != nil {
		t.Fatal(err)
	}
	if st.State != Degraded || st.StateWords.ZH == "" || st.UptimeS != 3601 || st.UsedPct != 0.9 || st.Version != "v1.2.3" {
		t.Errorf("got %+v", st)
	}
	if st.InFlight != 17 || st.Slots != 2000 || st.Owed != 3 || st.Parked != 1 || !st.Ready {
		t.Errorf("got %+v", st)
	}
	if st.Now.TPS != 30 || st.Now.TPSMinute != 30 || st.Now.TPSPeak != 30 || *st.Now.Approval != 100 || *st.Now.P99 != 704 {
		t.Errorf("rates %+v, p99 %v", st.Now, *st.Now.P99)
	}
	if st.Counters["approved"] != 130 || st.LastMinute["approved"] != 30 || st.LastMinute["bad_mac"] != 2 || st.LastMinute["declined"] != 0 {
		t.Errorf("counters %v, last minute %v", st.Counters, st.LastMinute)
	}
	if st.Latency.Count != 130 || *st.Latency.Mean != (100*5300+30*700)/130 || *st.Latency.P50 != 5632 {
		t.Errorf("latency %+v", st.Latency)
	}
	if at, err := time.Parse(time.RFC3339, st.At); err != nil || !at.Equal(noon.Add(time.Second)) {
		t.Errorf("at %q: %v", st.At, err)
	}
	if len(st.Links) != 2 || st.Links[0].Name != "unionpay" || st.Links[0].Answered != 110 || st.Links[1].StateWords != (Words{"停用", "out of service"}) {
		t.Errorf("links %+v", st.Links)
	}
	wantHSMs := []HSM{
		{Name: "hsm-1", Connected: true, StateWords: Words{"正常", "up"}, Since: clockTime(noon.Add(-time.Minute).UnixNano()), InFlight: 5, Late: 1, Missed: 9},
		{Name: "hsm-2", StateWords: Words{"失联", "lost"}, Since: clockTime(noon.UnixNano())},
	}
	if d := cmp.Diff(wantHSMs, st.HSMs); d != "" {
		t.Error(d)
	}
	want := Transaction{
		ID: 9007199254740993, At: clockTime(noon.UnixNano()), Micros: 5300, Terminal: "31000001", Merchant: "898310541100001",
		PAN: "622848******0017", Kind: "sale", KindWords: Words{"消费", "sale"}, AmountFen: 123456, AmountYuan: "1234.56",
		Code: "51", CodeWords: Words{"余额不足", "insufficient funds"}, Result: "declined", ResultWords: Words{"拒绝", "declined"}, Link: "unionpay",
	}
	if d := cmp.Diff([]Transaction{want}, st.Last); d != "" {
		t.Error(d)
	}
}

// A number above 2⁵³ would lose digits in a script.
func TestIDsAreText(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	if b := get(s, "/api/snapshot").Body.String(); !strings.Contains(b, `"id":"9007199254740993"`) {
		t.Error("the id is not text:", b)
	}
}

// The engine masks card numbers; should it ever fail to, the console does.
func TestNoCardNumberLeaves(t *testing.T) {
	const pan = "6228480402564890018"
	snap := snapshotAt(0)
	snap.Last[0].PAN = pan
	s, _ := newServer(snap)
	u := s.update()
	for where, body := range map[string]string{
		"snapshot": get(s, "/api/snapshot").Body.String(), "metrics": get(s, "/metrics").Body.String(),
		"page": get(s, "/").Body.String(), "event": string(u.event) + string(u.past),
	} {
		if strings.Contains(body, pan) || strings.Contains(body, pan[6:15]) {
			t.Errorf("%s shows a whole card number", where)
		}
	}
	if !strings.Contains(string(u.event), "622848*********0018") {
		t.Error("the masked number is missing")
	}
	for in, want := range map[string]string{"": "", "622848******0017": "622848******0017", "123456789012": "123456**9012", "31000001": "31000001"} {
		if got := masked(in); got != want {
			t.Errorf("masked(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestRowsAreBounded(t *testing.T) {
	snap := snapshotAt(0)
	for i := range 500 {
		snap.Last = append(snap.Last, engine.View{ID: txn.ID(i)})
	}
	s, _ := newServer(snap)
	var st Status
	if err := json.Unmarshal(s.update().status, &st); err != nil {
		t.Fatal(err)
	}
	if len(st.Last) != maxRows || st.Last[0].ID != 9007199254740993 {
		t.Errorf("%d rows from %d, want the newest %d", len(st.Last), st.Last[0].ID, maxRows)
	}
}

func TestYuan(t *testing.T) {
	for fen, want := range map[int64]string{0: "0.00", 5: "0.05", 100: "1.00", 123456: "1234.56", -1: "-0.01", math.MinInt64: "-92233720368547758.08"} {
		if got := yuan(fen); got != want {
			t.Errorf("yuan(%d) = %q, want %q", fen, got, want)
		}
	}
}

// Every counter of the engine is shown, under its own name and with its own
// value.
func TestCountersAreComplete(t *testing.T) {
	var c engine.Counters
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		v.Field(i).SetUint(uint64(i) + 1000)
	}
	seen := map[string]bool{}
	for _, k := range counters {
		seen[k.key] = true
		field := strings.ToLower(strings.ReplaceAll(k.key, "_", ""))
		f := v.FieldByNameFunc(func(n string) bool { return strings.ToLower(n) == field })
		if !f.IsValid() || k.get(&c) != f.Uint() {
			t.Errorf("counter %s does not read the field of that name", k.key)
		}
		if !hasHan(k.words.ZH) && k.words.ZH != "" || k.words.EN == "" || k.help == "" {
			t.Errorf("counter %s lacks words: %+v", k.key, k)
		}
	}
	if len(seen) != v.NumField() {
		t.Errorf("%d counters shown, the engine has %d", len(seen), v.NumField())
	}
}

// A kind, result or state without Chinese words would be shown half.
func TestWordsAreComplete(t *testing.T) {
	for k := txn.Kind(0); k.String() != "invalid"; k++ {
		if w := wordsOfKind(k); !hasHan(w.ZH) || w.EN != k.String() {
			t.Errorf("kind %v: %+v", k, w)
		}
	}
	for r := txn.Result(0); r.String() != "invalid"; r++ {
		if w := wordsOfResult(r); !hasHan(w.ZH) || w.EN == "" {
			t.Errorf("result %v: %+v", r, w)
		}
	}
	for _, s := range []State{Starting, Recovering, Running, Degraded, Isolated, Unsecured, Stalled} {
		if w := stateWords[s]; !hasHan(w.ZH) || w.EN == "" {
			t.Errorf("state %s: %+v", s, w)
		}
	}
}

func TestUnknownWordsStayReadable(t *testing.T) {
	for name, w := range map[string]Words{
		"kind": wordsOfKind(250), "result": wordsOfResult(250), "link": WordsOfLink("moon"),
		"no code": wordsOfCode(txn.Code{}), "strange code": wordsOfCode(txn.Code{'Z', 'Z'}),
	} {
		if w.ZH == "" || w.EN == "" {
			t.Errorf("%s: %+v", name, w)
		}
	}
}

// Kinds are shown by what happened most, each with its words; what did not happen
// is left out, and the list is never null.
func TestKindsOfAPicture(t *testing.T) {
	snap := snapshotAt(0)
	snap.Kinds = [txn.Kinds]engine.KindCount{txn.Sale: {Approved: 2, Other: 1}, txn.LoadCash: {Approved: 7}}
	for want, p := range map[string]*engine.Snapshot{
		`"kinds":[{"kind":"load-cash","words":{"zh":"现金充值","en":"load-cash"},"approved":7,"other":0},{"kind":"sale","words":{"zh":"消费","en":"sale"},"approved":2,"other":1}]`: snap,
		`"kinds":[]`: snapshotAt(0),
	} {
		s, _ := newServer(p)
		if b := get(s, "/api/snapshot").Body.String(); !strings.Contains(b, want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
}
