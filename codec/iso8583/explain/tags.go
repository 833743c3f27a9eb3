package explain

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// tag is what F55 may hold: its name, and what its value says.
type tag struct {
	Words
	mean func(raw []byte) []Words
}

// tags by number. Source: EMV 4.3 book 3, annex A; PBOC 3.0 for 9F63, 9F74 to
// 9F79, DF31.
var tags = map[string]tag{
	"42": {Words{"发卡行标识", "issuer identification number"}, nil}, "4F": {Words{"应用标识 AID", "application identifier"}, application},
	"50": {Words{"应用标签", "application label"}, characters}, "56": {Words{"一磁等效数据", "track 1 equivalent data"}, nil},
	"57": {Words{"二磁等效数据", "track 2 equivalent data"}, nil}, "5A": {Words{"应用主账号", "application PAN"}, nil},
	"5F20": {Words{"持卡人姓名", "cardholder name"}, nil}, "5F24": {Words{"应用失效日期", "application expiration date"}, day},
	"5F25": {Words{"应用生效日期", "application effective date"}, day}, "5F28": {Words{"发卡行国家代码", "issuer country code"}, country},
	"5F2A": {Words{"交易货币代码", "transaction currency code"}, coin}, "5F2D": {Words{"首选语言", "language preference"}, characters},
	"5F30": {Words{"服务码", "service code"}, nil}, "5F34": {Words{"应用主账号序列号", "application PAN sequence number"}, nil},
	"70": {Words{"记录模板", "record template"}, nil}, "71": {Words{"发卡行脚本模板 1", "issuer script template 1"}, nil},
	"72": {Words{"发卡行脚本模板 2", "issuer script template 2"}, nil}, "77": {Words{"应答模板", "response template"}, nil},
	"82": {Words{"应用交互特征 AIP", "application interchange profile"}, bits(aipBits)}, "84": {Words{"专用文件名", "dedicated file name"}, application},
	"86": {Words{"发卡行脚本命令", "issuer script command"}, nil}, "8A": {Words{"授权响应码", "authorisation response code"}, characters},
	"8C": {Words{"CDOL1", "CDOL1"}, nil}, "8D": {Words{"CDOL2", "CDOL2"}, nil}, "8E": {Words{"持卡人验证方法列表", "CVM list"}, nil},
	"91": {Words{"发卡行认证数据", "issuer authentication data"}, arpc}, "94": {Words{"应用文件定位器", "application file locator"}, nil},
	"95": {Words{"终端验证结果 TVR", "terminal verification results"}, bits(tvrBits)}, "9A": {Words{"交易日期", "transaction date"}, day},
	"9B": {Words{"交易状态信息 TSI", "transaction status information"}, bits(tsiBits)}, "9C": {Words{"交易类型", "transaction type"}, transactionType},
	"9F01": {Words{"收单行标识", "acquirer identifier"}, nil}, "9F02": {Words{"授权金额", "amount, authorised"}, minor},
	"9F03": {Words{"其他金额", "amount, other"}, minor}, "9F06": {Words{"终端应用标识", "application identifier, terminal"}, application},
	"9F07": {Words{"应用用途控制", "application usage control"}, nil}, "9F08": {Words{"卡片应用版本号", "application version number, card"}, nil},
	"9F09": {Words{"终端应用版本号", "application version number, terminal"}, nil}, "9F0B": {Words{"持卡人姓名扩展", "cardholder name extended"}, nil},
	"9F0D": {Words{"发卡行行为代码（缺省）", "issuer action code, default"}, bits(tvrBits)},
	"9F0E": {Words{"发卡行行为代码（拒绝）", "issuer action code, denial"}, bits(tvrBits)},
	"9F0F": {Words{"发卡行行为代码（联机）", "issuer action code, online"}, bits(tvrBits)},
	"9F10": {Words{"发卡行应用数据", "issuer application data"}, issuerData}, "9F12": {Words{"应用首选名称", "application preferred name"}, characters},
	"9F13": {Words{"上次联机 ATC", "last online ATC"}, counter}, "9F15": {Words{"商户类别码", "merchant category code"}, nil},
	"9F16": {Words{"商户标识", "merchant identifier"}, characters}, "9F17": {Words{"密码剩余次数", "PIN try counter"}, counter},
	"9F1A": {Words{"终端国家代码", "terminal country code"}, country}, "9F1C": {Words{"终端标识", "terminal identification"}, characters},
	"9F1E": {Words{"接口设备序列号", "interface device serial number"}, characters}, "9F1F": {Words{"一磁自定义数据", "track 1 discretionary data"}, nil},
	"9F20": {Words{"二磁自定义数据", "track 2 discretionary data"}, nil}, "9F21": {Words{"交易时间", "transaction time"}, clockTime},
	"9F26": {Words{"应用密文", "application cryptogram"}, nil}, "9F27": {Words{"密文信息数据", "cryptogram information data"}, cryptogram},
	"9F33": {Words{"终端性能", "terminal capabilities"}, bits(capabilityBits)}, "9F34": {Words{"持卡人验证结果 CVM", "CVM results"}, verification},
	"9F35": {Words{"终端类型", "terminal type"}, terminalType}, "9F36": {Words{"应用交易计数器 ATC", "application transaction counter"}, counter},
	"9F37": {Words{"不可预知数", "unpredictable number"}, nil}, "9F39": {Words{"服务点输入方式", "POS entry mode"}, nil},
	"9F40": {Words{"终端附加性能", "additional terminal capabilities"}, nil}, "9F41": {Words{"交易序列计数器", "transaction sequence counter"}, nil},
	"9F45": {Words{"数据认证码", "data authentication code"}, nil}, "9F4C": {Words{"IC 动态数", "ICC dynamic number"}, nil},
	"9F4E": {Words{"商户名称", "merchant name and location"}, characters}, "9F53": {Words{"交易类别码", "transaction category code"}, characters},
	"9F5D": {Words{"可用脱机消费金额", "available offline spending amount"}, minor}, "9F63": {Words{"卡产品标识", "card product identification"}, nil},
	"9F66": {Words{"终端交易属性 TTQ", "terminal transaction qualifiers"}, nil}, "9F6B": {Words{"非接二磁数据", "track 2 data, contactless"}, nil},
	"9F6C": {Words{"卡片交易属性 CTQ", "card transaction qualifiers"}, nil}, "9F6E": {Words{"外形参数", "form factor indicator"}, nil},
	"9F74": {Words{"电子现金发卡行授权码", "electronic cash issuer authorization code"}, characters},
	"9F77": {Words{"电子现金余额上限", "electronic cash balance limit"}, minor}, "9F78": {Words{"电子现金单笔限额", "electronic cash transaction limit"}, minor},
	"9F79": {Words{"电子现金余额", "electronic cash balance"}, minor}, "9F7C": {Words{"客户排他数据", "customer exclusive data"}, nil},
	"DF31": {Words{"发卡行脚本结果", "issuer script results"}, nil},
}

func one(zh, en string) []Words { return []Words{{zh, en}} }

func same(s string) []Words { return one(s, s) }

func characters(raw []byte) []Words {
	if len(raw) == 0 || !printable(raw) {
		return nil
	}
	return same(string(raw))
}

func counter(raw []byte) []Words {
	if len(raw) == 0 || len(raw) > 4 {
		return nil
	}
	var wide [4]byte
	copy(wide[4-len(raw):], raw)
	return same(fmt.Sprint(binary.BigEndian.Uint32(wide[:])))
}

func minor(raw []byte) []Words { return money(fmt.Sprintf("%X", raw), "156") }

func day(raw []byte) []Words { return when("YMD", fmt.Sprintf("%X", raw)) }

func clockTime(raw []byte) []Words { return when("hms", fmt.Sprintf("%X", raw)) }

func coin(raw []byte) []Words {
	return currency(nil, strings.TrimPrefix(fmt.Sprintf("%X", raw), "0"))
}

var countries = map[string]Words{
	"0156": {"中国", "China"}, "0344": {"中国香港", "Hong Kong, China"}, "0446": {"中国澳门", "Macao, China"}, "0158": {"中国台湾", "Taiwan, China"},
	"0840": {"美国", "United States"}, "0392": {"日本", "Japan"}, "0410": {"韩国", "Korea"}, "0702": {"新加坡", "Singapore"},
	"0764": {"泰国", "Thailand"}, "0826": {"英国", "United Kingdom"}, "0643": {"俄罗斯", "Russia"},
}

func country(raw []byte) []Words { return found(countries, fmt.Sprintf("%X", raw)) }

func transactionType(raw []byte) []Words { return found(procTypes, fmt.Sprintf("%X", raw)) }

// Applications by the beginning of their identifier.
var applications = []struct {
	prefix string
	Words
}{
	{"A000000333010101", Words{"银联借记", "UnionPay debit"}}, {"A000000333010102", Words{"银联贷记", "UnionPay credit"}},
	{"A000000333010103", Words{"银联准贷记", "UnionPay quasi-credit"}}, {"A000000333010106", Words{"银联电子现金", "UnionPay electronic cash"}},
	{"A000000333", Words{"银联", "UnionPay"}}, {"A000000003", Words{"Visa", "Visa"}}, {"A000000004", Words{"万事达", "Mastercard"}},
	{"A000000025", Words{"美国运通", "American Express"}}, {"A000000065", Words{"JCB", "JCB"}}, {"A000000632", Words{"交通联合", "China T-Union"}},
}

func application(raw []byte) []Words {
	id := fmt.Sprintf("%X", raw)
	for _, a := range applications {
		if strings.HasPrefix(id, a.prefix) {
			return []Words{a.Words}
		}
	}
	return nil
}

// arpc is tag 91: a cryptogram of 8 bytes and a response code of 2 characters.
func arpc(raw []byte) []Words {
	if len(raw) != 10 || !printable(raw[8:]) {
		return nil
	}
	return one(fmt.Sprintf("ARPC %X，授权响应码 %s", raw[:8], raw[8:]), fmt.Sprintf("ARPC %X, response code %s", raw[:8], raw[8:]))
}
