package node

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/payshield"
	"tongka/hsm/soft"
)

// The module in the process works under an LMK of one's own: a key of the test LMK is
// worth nothing there, and a check value that is configured has to be its.
func TestSoftModuleWithAnOwnLMK(t *testing.T) {
	dir := t.TempDir()
	lmk, err := soft.RandomLMK(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := lmk.Seal([]byte("a passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	file, pass, wrong := filepath.Join(dir, "lmk"), filepath.Join(dir, "pass"), filepath.Join(dir, "wrong")
	for path, b := range map[string][]byte{file: sealed, pass: []byte("a passphrase\r\nmore"), wrong: []byte("another passphrase")} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := &config.Config{HSM: config.HSM{Mode: "soft", LMKFile: file, PassFile: pass}}
	m, err := SoftModule(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if own := m.LMK(); own.Test() || own.String() != lmk.String() {
		t.Errorf("it works under %v, not %v", m.LMK(), lmk)
	}
	k, err := soft.New(soft.TestLMK()).Wrap(hsm.ZPK, []byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	if _, code := m.CheckValue(hsm.ZPK, &k); code.OK() {
		t.Error("a key of the test LMK opens")
	}
	check := strings.Fields(lmk.String())[1]
	if cfg.HSM.LMKCheck = strings.ToLower(check); true {
		if _, err := SoftModule(cfg); err != nil {
			t.Error(err)
		}
	}
	for name, change := range map[string]func(h *config.HSM){
		check:            func(h *config.HSM) { h.LMKCheck = "2686040000000000" },
		"passphrase":     func(h *config.HSM) { h.PassFile = wrong },
		"口令文件":           func(h *config.HSM) { h.PassFile = dir + "/none" },
		"no such file":   func(h *config.HSM) { h.LMKFile = dir + "/none" },
		"not a sealed":   func(h *config.HSM) { h.LMKFile = pass },
		"hsm.lmk_check:": func(h *config.HSM) { h.LMKFile, h.PassFile, h.LMKCheck = "", "", "0000000000000001" },
	} {
		bad := *cfg
		change(&bad.HSM)
		if _, err := SoftModule(&bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A kind of module is a name; what the configuration says of commands comes on top.
func TestHSMDialect(t *testing.T) {
	for _, name := range payshield.Machines() {
		d, err := HSMDialect(&config.HSM{Dialect: name, Header: 12, Commands: []config.HSMCommand{{Code: "UB"}}})
		if err != nil || d.HeaderLen != 12 {
			t.Fatal(name, err)
		}
		if _, err := d.Append(nil, 1, &hsm.Request{Verb: hsm.MakeMAC2, Key: hsm.Key{Scheme: 'U', N: 16}, More: &hsm.More{}}); err != nil {
			t.Errorf("%s: UB: %v", name, err)
		}
	}
	for _, bad := range []config.HSM{{Dialect: "sjl05"}, {Commands: []config.HSMCommand{{Code: "ZZ"}}}} {
		if _, err := HSMDialect(&bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
