package explain

import (
	"fmt"
	"strconv"
	"strings"

	"tongka/codec/iso8583"
)

// fieldset is what the meaning of a field may depend on: the others.
type fieldset struct {
	spec *iso8583.Spec
	mti  iso8583.MTI
	text func(n int) string // the whole value, empty when the field is absent
}

// pos says that the private fields are those of a UnionPay terminal.
func (f *fieldset) pos() bool { return f.spec == iso8583.Pos() }

// meanings are the fields whose value says something. Each function checks the
// form itself: the same number holds other things in other dialects.
var meanings = map[int]func(f *fieldset, value string) []Words{
	3: processing, 4: amount, 5: billed(50), 6: billed(51), 22: entry, 24: function, 25: lookup(conditions, 2), 26: pinLength,
	39: func(f *fieldset, v string) []Words { return responseWords(f.mti, v) },
	49: currency, 50: currency, 51: currency, 52: pinBlock, 53: security, 54: balances,
	64: mac, 70: lookup(networkCodes, 3), 128: mac,
}

// function is F24 of 1993; in 1987 there stands the network of a terminal.
func function(f *fieldset, v string) []Words {
	if len(v) != 3 || f.mti>>12 != 1 {
		return nil
	}
	return found(functionCodes, v)
}

func lookup(table map[string]Words, size int) func(*fieldset, string) []Words {
	return func(_ *fieldset, v string) []Words {
		if len(v) != size {
			return nil
		}
		return found(table, v)
	}
}

func processing(_ *fieldset, v string) []Words {
	if len(v) != 6 {
		return nil
	}
	w := found(procTypes, v[:2])
	from, ok1 := accountTypes[v[2:4]]
	to, ok2 := accountTypes[v[4:]]
	if ok1 && ok2 && v[2:] != "0000" {
		w = append(w, Words{"转出 " + from.ZH + "，转入 " + to.ZH, "from " + from.EN + ", to " + to.EN})
	}
	return w
}

// amount writes minor units with the point in its place, by the currency of
// F49, or as renminbi without one. An amount in a currency that is not known is
// left alone. Nothing passes through a float.
func amount(f *fieldset, v string) []Words {
	code := f.text(49)
	if code == "" {
		code = "156"
	}
	return money(v, code)
}

// billed is amount with the currency of another field.
func billed(by int) func(*fieldset, string) []Words {
	return func(f *fieldset, v string) []Words { return money(v, f.text(by)) }
}

func money(digits, code string) []Words {
	c, ok := currencies[code]
	if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return nil
	}
	s := strings.TrimLeft(digits, "0")
	for len(s) <= c.decimals {
		s = "0" + s
	}
	if c.decimals > 0 {
		s = s[:len(s)-c.decimals] + "." + s[len(s)-c.decimals:]
	}
	if code == "156" {
		return []Words{{s + " 元", c.sign + " " + s}}
	}
	return []Words{{c.ZH + " " + s, c.sign + " " + s}}
}

// stamps says what the pairs of digits of a date or time are, by field and
// length.
var stamps = map[int]map[int]string{
	7: {10: "MDhms"}, 12: {6: "hms", 12: "YMDhms"}, 13: {4: "MD"}, 14: {4: "YM"}, 15: {4: "MD", 6: "YMD"}, 16: {4: "MD"}, 17: {4: "MD"}, 73: {6: "YMD"},
}

// when writes a date or a time whose pairs of digits are what form names.
func when(form, v string) []Words {
	if len(v) != 2*len(form) || strings.Trim(v, "0123456789") != "" || strings.Trim(v, "0") == "" && form != "hms" {
		return nil
	}
	most := map[byte]int{'Y': 99, 'M': 12, 'D': 31, 'h': 23, 'm': 59, 's': 59}
	var day, clock []string
	for i := range len(form) {
		p := v[2*i : 2*i+2]
		n, _ := strconv.Atoi(p)
		if n > most[form[i]] || n == 0 && (form[i] == 'M' || form[i] == 'D') {
			return []Words{{"不是有效的日期或时间", "not a date or time"}}
		}
		switch form[i] {
		case 'Y':
			day = append(day, "20"+p)
		case 'M', 'D':
			day = append(day, p)
		default:
			clock = append(clock, p)
		}
	}
	s := strings.TrimSpace(strings.Join(day, "-") + " " + strings.Join(clock, ":"))
	return []Words{{s, s}}
}

func entry(_ *fieldset, v string) []Words {
	if len(v) != 3 {
		return nil
	}
	w := found(entryModes, v[:2])
	if p, ok := pinEntry[v[2]]; ok {
		w = append(w, p)
	}
	return w
}

func pinLength(_ *fieldset, v string) []Words {
	n, err := strconv.Atoi(v)
	if err != nil || len(v) != 2 {
		return nil
	}
	return []Words{{fmt.Sprintf("密码最长 %d 位", n), fmt.Sprintf("PIN of at most %d digits", n)}}
}

func currency(_ *fieldset, v string) []Words {
	if c, ok := currencies[v]; ok {
		return []Words{{c.ZH + " " + c.sign, c.EN}}
	}
	return []Words{unknown}
}

func pinBlock(*fieldset, string) []Words {
	return []Words{{"密文，不显示", "encrypted and not shown"}}
}

func mac(_ *fieldset, v string) []Words {
	raw, ok := unhex(v)
	if ok && len(raw) == 8 && printable(raw) {
		v = string(raw)
	}
	if hexDigits(v) && len(v) == 8 {
		return []Words{{"8 个十六进制字符 " + v + "（银联 ECB 算法的写法）", "8 hexadecimal characters " + v + ", as the UnionPay ECB MAC is written"}}
	}
	return nil
}

// security is F53 of a UnionPay terminal: n16.
func security(f *fieldset, v string) []Words {
	if len(v) != 16 || strings.Trim(v, "0123456789") != "" {
		return nil
	}
	if f.mti&0x0F00 == 0x0800 && !f.pos() {
		return found(map[string]Words{"1": {"重置 PIN 密钥", "change of the PIN key"}, "2": {"重置 MAC 密钥", "change of the MAC key"}}, v[:1])
	}
	pin := found(map[string]Words{
		"0": {"无密码", "no PIN"}, "1": {"密码不含主账号", "PIN block without the card number"}, "2": {"密码含主账号", "PIN block with the card number"},
	}, v[:1])
	method := found(map[string]Words{"0": {"单倍长密钥", "single-length key"}, "6": {"双倍长密钥（3DES）", "double-length key (3DES)"}}, v[1:2])
	w := append(pin, method...)
	if v[2] == '1' {
		w = append(w, Words{"磁道加密", "tracks encrypted"})
	}
	return w
}

// balances is F54: blocks of account type 2, amount type 2, currency 3, sign 1,
// amount 12.
func balances(_ *fieldset, v string) (w []Words) {
	for ; len(v) >= 20; v = v[20:] {
		m := money(v[8:20], v[4:7])
		if m == nil || v[7] != 'C' && v[7] != 'D' {
			return nil
		}
		kind := Words{"金额类型 " + v[2:4], "amount type " + v[2:4]}
		switch v[2:4] {
		case "01":
			kind = Words{"账面余额", "ledger balance"}
		case "02":
			kind = Words{"可用余额", "available balance"}
		}
		sign := ""
		if v[7] == 'D' {
			sign = "-"
		}
		w = append(w, Words{kind.ZH + " " + sign + m[0].ZH, kind.EN + " " + sign + m[0].EN})
	}
	return w
}

// hexDigits says that s is hexadecimal and not empty.
func hexDigits(s string) bool {
	for _, c := range s {
		if _, ok := nibble(c); !ok {
			return false
		}
	}
	return s != ""
}

// unhex reads plain hexadecimal of whole bytes.
func unhex(s string) ([]byte, bool) {
	if len(s)%2 != 0 || !hexDigits(s) {
		return nil, false
	}
	raw := make([]byte, len(s)/2)
	for i := range raw {
		h, _ := nibble(rune(s[2*i]))
		l, _ := nibble(rune(s[2*i+1]))
		raw[i] = h<<4 | l
	}
	return raw, true
}
