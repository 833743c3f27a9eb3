package station

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// SFTPOptions say how a folder of another machine is reached.
type SFTPOptions struct {
	Address      string // host:port
	User         string
	KeyFile      string // private key, or
	PasswordFile string // the password on its first line
	HostKey      string // as in known_hosts, without the name: ssh-ed25519 AAAA…
	Folder       string // as the server sees it
}

// SFTP is a Place behind SFTP. Keys are read when it is opened, so they may change.
type SFTP struct {
	o    SFTPOptions
	host ssh.PublicKey
}

// NewSFTP checks options. A host key is wanted: without one anybody between us and
// the bank could give us files.
func NewSFTP(o SFTPOptions) (*SFTP, error) {
	if o.User == "" || o.Folder == "" || (o.KeyFile == "") == (o.PasswordFile == "") {
		return nil, errors.New("sftp 须有 user、folder，及 key_file 或 password_file 之一 · sftp wants user, folder, and one of key_file and password_file")
	}
	if _, _, err := net.SplitHostPort(o.Address); err != nil {
		return nil, fmt.Errorf("sftp: 须为 主机:端口 · host:port is wanted: %w", err)
	}
	host, _, _, _, err := ssh.ParseAuthorizedKey([]byte(o.HostKey))
	if err != nil {
		return nil, fmt.Errorf("host_key: 须为服务器公钥，如 ssh-ed25519 AAAA… · the server's public key is wanted: %w", err)
	}
	return &SFTP{o, host}, nil
}

// String implements Place.
func (s *SFTP) String() string {
	return fmt.Sprintf("sftp://%s@%s/%s", s.o.User, s.o.Address, strings.TrimPrefix(s.o.Folder, "/"))
}

// dialWithin is how long a server may take to let us in, and silent is how long it
// may say nothing while we want something.
const (
	dialWithin = 15 * time.Second
	silent     = time.Minute
)

func (s *SFTP) auth() (ssh.AuthMethod, error) {
	if s.o.PasswordFile != "" {
		b, err := os.ReadFile(s.o.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("password_file: %w", err)
		}
		first, _, _ := strings.Cut(string(b), "\n")
		return ssh.Password(strings.TrimSuffix(first, "\r")), nil
	}
	b, err := os.ReadFile(s.o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("key_file: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(b)
	if err != nil {
		return nil, fmt.Errorf("key_file: %w", err)
	}
	return ssh.PublicKeys(signer), nil
}

// Open implements Place.
func (s *SFTP) Open(ctx context.Context) (Dir, error) {
	auth, err := s.auth()
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: dialWithin}
	raw, err := d.DialContext(ctx, "tcp", s.o.Address)
	if err != nil {
		return nil, err
	}
	conn := &patient{Conn: raw}
	// A handshake that hangs is ended like a silent server.
	c, chans, reqs, err := ssh.NewClientConn(conn, s.o.Address, &ssh.ClientConfig{User: s.o.User, Auth: []ssh.AuthMethod{auth},
		HostKeyCallback: ssh.FixedHostKey(s.host), HostKeyAlgorithms: algorithms(s.host), Timeout: dialWithin})
	if err != nil {
		if e := raw.Close(); !errors.Is(e, net.ErrClosed) { // a failed handshake has closed it
			err = errors.Join(err, e)
		}
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	client := ssh.NewClient(c, chans, reqs)
	files, err := sftp.NewClient(client)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", s, err), client.Close())
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() }) // who waits is told by an error
	return &sftpDir{folder: s.o.Folder, ssh: client, files: files, stop: stop}, nil
}

// algorithms are those that a server may prove this key with.
func algorithms(k ssh.PublicKey) []string {
	if k.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{k.Type()}
}

// patient ends a connection on which nothing comes for long.
type patient struct{ net.Conn }

// Read implements net.Conn.
func (p *patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(silent)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// sftpDir implements Dir.
type sftpDir struct {
	folder string
	ssh    *ssh.Client
	files  *sftp.Client
	stop   func() bool
}

func (d *sftpDir) path(name string) string { return path.Join(d.folder, name) }

func (d *sftpDir) List() (all []Entry, err error) {
	list, err := d.files.ReadDir(d.folder)
	for _, info := range list {
		// A server's names are not to be trusted as paths.
		if name := info.Name(); info.Mode().IsRegular() && path.Base(name) == name && !strings.ContainsAny(name, "/\\\x00\n\r") {
			all = append(all, Entry{name, info.Size(), info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

func (d *sftpDir) Get(name string) (io.ReadCloser, error) { return d.files.Open(d.path(name)) }

func (d *sftpDir) Put(name string, write func(io.Writer) error) error {
	part := d.path(name) + temporary
	f, err := d.files.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
	if err != nil {
		return err
	}
	err = write(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, d.files.Remove(part))
	}
	if _, ok := d.files.HasExtension("posix-rename@openssh.com"); ok {
		return d.files.PosixRename(part, d.path(name))
	}
	// The plain rename does not replace.
	return errors.Join(d.Remove(name), d.files.Rename(part, d.path(name)))
}

func (d *sftpDir) Remove(name string) error {
	err := d.files.Remove(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d *sftpDir) Close() error {
	d.stop()
	err := d.files.Close()
	if e := d.ssh.Close(); !errors.Is(e, net.ErrClosed) {
		err = errors.Join(err, e)
	}
	return err
}
