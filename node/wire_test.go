package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/admin"
	"tongka/config"
	"tongka/router"
	"tongka/txn"
)

// certificate writes a certificate of its own for 127.0.0.1 into a folder.
func certificate(t *testing.T, dir string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "switch"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"c.pem": {Type: "CERTIFICATE", Bytes: der}, "k.pem": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	own, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(own)
	return pool
}

// greeted gives the serial number of the certificate that a listener shows.
func greeted(t *testing.T, addr string, pool *x509.CertPool) (int64, error) {
	t.Helper()
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: &tls.Config{RootCAs: pool}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

// TestWireOfTheFile: TLS, addresses and framing of the file come to the doors,
// and change with a reload; a certificate that is renewed on disk, too.
func TestWireOfTheFile(t *testing.T) {
	l := newLives(t)
	dir := filepath.Dir(l.file)
	pool := certificate(t, dir, 1)
	l.edit("listeners: [", `listeners: [{name: safe, address: "127.0.0.1:0", tls: {cert: c.pem, key: k.pem}, framing: {name: hex4}}, `)
	if a := l.act(admin.Action{Verb: admin.Reload}); !a.OK {
		t.Fatalf("%+v", a)
	}
	addr := l.node.Addr(0).String()
	if serial, err := greeted(t, addr, pool); err != nil || serial != 1 {
		t.Fatal(serial, err)
	}
	pool = certificate(t, dir, 2)
	if a := l.act(admin.Action{Verb: admin.Reload}); !a.OK {
		t.Fatalf("%+v", a)
	}
	if serial, err := greeted(t, addr, pool); err != nil || serial != 2 {
		t.Errorf("after the renewal: %d, %v", serial, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "k.pem"), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := l.act(admin.Action{Verb: admin.Reload}); a.OK || !strings.Contains(strings.Join(a.Lines, " "), "k.pem") {
		t.Errorf("a bad key: %+v", a)
	}
	if serial, err := greeted(t, addr, pool); err != nil || serial != 2 {
		t.Errorf("after a bad renewal: %d, %v", serial, err)
	}
	pool = certificate(t, dir, 3)
	l.edit("framing: {name: hex4}", "framing: {name: hex4}, deny: [127.0.0.0/8]")
	if a := l.act(admin.Action{Verb: admin.Reload}); !a.OK {
		t.Fatalf("%+v", a)
	}
	if _, err := greeted(t, addr, pool); err == nil {
		t.Error("a denied address got in")
	}
}

func TestCheckFindsWhatThePartsWant(t *testing.T) {
	l := newLives(t)
	good, err := os.ReadFile(l.file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][3]string{
		{"{name: pos,", "{name: pos, dialect: klingon,", "klingon"},
		{"{name: pos,", "{name: pos, dialect: cups,", "pos"},
		{"{name: a,", "{name: a, dialect: gone.yaml,", "gone.yaml"},
		{"{name: a,", "{name: a, tls: {ca: gone.pem},", "gone.pem"},
		{"{name: pos,", "{name: pos, tls: {cert: gone.pem, key: gone.key},", "gone.pem"},
	} {
		cfg, err := config.Parse(l.file, []byte(strings.Replace(string(good), c[0], c[1], 1)))
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(cfg); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s: %v", c[1], err)
		}
	}
	cfg, err := config.Parse(l.file, good)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(cfg); err != nil {
		t.Error(err)
	}
}

type allReady struct{}

func (allReady) Ready(txn.LinkID) router.Readiness { return router.Ready }

// A BIN table that has changed under its old name is read again, and one that
// cannot be read leaves the routes as they were.
func TestReloadReadsTheBINTableAgain(t *testing.T) {
	l := newLives(t)
	table := filepath.Join(filepath.Dir(l.file), "bins.csv")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(table, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("bin,issuer\n622588,CMB\n")
	l.edit("routes: [{link: a}]", "bin_table: bins.csv\nroutes: [{link: a, issuer: [CMB]}]")
	if a := l.act(admin.Action{Verb: admin.Reload}); !a.OK {
		t.Fatalf("%+v", a)
	}
	before := l.node.parts0.Routes
	write("bin,issuer\n621226,CMB\n")
	a := l.act(admin.Action{Verb: admin.Reload})
	if !a.OK || len(a.Lines) != 1 || !strings.Contains(a.Lines[0], "were read again") {
		t.Fatalf("%+v", a)
	}
	after := l.node.parts0.Routes
	for _, c := range []struct {
		table *router.Table
		pan   string
		why   router.Reason
	}{{before, "6225880000000003", router.Picked}, {before, "6212260000000005", router.NoRule},
		{after, "6225880000000003", router.NoRule}, {after, "6212260000000005", router.Picked}} {
		pan, err := txn.ParsePAN([]byte(c.pan))
		if err != nil {
			t.Fatal(err)
		}
		if _, why := c.table.Pick(&txn.Facts{Kind: txn.Sale, PAN: pan}, 0, allReady{}); why != c.why {
			t.Errorf("%s: reason %d, want %d", c.pan, why, c.why)
		}
	}
	write("bin,issuer\nnonsense,CMB\n")
	if a := l.act(admin.Action{Verb: admin.Reload}); a.OK || !strings.Contains(strings.Join(a.Lines, " "), "bins.csv:2") {
		t.Errorf("a bad table: %+v", a)
	}
	if l.node.parts0.Routes != after {
		t.Error("a bad table has changed the routes")
	}
}
