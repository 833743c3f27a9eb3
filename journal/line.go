package journal

import (
	"encoding/binary"
	"fmt"
)

// LineChange is the Body of a LinkChanged record. States and cause are the
// numbers of package flow; Facts.At and Facts.Link say when and which bank.
type LineChange struct {
	Line            uint16 // of the lines of the link, from 1
	From, To, Cause uint8
	Link            string // its name at that time
}

const (
	lineVersion = 1
	lineHead    = 6
)

// AppendLineChange appends version, line (2, little endian), from, to and cause,
// and then the name.
func AppendLineChange(dst []byte, c *LineChange) []byte {
	dst = append(dst, lineVersion)
	dst = binary.LittleEndian.AppendUint16(dst, c.Line)
	return append(append(dst, c.From, c.To, c.Cause), c.Link...)
}

// ReadLineChange is the inverse of AppendLineChange. An error names the offset.
func ReadLineChange(b []byte) (c LineChange, err error) {
	switch {
	case len(b) < lineHead:
		return c, fmt.Errorf("line change at byte %d: %w", len(b), errShort)
	case b[0] != lineVersion:
		return c, fmt.Errorf("line change at byte 0: unknown version %d", b[0])
	}
	return LineChange{Line: binary.LittleEndian.Uint16(b[1:]), From: b[3], To: b[4], Cause: b[5], Link: string(b[lineHead:])}, nil
}
