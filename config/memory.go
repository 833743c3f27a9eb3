package config

import "fmt"

// Term is one part of the memory that a config adds up to.
type Term struct {
	Name  string `json:"name"` // what it is for, Chinese and English
	How   string `json:"how"`  // how it comes out: count × bytes
	Bytes int64  `json:"bytes"`
}

// LineOutbound and ModuleOutbound are how many bytes may wait for a bank's line
// and for a security module that do not read; beyond, they are cut.
const (
	LineOutbound   = 16 << 20
	ModuleOutbound = 4 << 20
)

// Bytes that one of each thing takes, rounded up from the sizes of the types.
const (
	slotBytes      = 1024     // a transaction in flight: facts, both requests' fields, timers
	loadBytes      = 576      // what is said of a card in one, when cards are loaded
	historyBytes   = 16       // a transaction that a terminal's repeat is known by
	tracesBytes    = 9 << 20  // the upstream trace numbers, a million of them, and a bit for each of four million transactions
	sessionBytes   = 7 << 10  // a TLS session at rest
	connBytes      = 512      // a connection's state, besides its buffers
	terminalBytes  = 192      // registry: the terminal, its place in the table, a session
	blacklistBytes = 11       // a card: fingerprint, mark, its share of the directory
	cardBytes      = 60       // a place of 24 bytes in a table that is at least half full
	registryBytes  = 40 << 20 // Badger's memory tables and indexes
	journalBytes   = 99 << 20 // Pebble's memory tables and cache, and what was looked up last
	processBytes   = 32 << 20 // the program, its loops and its page cache of templates
	buffersPerConn = 2        // one frame read, one being written
	reversalBytes  = 512      // an owed reversal that is under way
)

// Memory gives what the switch takes when it is as full as this config lets it
// be, each part named. It is an estimate from above; the sum is not a limit that
// the process enforces.
func (c *Config) Memory() []Term {
	var conns, connBuf, unread, sessions int64
	for i := range c.Listeners {
		l := &c.Listeners[i]
		conns += int64(l.MaxConnections)
		if l.TLS.Options() != nil {
			sessions += int64(l.MaxConnections)
		}
		unread += int64(l.MaxConnections) * int64(l.MaxOutbound)
		connBuf += int64(l.MaxConnections) * (connBytes + buffersPerConn*int64(l.MaxFrame))
	}
	var window, lines int64
	for i := range c.Links {
		for _, n := range c.Links[i].AllLines() {
			lines += int64(n.Sockets())
		}
		window += int64(c.Links[i].Reversal.Window)
	}
	terms := []Term{
		product("在途交易 · transactions in flight", int64(c.Limits.InFlight), slotBytes),
		product("终端近期交易 · last transactions of terminals", int64(c.Registry.MaxTerminals)*int64(c.Limits.History), historyBytes),
		fixed("上游流水号表 · upstream trace numbers", tracesBytes),
		{
			Name:  "终端连接缓冲 · terminal connection buffers",
			How:   fmt.Sprintf("%d × (%d + %d × max_frame)", conns, connBytes, buffersPerConn),
			Bytes: connBuf,
		},
		{
			Name:  "未读走的应答 · answers that terminals leave unread",
			How:   fmt.Sprintf("%d × max_outbound", conns),
			Bytes: unread,
		},
		product("银行线路缓冲 · link buffers", lines, LineOutbound),
		product("在途冲正 · reversals under way", window, reversalBytes),
		product("终端登记 · terminals", int64(c.Registry.MaxTerminals), terminalBytes),
		product("黑名单，换表时两份 · blacklist, two of them during a change", int64(c.Registry.MaxBlacklist), 2*blacklistBytes),
		product("卡片日计数 · cards counted in a day", int64(c.Registry.MaxCards), cardBytes),
		fixed("登记库 Badger · registry store", registryBytes),
		fixed("流水库 Pebble · journal store", journalBytes),
		fixed("程序自身 · the program itself", processBytes),
	}
	if c.Cards.Ceiling > 0 {
		terms = append(terms, product("在途卡片 · cards in flight", int64(c.Limits.InFlight), loadBytes))
	}
	if sessions > 0 {
		terms = append(terms, product("终端 TLS 会话 · TLS sessions of terminals", sessions, sessionBytes))
	}
	return terms
}

// product is a term of n things of each bytes; the reader sees both.
func product(name string, n, each int64) Term {
	return Term{Name: name, How: fmt.Sprintf("%d × %d B", n, each), Bytes: n * each}
}

// fixed is a term that no key of the file changes.
func fixed(name string, bytes int64) Term {
	return Term{Name: name, How: "固定 · fixed", Bytes: bytes}
}
