package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"tongka/txn"
)

var testKey = [32]byte{1, 2, 3}

func testOptions(fs vfs.FS) Options {
	return Options{Dir: "journal", FS: fs, Key: testKey, Shard: 3, NoWarm: true, MemTable: 1 << 20, Cache: 1 << 20, Filter: 1 << 20}
}

func mustOpen(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func openMem(t testing.TB) *Log {
	t.Helper()
	l := mustOpen(t, testOptions(vfs.NewMem()))
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, errClosed) {
			t.Error(err)
		}
	})
	return l
}

func mustCommit(t testing.TB, l *Log) {
	t.Helper()
	if err := errors.Join(l.Commit(), l.Sync()); err != nil {
		t.Fatal(err)
	}
}

// fill puts random numbers into every field, also into one that someone adds
// to txn.Facts later: then the round trip fails until the format knows it.
func fill(rng *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[txn.PAN]() {
			pan, err := txn.ParsePAN(digits(rng))
			if err != nil {
				panic(err)
			}
			v.Set(reflect.ValueOf(pan))
			return
		}
		for i := range v.NumField() {
			fill(rng, v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(rng, v.Index(i))
		}
	case reflect.Int64:
		v.SetInt(int64(rng.Uint64()))
	default:
		v.SetUint(rng.Uint64() & (1<<(8*v.Type().Size()) - 1))
	}
}

func digits(rng *rand.Rand) []byte {
	d := make([]byte, 12+rng.IntN(8))
	for i := range d {
		d[i] = byte('0' + rng.IntN(10))
	}
	return d
}

func randomFacts(rng *rand.Rand) (f txn.Facts) {
	fill(rng, reflect.ValueOf(&f).Elem())
	f.Proc, f.Trace = f.Proc%1_000_000, f.Trace%1_000_000 // n6, and their free bytes are those of Of and Line
	return f
}

func randomRecord(rng *rand.Rand) *Record {
	r := &Record{Kind: Kind(1 + rng.IntN(5)), Facts: randomFacts(rng)}
	r.Body = make([]byte, rng.IntN(200))
	for i := range r.Body {
		r.Body[i] = byte(rng.Uint32())
	}
	return r
}

func copyOf(r *Record) Record {
	c := *r
	c.Body = bytes.Clone(r.Body)
	return c
}

var byValue = cmp.Options{
	cmp.Comparer(func(a, b txn.PAN) bool { return a == b }),
	cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) }),
}

// sameAs gives a difference for people, or "".
func sameAs(want, got *Record) string {
	if want.Kind == got.Kind && want.Facts == got.Facts && bytes.Equal(want.Body, got.Body) {
		return ""
	}
	return cmp.Diff(want, got, byValue)
}

// replayed gives all records of a journal.
func replayed(t testing.TB, l *Log, from LSN) (at []LSN, all []Record) {
	t.Helper()
	err := l.Replay(from, func(lsn LSN, r *Record) error {
		at, all = append(at, lsn), append(all, copyOf(r))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return at, all
}

func TestAppendGetReplay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	l := openMem(t)
	var want []Record
	var at []LSN
	for tick := range 40 {
		for range 1 + rng.IntN(8) {
			r := randomRecord(rng)
			want = append(want, copyOf(r))
			at = append(at, l.Append(r))
			r.Body = append(r.Body[:0], "the caller's buffer is used again"...)
		}
		if tick%2 == 0 {
			mustCommit(t, l)
		}
	}
	var r Record
	for i := range want { // some are only staged
		if err := l.Get(at[i], &r); err != nil {
			t.Fatalf("%v: %v", at[i], err)
		}
		if d := sameAs(&want[i], &r); d != "" {
			t.Fatalf("%v: %s", at[i], d)
		}
	}
	mustCommit(t, l)
	gotAt, got := replayed(t, l, 0)
	if d := cmp.Diff(at, gotAt); d != "" {
		t.Fatal(d)
	}
	if d := cmp.Diff(want, got, byValue); d != "" {
		t.Fatal(d)
	}
	half := at[len(at)/2]
	if gotAt, _ = replayed(t, l, half); cmp.Diff(at[len(at)/2:], gotAt) != "" {
		t.Fatalf("replay from %v gave %v", half, gotAt)
	}
}

func TestGetOfNothing(t *testing.T) {
	l := openMem(t)
	lsn := l.Append(&Record{Kind: Started})
	var r Record
	for _, no := range []LSN{0, lsn + 1, lsn + 1<<indexBits, lsn - 1<<indexBits, ^LSN(0)} {
		if err := l.Get(no, &r); err != ErrNotFound {
			t.Errorf("staged: %v gave %v", no, err)
		}
	}
	mustCommit(t, l)
	for _, no := range []LSN{0, lsn + 1, lsn + 1<<indexBits} {
		if err := l.Get(no, &r); err != ErrNotFound {
			t.Errorf("committed: %v gave %v", no, err)
		}
	}
}

// A tick that is too big for one value is several values and still one batch.
func TestBigTick(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, testOptions(fs))
	defer l.Close()
	const n = 1500
	var want [n]Record
	var at [n]LSN
	for i := range n {
		r := randomRecord(rng)
		if i == 700 {
			r.Body = make([]byte, MaxBody) // longer than a page all alone
		}
		want[i], at[i] = copyOf(r), l.Append(r)
	}
	if first, last := at[0].tick(), at[n-1].tick(); last-first < 3 {
		t.Fatalf("ticks %d to %d: the tick was not cut", first, last)
	}
	check := func(l *Log, when string) {
		t.Helper()
		var r Record
		for i := range n {
			if err := l.Get(at[i], &r); err != nil || sameAs(&want[i], &r) != "" {
				t.Fatalf("%s: record %d at %v: %v", when, i, at[i], err)
			}
		}
	}
	check(l, "staged")
	mustCommit(t, l)
	check(l, "committed")
	again := mustOpen(t, testOptions(fs.CrashClone(vfs.CrashCloneCfg{})))
	defer again.Close()
	check(again, "after a crash")
}

func TestNothingStaged(t *testing.T) {
	l := openMem(t)
	if l.Staged() {
		t.Fatal("a new journal holds something staged")
	}
	before := l.tick
	mustCommit(t, l)
	if l.inAir || l.tick != before {
		t.Fatal("an empty commit wrote")
	}
	for name, stage := range map[string]func(){
		"append": func() { l.Append(&Record{Kind: Started}) },
		"put":    func() { l.Put([]byte("k"), nil) },
		"delete": func() { l.Delete([]byte("k")) },
		"mark":   func() { l.Mark(1, 2) },
	} {
		stage()
		if !l.Staged() {
			t.Errorf("%s: not staged", name)
		}
		mustCommit(t, l)
		if l.Staged() {
			t.Errorf("%s: still staged", name)
		}
	}
}

// The engine stages the next tick while the disk still writes.
func TestStageWhileInAir(t *testing.T) {
	l := openMem(t)
	a := l.Append(&Record{Kind: Started, Facts: txn.Facts{ID: 1}})
	l.Put([]byte("a"), []byte("1"))
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	b := l.Append(&Record{Kind: Started, Facts: txn.Facts{ID: 2}})
	l.Put([]byte("b"), []byte("2"))
	l.Delete([]byte("a"))
	if _, ok, _ := l.Lookup([]byte("a"), nil); !ok {
		t.Error("the committed key is not there")
	}
	if _, ok, _ := l.Lookup([]byte("b"), nil); ok {
		t.Error("the staged key is there")
	}
	if err := l.Commit(); err != nil { // syncs the first
		t.Fatal(err)
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	at, _ := replayed(t, l, 0)
	if d := cmp.Diff([]LSN{a, b}, at); d != "" {
		t.Fatal(d)
	}
	if _, ok, _ := l.Lookup([]byte("a"), nil); ok {
		t.Error("the deleted key is still there")
	}
}

func TestKeysOfTheCaller(t *testing.T) {
	l := openMem(t)
	for _, k := range []string{"O\x00\x02b", "O\x00\x01a", "O\x00\x01", "\xff\xff", "P", "O\x00\x02"} {
		l.Put([]byte(k), []byte("value of "+k))
	}
	mustCommit(t, l)
	var got []string
	each := func(key, plain []byte) error {
		if string(plain) != "value of "+string(key) {
			t.Errorf("%q: %q", key, plain)
		}
		got = append(got, string(key))
		return nil
	}
	for _, c := range []struct {
		prefix string
		want   []string
	}{
		{"O", []string{"O\x00\x01", "O\x00\x01a", "O\x00\x02", "O\x00\x02b"}},
		{"O\x00\x01", []string{"O\x00\x01", "O\x00\x01a"}},
		{"\xff", []string{"\xff\xff"}},
		{"", []string{"O\x00\x01", "O\x00\x01a", "O\x00\x02", "O\x00\x02b", "P", "\xff\xff"}},
		{"x", nil},
	} {
		got = nil
		if err := l.Each([]byte(c.prefix), each); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("prefix %q: %s", c.prefix, d)
		}
	}
	stop := errors.New("stop")
	if err := l.Each(nil, func(_, _ []byte) error { return stop }); err != stop {
		t.Errorf("Each gave %v", err)
	}
	v, ok, err := l.Lookup([]byte("P"), []byte("head "))
	if string(v) != "head value of P" || !ok || err != nil {
		t.Errorf("Lookup gave %q %v %v", v, ok, err)
	}
}

func TestMarkSurvives(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, testOptions(fs))
	if from, next := l.Recovery(); from != 0 || next != 0 {
		t.Fatalf("new journal: %v %v", from, next)
	}
	lsn := l.Append(&Record{Kind: Started})
	l.Mark(lsn, 77)
	mustCommit(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, testOptions(fs))
	defer l.Close()
	if from, next := l.Recovery(); from != lsn || next != 77 {
		t.Fatalf("recovery %v %v, want %v 77", from, next, lsn)
	}
}

func TestBodyTooLong(t *testing.T) {
	l := mustOpen(t, testOptions(vfs.NewMem()))
	if lsn := l.Append(&Record{Kind: Outcome, Body: make([]byte, MaxBody+1)}); lsn != 0 {
		t.Fatalf("got %v", lsn)
	}
	err := l.Commit()
	if err == nil || err != l.Sync() || err != l.Replay(0, nil) || err != l.Close() {
		t.Fatalf("not sticky: %v", err)
	}
	if err := l.index.close(); err != nil { // what Close leaves alone after a fault
		t.Error(err)
	}
	l.db.Close()
}

// Close ends every goroutine, also when the filter is still being filled.
func TestClosed(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l := mustOpen(t, testOptions(vfs.NewMem()))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Append(&Record{Kind: Started})
	if err := l.Commit(); err != errClosed {
		t.Fatalf("commit after close: %v", err)
	}
}

// A reader in another goroutine sees only what was committed.
func TestReaderBeside(t *testing.T) {
	l := openMem(t)
	done := make(chan error)
	const n = 300
	go func() {
		d := l.NewReader()
		for seen := 0; seen < n; {
			seen = 0
			err := d.Replay(0, func(_ LSN, r *Record) error {
				if seen++; r.Facts.ID != txn.ID(seen) {
					return fmt.Errorf("record %d has ID %d", seen, r.Facts.ID)
				}
				return nil
			})
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range n {
		l.Append(&Record{Kind: Intent, Facts: txn.Facts{ID: txn.ID(i + 1)}})
		mustCommit(t, l)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Warming leaves full files for all that the log will need.
func TestWarm(t *testing.T) {
	for _, memTable := range []int{minMemTable, 3 << 20} {
		fs := vfs.NewMem()
		o := testOptions(fs)
		o.NoWarm, o.MemTable = false, memTable
		l := mustOpen(t, o)
		if !l.db.pace.Held() || !l.index.db.pace.Held() {
			t.Error("tables are not held back")
		}
		names, err := fs.List("journal/log")
		if err != nil || len(names) != 3 {
			t.Fatalf("memtable %d: %v, %v", memTable, names, err)
		}
		for _, name := range names {
			info, err := fs.Stat("journal/log/" + name)
			if err != nil || info.Size() != int64(memTable)/4*3 {
				t.Errorf("memtable %d: %s has %d bytes, %v", memTable, name, info.Size(), err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
