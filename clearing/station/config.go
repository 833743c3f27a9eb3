package station

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"tongka/clearing/day"
	"tongka/clearing/layouts"
	"tongka/yamlfile"
)

// Config says where files come from, what they are, and who gets files of ours. It
// is one YAML file, strict: what it does not know is a fault with file, line and column.
type Config struct {
	Zone     *time.Location
	Patience time.Duration // a file without its end waits so long
	Pause    time.Duration // before what failed is tried again, doubled each time
	Retries  int
	Keep     int   // days that archived bytes are kept
	MaxBytes int64 // of one file
	Sources  []Source
	Kinds    []Kind
	Cities   []City
	Send     []Send
}

// Source is a folder that is watched, here or by SFTP.
type Source struct {
	Name   string
	Place  Place
	Wait   time.Duration // a file has to be the same for so long
	Remove bool          // once it is registered
}

// Kind says what files of some names are.
type Kind struct {
	Name   string
	Sender string
	Source string // only from there; "" = from anywhere
	Files  string // pattern with *, ? and {yyyymmdd}, {yymmdd}, {mmdd}, {number}
	To     Desk
	Layout string // as it was written
	Form   *layouts.Form
	Needs  []string // suffixes of what has to lie beside it
	// Merchants are those that its records may name; nil: nobody looks.
	Merchants map[string]bool
	DaysAgo   int // where neither name nor header says the day: so many before it came

	name *regexp.Regexp
}

// Desk is who works on a file.
type Desk uint8

// Desks.
const (
	Clearing Desk = iota // the nightly run
	Offline              // the store of offline transactions
)

var deskNames = []string{"clearing", "offline"}

// String is the desk's word in the file.
func (d Desk) String() string { return deskNames[d] }

// MarshalText implements encoding.TextMarshaler.
func (d Desk) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Desk) UnmarshalText(b []byte) error {
	i := slices.Index(deskNames, string(b))
	if i < 0 {
		return fmt.Errorf("station: no desk %q", b)
	}
	*d = Desk(i)
	return nil
}

// maxConfig is the size in bytes of the file.
const maxConfig = 1 << 20

// Parse reads a config. Relative paths are below dir. The error is yamlfile.Faults.
func Parse(name, dir string, b []byte) (*Config, error) {
	p := &parser{file: name, dir: dir}
	root, faults := yamlfile.Tree(name, b, maxConfig, "kinds: [{name: bank, files: \"bank-{yyyymmdd}.csv\"}]")
	p.faults = faults
	c := &Config{Zone: time.FixedZone("UTC+8", 8*3600), Patience: 2 * time.Hour, Pause: time.Minute, Retries: 5, Keep: 90, MaxBytes: 16 << 30}
	if root != nil {
		p.config(root, c)
	}
	if len(p.faults) > 0 {
		p.faults.Sort()
		return nil, p.faults
	}
	return c, nil
}

type parser struct {
	file, dir string
	faults    yamlfile.Faults
}

func (p *parser) fault(n ast.Node, message, hint string) {
	at := yamlfile.NodePos(n)
	p.faults = append(p.faults, yamlfile.Fault{File: p.file, Line: at.Line, Column: at.Column, Message: message, Hint: hint})
}

// keys say what a mapping may hold.
type keys map[string]func(ast.Node)

func (p *parser) mapping(n ast.Node, k keys, wanted ...string) {
	all, ok := yamlfile.Pairs(n)
	if !ok {
		p.fault(n, "须为键值 · wanted: a mapping", "")
		return
	}
	seen := map[string]bool{}
	for _, kv := range all {
		key := kv.Key.GetToken().Value
		read := k[key]
		switch {
		case seen[key]:
			p.fault(kv, fmt.Sprintf("键 %q 重复 · key %q stands twice", key, key), "")
		case read == nil:
			known := make([]string, 0, len(k))
			for w := range k {
				known = append(known, w)
			}
			slices.Sort(known)
			p.fault(kv, fmt.Sprintf("未知的键 %q · unknown key %q", key, key), yamlfile.DidYouMean(key, known))
		default:
			read(kv.Value)
		}
		seen[key] = true
	}
	for _, w := range wanted {
		if !seen[w] {
			p.fault(n, fmt.Sprintf("缺少 %s · %s is missing", w, w), "")
		}
	}
}

func (p *parser) list(n ast.Node, f func(ast.Node)) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		p.fault(n, "须为列表 · wanted: a list", "")
		return
	}
	for _, v := range seq.Values {
		f(v)
	}
}

// text reads into to; numbers count as they are written.
func (p *parser) text(to *string) func(ast.Node) {
	return func(n ast.Node) {
		switch v := n.(type) {
		case *ast.StringNode:
			*to = v.Value
		case *ast.IntegerNode, *ast.FloatNode:
			*to = n.GetToken().Value
		}
		if *to == "" {
			p.fault(n, "须为非空文本 · wanted: text that is not empty", "")
		}
	}
}

func (p *parser) path(to *string) func(ast.Node) {
	return func(n ast.Node) {
		if p.text(to)(n); *to != "" && !filepath.IsAbs(*to) {
			*to = filepath.Join(p.dir, *to)
		}
	}
}

func (p *parser) span(to *time.Duration) func(ast.Node) {
	return func(n ast.Node) {
		var s string
		p.text(&s)(n)
		d, err := time.ParseDuration(s)
		if s != "" && (err != nil || d < 0 || d > 7*24*time.Hour) {
			p.fault(n, "须为 0s 至 168h · wanted: 0s to 168h", "10s")
		}
		*to = d
	}
}

func (p *parser) whole(to *int, least, most int) func(ast.Node) {
	return func(n ast.Node) {
		v, ok := n.(*ast.IntegerNode)
		if i, err := strconv.Atoi(n.GetToken().Value); ok && v != nil && err == nil && i >= least && i <= most {
			*to = i
			return
		}
		p.fault(n, fmt.Sprintf("须为 %d 至 %d 的整数 · wanted: a whole number of %d to %d", least, most, least, most), "")
	}
}

// word reads one of some words to its place among them.
func (p *parser) word(words []string, set func(int)) func(ast.Node) {
	return func(n ast.Node) {
		var s string
		p.text(&s)(n)
		if i := slices.Index(words, s); i >= 0 {
			set(i)
		} else if s != "" {
			p.fault(n, fmt.Sprintf("没有 %q · there is no %q", s, s), yamlfile.DidYouMean(s, words))
		}
	}
}

func (p *parser) config(n ast.Node, c *Config) {
	gib := int(c.MaxBytes >> 20)
	p.mapping(n, keys{
		"zone":     func(n ast.Node) { p.zone(n, &c.Zone) },
		"patience": p.span(&c.Patience),
		"pause":    p.span(&c.Pause),
		"retries":  p.whole(&c.Retries, 0, 100),
		"keep":     p.whole(&c.Keep, 1, 36500),
		"max_mb":   p.whole(&gib, 1, 1<<20),
		"sources":  func(n ast.Node) { p.list(n, func(n ast.Node) { p.source(n, c) }) },
		"kinds":    func(n ast.Node) { p.list(n, func(n ast.Node) { p.kind(n, c) }) },
		"cities":   func(n ast.Node) { p.list(n, func(n ast.Node) { p.city(n, c) }) },
		"send":     func(n ast.Node) { p.list(n, func(n ast.Node) { p.send(n, c) }) },
	})
	c.MaxBytes = int64(gib) << 20
	for i := range c.Kinds {
		if s := c.Kinds[i].Source; s != "" && !slices.ContainsFunc(c.Sources, func(x Source) bool { return x.Name == s }) {
			p.fault(n, fmt.Sprintf("没有来源 %q · there is no source %q", s, s), "")
		}
	}
}

func (p *parser) zone(n ast.Node, to **time.Location) {
	var s string
	p.text(&s)(n)
	// The machine's own zone would give another day on another machine.
	z, err := time.LoadLocation(s)
	if err != nil || s == "" || s == "Local" {
		p.fault(n, fmt.Sprintf("没有时区 %q · no zone %q", s, s), "Asia/Shanghai")
		return
	}
	*to = z
}

func (p *parser) source(n ast.Node, c *Config) {
	s := Source{Wait: 10 * time.Second}
	l := link{}
	k := p.linkKeys(&l)
	k["name"] = p.text(&s.Name)
	k["wait"] = p.span(&s.Wait)
	k["after"] = p.word([]string{"keep", "remove"}, func(i int) { s.Remove = i == 1 })
	p.mapping(n, k, "name", "folder")
	if slices.ContainsFunc(c.Sources, func(x Source) bool { return x.Name == s.Name }) {
		p.fault(n, fmt.Sprintf("来源 %q 重复 · the source %q stands twice", s.Name, s.Name), "")
	}
	s.Place = p.place(n, &l)
	c.Sources = append(c.Sources, s)
}

// link are the keys of a place.
type link struct{ folder, sftp, user, key, password, hostKey string }

func (p *parser) linkKeys(l *link) keys {
	return keys{"folder": p.text(&l.folder), "sftp": p.text(&l.sftp), "user": p.text(&l.user), "key_file": p.path(&l.key),
		"password_file": p.path(&l.password), "host_key": p.text(&l.hostKey)}
}

// place makes one of its keys.
func (p *parser) place(n ast.Node, l *link) Place {
	if l.sftp == "" {
		if l.user+l.key+l.password+l.hostKey != "" {
			p.fault(n, "user、key_file、password_file、host_key 只用于 sftp · these are for sftp only", "")
		}
		if !filepath.IsAbs(l.folder) {
			l.folder = filepath.Join(p.dir, l.folder)
		}
		return Folder(l.folder)
	}
	s, err := NewSFTP(SFTPOptions{Address: l.sftp, User: l.user, KeyFile: l.key, PasswordFile: l.password, HostKey: l.hostKey, Folder: l.folder})
	if err != nil {
		p.fault(n, err.Error(), "")
	}
	return s
}

func (p *parser) kind(n ast.Node, c *Config) {
	k := Kind{Layout: layouts.Own}
	to := 0
	p.mapping(n, keys{
		"name": p.text(&k.Name), "sender": p.text(&k.Sender), "source": p.text(&k.Source), "files": p.text(&k.Files), "layout": p.text(&k.Layout),
		"merchants": func(n ast.Node) { k.Merchants = p.merchants(n) },
		"days_ago":  p.whole(&k.DaysAgo, 0, 31), "to": p.word(deskNames, func(i int) { to = i }),
		"needs": func(n ast.Node) {
			p.list(n, p.word([]string{"md5", "sha256", "ok", "pkg", "al"}, func(i int) { k.Needs = append(k.Needs, []string{"md5", "sha256", "ok", "pkg", "al"}[i]) }))
		},
	}, "name", "files")
	k.To = Desk(to)
	if k.Merchants != nil && k.To != Clearing {
		p.fault(n, "merchants 只用于 to: clearing · merchants is for to: clearing", "")
	}
	if k.Sender == "" {
		k.Sender = k.Name
	}
	if slices.ContainsFunc(c.Kinds, func(x Kind) bool { return x.Name == k.Name }) {
		p.fault(n, fmt.Sprintf("种类 %q 重复 · the kind %q stands twice", k.Name, k.Name), "")
	}
	var err error
	if k.name, err = namePattern(k.Files); err != nil {
		p.fault(n, err.Error(), `"IND{yymmdd}01ACOM"`)
	}
	if k.To == Clearing {
		name := k.Layout
		if strings.ContainsAny(name, "./") && !filepath.IsAbs(name) {
			name = filepath.Join(p.dir, name)
		}
		if k.Form, err = layouts.Open(name); err != nil {
			p.fault(n, fmt.Sprintf("%s: %v", k.Name, err), "")
		}
	}
	c.Kinds = append(c.Kinds, k)
}

// merchants reads a CSV file that has a column merchant, such as the registry exports.
func (p *parser) merchants(n ast.Node) map[string]bool {
	var name string
	p.path(&name)(n)
	f, err := os.Open(name)
	if err != nil {
		p.fault(n, err.Error(), "")
		return nil
	}
	defer f.Close()
	in := csv.NewReader(f)
	in.FieldsPerRecord, in.ReuseRecord = -1, true
	all, column := map[string]bool{}, -1
	for {
		rec, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			p.fault(n, fmt.Sprintf("%s: %v", name, err), "")
			return nil
		}
		if column < 0 {
			if column = slices.Index(rec, "merchant"); column < 0 {
				p.fault(n, fmt.Sprintf("%s:1:1: 没有 merchant 列 · there is no column merchant", name), "")
				return nil
			}
		} else if column < len(rec) {
			all[rec[column]] = true
		}
	}
	return all
}

var tokens = map[string]string{"{yyyymmdd}": `(?P<yyyymmdd>\d{8})`, "{yymmdd}": `(?P<yymmdd>\d{6})`, "{mmdd}": `(?P<mmdd>\d{4})`, "{number}": `(?P<number>\d+)`}

var tokenForm = regexp.MustCompile(`\{[^}]*\}|\*|\?|[^{*?]+|\{`)

// namePattern makes an expression of a pattern of names.
func namePattern(s string) (*regexp.Regexp, error) {
	var b strings.Builder
	if strings.ContainsAny(s, "/\\") {
		return nil, fmt.Errorf("文件名不含路径 · a name, without folders: %q", s)
	}
	for _, part := range tokenForm.FindAllString(s, -1) {
		switch {
		case part == "*":
			b.WriteString(".*")
		case part == "?":
			b.WriteString(".")
		case tokens[part] != "":
			b.WriteString(tokens[part])
		case part[0] == '{':
			return nil, fmt.Errorf("文件名中 %q 无意义 · %q means nothing in a name ({yyyymmdd} {yymmdd} {mmdd} {number})", part, part)
		default:
			b.WriteString(regexp.QuoteMeta(part))
		}
	}
	return regexp.Compile("^" + b.String() + "$")
}

// said is what a file's name says, as of the day on which it came.
func (k *Kind) said(name string, came day.Date) (d day.Date, number string, err error) {
	m := k.name.FindStringSubmatch(name)
	for i, what := range k.name.SubexpNames() {
		switch v := m[i]; what {
		case "yyyymmdd":
			d, err = day.ParseDate(v)
		case "yymmdd":
			d, err = day.ParseDate("20" + v)
		case "mmdd":
			d, err = nearest(v, came)
		case "number":
			number = v
		}
		if err != nil {
			return 0, "", fmt.Errorf("%s: 文件名中的日期有误 · the date in its name is none: %w", name, err)
		}
	}
	return d, number, nil
}

// nearest gives MMDD its year: the one in which it lies nearest to a day.
func nearest(mmdd string, came day.Date) (best day.Date, err error) {
	at := func(d day.Date) time.Time {
		t, _ := time.Parse("20060102", d.String()) // it is one already
		return t
	}
	for year := int(came/10000) - 1; year <= int(came/10000)+1; year++ {
		d, bad := day.ParseDate(fmt.Sprintf("%04d%s", year, mmdd))
		if bad != nil {
			err = bad
			continue
		}
		if best == 0 || at(d).Sub(at(came)).Abs() < at(best).Sub(at(came)).Abs() {
			best = d
		}
	}
	if best != 0 {
		err = nil
	}
	return best, err
}

// kindOf finds what a file of a source is.
func (c *Config) kindOf(source, name string) *Kind {
	for i := range c.Kinds {
		k := &c.Kinds[i]
		if (k.Source == "" || k.Source == source) && k.name.MatchString(name) {
			return k
		}
	}
	return nil
}

func (c *Config) kind(name string) *Kind {
	for i := range c.Kinds {
		if c.Kinds[i].Name == name {
			return &c.Kinds[i]
		}
	}
	return nil
}
