package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tongka/txn"
)

// Line is one line to a bank: one socket, or one to send and one to receive, each
// dialled or waited for.
type Line struct {
	Address  string   `json:"address,omitempty" jsonschema:"双工，主动连接：银行地址 主机:端口 · one socket for both directions, dialled: host:port of the bank"`
	Listen   string   `json:"listen,omitempty" jsonschema:"等待银行来连的地址；单独为双工，与 send 成对为接收，与 receive 成对为发送 · host:port where the bank dials us: for both directions, with send to receive, with receive to send"`
	Send     string   `json:"send,omitempty" jsonschema:"单工，主动连接以发送；与 receive 或 listen 成对 · dialled to send, with receive or listen"`
	Receive  string   `json:"receive,omitempty" jsonschema:"单工，主动连接以接收；与 send 或 listen 成对 · dialled to receive, with send or listen"`
	Allow    []string `json:"allow,omitempty" jsonschema:"与 listen 同用：银行的网段，CIDR；其他一律拒绝 · with listen: networks of the bank as CIDR; nobody else gets in"`
	Backups  []string `json:"backups,omitempty" jsonschema:"与 address 同用：连不上时依次改连的备用地址；断线后先回到 address · with address: tried in turn when it cannot be reached; a line that is lost goes back to address first"`
	Priority int      `json:"priority,omitempty" range:"1,9" jsonschema:"优先级，1 最先；只有更先的线路全部不可用时才用 · 1 is used first, the next only when no line of the one before is up"`
	Window   int      `json:"window,omitempty" range:"0,500000" jsonschema:"同时在途的请求数，0 不限 · requests in flight at once, 0: no limit"`

	HalfDuplex bool          `json:"half_duplex,omitempty" jsonschema:"半双工：同一时刻只有一条报文待答，冲正与回响测试亦然 · one message at a time awaits its answer, reversals and echoes included"`
	Silence    time.Duration `json:"silence,omitempty" range:"1s,1h" jsonschema:"与 listen 同用：静默多久后让位于新来的连接，缺省 90s · with listen: silence after which the line makes way for a newcomer, 90s when left out"`

	ShortLived ShortLived `json:"short_lived,omitempty" jsonschema:"短连接：有报文才连接，答毕即断；无签到与回响 · short-lived: dialled when there is something to send, hung up on when it is answered; no sign-on, no echo"`
}

func (l *Line) start() { *l = Line{Priority: 1} }

// maxLines keeps the look at a bank's lines short.
const maxLines = 64

// AllLines gives a link's lines; its address alone is one.
func (l *Link) AllLines() []Line {
	if len(l.Lines) > 0 {
		return l.Lines
	}
	return []Line{{Address: l.Address, Priority: 1}}
}

// connections is how many the lines are to the switch: of short-lived ones each
// connection is a line.
func (l *Link) connections() (n int) {
	for i := range l.Lines {
		n += max(l.Lines[i].ShortLived.Connections, 1)
	}
	return n
}

// Pair says that one socket sends and another receives.
func (n *Line) Pair() bool { return n.Send != "" || n.Receive != "" }

// Networks gives who may dial us.
func (n *Line) Networks() []netip.Prefix { return prefixes(n.Allow) }

// waited says that the bank dials one of the lines, so that its TLS is a
// listener's there.
func (l *Link) waited() bool {
	return slices.ContainsFunc(l.Lines, func(n Line) bool { return n.Listen != "" })
}

// String says where a line leads.
func (n Line) String() string {
	var parts []string
	part := func(arrow, address string) {
		if address != "" {
			parts = append(parts, arrow+address)
		}
	}
	part("", n.Address)
	part("→ ", n.Send)
	part("← ", n.Receive)
	part("@ ", n.Listen)
	if n.Priority > 1 {
		parts = append(parts, fmt.Sprintf("#%d", n.Priority))
	}
	if n.Window > 0 {
		parts = append(parts, fmt.Sprintf("≤ %d", n.Window))
	}
	if s, ok := n.Short(); ok {
		parts = append(parts, fmt.Sprintf("短连接 · short-lived: %d × %d", s.Connections, s.Messages))
	}
	if n.HalfDuplex {
		parts = append(parts, "半双工 · half-duplex")
	}
	return strings.Join(parts, " ")
}

// FullCode is what requests are told when all lines are full.
func (l *Link) FullCode() txn.Code { return txn.Code([]byte(l.WhenFull)) }

// lines looks for lines that lead nowhere, or two ways at once. Two lines may
// dial one address: a bank may take several at it.
func (r *reader) lines(l *Link, path string, taken map[string]string) {
	switch {
	case l.Address != "" && len(l.Lines) > 0:
		r.faultAt(path+".lines", "address 与 lines 只能有其一 · either address or lines", "")
	case l.connections() > maxLines:
		r.faultAt(path+".lines", fmt.Sprintf("至多 %d 条线路与短连接 · %d lines and short-lived connections at most", maxLines, maxLines), "")
	case len(l.Lines) == 0 && !r.has(path+".address"):
		r.faultAt(path, "缺少 address 或 lines · address or lines is missing", `lines: [{address: "10.0.0.1:9001"}, {address: "10.0.0.2:9001"}]`)
		return
	case len(l.Lines) == 0:
		r.target(path+".address", l.Address)
	}
	for i := range l.Lines {
		at := fmt.Sprintf("%s.lines[%d]", path, i)
		r.line(&l.Lines[i], at, taken)
		r.shortLived(&l.Lines[i], l, at)
	}
}

// lineWays are the ways in which sockets make a line.
var lineWays = []string{"address", "listen", "send receive", "send listen", "listen receive"}

func (r *reader) line(n *Line, at string, taken map[string]string) {
	var has []string
	for _, key := range [...]string{"address", "send", "listen", "receive"} {
		if r.has(at + "." + key) {
			has = append(has, key)
		}
	}
	if !slices.Contains(lineWays, strings.Join(has, " ")) {
		r.faultAt(at, "须为其一 · wanted one of: address; listen; send, receive; send, listen; listen, receive", "")
		return
	}
	for _, key := range has {
		switch key {
		case "address":
			r.target(at+".address", n.Address)
		case "send":
			r.target(at+".send", n.Send)
		case "receive":
			r.target(at+".receive", n.Receive)
		case "listen":
			r.address(at+".listen", n.Listen)
			r.unique(taken, at+".listen", n.Listen, "地址", "address")
		}
	}
	r.allow(n, at)
	if n.HalfDuplex && n.Window > 1 {
		r.faultAt(at+".window", "half_duplex 的窗口为 1 · with half_duplex the window is 1", "")
	}
	if n.Silence > 0 && !r.has(at+".listen") {
		r.faultAt(at+".silence", "silence 只与 listen 同用 · silence is for listen only", "")
	}
	if len(n.Backups) > 0 && !r.has(at+".address") {
		r.faultAt(at+".backups", "backups 只与 address 同用 · backups are for address only", "")
	}
	for i, a := range n.Backups {
		r.target(fmt.Sprintf("%s.backups[%d]", at, i), a)
	}
}

// allow wants to know who may dial us: whoever gets in is taken for the bank.
func (r *reader) allow(n *Line, at string) {
	switch {
	case r.has(at+".listen") && len(n.Allow) == 0:
		r.faultAt(at+".listen", "listen 须有 allow · listen needs allow", `allow: ["10.1.0.0/16"]`)
	case !r.has(at+".listen") && len(n.Allow) > 0:
		r.faultAt(at+".allow", "allow 只与 listen 同用 · allow is for listen only", "")
	}
	r.networks(at+".allow", n.Allow)
}
