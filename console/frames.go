package console

import "tongka/engine"

// FrameRow is the last frame of a listener, line or module that could not be read.
type FrameRow struct {
	Kind   string `json:"kind"` // listener, link, module
	Place  string `json:"place"`
	At     string `json:"at"`
	Count  uint64 `json:"count"` // refused there since the start
	Length int    `json:"length"`
	Field  string `json:"field"`
	Offset int    `json:"offset"` // from the frame's first byte, -1: the refusal names none
	Why    string `json:"why"`
	Read   string `json:"read"` // fields in front of the fault, with their lengths
	Hex    string `json:"hex"`  // the beginning; ** is a byte that is not kept
}

// Frames gives what a snapshot knows of them, never null.
func Frames(snap *engine.Snapshot) []FrameRow {
	rows := []FrameRow{}
	if snap == nil {
		return rows
	}
	for i := range snap.Malformed {
		m := &snap.Malformed[i]
		rows = append(rows, FrameRow{m.Kind, m.Place, clockTime(m.At), m.Count, m.Length, m.Field, m.Offset, m.Why, m.Read, m.Shown})
	}
	return rows
}
