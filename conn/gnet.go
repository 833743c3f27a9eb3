package conn

import (
	"net"
	"reflect"
	"unsafe"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/queue"
	"golang.org/x/sys/unix"
)

// gnet takes a socket of ours only as a *net.TCPConn. It copies the descriptor in
// a goroutine of its own, closes the first and waits for its loop; and the net
// package had its own work with it before. That is 5 setsockopt, 2 epoll_ctl, a
// close, a dup, a getsockname and two changes of goroutine more than gnet's own
// acceptor needs, for each terminal that comes for one sale: a quarter of what it
// costs. Two of gnet's functions do without, and are not exported. They are reached
// by their names; TestGnetIsTheOneWeKnow holds them against the source of the
// version that is built.

//go:linkname newStreamConn github.com/panjf2000/gnet/v2.newStreamConn
func newStreamConn(proto string, fd int, el unsafe.Pointer, sa unix.Sockaddr, local, remote net.Addr) unsafe.Pointer

//go:linkname register0 github.com/panjf2000/gnet/v2.(*eventloop).register0
func register0(el, c unsafe.Pointer) error

// berth is where a loop of gnet's takes descriptors.
type berth struct {
	loop  unsafe.Pointer // gnet's *eventloop
	conn  reflect.Type   // what gnet's *conn points to
	epoll int            // the loop's
}

// berthOf learns it from a connection that is on the loop.
func berthOf(c gnet.Conn) berth {
	el := reflect.ValueOf(c.EventLoop())
	epoll := el.Elem().FieldByName("poller").Elem().FieldByName("fd").Int()
	return berth{el.UnsafePointer(), reflect.TypeOf(c).Elem(), int(epoll)}
}

// take gives the descriptor to the loop, on the loop's goroutine: OnOpen is called
// before it returns. gnet closes the descriptor when epoll refuses it. The
// connection's addresses are nil; its context, a peer or an entrance, knows who it is.
func (b berth) take(context any, fd int) error {
	raw := newStreamConn("tcp", fd, b.loop, nil, nil, nil)
	c := reflect.NewAt(b.conn, raw).Interface().(gnet.Conn)
	c.SetContext(context)
	return register0(b.loop, raw)
}

// asker gives what makes the loop call turn once, when what is ready has been
// reported. gnet's own Execute makes a closure each time that it is called.
func asker(c gnet.Conn, turn func()) func() {
	poller := (*netpoll.Poller)(reflect.ValueOf(c.EventLoop()).Elem().FieldByName("poller").UnsafePointer())
	task := func(any) error {
		turn()
		return nil
	}
	return func() { _ = poller.Trigger(queue.LowPriority, task, nil) } // fails only when gnet has stopped
}
