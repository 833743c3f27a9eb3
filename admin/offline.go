package admin

import (
	"fmt"
	"strings"

	"tongka/audit"
)

// OfflineImport is what became of a file of offline transactions that somebody
// offered, for the audit file.
type OfflineImport struct {
	File      string            `json:"file"`
	SHA256    string            `json:"sha256,omitempty"` // empty when the file was not read to its end
	Layout    string            `json:"layout"`
	Company   string            `json:"company,omitempty"`
	Stage     string            `json:"stage,omitempty"`
	Records   uint32            `json:"records"`
	Sum       uint64            `json:"sum"` // fen
	States    map[string]uint32 `json:"states,omitempty"`
	Faults    int               `json:"faults,omitempty"`
	Duplicate bool              `json:"duplicate,omitempty"`
	Refused   string            `json:"refused,omitempty"` // why nothing of it was taken
}

// Entry is its line: who offered what, and what was taken of it.
func (o *OfflineImport) Entry(who audit.Who) audit.Entry {
	e := audit.Entry{Who: who, Action: "offline-import", What: strings.TrimSpace(fmt.Sprintf("%s sha256 %s layout %s %s", o.File, o.SHA256, o.Layout, o.Company)), Result: "ok"}
	e.After = fmt.Sprintf("%s, %d records, sum %d.%02d", o.Stage, o.Records, o.Sum/100, o.Sum%100)
	for _, s := range "TUES" {
		if n := o.States[string(s)]; n > 0 {
			e.After += fmt.Sprintf(", %c %d", s, n)
		}
	}
	switch {
	case o.Refused != "":
		e.Result, e.After, e.Why = "refused", "", o.Refused
	case o.Duplicate:
		e.Result, e.Why = "refused", "duplicate: taken in before"
	case o.Faults > 0:
		e.Result, e.Why = "refused", fmt.Sprintf("%d faults", o.Faults)
	}
	return e
}
