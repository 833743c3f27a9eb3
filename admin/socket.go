package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tongka/audit"
	"tongka/fault"
)

// Limits of the server. A restart may take as long as its deadline.
const (
	headerTimeout = 5 * time.Second
	maxHeader     = 8 << 10
	maxConns      = 32
	// maxPath is what a Unix address holds (source: unix(7), sun_path).
	maxPath = 107
)

// Server is the API on a Unix socket. The file's mode keeps other users out, and
// the kernel's word on who connected is looked at besides.
type Server struct {
	http *http.Server
	path string
	done sync.WaitGroup
}

// Listen opens the socket at path, which may be there from a process that died:
// who calls must know that no other one lives, by holding the store.
//
// A request may carry a token of the file that tokens gives at the time: it then
// says which person of this user asks.
func Listen(path string, sw Switch, tokens func() string, log *zap.Logger) (*Server, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("管理套接字路径过长（%d 字节，至多 %d）· admin socket: path of %d bytes, at most %d: %s", len(path), maxPath, len(path), maxPath, path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("管理套接字 · admin socket: %w", err)
		}
	}
	ln, err := listenPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("管理套接字 · admin socket: %w", err)
	}
	s := &Server{path: path}
	s.http = &http.Server{
		Handler:           Handler(sw, peerWith(tokens)),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withPeer,
	}
	s.done.Go(func() {
		if err := s.http.Serve(&bounded{Listener: ln, free: make(chan struct{}, maxConns)}); !errors.Is(err, http.ErrServerClosed) {
			log.Error("admin socket stopped serving", fault.Field(fault.DoorClosed), zap.Error(err))
		}
	})
	return s, nil
}

// listenPrivate makes a socket that only its owner may open. In the moment before
// it has its mode, a stranger who connects is still refused by who he is.
func listenPrivate(path string) (*net.UnixListener, error) {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// Close takes the socket away, waits for answers under way until ctx ends, and
// cuts the rest.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.done.Wait()
	return err
}

type credKey struct{}

// withPeer asks the kernel who connected.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*boundedConn)
	if !ok {
		return ctx
	}
	cred, err := credentials(u.Conn.(*net.UnixConn))
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, credKey{}, cred)
}

func credentials(c *net.UnixConn) (cred *unix.Ucred, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	ctl := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return cred, errors.Join(ctl, err)
}

// peerOf lets this process's user and root in, and nobody else.
func peerOf(r *http.Request) (audit.Who, error) {
	cred, ok := r.Context().Value(credKey{}).(*unix.Ucred)
	if !ok {
		return audit.Who{}, ErrNobody
	}
	if uid := int(cred.Uid); uid != 0 && uid != os.Geteuid() {
		return audit.Who{}, fmt.Errorf("用户 %d 无权 · user %d may not", uid, uid)
	}
	return audit.Who{UID: int(cred.Uid), PID: int(cred.Pid), Via: "socket"}, nil
}

// peerWith is peerOf with the name of a token, where a request has one.
func peerWith(tokens func() string) func(*http.Request) (audit.Who, error) {
	named := ByToken(tokens)
	return func(r *http.Request) (audit.Who, error) {
		who, err := peerOf(r)
		if err != nil || r.Header.Get("Authorization") == "" {
			return who, err
		}
		by, err := named(r)
		who.Token = by.Token
		return who, err
	}
}

// bounded closes what comes when there are enough connections already.
type bounded struct {
	net.Listener
	free chan struct{}
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.free <- struct{}{}:
			return &boundedConn{Conn: c, free: b.free}, nil
		default:
			_ = c.Close()
		}
	}
}

type boundedConn struct {
	net.Conn
	once sync.Once
	free chan struct{}
}

func (c *boundedConn) Close() error {
	c.once.Do(func() { <-c.free })
	return c.Conn.Close()
}
