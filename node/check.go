package node

import (
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"

	"tongka/config"
	"tongka/conn"
	"tongka/conn/cert"
)

// Check makes all parts of a config that need neither a store nor a socket, and
// throws them away: dialects, routes, framings, certificates. The error names
// every fault that the parts find.
func Check(cfg *config.Config) error {
	n := &Node{cfg: cfg, log: zap.NewNop()}
	ec, cc, err := n.parts(Options{Fatal: func(error) {}})
	if err != nil {
		return err
	}
	return errors.Join(ec.Validate(), cc.Validate(), certificates(&cc, time.Now()))
}

// certificates reads the files of all listeners and links.
func certificates(cc *conn.Config, now time.Time) error {
	var all []error
	fault := func(what, name string, err error) {
		if err != nil {
			all = append(all, fmt.Errorf("%s %s: TLS: %w", what, name, err))
		}
	}
	for i := range cc.Listeners {
		if l := &cc.Listeners[i]; l.TLS != nil {
			_, err := cert.Server(l.TLS, now)
			fault("listener", l.Name, err)
		}
	}
	for i := range cc.Links {
		l := &cc.Links[i]
		switch {
		case l.TLS == nil:
		case l.Listen:
			_, err := cert.Server(l.TLS, now)
			fault("link", l.Name, err)
		default:
			host, _, err := net.SplitHostPort(l.Addr)
			if err == nil {
				_, err = cert.Client(l.TLS, host, now)
			}
			fault("link", l.Name, err)
		}
	}
	return errors.Join(all...)
}
