package txn

// Code is a response code (F39, an2).
type Code [2]byte

// Response codes that the switch itself gives. The words are in codeWords.
var (
	OK             = Code{'0', '0'}
	SeePerson      = Code{'0', '1'}
	BadMerchant    = Code{'0', '3'}
	BadTransaction = Code{'1', '2'}
	BadAmount      = Code{'1', '3'}
	BadCard        = Code{'1', '4'}
	BadIssuer      = Code{'1', '5'}
	InProgress     = Code{'0', '9'}
	Conflict       = Code{'2', '2'}
	NoOriginal     = Code{'2', '5'}
	BadFormat      = Code{'3', '0'}
	Suspect        = Code{'3', '4'}
	NotSupported   = Code{'4', '0'}
	NoFunds        = Code{'5', '1'}
	Expired        = Code{'5', '4'}
	NotAllowed     = Code{'5', '8'}
	OverAmount     = Code{'6', '1'}
	BadCardMAC     = Code{'6', '3'}
	SignInAgain    = Code{'7', '7'}
	LinkDown       = Code{'9', '1'}
	NoRoute        = Code{'9', '2'}
	Duplicate      = Code{'9', '4'}
	SystemFault    = Code{'9', '6'}
	NotRegistered  = Code{'9', '7'}
	NoAnswer       = Code{'9', '8'}
	BadPIN         = Code{'9', '9'}
	BadMAC         = Code{'A', '0'}
	NoKey          = Code{'A', '7'}
)

// Approved says that a terminal takes this code for a success, so that money has
// moved. Beside 00 the card association's table has approvals with a remark: 10
// for a part, 11 of an important person, 16 with a new third track, A2 and A4 to
// A6 that are to be looked into. A bank that uses none of them is not affected.
func (c Code) Approved() bool {
	switch c {
	case OK, Code{'1', '0'}, Code{'1', '1'}, Code{'1', '6'}, Code{'A', '2'}, Code{'A', '4'}, Code{'A', '5'}, Code{'A', '6'}:
		return true
	}
	return false
}

// Words is a response code in Chinese and English.
type Words struct{ ZH, EN string }

var codeWords = map[Code]Words{
	OK: {"成功", "approved"}, SeePerson: {"请联系发卡行", "refer to issuer"}, BadMerchant: {"无效商户", "invalid merchant"},
	{'0', '2'}: {"请联系发卡行（特殊情况）", "refer to issuer, special"}, {'0', '9'}: {"请求正在处理", "request in progress"},
	{'0', '4'}: {"没收卡", "capture card"}, {'0', '5'}: {"不予承兑", "do not honour"}, {'0', '6'}: {"出错", "error"},
	InProgress:     {"原交易处理中，请稍后重试", "in progress, try again"},
	BadTransaction: {"无效交易", "invalid transaction"}, BadAmount: {"无效金额", "invalid amount"}, BadCard: {"无效卡号", "invalid card number"},
	{'1', '0'}: {"部分承兑", "approved for a part"}, {'1', '1'}: {"重要人物批准", "approved, important person"}, {'1', '6'}: {"批准，更新第三磁道", "approved, new third track"},
	{'A', '2'}: {"有缺陷的成功", "approved, to be looked into"}, {'A', '4'}: {"有缺陷的成功", "approved, to be looked into"},
	{'A', '5'}: {"有缺陷的成功", "approved, to be looked into"}, {'A', '6'}: {"有缺陷的成功", "approved, to be looked into"},
	BadIssuer: {"无此发卡方", "no such issuer"}, Conflict: {"故障怀疑，关联交易错误", "suspected malfunction, related transaction in the way"}, NoOriginal: {"找不到原交易", "original not found"},
	BadFormat: {"报文格式错", "format error"}, Suspect: {"有作弊嫌疑", "suspected fraud"}, NotSupported: {"功能不支持", "function not supported"},
	{'4', '1'}: {"挂失卡", "lost card"}, {'4', '3'}: {"被窃卡", "stolen card"}, NoFunds: {"余额不足", "insufficient funds"},
	Expired: {"过期卡或订单", "expired card or order"}, {'5', '5'}: {"密码错", "wrong PIN"}, {'5', '7'}: {"持卡人不允许的交易", "not permitted to cardholder"},
	NotAllowed: {"终端不允许的交易", "not permitted to terminal"}, OverAmount: {"超出金额限制", "amount limit exceeded"},
	{'6', '5'}: {"超出次数限制", "count limit exceeded"}, {'6', '8'}: {"应答迟到", "late response"}, {'7', '5'}: {"密码次数超限", "PIN tries exceeded"},
	SignInAgain: {"请重新签到", "sign in again"}, {'7', '9'}: {"请重传脱机数据", "upload offline data again"}, {'9', '0'}: {"日切中", "day cut in progress"},
	LinkDown: {"发卡方线路异常", "issuer link down"}, NoRoute: {"找不到路由", "no route"}, Duplicate: {"重复交易", "duplicate transaction"},
	{'9', '5'}: {"对账不平", "reconcile error"}, SystemFault: {"系统故障", "system malfunction"}, NotRegistered: {"终端未登记", "terminal not registered"},
	NoAnswer: {"发卡方超时无应答", "no answer from issuer"}, BadPIN: {"PIN 格式错", "PIN block error"},
	BadCardMAC: {"卡片校验错", "card's own MAC wrong"},
	BadMAC:     {"MAC 校验错", "MAC error"}, NoKey: {"密钥缺失", "key missing"},
}

// Words gives the code's meaning; empty for one that the table does not hold.
func (c Code) Words() Words { return codeWords[c] }

// String is the code as it travels.
func (c Code) String() string {
	if c == (Code{}) {
		return "--"
	}
	return string(c[:])
}
