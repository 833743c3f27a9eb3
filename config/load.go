package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile is the size in bytes that a config file may have.
const maxFile = 1 << 20

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
	r := &reader{file: name, at: map[string]pos{}}
	c := Defaults()
	root, ok := r.tree(b)
	if ok {
		r.value(root, reflect.ValueOf(&c).Elem(), "", "")
		r.check(&c)
	}
	if r.faults != nil {
		r.faults.sort()
		return nil, r.faults
	}
	c.settle(filepath.Dir(name))
	return &c, nil
}

// tree parses the YAML to its one document.
func (r *reader) tree(b []byte) (ast.Node, bool) {
	if len(b) > maxFile {
		r.fault(pos{1, 1}, fmt.Sprintf("文件超过 %d 字节 · the file is larger than %d bytes", maxFile, maxFile), "")
		return nil, false
	}
	// Keys that stand twice are found here, with both lines, not by the parser.
	file, err := guarded(func() (*ast.File, error) {
		return parser.ParseBytes(b, 0, parser.AllowDuplicateMapKey())
	})
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		r.fault(tokenPos(syntax.Token), "YAML 语法错误 · YAML syntax: "+syntax.Message, "检查缩进、冒号与引号 · look at indents, colons and quotes")
		return nil, false
	case err != nil:
		r.fault(pos{1, 1}, "YAML 语法错误 · YAML syntax: "+err.Error(), "")
		return nil, false
	}
	var root ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case root == nil:
			root = doc.Body
		default:
			r.fault(nodePos(doc.Body), "只能有一个文档 · one document only", "")
		}
	}
	if root == nil {
		r.fault(pos{1, 1}, "空文件 · the file is empty", "switch config schema")
		return nil, false
	}
	return root, true
}

// guarded makes a panic of the YAML library a fault of the file: a typing
// mistake must not look like a crash of the switch.
func guarded(parse func() (*ast.File, error)) (f *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			f, err = nil, fmt.Errorf("%v", p)
		}
	}()
	return parse()
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
	for i := range c.Links {
		if c.Links[i].Source == "" {
			c.Links[i].Source = c.Node.Acquirer
		}
	}
	c.Data = under(dir, c.Data)
	c.Registry.Import = under(dir, c.Registry.Import)
	c.Log.File = under(dir, c.Log.File)
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
}

// AuditFile is where what people did to the switch is kept.
func (c *Config) AuditFile() string { return filepath.Join(c.Data, "audit.jsonl") }

// RegistryDir is the folder of the registry's store.
func (c *Config) RegistryDir() string { return filepath.Join(c.Data, "registry") }

// JournalDir is the folder of the journal's store.
func (c *Config) JournalDir() string { return filepath.Join(c.Data, "journal") }
