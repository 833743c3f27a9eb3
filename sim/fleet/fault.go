package fleet

import (
	"errors"

	"go.uber.org/zap"

	"tongka/txn"
)

// Fault says in a few words why a terminal cannot begin to sell. It is a value of
// a small set, so that thousands of terminals with one fault are told of once.
type Fault struct {
	Code string `json:"code,omitempty"` // F39 of a sign-in that was refused
	ZH   string `json:"zh"`
	EN   string `json:"en"`
}

// String is the fault in both languages; empty when there is none.
func (f Fault) String() string {
	switch {
	case f == Fault{}:
		return ""
	case f.Code != "":
		return "F39 " + f.Code + " " + f.ZH + " " + f.EN
	}
	return f.ZH + " " + f.EN
}

// refused is the error of a sign-in that was answered with another code than 00.
type refused txn.Code

func (r refused) Error() string {
	return "sign-in refused with " + txn.Code(r).String() + ": " + txn.Code(r).Words().EN
}

// faultOf sorts what stands in a terminal's way.
func faultOf(err error) Fault {
	var code refused
	switch {
	case errors.As(err, &code):
		w := txn.Code(code).Words()
		if w.EN == "" {
			w = txn.Words{ZH: "未知应答码", EN: "unknown response code"}
		}
		return Fault{txn.Code(code).String(), w.ZH, w.EN}
	case errors.Is(err, errBadKeys):
		return Fault{"", "签到应答中的密钥不可用，主密钥（种子）不同？", "keys of the sign-in answer cannot be used: another TMK (seed)?"}
	case errors.Is(err, errNoAnswer):
		return Fault{"", "签到无应答", "sign-in not answered"}
	}
	return Fault{"", "连接不上交换", "cannot connect to the switch"}
}

// notReady notes why a terminal cannot sell now, and logs each kind of fault once.
func (f *Fleet) notReady(t *terminal, err error) {
	fault := faultOf(err)
	f.mu.Lock()
	f.fault = fault
	_, again := f.told[fault]
	f.told[fault] = struct{}{}
	f.mu.Unlock()
	if !again {
		t.log.Warn("terminals cannot sign in", zap.String("why", fault.EN), zap.String("code", fault.Code), zap.Error(err))
	}
}
