package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"tongka/conn/cert"
	"tongka/conn/framing"
	"tongka/conn/gate"
)

// Framing says how frames are told apart on a listener or link: a known name, or
// a length and what goes with it, or both. See framing.Options.
type Framing struct {
	Name            string        `json:"name,omitempty" jsonschema:"已知成帧方式，如 binary2、ascii4、binary2-etx；其余选项在其上修改 · a known framing, such as binary2, ascii4, binary2-etx; the other keys change it"`
	Length          string        `json:"length,omitempty" enum:"binary2,binary3,binary4,bcd2,ascii4,hex4" jsonschema:"长度域 · the length: its form and its bytes"`
	Counts          string        `json:"counts,omitempty" enum:"rest,payload,self" jsonschema:"长度计入：载荷与尾、仅载荷、连同长度域 · what the length counts: payload and trailer, payload, all with itself"`
	Zeros           int           `json:"zeros,omitempty" range:"0,8" jsonschema:"长度域后的零字节数 · zero bytes after the length"`
	Trailer         string        `json:"trailer,omitempty" enum:"etx" jsonschema:"帧尾 · trailer"`
	AcceptKeepAlive bool          `json:"accept_keep_alive,omitempty" jsonschema:"长度零为保活 · a length of zero is a keep-alive"`
	KeepAlive       time.Duration `json:"keep_alive,omitempty" range:"1s,1h" jsonschema:"静默多久后发保活 · silence after which a keep-alive is sent"`
}

// Make gives the framing, or the one of that name when nothing is said.
func (f *Framing) Make(otherwise string) (framing.Framing, error) {
	o := framing.Options(*f)
	if *f == (Framing{}) {
		o.Name = otherwise
	}
	return framing.Parse(o)
}

// TLS says whom we show ourselves as, and whom we let in. Any key turns TLS on.
type TLS struct {
	Cert       string        `json:"cert,omitempty" jsonschema:"本方证书链 PEM，接入必填 · our certificate chain, PEM; a listener needs one"`
	Key        string        `json:"key,omitempty" jsonschema:"私钥 PEM，他人不可读 · its private key, PEM, which nobody else may read"`
	CA         string        `json:"ca,omitempty" jsonschema:"签发对方证书的 CA PEM；接入无此项则不要求客户端证书，线路无此项则用系统 CA · who signs the other side's certificates, PEM; a listener without it asks for none, a link without it trusts the system's"`
	Optional   bool          `json:"optional,omitempty" jsonschema:"接入：无证书者亦可进入 · listener: who shows no certificate gets in as well"`
	Names      []string      `json:"names,omitempty" jsonschema:"对方证书可用的名称（CN 或 SAN），空为任一 · names that the other side's certificate may bear (CN or SAN), any when left out"`
	ServerName string        `json:"server_name,omitempty" jsonschema:"线路：银行证书的主机名，缺省为所连主机 · link: the name that the bank's certificate is for, the host dialled when left out"`
	Timeout    time.Duration `json:"timeout,omitempty" range:"100ms,1m" jsonschema:"握手时限，缺省 5s · how long a handshake may take, 5s when left out"`
	Min        string        `json:"min,omitempty" enum:"1.2,1.3" jsonschema:"最低版本，缺省 1.2 · oldest version, 1.2 when left out"`
}

// Options is what a front takes, nil for no TLS.
func (t *TLS) Options() *cert.Options {
	o := cert.Options{Cert: t.Cert, Key: t.Key, CA: t.CA, Optional: t.Optional, Names: t.Names,
		ServerName: t.ServerName, Timeout: t.Timeout, Min: t.Min}
	if o.Cert+o.Key+o.CA+o.ServerName+o.Min == "" && !o.Optional && len(o.Names) == 0 && o.Timeout == 0 {
		return nil
	}
	return &o
}

// String says in a word or two what it demands of the other side; empty for none.
func (t *TLS) String() string {
	switch {
	case t.Options() == nil:
		return ""
	case t.CA != "" && t.Cert != "" && !t.Optional:
		return "TLS 双向 · mutual"
	}
	return "TLS"
}

// settle makes paths usable from the folder that the process runs in.
func (t *TLS) settle(under func(path string) string) {
	t.Cert, t.Key, t.CA = under(t.Cert), under(t.Key), under(t.CA)
}

// PerAddress bounds what one address may do at a listener.
type PerAddress struct {
	Connections int           `json:"connections,omitempty" range:"0,1000000" jsonschema:"同时连接数，0 不限 · connections at once, 0: any number"`
	Connects    int           `json:"connects,omitempty" range:"0,1000000" jsonschema:"每秒连接次数，0 不限 · connects a second, 0: any number"`
	Burst       int           `json:"burst,omitempty" range:"0,1000000" jsonschema:"瞬间连接次数，缺省同 connects · connects in one moment, as connects when left out"`
	Strikes     int           `json:"strikes,omitempty" range:"0,1000000" jsonschema:"strike_time 内多少次乱帧即封禁，0 不封 · how often within strike_time it may send what is no frame before it is shut out, 0: always"`
	StrikeTime  time.Duration `json:"strike_time,omitempty" range:"1s,24h" jsonschema:"缺省 1m · 1m when left out"`
	ShutOut     time.Duration `json:"shut_out,omitempty" range:"1s,24h" jsonschema:"封禁时长，缺省 5m · for how long it is shut out, 5m when left out"`
}

// Guard is what a front takes.
func (l *Listener) Guard() gate.Config {
	p := &l.PerAddress
	return gate.Config{Allow: prefixes(l.Allow), Deny: prefixes(l.Deny), MaxConns: p.Connections, Connects: p.Connects, Burst: p.Burst,
		Strikes: p.Strikes, StrikeTime: p.StrikeTime, ShutOut: p.ShutOut}
}

// prefixes gives networks that were checked when they were read.
func prefixes(list []string) (all []netip.Prefix) {
	for _, s := range list {
		if p, err := netip.ParsePrefix(s); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// networks checks a list of them.
func (r *reader) networks(path string, list []string) {
	for i, s := range list {
		if _, err := netip.ParsePrefix(s); err != nil {
			r.faultAt(fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("%q 不是 CIDR 网段 · %q is no network in CIDR form", s, s), "10.1.0.0/16")
		}
	}
}

// wire checks what a listener or link says of framing, TLS and dialect.
func (r *reader) wire(path string, f *Framing, t *TLS, server bool, otherwise string, maxFrame int) {
	made, err := f.Make(otherwise)
	switch {
	case err != nil:
		for line := range strings.SplitSeq(err.Error(), "\n") {
			r.faultAt(path+".framing", line, "")
		}
	case maxFrame > made.Max():
		r.faultAt(path+".framing", fmt.Sprintf("该成帧方式一帧至多 %d 字节，max_frame 为 %d · this framing says %d bytes at most, max_frame is %d",
			made.Max(), maxFrame, made.Max(), maxFrame), "")
	}
	if o := t.Options(); o != nil {
		if err := o.Validate(server); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				r.faultAt(path+".tls", "TLS 设置有误 · "+line, "")
			}
		}
	}
}

// dialectPath takes a dialect that is a file from the config's folder; a name of
// a built-in one stays.
func dialectPath(s string, under func(path string) string) string {
	if strings.ContainsRune(s, filepath.Separator) || filepath.Ext(s) != "" {
		return under(s)
	}
	return s
}
