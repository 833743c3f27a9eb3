package registry

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"tongka/hsm"
)

func TestKeyLoadForm(t *testing.T) {
	r := open(t, Options{})
	importText(t, r, two)
	id := r.Snapshot().At(0).ID
	l := KeyLoad{TMK: key(t, 7), Export: key(t, 8), KCV: [4]byte{1, 2, 3, 4}, Permit: 5, At: 6, Until: 7, Taken: 8}
	b := AppendKeyLoad(nil, &id, &l)
	got, back, err := DecodeKeyLoad(b)
	if len(b) != KeyLoadSize || got != id || back != l || err != nil {
		t.Fatalf("%d bytes: %v %+v %v", len(b), got, back, err)
	}
	for n := range b {
		if _, _, err := DecodeKeyLoad(b[:n]); err == nil {
			t.Fatalf("%d bytes of it are read", n)
		}
	}
	for _, c := range []struct {
		at   int
		want string
	}{{0, "byte 0"}, {24, "byte 24"}, {51, "byte 50"}} {
		bad := bytes.Clone(b)
		bad[c.at] ^= 0x55
		if _, _, err := DecodeKeyLoad(bad); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("byte %d changed: %v", c.at, err)
		}
	}
}

// A key that was downloaded outlives a restart, the file of every start, and not a key
// by the operator's hand.
func TestDownloadedKeyStays(t *testing.T) {
	dir := t.TempDir()
	r := open(t, Options{Dir: dir})
	file := fmt.Sprintf("merchant,terminal,tmk,transport\nM1,T1,%v,%v\n", key(t, 1), key(t, 9))
	importText(t, r, file)
	term := r.Snapshot().At(0)
	id := term.ID
	now := start.UnixNano() - int64(time.Minute)
	if err := r.Permit(&id, now+int64(time.Hour)); err != nil {
		t.Fatal(err)
	}
	permit, _ := r.Permitted(&id, now)
	if permit == 0 {
		t.Fatal("not permitted")
	}
	if p, _ := r.Permitted(&id, now+2*int64(time.Hour)); p != 0 {
		t.Error("the permission does not end")
	}
	l := KeyLoad{TMK: key(t, 5), Permit: permit, At: now, Until: now + int64(time.Hour)}
	r.KeepKeyLoad(term, &l)
	if p, _ := r.Permitted(&id, now); p != 0 || r.TMK(term) != key(t, 1) {
		t.Error("before it is taken: permitted again, or in force")
	}
	taken := l
	taken.Taken = now
	r.KeepKeyLoad(term, &taken)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, Options{Dir: dir})
	tmk := func() hsm.Key { return r.TMK(r.Snapshot().Terminal(&id)) }
	if tmk() != key(t, 5) {
		t.Fatalf("after a restart: %v", tmk())
	}
	if _, changed, err := r.Import(strings.NewReader(file), "t.csv"); err != nil || changed != 0 || tmk() != key(t, 5) {
		t.Errorf("the file of every start: %d changed, %v, %v", changed, err, tmk())
	}
	importText(t, r, fmt.Sprintf("merchant,terminal,tmk\nM1,T1,%v\n", key(t, 6)))
	r.RecallKeyLoad(&id, &taken) // what the journal still has
	if tmk() != key(t, 6) {
		t.Errorf("the operator's key: %v", tmk())
	}
	if p, _ := r.Permitted(&id, now); p != 0 {
		t.Error("a permission outlives the operator's key")
	}
}

func TestTransportKeys(t *testing.T) {
	r := open(t, Options{})
	importText(t, r, fmt.Sprintf("merchant,terminal,tmk,group,maker,transport,serial\nM1,T1,%v,7,acme,%v,SN1\nM1,T2,%[1]v,7,acme,,SN2\nM1,T3,%[1]v,7,,,\nM1,T4,%[1]v,8,other,,\n", key(t, 1), key(t, 2)))
	file := fmt.Sprintf("of,name,key\nmaker,acme,%v\ngroup,7,%v\nany,,%v\n", key(t, 3), key(t, 4), key(t, 5))
	if added, changed, err := r.ImportTransports(strings.NewReader(file), "k.csv"); added != 3 || changed != 0 || err != nil {
		t.Fatal(added, changed, err)
	}
	snap := r.Snapshot()
	for i, want := range []int{2, 3, 4, 5} {
		if k := snap.TransportFor(&snap.At(i).ID); k != key(t, want) {
			t.Errorf("terminal %d: %v, want key %d", i+1, k, want)
		}
	}
	var out bytes.Buffer
	if err := r.ExportTransports(&out); err != nil {
		t.Fatal(err)
	}
	if added, changed, err := r.ImportTransports(bytes.NewReader(out.Bytes()), "k.csv"); added+changed != 0 || err != nil {
		t.Errorf("an export changes %d, %d, %v", added, changed, err)
	}
	if id, ok := snap.BySerial("SN2"); !ok || id != snap.At(1).ID {
		t.Error(id, ok)
	}
	// The same number at two terminals of two files: neither is found by it.
	importText(t, r, fmt.Sprintf("merchant,terminal,tmk,serial\nM1,T4,%v,SN2\n", key(t, 1)))
	if _, ok := r.Snapshot().BySerial("SN2"); ok {
		t.Error("found by a number that two have")
	}
	for _, bad := range []string{"of,name,key\nmaker,,U00000000000000000000000000000001\n", "of,name,key\nany,x,U00000000000000000000000000000001\n",
		"of,name,key\ngroup,07,U00000000000000000000000000000001\n", "of,name,key\ngroup,70000,\n", "of,name,key\nshop,a,\n", "of,name,key\nmaker,a,U12\n",
		"of,name,key\nmaker,a,\nmaker,a,\n", "of,name\nany,\n"} {
		if _, _, err := r.ImportTransports(strings.NewReader(bad), "k.csv"); err == nil || !strings.Contains(err.Error(), "k.csv:") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, _, err := r.Import(strings.NewReader(fmt.Sprintf("merchant,terminal,tmk,serial\nM1,T1,%v,A\nM1,T2,%[1]v,A\n", key(t, 1))), "t.csv"); err == nil {
		t.Error("one serial number twice in a file")
	}
	if _, _, err := r.Import(strings.NewReader("merchant,terminal,tmk,mac\nM1,T1,S00000000000000000000000000000001,x9.9\n"), "t.csv"); err == nil || !strings.Contains(err.Error(), "t.csv:2:") {
		t.Errorf("SM4 with another MAC: %v", err)
	}
}
