package config

import (
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"tongka/hsm"
	"tongka/yamlfile"
)

// check finds what is well-formed but cannot work. A value that was refused
// already is back at its default, or empty, and is not complained of twice.
func (r *reader) check(c *Config) {
	r.digits("node.acquirer", c.Node.Acquirer, 11)
	r.digits("node.forwarder", c.Node.Forwarder, 11)
	r.name("node.name", c.Node.Name)
	if c.Data == "" {
		r.faultAt("data", "数据目录不可为空 · a data folder is wanted", "")
	}
	taken := map[string]string{} // address → path that has it
	r.listeners(c, taken)
	r.links(c, taken)
	r.routes(c)
	r.flowControl(c)
	r.day(c)
	r.businessDay(c)
	r.hsm(&c.HSM)
	r.cards(&c.Cards, &c.HSM)
	if c.Console.Address != "" {
		r.address("console.address", c.Console.Address)
		r.unique(taken, "console.address", c.Console.Address, "地址", "address")
	}
}

// listeners looks for doors that cannot open or that would let nothing through.
// taken gathers the addresses of the whole file: the console must not stand in
// the way of a door.
func (r *reader) listeners(c *Config, taken map[string]string) {
	names := map[string]string{}
	if r.has("listeners") && len(c.Listeners) == 0 {
		r.faultAt("listeners", "至少一个终端接入 · at least one listener is wanted", "")
	}
	for i := range c.Listeners {
		l, path := &c.Listeners[i], fmt.Sprintf("listeners[%d]", i)
		r.name(path+".name", l.Name)
		r.unique(names, path+".name", l.Name, "名称", "name")
		r.address(path+".address", l.Address)
		r.unique(taken, path+".address", l.Address, "地址", "address")
		if l.MaxFrame > c.Limits.MaxFrame {
			r.faultAt(path+".max_frame", fmt.Sprintf("max_frame %d 大于 limits.max_frame %d · above limits.max_frame %d",
				l.MaxFrame, c.Limits.MaxFrame, c.Limits.MaxFrame), "")
		}
		r.wire(path, &l.Framing, &l.TLS, true, "binary2", l.MaxFrame)
		r.networks(path+".allow", l.Allow)
		r.networks(path+".deny", l.Deny)
		if l.PerAddress.Burst > 0 && l.PerAddress.Connects == 0 {
			r.faultAt(path+".per_address.burst", "burst 须与 connects 同用 · burst limits nothing without connects", "")
		}
		r.filled(path+".dialect", l.Dialect)
		// The idle clock would cut the frame off first, and the reason in the log
		// would be the wrong one.
		if l.FrameTimeout > l.IdleTimeout {
			r.faultAt(path+".frame_timeout", fmt.Sprintf("frame_timeout %s 长于 idle_timeout %s · longer than idle_timeout %s",
				short(l.FrameTimeout), short(l.IdleTimeout), short(l.IdleTimeout)), "")
		}
	}
}

// links looks for banks whose lines cannot be dialled or whose clocks contradict
// each other.
func (r *reader) links(c *Config, taken map[string]string) {
	names := map[string]string{}
	if r.has("links") && len(c.Links) == 0 {
		r.faultAt("links", "至少一条银行线路 · at least one link is wanted", "")
	}
	for i := range c.Links {
		l, path := &c.Links[i], fmt.Sprintf("links[%d]", i)
		r.name(path+".name", l.Name)
		r.unique(names, path+".name", l.Name, "名称", "name")
		r.lines(l, path, taken)
		r.wire(path, &l.Framing, &l.TLS, l.waited(), "ascii4", c.Limits.MaxFrame)
		r.filled(path+".dialect", l.Dialect)
		r.digits(path+".destination", l.Destination, 11)
		r.digits(path+".source", l.Source, 11)
		// A single DES key protects no PIN; the form is right, the strength is not.
		if l.ZPK.N == 8 {
			r.faultAt(path+".zpk", "ZPK 须为双倍或三倍长 · a ZPK of double or triple length is wanted", "U+32H")
		}
		if l.ZPK.Scheme == hsm.SM4Scheme && c.HSM.Mode == "tcp" {
			r.faultAt(path+".zpk", "主机命令不能转换 SM4 下的 PIN，SM4 的 ZPK 只能用 mode: soft · no host command moves a PIN under SM4: a ZPK for SM4 wants mode: soft", "U+32H")
		}
		if l.ZMK.N == 8 {
			r.faultAt(path+".zmk", "ZMK 须为双倍或三倍长 · a ZMK of double or triple length is wanted", "U+32H")
		}
		r.mac(l, path)
		// Otherwise a second echo would leave while the first is still awaited.
		if l.EchoTimeout > l.EchoInterval {
			r.faultAt(path+".echo_timeout", fmt.Sprintf("echo_timeout %s 长于 echo_interval %s · longer than echo_interval %s",
				short(l.EchoTimeout), short(l.EchoInterval), short(l.EchoInterval)), "")
		}
		if v := &l.Reversal; v.Interval > v.MaxInterval {
			r.faultAt(path+".reversal.interval", fmt.Sprintf("interval %s 长于 max_interval %s · longer than max_interval %s",
				short(v.Interval), short(v.MaxInterval), short(v.MaxInterval)), "")
		}
		// Each reversal under way takes a slot, so more than there are cannot be.
		if l.Reversal.Window > c.Limits.InFlight {
			r.faultAt(path+".reversal.window", fmt.Sprintf("window %d 大于 limits.in_flight %d · above limits.in_flight %d",
				l.Reversal.Window, c.Limits.InFlight, c.Limits.InFlight), "")
		}
	}
}

// hsm looks for a module that is not reached, or for two that contradict each
// other. The test LMK must be said in so many words: nobody shall run a switch
// with public keys because a line was left out.
func (r *reader) hsm(h *HSM) {
	switch {
	case h.Mode == "soft" && !h.TestLMK && h.LMKFile == "":
		r.faultAt("hsm.mode", "软模块须写明 test_lmk: true（公开测试 LMK），或给出 lmk_file · mode soft wants test_lmk: true, the public test LMK, or an lmk_file",
			"生产环境用 · in production: mode: tcp")
	case h.TestLMK && h.LMKFile != "":
		r.faultAt("hsm.lmk_file", "test_lmk 与 lmk_file 只能有一个 · one of test_lmk and lmk_file, not both", "")
	case h.Mode == "tcp" && h.LMKFile != "":
		r.faultAt("hsm.lmk_file", "mode 为 tcp 时 LMK 在加密机中 · with mode tcp the LMK is in the modules", "mode: soft")
	case (h.LMKFile == "") != (h.PassFile == ""):
		r.faultAt("hsm.mode", "lmk_file 与 pass_file 须同时给出 · lmk_file and pass_file go together", "")
	case h.Mode == "soft" && len(h.Addresses) > 0:
		r.faultAt("hsm.addresses", "mode 为 soft 时不可有 addresses · mode soft takes no addresses", "mode: tcp")
	case h.Mode == "tcp" && len(h.Addresses) == 0 && !r.has("hsm.addresses"):
		r.faultAt("hsm.mode", "mode 为 tcp 时缺少 addresses · mode tcp needs addresses", `addresses: ["10.0.0.5:1500"]`)
	case h.Mode == "tcp" && len(h.Addresses) == 0:
		r.faultAt("hsm.addresses", "至少一个加密机地址 · at least one address is wanted", "")
	}
	if b, err := hex.DecodeString(h.LMKCheck); h.LMKCheck != "" && (err != nil || len(b) != 8) {
		r.faultAt("hsm.lmk_check", "须为 16 位十六进制 · 16 hexadecimal digits wanted", "2686040000000000")
	}
	for i := range h.Commands {
		if len(h.Commands[i].Code) != 2 {
			r.faultAt(fmt.Sprintf("hsm.commands[%d].code", i), "须为 2 个字符 · two characters wanted", "UB")
		}
	}
	seen := map[string]string{}
	for i, a := range h.Addresses {
		path := fmt.Sprintf("hsm.addresses[%d]", i)
		r.target(path, a)
		r.unique(seen, path, a, "地址", "address")
	}
}

// has says that the file holds the path.
func (r *reader) has(path string) bool {
	_, ok := r.at[path]
	return ok
}

// filled is false for an empty text, with a fault unless one stands there.
func (r *reader) filled(path, s string) bool {
	if s != "" {
		return true
	}
	if p, ok := r.at[path]; ok && !r.faulty(p) {
		r.fault(p, "不可为空 · must not be empty", "")
	}
	return false
}

// faulty says that a place has been complained of.
func (r *reader) faulty(p yamlfile.Pos) bool {
	return slices.ContainsFunc(r.faults, func(f Fault) bool { return f.Line == p.Line && f.Column == p.Column })
}

// digits checks an institution, a station or a BIN: 1 to most decimal digits.
func (r *reader) digits(path, s string, most int) {
	if !r.filled(path, s) {
		return
	}
	if len(s) > most || strings.Trim(s, "0123456789") != "" {
		r.faultAt(path, fmt.Sprintf("%q 须为 1 至 %d 位数字 · %q, wanted 1 to %d digits", s, most, s, most), "")
	}
}

// maxName is the length of a name in bytes; names go into logs and metrics.
const maxName = 32

// name checks what stands in logs, metrics and command lines without quotes.
func (r *reader) name(path, s string) {
	if !r.filled(path, s) {
		return
	}
	ok := len(s) <= maxName
	for _, c := range s {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	if !ok {
		r.faultAt(path, fmt.Sprintf("名称 %q 只能含字母、数字和 - _ .，至多 %d 个 · name %q: letters, digits and - _ . only, %d at most", s, maxName, s, maxName), "")
	}
}

// unique notes a value that stood before at another path.
func (r *reader) unique(seen map[string]string, path, s, zh, en string) {
	if s == "" || anyPort(s) {
		return
	}
	if first, twice := seen[s]; twice {
		line := r.at[first].Line
		r.faultAt(path, fmt.Sprintf("%s %q 与第 %d 行重复 · %s %q is in line %d already", zh, s, line, en, s, line), "")
		return
	}
	seen[s] = path
}

// address checks host:port; the host may be empty, which is every interface, and
// the port 0, which is any that is free.
func (r *reader) address(path, s string) (host string, ok bool) {
	if !r.filled(path, s) {
		return "", false
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		r.faultAt(path, fmt.Sprintf("地址 %q 须为 主机:端口 · address %q, wanted host:port", s, s), "127.0.0.1:8583")
		return "", false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		r.faultAt(path, fmt.Sprintf("端口 %q 须为 1 至 65535，0 为任一空闲端口 · port %q, wanted 1 to 65535, or 0 for a free one", port, port), "")
		return "", false
	}
	if strings.ContainsAny(host, " /@") {
		r.faultAt(path, fmt.Sprintf("主机名 %q 无效 · host %q is not valid", host, host), "")
		return "", false
	}
	return host, true
}

// target checks an address that is dialled, so it must name a host.
func (r *reader) target(path, s string) {
	switch host, ok := r.address(path, s); {
	case ok && host == "":
		r.faultAt(path, fmt.Sprintf("地址 %q 缺少主机 · address %q names no host", s, s), "127.0.0.1"+s)
	case ok && anyPort(s):
		r.faultAt(path, fmt.Sprintf("地址 %q 的端口须为 1 至 65535 · address %q, wanted a port of 1 to 65535", s, s), "")
	}
}

// anyPort says that an address leaves its port to the system.
func anyPort(s string) bool { return strings.HasSuffix(s, ":0") }
