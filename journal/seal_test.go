package journal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/txn"
)

// goldenRecord is the one whose forms on disk must not change by accident.
func goldenRecord(t *testing.T) *Record {
	t.Helper()
	pan, err := txn.ParsePAN([]byte("6222000000000000018"))
	if err != nil {
		t.Fatal(err)
	}
	return &Record{Kind: Outcome, Body: []byte("answer"), Facts: txn.Facts{
		ID: 0x0102030405060708, Orig: 2, At: 3, Sent: 4, Amount: 12345,
		Terminal: txn.Terminal{Merchant: [15]byte([]byte("898000000000001")), Number: [8]byte([]byte("10000001"))},
		PAN:      pan, Kind: txn.Sale, Code: txn.OK, Result: txn.Approved, MTI: 0x0200, Proc: 1, Trace: 999999,
		Batch: 42, Expiry: 3012, Entry: 51, CardSeq: txn.NoCardSeq, Cond: 82, Link: 7,
		Auth: [6]byte([]byte("A1B2C3")), Currency: [3]byte([]byte("156")), Settle: 1130,
	}}
}

func TestGoldenRecord(t *testing.T) {
	r := goldenRecord(t)
	const want = "020600" + // outcome, body of 6 bytes
		"0261" + "553f" + "0807060504030201" + "0300000000000000" + // version, length, what is there, id, at
		"03" + "3030" + "01" + "0002" + "01000000" + "3f420f00" + // kind, code, result, MTI, processing code, trace
		"0700" + "313536" + "52" + "3300" + // link, currency, condition, entry
		"0200000000000000" + "01000000" + "39300000" + // original, sent behind at, amount
		"8980000000000010" + "10000001" + // merchant, terminal
		"13" + "62220000000000000180" + "2a000000" + // card, batch
		"c40b" + "ffff" + "413142324333" + "6a04" + // expiry, card sequence, authorisation, settlement
		"616e73776572"
	got := appendRecord(nil, r)
	if hex.EncodeToString(got) != want {
		t.Fatalf("got  %x\nwant %s", got, want)
	}
	var back Record
	if next, err := readRecord(got, 0, &back); err != nil || next != len(got) || sameAs(r, &back) != "" {
		t.Fatalf("%d %v %s", next, err, sameAs(r, &back))
	}
}

// A journal from before holds the first form of the facts.
func TestRecordOfTheFirstForm(t *testing.T) {
	r := goldenRecord(t)
	old, err := hex.DecodeString("020600" +
		"01" + "0807060504030201" + "0200000000000000" + "0300000000000000" + "0400000000000000" + "3930000000000000" +
		"383938303030303030303030303031" + "3130303030303031" +
		"13" + "62220000000000000180" + "03" + "3030" + "01" +
		"0002" + "01000000" + "3f420f00" + "2a000000" +
		"c40b" + "3300" + "ffff" + "52" + "0700" +
		"413142324333" + "313536" + "6a04" +
		"616e73776572")
	if err != nil {
		t.Fatal(err)
	}
	page := appendRecord(old, r) // both forms may stand in one page
	var back Record
	next, err := readRecord(page, 0, &back)
	if err != nil || next != len(old) || sameAs(r, &back) != "" {
		t.Fatalf("%d %v %s", next, err, sameAs(r, &back))
	}
	if err := pickRecord(page, 1, &back); err != nil || sameAs(r, &back) != "" {
		t.Fatalf("behind it: %v %s", err, sameAs(r, &back))
	}
}

func TestFactsRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	longest := 0
	for i := range 4000 {
		want := randomFacts(rng)
		if i%2 == 1 {
			sparse(rng, &want)
		}
		b := AppendFacts([]byte("head"), &want)
		longest = max(longest, len(b)-4)
		b = append(b, "tail"...)
		var got txn.Facts
		n, err := ReadFacts(b[4:], &got)
		if err != nil || got != want || string(b[4+n:]) != "tail" {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, want)
		}
	}
	if longest > maxFacts {
		t.Errorf("%d bytes, and there is room for %d", longest, maxFacts)
	}
}

// sparse takes away what a transaction may not have, and makes the rest usual.
func sparse(rng *rand.Rand, f *txn.Facts) {
	none := func() bool { return rng.IntN(2) == 0 }
	if none() {
		f.Orig, f.Auth = 0, [6]byte{}
	}
	if none() {
		f.PAN, f.Expiry, f.CardSeq = txn.PAN{}, 0, 0
	}
	if none() {
		f.Batch, f.Settle = 0, 0
	}
	switch rng.IntN(4) {
	case 0:
		f.Sent, f.Amount = 0, 0
	case 1:
		f.Sent, f.Amount = f.At+rng.Int64N(1<<32), rng.Int64N(1<<32)
	case 2:
		f.Sent, f.Amount = f.At+1<<32, 1<<32
	}
	switch rng.IntN(3) {
	case 0:
		f.Terminal = txn.Terminal{}
	case 1:
		for i := range f.Terminal.Merchant {
			f.Terminal.Merchant[i] = '0' + byte(rng.IntN(10))
		}
		for i := range f.Terminal.Number {
			f.Terminal.Number[i] = '0' + byte(rng.IntN(10))
		}
		if none() {
			f.Terminal.Merchant[rng.IntN(15)], f.Terminal.Number[rng.IntN(8)] = ':', '/'
		}
	}
}

// Whatever bytes come, reading gives an error or records, never a panic, and
// the error names the place.
func FuzzReadPage(f *testing.F) {
	rng := rand.New(rand.NewPCG(13, 14))
	page := appendRecord(appendRecord(nil, randomRecord(rng)), randomRecord(rng))
	f.Add(page)
	f.Add(page[:len(page)-1])
	f.Add([]byte{})
	f.Add(make([]byte, recordHead))
	f.Fuzz(func(t *testing.T, page []byte) {
		n := 0
		err := eachRecord(page, 9, 0, func(lsn LSN, r *Record) error {
			var again Record
			if err := pickRecord(page, n, &again); err != nil || sameAs(r, &again) != "" {
				t.Fatalf("record %d by its index: %v", n, err)
			}
			n++
			return nil
		})
		if err != nil && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "tick 9") || !strings.Contains(err.Error(), "at byte")) {
			t.Fatalf("the error does not name the place: %v", err)
		}
	})
}

func TestBadFacts(t *testing.T) {
	good := AppendFacts(nil, &goldenRecord(t).Facts)
	with := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	card := bytes.Index(good, []byte{0x13, 0x62, 0x22})
	for _, c := range []struct {
		name, place string
		b           []byte
	}{
		{"short", "byte 96", good[:len(good)-1]},
		{"half a head", "byte 20", good[:20]},
		{"empty", "byte 0", nil},
		{"version", "byte 0", with(0, 3)},
		{"first form", "byte 97", with(0, 1)},
		{"no room for the head", "byte 1", with(1, 41)},
		{"too short for its parts", "byte 95", with(1, 96)},
		{"longer than its parts", "byte 97", append(with(1, 98), 0)},
		{"unknown part", "byte 2", with(3, 0x40)},
		{"card number", fmt.Sprintf("byte %d", card), with(card, 20)},
	} {
		var f txn.Facts
		if _, err := ReadFacts(c.b, &f); err == nil || !strings.Contains(err.Error(), c.place) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Each bit of a sealed value counts, and a value does not fit another key.
func TestDamage(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, testOptions(fs))
	defer l.Close()
	lsn := l.Append(&Record{Kind: Started, Body: []byte("body")})
	l.Put([]byte("a"), []byte("value"))
	l.Put([]byte("b"), []byte("value"))
	mustCommit(t, l)
	key := tickKey(nil, l.shard, lsn.tick())
	good := rawGet(t, l, key)
	var r Record
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x10
		rawSet(t, l, key, bad)
		err := l.Get(lsn, &r)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), hex.EncodeToString(key)) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if err := l.Replay(0, func(LSN, *Record) error { return nil }); !errors.Is(err, ErrDamaged) {
			t.Fatalf("byte %d changed: replay: %v", i, err)
		}
	}
	for n := range good {
		rawSet(t, l, key, good[:n])
		if err := l.Get(lsn, &r); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	rawSet(t, l, key, good)
	if err := l.Get(lsn, &r); err != nil {
		t.Fatal(err)
	}

	rawSet(t, l, []byte{'U', l.shard, 'a'}, rawGet(t, l, []byte{'U', l.shard, 'b'}))
	if _, _, err := l.Lookup([]byte("a"), nil); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a value under another key: %v", err)
	}
	if err := l.index.db.Set(blockKey(nil, l.shard, 5, 9), []byte("short"), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	l.index.filter.Add(5)
	if _, _, err := l.Find(5, 0); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a damaged index entry: %v", err)
	}
}

func rawGet(t *testing.T, l *Log, key []byte) []byte {
	t.Helper()
	v, closer, err := l.db.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	return append([]byte(nil), v...)
}

func rawSet(t *testing.T, l *Log, key, value []byte) {
	t.Helper()
	if err := l.db.Set(key, value, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
}

// Nothing that a record or a value says is readable on the disk.
func TestNothingInClear(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(nil)
	o.Dir = dir
	l := mustOpen(t, o)
	pan, err := txn.ParsePAN([]byte("6222000000000000018"))
	if err != nil {
		t.Fatal(err)
	}
	_, packed := pan.Packed()
	l.Append(&Record{Kind: Intent, Facts: txn.Facts{PAN: pan}, Body: []byte("a body in clear")})
	l.Put([]byte("key"), []byte("a value in clear"))
	mustCommit(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(name)
		for _, secret := range []string{"in clear", string(packed[:]), "6222000000000000018"} {
			if strings.Contains(string(b), secret) {
				t.Errorf("%s holds %q", name, secret)
			}
		}
		return err
	})
	if err != nil || files < 6 {
		t.Fatal(files, err)
	}
}

func TestLoadKey(t *testing.T) {
	data := t.TempDir()
	path, dir := filepath.Join(data, "journal.key"), filepath.Join(data, "journal")
	if err := CheckKey(path, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a check made the key: %v", err)
	}
	key, err := LoadKey(path, dir)
	if again, err2 := LoadKey(path, dir); err != nil || err2 != nil || again != key || key == ([32]byte{}) {
		t.Fatal(err, err2)
	}
	if _, err := LoadKey(filepath.Join(path, "below"), dir); err == nil || !strings.HasPrefix(err.Error(), "journal: key: ") {
		t.Error(err)
	}
}

// A key that got lost must be looked for, not replaced.
func TestNoKeyBesideAJournal(t *testing.T) {
	data := t.TempDir()
	path, dir := filepath.Join(data, "journal.key"), filepath.Join(data, "journal")
	key, err := LoadKey(path, dir)
	if err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, Options{Dir: dir, Key: key, NoWarm: true})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	away := path + ".away"
	if err := os.Rename(path, away); err != nil {
		t.Fatal(err)
	}
	if _, err = LoadKey(path, dir); !errors.Is(err, ErrNoKey) {
		t.Fatalf("got %v, want ErrNoKey", err)
	}
	for _, want := range []string{path, dir, "从备份恢复密钥", "restore the key from its backup"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a key was made all the same: %v", err)
	}
	if err := os.Rename(away, path); err != nil {
		t.Fatal(err)
	}
	if again, err := LoadKey(path, dir); err != nil || again != key {
		t.Errorf("restored: %v", err)
	}
	if err := CheckKey(path+"2", path); err == nil || errors.Is(err, ErrNoKey) {
		t.Errorf("a file in the place of the journal: %v", err)
	}
}

func TestWrongKey(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, testOptions(fs))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	o := testOptions(fs)
	o.Key[31] = 1
	if _, err := Open(o); !errors.Is(err, ErrKey) {
		t.Fatalf("got %v", err)
	}
	l = mustOpen(t, testOptions(fs)) // the wrong key has done no harm
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestValidate(t *testing.T) {
	err := (&Options{MemTable: 1, Cache: -1, Filter: 1}).Validate()
	for _, want := range []string{"dir", "key", "memtable", "cache", "filter"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: no word on %s", err, want)
		}
	}
	if _, err := Open(Options{}); err == nil {
		t.Error("opened with no options")
	}
	o := testOptions(nil)
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	if got := (&Options{}).Memory(); got < 64<<20 || got > 288<<20 {
		t.Errorf("memory %d", got)
	}
}
