package explain

import "fmt"

// bit names one bit: byte and bit count as EMV does, bytes from 1 and bits from
// 8, the highest, down to 1.
type bit struct {
	at, bit int
	Words
}

// bits says which bits of a value are set.
func bits(table []bit) func([]byte) []Words {
	return func(raw []byte) []Words {
		var w []Words
		for _, b := range table {
			if b.at <= len(raw) && raw[b.at-1]>>(b.bit-1)&1 == 1 {
				n := fmt.Sprintf("B%db%d ", b.at, b.bit)
				w = append(w, Words{n + b.ZH, n + b.EN})
			}
		}
		if w == nil {
			return one("没有置位", "no bit is set")
		}
		return w
	}
}

// Source of the tables: EMV 4.3 book 3, annex C; book 4, annex A.
var tvrBits = []bit{
	{1, 8, Words{"未做脱机数据认证", "offline data authentication was not performed"}}, {1, 7, Words{"SDA 失败", "SDA failed"}},
	{1, 6, Words{"IC 卡数据缺失", "ICC data missing"}}, {1, 5, Words{"卡在终端异常文件中", "card appears on terminal exception file"}},
	{1, 4, Words{"DDA 失败", "DDA failed"}}, {1, 3, Words{"CDA 失败", "CDA failed"}}, {1, 2, Words{"选择了 SDA", "SDA selected"}},
	{2, 8, Words{"卡与终端应用版本不一致", "ICC and terminal have different application versions"}}, {2, 7, Words{"应用已过期", "expired application"}},
	{2, 6, Words{"应用尚未生效", "application not yet effective"}}, {2, 5, Words{"卡不允许所请求的服务", "requested service not allowed for card product"}},
	{2, 4, Words{"新卡", "new card"}}, {3, 8, Words{"持卡人验证未成功", "cardholder verification was not successful"}},
	{3, 7, Words{"未知的 CVM", "unrecognised CVM"}}, {3, 6, Words{"密码次数超限", "PIN try limit exceeded"}},
	{3, 5, Words{"要求输密码，但密码键盘不存在或有故障", "PIN entry required and PIN pad not present or not working"}},
	{3, 4, Words{"要求输密码，有密码键盘，但未输", "PIN entry required, PIN pad present, but PIN was not entered"}},
	{3, 3, Words{"输入了联机密码", "online PIN entered"}}, {4, 8, Words{"交易超过最低限额", "transaction exceeds floor limit"}},
	{4, 7, Words{"超过连续脱机下限", "lower consecutive offline limit exceeded"}}, {4, 6, Words{"超过连续脱机上限", "upper consecutive offline limit exceeded"}},
	{4, 5, Words{"随机选择联机", "selected randomly for online processing"}}, {4, 4, Words{"商户强制联机", "merchant forced transaction online"}},
	{5, 8, Words{"使用了缺省 TDOL", "default TDOL used"}}, {5, 7, Words{"发卡行认证失败", "issuer authentication failed"}},
	{5, 6, Words{"最后一次生成密文前脚本失败", "script processing failed before final GENERATE AC"}},
	{5, 5, Words{"最后一次生成密文后脚本失败", "script processing failed after final GENERATE AC"}},
}

var tsiBits = []bit{
	{1, 8, Words{"做过脱机数据认证", "offline data authentication was performed"}}, {1, 7, Words{"做过持卡人验证", "cardholder verification was performed"}},
	{1, 6, Words{"做过卡片风险管理", "card risk management was performed"}}, {1, 5, Words{"做过发卡行认证", "issuer authentication was performed"}},
	{1, 4, Words{"做过终端风险管理", "terminal risk management was performed"}}, {1, 3, Words{"执行过发卡行脚本", "script processing was performed"}},
}

var aipBits = []bit{
	{1, 7, Words{"支持 SDA", "SDA supported"}}, {1, 6, Words{"支持 DDA", "DDA supported"}}, {1, 5, Words{"支持持卡人验证", "cardholder verification is supported"}},
	{1, 4, Words{"要求终端风险管理", "terminal risk management is to be performed"}}, {1, 3, Words{"支持发卡行认证", "issuer authentication is supported"}},
	{1, 1, Words{"支持 CDA", "CDA supported"}},
}

var capabilityBits = []bit{
	{1, 8, Words{"手工键入", "manual key entry"}}, {1, 7, Words{"磁条", "magnetic stripe"}}, {1, 6, Words{"接触式 IC", "IC with contacts"}},
	{2, 8, Words{"脱机明文密码", "plaintext PIN for ICC verification"}}, {2, 7, Words{"联机密文密码", "enciphered PIN for online verification"}},
	{2, 6, Words{"签名", "signature"}}, {2, 5, Words{"脱机密文密码", "enciphered PIN for offline verification"}}, {2, 4, Words{"无需 CVM", "no CVM required"}},
	{2, 1, Words{"持卡人证件", "cardholder's identity document"}},
	{3, 8, Words{"SDA", "SDA"}}, {3, 7, Words{"DDA", "DDA"}}, {3, 6, Words{"吞卡", "card capture"}}, {3, 4, Words{"CDA", "CDA"}},
}

// cryptogram is 9F27: what kind of cryptogram 9F26 is.
func cryptogram(raw []byte) []Words {
	if len(raw) != 1 {
		return nil
	}
	w := []Words{cryptograms[raw[0]>>6]}
	if raw[0]&8 != 0 {
		w = append(w, Words{"要求通知", "advice required"})
	}
	switch raw[0] & 7 {
	case 1:
		w = append(w, Words{"服务不允许", "service not allowed"})
	case 2:
		w = append(w, Words{"密码次数超限", "PIN try limit exceeded"})
	case 3:
		w = append(w, Words{"发卡行认证失败", "issuer authentication failed"})
	}
	return w
}

var cryptograms = [4]Words{
	{"AAC：卡片拒绝", "AAC: the card declines"}, {"TC：脱机批准", "TC: approved offline"}, {"ARQC：请求联机授权", "ARQC: online authorisation requested"},
	{"保留", "reserved"},
}

var (
	methods = map[byte]Words{
		0x00: {"验证失败", "fail CVM processing"}, 0x01: {"卡内明文密码", "plaintext PIN verification by ICC"},
		0x02: {"联机密文密码", "enciphered PIN verified online"}, 0x03: {"卡内明文密码加签名", "plaintext PIN by ICC and signature"},
		0x04: {"卡内密文密码", "enciphered PIN verification by ICC"}, 0x05: {"卡内密文密码加签名", "enciphered PIN by ICC and signature"},
		0x1E: {"签名", "signature"}, 0x1F: {"无需验证", "no CVM required"}, 0x20: {"持卡人证件", "cardholder's identity document"},
		0x3F: {"未执行验证", "no CVM performed"},
	}
	methodWhen = map[byte]Words{
		0x00: {"总是", "always"}, 0x01: {"无人值守取现", "if unattended cash"}, 0x02: {"非取现、非返现", "if not cash and not cashback"},
		0x03: {"终端支持此方法", "if terminal supports the CVM"}, 0x04: {"有人值守取现", "if manual cash"}, 0x05: {"返现", "if purchase with cashback"},
		0x06: {"应用货币且低于 X", "if in application currency and under X"}, 0x07: {"应用货币且高于 X", "if in application currency and over X"},
		0x08: {"应用货币且低于 Y", "if in application currency and under Y"}, 0x09: {"应用货币且高于 Y", "if in application currency and over Y"},
	}
	methodResult = map[byte]Words{0: {"结果未知", "result unknown"}, 1: {"失败", "failed"}, 2: {"成功", "successful"}}
)

// verification is 9F34: method, condition, result.
func verification(raw []byte) []Words {
	if len(raw) != 3 {
		return nil
	}
	name := func(table map[byte]Words, b byte) Words {
		if w, ok := table[b]; ok {
			return w
		}
		return Words{fmt.Sprintf("未收录 %02X", b), fmt.Sprintf("%02X is not known", b)}
	}
	m := raw[0] & 0x3F
	w := []Words{name(methods, m), name(methodWhen, raw[1]), name(methodResult, raw[2])}
	if raw[0]&0x40 != 0 && raw[0] != 0x3F {
		w = append(w, Words{"失败时用下一方法", "apply the next method if unsuccessful"})
	}
	return w
}

// terminalType is 9F35: who operates it, and how it is connected.
func terminalType(raw []byte) []Words {
	if len(raw) != 1 {
		return nil
	}
	who := map[byte]Words{1: {"金融机构", "financial institution"}, 2: {"商户", "merchant"}, 3: {"持卡人", "cardholder"}}
	how := [6]Words{{"有人值守，仅联机", "attended, online only"}, {"有人值守，可脱机也可联机", "attended, offline with online capability"},
		{"有人值守，仅脱机", "attended, offline only"}, {"无人值守，仅联机", "unattended, online only"},
		{"无人值守，可脱机也可联机", "unattended, offline with online capability"}, {"无人值守，仅脱机", "unattended, offline only"}}
	w, ok := who[raw[0]>>4]
	n := int(raw[0]&15) - 1
	if !ok || n < 0 || n >= len(how) {
		return []Words{unknown}
	}
	return []Words{{w.ZH + "，" + how[n].ZH, w.EN + ", " + how[n].EN}}
}

// issuerData is 9F10 in the form of PBOC: its length 07, key index, cryptogram
// version, and 03 with three bytes of card verification results.
func issuerData(raw []byte) []Words {
	if len(raw) < 7 || raw[0] != 7 || raw[3] != 3 {
		return nil
	}
	w := one(fmt.Sprintf("密钥索引 %02X，密文版本 %02X，卡片验证结果 CVR %X", raw[1], raw[2], raw[4:7]),
		fmt.Sprintf("key index %02X, cryptogram version %02X, card verification results %X", raw[1], raw[2], raw[4:7]))
	generated := [4]Words{{"AAC", "AAC"}, {"TC", "TC"}, {"ARQC", "ARQC"}, {"保留", "reserved"}}
	first, second := generated[raw[4]>>4&3], raw[4]>>6
	w = append(w, Words{"第一次生成 " + first.ZH, "first GENERATE AC gave " + first.EN})
	if second < 2 {
		w = append(w, Words{"第二次生成 " + generated[second].ZH, "second GENERATE AC gave " + generated[second].EN})
	}
	return w
}
