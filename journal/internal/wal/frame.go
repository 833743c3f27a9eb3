package wal

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	// grain is what frames begin at multiples of. A page of the file is then never
	// written twice, so a torn write cannot reach what was safe before.
	grain    = 4 << 10
	headSize = 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is what stands before a payload.
type head struct {
	size    uint32 // of the payload, bytes
	segment uint64
	number  uint64
	oldest  uint64 // segments below are not needed
}

// whole is how many bytes of the file a payload takes.
func whole(payload int) int64 { return int64(headSize+payload+grain-1) &^ (grain - 1) }

// appendFrame appends a frame with its zeros.
func appendFrame(dst []byte, h head, payload []byte) []byte {
	start := len(dst)
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, 0)
	dst = le.AppendUint32(dst, uint32(len(payload)))
	dst = le.AppendUint64(dst, h.segment)
	dst = le.AppendUint64(dst, h.number)
	dst = le.AppendUint64(dst, h.oldest)
	dst = append(dst, payload...)
	le.PutUint32(dst[start:], crc32.Checksum(dst[start+4:], castagnoli))
	return append(dst, zeros[:whole(len(payload))-int64(len(dst)-start)]...)
}

var zeros [grain]byte

// parseHead reads what stands before a payload, without having checked it.
func parseHead(b []byte) head {
	le := binary.LittleEndian
	return head{size: le.Uint32(b[4:]), segment: le.Uint64(b[8:]), number: le.Uint64(b[16:]), oldest: le.Uint64(b[24:])}
}

// intact checks a head with its payload.
func intact(b []byte) bool {
	return binary.LittleEndian.Uint32(b) == crc32.Checksum(b[4:], castagnoli)
}
