package conn

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/queue"
)

// declared gives gnet's functions of these names as its source has them, found by its
// own code; whole is with their bodies.
func declared(t *testing.T, file string, whole bool, names ...string) string {
	t.Helper()
	of := reflect.ValueOf(gnet.NewClient).Pointer()
	at, _ := runtime.FuncForPC(of).FileLine(of)
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, filepath.Join(filepath.Dir(at), file), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("gnet's source: %v", err)
	}
	var got bytes.Buffer
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !slices.Contains(names, f.Name.Name) {
			continue
		}
		if f.Doc = nil; !whole {
			f.Body = nil
		}
		if err := format.Node(&got, files, f); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
	}
	return got.String()
}

// gnet.go calls four of gnet's functions by their names, which no compiler checks.
func TestGnetIsTheOneWeKnow(t *testing.T) {
	got := declared(t, "connection_unix.go", false, "newStreamConn") +
		declared(t, "eventloop_unix.go", false, "register0") +
		declared(t, "conn_map.go", false, "getConn") +
		declared(t, "connection_linux.go", false, "processIO")
	const want = "" +
		"func newStreamConn(proto string, fd int, el *eventloop, sa unix.Sockaddr, localAddr, remoteAddr net.Addr) (c *conn)\n" +
		"func (el *eventloop) register0(c *conn) error\n" +
		"func (cm *connMatrix) getConn(fd int) *conn\n" +
		"func (c *conn) processIO(_ int, ev netpoll.IOEvent, _ netpoll.IOFlags) error\n"
	if got != want {
		t.Errorf("gnet has changed; see whether conn/gnet.go is still right:\n%s", got)
	}
}

// A loop waits in the place of gnet's own wait, so it must do what that does.
func TestGnetWaitsAsWeDo(t *testing.T) {
	for name, c := range map[string]struct{ file, sum string }{
		"Polling": {"pkg/netpoll/poller_epoll_default.go", "de944355afcce1e6"},
		"Trigger": {"pkg/netpoll/poller_epoll_default.go", "ff2894c879a5e587"},
		"run":     {"reactor_default.go", "341c91def1326e7f"},
	} {
		text := declared(t, c.file, true, name)
		sum := sha256.Sum256([]byte(text))
		if got := hex.EncodeToString(sum[:8]); got != c.sum {
			t.Errorf("gnet's %s has changed (%s); see whether attend and chores are still right:\n%s", name, got, text)
		}
	}
}

// What berthOf finds by names of fields has the types that it takes them for.
func TestGnetsFieldsAreTheOnesWeKnow(t *testing.T) {
	f, _ := run(t, Config{})
	el := reflect.TypeOf(f.loops[0].el).Elem()
	poller := reflect.TypeFor[netpoll.Poller]()
	for _, c := range []struct {
		of   reflect.Type
		name string
		want string
	}{
		{el, "poller", "*netpoll.Poller"},
		{el, "connections", "gnet.connMatrix"},
		{poller, "fd", "int"},
		{poller, "efd", "int"},
		{poller, "wakeupCall", "int32"},
		{poller, "urgentAsyncTaskQueue", reflect.TypeFor[queue.AsyncTaskQueue]().String()},
		{poller, "asyncTaskQueue", reflect.TypeFor[queue.AsyncTaskQueue]().String()},
	} {
		if field, ok := c.of.FieldByName(c.name); !ok || field.Type.String() != c.want {
			t.Errorf("gnet has changed: %v.%s is %v, want %s", c.of, c.name, field.Type, c.want)
		}
	}
}
