package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// whole hands on the records of a capture that are there to their last byte. A file
// that was copied while it was written ends within one; some of the library's
// readers take that for its proper end, and nobody would hear of it.
type whole struct {
	in     *bufio.Reader
	ng     bool
	order  binary.ByteOrder
	at     int64 // where the record begins that comes next
	left   []byte
	begun  bool
	failed error // that the file ends within a record, and where
}

// The greatest record that is kept in memory; pcapng has blocks that are no packets.
const maxRecord = 64 << 20

func (w *whole) Read(p []byte) (int, error) {
	if len(w.left) == 0 {
		if err := w.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.left)
	w.left = w.left[n:]
	return n, nil
}

// next reads a record. Sources: pcap and pcapng as their drafts (IETF opsawg) have
// them.
func (w *whole) next() error {
	if w.failed != nil {
		return w.failed
	}
	headSize := 16
	if w.ng || !w.begun {
		headSize = 12
	}
	head, err := w.in.Peek(headSize)
	if len(head) == 0 && err == io.EOF {
		return io.EOF
	}
	size := 0
	if err == nil {
		size = w.size(head)
	}
	w.begun = true
	if size < headSize || size > maxRecord {
		return w.cut(len(head), size)
	}
	w.left = make([]byte, size)
	n, err := io.ReadFull(w.in, w.left)
	if err != nil {
		w.left = nil
		return w.cut(n, size)
	}
	w.at += int64(size)
	return nil
}

// size is that of the record which begins so; 0 when it cannot be told.
func (w *whole) size(head []byte) int {
	switch {
	case w.ng && string(head[:4]) == string(magics[0]):
		w.order = binary.LittleEndian
		if head[8] == 0x1A {
			w.order = binary.BigEndian
		}
		return int(w.order.Uint32(head[4:]))
	case w.ng && w.order == nil:
		return 0
	case w.ng:
		return int(w.order.Uint32(head[4:]))
	case !w.begun:
		w.order = binary.LittleEndian
		if head[0] == 0xA1 {
			w.order = binary.BigEndian
		}
		return 24
	}
	return 16 + int(w.order.Uint32(head[8:]))
}

func (w *whole) cut(here, size int) error {
	w.failed = fmt.Errorf("自第 %d 字节起的记录不完整 / the record that begins at byte %d is not whole: %d bytes of it are here", w.at, w.at, here)
	if size > maxRecord || size < 0 {
		w.failed = fmt.Errorf("第 %d 字节的记录称有 %d 字节 / the record at byte %d claims %d bytes", w.at, size, w.at, size)
	}
	return w.failed
}
