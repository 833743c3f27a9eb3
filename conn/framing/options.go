package framing

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Options describe a framing in a configuration: a name of Names, or a length
// and what goes with it. A name with options beside it is that framing, changed
// by them. The words for people stand in the tags, where a schema finds them.
type Options struct {
	Name            string        `json:"name,omitempty" jsonschema:"已知成帧方式，其余选项在其上修改 · a known framing; the other options change it"`
	Length          string        `json:"length,omitempty" jsonschema:"长度域：binary2 binary3 binary4 二进制，bcd2 压缩数字，ascii4 十进制字符，hex4 十六进制字符 · the length: binary, packed digits, decimal or hexadecimal characters, and its bytes"`
	Counts          string        `json:"counts,omitempty" jsonschema:"长度计入：rest 载荷与尾（缺省），payload 仅载荷，self 连同长度域本身 · what the length counts: rest, payload and trailer (default); payload alone; self, all with the length itself"`
	Zeros           int           `json:"zeros,omitempty" jsonschema:"长度域后的零字节数，0–8 · zero bytes after the length, 0 to 8"`
	Trailer         string        `json:"trailer,omitempty" jsonschema:"帧尾：etx 为 03 · trailer: etx is 03"`
	AcceptKeepAlive bool          `json:"accept_keep_alive,omitempty" jsonschema:"长度零为保活而非错误 · a length of zero is a keep-alive and not a fault"`
	KeepAlive       time.Duration `json:"keep_alive,omitempty" jsonschema:"静默多久后发保活（亦接受对方的） · silence after which a keep-alive is sent; the peer's are accepted, too"`
}

// lengths are the ways to write a length, by the names of Options.Length.
var lengths = []struct {
	name string
	num  numeral
	head int
}{
	{"binary2", numBinary, 2}, {"binary3", numBinary, 3}, {"binary4", numBinary, 4},
	{"bcd2", numBCD, 2}, {"ascii4", numDecimal, 4}, {"hex4", numHex, 4},
}

// known are the framings seen between switches. The first is the UnionPay POS
// terminal's, the second that of the CUPS style centre line, whose length 0000
// keeps an idle line alive.
var known = []Options{
	{Name: "binary2", Length: "binary2"},
	{Name: "ascii4", Length: "ascii4", AcceptKeepAlive: true},
	{Name: "bcd2", Length: "bcd2"},
	{Name: "hex4", Length: "hex4"},
	{Name: "binary3", Length: "binary3"},
	{Name: "binary4", Length: "binary4"},
	{Name: "binary2-self", Length: "binary2", Counts: "self"},
	{Name: "binary2-pad2", Length: "binary2", Zeros: 2},
	{Name: "binary2-etx", Length: "binary2", Trailer: "etx"},
}

// The two framings that every installation needs.
var (
	Binary2, _ = Named("binary2") // 2 bytes big-endian
	ASCII4, _  = Named("ascii4")  // 4 ASCII digits; 0000 is a keep-alive
)

const maxZeros = 8 // more is a slip of the pen, and Overhead has room for these

// Named finds a framing by its name in a configuration.
func Named(name string) (Framing, bool) {
	i := slices.IndexFunc(known, func(o Options) bool { return o.Name == name })
	if i < 0 {
		return nil, false
	}
	f, err := build(known[i])
	return f, err == nil
}

// Names lists what Named knows.
func Names() []string {
	names := make([]string, len(known))
	for i := range known {
		names[i] = known[i].Name
	}
	return names
}

// Parse makes the framing that o describes. The error holds every fault, each
// with the key that it is in.
func Parse(o Options) (Framing, error) {
	if o.Name == "" {
		return build(o)
	}
	i := slices.IndexFunc(known, func(k Options) bool { return k.Name == o.Name })
	if i < 0 {
		return nil, fmt.Errorf("name：没有 %q · no framing %q; known: %s", o.Name, o.Name, strings.Join(Names(), " "))
	}
	return build(known[i].with(o))
}

// with is o where c says nothing. The name stays only if nothing that goes over
// the wire is changed.
func (o Options) with(c Options) Options {
	changed := o
	changed.Length = either(c.Length, o.Length)
	changed.Counts = either(c.Counts, o.Counts)
	changed.Zeros = either(c.Zeros, o.Zeros)
	changed.Trailer = either(c.Trailer, o.Trailer)
	changed.AcceptKeepAlive = o.AcceptKeepAlive || c.AcceptKeepAlive
	changed.KeepAlive = c.KeepAlive
	if changed.Length != o.Length || changed.Counts != o.Counts || changed.Zeros != o.Zeros || changed.Trailer != o.Trailer {
		changed.Name = ""
	}
	return changed
}

func either[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// build makes what o says, which need not be a known framing.
func build(o Options) (Framing, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	f := &lengthFraming{name: o.Name, pad: o.Zeros, keepAlive: o.AcceptKeepAlive || o.KeepAlive > 0, every: o.KeepAlive}
	names := make([]string, len(lengths))
	for i, l := range lengths {
		if names[i] = l.name; l.name == o.Length {
			f.num, f.head = l.num, l.head
		}
	}
	if f.head == 0 {
		fault("length：%q 须为其一 · %q, wanted one of: %s", o.Length, o.Length, strings.Join(names, " "))
	}
	if o.Zeros < 0 || o.Zeros > maxZeros {
		fault("zeros：%d 不在 0 至 %d 之间 · not within 0 to %d", o.Zeros, maxZeros, maxZeros)
	}
	switch o.Trailer {
	case "":
	case "etx":
		f.trailer = []byte{0x03}
	default:
		fault("trailer：%q 须为其一 · %q, wanted one of: etx", o.Trailer, o.Trailer)
	}
	switch o.Counts {
	case "", "rest":
		f.extra = len(f.trailer)
	case "payload":
	case "self":
		f.extra = f.head + f.pad + len(f.trailer)
	default:
		fault("counts：%q 须为其一 · %q, wanted one of: rest payload self", o.Counts, o.Counts)
	}
	if o.KeepAlive < 0 {
		fault("keep_alive：%v 为负 · %v is negative", o.KeepAlive, o.KeepAlive)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if f.name == "" {
		f.name = o.describe()
	}
	return f, nil
}

// describe names a framing that has no name by what it is made of.
func (o Options) describe() string {
	s := o.Length
	if o.Counts != "" && o.Counts != "rest" {
		s += "-" + o.Counts
	}
	if o.Zeros > 0 {
		s += fmt.Sprintf("-pad%d", o.Zeros)
	}
	if o.Trailer != "" {
		s += "-" + o.Trailer
	}
	return s
}
