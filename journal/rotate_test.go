package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tongka/keyfile"
	"tongka/txn"
)

var keyA, keyB, keyC = [32]byte{'a'}, [32]byte{'b'}, [32]byte{'c'}

func under(fs vfs.FS, key [32]byte, old ...[32]byte) Options {
	o := testOptions(fs)
	o.Key, o.Old = key, old
	return o
}

// sitting opens a journal, writes one record and a value, and closes it.
func sitting(t *testing.T, o Options, n int) {
	t.Helper()
	l := mustOpen(t, o)
	l.Stamp(int64(n) * 1000)
	l.Append(&Record{Kind: Started, Facts: txn.Facts{ID: txn.ID(n)}, Body: []byte("body")})
	l.Put(fmt.Appendf(nil, "value %d", n), fmt.Appendf(nil, "plain %d", n))
	mustCommit(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// holds fails unless the records and values of sittings 1 to n are all there.
func holds(t *testing.T, o Options, n int) (token string) {
	t.Helper()
	k, err := OpenReadOnly(o)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	got := 0
	err = k.Replay(0, func(_ LSN, r *Record) error {
		if got++; r.Facts.ID != txn.ID(got) || string(r.Body) != "body" {
			t.Errorf("record %d: %+v", got, r)
		}
		return nil
	})
	if err != nil || got != n {
		t.Fatalf("%d records of %d: %v", got, n, err)
	}
	for i := 1; i <= n; i++ {
		if v, ok, err := k.Lookup(fmt.Appendf(nil, "value %d", i), nil); err != nil || !ok || string(v) != fmt.Sprintf("plain %d", i) {
			t.Errorf("value %d: %q %v %v", i, v, ok, err)
		}
	}
	namer, err := k.Namer()
	if err != nil {
		t.Fatal(err)
	}
	pan, _ := txn.ParsePAN([]byte("6222000000000000018"))
	return namer.Card(&pan)
}

// After one start with the new key and the old one beside it, nothing needs the old
// one any more: not the records, not the values, not the tokens of cards.
func TestOneStartChangesTheKey(t *testing.T) {
	fs := vfs.NewMem()
	sitting(t, under(fs, keyA), 1)
	sitting(t, under(fs, keyA), 2)
	token := holds(t, under(fs, keyA), 2)

	// Beside the old key it can be read before the start, too.
	if got := holds(t, under(fs, keyB, keyC, keyA), 2); got != token {
		t.Errorf("token %s, was %s", got, token)
	}
	sitting(t, under(fs, keyB, keyC, keyA), 3)
	sitting(t, under(fs, keyB), 4)
	if got := holds(t, under(fs, keyB), 4); got != token {
		t.Errorf("token %s, was %s", got, token)
	}
	if _, err := Open(under(fs, keyA)); !errors.Is(err, ErrKey) {
		t.Errorf("the old key opens it: %v", err)
	}
	sitting(t, under(fs, keyA, keyB), 5) // and back
	holds(t, under(fs, keyA), 5)
}

func TestAMissingKeyIsNamed(t *testing.T) {
	fs := vfs.NewMem()
	sitting(t, under(fs, keyA), 1)
	sitting(t, under(fs, keyA), 2)
	check := keyfile.Check(&keyA)
	for name, o := range map[string]Options{"no old key": under(fs, keyB), "a wrong old key": under(fs, keyB, keyC)} {
		_, err := Open(o)
		if !errors.Is(err, ErrKey) {
			t.Fatalf("%s: %v", name, err)
		}
		for _, want := range []string{fmt.Sprintf("%X", check), "journal.old_keys", "2 次启动", "the records of 2 starts", fmt.Sprintf("ticks 1 to %d", 2*tickBlock)} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %v", name, want, err)
			}
		}
	}
	holds(t, under(fs, keyA), 2) // the wrong keys did no harm
}

// One dark epoch in the middle stops the start as well.
func TestADarkEpochStopsTheStart(t *testing.T) {
	fs := vfs.NewMem()
	sitting(t, under(fs, keyA), 1)
	l := mustOpen(t, under(fs, keyB, keyA))
	e := &epoch{number: 1}
	if err := e.wrap(&keyfile.Ring{Key: keyC}, l.shard); err != nil {
		t.Fatal(err)
	}
	rawSet(t, l, epochKey(nil, l.shard, 1), e.encode())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	check := keyfile.Check(&keyC)
	if _, err := Open(under(fs, keyB, keyA)); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), fmt.Sprintf("%X", check)) {
		t.Errorf("%v", err)
	}
}

func TestKeyUses(t *testing.T) {
	fs := vfs.NewMem()
	sitting(t, under(fs, keyA), 1)
	sitting(t, under(fs, keyA), 2)
	use := func(o Options) []KeyUse {
		k, err := OpenReadOnly(o)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		uses, err := k.KeyUses()
		if err != nil {
			t.Fatal(err)
		}
		return uses
	}
	a, b := keyfile.Check(&keyA), keyfile.Check(&keyB)
	want := KeyUse{Check: fmt.Sprintf("%X", a), Known: true, Epochs: 2, Pages: true, First: 1, Limit: 1 + 2*tickBlock, From: 1000, To: 2000}
	if got := use(under(fs, keyB, keyA)); len(got) != 1 || got[0] != want {
		t.Errorf("%+v", got)
	}
	want.Known, want.From, want.To = false, 0, 0
	if got := use(under(fs, keyB)); len(got) != 1 || got[0] != want {
		t.Errorf("%+v", got)
	}
	sitting(t, under(fs, keyB, keyA), 3)
	want = KeyUse{Check: fmt.Sprintf("%X", b), Known: true, Newest: true, Epochs: 3, Pages: true, First: 1, Limit: 1 + 3*tickBlock, From: 1000, To: 3000}
	if got := use(under(fs, keyB)); len(got) != 1 || got[0] != want {
		t.Errorf("%+v", got)
	}
}

// A crash at any step of the start that changes the key leaves a journal that opens
// with both keys, and under exactly one of them alone: changed or not.
func TestCrashWhileTheKeyChanges(t *testing.T) {
	base := vfs.NewCrashableMem()
	sitting(t, under(base, keyA), 1)
	sitting(t, under(base, keyA), 2)
	var before, after int
	rng := rand.New(rand.NewPCG(3, 9))
	for step, ended := 0, false; !ended; step++ {
		mem := base.CrashClone(vfs.CrashCloneCfg{})
		var mu sync.Mutex // Pebble removes files in a goroutine of its own
		n, crashed := 0, (*vfs.MemFS)(nil)
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				if n++; n > step && crashed == nil {
					// All or nothing of what is not synced: a file system that keeps a name and
					// forgets one that was made before it breaks Pebble's own opening.
					crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100 * rng.IntN(2), RNG: rng})
				}
			}
			return nil
		}))
		o := under(fs, keyB, keyA)
		o.InlineIndex = true
		l := mustOpen(t, o)
		mu.Lock()
		if ended = crashed == nil; ended {
			crashed = mem.CrashClone(vfs.CrashCloneCfg{})
		}
		mu.Unlock()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		wasA := opens(t, crashed, keyA)
		if wasB := opens(t, crashed, keyB); wasA == wasB {
			t.Fatalf("step %d: under the old key %v, under the new %v", step, wasA, wasB)
		}
		if wasA {
			before++
		} else {
			after++
		}
		sitting(t, under(crashed, keyB, keyA), 3)
		holds(t, under(crashed, keyB), 3)
	}
	if t.Logf("%d crashes before the change, %d after", before, after); before < 3 || after < 1 {
		t.Errorf("%d before, %d after: not each step was met", before, after)
	}
}

// opens says whether a copy of a journal opens under one key alone.
func opens(t *testing.T, fs *vfs.MemFS, key [32]byte) bool {
	t.Helper()
	l, err := Open(under(fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))}), key))
	if err != nil {
		if !errors.Is(err, ErrKey) {
			t.Fatal(err)
		}
		return false
	}
	return l.Close() == nil
}

// The keys that seal are other ones after each start, whatever master key they lie
// under, and a change of the master key does not touch those that have sealed.
func TestNoNonceComesTwiceOverAChange(t *testing.T) {
	fs := vfs.NewMem()
	seen := map[[keysSize]byte]bool{}
	keys := map[uint32][keysSize]byte{}
	for i, o := range []Options{under(fs, keyA), under(fs, keyB, keyA), under(fs, keyB), under(fs, keyA, keyB), under(fs, keyA, keyB)} {
		l := mustOpen(t, o)
		if seen[l.epoch.keys] || l.count != 0 {
			t.Fatalf("start %d: a key came twice", i)
		}
		seen[l.epoch.keys], keys[l.epoch.number] = true, l.epoch.keys
		for number, want := range keys {
			if e, err := l.read.ring.epoch(number); err != nil || e.keys != want {
				t.Errorf("start %d: epoch %d has another key: %v", i, number, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// An epoch of 56 bytes, as it was before there were several master keys, stays
// readable and goes under a new key like others.
func TestOldEpochs(t *testing.T) {
	fs := vfs.NewMem()
	const shard = 3
	e := &epoch{number: 1, limit: 1 + tickBlock}
	salt := bytes.Repeat([]byte{7}, saltSize)
	if err := errors.Join(e.derive(&keyA, shard, salt), e.prepare()); err != nil {
		t.Fatal(err)
	}
	// The derivation must not change, or no old journal opens.
	if got := hex.EncodeToString(e.keys[:8]); got != oldDerivation {
		t.Fatalf("derived %s", got)
	}
	seal := func(count uint64, key, plain []byte) []byte {
		b := make([]byte, sealHead+len(plain)+sealTail)
		e.seal(b, count, key, plain)
		return b
	}
	o := under(fs, keyA)
	o.fill()
	cache := pebble.NewCache(o.Cache)
	defer cache.Unref()
	opts := o.truth(cache)
	opts.DisableWAL = false // the log was Pebble's then
	db, err := pebble.Open(o.Dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	page := append([]byte{stampMark}, binary.LittleEndian.AppendUint64(nil, 1000)...)
	page = appendRecord(page, &Record{Kind: Started, Facts: txn.Facts{ID: 1}, Body: []byte("body")})
	tick, value := tickKey(nil, shard, 1), []byte("U\x03value 1")
	old := append(binary.LittleEndian.AppendUint64(bytes.Clone(salt), e.limit), e.proof()...)
	if err := errors.Join(db.Set(epochKey(nil, shard, 1), old, pebble.Sync), db.Set(tick, seal(1, tick, page), pebble.Sync),
		db.Set(value, seal(2, value, []byte("plain 1")), pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(under(fs, keyB)); !errors.Is(err, ErrKey) {
		t.Fatalf("the wrong key: %v", err)
	}
	token := holds(t, under(fs, keyA), 1)
	sitting(t, under(fs, keyA), 2)
	sitting(t, under(fs, keyB, keyA), 3)
	if got := holds(t, under(fs, keyB), 3); got != token {
		t.Errorf("token %s, was %s", got, token)
	}
}

const oldDerivation = "55aba812b3ae08bb"
