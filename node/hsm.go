package node

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"tongka/config"
	"tongka/conn"
	"tongka/engine"
	"tongka/hsm"
	"tongka/hsm/payshield"
	"tongka/hsm/pool"
	"tongka/hsm/soft"
	"tongka/translate"
)

// ReadLMK opens a sealed LMK with the passphrase that is the first line of another
// file.
func ReadLMK(path, passPath string) (soft.LMK, error) {
	pass, err := ReadPass(passPath)
	if err != nil {
		return soft.LMK{}, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return soft.LMK{}, fmt.Errorf("LMK: %w", err)
	}
	lmk, err := soft.OpenLMK(b, pass)
	if err != nil {
		return soft.LMK{}, fmt.Errorf("%s：不能打开 · %w", path, err)
	}
	return lmk, nil
}

// ReadPass gives the first line of a file.
func ReadPass(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("口令文件 · passphrase: %w", err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return bytes.TrimRight(line, "\r"), nil
}

// SoftModule makes the module in the process of a configuration whose mode is soft:
// under the public test LMK, or under one of one's own, whose check value has to be
// lmk_check where that is given.
func SoftModule(cfg *config.Config) (*soft.Module, error) {
	h := &cfg.HSM
	lmk := soft.TestLMK()
	if h.LMKFile != "" {
		var err error
		if lmk, err = ReadLMK(h.LMKFile, h.PassFile); err != nil {
			return nil, fmt.Errorf("hsm.lmk_file: %w", err)
		}
	}
	m, err := soft.NewWith(lmk, soft.Options{SM4Cards: cfg.Cards.SM4 != 0})
	if err != nil {
		return nil, err
	}
	var r hsm.Reply
	m.Do(&hsm.Request{Verb: hsm.Diagnose}, &r)
	if got := hex.EncodeToString(r.KCV[:]); h.LMKCheck != "" && !strings.EqualFold(got, h.LMKCheck) {
		return nil, fmt.Errorf("hsm.lmk_check: %s，LMK 的校验值为 · the LMK's check value is %s", h.LMKCheck, strings.ToUpper(got))
	}
	return m, nil
}

// HSMDialect is the dialect of the configured kind of module, with what the
// configuration says of its commands.
func HSMDialect(h *config.HSM) (payshield.Dialect, error) {
	d, err := payshield.Machine(h.Dialect)
	if err != nil {
		return d, fmt.Errorf("hsm.dialect: %w", err)
	}
	d.HeaderLen = h.Header
	for _, c := range h.Commands {
		if err := d.Define(c.Code, payshield.Layout{Request: c.Request, Response: c.Response}); err != nil {
			return d, fmt.Errorf("hsm.commands: %w", err)
		}
	}
	return d, nil
}

// modules gives every security module its connections, the one for key management
// last.
func modules(h *config.HSM, ec *engine.Config, cc *conn.Config) error {
	var err error
	if ec.Dialect, err = HSMDialect(h); err != nil {
		return err
	}
	ec.Pool = pool.Options{Window: h.Window, Rate: h.Rate, Probe: h.Probe}
	hsm.DecodeHex(ec.Pool.LMK[:len(h.LMKCheck)/2], []byte(h.LMKCheck))
	for i, a := range h.Addresses {
		machine := fmt.Sprintf("hsm-%d", i+1)
		add := func(name string, keys bool) {
			ec.HSMs = append(ec.HSMs, engine.HSM{Name: name, Machine: machine, Keys: keys, Socket: len(cc.Links), Framing: conn.Binary2})
			cc.Links = append(cc.Links, conn.LinkConfig{Name: name, Addr: a, Framing: conn.Binary2, MaxOutbound: config.ModuleOutbound, BackoffMax: 5 * time.Second})
		}
		add(machine, false)
		for n := 1; n < h.Connections; n++ {
			add(fmt.Sprintf("%s#%d", machine, n+1), false)
		}
		if h.KeyConnection {
			add(machine+" keys", true)
		}
	}
	return nil
}

// pinRoom holds the length of a bank's F52 against its ZPK: a PIN block has 8 bytes, or
// 16 under SM4. At a sale it would be too late to find out.
func pinRoom(l *config.Link, bank *translate.Bank) error {
	want := 8
	if l.ZPK.Scheme == hsm.SM4Scheme {
		want = 16
	}
	if l.ZPK.N == 0 || bank.PINRoom == want {
		return nil
	}
	name := bank.Spec.Name()
	return fmt.Errorf("link %s: 方言 %s 的 F52 为 %d 字节，此 ZPK 的 PIN 块为 %d 字节 · F52 of dialect %s has %d bytes, PIN blocks under this ZPK have %d",
		l.Name, name, bank.PINRoom, want, name, bank.PINRoom, want)
}
