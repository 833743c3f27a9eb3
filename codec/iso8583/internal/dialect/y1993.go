package dialect

// ASCII93 is ISO 8583:1993 in characters throughout (93A), bitmaps and binary
// fields hexadecimal; the length of a hexadecimal field counts its bytes.
func ASCII93() *Declaration {
	return of93("93a", "1993 版全字符（93A）/ ISO 8583:1993 in characters (93A)", allHex, ASCII, Hex)
}

// Binary93 is ISO 8583:1993 packed (93B). As in Binary87, numbers of fixed length
// are right aligned and those of variable length left; tracks are characters.
func Binary93() *Declaration {
	w := packed
	w.stripe = ASCII
	return of93("93b", "1993 版压缩编码（93B）/ ISO 8583:1993, packed (93B)", w, BCD, Bytes)
}

// of93 is the table of ISO 8583:1993, which both variants share.
func of93(name, about string, w vocabulary, mti, maps Coding) *Declaration {
	f := map[int]Field{
		2: w.nLL(19), 3: w.n(6), 4: w.n(12), 5: w.n(12), 6: w.n(12), 7: w.n(10), 8: w.n(8), 9: w.n(8), 10: w.n(8),
		11: w.n(6), 12: w.n(12), 13: w.n(4), 14: w.n(4), 15: w.n(6), 16: w.n(4), 17: w.n(4), 18: w.n(4), 19: w.n(3), 20: w.n(3), 21: w.n(3),
		22: w.ans(12), 23: w.n(3), 24: w.n(3), 25: w.n(4), 26: w.n(4), 27: w.n(1), 28: w.n(6), 29: w.n(3), 30: w.n(24), 31: w.ansLL(99),
		32: w.nLL(11), 33: w.nLL(11), 34: w.ansLL(28), 35: w.zLL(37), 36: w.zLLL(104), 37: w.ans(12), 38: w.ans(6), 39: w.n(3), 40: w.n(3),
		41: w.ans(8), 42: w.ans(15), 43: w.ansLL(99), 44: w.ansLL(99), 45: w.ansLL(76), 46: w.ansLLL(204), 47: w.ansLLL(999), 48: w.ansLLL(999),
		49: w.ans(3), 50: w.ans(3), 51: w.ans(3), 52: w.b(8), 53: w.bLL(48), 54: w.ansLLL(120), 55: chip(w.bLLL(255)), 56: w.nLL(35),
		57: w.n(3), 58: w.nLL(11), 59: w.ansLLL(999), 60: w.ansLLL(999), 61: w.ansLLL(999), 62: w.ansLLL(999), 63: w.ansLLL(999), 64: w.b(8),
		66: w.ansLLL(204), 67: w.n(2), 68: w.n(3), 69: w.n(3), 70: w.n(3), 71: w.n(8), 72: w.ansLLL(999), 73: w.n(6),
		86: w.n(16), 87: w.n(16), 88: w.n(16), 89: w.n(16), 90: w.n(10), 91: w.n(3), 92: w.n(3), 93: w.nLL(11), 94: w.nLL(11), 95: w.ansLL(99),
		96: w.bLLL(999), 97: w.amount(17), 98: w.ans(25), 99: w.ansLL(11), 100: w.nLL(11), 101: w.ansLL(17), 102: w.ansLL(28), 103: w.ansLL(28),
		104: w.ansLLL(100), 105: w.n(16), 106: w.n(16), 107: w.n(10), 108: w.n(10), 109: w.ansLL(84), 110: w.ansLL(84), 128: w.b(8),
	}
	for n := 74; n < 86; n++ {
		f[n] = w.n(10)
	}
	for n := 111; n < 128; n++ {
		f[n] = w.ansLLL(999)
	}
	return &Declaration{Name: name, About: about, MTI: mti, Bitmap: maps, Fields: named(f, names93())}
}

// names93 are the names of 1987 and those that 1993 changed.
func names93() *[129]string {
	t := names87
	for n, name := range changed93 {
		t[n] = name
	}
	return &t
}

var changed93 = map[int]string{
	5: "对账金额 / Amount, reconciliation", 9: "对账汇率 / Conversion rate, reconciliation",
	12: "受卡方所在地日期时间 / Date and time, local transaction", 13: "生效日期 / Date, effective",
	22: "服务点数据码 / Point of service data code", 24: "功能码 / Function code", 25: "报文原因码 / Message reason code",
	26: "受卡方业务码 / Card acceptor business code", 27: "批准码长度 / Approval code length", 28: "对账日期 / Date, reconciliation",
	29: "对账标识 / Reconciliation indicator", 30: "原始金额 / Amounts, original", 31: "受理方参考数据 / Acquirer reference data",
	38: "批准码 / Approval code", 39: "动作码 / Action code", 40: "服务码 / Service code", 46: "各项费用 / Amounts, fees",
	50: "对账货币代码 / Currency code, reconciliation", 56: "原始数据元 / Original data elements",
	57: "授权周期码 / Authorization life cycle code", 58: "代授权机构标识码 / Authorizing agent institution identification",
	59: "传送数据 / Transport data", 60: "保留（国内）60 / Reserved, national 60", 61: "保留（国内）61 / Reserved, national 61",
	66: "原始费用 / Amounts, original fees", 70: "代授权机构国家代码 / Country code, authorizing agent institution",
	72: "数据记录 / Data record", 82: "查询冲正笔数 / Inquiries, reversal number", 83: "付款笔数 / Payments, number",
	84: "付款冲正笔数 / Payments, reversal number", 85: "费用收取笔数 / Fee collections, number",
	90: "授权冲正笔数 / Authorizations, reversal number", 91: "交易目的机构国家代码 / Country code, transaction destination",
	92: "交易来源机构国家代码 / Country code, transaction originator", 93: "交易目的机构标识码 / Transaction destination institution",
	94: "交易来源机构标识码 / Transaction originator institution", 95: "发卡方参考数据 / Card issuer reference data",
	96: "密钥管理数据 / Key management data", 97: "净对账金额 / Amount, net reconciliation",
	105: "贷记退单金额 / Credits, chargeback amount", 106: "借记退单金额 / Debits, chargeback amount",
	107: "贷记退单笔数 / Credits, chargeback number", 108: "借记退单笔数 / Debits, chargeback number",
	109: "贷记费用 / Credits, fee amounts", 110: "借记费用 / Debits, fee amounts", 111: "保留（ISO） / Reserved, ISO",
}
