package journal

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/txn"
)

// Old records go with what names them, what is newer stays, is found, and survives a
// crash; the next start reads on.
func TestPurge(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs)
	l := small(mustOpen(t, o))
	var at []LSN
	put := func(n uint32) {
		r := request(n)
		r.Facts.ID = txn.ID(n)
		at = append(at, l.Append(&r))
		l.Put(binary.BigEndian.AppendUint64([]byte("chain/"), uint64(n)), []byte{1})
		l.Mark(l.last, r.Facts.ID+1)
		mustCommit(t, l)
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	for n := range uint32(100) {
		put(n + 1)
	}
	if err := l.Purge(Floor{At: at[99] + 1<<indexBits}); err == nil || !strings.Contains(err.Error(), "a start reads from") {
		t.Errorf("behind the recovery point: %v", err)
	}
	to := at[60]
	last, err := l.NewReader().LastBefore(to)
	if err != nil || last != 60 {
		t.Fatalf("%d %v", last, err)
	}
	if err := l.Purge(Floor{to, last}); err != nil {
		t.Fatal(err)
	}
	if err := l.Purge(Floor{at[10], 10}); err == nil {
		t.Error("backwards")
	}
	check := func(l *Log) {
		t.Helper()
		var first LSN
		n := 0
		err := l.Replay(0, func(lsn LSN, _ *Record) error {
			if n++; first == 0 {
				first = lsn
			}
			return nil
		})
		if err != nil || first != to || n != 40 {
			t.Errorf("%d records from %v, %v", n, first, err)
		}
		for n := range uint32(100) {
			r := request(n + 1)
			lsn, ok, err := l.Find(printOf(&r), 0)
			if err != nil || ok != (n >= 60) || ok && lsn != at[n] {
				t.Errorf("%d: %v %v %v", n+1, lsn, ok, err)
			}
		}
		chains := 0
		if err := l.Each([]byte("chain/"), func(key, _ []byte) error {
			if chains++; binary.BigEndian.Uint64(key[len("chain/"):]) <= 60 {
				t.Errorf("chain %x", key)
			}
			return nil
		}); err != nil || chains != 40 {
			t.Errorf("%d chains, %v", chains, err)
		}
		if f, err := l.NewReader().Floor(); err != nil || f != (Floor{to, 60}) {
			t.Errorf("%+v %v", f, err)
		}
		if _, err := l.FindID(7, new(Record)); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		if lsn, err := l.FindID(77, new(Record)); err != nil || lsn != at[76] {
			t.Errorf("%v %v", lsn, err)
		}
	}
	check(l)
	o.FS = fs.CrashClone(vfs.CrashCloneCfg{})
	again := small(mustOpen(t, o))
	check(again)
	if err := errors.Join(again.Close(), l.Close()); err != nil {
		t.Error(err)
	}
}
