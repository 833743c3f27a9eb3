package admin

import "tongka/audit"

// Note is what a command beside the switch has done and wants in the audit file: a
// decision about money, mostly.
type Note struct {
	Action string `json:"action"` // its own word; desk- is put before it
	What   string `json:"what"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	Why    string `json:"why,omitempty"`
	Token  string `json:"token,omitempty"` // name of the token that the person showed
}

// Entry is its line. The word in front keeps it apart from what the switch itself
// writes.
func (n *Note) Entry(who audit.Who) audit.Entry {
	if n.Token != "" {
		who.Token = n.Token
	}
	return audit.Entry{Who: who, Action: "desk-" + n.Action, What: n.What, Before: n.Before, After: n.After, Why: n.Why, Result: "ok"}
}
