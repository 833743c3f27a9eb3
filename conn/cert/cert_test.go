package cert

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/conn/cert/certtest"
)

func TestWhatCannotBeLoaded(t *testing.T) {
	ca := certtest.NewCA(t)
	good := ca.Issue(t, certtest.Leaf{Name: "pos"})
	other := ca.Issue(t, certtest.Leaf{Name: "other"})
	expired := ca.Issue(t, certtest.Leaf{Name: "old", NotAfter: time.Now().Add(-time.Hour)})
	early := ca.Issue(t, certtest.Leaf{Name: "new", NotBefore: time.Now().Add(time.Hour)})
	dir := t.TempDir()
	rubbish, open := filepath.Join(dir, "rubbish.pem"), filepath.Join(dir, "open.pem")
	key, err := os.ReadFile(good.Key)
	if err != nil {
		t.Fatal(err)
	}
	for path, b := range map[string][]byte{rubbish: []byte("-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"), open: key} {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		o    Options
		want []string
	}{
		{Options{Cert: dir + "/none", Key: good.Key}, []string{dir + "/none"}},
		{Options{Cert: good.Cert, Key: dir + "/none"}, []string{dir + "/none"}},
		{Options{Cert: rubbish, Key: good.Key}, []string{rubbish}},
		{Options{Cert: good.Cert, Key: other.Key}, []string{good.Cert, other.Key}},
		{Options{Cert: good.Cert, Key: open}, []string{open, "0600"}},
		{Options{Cert: expired.Cert, Key: expired.Key}, []string{expired.Cert, "expired on"}},
		{Options{Cert: early.Cert, Key: early.Key}, []string{early.Cert, "begins on"}},
		{Options{Cert: good.Cert, Key: good.Key, CA: rubbish}, []string{rubbish, "no certificate"}},
		{Options{Cert: good.Cert, Key: good.Key, CA: dir + "/none"}, []string{dir + "/none"}},
	} {
		s, err := Server(&c.o, time.Now())
		if err == nil || s != nil {
			t.Errorf("%+v is loaded", c.o)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v does not say %s", err, w)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		o      Options
		server bool
		want   string // empty is valid
	}{
		{Options{Cert: "c", Key: "k"}, true, ""},
		{Options{}, false, ""},
		{Options{}, true, "needs a certificate"},
		{Options{Cert: "c"}, false, "go together"},
		{Options{Cert: "c", Key: "k", Optional: true}, true, "need a CA"},
		{Options{Cert: "c", Key: "k", Names: []string{"n"}}, true, "need a CA"},
		{Options{Names: []string{"n"}}, false, ""},
		{Options{Names: []string{""}}, false, "empty name"},
		{Options{Cert: "c", Key: "k", ServerName: "s"}, true, "server name"},
		{Options{Optional: true}, false, "optional"},
		{Options{Timeout: -1}, false, "negative"},
		{Options{Min: "1.1"}, false, `version "1.1"`},
	} {
		err := c.o.Validate(c.server)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
}

// The sum tells whether a file has changed, and which options were set.
func TestSumAndVersions(t *testing.T) {
	ca := certtest.NewCA(t)
	good, other := ca.Issue(t, certtest.Leaf{Name: "pos"}), ca.Issue(t, certtest.Leaf{Name: "pos"})
	o := Options{Cert: good.Cert, Key: good.Key, CA: ca.File, Min: "1.3"}
	a, errA := Server(&o, time.Now())
	b, errB := Server(&o, time.Now())
	if errA != nil || errB != nil || !a.Same(b) || a.NotAfter.IsZero() || a.Timeout != defaultTimeout {
		t.Fatalf("%v, %v", errA, errB)
	}
	if a.Config.MinVersion != tls.VersionTLS13 || a.Config.ClientAuth != tls.RequireAndVerifyClientCert {
		t.Errorf("%+v", a.Config)
	}
	o.Cert, o.Key, o.Optional, o.Min = other.Cert, other.Key, true, ""
	c, err := Server(&o, time.Now())
	if err != nil || c.Same(a) {
		t.Errorf("%v, or another certificate is the same", err)
	}
	b.options.Names = []string{"x"}
	if a.Same(b) {
		t.Error("other names are the same")
	}
	if c.Config.MinVersion != tls.VersionTLS12 || c.Config.ClientAuth != tls.VerifyClientCertIfGiven {
		t.Errorf("%+v", c.Config)
	}
	d, err := Client(&Options{CA: ca.File}, "bank.example", time.Now())
	if err != nil || d.Config.ServerName != "bank.example" || d.Config.RootCAs == nil || !d.NotAfter.IsZero() {
		t.Errorf("%v, %+v", err, d)
	}
	if d, err = Client(&Options{ServerName: "front.bank"}, "10.0.0.1", time.Now()); err != nil || d.Config.ServerName != "front.bank" {
		t.Errorf("%v, %+v", err, d)
	}
}

func TestNames(t *testing.T) {
	uri, _ := url.Parse("urn:shop:7")
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "Shop 7"}, DNSNames: []string{"shop7.example"},
		EmailAddresses: []string{"till@shop7.example"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 7)}, URIs: []*url.URL{uri}}
	cs := tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}}}
	for name, in := range map[string]bool{
		"Shop 7": true, "SHOP7.example": true, "till@shop7.example": true, "10.0.0.7": true, "::ffff:10.0.0.7": true, "urn:shop:7": true,
		"shop 7": false, "shop8.example": false, "10.0.0.8": false, "example": false, "": false, "*": false,
	} {
		if err := named([]string{"nobody", name})(cs); errors.Is(err, ErrName) == in {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := named([]string{"x"})(tls.ConnectionState{}); err != nil {
		t.Errorf("without a certificate: %v", err)
	}
	if h := Holder(&cs); h != "Shop 7" {
		t.Errorf("held by %q", h)
	}
	leaf.Subject.CommonName = ""
	if h := Holder(&cs); h != "shop7.example" {
		t.Errorf("held by %q", h)
	}
	if h := Holder(&tls.ConnectionState{}); h != "" {
		t.Errorf("held by %q", h)
	}
}
