package station

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// server is a real SFTP server on a folder.
type server struct {
	t    *testing.T
	addr string
	host ssh.PublicKey
	l    net.Listener
	conf *ssh.ServerConfig
	done sync.WaitGroup
}

func newKey(t *testing.T) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s, pem.EncodeToMemory(block)
}

func newServer(t *testing.T, client ssh.PublicKey) *server {
	t.Helper()
	host, _ := newKey(t)
	s := &server{t: t, host: host.PublicKey()}
	s.conf = &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
			if string(k.Marshal()) != string(client.Marshal()) {
				return nil, errors.New("not this key")
			}
			return nil, nil
		},
		PasswordCallback: func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) {
			if string(p) != "word" {
				return nil, errors.New("not this word")
			}
			return nil, nil
		},
	}
	s.conf.AddHostKey(host)
	var err error
	if s.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.addr = s.l.Addr().String()
	s.done.Add(1)
	go s.accept()
	t.Cleanup(func() { _ = s.l.Close(); s.done.Wait() })
	return s
}

func (s *server) accept() {
	defer s.done.Done()
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		s.done.Add(1)
		go s.serve(c)
	}
}

func (s *server) serve(c net.Conn) {
	defer s.done.Done()
	defer c.Close()
	_, chans, reqs, err := ssh.NewServerConn(c, s.conf)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	for n := range chans {
		ch, in, err := n.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range in {
				_ = r.Reply(r.Type == "subsystem", nil)
			}
		}()
		files, err := sftp.NewServer(ch)
		if err != nil {
			return
		}
		if err := files.Serve(); err != nil && err != io.EOF {
			s.t.Errorf("server: %v", err)
		}
		_ = ch.Close()
	}
}

// hostKey is the server's as a config has it.
func (s *server) hostKey() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.host)))
}

const sftpConfig = `
sources:
  - {name: cup, sftp: "%s", user: u, %s: %s, host_key: "%s", folder: "%s", wait: 0s, after: remove}
kinds:
  - {name: own, files: "bank-{yyyymmdd}-{number}.csv", needs: [md5]}
`

// Files come over SFTP, by key and by password, and go away there once they are
// registered here.
func TestSFTP(t *testing.T) {
	signer, private := newKey(t)
	srv := newServer(t, signer.PublicKey())
	remote := t.TempDir()
	secrets := t.TempDir()
	for name, text := range map[string]string{"id": string(private), "word": "word\n", "wrong": "no\n"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(remote, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := newGround(t, fmt.Sprintf(sftpConfig, srv.addr, "key_file", filepath.Join(secrets, "id"), srv.hostKey(), remote))
	text := ownCSV(1000)
	put("bank-20261001-01.csv", text)
	g.must(g.Pass(t.Context()))
	g.want("bank-20261001-01.csv waits false: 缺少旁边的 .md5")
	put("bank-20261001-01.md5", "nothing of the kind")
	g.must(g.Pass(t.Context()))
	g.want("bank-20261001-01.csv quarantined bank-20261001-01.csv.md5:1:1")
	if left, err := os.ReadDir(remote); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	g = newGround(t, fmt.Sprintf(sftpConfig, srv.addr, "password_file", filepath.Join(secrets, "word"), srv.hostKey(), remote))
	put("bank-20261001-01.csv", text)
	put("bank-20261001-01.csv.md5", "x")
	g.must(g.Pass(t.Context()))
	g.want("bank-20261001-01.csv quarantined")

	// Whom we do not know gives us nothing.
	other, _ := newKey(t)
	g = newGround(t, fmt.Sprintf(sftpConfig, srv.addr, "key_file", filepath.Join(secrets, "id"), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(other.PublicKey()))), remote))
	g.must(g.Pass(t.Context()))
	g.want("cup fails 1: sftp://u@")
	g = newGround(t, fmt.Sprintf(sftpConfig, srv.addr, "password_file", filepath.Join(secrets, "wrong"), srv.hostKey(), remote))
	g.must(g.Pass(t.Context()))
	g.want("cup fails 1: sftp://u@")
}

// What is put has its name only when it is whole, and replaces.
func TestSFTPPut(t *testing.T) {
	signer, private := newKey(t)
	srv := newServer(t, signer.PublicKey())
	remote, id := t.TempDir(), filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(id, private, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := NewSFTP(SFTPOptions{Address: srv.addr, User: "u", KeyFile: id, HostKey: srv.hostKey(), Folder: remote})
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two"} {
		if err := d.Put("a.csv", func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(remote, "a.csv")); err != nil || string(b) != text {
			t.Errorf("%s, %v", b, err)
		}
	}
	if err := d.Put("b.csv", func(w io.Writer) error { _, _ = w.Write([]byte("x")); return errors.New("no more") }); err == nil {
		t.Error("half a file is put")
	}
	list, err := d.List()
	if err != nil || len(list) != 1 || list[0].Name != "a.csv" || list[0].Size != 3 || time.Since(list[0].Mod) > time.Minute {
		t.Errorf("%+v, %v", list, err)
	}
	if err := errors.Join(d.Remove("a.csv"), d.Remove("a.csv"), d.Close()); err != nil {
		t.Error(err)
	}
}

func TestConfigFaults(t *testing.T) {
	for text, want := range map[string]string{
		"": "1:1: 空文件",
		"kinds: [{name: a, files: \"x-{day}.csv\"}]":                           "{day}",
		"kinds: [{name: a, files: \"a/b\"}]":                                   "文件名不含路径",
		"kinds: [{name: a, files: x, layout: cup-acon}]":                       "cup-acom",
		"kinds: [{name: a, files: x, to: clear}]":                              "1:33: 没有 \"clear\"",
		"kinds: [{name: a, files: x, needs: [md6]}]":                           "没有 \"md6\"",
		"kinds: [{name: a, files: x}, {name: a, files: y}]":                    "种类 \"a\" 重复",
		"kinds: [{name: a, files: x, source: b}]":                              "没有来源 \"b\"",
		"kinds: [{files: x}]":                                                  "缺少 name",
		"sources: [{name: a}]":                                                 "缺少 folder",
		"sources: [{name: a, folder: x, user: u}]":                             "只用于 sftp",
		"sources: [{name: a, folder: x, sftp: h, user: u, key_file: k}]":       "须为 主机:端口",
		"sources: [{name: a, folder: x, sftp: \"h:1\", user: u, key_file: k}]": "host_key: ",
		"sources: [{name: a, folder: x, sftp: \"h:1\", user: u}]":              "key_file 或 password_file",
		"sources: [{name: a, folder: x, wait: 1y}]":                            "1:38: 须为 0s",
		"sources: [{name: a, folder: x, after: burn}]":                         "没有 \"burn\"",
		"retries: many": "1:10: 须为 0 至 100",
		"zone: Local":   "没有时区",
		"source: []":    "未知的键 \"source\"",
	} {
		if _, err := Parse("station.yaml", "/x", []byte(text)); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "station.yaml:") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestNearest(t *testing.T) {
	k := &Kind{Files: "x{mmdd}"}
	var err error
	if k.name, err = namePattern(k.Files); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"x1231": "20261231", "x0101": "20270101", "x0229": "20280229"} {
		came := first
		if name != "x0229" {
			came = 20270101
		} else {
			came = 20270801
		}
		if d, _, err := k.said(name, came); err != nil || d.String() != want {
			t.Errorf("%s: %s, %v", name, d, err)
		}
	}
	if _, _, err := k.said("x1301", first); err == nil {
		t.Error("month 13")
	}
}
