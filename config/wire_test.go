package config

import (
	"strings"
	"testing"
)

// TestWireFaults: each stands at its place, with words in both languages.
func TestWireFaults(t *testing.T) {
	for _, c := range []struct{ listener, link, says string }{
		{`framing: {name: binary9}`, "", `x.yaml:3:61: name：没有 "binary9"`},
		{`framing: {length: bcd2}, max_frame: 20000`, "", "max_frame"},
		{`framing: {zeros: 9}`, "", "0 至 8"},
		{`framing: {length: quipu}`, "", "quipu"},
		{`tls: {cert: c.pem}`, "", "certificate and key"},
		{`tls: {ca: c.pem}`, "", "needs a certificate"},
		{`tls: {cert: c, key: k, names: [a]}`, "", "need a CA"},
		{`tls: {cert: c, key: k, min: "1.1"}`, "", "1.1"},
		{`tls: {cert: c, key: k, server_name: x}`, "", "server name"},
		{`allow: [10.0.0.1]`, "", "CIDR"},
		{`deny: [everybody]`, "", "CIDR"},
		{`per_address: {burst: 3}`, "", "burst"},
		{`dialect: ""`, "", "不可为空"},
		{"", `framing: {name: no}`, `"no"`},
		{"", `tls: {optional: true}`, "optional"},
		{"", `dialect: ""`, "不可为空"},
		{"", `lines: [{listen: ":9", allow: [10.0.0.0/8]}], tls: {ca: x}`, "needs a certificate"},
	} {
		text := diffBase
		if c.listener != "" {
			text = strings.Replace(text, `{name: pos, address: "127.0.0.1:8583"`, `{name: pos, address: "127.0.0.1:8583", `+c.listener, 1)
		}
		if strings.Contains(c.link, "lines") {
			text = strings.Replace(text, `address: "127.0.0.1:9001"`, c.link, 1)
		} else if c.link != "" {
			text = strings.Replace(text, `destination: "1"`, `destination: "1", `+c.link, 1)
		}
		_, err := Parse("x.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s%s: %v; want %q", c.listener, c.link, err, c.says)
		}
	}
}

func TestWireIsLeftOut(t *testing.T) {
	c := parsed(t, diffBase)
	l := &c.Listeners[0]
	if l.TLS.Options() != nil {
		t.Error("TLS without being asked for")
	}
	for _, name := range []string{"binary2", "ascii4"} {
		if f, err := l.Framing.Make(name); err != nil || f == nil {
			t.Error(name, err)
		}
	}
	c = parsed(t, strings.Replace(diffBase, `{name: pos, `, `{name: pos, dialect: own.yaml, tls: {cert: c.pem, key: k.pem}, `, 1))
	if l := &c.Listeners[0]; l.Dialect != "own.yaml" || l.TLS.Options().Cert != "c.pem" {
		t.Errorf("%+v", l)
	}
	c, err := Parse("/etc/x.yaml", []byte(strings.Replace(diffBase, `{name: pos, `, `{name: pos, dialect: own.yaml, `, 1)))
	if err != nil || c.Listeners[0].Dialect != "/etc/own.yaml" || c.Links[0].Dialect != "cups" {
		t.Errorf("%+v, %v", c.Listeners[0], err)
	}
}
