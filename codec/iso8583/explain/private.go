package explain

import (
	"fmt"
	"strings"

	"tongka/codec/iso8583"
)

// piece is a part of a field at a fixed position, so many characters long.
type piece struct {
	place string
	size  int
	Words
	mean func(f *fieldset, v string) []Words
}

// pieces gives the layout of a field for private use, nil when it is not known.
// Sources: UnionPay POS terminal specification for F48 and F60 to F63 of a
// terminal; CUPS for F60 and F90 of a bank.
func pieces(f *fieldset, n int, value string) []piece {
	digits := strings.Trim(value, "0123456789") == ""
	switch {
	case n == 60 && f.pos():
		return terminal60
	case n == 61 && f.pos() && len(value) >= 12:
		return terminal61
	case n == 48 && f.pos() && f.mti&0xFFEF == 0x0500 && len(value) == 62:
		return totals48
	case n == 48 && f.pos() && f.mti&0xFFEF == 0x0320 && len(value) >= 42 && (len(value)-2)%40 == 0:
		return upload48((len(value) - 2) / 40)
	case n == 62 && f.pos() && f.mti == 0x0810 && signIn(f.text(60)) && hexDigits(value):
		return keys62(value)
	case n == 63 && f.pos() && len(value) >= 3:
		return terminal63(f.mti)
	case n == 60 && f.spec == iso8583.Cups() && digits && len(value) >= 4:
		return centre60
	case n == 90 && len(value) == 42 && digits:
		return original90
	}
	return nil
}

// terminal60 is F60 of a terminal. Management messages stop after 60.3.
var terminal60 = []piece{
	{"60.1", 2, Words{"消息类型", "message type"}, messageType}, {"60.2", 6, Words{"批次号", "batch number"}, nil},
	{"60.3", 3, Words{"网络管理信息码", "network management code"}, netCode}, {"60.4", 1, Words{"终端读取能力", "terminal capability"}, readers},
	{"60.5", 1, Words{"IC 卡条件代码", "chip condition"}, chipCondition}, {"60.6", 1, Words{"支持部分扣款", "partial approval"}, nil},
	{"60.7", 3, Words{"账户类型", "account type"}, nil}, {"60.8", 99, Words{"其余", "the rest"}, nil},
}

// 60.1 by itself says which transaction a financial message is.
var messageTypes = map[string]Words{
	"00": {"管理类", "management"}, "01": {"余额查询", "balance inquiry"}, "10": {"预授权", "pre-authorization"},
	"11": {"预授权撤销", "void of a pre-authorization"}, "20": {"预授权完成请求", "completion of a pre-authorization"},
	"21": {"预授权完成撤销", "void of a completion"}, "22": {"消费", "sale"}, "23": {"消费撤销", "void of a sale"},
	"24": {"预授权完成通知", "completion advice"}, "25": {"退货", "return"}, "27": {"脱机退货", "offline return"},
	"30": {"离线结算", "offline settlement"}, "32": {"结算调整", "settlement adjustment"}, "34": {"小费", "tip"},
	"36": {"脱机消费", "offline sale"}, "45": {"指定账户圈存", "load from the card's own account"}, "46": {"现金充值", "cash load"},
	"47": {"非指定账户圈存", "load from another account"}, "51": {"现金充值撤销", "void of a cash load"}, "07": {"电子签名", "electronic signature"},
}

func messageType(_ *fieldset, v string) []Words { return found(messageTypes, v) }

// netCodes are 60.3 of management messages, by the class of the MTI.
var netCodes = map[string]Words{
	"0800 001": {"签到，单倍长密钥", "sign-in, single-length keys"}, "0800 003": {"签到，双倍长密钥", "sign-in, double-length keys"},
	"0800 004": {"签到，双倍长密钥，含磁道密钥", "sign-in, double-length keys with a track key"}, "0800 006": {"国密签到", "sign-in with SM4 keys"},
	"0800 101": {"终端初始化", "terminal initialization"}, "0800 002": {"签退", "sign-out"}, "0800 301": {"线路测试", "echo test"},
	"0800 360": {"终端参数下载", "download of terminal parameters"}, "0800 361": {"终端参数下载结束", "end of the parameters' download"},
	"0800 362": {"终端参数状态", "state of terminal parameters"}, "0800 370": {"CA 公钥下载", "download of CA public keys"},
	"0800 371": {"CA 公钥下载结束", "end of the keys' download"}, "0800 372": {"CA 公钥状态", "state of CA public keys"},
	"0800 373": {"国密 CA 公钥", "SM2 CA public keys"}, "0800 380": {"IC 卡参数下载", "download of chip parameters"},
	"0800 381": {"IC 卡参数下载结束", "end of the chip parameters' download"}, "0800 382": {"IC 卡参数状态", "state of chip parameters"},
	"0800 390": {"黑名单下载", "download of the blacklist"}, "0800 391": {"黑名单下载结束", "end of the blacklist's download"},
	"0800 394": {"非接参数下载", "download of contactless parameters"}, "0800 395": {"非接参数下载结束", "end of the contactless parameters' download"},
	"0800 396": {"免密新增 BIN 下载", "download of added BINs without PIN"}, "0800 397": {"免密新增 BIN 下载结束", "end of the added BINs' download"},
	"0800 398": {"免密 BIN 黑名单下载", "download of barred BINs without PIN"}, "0800 399": {"免密 BIN 黑名单下载结束", "end of the barred BINs' download"},
	"0500 201": {"批结算", "batch settlement"}, "0300 201": {"批上送，磁条明细", "batch upload, stripe items"},
	"0300 000": {"批上送，脱机或通知明细", "batch upload, offline items or advices"}, "0300 203": {"IC 联机明细上送，对账平", "chip items, totals agreed"},
	"0300 205": {"IC 联机明细上送，对账不平", "chip items, totals differed"}, "0300 202": {"批上送结束，对账平", "end of the upload, totals agreed"},
	"0300 207": {"批上送结束，对账不平", "end of the upload, totals differed"}, "0600 951": {"脚本结果通知", "result of an issuer script"},
}

func netCode(f *fieldset, v string) []Words {
	key := fmt.Sprintf("%04X %s", uint16(f.mti)&0x0F00, v)
	if w, ok := netCodes[key]; ok {
		return []Words{w}
	}
	if v == "000" {
		return nil
	}
	return []Words{unknown}
}

func readers(_ *fieldset, v string) []Words {
	return found(map[string]Words{
		"0": {"未知", "unknown"}, "2": {"磁条", "stripe"}, "5": {"可读接触式 IC 卡", "reads contact chips"}, "6": {"可读非接触 IC 卡", "reads contactless chips"},
	}, v)
}

func chipCondition(_ *fieldset, v string) []Words {
	return found(map[string]Words{
		"0": {"未使用或正常", "not used, or normal"}, "1": {"上笔不是 IC 交易或成功", "the last was no chip transaction, or went well"},
		"2": {"上笔 IC 交易失败（降级）", "the last chip transaction failed (fallback)"},
	}, v)
}

var terminal61 = []piece{
	{"61.1", 6, Words{"原批次号", "original batch number"}, nil}, {"61.2", 6, Words{"原流水号", "original trace number"}, nil},
	{"61.3", 4, Words{"原交易日期 MMDD", "original date MMDD"}, func(_ *fieldset, v string) []Words { return when("MD", v) }},
	{"61.4", 2, Words{"原授权方式", "original authorization mode"}, nil}, {"61.5", 11, Words{"原授权机构", "original authorizing institution"}, nil},
	{"61.6", 99, Words{"其余", "the rest"}, nil},
}

// Sums are in renminbi whatever the card: that is what the terminal adds up.
func sum(_ *fieldset, v string) []Words { return money(v, "156") }

func balance(_ *fieldset, v string) []Words {
	return found(map[string]Words{"0": {"未对账", "not compared"}, "1": {"平", "agreed"}, "2": {"不平", "differs"}, "3": {"错误", "error"}}, v)
}

var totals48 = []piece{
	{"48.1", 12, Words{"内卡借记总额", "domestic debit sum"}, sum}, {"48.2", 3, Words{"内卡借记笔数", "domestic debit count"}, nil},
	{"48.3", 12, Words{"内卡贷记总额", "domestic credit sum"}, sum}, {"48.4", 3, Words{"内卡贷记笔数", "domestic credit count"}, nil},
	{"48.5", 1, Words{"内卡对账应答", "domestic result"}, balance}, {"48.6", 12, Words{"外卡借记总额", "foreign debit sum"}, sum},
	{"48.7", 3, Words{"外卡借记笔数", "foreign debit count"}, nil}, {"48.8", 12, Words{"外卡贷记总额", "foreign credit sum"}, sum},
	{"48.9", 3, Words{"外卡贷记笔数", "foreign credit count"}, nil}, {"48.10", 1, Words{"外卡对账应答", "foreign result"}, balance},
}

func upload48(items int) []piece {
	p := []piece{{"48.0", 2, Words{"笔数", "count"}, nil}}
	for i := range items {
		at := fmt.Sprintf("48.%d", i+1)
		p = append(p, piece{at, 2, Words{"卡类别", "card class"}, nil}, piece{at, 6, Words{"流水号", "trace number"}, nil},
			piece{at, 20, Words{"卡号", "card number"}, nil}, piece{at, 12, Words{"金额", "amount"}, sum})
	}
	return p
}

// signIn says that F60 is that of a sign-in.
func signIn(f60 string) bool {
	return len(f60) >= 11 && f60[:2] == "00" && f60[8:10] == "00"
}

// keys62 is F62 of the answer to a sign-in: working keys under the TMK, each with
// four bytes of check value. The value is in hexadecimal.
func keys62(value string) []piece {
	names := []Words{{"PIN 密钥 PIK", "PIN key"}, {"MAC 密钥 MAK", "MAC key"}, {"磁道密钥 TDK", "track key"}}
	key, count := 32, 0
	switch len(value) {
	case 48:
		key, count = 16, 2
	case 80:
		count = 2
	case 120:
		count = 3
	case 168:
		key, count = 48, 3
	}
	var p []piece
	for i := range count {
		p = append(p, piece{fmt.Sprintf("62.%d", 2*i+1), key, Words{names[i].ZH + "（主密钥加密）", names[i].EN + ", under the master key"}, halfKey},
			piece{fmt.Sprintf("62.%d", 2*i+2), 8, Words{"校验值", "check value"}, nil})
	}
	return p
}

// halfKey tells a slot of 16 bytes with a single-length key in it.
func halfKey(_ *fieldset, v string) []Words {
	if len(v) == 32 && strings.Trim(v[16:], "0") == "" {
		return one("单倍长密钥，后 8 字节为零", "a single-length key: its last 8 bytes are zero")
	}
	return nil
}

func terminal63(mti iso8583.MTI) []piece {
	first := Words{"国际信用卡公司代码", "card organization"}
	if mti&0xFF00 == 0x0800 {
		first = Words{"操作员代码", "operator"}
	}
	return []piece{{"63.1", 3, first, cardOrganization}, {"63.2", 999, Words{"附加文字", "more text"}, nil}}
}

func cardOrganization(_ *fieldset, v string) []Words {
	if w, ok := map[string]Words{
		"CUP": {"中国银联", "China UnionPay"}, "VIS": {"Visa", "Visa"}, "MCC": {"万事达", "Mastercard"}, "MAE": {"Maestro", "Maestro"},
		"JCB": {"JCB", "JCB"}, "AMX": {"美国运通", "American Express"}, "DCC": {"大来", "Diners Club"},
	}[v]; ok {
		return []Words{w}
	}
	return nil
}

var centre60 = []piece{
	{"60.1", 4, Words{"报文原因代码", "reason code"}, func(_ *fieldset, v string) []Words {
		return found(map[string]Words{"0000": {"无", "none"}, "4351": {"终端发起的冲正", "reversal raised by the terminal"}}, v)
	}},
	{"60.2.1", 1, Words{"账户所有人类型", "account owner"}, nil}, {"60.2.2", 1, Words{"终端读取能力", "terminal capability"}, readers},
	{"60.2.3", 1, Words{"IC 卡条件代码", "chip condition"}, chipCondition}, {"60.2.4", 1, Words{"保留", "reserved"}, nil},
	{"60.2.5", 2, Words{"终端类型", "terminal type"}, nil}, {"60.3", 99, Words{"其余", "the rest"}, nil},
}

var original90 = []piece{
	{"90.1", 4, Words{"原消息类型", "original MTI"}, nil}, {"90.2", 6, Words{"原系统跟踪号", "original trace number"}, nil},
	{"90.3", 10, Words{"原交易传输时间", "original transmission time"}, func(_ *fieldset, v string) []Words { return when("MDhms", v) }},
	{"90.4", 11, Words{"原受理机构", "original acquirer"}, nil}, {"90.5", 11, Words{"原发送机构", "original forwarder"}, nil},
}

// transaction names what a message is for, by MTI, F3, F25 and 60.1; empty when
// that is not known.
func transaction(f *fieldset) Words {
	kind, en := "", ""
	f60 := f.text(60)
	switch class := f.mti & 0x0F00; {
	case class == 0x0800 && f.pos() && len(f60) >= 11:
		if w, ok := netCodes["0800 "+f60[8:11]]; ok {
			kind, en = w.ZH, w.EN
		}
	case class == 0x0800:
		w := networkCodes[f.text(70)]
		kind, en = w.ZH, w.EN
	case class == 0x0100 || class == 0x0200 || class == 0x0400:
		kind, en = financial(f, f60)
	case f.pos() && len(f60) >= 11:
		if w, ok := netCodes[fmt.Sprintf("%04X %s", uint16(class), f60[8:11])]; ok {
			kind, en = w.ZH, w.EN
		}
	}
	if kind == "" {
		return Words{}
	}
	if f.mti&0x0F00 == 0x0400 {
		kind, en = kind+"冲正", "reversal of: "+en
	}
	if f.mti&0x0010 != 0 {
		kind, en = kind+"应答", en+", response"
	}
	return Words{kind, en}
}

func financial(f *fieldset, f60 string) (zh, en string) {
	if f.pos() && len(f60) >= 2 && f60[:2] != "00" {
		w := messageTypes[f60[:2]]
		return w.ZH, w.EN
	}
	proc := f.text(3)
	if len(proc) != 6 {
		return "", ""
	}
	w := procTypes[proc[:2]]
	return w.ZH, w.EN
}
