package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"tongka/yamlfile"
)

// maxFile is the size in bytes that a config file may have: 100,000 card ranges in
// the routes themselves have room.
const maxFile = 4 << 20

// Load reads the file at path. The error is Faults when the file could be read
// but is not right.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("配置文件 · config file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("配置文件 · config file: %w", err)
	}
	return Parse(path, b)
}

// Parse reads a config from b. name is the file's: it stands in faults, and
// relative paths start from its folder. The error is Faults.
func Parse(name string, b []byte) (*Config, error) {
	r := &reader{file: name, at: map[string]yamlfile.Pos{}}
	c := Defaults()
	root, faults := yamlfile.Tree(name, b, maxFile, "switch config schema")
	r.faults = faults
	if root != nil {
		r.value(root, reflect.ValueOf(&c).Elem(), "", "")
		r.check(&c)
	}
	if r.faults != nil {
		r.faults.Sort()
		return nil, r.faults
	}
	c.settle(filepath.Dir(name))
	return &c, nil
}

// settle fills what follows from other values and makes paths usable from the
// folder that the process runs in.
func (c *Config) settle(dir string) {
	under := func(base, path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(base, path)
	}
	if c.Node.Forwarder == "" {
		c.Node.Forwarder = c.Node.Acquirer
	}
	here := func(path string) string { return under(dir, path) }
	for i := range c.Listeners {
		l := &c.Listeners[i]
		l.TLS.settle(here)
		l.Dialect = dialectPath(l.Dialect, here)
	}
	for i := range c.Links {
		c.Links[i].TLS.settle(here)
		c.Links[i].Dialect = dialectPath(c.Links[i].Dialect, here)
		if c.Links[i].Source == "" {
			c.Links[i].Source = c.Node.Acquirer
		}
	}
	c.Data = under(dir, c.Data)
	c.Registry.Import = under(dir, c.Registry.Import)
	c.BINTable = under(dir, c.BINTable)
	for i := range c.Day.Downloads {
		c.Day.Downloads[i].File = under(dir, c.Day.Downloads[i].File)
	}
	c.Log.File = under(dir, c.Log.File)
	if strings.ContainsAny(c.Offline.Messages, "./\\") { // else a built-in layout
		c.Offline.Messages = under(dir, c.Offline.Messages)
	}
	c.Offline.TACKeys = under(dir, c.Offline.TACKeys)
	c.Offline.Terminals = under(dir, c.Offline.Terminals)
	c.Offline.Cards = under(dir, c.Offline.Cards)
	c.Admin.Tokens = under(dir, c.Admin.Tokens)
	if c.Admin.Socket == "" {
		c.Admin.Socket = filepath.Join(c.Data, "admin.sock")
	} else {
		c.Admin.Socket = under(dir, c.Admin.Socket)
	}
	if c.Journal.KeyFile == "" {
		c.Journal.KeyFile = filepath.Join(c.Data, "journal.key")
	} else {
		c.Journal.KeyFile = under(dir, c.Journal.KeyFile)
	}
	for i, path := range c.Journal.OldKeys {
		c.Journal.OldKeys[i] = under(dir, path)
	}
}

// AuditFile is where what people did to the switch is kept.
func (c *Config) AuditFile() string { return filepath.Join(c.Data, "audit.jsonl") }

// RegistryDir is the folder of the registry's store.
func (c *Config) RegistryDir() string { return filepath.Join(c.Data, "registry") }

// OfflineDir is the folder of the store of offline transactions.
func (c *Config) OfflineDir() string { return filepath.Join(c.Data, "offline") }

// BlacklistDir is the folder of the blacklist.
func (c *Config) BlacklistDir() string { return filepath.Join(c.Data, "blacklist") }

// JournalDir is the folder of the journal's store.
func (c *Config) JournalDir() string { return filepath.Join(c.Data, "journal") }
