package engine

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// pairs are records of eight bytes: amount and name.
type pairs struct{}

func (pairs) Check(b []byte, each func([16]byte)) (sum int64, err error) {
	for ; len(b) >= 8; b = b[8:] {
		sum += int64(binary.BigEndian.Uint32(b))
		var name [16]byte
		copy(name[:], b[4:8])
		each(name)
	}
	if len(b) > 0 {
		return 0, errors.New("F62: cut off")
	}
	return sum, nil
}

func aPair(amount, name uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, amount), name)
}

// offline sends an upload of offline transactions and gives F39.
func (p *pos) offline(trace, sum uint64, records []byte) string {
	p.w.t.Helper()
	p.send(0x0320, p.mak, func(b *iso8583.Builder) {
		b.PutUint(3, 0)
		if sum != 0 {
			b.PutUint(4, sum)
		}
		b.PutUint(11, trace)
		p.identity(b)
		b.Put(60, []byte("36"+p.batch+"000"))
		b.Put(62, records)
	})
	p.w.pass(0)
	return p.code()
}

func (w *world) offlineWaiting() (all []OfflineMessage) {
	w.t.Helper()
	err := EachOffline(w.log.NewReader(), func(m *OfflineMessage) error {
		m.Records = append([]byte(nil), m.Records...)
		all = append(all, *m)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// An upload of offline transactions is on disk before its answer, once, until
// somebody has it in its own store.
func TestOfflineUpload(t *testing.T) {
	w := newWorld(t)
	w.shape = func(c *Config) { c.Offline = pairs{} }
	w.crash()
	p := w.terminal()
	two := append(aPair(100, 1), aPair(50, 2)...)
	w.want("two", p.offline(7, 150, two), "00")
	w.want("a repeat", p.offline(7, 150, two), "00")
	w.want("the same under another trace", p.offline(8, 150, two), "94")
	w.want("another sum", p.offline(9, 151, aPair(150, 3)), "13")
	w.want("no sum", p.offline(10, 0, aPair(150, 3)), "30")
	w.want("cut off", p.offline(11, 150, two[:15]), "30")
	all := w.offlineWaiting()
	if len(all) != 1 || string(all[0].Records) != string(two) || string(all[0].Terminal.Number[:]) != terminalNumber {
		t.Fatalf("%+v", all)
	}
	w.want("one new beside an old one", p.offline(12, 150, append(aPair(50, 2), aPair(100, 4)...)), "00")
	w.want("taken", w.shard.stats.OfflineRecords, uint64(3))
	w.crash()
	p.id = w.connect(-1)
	w.want("behind a crash", p.offline(13, 150, two), "94")
	all = w.offlineWaiting()
	if len(all) != 2 || all[0].ID >= all[1].ID {
		t.Fatalf("%+v", all)
	}
	if err := w.do(&Keep{Name: "plan", Value: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := w.do(&HandedOver{IDs: []txn.ID{all[0].ID}, Kept: "plan"}); err != nil {
		t.Fatal(err)
	}
	kept := Kept{Name: "plan"}
	if err := w.do(&kept); err != nil || kept.Value != nil {
		t.Errorf("the plan is still there: %s, %v", kept.Value, err)
	}
	if left := w.offlineWaiting(); len(left) != 1 || left[0].ID != all[1].ID {
		t.Errorf("%+v", left)
	}
	w.want("of what was handed over", p.offline(14, 150, two), "94")
	w.idle()
}

// A switch that takes none says so; without F62 it is an item of a batch as ever.
func TestOfflineUploadNotTaken(t *testing.T) {
	w := newWorld(t)
	p := w.terminal()
	w.want("none are taken", p.offline(7, 100, aPair(100, 1)), "40")
	w.want("waiting", len(w.offlineWaiting()), 0)
}

// What was taken is known for a time and not for ever, and nothing of it is left
// behind; who is forgotten is new.
func TestOfflineNamesEnd(t *testing.T) {
	w := newWorld(t)
	w.shape = func(c *Config) { c.Offline = pairs{} }
	w.crash()
	p := w.terminal()
	old := func(before int64, most int) int {
		t.Helper()
		ids, err := OldOffline(w.log.NewReader(), before, most)
		if err != nil {
			t.Fatal(err)
		}
		return len(ids)
	}
	w.want("first", p.offline(7, 100, aPair(100, 1)), "00")
	w.pass(time.Hour)
	between := w.shard.now
	w.pass(time.Hour)
	p.signIn()
	w.want("second", p.offline(8, 150, append(aPair(100, 1), aPair(50, 2)...)), "00")
	w.want("all", old(w.shard.now+1, 9), 2)
	w.want("no more than asked for", old(w.shard.now+1, 1), 1)
	w.want("the first is old", old(between, 9), 1)
	ids, _ := OldOffline(w.log.NewReader(), between, 9)
	for range 2 { // as behind a crash between the two
		if err := w.do(&ForgetOffline{IDs: ids}); err != nil {
			t.Fatal(err)
		}
	}
	w.want("old ones then", old(between, 9), 0)
	w.want("of the second", p.offline(9, 50, aPair(50, 2)), "94")
	w.want("of the first", p.offline(10, 100, aPair(100, 1)), "00")
	names := 0
	if err := w.log.NewReader().Each([]byte(seenPrefix), func(_, _ []byte) error { names++; return nil }); err != nil {
		t.Fatal(err)
	}
	w.want("names", names, 2)
}
