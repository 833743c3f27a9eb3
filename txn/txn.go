// Package txn is the transaction and its words: kinds, states, response codes,
// and a card number that prints masked. It decides nothing and does no I/O.
package txn

// ID is the switch's own number of a transaction. It never repeats in the life
// of a data folder: every start continues above the highest number on disk.
// The upstream trace number and the retrieval reference number derive from it,
// so a collision between two terminals is impossible.
type ID uint64

// STAN is the trace number (F11, n6) under which the bank knows the transaction.
func (id ID) STAN() uint32 { return uint32(id % 1_000_000) }

// LinkID names a bank link: its index in the configuration.
type LinkID uint16

// Terminal identifies a terminal: merchant number (F42, ans15) and terminal
// number (F41, ans8), as they travel.
type Terminal struct {
	Merchant [15]byte
	Number   [8]byte
}

// Facts is what is written down of a transaction: enough to answer a repeat, to
// reverse it at the bank and to clear it, and nothing that may not be stored (no
// PIN block, no track, no key). The journal encrypts it. All of it is plain
// data without pointers.
type Facts struct {
	ID       ID
	Orig     ID    // the transaction that this one names: what it reverses, voids, completes …; or 0
	At       int64 // arrival, Unix nanoseconds
	Sent     int64 // the second of F7 towards the bank, Unix nanoseconds, 0 = never forwarded
	Amount   int64 // F4, fen
	Terminal Terminal
	PAN      PAN
	Kind     Kind
	Of       Kind // of a reversal: what it takes back
	Code     Code // F39 towards the terminal; zero while open
	Result   Result
	MTI      uint16 // of the terminal's request, 0x0200 for 0200
	Proc     uint32 // F3, n6
	Trace    uint32 // the terminal's F11, n6
	Batch    uint32 // F60.2, n6
	Expiry   uint16 // F14 YYMM as number; NoExpiry when absent
	Entry    uint16 // F22, n3
	CardSeq  uint16 // F23, n3; NoCardSeq when absent
	Cond     uint8  // F25, n2
	Line     uint8  // of Link: which of its lines it was sent on, from 1; 0 = none, or not known
	Link     LinkID
	Auth     [6]byte // F38, zero when absent
	Currency [3]byte // F49
	Settle   uint16  // F15 MMDD as number, 0 when absent
}

// Marks of fields that the terminal did not send.
const (
	NoExpiry  = 0xFFFF
	NoCardSeq = 0xFFFF
)

// Result says how a transaction ended, and so what a repeat or a reversal of it
// finds.
type Result uint8

// Results. Open is an Intent without an Outcome.
const (
	Open Result = iota
	Approved
	Declined
	TimedOut // the terminal was told 98; if money moves, a reversal is owed to the bank
	Reversed // approved, then reversed by the terminal
)

var resultNames = [...]string{"open", "approved", "declined", "timed-out", "reversed"}

// String is the result's name in logs, scripts and the console.
func (r Result) String() string { return name(resultNames[:], uint8(r)) }

// Kind is the kind of transaction, found from MTI, F3, F25 and F60.
type Kind uint8

// Kinds that this switch handles.
const (
	Unknown Kind = iota
	SignIn
	Echo
	Sale
	Reversal
	Balance
	Void             // 消费撤销
	Refund           // 退货
	PreAuth          // 预授权
	PreAuthVoid      // 预授权撤销
	Completion       // 预授权完成（请求）
	CompletionVoid   // 预授权完成撤销
	CompletionAdvice // 预授权完成（通知）
	OfflineSettle    // 离线结算
	Adjust           // 结算调整
	Tip              // 小费
	OfflineSale      // 脱机消费
	OfflineRefund    // 脱机退货
	ScriptNotice     // 脚本结果通知
	SignOff          // 签退
	Settle           // 批结算
	BatchUpload      // 批上送
	Download         // 参数、公钥、黑名单与主密钥下载
	LoadAccount      // 指定账户圈存
	LoadCash         // 现金充值
	LoadOther        // 非指定账户圈存
	LoadVoid         // 现金充值撤销
	LoadConfirm      // 圈存确认
	Unload           // 圈提
	OrderQuery       // 补登订单查询
	OrderLoad        // 补登
	AirLoad          // 空中充值

	// There are no more than 32: a terminal's set of kinds is one word, and its
	// registry entry one cache line.
	Kinds
)

var kindNames = [Kinds]string{"unknown", "sign-in", "echo", "sale", "reversal", "balance", "void", "refund", "pre-auth", "pre-auth-void",
	"completion", "completion-void", "completion-advice", "offline-settle", "adjust", "tip", "offline-sale", "offline-refund",
	"script-notice", "sign-off", "settle", "batch-upload", "download", "load-account", "load-cash", "load-other", "load-void",
	"load-confirm", "unload", "order-query", "order-load", "air-load"}

// MTI is the message type of a terminal's request of a kind that a later one may
// name; 0x0200 for all others.
func (k Kind) MTI() uint16 {
	switch k {
	case PreAuth, PreAuthVoid:
		return 0x0100
	case Refund, CompletionAdvice, OfflineSettle, Adjust, Tip, OfflineRefund:
		return 0x0220
	}
	return 0x0200
}

// String is the kind's name in logs, scripts, routes and the console.
func (k Kind) String() string { return name(kindNames[:], uint8(k)) }

// ParseKind finds a kind by its name.
func ParseKind(s string) (Kind, bool) {
	for i, n := range kindNames {
		if n == s && Kind(i) != Unknown {
			return Kind(i), true
		}
	}
	return Unknown, false
}

func name(table []string, i uint8) string {
	if int(i) < len(table) {
		return table[i]
	}
	return "invalid"
}
