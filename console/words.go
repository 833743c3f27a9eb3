package console

import (
	"tongka/engine"
	"tongka/txn"
)

// Words is one meaning in Chinese and English.
type Words struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// The English words are those that logs and scripts use, the Chinese ones those
// on POS receipts and in the card centre's papers.

var kindWords = map[txn.Kind]Words{
	txn.Unknown: {"未知", "unknown"}, txn.SignIn: {"签到", "sign-in"}, txn.Echo: {"回响测试", "echo"},
	txn.Sale: {"消费", "sale"}, txn.Reversal: {"冲正", "reversal"},
	txn.Balance: {"余额查询", "balance"}, txn.Void: {"消费撤销", "void"}, txn.Refund: {"退货", "refund"},
	txn.PreAuth: {"预授权", "pre-auth"}, txn.PreAuthVoid: {"预授权撤销", "pre-auth-void"},
	txn.Completion: {"预授权完成", "completion"}, txn.CompletionVoid: {"预授权完成撤销", "completion-void"},
	txn.CompletionAdvice: {"预授权完成通知", "completion-advice"}, txn.OfflineSettle: {"离线结算", "offline-settle"},
	txn.Adjust: {"结算调整", "adjust"}, txn.Tip: {"小费", "tip"}, txn.OfflineSale: {"脱机消费", "offline-sale"},
	txn.OfflineRefund: {"脱机退货", "offline-refund"}, txn.ScriptNotice: {"脚本结果通知", "script-notice"},
	txn.SignOff: {"签退", "sign-off"}, txn.Settle: {"批结算", "settle"}, txn.BatchUpload: {"批上送", "batch-upload"},
	txn.Download: {"下载", "download"}, txn.LoadAccount: {"指定账户圈存", "load-account"}, txn.LoadCash: {"现金充值", "load-cash"},
	txn.LoadOther: {"非指定账户圈存", "load-other"}, txn.LoadVoid: {"现金充值撤销", "load-void"},
	txn.LoadConfirm: {"圈存确认", "load-confirm"}, txn.Unload: {"圈提", "unload"},
	txn.OrderQuery: {"补登订单查询", "order-query"}, txn.OrderLoad: {"补登", "order-load"}, txn.AirLoad: {"空中充值", "air-load"},
}

var resultWords = map[txn.Result]Words{
	txn.Open: {"处理中", "open"}, txn.Approved: {"成功", "approved"}, txn.Declined: {"拒绝", "declined"},
	txn.TimedOut: {"超时", "timed out"}, txn.Reversed: {"已冲正", "reversed"},
}

var linkWords = map[string]Words{
	"up": {"正常", "up"}, "signing-on": {"签到中", "signing on"}, "dialing": {"连接中", "connecting"},
	"probing": {"探测中", "probing"}, "draining": {"停用中", "draining"}, "down": {"停用", "out of service"},
}

var moduleWords = map[bool]Words{true: {"正常", "up"}, false: {"失联", "lost"}}

// State says how the switch is, in one word for programs; StateWords has the
// words for people.
type State string

// States, from first to last in the life of a switch that has bad luck.
const (
	Starting   State = "starting"   // no snapshot yet
	Recovering State = "recovering" // the journal is replayed, doors are shut
	Running    State = "running"    // all links are up
	Degraded   State = "degraded"   // some link is not up
	Isolated   State = "isolated"   // no link is up: nothing can be approved
	Unsecured  State = "unsecured"  // no security module is connected: nothing can be verified
	Stalled    State = "stalled"    // the shard has stopped making snapshots
)

var stateWords = map[State]Words{
	Starting: {"启动中", "starting"}, Recovering: {"恢复中", "recovering"}, Running: {"运行正常", "running"},
	Degraded: {"部分链路中断", "some links down"}, Isolated: {"全部链路中断", "all links down"},
	Unsecured: {"全部加密机失联", "no security module"}, Stalled: {"停止响应", "stalled"},
}

// counter is one of the engine's counters. The page, the JSON and the metrics
// all read this table, so a figure has one name everywhere.
type counter struct {
	key   string // in JSON; the metric is tongka_<key>_total
	words Words
	help  string
	get   func(*engine.Counters) uint64
}

var counters = []counter{
	{"received", Words{"收到请求", "received"}, "Requests of a known kind from a known terminal.", func(c *engine.Counters) uint64 { return c.Received }},
	{"approved", Words{"成功", "approved"}, "Transactions approved.", func(c *engine.Counters) uint64 { return c.Approved }},
	{"declined", Words{"拒绝", "declined"}, "Transactions declined.", func(c *engine.Counters) uint64 { return c.Declined }},
	{"timed_out", Words{"超时", "timed out"}, "Transactions told 98 at their deadline; a reversal is owed for each.", func(c *engine.Counters) uint64 { return c.TimedOut }},
	{"reversed", Words{"终端冲正", "reversed"}, "Reversals accepted from terminals.", func(c *engine.Counters) uint64 { return c.Reversed }},
	{"delivered", Words{"冲正送达", "delivered"}, "Owed reversals that a bank confirmed.", func(c *engine.Counters) uint64 { return c.Delivered }},
	{"repeats", Words{"重发应答", "repeats"}, "Repeated requests answered from the journal.", func(c *engine.Counters) uint64 { return c.Repeats }},
	{"late_answers", Words{"迟到应答", "late answers"}, "Bank answers that came after the deadline.", func(c *engine.Counters) uint64 { return c.LateAnswers }},
	{"unmatched", Words{"无匹配应答", "unmatched"}, "Bank answers to what was never asked, or answered twice.", func(c *engine.Counters) uint64 { return c.Unmatched }},
	{"bad_format", Words{"报文格式错", "bad format"}, "Frames that no dialect could read.", func(c *engine.Counters) uint64 { return c.BadFormat }},
	{"bad_mac", Words{"MAC 校验错", "bad MAC"}, "Requests with a wrong MAC.", func(c *engine.Counters) uint64 { return c.BadMAC }},
	{"unregistered", Words{"终端未登记", "unregistered"}, "Requests from unknown terminals.", func(c *engine.Counters) uint64 { return c.Unregistered }},
	{"refused", Words{"拒绝受理", "refused"}, "Requests refused at the door: no slot, not signed in, kind not supported or not allowed.", func(c *engine.Counters) uint64 { return c.Refused }},
	{"card_alarms", Words{"卡片告警", "card alarms"}, "Suspicious cards, and cards that wait for a person.", func(c *engine.Counters) uint64 { return c.CardAlarms }},
	{"hsm_faults", Words{"加密机故障", "HSM faults"}, "Failed commands to a security module.", func(c *engine.Counters) uint64 { return c.HSMFaults }},
	{"sign_offs", Words{"终端签退", "sign-offs"}, "Terminals that signed off.", func(c *engine.Counters) uint64 { return c.SignOffs }},
	{"batches_settled", Words{"批结算", "batches settled"}, "Batches that terminals settled.", func(c *engine.Counters) uint64 { return c.BatchesSettled }},
	{"batches_unequal", Words{"批结算不平", "batches that did not balance"}, "Batches whose totals were not ours.", func(c *engine.Counters) uint64 { return c.BatchesUnequal }},
	{"batch_items", Words{"批上送笔数", "batch upload items"}, "Transactions that terminals uploaded.", func(c *engine.Counters) uint64 { return c.BatchItems }},
	{"batch_faults", Words{"批上送差错", "batch upload faults"}, "Uploaded transactions that the journal does not bear out.", func(c *engine.Counters) uint64 { return c.BatchFaults }},
	{"no_space", Words{"磁盘将满", "disk nearly full"}, "Requests refused because the disk of the journal is nearly full.", func(c *engine.Counters) uint64 { return c.NoSpace }},
	{"sign_ins", Words{"终端签到", "sign-ins"}, "Terminals that signed in.", func(c *engine.Counters) uint64 { return c.SignIns }},
	{"offline_records", Words{"脱机记录", "offline records"}, "Offline transactions taken in messages.", func(c *engine.Counters) uint64 { return c.OfflineRecords }},
	{"echoes", Words{"链路测试", "echoes"}, "Echo tests of terminals answered.", func(c *engine.Counters) uint64 { return c.Echoes }},
	{"enquiries", Words{"查询", "enquiries"}, "Enquiries that a bank was to answer, however they ended; no money moves.", func(c *engine.Counters) uint64 { return c.Enquiries }},
	{"over_address", Words{"地址超限", "over address limit"}, "Requests refused because the address that they came from was over its limit.", func(c *engine.Counters) uint64 { return c.OverAddress }},
	{"over_terminal", Words{"终端超限", "over terminal limit"}, "Requests refused because their terminal was over its limit.", func(c *engine.Counters) uint64 { return c.OverTerminal }},
	{"over_merchant", Words{"商户超限", "over merchant limit"}, "Requests refused because their merchant was over its limit.", func(c *engine.Counters) uint64 { return c.OverMerchant }},
	{"over_payments", Words{"全节点超限", "over node limit"}, "Requests refused because the node was over its limit.", func(c *engine.Counters) uint64 { return c.OverPayments }},
	{"over_enquiries", Words{"查询超限", "over enquiry limit"}, "Enquiries refused because the node was over its limit for them.", func(c *engine.Counters) uint64 { return c.OverEnquiries }},
	{"over_link", Words{"线路满载", "links full"}, "Requests refused because all links of their route were full.", func(c *engine.Counters) uint64 { return c.OverLink }},
	{"blacklisted", Words{"黑名单卡", "cards on the list"}, "Requests refused because their card is on the blacklist.", func(c *engine.Counters) uint64 { return c.Blacklisted }},
	{"greylisted", Words{"灰名单卡", "cards that are watched"}, "Requests of cards that are on the list as grey and were let pass.", func(c *engine.Counters) uint64 { return c.Greylisted }},
	{"when_closed", Words{"非营业时间", "outside of hours"}, "Requests refused outside of opening hours.", func(c *engine.Counters) uint64 { return c.WhenClosed }},
	{"over_daily", Words{"超出日限额", "over a limit of the day"}, "Requests refused because terminal, merchant or card is over a limit.", func(c *engine.Counters) uint64 { return c.OverDaily }},
	{"line_changes", Words{"线路状态变化", "line changes"}, "Changes of state of bank lines.", func(c *engine.Counters) uint64 { return c.LineChanges }},
	{"key_changes", Words{"银行换钥", "key changes"}, "PIN and MAC keys that banks brought.", func(c *engine.Counters) uint64 { return c.KeyChanges }},
	{"bad_bank_mac", Words{"银行 MAC 错", "bad bank MAC"}, "Messages of banks with a wrong MAC or without one: not believed.", func(c *engine.Counters) uint64 { return c.BadBankMAC }},
	{"commits", Words{"落盘批次", "commits"}, "Journal batches made durable.", func(c *engine.Counters) uint64 { return c.Commits }},
	{"records", Words{"落盘记录", "records"}, "Journal records made durable.", func(c *engine.Counters) uint64 { return c.Records }},
}

// Which counters stand where on the page. Trouble is lit while it grows.
var (
	troubleKeys = []string{"timed_out", "bad_mac", "bad_bank_mac", "bad_format", "unregistered", "refused", "no_space", "over_address", "over_terminal", "over_merchant", "over_payments", "over_enquiries", "over_link", "late_answers", "unmatched", "hsm_faults"}
	totalKeys   = []string{"received", "approved", "declined", "reversed", "delivered", "repeats", "sign_ins"}
)

// counterByKey finds a counter of the two lists.
func counterByKey(key string) counter {
	for _, c := range counters {
		if c.key == key {
			return c
		}
	}
	panic("console: no counter " + key) // the two lists above are wrong
}

// Fallbacks keep a word that the tables do not know yet readable.

func wordsOfKind(k txn.Kind) Words {
	if w, ok := kindWords[k]; ok {
		return w
	}
	return Words{k.String(), k.String()}
}

func wordsOfResult(r txn.Result) Words {
	if w, ok := resultWords[r]; ok {
		return w
	}
	return Words{r.String(), r.String()}
}

// WordsOfLink says what the state of a link or line means to people.
func WordsOfLink(state string) Words {
	if w, ok := linkWords[state]; ok {
		return w
	}
	return Words{state, state}
}

func wordsOfCode(c txn.Code) Words {
	if w := Words(c.Words()); w != (Words{}) {
		return w
	}
	if c == (txn.Code{}) {
		return Words{"尚无应答", "no answer yet"}
	}
	return Words{"未定义", "not in the table"}
}
