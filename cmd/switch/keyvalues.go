package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"tongka/config"
	"tongka/hsm"
	"tongka/hsm/payshield"
	"tongka/node"
	"tongka/registry"
)

// checker gives the check value of a key under the LMK, six digits as people compare
// them; a dash for a key that is not there.
type checker struct {
	ask   func(hsm.KeyType, *hsm.Key) ([8]byte, error)
	close func() error
}

func (c *checker) of(t hsm.KeyType, k hsm.Key) string {
	if k.N == 0 {
		return "-"
	}
	kcv, err := c.ask(t, &k)
	if err != nil {
		return "? " + err.Error()
	}
	return fmt.Sprintf("%X", kcv[:3])
}

// newChecker asks the configuration's software module, or the first module behind a
// socket that answers.
func newChecker(cfg *config.Config) (*checker, error) {
	if cfg.HSM.Mode == "soft" {
		m, err := node.SoftModule(cfg)
		if err != nil {
			return nil, err
		}
		return &checker{close: func() error { return nil }, ask: func(t hsm.KeyType, k *hsm.Key) ([8]byte, error) {
			kcv, code := m.CheckValue(t, k)
			if !code.OK() {
				return kcv, code
			}
			return kcv, nil
		}}, nil
	}
	dialect, err := node.HSMDialect(&cfg.HSM)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, addr := range cfg.HSM.Addresses {
		c, err := net.DialTimeout("tcp", addr, cfg.HSM.Timeout)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		line := moduleLine{c, dialect, cfg.HSM.Timeout, 0}
		return &checker{ask: line.checkValue, close: c.Close}, nil
	}
	return nil, fmt.Errorf("加密机均不可达 · no security module can be reached: %w", errors.Join(failed...))
}

// moduleLine asks a module one thing after another.
type moduleLine struct {
	conn    net.Conn
	dialect payshield.Dialect
	timeout time.Duration
	header  uint32
}

func (l *moduleLine) checkValue(t hsm.KeyType, k *hsm.Key) (kcv [8]byte, err error) {
	l.header++
	b, err := l.dialect.Append([]byte{0, 0}, l.header%10000, &hsm.Request{Verb: hsm.CheckValue, Type: t, Key: *k})
	if err != nil {
		return kcv, err
	}
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	if err := l.conn.SetDeadline(time.Now().Add(l.timeout)); err != nil {
		return kcv, err
	}
	if _, err := l.conn.Write(b); err != nil {
		return kcv, err
	}
	var size [2]byte
	if _, err := io.ReadFull(l.conn, size[:]); err != nil {
		return kcv, err
	}
	b = make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(l.conn, b); err != nil {
		return kcv, err
	}
	var r hsm.Reply
	if _, err := l.dialect.Parse(b, hsm.CheckValue, &r); err != nil {
		return kcv, err
	}
	if !r.Code.OK() {
		return kcv, r.Code
	}
	return r.KCV, nil
}

// registryKeysCmd lists the keys that are no terminal's, by their check values.
type registryKeysCmd struct {
	configFlag
}

// keyRow is a key as keys prints it.
type keyRow struct{ what, name, check string }

// Run asks a module for each.
func (c *registryKeysCmd) Run(s *streams) (err error) {
	r, cfg, err := openRegistry(c.Config, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	check, err := newChecker(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, check.close()) }()
	var rows []keyRow
	all := r.Snapshot().Transports()
	for _, k := range registry.SortedTransports(all) {
		rows = append(rows, keyRow{"传输密钥 transport " + k.Of, k.Name, check.of(hsm.TMK, all[k])})
	}
	for i := range cfg.Links {
		l := &cfg.Links[i]
		rows = append(rows, keyRow{"ZPK", l.Name, check.of(hsm.ZPK, l.ZPK)}, keyRow{"ZMK", l.Name, check.of(hsm.ZMK, l.ZMK)})
	}
	for _, k := range rows {
		fmt.Fprintf(s.out, "%-10s  %-16s  %s\n", k.check, k.name, k.what)
	}
	return nil
}
