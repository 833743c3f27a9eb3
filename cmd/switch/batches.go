package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"strconv"
)

// ctlBatchesCmd lists the batches of terminals that a person has to look at.
type ctlBatchesCmd struct{ ctlFlags }

// batchColumns of the CSV. A batch without faults of an upload has one line, in
// which the columns behind items are empty.
var batchColumns = []string{"merchant", "terminal", "batch", "own", "foreign", "items", "trace", "card", "theirs", "ours", "reason"}

// Run asks and prints.
func (c *ctlBatchesCmd) Run(s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, ctlWithin)
	defer cancel()
	all, err := client.Batches(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, all)
	}
	out := csv.NewWriter(s.out)
	rows := [][]string{batchColumns}
	for i := range all {
		b := &all[i]
		head := []string{b.Merchant, b.Terminal, fmt.Sprintf("%06d", b.Batch), b.Own, b.Foreign, strconv.Itoa(int(b.Items))}
		if len(b.Faults) == 0 {
			rows = append(rows, append(head, "", "", "", "", ""))
		}
		for _, f := range b.Faults {
			rows = append(rows, append(head[:len(head):len(head)], fmt.Sprintf("%06d", f.Trace), f.Card,
				strconv.FormatInt(f.Theirs, 10), strconv.FormatInt(f.Ours, 10), f.Zh+" · "+f.En))
		}
	}
	return out.WriteAll(rows)
}
