package config

import (
	"fmt"

	"tongka/txn"
)

// Line is one line to a bank: one socket, or one to send and one to receive.
type Line struct {
	Address  string `json:"address,omitempty" jsonschema:"双工：银行地址 主机:端口 · one socket for both directions: host:port of the bank"`
	Send     string `json:"send,omitempty" jsonschema:"单工：发送地址，与 receive 成对 · two sockets: host:port that we send to, with receive"`
	Receive  string `json:"receive,omitempty" jsonschema:"单工：接收地址，与 send 成对 · two sockets: host:port that we receive from, with send"`
	Priority int    `json:"priority,omitempty" range:"1,9" jsonschema:"优先级，1 最先；只有更先的线路全部不可用时才用 · 1 is used first, the next only when no line of the one before is up"`
	Window   int    `json:"window,omitempty" range:"0,500000" jsonschema:"同时在途的请求数，0 不限，1 为半双工 · requests in flight at once, 0: no limit, 1: half-duplex"`
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

// Pair says that one socket sends and another receives.
func (n *Line) Pair() bool { return n.Address == "" }

// String says where a line leads.
func (n Line) String() string {
	s := n.Address
	if n.Pair() {
		s = fmt.Sprintf("→ %s ← %s", n.Send, n.Receive)
	}
	if n.Priority > 1 {
		s += fmt.Sprintf(" #%d", n.Priority)
	}
	if n.Window > 0 {
		s += fmt.Sprintf(" ≤ %d", n.Window)
	}
	return s
}

// FullCode is what requests are told when all lines are full.
func (l *Link) FullCode() txn.Code { return txn.Code([]byte(l.WhenFull)) }

// lines looks for lines that lead nowhere, or two ways at once. Two lines may
// have one address: a bank may take several at it.
func (r *reader) lines(l *Link, path string) {
	switch {
	case l.Address != "" && len(l.Lines) > 0:
		r.faultAt(path+".lines", "address 与 lines 只能有其一 · either address or lines", "")
	case len(l.Lines) > maxLines:
		r.faultAt(path+".lines", fmt.Sprintf("至多 %d 条线路 · %d lines at most", maxLines, maxLines), "")
	case len(l.Lines) == 0 && !r.has(path+".address"):
		r.faultAt(path, "缺少 address 或 lines · address or lines is missing", `lines: [{address: "10.0.0.1:9001"}, {address: "10.0.0.2:9001"}]`)
		return
	case len(l.Lines) == 0:
		r.target(path+".address", l.Address)
	}
	for i := range l.Lines {
		n, at := &l.Lines[i], fmt.Sprintf("%s.lines[%d]", path, i)
		one, two := r.has(at+".address"), r.has(at+".send") && r.has(at+".receive")
		if one == two || one && (r.has(at+".send") || r.has(at+".receive")) {
			r.faultAt(at, "须为 address，或 send 与 receive · wanted: address, or send and receive", "")
			continue
		}
		if one {
			r.target(at+".address", n.Address)
			continue
		}
		r.target(at+".send", n.Send)
		r.target(at+".receive", n.Receive)
	}
}
