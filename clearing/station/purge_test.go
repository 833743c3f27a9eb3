package station

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tongka/clearing/run"
)

// Bytes go when their time is over, whatever became of the file; what is known of it, and
// what is owed to somebody, stays.
func TestPurge(t *testing.T) {
	g := newGround(t, lifeConfig)
	var acts []Act
	g.o.Audit = func(a Act) error { acts = append(acts, a); return nil }
	g.open()
	g.must(errors.Join(os.MkdirAll(filepath.Join(g.dir, "out"), 0o700), os.WriteFile(filepath.Join(g.dir, "black.csv"), []byte("x\n"), 0o600)))
	dir := g.closedDay("104110000000001")
	g.file("bank-20261001-01.csv", ownCSV(3))
	g.file("bank-20261001-02.csv", "rrn,amount\n1,x\nend,1,1\n")
	g.file("bank-20261001-03.csv", "rrn,amount\n1,y\nend,1,1\n")
	g.file("bank-20261002-04.csv", ownCSV(4))
	g.file("signed-1001.csv", ownCSV(2))
	g.file("signed-1001.csv.md5", "00\n")
	g.file("signed-1001.csv.ok", "")
	g.pass()
	files, err := g.Files(first)
	g.must(err)
	g.must(errors.Join(g.Took(first, run.Intake, files), g.Took(first, run.Close, files)))
	_, err = g.Reject(Order{What: "3", Why: "rubbish"})
	g.must(err)
	order := SendOrder{Date: first, Run: dir}
	_, err = g.Send(t.Context(), order)
	g.must(err)
	stray := g.path("spool", "left")
	g.must(errors.Join(os.WriteFile(stray, nil, 0o600), os.Chtimes(stray, g.now, g.now)))

	g.now = g.now.AddDate(0, 0, 30)
	did, err := g.Purge()
	if err != nil || did.Any() {
		t.Fatalf("on the last day that they are kept: %+v %v", did, err)
	}
	g.now = g.now.AddDate(0, 0, 1)
	acts = nil
	g.o.Audit = func(Act) error { return errors.New("no audit") }
	g.open()
	if _, err := g.Purge(); err == nil {
		t.Error("purged without an audit")
	}
	g.o.Audit = func(a Act) error { acts = append(acts, a); return nil }
	g.open()
	did, err = g.Purge()
	if err != nil || did.Archived != 1 || did.Rejected != 1 || did.Undecided != 2 || did.Sent != 1 || did.Stray != 1 {
		t.Fatalf("%+v %v", did, err)
	}
	if !slices.Equal(did.Owed, []string{"20261001 merchants/M_104110000000001_20261001.csv"}) {
		t.Errorf("%v", did.Owed)
	}
	if len(acts) != 1 || acts[0].Do != "files-purge" || !strings.Contains(acts[0].After, "archived 1") {
		t.Errorf("%+v", acts)
	}
	g.want("bank-20261001-01.csv archived", "bank-20261001-02.csv rejected", "bank-20261001-03.csv rejected", "bank-20261002-04.csv verified", "signed-1001.csv rejected")
	left, err := filepath.Glob(g.path("*", "*"))
	g.must(err)
	left = slices.DeleteFunc(left, func(p string) bool { return strings.Contains(p, "/state/") })
	if len(left) != 2 || !strings.Contains(left[0], "/sent/20261001") || !strings.Contains(left[1], "/spool/") {
		t.Errorf("%v", left) // what is owed, and the file that was not cleared yet
	}
	if did, err = g.Purge(); err != nil || did.Any() || len(acts) != 1 {
		t.Errorf("%+v %v %v", did, acts, err)
	}
	g.pass() // what lies in the source still is known
	if l, err := g.List(); err != nil || len(l.Files) != 5 || !l.Files[0].Purged || len(l.Files[1].Faults) == 0 {
		t.Errorf("%+v %v", l.Files, err)
	}
}

// What was cleaned away is sent again only if it comes out the same.
func TestSendAfterPurge(t *testing.T) {
	g := newGround(t, strings.Replace(sendConfig, `, acks: "yes"`, "", 1))
	g.must(errors.Join(os.MkdirAll(filepath.Join(g.dir, "out"), 0o700), os.WriteFile(filepath.Join(g.dir, "black.csv"), []byte("x\n"), 0o600)))
	order := SendOrder{Date: first, Run: g.closedDay("104110000000001")}
	_, err := g.Send(t.Context(), order)
	g.must(err)
	g.now = g.now.AddDate(1, 0, 0)
	if did, err := g.Purge(); err != nil || did.Sent != 3 || len(did.Owed) != 0 {
		t.Fatalf("%+v %v", did, err)
	}
	if _, err := os.Stat(g.path("sent", "20261001")); err == nil {
		t.Error("its folder is there")
	}
	all, err := g.Send(t.Context(), order)
	if err != nil || len(all) != 3 || all[0].Times != 1 {
		t.Errorf("%+v %v", all, err)
	}
	if _, err := os.Stat(g.path("sent", "20261001")); err == nil {
		t.Error("made again without an order")
	}
	g.must(os.WriteFile(filepath.Join(g.dir, "black.csv"), []byte("y\n"), 0o600))
	order.Again = true
	if _, err := g.Send(t.Context(), order); err == nil || !strings.Contains(err.Error(), "BL_20261001.csv: 原件已清理") {
		t.Errorf("another list under the name of the old one: %v", err)
	}
	if g.out("BL_20261001.csv") != "x\n" {
		t.Error("it went out")
	}
	order.Only = []string{"merchants", "cities"}
	if all, err = g.Send(t.Context(), order); err != nil || len(all) != 2 || all[0].Times != 3 || all[0].Purged {
		t.Errorf("%+v %v", all[0], err)
	}
	if did, err := g.Purge(); err != nil || did.Any() {
		t.Errorf("%+v %v", did, err)
	}
}
