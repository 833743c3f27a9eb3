package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"tongka/engine"
	"tongka/offline"
	simoffline "tongka/sim/offline"
)

// waits counts the uploads that are not in their store.
func waits(t *testing.T, n *Node) (count int) {
	t.Helper()
	if err := engine.EachOffline(n.journal.NewReader(), func(*engine.OfflineMessage) error { count++; return nil }); err != nil {
		t.Fatal(err)
	}
	return count
}

// The process dies when a file of messages is in the store, and before the messages
// were let go: the next life finds the file, lets them go, and nothing is there twice.
func TestFollowerDiesBetweenImportAndHandingOver(t *testing.T) {
	lists, err := simoffline.Lists()
	if err != nil {
		t.Fatal(err)
	}
	w := dayFor(t, simoffline.Section, lists, nil)
	w.ok("sign-in", w.day.SignIn(w.ctx))
	m, err := simoffline.NewMaker("bus-64", 9)
	if err != nil {
		t.Fatal(err)
	}
	upload := func(records int) {
		t.Helper()
		b, sum, err := m.File(make([]simoffline.Wrong, records))
		if err != nil {
			t.Fatal(err)
		}
		w.ok("upload", w.day.Offline(w.ctx, b, int64(sum)))
	}
	// This test has the store from before the first upload until the process is gone,
	// so the follower itself is at its door all the time.
	store, end, err := OpenOffline(w.node.cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	upload(8)
	upload(3)
	p, b, err := w.node.waitingOffline(w.ctx)
	if err != nil || len(p.IDs) == 0 {
		t.Fatalf("%v, %v", p, err)
	}
	planned := len(p.IDs) // the follower may have planned before the second came
	upload(2)             // and this one came behind the plan
	format, err := recordFormat(w.node.cfg)
	if err != nil {
		t.Fatal(err)
	}
	f, err := store.Import(w.ctx, &offline.Source{Name: p.name(), Format: format,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}, nil)
	if err != nil || f.Stage != offline.Done {
		t.Fatalf("%+v, %v", f, err)
	}
	if n := waits(t, w.node); n != 3 {
		t.Fatalf("%d uploads wait, want 3", n)
	}
	w.stop()
	if err := end(); err != nil {
		t.Fatal(err)
	}
	again, err := Start(w.node.cfg, Options{Logger: zap.NewNop(), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	s := &started{t: t, node: again}
	s.until("all is handed over", func() bool { return waits(t, again) == 0 })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := again.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if store, end, err = OpenOffline(again.cfg, false); err != nil {
		t.Fatal(err)
	}
	files, err := store.Files()
	if err = errors.Join(err, end()); err != nil {
		t.Fatal(err)
	}
	var records, good uint32
	for _, f := range files {
		records, good = records+f.Records, good+f.States["T"]
	}
	if len(files) != 2 || files[0].Name != p.name() || records != 13 || good != 13 {
		t.Errorf("%d files, %d records, %d good, %d planned", len(files), records, good, planned)
	}
	audit, err := os.ReadFile(again.cfg.AuditFile())
	if err != nil || strings.Count(string(audit), p.name()+" sha256") != 1 {
		t.Errorf("%v, audit: %s", err, audit)
	}
}
