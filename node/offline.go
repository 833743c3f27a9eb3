package node

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"go.uber.org/zap"

	"tongka/config"
	"tongka/hsm"
	"tongka/journal"
	"tongka/offline"
)

// OpenOffline opens the store of offline transactions that a config names; work
// also reads what its records are held against, and finds modules for their TACs.
// The caller ends it by end.
func OpenOffline(cfg *config.Config, work bool) (s *offline.Store, end func() error, err error) {
	// The key that sealed these records must not be made anew.
	if err := journal.CheckRing(cfg.Journal.KeyFile, cfg.Journal.OldKeys, cfg.OfflineDir()); err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, nil, fmt.Errorf("数据目录 · data folder: %w", err)
	}
	ring, err := journal.LoadRing(cfg.Journal.KeyFile, cfg.Journal.OldKeys, cfg.JournalDir(), OpenKey(cfg))
	if err != nil {
		return nil, nil, err
	}
	o := offline.Options{Dir: cfg.OfflineDir(), Key: ring.Key, Old: ring.Old, MaxBytes: int64(cfg.Offline.MaxFile) << 20}
	release := func() error { return nil }
	if work {
		if release, err = against(cfg, &o); err != nil {
			return nil, nil, err
		}
	}
	s, err = offline.Open(o)
	if errors.Is(err, offline.ErrKey) {
		return nil, nil, errors.Join(err, release())
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%w\n该库正被另一进程使用（switch offline，或正在收取报文的交换）？ · is another switch offline at it, or the switch itself, taking in messages?", err), release())
	}
	return s, func() error { return errors.Join(s.Close(), release()) }, nil
}

// moveOffline takes the store of offline transactions to the newest key, so that
// after a start nothing needs the earlier ones. It stands beside the switch: what
// hinders this stops nothing, and the next opening does it.
func (n *Node) moveOffline(old [][32]byte) {
	_, err := os.Stat(n.cfg.OfflineDir())
	if len(old) == 0 || err != nil {
		return
	}
	_, end, err := OpenOffline(n.cfg, false)
	if err == nil {
		err = end()
	}
	if err != nil {
		n.log.Warn("the store of offline transactions stays under an earlier key", zap.Error(err))
	}
}

// against loads what records are held against.
func against(cfg *config.Config, o *offline.Options) (end func() error, err error) {
	o.Books = &offline.Books{}
	var keys hsm.CardKeys
	err = errors.Join(
		reading(cfg.Offline.Terminals, o.Books.LoadTerminals), reading(cfg.Offline.Cards, o.Books.LoadCards),
		reading(cfg.Offline.TACKeys, func(r io.Reader, name string) (err error) {
			keys, err = offline.LoadKeys(r, name)
			return err
		}))
	if err != nil || cfg.Offline.TACKeys == "" {
		return func() error { return nil }, err
	}
	o.Keys = keys
	if cfg.HSM.Mode == "soft" {
		local := &offline.Local{}
		for range runtime.GOMAXPROCS(0) {
			m, err := SoftModule(cfg)
			if err != nil {
				return nil, err
			}
			local.Modules = append(local.Modules, m)
		}
		o.Verifier = local
		return func() error { return nil }, nil
	}
	dialect, err := HSMDialect(&cfg.HSM)
	if err != nil {
		return nil, err
	}
	remote := &offline.Remote{Addresses: cfg.HSM.Addresses, Timeout: cfg.HSM.Timeout, Dialect: dialect}
	o.Verifier = remote
	return remote.Close, nil
}

// reading opens a file that may be left out.
func reading(path string, load func(io.Reader, string) error) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(load(f, path), f.Close())
}
