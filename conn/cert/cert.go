// Package cert reads certificates and keys from PEM files and makes of them what
// crypto/tls wants: whom we show ourselves as, and whom we let in.
package cert

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Options say how one listener or link does TLS. Files are PEM.
type Options struct {
	Cert string // our chain, leaf first; a listener must have one
	Key  string // its private key, which nobody else may read
	// CA are those who sign the other side's certificates. A listener without it
	// asks for none; a link without it trusts the authorities of the system.
	CA string
	// Optional lets in who shows no certificate at all; a listener's.
	Optional bool
	// Names are those that the other side's certificate may bear, as its common
	// name or one of its alternative names (DNS, IP, e-mail, URI); empty is any.
	Names []string
	// ServerName is what a bank's certificate must be made for; a link's, default
	// the host that it dials.
	ServerName string
	// Timeout is all that the other side has for its handshake; default 5 s.
	Timeout time.Duration
	// Min is the oldest version: "1.2", which is the default, or "1.3".
	Min string
}

const defaultTimeout = 5 * time.Second

// Side is one end with its files read.
type Side struct {
	Config   *tls.Config
	Timeout  time.Duration
	NotAfter time.Time // of our certificate; zero when we have none
	sum      [32]byte  // of all files
	options  Options
}

// Same says that nothing is different, neither a file nor an option.
func (s *Side) Same(o *Side) bool {
	return s.sum == o.sum && reflect.DeepEqual(s.options, o.options) && s.Config.ServerName == o.Config.ServerName
}

// Validate reports what can be seen without the files.
func (o *Options) Validate(server bool) error {
	var all []error
	fault := func(s string) { all = append(all, errors.New(s)) }
	if server && o.Cert == "" {
		fault("tls: a listener needs a certificate")
	}
	if (o.Cert == "") != (o.Key == "") {
		fault("tls: certificate and key go together")
	}
	if server && o.CA == "" && (o.Optional || len(o.Names) > 0) {
		fault("tls: names and optional certificates need a CA")
	}
	if server && o.ServerName != "" || !server && o.Optional {
		fault("tls: a server name is a link's, an optional certificate a listener's")
	}
	if o.Timeout < 0 {
		fault("tls: the time for a handshake is negative")
	}
	if slices.Contains(o.Names, "") {
		fault("tls: an empty name would fit certificates without one")
	}
	if _, ok := versions[o.Min]; !ok {
		fault(fmt.Sprintf("tls: version %q is neither 1.2 nor 1.3", o.Min))
	}
	return errors.Join(all...)
}

var versions = map[string]uint16{"": tls.VersionTLS12, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// Server reads the files of a listener. The error names the file.
func Server(o *Options, now time.Time) (*Side, error) {
	s, pool, err := load(o, now)
	if err != nil {
		return nil, err
	}
	if pool != nil {
		s.Config.ClientCAs = pool
		s.Config.ClientAuth = tls.RequireAndVerifyClientCert
		if o.Optional {
			s.Config.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	return s, nil
}

// Client reads the files of a link that dials host.
func Client(o *Options, host string, now time.Time) (*Side, error) {
	s, pool, err := load(o, now)
	if err != nil {
		return nil, err
	}
	s.Config.RootCAs = pool
	s.Config.ServerName = o.ServerName
	if o.ServerName == "" {
		s.Config.ServerName = host
	}
	return s, nil
}

func load(o *Options, now time.Time) (*Side, *x509.CertPool, error) {
	s := &Side{Timeout: cmp.Or(o.Timeout, defaultTimeout), Config: &tls.Config{MinVersion: versions[o.Min], DynamicRecordSizingDisabled: true}, options: *o}
	sum := sha256.New()
	read := func(path string) ([]byte, error) {
		b, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%d:%s%d:", len(path), path, len(b))
		_, _ = sum.Write(b)
		return b, err
	}
	if o.Cert != "" {
		own, err := pair(o, read)
		if err != nil {
			return nil, nil, err
		}
		if err := inTime(own.Leaf, now); err != nil {
			return nil, nil, fmt.Errorf("tls: %s: %w", o.Cert, err)
		}
		s.Config.Certificates = []tls.Certificate{own}
		s.NotAfter = own.Leaf.NotAfter
	}
	var pool *x509.CertPool
	if o.CA != "" {
		b, err := read(o.CA)
		if err != nil {
			return nil, nil, fmt.Errorf("tls: %w", err)
		}
		if pool = x509.NewCertPool(); !pool.AppendCertsFromPEM(b) {
			return nil, nil, fmt.Errorf("tls: %s: no certificate in it", o.CA)
		}
	}
	if len(o.Names) > 0 {
		s.Config.VerifyConnection = named(o.Names)
	}
	sum.Sum(s.sum[:0])
	return s, pool, nil
}

// pair reads certificate and key; the key's file must be closed to others.
func pair(o *Options, read func(string) ([]byte, error)) (none tls.Certificate, err error) {
	chain, err := read(o.Cert)
	if err != nil {
		return none, fmt.Errorf("tls: %w", err)
	}
	key, err := read(o.Key)
	if err != nil {
		return none, fmt.Errorf("tls: %w", err)
	}
	info, err := os.Stat(o.Key)
	if err != nil {
		return none, fmt.Errorf("tls: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return none, fmt.Errorf("tls: %s: mode %v lets everybody at the key: want 0600 or 0640", o.Key, mode)
	}
	own, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return none, fmt.Errorf("tls: %s with %s: %w", o.Cert, o.Key, err)
	}
	return own, nil
}

func inTime(c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("the certificate expired on %s", c.NotAfter.UTC().Format(time.DateTime))
	case now.Before(c.NotBefore):
		return fmt.Errorf("the certificate begins on %s", c.NotBefore.UTC().Format(time.DateTime))
	}
	return nil
}

// ErrName says that a verified certificate bears none of the names let in.
var ErrName = errors.New("tls: the certificate bears none of the names that are let in")

// named looks at the verified certificate of each connection, also of one that
// goes on with an earlier session.
func named(names []string) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return nil // ClientAuth has decided whether that may be
		}
		leaf := cs.PeerCertificates[0]
		for _, n := range names {
			if bears(leaf, n) {
				return nil
			}
		}
		return ErrName
	}
}

// bears says that a certificate names n. Names of hosts and mailboxes know no
// case; a common name is compared as it is.
func bears(c *x509.Certificate, n string) bool {
	if c.Subject.CommonName == n {
		return true
	}
	for _, d := range append(c.DNSNames, c.EmailAddresses...) {
		if strings.EqualFold(d, n) {
			return true
		}
	}
	ip := net.ParseIP(n)
	for _, a := range c.IPAddresses {
		if ip != nil && a.Equal(ip) {
			return true
		}
	}
	for _, u := range c.URIs {
		if u.String() == n {
			return true
		}
	}
	return false
}

// Holder is the name of who has shown a verified certificate, "" when nobody has.
func Holder(cs *tls.ConnectionState) string {
	if len(cs.VerifiedChains) == 0 {
		return ""
	}
	leaf := cs.VerifiedChains[0][0]
	if leaf.Subject.CommonName == "" && len(leaf.DNSNames) > 0 {
		return leaf.DNSNames[0]
	}
	return leaf.Subject.CommonName
}
