package explain

import (
	"strings"
	"testing"

	"tongka/codec/iso8583"
)

// all gives every part of a drawing by its place.
func all(parts []Part, into map[string]Part) map[string]Part {
	for _, p := range parts {
		into[p.Place] = p
		all(p.Parts, into)
	}
	return into
}

// said is what a part means, on one line.
func said(p Part) string {
	var s []string
	for _, m := range p.Meaning {
		s = append(s, m.String())
	}
	return strings.Join(s, "; ")
}

func TestFieldsAreExplained(t *testing.T) {
	f55 := "\x95\x05\x08\x80\x04\x80\x10" + "\x9B\x02\xE8\x00" + "\x9F\x27\x01\x40" + "\x9F\x33\x03\xE0\xF0\xC8" + "\x9F\x34\x03\x1F\x00\x02" +
		"\x9A\x03\x26\x06\x13" + "\x9F\x02\x06\x00\x00\x00\x01\x23\x45" + "\x9F\x36\x02\x01\x00" + "\x84\x08\xA0\x00\x00\x03\x33\x01\x01\x02" +
		"\x72\x05\x86\x03\x01\x02\x03" + "\xDF\x81\x01\x01\xAA" + "\x9F\x35\x01\x22" + "\x8A\x0200" + "\x9F\x1E\x03\x00\x01\x02"
	sale := build(t, iso8583.Pos(), []byte(tpduHeader), 0x0200, 3, "001030", 4, "000000012345", 7, "0613101112", 12, "250000", 13, "0000", 14, "3012",
		22, "072", 25, "06", 26, "12", 49, "344", 53, "1610000000000000", 54, "0002156D000000000500", 55, f55,
		60, "20000123000602003", 61, "000001000017061300", 64, "0A1B2C3D")
	settle := build(t, iso8583.Pos(), nil, 0x0510, 48, "00000001234500700000000000000010000000000000000000000000000002", 60, "00000123201")
	signIn := build(t, iso8583.Pos(), nil, 0x0810, 39, "A7", 60, "00000124003", 62, strings.Repeat("\xAB", 20)+strings.Repeat("\xCD", 8)+strings.Repeat("\x00", 8)+"\x01\x02\x03\x04")
	reversal := build(t, iso8583.Pos(), nil, 0x0400, 3, "600000", 25, "91", 39, "98", 60, "45000001", 61, "000001000016")
	centre := build(t, iso8583.Cups(), nil, 0x0420, 3, "000000", 39, "98", 60, "435106000300", 70, "301",
		90, "020000001706131011120004838453000000000000")
	logon := build(t, iso8583.Cups(), nil, 0x0820, 53, "1600000000000000", 70, "001")
	echo := build(t, iso8583.ASCII93(), nil, 0x1810, 24, "831", 39, "800")
	for _, c := range []struct {
		msg  []byte
		want map[string]string
	}{
		{sale, map[string]string{
			"MTI": "金融，请求，受理方发起 ISO 8583:1987, financial, request, from the acquirer; 预授权完成请求 completion of a pre-authorization",
			"F3":  "消费 goods and services; 转出 储蓄账户，转入 信用账户 from savings account, to credit account", "F4": "港元 123.45 HKD 123.45",
			"F7": "06-13 10:11:12", "F12": "不是有效的日期或时间", "F13": "", "F14": "2030-12", "F22": "非接触 IC 卡 chip, contactless; 不可输密码",
			"F25": "预授权 pre-authorization", "F49": "港元 HKD", "F53": "密码不含主账号 PIN block without the card number; 双倍长密钥（3DES） double-length key (3DES); 磁道加密",
			"F54": "可用余额 -5.00 元 available balance -CNY 5.00", "F60.1": "预授权完成请求", "F60.3": "", "F60.4": "可读非接触 IC 卡", "F60.5": "正常",
			"F61.3": "06-13", "F64": "8 hexadecimal characters 0A1B2C3D",
			"F55.95":   "B1b4 DDA failed; B2b8 卡与终端应用版本不一致 B2b8 ICC and terminal have different application versions; B3b3 输入了联机密码 B3b3 online PIN entered; B4b8",
			"F55.9B":   "B1b8 offline data authentication was performed; B1b7 做过持卡人验证 B1b7 cardholder verification was performed; B1b6 做过卡片风险管理 B1b6 card risk management was performed; B1b4",
			"F55.9F27": "TC: approved offline", "F55.9F33": "B1b8 manual key entry", "F55.9F34": "no CVM required; 总是 always; 成功 successful", "F55.9A": "2026-06-13",
			"F55.9F02": "123.45 元 CNY 123.45", "F55.9F36": "256", "F55.84": "UnionPay credit", "F55.86": "", "F55.DF8101": "", "F55.9F35": "merchant, attended", "F55.8A": "00",
			"F55.9F1E": "",
		}},
		{settle, map[string]string{"MTI": "批结算应答 batch settlement, response", "F48.1": "123.45 元", "F48.5": "平 agreed", "F48.10": "不平 differs", "F60.3": "批结算"}},
		{signIn, map[string]string{"MTI": "签到，双倍长密钥应答", "F39": "密钥缺失 key missing", "F62.1": "", "F62.2": "", "F62.3": "single-length key", "F62.4": ""}},
		{reversal, map[string]string{"MTI": "指定账户圈存冲正 reversal of: load from the card's own account", "F39": "冲正原因：发卡方超时无应答 reason of the reversal: no answer from issuer",
			"F25": "电子现金圈存", "F60.1": "指定账户圈存", "F61.2": ""}},
		{centre, map[string]string{"MTI": "通知", "F39": "reason of the reversal", "F60.1": "终端发起的冲正", "F70": "线路测试 echo test", "F90.3": "06-13 10:11:12", "F90.4": ""}},
		{logon, map[string]string{"MTI": "签到 sign-on", "F53": "重置 PIN 密钥"}},
		{echo, map[string]string{"MTI": "1993 版", "F24": "回响测试 echo test", "F39": "已受理 accepted"}},
	} {
		r := decode(t, c.msg, Options{})
		parts := all(r.Parts, map[string]Part{})
		for place, want := range c.want {
			p, ok := parts[place]
			if got := said(p); !ok || want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("%s %s: there %v, says %q, want %q", r.MTI, place, ok, got, want)
			}
		}
	}
}

// Card data in a template, or as hexadecimal characters, is hidden as well.
func TestCardDataInChipDataIsHiddenEverywhere(t *testing.T) {
	const card = "6222021234567890"
	nested := "\x70\x0F\x5A\x08\x62\x22\x02\x12\x34\x56\x78\x90\x5F\x20\x02AB"
	for name, msg := range map[string][]byte{
		"template":   build(t, iso8583.Pos(), []byte(tpduHeader), 0x0200, 11, "000001", 55, nested),
		"characters": build(t, iso8583.ASCII(), nil, 0x0200, 11, "000001", 55, upper([]byte(nested))),
		"binary":     build(t, iso8583.Cups(), nil, 0x0200, 11, "000001", 55, nested),
	} {
		r := decode(t, msg, Options{})
		var b strings.Builder
		if err := r.WriteText(&b, Style{}); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(b.String(), " ", "")
		if strings.Contains(text, card) || strings.Contains(text, card[6:12]) || strings.Contains(text, upper([]byte(card[6:12]))) || strings.Contains(r.Fields["55"], card[6:12]) {
			t.Errorf("%s: the card can be seen in %s\n%s", name, r.Fields["55"], b.String())
		}
		if p := all(r.Parts, map[string]Part{})["F55.5A"]; p.Value != "622202******7890" {
			t.Errorf("%s: 5A shows %q", name, p.Value)
		}
	}
}

func TestEveryWordHasBothLanguages(t *testing.T) {
	tables := []map[string]Words{procTypes, accountTypes, entryModes, conditions, networkCodes, actionCodes, messageTypes, netCodes, countries}
	n := 0
	for _, table := range tables {
		for k, w := range table {
			if n++; w.ZH == "" || w.EN == "" || hasHan(w.EN) {
				t.Errorf("%s: %q / %q", k, w.ZH, w.EN)
			}
		}
	}
	for k, tag := range tags {
		if n++; tag.ZH == "" || tag.EN == "" || hasHan(tag.EN) || k != strings.ToUpper(k) {
			t.Errorf("tag %s: %q / %q", k, tag.ZH, tag.EN)
		}
	}
	if n < 200 {
		t.Errorf("only %d words", n)
	}
}

// Whatever a value is, explaining it does not fail.
func TestOddValuesAreNotExplained(t *testing.T) {
	f := &fieldset{spec: iso8583.Pos(), mti: 0x0200, text: func(int) string { return "1" }}
	for _, v := range []string{"", "0", "ABC", "99999999999999999999", "D=D=", strings.Repeat("9", 62), "\u00c4\u00ab"} {
		for n, mean := range meanings {
			for _, w := range mean(f, v) {
				if w.ZH == "" {
					t.Errorf("F%d %q: empty words", n, v)
				}
			}
		}
		for _, tag := range tags {
			if tag.mean != nil {
				tag.mean([]byte(v))
			}
		}
		for _, n := range []int{48, 60, 61, 62, 63, 90} {
			pieces(f, n, v)
		}
	}
}
