package config

import (
	"fmt"
	"time"
)

// ShortLived makes a line one that is dialled when there is something to send.
type ShortLived struct {
	Connections int           `json:"connections" range:"1,64" jsonschema:"同时连接数上限 · connections at once at most"`
	Messages    int           `json:"messages,omitempty" range:"1,1000000" jsonschema:"一条连接依次承载的报文数上限，缺省 1 · messages on one connection at most, one after the other; 1 when left out"`
	Keep        time.Duration `json:"keep,omitempty" range:"1ms,10m" jsonschema:"应答后等待下一条报文的时间，缺省 1s；messages 为 1 时立即断开 · how long a connection waits for the next message, 1s when left out; with one message it is closed at once"`
	DialTimeout time.Duration `json:"dial_timeout,omitempty" range:"10ms,1m" jsonschema:"建立连接的时限，含备用地址，超时应答 91 并欠冲正，缺省 5s · how long a connection may take to come, backups included; then 91, and a reversal is owed; 5s when left out"`
}

// Short says that the line is short-lived, and how, with what was left out.
func (n *Line) Short() (ShortLived, bool) {
	s := n.ShortLived
	if s == (ShortLived{}) {
		return s, false
	}
	s.Messages = max(s.Messages, 1)
	if s.Messages > 1 && s.Keep == 0 {
		s.Keep = time.Second
	}
	if s.DialTimeout == 0 {
		s.DialTimeout = 5 * time.Second
	}
	return s, true
}

// Sockets is how many connections the line may have to the bank at once.
func (n *Line) Sockets() int {
	switch s, short := n.Short(); {
	case short:
		return s.Connections
	case n.Pair():
		return 2
	}
	return 1
}

// shortLived looks for what a line of calls cannot be.
func (r *reader) shortLived(n *Line, l *Link, at string) {
	if !r.has(at + ".short_lived") {
		return
	}
	s, _ := n.Short()
	path := at + ".short_lived"
	switch {
	case !r.has(at + ".address"):
		r.faultAt(path, "short_lived 只与 address 同用 · short_lived is for address only", "")
	case s.Messages == 1 && n.ShortLived.Keep > 0:
		r.faultAt(path+".keep", "messages 为 1 时不可有 keep · with one message there is nothing to keep a connection for", "messages: 16")
	case s.DialTimeout >= l.AnswerTimeout:
		r.faultAt(path, fmt.Sprintf("dial_timeout %s 须短于 answer_timeout %s · dial_timeout %s must be shorter than answer_timeout %s",
			short(s.DialTimeout), short(l.AnswerTimeout), short(s.DialTimeout), short(l.AnswerTimeout)), "")
	case n.Window > 1:
		r.faultAt(at+".window", "short_lived 每条连接一次一条，以 connections 限制 · a short-lived connection carries one message at a time: connections is the limit", "")
	}
}
