package conn

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	mrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tongka/conn/cert/certtest"
)

// tlsDoor is one listener with a certificate of ca, and what a caller needs.
func tlsDoor(t *testing.T, ca *certtest.CA, change ...func(*ListenerConfig)) (Config, *tls.Config) {
	t.Helper()
	own := ca.Issue(t, certtest.Leaf{Name: "switch"})
	cfg := door1(func(l *ListenerConfig) { l.TLS = &TLS{Cert: own.Cert, Key: own.Key, Timeout: patience} })
	for _, c := range change {
		c(&cfg.Listeners[0])
	}
	return cfg, &tls.Config{RootCAs: pool(t, ca), ServerName: "127.0.0.1"}
}

func pool(t *testing.T, ca *certtest.CA) *x509.CertPool {
	t.Helper()
	b, err := os.ReadFile(ca.File)
	if err != nil {
		t.Fatal(err)
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(b) {
		t.Fatal("no certificate")
	}
	return p
}

func dialTLS(t *testing.T, f *Front, client *tls.Config) *tls.Conn {
	t.Helper()
	c := tls.Client(dial(t, f), client)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func withVersion(c *tls.Config, v uint16) *tls.Config {
	c = c.Clone()
	c.MinVersion, c.MaxVersion = v, v
	return c
}

var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func TestTLSFrames(t *testing.T) {
	cfg, client := tlsDoor(t, certtest.NewCA(t))
	f, probes := run(t, cfg)
	for name, v := range tlsVersions {
		t.Run(name, func(t *testing.T) {
			c := dialTLS(t, f, withVersion(client, v))
			for range 20 {
				ask(t, c, "hello")
			}
			write(t, c, bytes.Join([][]byte{framed("one"), framed("two"), framed("three")[:4]}, nil))
			write(t, c, framed("three")[4:])
			for _, want := range []string{"one", "two", "three"} {
				if got := read(t, c); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			}
			_ = c.Close() // says close_notify
		})
	}
	for _, err := range probes[0].ends(2) {
		if !errors.Is(err, io.EOF) {
			t.Errorf("closed for %v", err)
		}
	}
	within(t, "counted", func() bool { return f.Stats().ClosedByPeer == 2 && f.Stats().Handshakes == 2 })
}

// 4 MiB in records of odd sizes come back as they were, while the peer reads
// slowly and the pieces of the stream fall anywhere.
func TestTLSBulk(t *testing.T) {
	const frame, frames = 4096, 1024
	cfg, client := tlsDoor(t, certtest.NewCA(t), func(l *ListenerConfig) { l.MaxOutbound = 16 << 20 })
	f, _ := run(t, cfg)
	for name, v := range tlsVersions {
		t.Run(name, func(t *testing.T) {
			c := dialTLS(t, f, withVersion(client, v))
			_ = c.SetDeadline(time.Now().Add(3 * patience))
			payload := make([]byte, frame)
			_, _ = rand.Read(payload)
			stream := bytes.Repeat(framed(string(payload)), frames)
			go func() {
				r := mrand.New(mrand.NewPCG(1, uint64(v)))
				for b := stream; len(b) > 0; {
					n := min(len(b), 1+r.IntN(40_000))
					if _, err := c.Write(b[:n]); err != nil {
						t.Error(err)
						return
					}
					b = b[n:]
				}
			}()
			got := make([]byte, len(stream))
			for n, size := 0, 1; n < len(got); size = size*7%8191 + 1 {
				m, err := c.Read(got[n:min(n+size, len(got))])
				if err != nil {
					t.Fatalf("after %d bytes: %v", n, err)
				}
				n += m
			}
			if !bytes.Equal(got, stream) {
				t.Error("it is not what was sent")
			}
		})
	}
}

// Who may come in: each with the certificate it shows.
func TestTLSClientCertificates(t *testing.T) {
	ours, others := certtest.NewCA(t), certtest.NewCA(t)
	right := ours.Issue(t, certtest.Leaf{Name: "shop-7"})
	right2 := ours.Issue(t, certtest.Leaf{Name: "shop-8"})
	expired := ours.Issue(t, certtest.Leaf{Name: "shop-7", NotAfter: time.Now().Add(-time.Minute)})
	early := ours.Issue(t, certtest.Leaf{Name: "shop-7", NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour)})
	forged := others.Issue(t, certtest.Leaf{Name: "shop-7"})
	for _, c := range []struct {
		name     string
		optional bool
		names    []string
		shows    *certtest.Pair
		in       bool
		holder   string
	}{
		{"right", false, nil, &right, true, "shop-7"},
		{"none", false, nil, nil, false, ""},
		{"none, and it need not", true, nil, nil, true, ""},
		{"expired", false, nil, &expired, false, ""},
		{"expired, where it need not", true, nil, &expired, false, ""},
		{"not valid yet", false, nil, &early, false, ""},
		{"of another authority", false, nil, &forged, false, ""},
		{"named", false, []string{"shop-1", "shop-7"}, &right, true, "shop-7"},
		{"not named", false, []string{"shop-1", "shop-7"}, &right2, false, ""},
	} {
		for version, v := range tlsVersions {
			t.Run(c.name+" "+version, func(t *testing.T) {
				cfg, client := tlsDoor(t, ours, func(l *ListenerConfig) {
					l.TLS.CA, l.TLS.Optional, l.TLS.Names = ours.File, c.optional, c.names
				})
				f, probes := run(t, cfg)
				client = withVersion(client, v)
				if c.shows != nil {
					pair, err := tls.LoadX509KeyPair(c.shows.Cert, c.shows.Key)
					if err != nil {
						t.Fatal(err)
					}
					// Not Certificates: crypto/tls would keep one of another authority back.
					client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
				}
				x := tls.Client(dial(t, f), client)
				if c.in {
					ask(t, x, "hello")
					_ = x.Close()
					probes[0].ends(1)
					for _, p := range probes[0].peers {
						if p.Holder != c.holder {
							t.Errorf("held by %q", p.Holder)
						}
					}
					return
				}
				// With TLS 1.3 the client is done before it is refused.
				if err := x.Handshake(); err == nil {
					if _, err := x.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
						t.Errorf("let in: %v", err)
					}
				}
				within(t, "counted", func() bool { return f.Stats().HandshakesBad == 1 })
				if open, _, _ := probes[0].count(); open != 0 {
					t.Error("the handler was told")
				}
			})
		}
	}
}

// New handshakes get the new certificate, who is in stays; a bad file keeps the
// old one and says which.
func TestTLSReload(t *testing.T) {
	ca := certtest.NewCA(t)
	cfg, client := tlsDoor(t, ca)
	f, _ := run(t, cfg)
	old := dialTLS(t, f, client)
	serial := func(c *tls.Conn) string { return c.ConnectionState().PeerCertificates[0].SerialNumber.String() }
	if change := update(t, f, cfg); !change.Empty() {
		t.Errorf("nothing changed, but %+v", change)
	}
	next := ca.Issue(t, certtest.Leaf{Name: "switch"})
	move := func(from, to string) {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	at := cfg.Listeners[0].TLS
	move(next.Cert, at.Cert) // and not yet the key
	if _, err := f.Update(cfg); err == nil || !strings.Contains(err.Error(), at.Key) || !strings.Contains(err.Error(), `listeners[0] "pos"`) {
		t.Errorf("half of it is new: %v", err)
	}
	still := dialTLS(t, f, client)
	if serial(still) != serial(old) {
		t.Error("the bad file was taken")
	}
	move(next.Key, at.Key)
	if change := update(t, f, cfg); len(change.Listeners.Changed) != 1 || change.Draining != 0 {
		t.Errorf("%+v", change)
	}
	fresh := dialTLS(t, f, client)
	if serial(fresh) == serial(old) {
		t.Error("the old certificate is still shown")
	}
	for _, c := range []*tls.Conn{old, still, fresh} {
		ask(t, c, "hello")
	}
}

// A peer that has said close_notify still gets what is owed to it, then our own
// close_notify.
func TestTLSCloseNotifyWaitsForWhatIsOwed(t *testing.T) {
	cfg, client := tlsDoor(t, certtest.NewCA(t))
	for name, v := range tlsVersions {
		t.Run(name, func(t *testing.T) {
			f, d := runDebtor(t, cfg)
			c := dialTLS(t, f, withVersion(client, v))
			ask(t, c, "hello")
			id := d.ids(true)[0]
			d.set(id, true)
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			within(t, "the end is seen", func() bool { return f.Stats().BytesIn > 0 })
			select {
			case <-time.After(5 * leaveStep): // it is looked at several times meanwhile
			case <-t.Context().Done():
			}
			d.see(func() { d.out[id] = framed("late") })
			d.loop.Wake()
			if got := read(t, c); got != "late" {
				t.Errorf("got %q", got)
			}
			d.set(id, false)
			if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF { // io.EOF is a close_notify; a bare FIN would be unexpected
				t.Errorf("read %d, %v", n, err)
			}
			_ = c.Close()
			if errs := d.ends(1); !errors.Is(errs[0], io.EOF) {
				t.Errorf("closed for %v", errs[0])
			}
			within(t, "counted", func() bool { return f.Stats().ClosedByPeer == 1 })
		})
	}
}

// A record that does not end is half a frame, in any part of it.
func TestTLSHalfRecord(t *testing.T) {
	cfg, client := tlsDoor(t, certtest.NewCA(t), func(l *ListenerConfig) { l.FrameTimeout = 100 * time.Millisecond })
	f, probes := run(t, cfg)
	for i, half := range []string{"\x17", "\x17\x03\x03\x00", "\x17\x03\x03\x10\x00", "\x17\x03\x03\x10\x00begun"} {
		raw := dial(t, f)
		c := tls.Client(raw, client)
		ask(t, c, "hello")
		write(t, raw, []byte(half))
		_, _ = io.Copy(io.Discard, raw)
		_ = raw.Close()
		probes[0].ends(i + 1)
		within(t, "counted", func() bool { return f.Stats().ClosedHalfFrame == uint64(i+1) })
	}
}

// After a handshake, what is no record of the session ends it.
func TestTLSWrongRecords(t *testing.T) {
	cfg, client := tlsDoor(t, certtest.NewCA(t))
	f, probes := run(t, cfg)
	rubbish := map[string][]byte{
		"not our key":     append([]byte("\x17\x03\x03\x00\x40"), make([]byte, 64)...),
		"oversized":       append([]byte("\x17\x03\x03\x48\x01"), make([]byte, 0x4801)...),
		"unknown type":    append([]byte("\x63\x03\x03\x00\x10"), make([]byte, 16)...),
		"plain text":      []byte("GET / HTTP/1.1\r\n\r\n"),
		"a second hello":  append([]byte("\x16\x03\x03\x00\x04"), 1, 0, 0, 0),
		"plaintext alert": {0x15, 3, 3, 0, 2, 2, 40},
	}
	n := uint64(0)
	for version, v := range tlsVersions {
		for name, b := range rubbish {
			t.Run(name+" "+version, func(t *testing.T) {
				raw := dial(t, f)
				c := tls.Client(raw, withVersion(client, v))
				ask(t, c, "hello")
				write(t, raw, b)
				_, _ = io.Copy(io.Discard, raw)
				_ = raw.Close()
				n++
				probes[0].ends(int(n))
				within(t, "counted", func() bool { return f.Stats().ClosedTLS == n })
			})
		}
	}
}

// A handshake that never ends is given up, and does not hold Stop up.
func TestTLSStopDuringHandshake(t *testing.T) {
	cfg, _ := tlsDoor(t, certtest.NewCA(t), func(l *ListenerConfig) { l.TLS.Timeout = time.Hour })
	f, probes := run(t, cfg)
	c := dial(t, f)
	within(t, "it is under way", func() bool { return f.doors[0].pending.Load() == 1 })
	stop(t, f, probes)
	readEnd(t, c)
}

// secureBank answers TLS callers on the address of a bank with what they say.
func secureBank(t *testing.T, server *tls.Config) string {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Write(framed("welcome"))
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	return ln.Addr().String()
}

// A link shows its certificate, and looks at the bank's: its authority, its name
// and the names that are let in.
func TestTLSLink(t *testing.T) {
	ours, banks := certtest.NewCA(t), certtest.NewCA(t)
	pair := banks.Issue(t, certtest.Leaf{Name: "front.bank"})
	own, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	addr := secureBank(t, &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: pool(t, ours), ClientAuth: tls.RequireAndVerifyClientCert})
	me := ours.Issue(t, certtest.Leaf{Name: "switch"})
	for name, c := range map[string]struct {
		o  TLS
		up bool
	}{
		"right":             {TLS{Cert: me.Cert, Key: me.Key, CA: banks.File}, true},
		"right by name":     {TLS{Cert: me.Cert, Key: me.Key, CA: banks.File, ServerName: "front.bank", Names: []string{"front.bank"}}, true},
		"no certificate":    {TLS{CA: banks.File}, false},
		"not its CA":        {TLS{Cert: me.Cert, Key: me.Key, CA: ours.File}, false},
		"another name":      {TLS{Cert: me.Cert, Key: me.Key, CA: banks.File, ServerName: "other.bank"}, false},
		"a name not let in": {TLS{Cert: me.Cert, Key: me.Key, CA: banks.File, Names: []string{"other.bank"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f, probes := run(t, Config{Links: []LinkConfig{{Name: "bank", Addr: addr, Framing: Binary2, TLS: &c.o,
				BackoffMin: time.Millisecond, BackoffMax: 5 * time.Millisecond}}})
			if c.up {
				within(t, "a frame", func() bool { _, _, n := probes[0].count(); return n == 1 })
				within(t, "counted", func() bool { return f.Stats().Dialled == 1 })
				return
			}
			// With TLS 1.3 a bank refuses our certificate only after we are up.
			within(t, "it fails", func() bool { s := f.Stats(); return s.DialErrs+s.ClosedByPeer+s.ClosedReset+s.ClosedTLS > 2 })
			if _, _, n := probes[0].count(); n != 0 {
				t.Error("a frame came")
			}
		})
	}
}

// openssl is another maker's client: both versions, with and without its own
// certificate, and with TLS 1.3 it changes its keys in the middle and asks us to
// do so, too: that is what a line of only K makes it do.
func TestTLSWithOpenSSL(t *testing.T) {
	bin, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("openssl is not installed: nothing is compared")
		return
	}
	ca := certtest.NewCA(t)
	me := ca.Issue(t, certtest.Leaf{Name: "shop-7"})
	cfg, _ := tlsDoor(t, ca, func(l *ListenerConfig) { l.TLS.CA, l.TLS.Names = ca.File, []string{"shop-7"} })
	f, _ := run(t, cfg)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
			defer cancel()
			s := exec.CommandContext(ctx, bin, "s_client", "-connect", f.Addr(0).String(), version,
				"-cert", me.Cert, "-key", me.Key, "-CAfile", ca.File, "-verify_return_error", "-verify_ip", "127.0.0.1")
			in, errIn := s.StdinPipe()
			out, errOut := s.StdoutPipe()
			said, errSaid := s.StderrPipe()
			if err := errors.Join(errIn, errOut, errSaid, s.Start()); err != nil {
				t.Fatal(err)
			}
			want := framed("from openssl")
			for range 3 {
				if _, err := in.Write(want); err != nil {
					t.Fatal(err)
				}
				readUntil(t, out, want)
				if version == "-tls1_3" {
					if _, err := io.WriteString(in, "K\n"); err != nil {
						t.Fatal(err)
					}
					readUntil(t, said, []byte("KEYUPDATE")) // what it reads with the K it drops
				}
			}
			_ = in.Close()
			_ = s.Process.Signal(os.Interrupt)
			_, _ = io.Copy(io.Discard, out)
			_, _ = io.Copy(io.Discard, said)
			_ = s.Wait() // ended by our signal
		})
	}
	none := exec.CommandContext(t.Context(), bin, "s_client", "-quiet", "-tls1_2", "-connect", f.Addr(0).String())
	if b, err := none.CombinedOutput(); err == nil || !strings.Contains(string(b), "handshake") {
		t.Errorf("without a certificate: %v\n%s", err, b)
	}
}

// readUntil skips what openssl says of the session besides.
func readUntil(t *testing.T, r io.Reader, want []byte) {
	t.Helper()
	var got []byte
	for one := make([]byte, 1); !bytes.HasSuffix(got, want); got = append(got, one...) {
		if _, err := io.ReadFull(r, one); err != nil {
			t.Fatalf("want %q: %q, %v", want, got, err)
		}
	}
}

// record follows the boundaries however the bytes fall.
func TestRecordBoundaries(t *testing.T) {
	stream := bytes.Join([][]byte{{22, 3, 1, 0, 2, 9, 9}, {23, 3, 3, 0, 0}, {23, 3, 3, 1, 0}, make([]byte, 256)}, nil)
	ends := map[int]bool{0: true, 7: true, 12: true, len(stream): true}
	for size := 1; size <= len(stream); size++ {
		var r record
		for at := 0; at < len(stream); {
			n := min(size, len(stream)-at)
			r.passed(stream[at : at+n])
			if at += n; r.half() == ends[at] {
				t.Fatalf("in pieces of %d, after %d bytes: half %v", size, at, r.half())
			}
		}
	}
}

var _ net.Error = errDry // what crypto/tls looks for
