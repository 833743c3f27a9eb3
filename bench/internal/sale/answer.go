package sale

import (
	"encoding/binary"
	"fmt"
)

// fixedLen is the length in bytes of the POS dialect's fields up to 39; 0 means
// a length byte that counts digits, -1 one that this bench does not expect.
// Source: UnionPay POS terminal specification.
var fixedLen = [40]int8{
	1: -1, 2: 0, 3: 3, 4: 6, 5: -1, 6: -1, 7: -1, 8: -1, 9: -1, 10: -1,
	11: 3, 12: 3, 13: 2, 14: 2, 15: 2, 16: -1, 17: -1, 18: -1, 19: -1, 20: -1,
	21: -1, 22: 2, 23: 2, 24: -1, 25: 1, 26: 1, 27: -1, 28: -1, 29: -1, 30: -1,
	31: -1, 32: 0, 33: -1, 34: -1, 35: 0, 36: -1, 37: 12, 38: 6, 39: 2,
}

// FrameLen is the length of the frame that b begins with, its two length bytes
// included; 0 when those have not come yet.
func FrameLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	return 2 + int(binary.BigEndian.Uint16(b))
}

// Echoed reads F11 of a Request that came back with MTI 0210.
func Echoed(frame []byte) (trace uint32, err error) {
	if len(frame) < TraceAt+3 {
		return 0, fmt.Errorf("frame ends at byte %d, before F11", len(frame))
	}
	if err := checkMTI(frame); err != nil {
		return 0, err
	}
	return unpack3(frame[TraceAt:]), nil
}

func checkMTI(frame []byte) error {
	if mti := binary.BigEndian.Uint16(frame[posMTI:]); mti != 0x0210 {
		return fmt.Errorf("MTI %04X at byte %d, not 0210", mti, posMTI)
	}
	return nil
}

// Answer reads F11 and F39 of a 0210. An error names field and byte offset.
func Answer(frame []byte) (trace uint32, code [2]byte, err error) {
	if len(frame) < posMTI+10 {
		return 0, code, fmt.Errorf("frame ends at byte %d, before the bitmap's end", len(frame))
	}
	if err := checkMTI(frame); err != nil {
		return 0, code, err
	}
	bitmap := binary.BigEndian.Uint64(frame[posMTI+2:])
	at := posMTI + 10
	for f := 1; f <= 39; f++ {
		if bitmap>>(64-f)&1 == 0 {
			continue
		}
		n := int(fixedLen[f])
		if n == 0 && at < len(frame) {
			digits := int(frame[at]>>4)*10 + int(frame[at]&15)
			n = 1 + (digits+1)/2
		}
		if n <= 0 || at+n > len(frame) {
			return 0, code, fmt.Errorf("field F%d at byte %d does not belong in an answer or passes the end at %d", f, at, len(frame))
		}
		switch f {
		case 11:
			trace = unpack3(frame[at:])
		case 39:
			return trace, [2]byte(frame[at:]), nil
		}
		at += n
	}
	return 0, code, fmt.Errorf("no F39 in the bitmap at byte %d", posMTI+2)
}

func unpack3(b []byte) (n uint32) {
	for _, c := range b[:3] {
		n = n*100 + uint32(c>>4)*10 + uint32(c&15)
	}
	return n
}
