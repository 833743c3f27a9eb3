package explain

import (
	"strings"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// Words is one meaning in Chinese and English.
type Words struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// String is both languages on one line.
func (w Words) String() string { return w.join(" ") }

func (w Words) join(between string) string {
	if w.ZH == w.EN {
		return w.ZH
	}
	return strings.TrimSpace(w.ZH + between + w.EN)
}

// The digits of an MTI. Source: ISO 8583:1987, 4.1.
var (
	mtiVersion = map[byte]Words{'0': {"1987 版", "ISO 8583:1987"}, '1': {"1993 版", "ISO 8583:1993"}, '2': {"2003 版", "ISO 8583:2003"}}
	mtiClass   = map[byte]Words{
		'1': {"授权", "authorization"}, '2': {"金融", "financial"}, '3': {"文件", "file action"}, '4': {"冲正", "reversal"},
		'5': {"对账", "reconciliation"}, '6': {"管理", "administrative"}, '7': {"收费", "fee collection"}, '8': {"网络管理", "network management"},
		'9': {"自定义", "reserved for private use"},
	}
	mtiFunction = map[byte]Words{
		'0': {"请求", "request"}, '1': {"请求应答", "request response"}, '2': {"通知", "advice"}, '3': {"通知应答", "advice response"},
		'4': {"告知", "notification"}, '5': {"告知确认", "notification acknowledgement"},
	}
	mtiOrigin = map[byte]Words{
		'0': {"受理方发起", "from the acquirer"}, '1': {"受理方重发", "repeated by the acquirer"}, '2': {"发卡方发起", "from the issuer"},
		'3': {"发卡方重发", "repeated by the issuer"}, '4': {"其他方发起", "from another party"}, '5': {"其他方重发", "repeated by another party"},
	}
)

func mtiWords(m iso8583.MTI) []Words {
	s := m.String()
	var zh, en []string
	for i, table := range []map[byte]Words{mtiVersion, mtiClass, mtiFunction, mtiOrigin} {
		w, ok := table[s[i]]
		if !ok {
			w = Words{"未定义 " + s[i:i+1], "not defined: " + s[i:i+1]}
		}
		zh, en = append(zh, w.ZH), append(en, w.EN)
	}
	return []Words{{strings.Join(zh, "，"), strings.Join(en, ", ")}}
}

// The first two digits of F3 as terminals and the card centre use them. Source:
// ISO 8583:1987, 4.3.3; UnionPay POS terminal specification for 03, 17 and 6x.
var procTypes = map[string]Words{
	"00": {"消费", "goods and services"}, "01": {"取现", "cash"}, "02": {"借记调整", "debit adjustment"}, "03": {"预授权", "pre-authorization"},
	"09": {"消费返现", "goods with cash back"}, "17": {"现金充值撤销", "void of a cash load"}, "20": {"撤销或退货", "void or return"},
	"21": {"存款", "deposit"}, "22": {"贷记调整", "credit adjustment"}, "28": {"充值", "prepaid load"},
	"30": {"可用余额查询", "available funds inquiry"}, "31": {"余额查询", "balance inquiry"}, "33": {"账户验证", "account verification"},
	"38": {"账户查询", "account inquiry"}, "40": {"转账", "transfer"}, "60": {"指定账户圈存", "load from the card's own account"},
	"62": {"非指定账户圈存（终端）", "load from another account, at a terminal"}, "63": {"现金充值", "cash load"},
	"65": {"非指定账户圈存（中心）", "load from another account, at the centre"}, "92": {"签到（自定义）", "sign-in, private"},
	"99": {"自定义", "private"},
}

var accountTypes = map[string]Words{
	"00": {"默认账户", "default account"}, "10": {"储蓄账户", "savings account"}, "20": {"支票账户", "cheque account"},
	"30": {"信用账户", "credit account"}, "40": {"通用账户", "universal account"}, "50": {"投资账户", "investment account"},
}

// F22: how the card number came in, and whether a PIN can. Source: ISO
// 8583:1987, 4.3.10; UnionPay for 07 and 9x.
var entryModes = map[string]Words{
	"00": {"未指明", "not specified"}, "01": {"手工输入", "manual"}, "02": {"磁条读入", "magnetic stripe"}, "03": {"条码或二维码", "bar code"},
	"04": {"光学识别", "optical character reading"}, "05": {"接触式 IC 卡", "chip, contact"}, "07": {"非接触 IC 卡", "chip, contactless"},
	"09": {"电子商务", "electronic commerce"}, "10": {"留存卡号", "credentials on file"}, "80": {"IC 卡降级为磁条", "stripe after a chip failed"},
	"90": {"磁条读入，磁道完整", "whole magnetic stripe"}, "91": {"非接触磁条数据", "contactless, stripe data"},
	"95": {"接触式 IC 卡，数据可能不可靠", "chip, data may be unreliable"}, "98": {"非接触 IC 卡，数据可能不可靠", "contactless, data may be unreliable"},
	"92": {"手机芯片", "chip of a phone"}, "94": {"人脸或生物识别", "face or other biometrics"}, "96": {"二维码被扫", "code shown by the customer"},
	"97": {"二维码主扫", "code shown by the merchant"},
}

var pinEntry = map[byte]Words{
	'0': {"未指明能否输密码", "PIN entry not specified"}, '1': {"可输密码", "with PIN entry"}, '2': {"不可输密码", "without PIN entry"},
	'3': {"密码键盘故障", "PIN pad out of order"},
}

// F25. Source: ISO 8583:1987 and UnionPay.
var conditions = map[string]Words{
	"00": {"正常", "normal"}, "01": {"持卡人不在场", "customer not present"}, "02": {"无人终端", "unattended terminal"},
	"03": {"商户可疑", "merchant suspicious"}, "05": {"持卡人在场，卡不在场", "card not present"}, "06": {"预授权", "pre-authorization"},
	"07": {"电话银行", "telephone"}, "08": {"邮购电购", "mail or telephone order"}, "15": {"商业终端", "commercial terminal"},
	"18": {"支付终端", "payment terminal"}, "59": {"电子商务", "electronic commerce"}, "65": {"退货或补登", "return or later entry"},
	"66": {"追加预授权", "added pre-authorization"}, "69": {"脱机退货", "offline return"}, "91": {"电子现金圈存", "electronic cash load"},
}

// The currencies that terminals of the region meet. Source: ISO 4217.
var currencies = map[string]struct {
	Words
	sign     string
	decimals int
}{
	"156": {Words{"人民币", "yuan renminbi"}, "CNY", 2}, "344": {Words{"港元", "Hong Kong dollar"}, "HKD", 2},
	"446": {Words{"澳门元", "pataca"}, "MOP", 2}, "901": {Words{"新台币", "new Taiwan dollar"}, "TWD", 2},
	"840": {Words{"美元", "US dollar"}, "USD", 2}, "978": {Words{"欧元", "euro"}, "EUR", 2}, "826": {Words{"英镑", "pound sterling"}, "GBP", 2},
	"392": {Words{"日元", "yen"}, "JPY", 0}, "410": {Words{"韩元", "won"}, "KRW", 0}, "702": {Words{"新加坡元", "Singapore dollar"}, "SGD", 2},
	"036": {Words{"澳大利亚元", "Australian dollar"}, "AUD", 2}, "124": {Words{"加拿大元", "Canadian dollar"}, "CAD", 2},
	"643": {Words{"俄罗斯卢布", "Russian rouble"}, "RUB", 2}, "764": {Words{"泰铢", "baht"}, "THB", 2}, "458": {Words{"林吉特", "ringgit"}, "MYR", 2},
}

// F70 at a card centre of the CUPS style.
var networkCodes = map[string]Words{
	"001": {"签到", "sign-on"}, "002": {"签退", "sign-off"}, "101": {"密钥重置", "key change"}, "201": {"日切开始", "day cut begins"},
	"202": {"日切结束", "day cut ends"}, "301": {"线路测试", "echo test"},
}

// Function codes of ISO 8583:1993 (F24), the commonest.
var functionCodes = map[string]Words{
	"100": {"原始授权，金额准确", "original authorisation, amount accurate"}, "101": {"原始授权，金额估计", "original authorisation, amount estimated"},
	"108": {"查询", "enquiry"}, "200": {"原始金融请求", "original financial request"}, "201": {"已批准的授权，金额相同", "approved before, same amount"},
	"202": {"已批准的授权，金额不同", "approved before, another amount"}, "400": {"全额冲正", "full reversal"}, "401": {"部分冲正", "partial reversal"},
	"500": {"最终对账", "final reconciliation"}, "501": {"检查点对账", "checkpoint reconciliation"}, "801": {"签到", "sign-on"}, "802": {"签退", "sign-off"},
	"811": {"密钥管理", "security, keys"}, "821": {"日切", "cutover"}, "822": {"检查点", "checkpoint"}, "831": {"回响测试", "echo test"},
}

// Action codes of ISO 8583:1993, whose F39 has three digits, by their class and
// the commonest by themselves.
var actionCodes = map[string]Words{
	"000": {"成功", "approved"}, "001": {"凭证件批准", "approved with identification"}, "002": {"部分批准", "approved for a part"},
	"100": {"不予承兑", "do not honour"}, "101": {"过期卡", "expired card"}, "102": {"有作弊嫌疑", "suspected fraud"},
	"106": {"密码次数超限", "PIN tries exceeded"}, "109": {"无效商户", "invalid merchant"}, "110": {"无效金额", "invalid amount"},
	"111": {"无效卡号", "invalid card number"}, "116": {"余额不足", "insufficient funds"}, "117": {"密码错", "wrong PIN"},
	"118": {"无此卡", "no card record"}, "119": {"持卡人不允许的交易", "not permitted to cardholder"}, "120": {"终端不允许的交易", "not permitted to terminal"},
	"121": {"超出金额限制", "amount limit exceeded"}, "123": {"超出次数限制", "count limit exceeded"}, "200": {"不予承兑，没收卡", "do not honour, pick up"},
	"208": {"挂失卡", "lost card"}, "209": {"被窃卡", "stolen card"}, "300": {"成功", "successful"}, "400": {"冲正已受理", "reversal accepted"},
	"500": {"对账平", "reconciled, in balance"}, "501": {"对账不平", "reconciled, out of balance"}, "800": {"已受理", "accepted"},
	"902": {"无效交易", "invalid transaction"}, "904": {"报文格式错", "format error"}, "907": {"发卡方线路异常", "issuer inoperative"},
	"908": {"找不到路由", "destination cannot be found"}, "909": {"系统故障", "system malfunction"}, "911": {"发卡方超时", "issuer timed out"},
	"103": {"受卡方联系受理方", "card acceptor, contact the acquirer"}, "104": {"受限制的卡", "restricted card"}, "107": {"查询发卡方", "refer to the issuer"},
	"112": {"须输密码", "PIN required"}, "115": {"不支持的功能", "function not supported"}, "122": {"违反安全规定", "security violation"},
	"124": {"违法", "violation of law"}, "125": {"卡未生效", "card not effective"}, "126": {"PIN 格式错", "invalid PIN block"}, "127": {"PIN 长度错", "PIN length wrong"},
	"129": {"疑为伪卡", "suspected counterfeit"}, "900": {"通知已收，不承担责任", "advice taken, no liability"}, "901": {"通知已收，承担责任", "advice taken, with liability"},
	"903": {"请重新交易", "enter again"}, "906": {"日切进行中", "cutover in progress"}, "910": {"发卡方已签退", "issuer signed off"},
	"912": {"发卡方不可用", "issuer unavailable"}, "914": {"找不到原交易", "original not found"}, "917": {"MAC 密钥失步", "MAC key out of step"},
	"918": {"无通信密钥", "no keys for communication"},
	"913": {"重复交易", "duplicate transmission"}, "916": {"MAC 错", "MAC incorrect"}, "923": {"请求处理中", "request in progress"},
}

func responseWords(mti iso8583.MTI, code string) []Words {
	if len(code) == 3 {
		return found(actionCodes, code)
	}
	if len(code) != 2 {
		return nil
	}
	w := txn.Code{code[0], code[1]}.Words()
	if w.ZH == "" {
		return []Words{unknown}
	}
	words := Words{w.ZH, w.EN}
	if mti&0x0F10 == 0x0400 {
		words = Words{"冲正原因：" + w.ZH, "reason of the reversal: " + w.EN}
	}
	return []Words{words}
}

var unknown = Words{"未收录的取值", "a value without known words"}

// found gives the words of a table for a value, or says that there are none.
func found(table map[string]Words, value string) []Words {
	if w, ok := table[value]; ok {
		return []Words{w}
	}
	return []Words{unknown}
}
