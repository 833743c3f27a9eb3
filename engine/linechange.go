package engine

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tongka/flow"
	"tongka/journal"
	"tongka/txn"
)

// LineChange is one change of state of a bank line, for people.
type LineChange struct {
	At     int64 // Unix nanoseconds
	Link   string
	Line   int    // from 1
	From   string // states of flow.LineState
	To     string
	Cause  string // of flow.LineEvent
	Serves bool   // the bank has a line that takes requests after it
}

// keptChanges is how many changes a Snapshot shows at most.
const keptChanges = 32

// tellLine records a change and says it: journal, log, and the picture for the
// console. None of it is on a sale's path.
func (s *Shard) tellLine(n *line, was flow.LineState, why flow.LineEvent) {
	l := &s.links[n.link]
	s.stats.LineChanges++
	s.changes[s.changeAt%keptChanges] = LineChange{At: s.now, Link: l.cfg.Name, Line: n.number,
		From: was.String(), To: n.State.String(), Cause: why.String(), Serves: len(l.serving) > 0}
	s.changeAt++
	if s.dead {
		return
	}
	s.newest = s.log.Append(&journal.Record{
		Kind:  journal.LinkChanged,
		Facts: txn.Facts{At: s.now, Link: n.link},
		Body: journal.AppendLineChange(nil, &journal.LineChange{
			Line: uint16(n.number), From: uint8(was), To: uint8(n.State), Cause: uint8(why), Link: l.cfg.Name}),
	})
	s.stats.Records++
	level := zapcore.InfoLevel
	// Of a line that is lost the reason is in the log already.
	if was == flow.LineUp && why != flow.Drain && why != flow.Lost {
		level = zapcore.WarnLevel
	}
	s.zap.Log(level, "bank line", zap.String("link", l.cfg.Name), zap.Int("line", n.number), zap.Stringer("state", n.State),
		zap.Stringer("was", was), zap.Stringer("after", why), zap.Int("serving", len(l.serving)), zap.String("hint", LineHint(why.String()).EN))
}

// lineChanges gives the newest changes first.
func (s *Shard) lineChanges() (all []LineChange) {
	for i := s.changeAt; i > max(0, s.changeAt-keptChanges); i-- {
		all = append(all, s.changes[(i-1)%keptChanges])
	}
	return all
}

// Hint says in both languages what happened to a line, and what to do.
type Hint struct{ ZH, EN string }

// lineHints are by flow.LineEvent: the cause of a change says what helps.
var lineHints = map[string]Hint{
	flow.Connected.String():     {"已连接，正在签到", "connected, signing on"},
	flow.Lost.String():          {"线路断开，自动重连；持续时查网络与对方主机", "the connection was lost and is made again by itself; if it stays away, look at the network and the bank's host"},
	flow.SignedOn.String():      {"签到成功，可发送交易", "signed on, requests may go"},
	flow.SignOnRefused.String(): {"银行拒绝签到，稍后再试；核对机构代码并联系银行", "the bank refused the sign-on, tried again later; check the institution codes and call the bank"},
	flow.SignedOff.String():     {"已签退", "signed off"},
	flow.Echoed.String():        {"回响有应答，线路恢复，先试一笔", "an echo was answered: back in service, with one request on trial"},
	flow.EchoRefused.String():   {"银行拒绝回响测试，重新签到", "the bank refused an echo, signing on again"},
	flow.BankSignedOn.String():  {"银行主动签到，随即签到", "the bank signed on of its own accord, so do we"},
	flow.BankSignedOff.String(): {"银行主动签退，暂停发送，稍后再签到；询问银行是否维护", "the bank signed off of its own accord: nothing is sent, the sign-on is tried later; ask whether it is under maintenance"},
	flow.Missed.String():        {"连续多笔无应答，线路已摘除并探测；联系银行", "requests in a row were not answered: the line is taken out and probed; call the bank"},
	flow.LateAnswer.String():    {"收到迟到应答，线路恢复，先试一笔", "a late answer came: back in service, with one request on trial"},
	flow.Idle.String():          {"在途已清", "nothing is in flight any more"},
	flow.Drain.String():         {"操作员停用", "taken out of service by an operator"},
	flow.Undrain.String():       {"操作员恢复", "given back to service by an operator"},
	flow.LineTimer.String():     {"签到或回响无应答，断开重连；查对方应用", "a sign-on or echo was not answered: hung up, dialled again; look at the bank's application"},
	flow.Wanted.String():        {"有报文待发", "there is something to send"},
	flow.NotDialled.String():    {"短连接未能建立，暂停后再试；查网络与银行端口", "a short-lived line could not be dialled, it rests and is tried again; look at the network and the bank's port"},
}

// LineHint gives the words for the cause of a change.
func LineHint(cause string) Hint {
	if h, ok := lineHints[cause]; ok {
		return h
	}
	return Hint{cause, cause}
}
