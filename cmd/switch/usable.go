package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tongka/config"
	"tongka/console"
	"tongka/journal"
)

// access says whether this process may use a path as mode (unix.W_OK and such)
// says.
type access func(path string, mode uint32) error

// mayUse asks the system. It opens nothing, so neither a store nor a file's
// times are touched.
func mayUse(path string, mode uint32) error {
	return unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS)
}

// usable names the places of a config that a start could not use, all at once,
// and makes none of them.
func usable(cfg *config.Config, may access) error {
	data := may.folder(cfg.Data)
	faults := []error{named("数据目录", "data folder", data)}
	if data == nil {
		faults = append(faults,
			named("登记库", "registry store", may.folder(cfg.RegistryDir())),
			named("流水库", "journal store", may.folder(cfg.JournalDir())),
			journal.CheckRing(cfg.Journal.KeyFile, cfg.Journal.OldKeys, cfg.JournalDir()),
			named("流水密钥", "journal key", may.key(cfg)),
		)
	}
	if cfg.Log.File != "" {
		faults = append(faults, named("日志文件", "log file", may.file(cfg.Log.File)))
	}
	if cfg.Console.Address != "" {
		faults = append(faults, console.CheckAddress(cfg.Console.Address))
	}
	return errors.Join(faults...)
}

// named says what a path was to be; nil stays nil.
func named(zh, en string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s · %s: %w", zh, en, err)
}

// folder is for a folder that is made when it is missing: then the nearest one
// above it that exists must let it be made.
func (may access) folder(path string) error {
	info, err := os.Stat(path)
	above := filepath.Dir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && above != path:
		return may.folder(above)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s 不是目录 · %s is not a folder", path, path)
	}
	return may.write(path, unix.W_OK|unix.X_OK)
}

// file is for a file that is appended to or made; its folder is not made.
func (may access) file(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return err
		}
		return may.folder(filepath.Dir(path))
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s 是目录 · %s is a folder", path, path)
	}
	return may.write(path, unix.W_OK)
}

// key is for a key that is made when it is missing. The data folder is made
// before it, another one is not.
func (may access) key(cfg *config.Config) error {
	path := cfg.Journal.KeyFile
	if _, err := os.Stat(path); err == nil || filepath.Dir(path) == filepath.Clean(cfg.Data) {
		return nil
	}
	return may.file(path)
}

func (may access) write(path string, mode uint32) error {
	if err := may(path, mode); err != nil {
		return fmt.Errorf("%s 不可写 · %s cannot be written: %w", path, path, err)
	}
	return nil
}
