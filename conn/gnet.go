package conn

import (
	"net"
	"reflect"
	"sync/atomic"
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
// version that is built. So are two that its own wait calls, for attend.

//go:linkname newStreamConn github.com/panjf2000/gnet/v2.newStreamConn
func newStreamConn(proto string, fd int, el unsafe.Pointer, sa unix.Sockaddr, local, remote net.Addr) unsafe.Pointer

//go:linkname register0 github.com/panjf2000/gnet/v2.(*eventloop).register0
func register0(el, c unsafe.Pointer) error

//go:linkname getConn github.com/panjf2000/gnet/v2.(*connMatrix).getConn
func getConn(m unsafe.Pointer, fd int) unsafe.Pointer

//go:linkname processIO github.com/panjf2000/gnet/v2.(*conn).processIO
func processIO(c unsafe.Pointer, fd int, ev netpoll.IOEvent, flags netpoll.IOFlags) error

// berth is where a loop of gnet's takes descriptors, and what its own wait works with.
type berth struct {
	loop   unsafe.Pointer // gnet's *eventloop
	conns  unsafe.Pointer // its *connMatrix
	conn   reflect.Type   // what gnet's *conn points to
	poller *netpoll.Poller
	epoll  int // the loop's
	wake   int // the descriptor that is written to when a task was left
	called *int32
	tasks  [2]queue.AsyncTaskQueue // those to be done first, and the others
}

// berthOf learns it from a connection that is on the loop.
func berthOf(c gnet.Conn) berth {
	el := reflect.ValueOf(c.EventLoop())
	b := berth{loop: el.UnsafePointer(), conn: reflect.TypeOf(c).Elem()}
	b.conns = el.Elem().FieldByName("connections").Addr().UnsafePointer()
	b.poller = (*netpoll.Poller)(el.Elem().FieldByName("poller").UnsafePointer())
	p := reflect.ValueOf(b.poller).Elem()
	b.epoll, b.wake = int(p.FieldByName("fd").Int()), int(p.FieldByName("efd").Int())
	b.called = (*int32)(p.FieldByName("wakeupCall").Addr().UnsafePointer())
	for i, name := range []string{"urgentAsyncTaskQueue", "asyncTaskQueue"} {
		b.tasks[i] = *(*queue.AsyncTaskQueue)(p.FieldByName(name).Addr().UnsafePointer())
	}
	return b
}

// take gives the descriptor to the loop, on the loop's goroutine: OnOpen is called
// before it returns. gnet closes the descriptor when epoll refuses it. The
// connection's addresses are nil; its context, a peer or an entrance, knows who it is.
func (b *berth) take(context any, fd int) error {
	raw := newStreamConn("tcp", fd, b.loop, nil, nil, nil)
	c := reflect.NewAt(b.conn, raw).Interface().(gnet.Conn)
	c.SetContext(context)
	return register0(b.loop, raw)
}

// report has gnet do what it does for a socket that is ready.
func (b *berth) report(ev *unix.EpollEvent) error {
	c := getConn(b.conns, int(ev.Fd))
	if c == nil { // a descriptor that is no more
		return unix.EpollCtl(b.epoll, unix.EPOLL_CTL_DEL, int(ev.Fd), nil)
	}
	return processIO(c, int(ev.Fd), ev.Events, 0)
}

// someTasks bounds what is done at once of the tasks that have time.
const someTasks = 256

// chores does what others left for the loop. An error ends the loop, others than gnet's
// own word for that are passed over, as gnet does.
func (b *berth) chores() error {
	for i, q := range b.tasks {
		for n := 0; i == 0 || n < someTasks; n++ {
			task := q.Dequeue()
			if task == nil {
				break
			}
			err := task.Exec(task.Param)
			if ends(err) {
				return err
			}
			queue.PutTask(task)
		}
	}
	// From here on who leaves a task writes to wake again; what was left before is seen to.
	atomic.StoreInt32(b.called, 0)
	if !b.tasks[0].IsEmpty() || !b.tasks[1].IsEmpty() {
		_ = b.poller.Trigger(queue.HighPriority, func(any) error { return nil }, nil) // fails only when gnet has stopped
	}
	return nil
}
