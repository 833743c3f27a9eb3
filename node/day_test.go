package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongka/config"
	"tongka/engine"
)

func TestDayOfAConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.bin")
	if err := os.WriteFile(file, []byte("keys"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Day: config.TerminalDay{ForeignBINs: []string{"4"}, CountVoided: true, ShortMAKGroups: []int{7}, Signals: "xyz",
		Downloads: []config.Download{{Code: 370, File: file, Version: "3", Groups: []int{1}, Block: 100}}}}
	d, err := Day(cfg)
	if err != nil || len(d.Foreign) != 1 || !d.CountVoided || d.ShortMAK[0] != 7 || d.Signals != (engine.Signals{None: 'x', Last: 'y', More: 'z'}) {
		t.Fatalf("%+v, %v", d, err)
	}
	if l := d.Downloads[0]; l.Code != 370 || string(l.Data) != "keys" || l.Version != "3" || l.Groups[0] != 1 || l.Block != 100 {
		t.Errorf("%+v", l)
	}
	for what, path := range map[string]string{"missing": file + "x", "a folder": filepath.Dir(file)} {
		cfg.Day.Downloads[0].File = path
		if _, err := Day(cfg); err == nil || !strings.Contains(err.Error(), "day.downloads[0]") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
