package recon

import "tongka/txn"

// Class is what a reconciliation says of a row, or of a pair.
type Class uint8

// Classes. The direction of the two one-sided ones is as the words below say it:
// offices differ in what they call 长款.
const (
	Matched       Class = iota
	AmountDiffers       // both have it, for another amount
	StatusDiffers       // both have it, and it stands on one side only
	TheirsOnly          // 长款
	OursOnly            // 短款
	Duplicate           // one side has it once more
	NextDay             // near the cut: looked for once more on the next day
	TACFailed
	CardInvalid
	Classes
)

var classNames = [Classes]string{"matched", "amount-differs", "status-differs", "theirs-only", "ours-only", "duplicate", "next-day", "tac-failed", "card-invalid"}

var classWords = [Classes]txn.Words{
	{ZH: "一致", EN: "matched"},
	{ZH: "金额不等", EN: "amount differs"},
	{ZH: "状态不符", EN: "status differs"},
	{ZH: "长款（对方有、本方无）", EN: "theirs only"},
	{ZH: "短款（本方有、对方无）", EN: "ours only"},
	{ZH: "重复", EN: "duplicate"},
	{ZH: "次日（暂挂一天）", EN: "next day, held for one"},
	{ZH: "TAC 不符", EN: "TAC failed"},
	{ZH: "卡无效", EN: "card invalid"},
}

// String is the class's word in files.
func (c Class) String() string {
	if c < Classes {
		return classNames[c]
	}
	return "invalid"
}

// ParseClass says whether a word is a class.
func ParseClass(s string) (Class, bool) {
	for i, name := range classNames {
		if name == s {
			return Class(i), true
		}
	}
	return 0, false
}

// Words are for people.
func (c Class) Words() txn.Words {
	if c < Classes {
		return classWords[c]
	}
	return txn.Words{}
}

// Reason says why a row is of its class.
type Reason uint8

// Reasons.
const (
	Same           Reason = iota // key, amount and status
	WithinLimits                 // amounts within the tolerance
	InParts                      // one against several of the same sum
	NoMoney                      // what stands on neither side needs no partner
	OtherAmount                  // two amounts for one key
	ReversalOwed                 // we take it back, and they have not confirmed that
	ReversalUnseen               // they confirmed that they take it back, and their file has it
	TheyTookBack                 // it stands with us
	NoSuchKey                    // nothing on the other side
	HeldAndNoKey                 // nothing on the next day either
	NearTheCut                   // may be in the other side's next day
	OnceMore                     // its key has its partner already
	TheirVerdict                 // their file says so
	Reasons
)

var reasonWords = [Reasons]txn.Words{
	{ZH: "键、金额、状态均相同", EN: "key, amount and status are the same"},
	{ZH: "金额之差在容差内", EN: "the amounts differ by no more than the tolerance"},
	{ZH: "一对多，合计相同", EN: "one against several of the same sum"},
	{ZH: "双方均无资金", EN: "no money on either side"},
	{ZH: "同一键，金额不同", EN: "one key, two amounts"},
	{ZH: "本方冲正对方尚未确认", EN: "our reversal is still owed to them"},
	{ZH: "对方已确认冲正，文件仍记成功", EN: "they confirmed the reversal, and their file has the original"},
	{ZH: "对方已冲正，本方成功", EN: "they took it back, and it stands with us"},
	{ZH: "对方没有此键", EN: "the other side has nothing of this key"},
	{ZH: "暂挂一天后仍无对应", EN: "nothing on the next day either"},
	{ZH: "临近日切，可能在对方次日", EN: "close to the cut: it may be in the other side's next day"},
	{ZH: "此键已有对应", EN: "this key has its partner already"},
	{ZH: "对方文件所判", EN: "their file says so"},
}

// Words are for people.
func (r Reason) Words() txn.Words {
	if r < Reasons {
		return reasonWords[r]
	}
	return txn.Words{}
}
