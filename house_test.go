package tongka

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// room is what the house says of one folder: which rooms of the house and which
// libraries its code may import. The reasons are part of the rule.
type room struct {
	house []string
	libs  []string
	why   string
}

const any = "*"

var house = map[string]room{
	"yamlfile":      {nil, []string{"github.com/goccy/go-yaml"}, "reads YAML for whoever has a file of it, and knows none of their words"},
	".":             {nil, nil, "holds the rules of the house and no code"},
	"fault":         {nil, []string{"go.uber.org/zap"}, "one table of what goes wrong, counted where it is logged; knows no room"},
	"cpuidle":       {nil, nil, "one wish to the kernel; who is busy knows when to make it"},
	"supervisor":    {[]string{"fault", "sdnotify"}, []string{"go.uber.org/zap", "golang.org/x/sys/unix"}, "watches a process from outside; what that process does is not its business"},
	"txn":           {nil, nil, "words only: everything else speaks in them"},
	"hsm":           {nil, nil, "values only: what is asked, not how it gets there"},
	"hsm/clear":     {[]string{"hsm"}, []string{"github.com/emmansun/gmsm", "golang.org/x/sys/cpu"}, "SM2, SM3 and SM4 by one file; what the processor can is asked by triple DES alone; keys in clear live here and in hsm/soft, for simulators and the software module"},
	"hsm/soft":      {[]string{"hsm", "hsm/clear"}, nil, "answers in the process, knows no wire"},
	"hsm/pool":      {[]string{"hsm"}, nil, "pure: who gets a command and whom to trust; sockets and clocks are its owner's"},
	"hsm/payshield": {[]string{"hsm", "hsm/clear", "hsm/soft"}, nil, "host commands only; sockets are conn's"},
	"timeout":       {nil, nil, "owns no clock"},
	"codec/iso8583": {nil, []string{"github.com/moov-io/iso8583"}, "bytes to views and back; a dialect can be said in moov's words"},
	"codec/iso8583/dialects": {[]string{"codec/iso8583", "codec/iso8583/internal/dialect", "yamlfile"}, []string{"github.com/goccy/go-yaml"},
		"reads and writes files of dialects, which the pure codec may not"},
	"codec/iso8583/explain": {[]string{"codec/iso8583", "conn/framing", "txn"}, []string{"golang.org/x/text"}, "messages for people"},
	"codec/iso8583/explain/capture": {[]string{"codec/iso8583", "codec/iso8583/explain", "conn/framing"}, []string{"github.com/gopacket/gopacket"},
		"reads files of packets, which explain need not know"},
	"conn/framing":       {nil, nil, "tells frames apart, keeps no state"},
	"conn/cert":          {nil, nil, "certificates from files, for crypto/tls"},
	"conn/gate":          {nil, nil, "who may come in, by address alone"},
	"conn/cert/certtest": {nil, nil, "makes certificates for tests"},
	"conn":               {[]string{"fault", "timeout", "conn/framing", "conn/cert", "conn/gate"}, []string{"github.com/panjf2000/gnet/v2", "go.uber.org/zap", "golang.org/x/sys/unix"}, "moves frames and never looks into them; half frames have deadlines"},
	"router":             {[]string{"txn"}, nil, "a pure pick from an immutable table"},
	"router/limit":       {nil, nil, "counts what passes; who owns a gate brings the time"},
	"card":               {[]string{"txn"}, nil, "e-purse cards: what is said of one and what it means, pure"},
	"translate":          {[]string{"card", "codec/iso8583", "txn"}, nil, "pure: bytes and values in, bytes and values out"},
	"flow":               {[]string{"card", "txn", "router"}, nil, "decides: no clock, no I/O, no lock, so that scripts and a seed can drive it"},
	"keyfile":            {nil, nil, "a key in a file, for whoever seals or hashes with one"},
	"journal":            {[]string{"fault", "txn", "keyfile"}, []string{"github.com/cockroachdb/pebble/v2", "go.uber.org/zap", "golang.org/x/sys/unix"}, "the one store of the truth; its log tells the disk to begin"},
	"journal/query":      {[]string{"flow", "journal", "storefwd", "translate", "txn"}, nil, "answers people's questions about a journal; no traffic passes here"},
	"storefwd":           {[]string{"txn", "journal"}, nil, "knows what is owed; where it is kept it is told, in the journal's form"},
	"registry/sheet":     {nil, nil, "CSV files that people keep, and all that is wrong in them; knows no table"},
	"registry/blacklist": {[]string{"txn", "registry/sheet"}, nil, "cards by their fingerprints; who is refused is the engine's decision"},
	"registry/limits":    {[]string{"txn"}, nil, "counts what passed in a day; who owns the counters brings the time"},
	"registry/desk":      {[]string{"registry", "registry/blacklist", "registry/sheet", "txn"}, nil, "what people do to the tables, by words: the same for a tool and for a running switch"},
	"registry":           {[]string{"fault", "txn", "hsm", "registry/sheet", "registry/limits"}, []string{"github.com/dgraph-io/badger/v4", "go.uber.org/zap", "golang.org/x/text"}, "terminals and their keys under the LMK"},
	"offline":            {[]string{"hsm", "hsm/payshield", "keyfile", "offline/layout", "yamlfile"}, []string{"github.com/cockroachdb/pebble/v2"}, "files of offline transactions and their own store, beside the switch; asks modules over its own connections, because nobody waits for it"},
	"offline/layout":     {[]string{"yamlfile"}, []string{"github.com/goccy/go-yaml", "golang.org/x/text"}, "files of records by a form that is data, for offline transactions and for clearing; what fields mean is theirs"},
	"clearing":           {[]string{"clearing/extsort", "clearing/fee", "clearing/recon", "clearing/row", "txn"}, nil, "puts the parts of a day together, and makes days up to measure them"},
	"clearing/day":       {nil, nil, "which day a place of the journal is of; reads no journal and no clock"},
	"clearing/extsort":   {nil, nil, "sorts bytes in bounded memory, and knows not whose"},
	"clearing/row":       {[]string{"clearing/day", "txn"}, nil, "the line that both sides of a day are brought to"},
	"clearing/layouts": {[]string{"clearing/day", "clearing/fee", "clearing/row", "offline/layout", "txn", "yamlfile"}, nil,
		"files to rows and back, by forms that are data; whose files they are and where they lie is the station's"},
	"clearing/fold": {[]string{"clearing/day", "clearing/extsort", "clearing/row", "flow", "journal", "storefwd", "translate", "txn"}, nil,
		"the journal's words into rows; the reference number is translate's, what moves money flow's"},
	"clearing/recon": {[]string{"clearing/row", "txn"}, nil, "pure: two sorted streams in, verdicts out; where rows come from is the command's"},
	"clearing/fee":   {[]string{"clearing/row", "txn"}, nil, "pure: what a row costs whom, exactly"},
	"clearing/chain": {[]string{"audit"}, []string{"github.com/cockroachdb/pebble/v2"}, "a store whose history is only added to; what events mean is their owner's"},
	"clearing/dispute": {[]string{"audit", "clearing/casefile", "clearing/chain", "clearing/day", "clearing/fee", "clearing/row", "txn"}, nil,
		"the desk for cases; the run speaks to it by files, people by commands"},
	"clearing/rules": {[]string{"clearing/day", "clearing/fee", "clearing/recon", "clearing/row", "txn", "yamlfile"}, []string{"github.com/goccy/go-yaml"},
		"how a house clears, as data; what is done with it is the run's"},
	"clearing/run": {[]string{"clearing/casefile", "clearing/day", "clearing/extsort", "clearing/fee", "clearing/fold", "clearing/layouts", "clearing/recon", "clearing/reserve", "clearing/row", "clearing/rules", "journal", "txn"},
		[]string{"github.com/cockroachdb/pebble/v2"}, "the steps of a day and the store of what is done; files and journal come by interfaces"},
	"clearing/station": {[]string{"clearing/day", "clearing/layouts", "clearing/row", "clearing/run", "txn", "yamlfile"},
		[]string{"github.com/cockroachdb/pebble/v2", "github.com/goccy/go-yaml", "github.com/pkg/sftp", "golang.org/x/crypto/ssh", "golang.org/x/sys/unix"},
		"files in and out, by folders and SFTP; the stores that work on them are handed in"},
	"clearing/purses": {[]string{"clearing/row", "clearing/run", "hsm", "offline", "txn"}, nil, "the store of offline transactions as the nightly run asks for it; where it lies is the command's"},
	"clearing/casefile": {[]string{"clearing/day", "clearing/fee", "clearing/recon", "clearing/row"}, nil,
		"the words between the nightly run and the desk for disputes; neither imports the other"},
	"clearing/clean": {[]string{"clearing/day", "flow", "journal", "storefwd", "txn"}, []string{"github.com/cockroachdb/pebble/v2"},
		"what of old days goes and what stays; when is its caller's. A database is copied by its own means"},
	"clearing/ledger":  {[]string{"audit", "clearing/chain", "clearing/day", "clearing/reserve", "keyfile"}, nil, "reserve accounts on disk: orders of two persons, nights that are proved and signed"},
	"clearing/reserve": {[]string{"clearing/day"}, nil, "a ledger whose sum is zero; who books is told by its owner"},
	"config":           {[]string{"conn/cert", "conn/framing", "conn/gate", "flow", "hsm", "registry", "router", "txn", "yamlfile"}, []string{"github.com/goccy/go-yaml", "github.com/google/jsonschema-go/jsonschema"}, "reads one file"},
	"engine": {[]string{"card", "codec/iso8583", "conn", "fault", "flow", "hsm", "hsm/payshield", "hsm/pool", "journal", "registry", "registry/blacklist", "registry/limits", "router", "router/limit", "storefwd", "timeout", "translate", "txn"},
		[]string{"go.uber.org/zap"}, "the shell around flow: the only room that knows them all"},
	"admin":     {[]string{"audit", "fault"}, []string{"go.uber.org/zap", "golang.org/x/sys/unix"}, "a door for people: who asks, and what; what is done about it is node's"},
	"audit":     {nil, nil, "one file of chained lines; knows nothing of who writes them"},
	"successor": {[]string{"conn"}, []string{"golang.org/x/sys/unix"}, "two processes take turns; what they run is not its business"},
	"sdnotify":  {nil, []string{"golang.org/x/sys/unix"}, "datagrams to systemd"},
	"console":   {[]string{"codec/iso8583", "codec/iso8583/explain", "conn", "conn/framing", "engine", "fault", "txn"}, []string{"github.com/prometheus/client_golang", "github.com/prometheus/client_model", "go.uber.org/zap"}, "reads pictures of the shard, never the shard; explains what is pasted"},
	"node": {[]string{"admin", "audit", "card", "clearing/clean", "clearing/day", "codec/iso8583", "codec/iso8583/dialects", "config", "conn", "conn/cert", "console", "cpuidle", "engine", "fault", "flow", "hsm", "hsm/payshield", "hsm/pool", "hsm/soft", "journal", "journal/query", "keyfile", "offline", "offline/layout", "registry", "registry/blacklist", "registry/desk", "registry/sheet", "router", "router/limit", "sdnotify", "storefwd", "translate", "txn"},
		[]string{"go.uber.org/zap", "golang.org/x/sys/unix"}, "puts a switch together and decides nothing"},
	"sim":        {[]string{any}, []string{any}, "plays against the product, which never imports it"},
	"bench":      {[]string{any}, []string{any}, "load tests"},
	"cmd/switch": {[]string{any}, []string{any}, "wiring"},
	"tools":      {[]string{any}, []string{any}, "helps the makefile"},
}

// Only these may import what plays or measures.
var players = []string{"sim", "bench"}

// pure rooms may not reach for the world, not even by the standard library.
var pure = map[string][]string{
	"flow":          {"os", "net", "sync", "context", "time", "math/rand", "log"},
	"translate":     {"os", "net", "sync", "context", "math/rand", "log"},
	"router/limit":  {"os", "net", "sync", "context", "time", "math/rand", "log"},
	"router":        {"os", "net", "sync", "context", "time", "math/rand", "log"},
	"codec/iso8583": {"os", "net", "context", "time", "math/rand", "log"},
	"txn":           {"os", "net", "sync", "context", "time", "math/rand", "log"},
	"card":          {"os", "net", "sync", "context", "time", "math/rand", "log"},
	"timeout":       {"os", "net", "sync", "context", "log"},
	"storefwd":      {"os", "net", "sync", "context", "log"},
	"hsm/pool":      {"os", "net", "sync", "context", "math/rand", "log"},
}

const (
	maxFileLines = 500
	maxFuncLines = 70
)

type goFile struct {
	room string
	path string
	test bool
	ast  *ast.File
	set  *token.FileSet
	size int
}

func goFiles(t *testing.T) (files []goFile) {
	t.Helper()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || p != "." && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, p, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, goFile{path.Dir(filepath.ToSlash(p)), p, strings.HasSuffix(p, "_test.go"), f, set, strings.Count(string(src), "\n")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d files found", len(files))
	}
	return files
}

// rule finds the room of a folder. What is internal to a room has its rules; a
// folder inside sim, bench or tools belongs to it.
func rule(folder string) (room, bool) {
	folder, _, _ = strings.Cut(folder, "/internal/")
	for f := folder; ; f = path.Dir(f) {
		if r, ok := house[f]; ok && (f == folder || slices.Contains(r.house, any)) {
			return r, true
		}
		if f == "." || f == "/" {
			return room{}, false
		}
	}
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, f := range goFiles(t) {
		r, ok := rule(f.room)
		if !ok {
			t.Errorf("%s: the folder %s is no room of the house", f.path, f.room)
			continue
		}
		if f.test {
			continue
		}
		for _, spec := range f.ast.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			if why := refuse(f.room, r, name); why != "" {
				t.Errorf("%s: imports %s: %s", f.set.Position(spec.Pos()), name, why)
			}
		}
	}
}

func refuse(folder string, r room, name string) string {
	free := slices.Contains(r.house, any)
	if own, ok := strings.CutPrefix(name, "tongka/"); ok {
		for _, p := range players {
			if !free && (own == p || strings.HasPrefix(own, p+"/")) {
				return "the product does not know its simulators"
			}
		}
		parent, _, internal := strings.Cut(own, "/internal/")
		room, _, _ := strings.Cut(folder, "/internal/")
		if free || slices.Contains(r.house, own) || internal && parent == room {
			return ""
		}
		return r.why
	}
	if !strings.Contains(strings.Split(name, "/")[0], ".") {
		room, _, _ := strings.Cut(folder, "/internal/")
		if slices.Contains(pure[room], name) {
			return "a pure room does not reach for the world"
		}
		return ""
	}
	for _, lib := range r.libs {
		if lib == any || name == lib || strings.HasPrefix(name, lib+"/") {
			return ""
		}
	}
	return r.why
}

func TestFilesAndFunctionsStaySmall(t *testing.T) {
	for _, f := range goFiles(t) {
		if f.size > maxFileLines && !f.test {
			t.Errorf("%s: %d lines, at most %d", f.path, f.size, maxFileLines)
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if fn.Name.Name == "init" && fn.Recv == nil {
				t.Errorf("%s: no init: what runs must be seen to run", f.set.Position(fn.Pos()))
			}
			if n := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1; n > maxFuncLines && !f.test {
				t.Errorf("%s: %s has %d lines, at most %d", f.set.Position(fn.Pos()), fn.Name.Name, n, maxFuncLines)
			}
		}
	}
}

// TestNoTestIsSkipped: a component that is missing belongs into .ci/run.
func TestNoTestIsSkipped(t *testing.T) {
	for _, f := range goFiles(t) {
		if !f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				t.Errorf("%s: a test is skipped", f.set.Position(call.Pos()))
			}
			return true
		})
	}
}
