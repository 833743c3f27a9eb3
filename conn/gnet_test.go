package conn

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
)

// gnet.go calls two of gnet's functions by their names, which no compiler checks.
func TestGnetIsTheOneWeKnow(t *testing.T) {
	const lines = "" +
		"func newStreamConn(proto string, fd int, el *eventloop, sa unix.Sockaddr, localAddr, remoteAddr net.Addr) (c *conn)\n" +
		"func (el *eventloop) register0(c *conn) error\n"
	at, _ := runtime.FuncForPC(reflect.ValueOf(gnet.NewClient).Pointer()).FileLine(reflect.ValueOf(gnet.NewClient).Pointer())
	var got bytes.Buffer
	for _, name := range []string{"connection_unix.go", "eventloop_unix.go"} {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, filepath.Join(filepath.Dir(at), name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("gnet's source, found by its own code: %v", err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Name.Name != "newStreamConn" && f.Name.Name != "register0" {
				continue
			}
			f.Body, f.Doc = nil, nil
			if err := format.Node(&got, files, f); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
		}
	}
	if got.String() != lines {
		t.Errorf("gnet has changed; see whether conn/gnet.go is still right:\n%s", &got)
	}
}

// A loop's poller is found by the name of its field, which no compiler checks either.
func TestGnetsLoopsHaveAPoller(t *testing.T) {
	f, _ := run(t, Config{})
	field, ok := reflect.TypeOf(f.loops[0].el).Elem().FieldByName("poller")
	if !ok || field.Type != reflect.TypeFor[*netpoll.Poller]() {
		t.Fatalf("gnet has changed: the field is %v", field)
	}
	if fd, ok := field.Type.Elem().FieldByName("fd"); !ok || fd.Type.Kind() != reflect.Int {
		t.Errorf("gnet has changed: the poller's descriptor is %v", fd)
	}
}
