package offline_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/offline"
	"tongka/offline/layout"
	sim "tongka/sim/offline"
)

func options(t testing.TB, fs vfs.FS) offline.Options {
	t.Helper()
	keys, err := sim.Keys()
	if err != nil {
		t.Fatal(err)
	}
	terminals, cards := sim.Books()
	var books offline.Books
	if err := errors.Join(books.LoadTerminals(strings.NewReader(terminals), "terminals"), books.LoadCards(strings.NewReader(cards), "cards")); err != nil {
		t.Fatal(err)
	}
	modules := []hsm.Module{soft.New(soft.TestLMK()), soft.New(soft.TestLMK())}
	return offline.Options{Dir: "/offline", FS: fs, Key: [32]byte{1}, Books: &books, Keys: keys, Verifier: &offline.Local{Modules: modules},
		Now: func() time.Time { return time.Unix(1_800_000_000, 0) }}
}

func open(t testing.TB, o offline.Options) *offline.Store {
	t.Helper()
	s, err := offline.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func maker(t testing.TB, name string, seed uint64) *sim.Maker {
	t.Helper()
	m, err := sim.NewMaker(name, seed)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func source(m *sim.Maker, name string, b []byte) *offline.Source {
	return &offline.Source{Name: name, Format: m.Format, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

func results(t testing.TB, s *offline.Store, f *offline.File) string {
	t.Helper()
	var b strings.Builder
	digest, err := s.Results(f, &b)
	if err != nil {
		t.Fatal(err)
	}
	if digest != sim.MD5([]byte(b.String())) {
		t.Error("the digest is not of these bytes")
	}
	return b.String()
}

// expected is what each fault of a record is answered with.
var expected = map[sim.Wrong]struct {
	state  offline.State
	reason offline.Reason
}{
	sim.NoFault: {'T', offline.Fine}, sim.TAC: {'U', offline.TACWrong}, sim.Repeat: {'E', offline.Duplicate}, sim.SAMTwice: {'E', offline.SAMUsedTwice},
	sim.Counter: {'E', offline.CountWrong}, sim.ShortMoney: {'E', offline.BalanceShort}, sim.LostCard: {'E', offline.CardLost},
	sim.GoneCard: {'E', offline.CardCancelled}, sim.NoCompany: {'E', offline.CompanyUnknown}, sim.GoneCompany: {'E', offline.CompanyCancelled},
	sim.NoKey: {'U', offline.KeyUnknown},
}

// Every fault that each layout can show has its own answer.
func TestEveryFaultOfARecord(t *testing.T) {
	for _, name := range []string{"dongguan", "city-316", "recharge-205", "bus-64"} {
		m := maker(t, name, 1)
		wrong := []sim.Wrong{sim.NoFault}
		for _, w := range m.Faults() {
			wrong = append(wrong, w, sim.NoFault)
		}
		b, sum, err := m.File(wrong)
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, options(t, vfs.NewMem()))
		f, err := s.Import(t.Context(), source(m, "a.dat", b), nil)
		if err != nil || f.Stage != offline.Done || int(f.Records) != len(wrong) || f.Sum != sum {
			t.Fatalf("%s: %+v %v", name, f, err)
		}
		i := 0
		err = s.Each(f, func(e *offline.Entry) error {
			// A recharge file has no counter of the SAM, and a repeat is one by its card.
			if want := expected[wrong[i]]; e.State != want.state || e.Reason != want.reason {
				t.Errorf("%s: record %d with fault %d: %c %s", name, i, wrong[i], e.State, e.Reason)
			}
			i++
			return nil
		})
		if err != nil || i != len(wrong) {
			t.Errorf("%s: %d records, %v", name, i, err)
		}
		lines := strings.Split(strings.TrimSpace(results(t, s, f)), "\n")
		if len(lines) != len(wrong)+1 || !strings.HasPrefix(lines[0], fmt.Sprintf("a.dat,%d,%d,", len(wrong), sum)) || !strings.HasSuffix(lines[1], ",0") {
			t.Errorf("%s: %q", name, lines[:2])
		}
		if moved, err := s.Settle(f); err != nil || moved != f.States["S"] || moved == 0 {
			t.Errorf("%d settled, %v", moved, err)
		}
		if moved, err := s.Settle(f); err != nil || moved != 0 {
			t.Errorf("%d settled again, %v", moved, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The published purchase: key 9A88…, card 2301D14680000000, 1.00, TAC 909F18D0.
// Source: domain vector of a PBOC card, also in hsm/clear.
func TestPublishedTAC(t *testing.T) {
	master, _ := hex.DecodeString("9A884C4005A89C50DF8607AE484B5B5B")
	module := soft.New(soft.TestLMK())
	key, err := module.Wrap(hsm.MKAC, master)
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, vfs.NewMem())
	o.Books, o.Keys = nil, hsm.CardKeys{{TAC: true}: key}
	s := open(t, o)
	defer s.Close()
	m := maker(t, "dongguan", 1)
	line := "T1,0,,000000000015,0,2301D14680000000,20101125,152156,100,100,100,1,500,0,0,%s,01\n"
	for tac, want := range map[string]string{"909F18D0": "T", "909F18D1": "U"} {
		f, err := s.Import(t.Context(), source(m, tac+".csv", fmt.Appendf(nil, line, tac)), nil)
		if err != nil {
			t.Fatal(err)
		}
		// The second to come is refused for its counters; only the first has its TAC looked at.
		if f.ID == 1 && f.States[want] != 1 || f.ID == 2 && f.States["E"] != 1 {
			t.Errorf("%s: %v", tac, f.States)
		}
	}
}

// model is the slow and obvious way: all that was accepted in a list, looked through
// from its beginning for every record.
type model struct{ kept []kept }

type kept struct {
	card, sam       string
	cardSeq, samSeq uint64
	load, hasSAM    bool
	tac             [4]byte
}

func (m *model) take(it *offline.Item, hasBefore, hasAfter, hasSAM bool, books *offline.Books, keys hsm.CardKeys) (offline.State, offline.Reason) {
	if r := books.Judge(it, hasBefore, hasAfter); r != offline.Fine {
		return offline.Refused, r
	}
	k := kept{card: string(it.Card), sam: string(it.SAM), cardSeq: it.CardSeq, samSeq: it.SAMSeq, load: it.Kind == 2, hasSAM: hasSAM, tac: it.TAC}
	for _, o := range m.kept {
		if o.card == k.card && o.cardSeq == k.cardSeq && o.load == k.load {
			if o.tac == k.tac {
				return offline.Refused, offline.Duplicate
			}
			return offline.Refused, offline.CountWrong
		}
	}
	for _, o := range m.kept {
		if hasSAM && o.hasSAM && o.sam == k.sam && o.samSeq == k.samSeq {
			return offline.Refused, offline.SAMUsedTwice
		}
	}
	m.kept = append(m.kept, k)
	key, ok := keys.Find(it.Key)
	if !ok {
		return offline.BadTAC, offline.KeyUnknown
	}
	module := soft.New(soft.TestLMK())
	q := hsm.Request{Verb: hsm.VerifyTAC, Key: key, More: &hsm.More{Card: it.Proof}}
	copy(q.MAC[:], it.TAC[:])
	var r hsm.Reply
	if module.Do(&q, &r); !r.Code.OK() {
		return offline.BadTAC, offline.TACWrong
	}
	return offline.Verified, offline.Fine
}

// Random files of all layouts, one after the other, with faults and repeats from
// earlier files: the store says what the model says.
func TestAgainstTheModel(t *testing.T) {
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		o := options(t, vfs.NewMem())
		s := open(t, o)
		var m model
		var old [][]byte
		makers := []*sim.Maker{maker(t, "dongguan", seed+1), maker(t, "city-316", seed+1), maker(t, "recharge-205", seed+1), maker(t, "bus-64", seed+1)}
		for file := range 12 {
			mk := makers[rnd.IntN(len(makers))]
			faults := mk.Faults()
			wrong := make([]sim.Wrong, rnd.IntN(60))
			for i := range wrong {
				if rnd.IntN(3) == 0 {
					wrong[i] = faults[rnd.IntN(len(faults))]
				}
			}
			b, _, err := mk.File(wrong)
			if err != nil {
				t.Fatal(err)
			}
			if len(old) > 0 && rnd.IntN(3) == 0 && mk.Format.Layout.Header == nil {
				// Half of an earlier file of the same layout comes once more.
				for _, p := range old {
					if bytes.HasPrefix(p, []byte(mk.Format.Layout.Name)) {
						b = append(b, p[len(mk.Format.Layout.Name):]...)
						break
					}
				}
			}
			old = append(old, append([]byte(mk.Format.Layout.Name), b...))
			f, err := s.Import(t.Context(), source(mk, fmt.Sprintf("%d.dat", file), b), nil)
			if errors.Is(err, offline.ErrBytes) {
				continue // two empty files
			}
			if err != nil || f.Stage != offline.Done {
				t.Fatal(f, err)
			}
			rec := mk.Format.Layout.Record
			err = s.Each(f, func(e *offline.Entry) error {
				state, reason := m.take(e.Item, rec.Index("before") >= 0, rec.Index("after") >= 0, rec.Index("sam-seq") >= 0, o.Books, o.Keys)
				if e.State != state || e.Reason != reason {
					return fmt.Errorf("seed %d, %s record %d: %c %s, the model says %c %s", seed, f.Name, e.Number, e.State, e.Reason, state, reason)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(m.kept) < 50 {
			t.Errorf("seed %d: only %d records", seed, len(m.kept))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

var errKilled = errors.New("killed")

// A run is killed at every place where a kill can come, with all that was not synced
// lost, and started again: what is then there is the same to the byte.
func TestKilledAnywhere(t *testing.T) {
	m := maker(t, "dongguan", 3)
	wrong := make([]sim.Wrong, 2*128+40)
	for i := range wrong {
		if i%20 == 7 {
			wrong[i] = m.Faults()[i%len(m.Faults())]
		}
	}
	var names []string
	var members [][]byte
	var counts []int
	for i, part := range [][]sim.Wrong{wrong[:90], wrong[90:]} {
		b, _, err := m.File(part)
		if err != nil {
			t.Fatal(err)
		}
		names, members, counts = append(names, fmt.Sprintf("%d.csv", i)), append(members, b), append(counts, len(part))
	}
	b, digest, list, err := sim.Package(names, members, counts)
	if err != nil {
		t.Fatal(err)
	}
	bad, _, err := m.File(wrong[:100])
	if err != nil {
		t.Fatal(err)
	}
	offered := []*offline.Source{source(m, "cut.csv", bad[:len(bad)-5]), source(m, "a.zip", b)}
	offered[1].MD5, offered[1].List = digest, list

	// run imports both until the kill that comes at the given step.
	run := func(fs vfs.FS, kill int) (dump map[string]string, answer string, steps int, err error) {
		o := options(t, fs)
		put(t, fs, sealedKey(t, o.Key)) // the same secret each time, so that bytes can be compared
		o.SetPage(128)
		o.SetStep(func(string) error {
			if steps++; steps == kill {
				return errKilled
			}
			return nil
		})
		s := open(t, o)
		defer func() { err = errors.Join(err, s.Close()) }()
		for _, src := range offered {
			f, err := s.Import(t.Context(), src, nil)
			if err != nil {
				return nil, "", steps, err
			}
			answer += results(t, s, f)
		}
		dump, err = s.Dump()
		return dump, answer, steps, err
	}
	want, wantAnswer, steps, err := run(vfs.NewCrashableMem(), 0)
	if err != nil || steps < 15 {
		t.Fatal(steps, err)
	}
	for kill := 1; kill <= steps; kill++ {
		fs := vfs.NewCrashableMem()
		clone := fs
		o := options(t, fs)
		put(t, fs, sealedKey(t, o.Key))
		n := 0
		o.SetPage(128)
		o.SetStep(func(string) error {
			if n++; n == kill {
				clone = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * (kill % 2), RNG: rand.New(rand.NewPCG(uint64(kill), 1))})
				return errKilled
			}
			return nil
		})
		s := open(t, o)
		var err error
		for _, src := range offered {
			if _, err = s.Import(t.Context(), src, nil); err != nil {
				break
			}
		}
		if !errors.Is(err, errKilled) {
			t.Fatalf("step %d: %v", kill, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		got, answer, _, err := run(clone, 0)
		if err != nil {
			t.Fatalf("after a kill at step %d: %v", kill, err)
		}
		if diff := cmp.Diff(want, got); diff != "" || answer != wantAnswer {
			t.Fatalf("after a kill at step %d: not the same", kill)
		}
	}
	t.Logf("%d places", steps)
}

// What is not whole or not right as a file goes to quarantine, nothing of it counts,
// and the answer names the places.
func TestQuarantine(t *testing.T) {
	csv, fixed := maker(t, "dongguan", 4), maker(t, "city-316", 4)
	good, _, err := csv.File(make([]sim.Wrong, 5))
	if err != nil {
		t.Fatal(err)
	}
	g316, _, err := fixed.File(make([]sim.Wrong, 5))
	if err != nil {
		t.Fatal(err)
	}
	edit := func(b []byte, at int, s string) []byte {
		b = slices.Clone(b)
		copy(b[at:], s)
		return b
	}
	lines := bytes.SplitAfter(good, []byte("\n"))
	for name, c := range map[string]struct {
		m    *sim.Maker
		b    []byte
		want []string
	}{
		"cut":        {csv, good[:len(good)-7], []string{"cut:5:", "the file is cut off"}},
		"letters":    {csv, bytes.Replace(good, lines[2], bytes.Replace(lines[2], []byte(",20261001,"), []byte(",2026z001,"), 1), 1), []string{"letters:3:"}},
		"long":       {csv, append(slices.Clone(good), bytes.Repeat([]byte("7"), 100_000)...), []string{"long:6:4097: ", "longer than 4096"}},
		"columns":    {csv, append(slices.Clone(good), "a,1\n"...), []string{"columns:6:4: ", "missing"}},
		"binary":     {csv, []byte("\x00\xff\x00\n"), []string{"binary:1:1: terminal"}},
		"day":        {csv, bytes.Replace(good, []byte(",20261001,"), []byte(",20261301,"), 1), []string{"day:1:", "date: ", "not a date"}},
		"cut316":     {fixed, g316[:len(g316)-100], []string{"cut316:6:", "of 316 bytes the file has 216"}},
		"count316":   {fixed, edit(g316, 4, "0000000006"), []string{"the header says 6 records, here are 5"}},
		"type316":    {fixed, edit(g316, 0, "1002"), []string{"type316:1:1: type: ", `"1001" is wanted (第 0 字节 · byte 0)`}},
		"shift316":   {fixed, append(g316[:48:48], g316[47:]...), []string{"does not end after 315 bytes"}},
		"hex316":     {fixed, edit(g316, 47+79, "0000zz00"), []string{"hex316:2:84: amount: ", "(第 130 字节 · byte 130)"}},
		"empty316":   {fixed, nil, []string{"the header is missing"}},
		"counter316": {fixed, edit(g316, 47+173, "FFFF"), nil}, // all ones is a counter, and no part of a purchase's TAC
	} {
		s := open(t, options(t, vfs.NewMem()))
		f, err := s.Import(t.Context(), source(c.m, name, c.b), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.want == nil {
			if f.Stage != offline.Done || f.States["T"] != 5 {
				t.Errorf("%s: %+v", name, f)
			}
			_ = s.Close()
			continue
		}
		answer := results(t, s, f)
		for _, want := range c.want {
			if f.Stage != offline.Quarantined || f.Pages != 0 || !strings.Contains(answer, want) || !strings.HasPrefix(answer, name+",0,0,8\n") {
				t.Errorf("%s: %q is not in %s", name, want, answer)
			}
		}
		// The same bytes again: the same answer. A better file may have the name.
		if again, err := s.Import(t.Context(), source(c.m, name, c.b), nil); err != nil || again.ID != f.ID || results(t, s, again) != answer {
			t.Errorf("%s again: %v %v", name, again, err)
		}
		better, _, err := c.m.File(make([]sim.Wrong, 3))
		if err != nil {
			t.Fatal(err)
		}
		if f, err := s.Import(t.Context(), source(c.m, name, better), nil); err != nil || f.Stage != offline.Done {
			t.Errorf("%s, mended: %v %v", name, f, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFaultsAreBounded(t *testing.T) {
	s := open(t, options(t, vfs.NewMem()))
	defer s.Close()
	f, err := s.Import(t.Context(), source(maker(t, "dongguan", 1), "x", bytes.Repeat([]byte("x\n"), 5000)), nil)
	if err != nil || f.NumFault != 5000 || len(f.Faults) != 100 {
		t.Errorf("%d faults, %d kept, %v", f.NumFault, len(f.Faults), err)
	}
}

// zipOf makes a zip with an entry changed by the caller.
func zipOf(t *testing.T, names []string, edit func(*zip.FileHeader)) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, n := range names {
		h := &zip.FileHeader{Name: n, Method: zip.Deflate}
		if edit != nil {
			edit(h)
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(w, "x")
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What is wrong with an offer as a whole is refused, and nothing of it is kept.
func TestRefusedOffers(t *testing.T) {
	m := maker(t, "dongguan", 6)
	good, _, err := m.File(make([]sim.Wrong, 5))
	if err != nil {
		t.Fatal(err)
	}
	pack, digest, list, err := sim.Package([]string{"a.csv"}, [][]byte{good}, []int{5})
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, vfs.NewMem())
	o.MaxBytes = 1_000_000
	s := open(t, o)
	defer s.Close()
	for name, c := range map[string]struct {
		file, md5 string
		b, list   []byte
		want      string
	}{
		"digest":    {"a.zip", "00" + digest[2:], pack, list, "the digest does not agree"},
		"no zip":    {"a.zip", "", []byte("PK but no zip"), nil, "damaged zip"},
		"cut zip":   {"a.zip", "", pack[:len(pack)-9], nil, "damaged zip"},
		"empty":     {"a.zip", "", zipOf(t, nil, nil), nil, "no files in the zip"},
		"encrypted": {"a.zip", "", zipOf(t, []string{"a"}, func(h *zip.FileHeader) { h.Flags = 1 }), nil, "encrypted"},
		"twice":     {"a.zip", "", zipOf(t, []string{"a", "../a"}, nil), nil, "twice in the zip"},
		"many":      {"a.zip", "", zipOf(t, make([]string, 1001), func(h *zip.FileHeader) { h.Name = fmt.Sprint(rand.Uint64()) }), nil, "more than 1000 files"},
		"large":     {"a.csv", "", make([]byte, 1_000_001), nil, "too large"},
		"path":      {"../a.csv", "", good, nil, "not a file name"},
		"line":      {"a\nb", "", good, nil, "not a file name"},
		"list 1":    {"a.zip", "", pack, []byte("2026"), "pkg:1:1: "},
		"list 2":    {"a.zip", "", pack, []byte("2026,2\na.csv,5\n"), "pkg:1:6: "},
		"list 3":    {"a.zip", "", pack, []byte("2026,1\nb.csv,5\n"), "pkg:2:1: "},
		"list 4":    {"a.zip", "", pack, []byte("2026,1\na.csv,five\n"), "pkg:2:7: "},
		"list 5":    {"a.zip", "", pack, bytes.Repeat([]byte("x"), 300_000), "pkg: "},
	} {
		src := source(m, c.file, c.b)
		src.MD5, src.List = c.md5, c.list
		if f, err := s.Import(t.Context(), src, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v %v", name, f, err)
		}
	}
	if dump, err := s.Dump(); err != nil || len(dump) != 0 {
		t.Errorf("%d keys are left, %v", len(dump), err)
	}
	src := source(m, "a.zip", pack)
	src.MD5, src.List = strings.ToUpper(digest), list
	f, err := s.Import(t.Context(), src, nil)
	if err != nil || f.Stage != offline.Done || f.States["T"] != 5 {
		t.Fatal(f, err)
	}
	if again, err := s.Import(t.Context(), src, nil); err != nil || again.ID != f.ID {
		t.Error(again, err)
	}
	if _, err := s.Import(t.Context(), source(m, "b.zip", pack), nil); !errors.Is(err, offline.ErrBytes) {
		t.Error(err)
	}
	if _, err := s.Import(t.Context(), source(m, "a.zip", zipOf(t, []string{"x"}, nil)), nil); !errors.Is(err, offline.ErrName) {
		t.Error(err)
	}
}

// A package whose list promises another count, or whose content does not unpack to
// what it says, is quarantined.
func TestQuarantinedPackages(t *testing.T) {
	m := maker(t, "dongguan", 7)
	good, _, err := m.File(make([]sim.Wrong, 500))
	if err != nil {
		t.Fatal(err)
	}
	pack, _, list, err := sim.Package([]string{"a.csv"}, [][]byte{good}, []int{501})
	if err != nil {
		t.Fatal(err)
	}
	broken := slices.Clone(pack)
	broken[len(broken)/2] ^= 0xFF
	for name, b := range map[string][]byte{"a.zip": pack, "b.zip": broken} {
		s := open(t, options(t, vfs.NewMem()))
		src := source(m, name, b)
		src.List = list
		f, err := s.Import(t.Context(), src, nil)
		if err != nil || f.Stage != offline.Quarantined || f.NumFault == 0 {
			t.Fatalf("%s: %+v %v", name, f, err)
		}
		if name == "a.zip" && !strings.Contains(f.Faults[0], "the list says 501 records, here are 500") {
			t.Error(f.Faults)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Recharge details are held against the totals that came with them, and against
// whoever sent them.
func TestTotals(t *testing.T) {
	m := maker(t, "recharge-205", 8)
	b, sum, err := m.File(make([]sim.Wrong, 9))
	if err != nil {
		t.Fatal(err)
	}
	al, err := layout.Open("recharge-al")
	if err != nil {
		t.Fatal(err)
	}
	totals := func(company string, count, sum uint64) []byte {
		out, err := al.Append(nil, al.Header, map[string]layout.Value{"count": {Num: 1}})
		if err == nil {
			out, err = al.Append(out, al.Record, map[string]layout.Value{"company": {Text: company}, "settle-date": {Text: "20261002"}, "total": {Num: count}, "sum": {Num: sum}})
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, c := range map[string]struct {
		al      []byte
		company string
		want    string
	}{
		"right":   {totals("00000000001", 9, sum), "00000000001", ""},
		"count":   {totals("00000000001", 8, sum), "", "totals say 8 records"},
		"sum":     {totals("00000000001", 9, sum+1), "", "here are 9 of"},
		"company": {totals("00000000002", 9, sum), "", "not in the totals"},
		"sender":  {nil, "00000000009", "sender:2:1: company: "},
	} {
		s := open(t, options(t, vfs.NewMem()))
		src := source(m, name, b)
		src.Totals, src.Company = c.al, c.company
		f, err := s.Import(t.Context(), src, nil)
		if err != nil || (c.want == "") != (f.Stage == offline.Done) || !strings.Contains(strings.Join(f.Faults, "\n"), c.want) {
			t.Errorf("%s: %+v %v", name, f, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	s := open(t, options(t, vfs.NewMem()))
	defer s.Close()
	src := source(m, "bad", b)
	src.Totals = totals("00000000001", 9, sum)[:30]
	if _, err := s.Import(t.Context(), src, nil); err == nil || !strings.Contains(err.Error(), "AL:2:8: ") {
		t.Error(err)
	}
}

// failing is a module that is out of order until it is mended.
type failing struct {
	offline.Verifier
	broken bool
}

func (f *failing) Verify(ctx context.Context, c []offline.Check) error {
	if f.broken {
		return errors.New("module: no answer")
	}
	return f.Verifier.Verify(ctx, c)
}

// Without a module that answers nothing is decided; the next run goes on.
func TestModuleOutOfOrder(t *testing.T) {
	o := options(t, vfs.NewMem())
	v := &failing{o.Verifier, true}
	o.Verifier = v
	s := open(t, o)
	defer s.Close()
	m := maker(t, "city-316", 9)
	b, _, err := m.File([]sim.Wrong{0, sim.TAC, 0})
	if err != nil {
		t.Fatal(err)
	}
	src := source(m, "a", b)
	f, err := s.Import(t.Context(), src, nil)
	if err == nil || f.Stage != offline.Stored {
		t.Fatal(f, err)
	}
	if _, err := s.Results(f, io.Discard); !errors.Is(err, offline.ErrNotDone) {
		t.Error(err)
	}
	if _, err := s.Settle(f); !errors.Is(err, offline.ErrNotDone) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v.broken = false
	if err := s.Resume(ctx, f, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Resume(t.Context(), f, nil); err != nil || f.States["T"] != 2 || f.States["U"] != 1 {
		t.Error(f, err)
	}
}

// Nothing that is stored shows a card number, and another key reads nothing.
func TestSealed(t *testing.T) {
	o := options(t, vfs.NewMem())
	s := open(t, o)
	m := maker(t, "dongguan", 10)
	b, _, err := m.File(make([]sim.Wrong, 10))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.Import(t.Context(), source(m, "a", b), nil); err != nil {
		t.Fatal(err)
	}
	card := strings.Split(string(b), ",")[5]
	dump, err := s.Dump()
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range dump {
		if strings.Contains(k+v, card) {
			t.Errorf("a card number in the value of %q", k)
		}
	}
	if left, err := o.FS.List("/offline/spool"); err != nil || len(left) != 0 {
		t.Errorf("in the spool: %v %v", left, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.Key[0]++
	if _, err := offline.Open(o); !errors.Is(err, offline.ErrKey) {
		t.Errorf("under another key: %v", err)
	}
}

func TestBooksNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "f:1:1: 空文件",
		"company\n":                             "f:1:1: 首行须为",
		"company,terminal,sam,state\na,b,c\n":   "f:2:1: 应有 4 列",
		"company,terminal,sam,state\na,b,c,x\n": "f:2:1: state",
		"company,terminal,sam,state\n,,,active\n,,,active\n":      "f:3:1: 重复",
		"company,terminal,sam,state\n" + strings.Repeat("x", 300): "f:2:1: ",
	} {
		var b offline.Books
		if err := b.LoadTerminals(strings.NewReader(text), "f"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	var b offline.Books
	if err := b.LoadCards(strings.NewReader("card,state\n123,issued\n9,gone\n"), "f"); err == nil || !strings.Contains(err.Error(), "f:3:1: ") {
		t.Error(err)
	}
	it := &offline.Item{Card: []byte("1299")}
	if r := b.Judge(it, false, false); r != offline.CardUnknown {
		t.Error(r)
	}
}

func TestFormatNamesTheKey(t *testing.T) {
	const head = "name: x\nform: separated\nrecord:\n  fields: [{name: sam, length: 12}, {name: card, length: 16}, {name: amount, length: 9, type: number}, {name: tac, length: 8}, {name: datetime, length: 14}, {name: n, length: 4, type: number}]\n"
	for use, want := range map[string]string{
		"":                    "没有 kind 域",
		"use: {kind: \"6x\"}": "x:5:13: 须为两位",
		"use: {kind: \"06\", level1: \"{cord}\"}":    `x:5:27: 没有文本域 "cord"`,
		"use: {kind: \"06\", level1: \"{card\"}":     "} is missing",
		"use: {kind: \"06\", level1: \"{card:17}\"}": "not a number of digits",
		"use: {kind: \"06\", level1: \"zz\"}":        "not hexadecimal",
		"use: {kind: \"06\", sequence: card}":        "no field \"card\" of that type",
		"use: {kind: \"06\", famly: city}":           `did you mean "family"`,
		"use: {kind: \"06\", family: cty}":           `"cty" is no value`,
	} {
		l, err := layout.Parse("x", []byte(head+use+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := offline.NewFormat(l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", use, err)
		}
	}
}
