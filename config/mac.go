package config

import (
	"encoding/hex"
	"fmt"
	"slices"

	"tongka/hsm"
)

// MAC says how the messages of a bank are authenticated. Any key turns it on.
type MAC struct {
	Algorithm string   `json:"algorithm,omitempty" enum:"x9.9,x9.19,cbc,ecb" jsonschema:"算法：x9.9 单倍长 CBC、x9.19、cbc 以整个双倍或三倍长密钥 CBC、ecb 银联 POS 式 · algorithm: x9.9 is CBC with a single key, cbc CBC with all of a double or triple one, ecb that of UnionPay terminals"`
	Check     string   `json:"check,omitempty" jsonschema:"zak 的校验值，4–16 位十六进制；不符则不启动（加密机在外时告警） · check value of zak, 4 to 16 hex digits: another one prevents the start, or is an alarm when modules are behind sockets"`
	Messages  []string `json:"messages,omitempty" enum:"request,advice,reversal,network,keys" jsonschema:"哪些报文及其应答带 MAC，缺省 request、advice、reversal、keys · messages that carry one, and so do their answers; request, advice, reversal and keys when left out"`
	Data      string   `json:"data,omitempty" enum:"fields,message" jsonschema:"MAC 的内容：fields 若干域的文本（缺省），message 从 MTI 到 MAC 前的字节 · what it covers: the text of some fields, or the bytes from the MTI to the MAC; fields when left out"`
	Fields    []int    `json:"fields,omitempty" range:"2,128" jsonschema:"data 为 fields 时的域，缺省为银联中心的一组 · fields of that text, the card centre's when left out"`
	KeyFields []int    `json:"key_fields,omitempty" range:"2,128" jsonschema:"网络管理与换钥报文的域，缺省为银联中心的一组 · the same of network messages and changes of keys"`
	Raw       bool     `json:"raw,omitempty" jsonschema:"文本除转大写外保持原样；缺省删去字母、数字、空格、逗号、句点以外的字符，连续空格合一 · the text stays as it is but for upper case; otherwise only letters, digits, commas, points and single spaces stay"`
	Field     int      `json:"field,omitempty" range:"64,128" jsonschema:"MAC 所在域 64 或 128，缺省依报文有无第二位图 · its field, 64 or 128; by the bitmaps of the message when left out"`
	Form      string   `json:"form,omitempty" enum:"binary,hex" jsonschema:"binary 8 字节（缺省），hex 前 4 字节写成 8 个十六进制字符 · binary is 8 bytes, hex the first 4 as 8 digits; binary when left out"`
	KeyChange string   `json:"key_change,omitempty" enum:"new,old" jsonschema:"换 MAC 密钥的报文以 new 新钥（缺省）或 old 旧钥计算 · a change of the MAC key carries a MAC under the new key, or the old one; new when left out"`
}

// macAlgorithms are the algorithms by their names, and the lengths of a key of each.
var macAlgorithms = map[string]struct {
	alg hsm.MACAlg
	key []uint8
}{
	"x9.9": {hsm.X99, []uint8{8}}, "x9.19": {hsm.X919, []uint8{16}}, "cbc": {hsm.X99, []uint8{16, 24}}, "ecb": {hsm.UnionPay, []uint8{8, 16}},
}

// On says that the messages carry MACs.
func (m *MAC) On() bool { return m.Algorithm != "" }

// Alg is the algorithm.
func (m *MAC) Alg() hsm.MACAlg { return macAlgorithms[m.Algorithm].alg }

// CheckValue is what the MAC key's check value begins with; nil when nothing is said.
func (m *MAC) CheckValue() []byte {
	b, _ := hex.DecodeString(m.Check) // was looked at when it was read
	if len(b) == 0 {
		return nil
	}
	return b
}

// Classes are the messages that carry one.
func (m *MAC) Classes() []string {
	if len(m.Messages) == 0 {
		return []string{"request", "advice", "reversal", "keys"}
	}
	return m.Messages
}

// String says in a few words what is authenticated.
func (m *MAC) String() string {
	if !m.On() {
		return ""
	}
	return "MAC " + m.Algorithm
}

// mac looks for a MAC that cannot be made.
func (r *reader) mac(l *Link, path string) {
	m, at := &l.MAC, path+".mac"
	switch {
	case !r.has(at) && l.ZAK.N != 0:
		r.faultAt(path+".zak", "zak 须与 mac 同用 · zak is for mac only", "mac: {algorithm: x9.19}")
		return
	case !r.has(at):
		return
	case !m.On():
		if !r.has(at + ".algorithm") {
			r.faultAt(at, "缺少 algorithm · algorithm is missing", "algorithm: x9.19")
		}
		return
	case l.ZAK.N == 0:
		if !r.has(path + ".zak") {
			r.faultAt(at, "mac 须有 zak · mac needs zak", "zak: U+32H")
		}
	case !slices.Contains(macAlgorithms[m.Algorithm].key, l.ZAK.N) || l.ZAK.Scheme == hsm.SM4Scheme:
		r.faultAt(path+".zak", fmt.Sprintf("%s 的 zak 须为 %v 字节，此处 %d · a zak of %v bytes is wanted for %s, here %d",
			m.Algorithm, macAlgorithms[m.Algorithm].key, l.ZAK.N, macAlgorithms[m.Algorithm].key, m.Algorithm, l.ZAK.N), "")
	}
	if b, err := hex.DecodeString(m.Check); m.Check != "" && (err != nil || len(b) < 2 || len(b) > 8) {
		r.faultAt(at+".check", "须为 4–16 位十六进制 · 4 to 16 hexadecimal digits wanted", "08D7B4")
	}
	if m.Field != 0 && m.Field != 64 && m.Field != 128 {
		r.faultAt(at+".field", "须为 64 或 128 · 64 or 128 wanted", "")
	}
	if m.Data == "message" && (len(m.Fields)+len(m.KeyFields) > 0 || m.Raw) {
		r.faultAt(at+".data", "fields、key_fields、raw 只与 data: fields 同用 · fields, key_fields and raw are for data: fields only", "")
	}
	for _, list := range []struct {
		name   string
		fields []int
	}{{"fields", m.Fields}, {"key_fields", m.KeyFields}} {
		if !slices.IsSorted(list.fields) || len(slices.Compact(slices.Clone(list.fields))) != len(list.fields) || slices.Contains(list.fields, 64) || slices.Contains(list.fields, 128) {
			r.faultAt(at+"."+list.name, "域须升序且不重复，不含 64 与 128 · fields go upwards, each once, and without 64 and 128", "[2, 3, 4, 7, 11]")
		}
	}
}
