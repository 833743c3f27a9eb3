package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tongka/config"
	"tongka/journal"
	"tongka/node"
)

// files lists all that is below a folder.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// edited is the example in a folder of its own, changed.
func edited(t *testing.T, pairs ...string) string {
	t.Helper()
	b, err := os.ReadFile("../../examples/terminals.csv")
	if err != nil {
		t.Fatal(err)
	}
	return place(t, func(s string) string {
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(s, pairs[i]) {
				t.Fatalf("the example does not hold %q", pairs[i])
			}
			s = strings.Replace(s, pairs[i], pairs[i+1], 1)
		}
		return s
	}, string(b))
}

// A port that others can reach stops a start, so it stops a check: in the same
// words.
func TestCheckRefusesAConsoleForOthers(t *testing.T) {
	path := edited(t, "127.0.0.1:8080", "0.0.0.0:0", `"127.0.0.1:8583"`, `"127.0.0.1:0"`)
	checked := call("", "check", "-c", path)
	ran := call("", "run", "-c", path)
	const want = `控制台地址 "0.0.0.0:0" 不是本机回环地址`
	if checked.code != exitFailed || !strings.Contains(checked.err, "1 处 · the config is not right: 1 fault\n") {
		t.Error(checked)
	}
	first, _, _ := strings.Cut(checked.err, "\n")
	if !strings.Contains(first, want) || !strings.Contains(first, "not a loopback address") || !strings.Contains(ran.err, "switch: "+first+"\n") {
		t.Errorf("check says\n%s\nrun says\n%s", checked.err, ran.err)
	}
}

func TestCheckNamesPlacesThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  []string
		wants []string
	}{
		{"data is a file", []string{"data: data", "data: terminals.csv"}, []string{"数据目录 · data folder: ", "terminals.csv is not a folder"}},
		{"data below a file", []string{"data: data", "data: terminals.csv/data"}, []string{"数据目录 · data folder: ", "not a directory"}},
		{"import is a folder", []string{"import: terminals.csv", "import: ."}, []string{"读取失败 · cannot read: ", "is a directory"}},
		{"import is not there", []string{"import: terminals.csv", "import: none.csv"}, []string{"终端文件 · terminals: ", "none.csv"}},
		{"log is a folder", []string{"limits:", "log: {file: .}\nlimits:"}, []string{"日志文件 · log file: ", "is a folder"}},
		{"log in no folder", []string{"limits:", "log: {file: none/x.log}\nlimits:"}, []string{"日志文件 · log file: ", "none: no such file"}},
		{"log below a file", []string{"limits:", "log: {file: terminals.csv/x.log}\nlimits:"}, []string{"日志文件 · log file: ", "not a directory"}},
		{"key in no folder", []string{"limits:", "journal: {key_file: none/j.key}\nlimits:"}, []string{"流水密钥 · journal key: ", "none: no such file"}},
		{"several", []string{"data: data", "data: terminals.csv", "import: terminals.csv", "import: none.csv"}, []string{"data folder", "terminals: ", "2 faults"}},
	} {
		path := edited(t, c.edit...)
		before := files(t, filepath.Dir(path))
		r := call("", "check", "-c", path)
		if r.code != exitFailed || r.out != "" {
			t.Errorf("%s: %v", c.name, r)
		}
		for _, want := range c.wants {
			if !strings.Contains(r.err, want) {
				t.Errorf("%s: no %q in %s", c.name, want, r.err)
			}
		}
		if after := files(t, filepath.Dir(path)); !slices.Equal(before, after) {
			t.Errorf("%s: the check made %v", c.name, after)
		}
	}
	path := edited(t, "data: data", "data: a/b/c", "limits:", "log: {file: x.log}\nlimits:")
	before := files(t, filepath.Dir(path))
	if r := call("", "check", "-c", path); r.code != exitDone {
		t.Errorf("folders that a start makes: %v", r)
	}
	if after := files(t, filepath.Dir(path)); !slices.Equal(before, after) {
		t.Errorf("the check made %v", after)
	}
}

// What the system does not let this process write, asked of a system that says
// so: tests may run as one who may write anywhere.
func TestUsableAsksTheSystem(t *testing.T) {
	path := edited(t, "data: data", "data: a/b", "limits:", "log: {file: terminals.csv}\nlimits:")
	dir := filepath.Dir(path)
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := usable(cfg, mayUse); err != nil {
		t.Error(err)
	}
	asked := map[string]uint32{}
	err = usable(cfg, func(path string, mode uint32) error {
		asked[path] |= mode
		return unix.EROFS
	})
	want := map[string]uint32{dir: unix.W_OK | unix.X_OK, filepath.Join(dir, "terminals.csv"): unix.W_OK}
	for p, mode := range want {
		if asked[p] != mode || err == nil || !strings.Contains(err.Error(), p+" 不可写 · "+p+" cannot be written: ") {
			t.Errorf("%s: asked for %o, want %o: %v", p, asked[p], mode, err)
		}
	}
	if len(asked) != len(want) {
		t.Errorf("asked about %v", asked)
	}
}

// A lost key is told before a start, and again by the start, which makes none.
func TestLostKeyIsNotReplaced(t *testing.T) {
	path := edited(t, `"127.0.0.1:8080"`, `""`, `"127.0.0.1:8583"`, `"127.0.0.1:0"`)
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Start(cfg, node.Options{Logger: zap.NewNop(), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := call("", "check", "-c", path); r.code != exitDone {
		t.Error(r)
	}
	if err := os.Remove(cfg.Journal.KeyFile); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "run"} {
		r := call("", command, "-c", path)
		if r.code != exitFailed || !strings.Contains(r.err, cfg.Journal.KeyFile+" 不存在") || !strings.Contains(r.err, journal.ErrNoKey.Error()) {
			t.Errorf("%s: %v", command, r)
		}
		if _, err := os.Stat(cfg.Journal.KeyFile); err == nil {
			t.Fatalf("%s made a key", command)
		}
	}
}

// Each fault of a config that run refuses stands in a line of its own, and all
// lines begin alike.
func TestRunNamesAllFaults(t *testing.T) {
	path := edited(t, "link: bank-a}", "link: bank-z}", "session_ttl", "sesion_ttl")
	r := call("", "run", "-c", path)
	lines := strings.Split(strings.TrimSuffix(r.err, "\n"), "\n")
	if r.code != exitFailed || len(lines) != 2 {
		t.Fatal(r)
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "switch: "+path+":") {
			t.Errorf("%q", line)
		}
	}
}

// What the system says in English has both languages before it.
func TestSystemFaultsHaveBothLanguages(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"配置文件 · config file: ":      {"run", "-c", filepath.Join(dir, "none.yaml")},
		"日志文件 · log file: ":         {"run", "-c", edited(t, "limits:", "log: {file: none/x.log}\nlimits:")},
		"数据目录 · data folder: ":      {"run", "-c", edited(t, `"127.0.0.1:8080"`, `""`, "data: data", "data: terminals.csv")},
		"终端文件 · terminals: ":        {"run", "-c", edited(t, `"127.0.0.1:8080"`, `""`, "import: terminals.csv", "import: none.csv")},
		"账本 · book: ":               {"sim", "compare", "--terminals", filepath.Join(dir, "none"), "--banks", file},
		"账本 · book: open " + dir:    {"sim", "bank", "--listen", "127.0.0.1:0", "--books", dir},
		"银行 · bank: ":               {"sim", "bank", "--listen", "nowhere"},
		"加密机 · hsm: ":               {"sim", "hsm", "--listen", "nowhere"},
		"数据目录 · data folder: mkdir": {"demo", "--data", file},
	} {
		if r := call("", args...); r.code != exitFailed || !strings.Contains(r.err, "switch: "+want) {
			t.Errorf("%v: no %q in %v", args, want, r)
		}
	}
}

func TestSimBankUsageShowsTheChoice(t *testing.T) {
	r := call("", "sim", "bank", "--help")
	for _, want := range []string{"switch sim bank (--listen=ADDR | --connect=ADDR) [flags]", "either this or --connect", "二选一"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in %s", want, r.out)
		}
	}
}
