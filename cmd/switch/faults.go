package main

import (
	"context"
	"encoding/json"
	"fmt"

	"tongka/admin"
	"tongka/console"
)

// ctlFaultsCmd lists what went wrong inside since the start.
type ctlFaultsCmd struct{ ctlFlags }

// Run asks and prints, alarms with their hints.
func (c *ctlFaultsCmd) Run(s *streams) error {
	all, err := askAll[console.FaultRow](s, &c.ctlFlags, admin.FaultList)
	if err != nil || c.JSON {
		return err
	}
	for i := range all {
		f := &all[i]
		fmt.Fprintf(s.out, "%s %8d × %s  %s · %s\n", f.Code, f.Count, f.Last, f.Words.ZH, f.Words.EN)
		if f.Alarm {
			fmt.Fprintf(s.out, "  告警，处理 · alarm, what to do: %s · %s\n", f.Hint.ZH, f.Hint.EN)
		}
	}
	if len(all) == 0 {
		fmt.Fprintln(s.out, "启动以来无故障 · no faults since the start")
	}
	return nil
}

// ctlFramesCmd lists the last malformed frames.
type ctlFramesCmd struct{ ctlFlags }

// Run asks and prints.
func (c *ctlFramesCmd) Run(s *streams) error {
	all, err := askAll[console.FrameRow](s, &c.ctlFlags, admin.FrameList)
	if err != nil || c.JSON {
		return err
	}
	for i := range all {
		f := &all[i]
		fmt.Fprintf(s.out, "%s %s  %s  %d × ，最后一帧 · last frame %d 字节 · bytes\n", f.Kind, f.Place, f.At, f.Count, f.Length)
		if f.Offset >= 0 {
			fmt.Fprintf(s.out, "  %s，第 %d 字节 · %s, byte %d\n", f.Field, f.Offset, f.Field, f.Offset)
		}
		fmt.Fprintf(s.out, "  %s\n  %s\n", f.Why, f.Hex)
		if f.Read != "" {
			fmt.Fprintf(s.out, "  此前已读 · read before: %s\n", f.Read)
		}
	}
	if len(all) == 0 {
		fmt.Fprintln(s.out, "启动以来无乱帧 · no malformed frames since the start")
	}
	return nil
}

// askAll asks the running switch for a list; with --json it is written already.
func askAll[T any](s *streams, f *ctlFlags, topic string) ([]T, error) {
	client, err := f.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.ctx, ctlWithin)
	defer cancel()
	all := []T{}
	err = client.Ask(ctx, topic, struct{}{}, func(line []byte) error {
		all = append(all, *new(T))
		return json.Unmarshal(line, &all[len(all)-1])
	})
	if err == nil && f.JSON {
		err = writeJSON(s.out, all)
	}
	return all, err
}
