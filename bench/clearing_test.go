package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/config"
	"tongka/journal"
	"tongka/translate"
)

func TestClearingLimits(t *testing.T) {
	r := Report{Clearing: &Clearing{Rows: 1000, Ratio: 0.85, P99Ratio: 1.5, Seconds: 2}}
	if err := r.check(&Options{Clearing: true, MinClearing: 0.8}); err != nil {
		t.Error(err)
	}
	if err := r.check(&Options{Clearing: true, MinClearing: 0.9}); err == nil || !strings.Contains(err.Error(), "--min-clearing-ratio 0.9：0.850") {
		t.Error(err)
	}
	var b bytes.Buffer
	r.print(&b)
	lines(t, b.String(), "1000 行", "ratio 0.850", "p99 比 ratio 1.50")
}

func TestClearingOptions(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--clearing --raw", "--clearing"}, {"--clearing --saf", "--clearing"}, {"--clearing --day=10", "--day 10"}, {"--clearing --day=6000000", "--day"},
		{"--min-clearing-ratio=0.9", "--clearing"},
	} {
		var out, errs bytes.Buffer
		if code := Main(strings.Fields(c.args), &out, &errs); code != exitUsage || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: exit %d: %s", c.args, code, errs.String())
		}
	}
}

// The day that is cleared is one: as many sales in the journal as lines in the bank's file.
func TestASoldDay(t *testing.T) {
	p := place{dir: t.TempDir()}
	p.config = filepath.Join(p.dir, "switch.yaml")
	text := `node: {acquirer: "1"}
listeners: [{name: pos, address: "127.0.0.1:0"}]
links: [{name: bank, address: "127.0.0.1:1", destination: "1", zpk: "U0123456789ABCDEF0123456789ABCDEF"}]
routes: [{link: bank}]
hsm: {mode: soft, test_lmk: true}
`
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sold(&p, time.Date(2026, 10, 1, 12, 0, 0, 0, translate.Zone), 2500); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(p.dir, "in/20261001/bank.csv"))
	if err != nil || strings.Count(string(b), "\n") != 2502 || !strings.Contains(string(b), "\n274000002500,") || !strings.Contains(string(b), "\nend,2500,") {
		t.Errorf("%d bytes: %v", len(b), err)
	}
	cfg, err := config.Load(p.config)
	if err != nil {
		t.Fatal(err)
	}
	key, err := journal.LoadKey(cfg.Journal.KeyFile, cfg.JournalDir())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := journal.OpenReadOnly(journal.Options{Dir: cfg.JournalDir(), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	n := 0
	err = kept.Replay(0, func(journal.LSN, *journal.Record) error { n++; return nil })
	if err != nil || n != 2500 {
		t.Errorf("%d records: %v", n, err)
	}
}
