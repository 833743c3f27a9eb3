package blacklist

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tongka/registry/sheet"
	"tongka/txn"
)

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func open(t testing.TB, dir string) *Book {
	t.Helper()
	b, err := Open(Options{Dir: dir, Key: [32]byte{1, 2, 3}, Max: 20_000_000, Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func put(t testing.TB, b *Book, how How, text string) Version {
	t.Helper()
	v, err := b.Import(strings.NewReader(text), "b.csv", how)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func pan(t testing.TB, digits string) *txn.PAN {
	t.Helper()
	p, err := txn.ParsePAN([]byte(digits))
	if err != nil {
		t.Fatal(err)
	}
	return &p
}

// found says what the list says of a card, as words.
func found(t testing.TB, b *Book, card string) string {
	t.Helper()
	m, ok := b.List().Find(b.Hasher().Card(pan(t, card)))
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%s %d %s %v", m.kind(), m.Level(), m.Cause(), m.Code())
}

const two = "card,kind,level,cause\n6225880000000003,black,2,lost\n6225880000000011,grey,,7\n"

func TestImportChangeRemoveAndReplace(t *testing.T) {
	b := open(t, t.TempDir())
	if b.List().Len() != 0 || b.List().Version() != 0 || found(t, b, "6225880000000003") != "-" {
		t.Fatal("a new list is not empty")
	}
	if v := put(t, b, How{}, two); v != (Version{Number: 1, At: start, Added: 2, Cards: 2}) {
		t.Errorf("%+v", v)
	}
	if got := found(t, b, "6225880000000003"); got != "black 2 lost 41" {
		t.Error(got)
	}
	if got := found(t, b, "6225880000000011"); got != "grey 0 fraud 34" {
		t.Error(got)
	}
	old := b.List()
	v := put(t, b, How{Version: 9}, "cause,remove,card\n3,1,6225880000000003\nstolen,,6225880000000011\nother,0,622588000001\ncapture,0,622588000001\n")
	if v != (Version{Number: 9, At: start, Added: 1, Changed: 1, Removed: 1, Cards: 2}) {
		t.Errorf("%+v", v)
	}
	for card, want := range map[string]string{"6225880000000003": "-", "6225880000000011": "black 0 stolen 43", "622588000001": "black 0 capture 04", "62258800000010": "-"} {
		if got := found(t, b, card); got != want {
			t.Errorf("%s: %s, want %s", card, got, want)
		}
	}
	if old.Len() != 2 || old.Version() != 1 {
		t.Error("the old list changed")
	}
	if v := put(t, b, How{Full: true}, "card\n6225880000000029\n"); v != (Version{Number: 10, At: start, Full: true, Added: 1, Cards: 1}) {
		t.Errorf("%+v", v)
	}
	if got := found(t, b, "622588000001"); got != "-" {
		t.Errorf("after a full import: %s", got)
	}
	if got := b.Versions(); len(got) != 3 || got[1].Number != 9 {
		t.Errorf("%+v", got)
	}
}

// A serial number and a card number with the same digits are two things.
func TestSerials(t *testing.T) {
	b := open(t, t.TempDir())
	put(t, b, How{}, "serial,cause\n31200000000012345678,lost\nabcdef0123,1\n6225880000000003,4\n")
	h := b.Hasher()
	for _, c := range []struct {
		serial string
		want   bool
	}{{"31200000000012345678", true}, {"ABCDEF0123", true}, {"abcdef01230", false}, {"abcdef012", false}} {
		p, err := h.Serial([]byte(c.serial))
		if _, ok := b.List().Find(p); ok != c.want || err != nil {
			t.Errorf("%s: %v, %v", c.serial, ok, err)
		}
	}
	if got := found(t, b, "6225880000000003"); got != "-" {
		t.Errorf("the card with a serial's digits: %s", got)
	}
	for _, bad := range []string{"", "1234567", "123456789012345678901", "1234 5678", "1234567g"} {
		if _, err := h.Serial([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestFaultsNameThePlaceAndNotTheCard(t *testing.T) {
	b := open(t, t.TempDir())
	put(t, b, How{}, two)
	_, err := b.Import(strings.NewReader(`card,serial,fingerprint,kind,level,cause,remove
6225880000000o03,,,,,,
6225880000000003,12345678,,,,,
,,,,,,
,,12,,,,
6225880000000003,,,white,16,eaten,2
6225880000000003,,,,,,,
`), "bad.csv", How{})
	var faults sheet.Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%d:%d", f.Line, f.Column))
	}
	if want := "2:1 3:18 4:1 5:3 6:20 6:26 6:29 6:35 7:24"; strings.Join(got, " ") != want {
		t.Errorf("faults at %s, want %s\n%v", strings.Join(got, " "), want, err)
	}
	if strings.Contains(err.Error(), "62258800") {
		t.Errorf("a card number in a fault:\n%v", err)
	}
	for _, bad := range []string{"", "\n", "number\n1\n", "card,card\n", "card\n\"x\n"} {
		if _, err := b.Import(strings.NewReader(bad), "bad.csv", How{}); !errors.As(err, &faults) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := b.Import(strings.NewReader(two), "b.csv", How{Version: 1}); !errors.Is(err, errVersion) {
		t.Errorf("the version in force again: %v", err)
	}
	if b.List().Version() != 1 || b.List().Len() != 2 {
		t.Error("something was applied")
	}
	small, err := Open(Options{Dir: t.TempDir(), Max: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	if _, err := small.Import(strings.NewReader(two), "b.csv", How{}); err == nil {
		t.Error("two cards where one is the most")
	}
}

func TestExportComesBack(t *testing.T) {
	b := open(t, t.TempDir())
	put(t, b, How{}, two)
	var out bytes.Buffer
	if err := b.List().Export(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "622588") || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("exported\n%s", &out)
	}
	other := open(t, t.TempDir())
	put(t, other, How{Full: true}, out.String())
	if got := found(t, other, "6225880000000011"); got != "grey 0 fraud 34" {
		t.Error(got)
	}
}

// The number of a card is in no file of the folder.
func TestNoNumberOnDisk(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, How{Full: true}, two)
	put(t, b, How{}, "card\n6225880000000029\n")
	for _, name := range []string{listName, changesName} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(raw) == 0 {
			t.Fatal(name, err)
		}
		for _, digits := range []string{"6225880000000003", "6225880000000029"} {
			_, packed := pan(t, digits).Packed()
			if bytes.Contains(raw, []byte(digits)) || bytes.Contains(raw, packed[:8]) {
				t.Errorf("%s holds a card number", name)
			}
		}
	}
	h := b.Hasher()
	h.Card(pan(t, "6225880000000003"))
	if h.in != [16]byte{} {
		t.Error("the hasher remembers the number")
	}
}

// world compares a book with a map, over random changes and restarts.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(8) {
		rng, dir := rand.New(rand.NewPCG(seed, 7)), t.TempDir()
		b, model := open(t, dir), map[string]string{}
		for range 60 {
			text, full := "card,level,cause,remove\n", rng.IntN(10) == 0
			if full {
				model = map[string]string{}
			}
			for range rng.IntN(40) {
				card, level, cause, remove := fmt.Sprintf("62258800000%05d", rng.IntN(300)), rng.IntN(16), Cause(rng.IntN(int(causes))), rng.IntN(3)/2
				text += fmt.Sprintf("%s,%d,%s,%d\n", card, level, cause, remove)
				if model[card] = fmt.Sprintf("black %d %s %v", level, cause, causeTable[cause].code); remove == 1 {
					delete(model, card)
				}
			}
			put(t, b, How{Full: full}, text)
			if rng.IntN(4) == 0 {
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				b = open(t, dir)
			}
			if b.List().Len() != len(model) {
				t.Fatalf("seed %d: %d cards, want %d", seed, b.List().Len(), len(model))
			}
			for i := range 300 {
				card := fmt.Sprintf("62258800000%05d", i)
				want := model[card]
				if want == "" {
					want = "-"
				}
				if got := found(t, b, card); got != want {
					t.Fatalf("seed %d: %s is %s, want %s", seed, card, got, want)
				}
			}
		}
	}
}

// Wherever a power cut ends the file of changes, what was in force before is.
func TestCutShortAnywhere(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, How{Full: true}, two)
	put(t, b, How{}, "card\n6225880000000029\n")
	one := int(b.size)
	put(t, b, How{}, "card,remove\n6225880000000003,1\n")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, changesName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		b := open(t, dir)
		want := uint32(1)
		if n >= one {
			want = 2
		}
		if n == len(whole) {
			want = 3
		}
		if got := b.List().Version(); got != want {
			t.Fatalf("%d of %d bytes: version %d, want %d", n, len(whole), got, want)
		}
		put(t, b, How{}, "card\n6225880000000037\n") // and it goes on
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A crash between the new list and the end of the old changes does no harm.
func TestOldChangesBehindANewList(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, How{}, two)
	path := filepath.Join(dir, changesName)
	changes, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, How{Full: true}, "card\n6225880000000029\n")
	if err := errors.Join(b.Close(), os.WriteFile(path, changes, 0o600)); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir)
	if b.List().Len() != 1 || b.List().Version() != 2 {
		t.Errorf("%d cards, version %d", b.List().Len(), b.List().Version())
	}
}

// Any byte of the list that has changed is noticed, and so is another key.
func TestDamagedList(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	put(t, b, How{Full: true}, two)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, listName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		if _, _, err := parseList(bytes.NewReader(bad), b.Hasher().check(), 100); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrKey) {
			t.Fatalf("byte %d: %v", i, err)
		}
		if _, _, err := parseList(bytes.NewReader(good[:i]), b.Hasher().check(), 100); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at byte %d: %v", i, err)
		}
	}
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrKey) {
		t.Errorf("under another key: %v", err)
	}
	if _, err := Open(Options{}); err == nil {
		t.Error("without a folder")
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	if _, err := Open(Options{Dir: dir, Key: [32]byte{1, 2, 3}}); err == nil {
		t.Fatal("opened twice")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Import(strings.NewReader(two), "", How{}); err == nil {
		t.Error("imported into a closed book")
	}
	open(t, dir)
}

// Changes gather and then become a list; all of it while others read.
func TestSwapWhileOthersRead(t *testing.T) {
	b := open(t, t.TempDir())
	put(t, b, How{Full: true}, two)
	stop, all := make(chan struct{}), sync.WaitGroup{}
	for range 3 {
		all.Go(func() {
			h := b.Hasher()
			for p := h.Card(pan(t, "6225880000000003")); ; {
				select {
				case <-stop:
					return
				default:
				}
				if m, ok := b.List().Find(p); !ok || m.Cause() != Lost {
					t.Error("the card was gone for a moment")
					return
				}
			}
		})
	}
	for i := range 50 {
		put(t, b, How{}, fmt.Sprintf("card\n62258811%08d\n", i))
	}
	close(stop)
	all.Wait()
	if b.List().Len() != 52 || b.gathered != 50 {
		t.Errorf("%d cards, %d gathered", b.List().Len(), b.gathered)
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	b := open(t, t.TempDir())
	put(t, b, How{}, two)
	h, p := b.Hasher(), pan(t, "6225880000000003")
	if n := testing.AllocsPerRun(1000, func() {
		if _, ok := b.List().Find(h.Card(p)); !ok {
			t.Fatal("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParseList(f *testing.F) {
	h := newHasher(&[32]byte{})
	dir := f.TempDir()
	l, _ := newList(nil, nil, 0).with([]Entry{{Print: 1}, {Print: 1 << 63, Mark: 5}}, 3)
	if err := writeList(dir, h.check(), l, []Version{{Number: 3}}); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, listName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		l, _, err := parseList(bytes.NewReader(b), h.check(), 1000)
		if err == nil && l.Len() > 0 {
			l.Find(l.prints[0])
		}
		readChanges(b, func(Version, []Entry) {})
	})
}
