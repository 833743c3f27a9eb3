package node

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"go.uber.org/zap"

	"tongka/audit"
	"tongka/engine"
	"tongka/fault"
)

// What waits to be written down about master keys. Refusals take no more than half
// of it, so that who asks without permission pushes nothing out.
const mostKeyEvents = 1024

// keyTold hands over what happened to a terminal's master key, without waiting.
func (n *Node) keyTold(e engine.KeyEvent) {
	if e.What == "refused" && len(n.keyEvents) >= mostKeyEvents/2 {
		return
	}
	select {
	case n.keyEvents <- e:
	default:
		n.log.Error("not audited", fault.Field(fault.NotAudited), zap.String("action", "master key "+e.What), zap.ByteString("terminal", e.Terminal.Number[:]))
	}
}

// noteKey writes it into the audit file.
func (n *Node) noteKey(e engine.KeyEvent) {
	entry := audit.Entry{Who: audit.Who{UID: os.Getuid(), PID: os.Getpid(), Via: "switch"}, Action: "master key " + e.What, Result: "ok",
		What: fmt.Sprintf("terminal %s/%s", strings.TrimSpace(string(e.Terminal.Merchant[:])), strings.TrimSpace(string(e.Terminal.Number[:])))}
	if e.KCV != [4]byte{} {
		entry.After = fmt.Sprintf("check value %X", e.KCV[:3])
	}
	if e.What == "refused" {
		entry.Result, entry.Why = "refused", e.Why
	}
	if _, err := n.audit.Append(entry); err != nil && !errors.Is(err, os.ErrClosed) {
		n.log.Error("not audited", fault.Field(fault.NotAudited), zap.String("action", entry.Action), zap.Error(err))
	}
}

// noteKeys writes down what is still there when the switch stops.
func (n *Node) noteKeys() {
	for {
		select {
		case e := <-n.keyEvents:
			n.noteKey(e)
		default:
			return
		}
	}
}
