package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/audit"
	"tongka/engine"
	"tongka/fault"
)

// auditHead names what the journal keeps of the audit file: its end, so that
// lines that were cut off are missed.
const auditHead = "audit"

// openAudit opens the audit file and holds it against what the journal keeps. A
// file that was tampered with does not keep the switch from running: it is put
// aside, and the new one begins by saying so.
func (n *Node) openAudit() error {
	path := n.cfg.AuditFile()
	kept, err := n.keptHead()
	if err != nil {
		return err
	}
	n.audit, _, err = audit.Open(path)
	if err == nil {
		err = audit.Check(path, kept)
	}
	var broken *audit.Fault
	if err == nil || !errors.As(err, &broken) {
		return err
	}
	return n.replaceAudit(path, kept, err)
}

// replaceAudit puts a file that does not hold aside and begins another.
func (n *Node) replaceAudit(path string, kept audit.Head, why error) error {
	if n.audit != nil {
		if err := n.audit.Close(); err != nil {
			return err
		}
	}
	aside := path + ".broken-" + time.Now().UTC().Format("20060102T150405.000")
	if err := os.Rename(path, aside); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("审计文件 · audit file: %w", err)
	}
	n.log.Error("THE AUDIT FILE WAS TAMPERED WITH: it is put aside", fault.Field(fault.AuditBroken), zap.String("as", aside), zap.Error(why))
	var err error
	if n.audit, _, err = audit.Open(path); err != nil {
		return err
	}
	_, err = n.audit.Append(audit.Entry{Who: audit.Who{UID: os.Getuid(), PID: os.Getpid(), Via: "switch"}, Action: "audit",
		What: aside, Before: fmt.Sprintf("%d %s", kept.N, kept.Hash), Result: "refused", Why: why.Error()})
	return err
}

// keptHead reads what the journal keeps, before the shard has it.
func (n *Node) keptHead() (h audit.Head, err error) {
	b, ok, err := n.journal.Lookup(engine.KeptKey(auditHead), nil)
	if err != nil || !ok {
		return h, err
	}
	return h, json.Unmarshal(b, &h)
}

// AuditHead implements admin.Switch.
func (n *Node) AuditHead(ctx context.Context) (h audit.Head, err error) {
	kept := engine.Kept{Name: auditHead}
	if err := n.shard.Do(ctx, &kept); err != nil || kept.Value == nil {
		return h, err
	}
	return h, json.Unmarshal(kept.Value, &h)
}

// record writes what was done into the audit file, and its end into the journal.
// An action that cannot be written down has still happened: the answer says both.
func (n *Node) record(ctx context.Context, who audit.Who, a admin.Action, answer *admin.Answer) {
	e := audit.Entry{Who: who, Action: string(a.Verb), What: a.What, Before: answer.Before, After: answer.After, Result: "ok"}
	if a.Kind != "" {
		e.What += " " + a.Kind
	}
	if !answer.OK {
		e.Result, e.Why = "refused", answer.En
		for _, line := range answer.Lines {
			e.Why += "\n" + line
		}
	}
	n.enter(ctx, e, answer)
}

// noteDesk writes down what a command beside the switch has done.
func (n *Node) noteDesk(ctx context.Context, e audit.Entry) error {
	n.acting.Lock()
	defer n.acting.Unlock()
	if !n.opened {
		return errStopped
	}
	head, err := n.audit.Append(e)
	if err == nil {
		err = n.keepHead(ctx, head)
	}
	return err
}

// enter writes an entry into the audit file, and its end into the journal.
func (n *Node) enter(ctx context.Context, e audit.Entry, answer *admin.Answer) {
	head, err := n.audit.Append(e)
	if err == nil {
		err = n.keepHead(ctx, head)
	}
	if err != nil {
		n.log.Error("not audited", fault.Field(fault.NotAudited), zap.String("action", e.Action), zap.Error(err))
		answer.Lines = append(answer.Lines, "未能写入审计 · not audited: "+err.Error())
	}
}

func (n *Node) keepHead(ctx context.Context, head audit.Head) error {
	b, err := json.Marshal(head)
	if err != nil {
		return err
	}
	return n.shard.Do(ctx, &engine.Keep{Name: auditHead, Value: b})
}
