package iso8583

import "bytes"

// Sizes of what stands before the MTI, in bytes. Sources: UnionPay POS
// terminal specification (TPDU, header), dial-up access servers (LRI), CUPS.
const (
	tpduSize   = 5
	lriSize    = 33
	headerSize = 6
)

// Envelope is what stood before the MTI of a received frame. The slices are
// lent, as the frame is; one that was not there is nil.
type Envelope struct {
	TPDU   []byte // 60, destination 2, source 2
	LRI    []byte // dial-up line information: mark 5, caller 8, called 8, more 12
	Header []byte // UnionPay POS 6 bytes, or the card centre's 46

	// Requirement is what a reply asks of the terminal in its header (处理要求):
	// 0 nothing, 3 sign in again, 4 to 6 download something. Split clears it.
	Requirement byte

	err FieldError
}

// Split finds the MTI of a frame (without its length prefix) and notes in env
// what stands before it. After a TPDU an LRI is optional: what begins with 4C5249
// is one. Of a POS frame the header is optional, too: what begins with 6 is a
// header, what begins with 0 the MTI. The error is a *FieldError that lives in env; its offset
// counts from the start of the frame.
func (s *Spec) Split(frame []byte, env *Envelope) (msg []byte, err error) {
	env.TPDU, env.LRI, env.Header, env.Requirement = nil, nil, nil, 0
	switch s.decl.Framing {
	case Centre:
		return splitCentre(frame, env)
	case TPDUOnly, TPDUHeader:
		if len(frame) < tpduSize {
			return nil, env.fail(InTPDU, 0, Truncated, tpduSize, len(frame))
		}
		if frame[0] != 0x60 {
			return nil, env.fail(InTPDU, 0, UnexpectedByte, 0x60, int(frame[0]))
		}
		env.TPDU = frame[:tpduSize:tpduSize]
		at, err := splitDial(frame, env)
		if err != nil {
			return nil, err
		}
		if s.decl.Framing == TPDUHeader {
			return splitHeader(frame, at, env)
		}
		return frame[at:], nil
	}
	return frame, nil
}

// splitDial notes the LRI, if there is one, and gives the offset of what comes
// after TPDU and LRI. No MTI and no header begins with an L.
func splitDial(frame []byte, env *Envelope) (at int, err error) {
	at = tpduSize
	if !bytes.HasPrefix(frame[at:], []byte("LRI")) {
		return at, nil
	}
	if len(frame)-at < lriSize {
		return 0, env.fail(InLRI, at, Truncated, lriSize, len(frame)-at)
	}
	if n := int(frame[at+3])<<8 | int(frame[at+4]); n != lriSize-5 {
		return 0, env.fail(InLRI, at+3, WrongLength, lriSize-5, n)
	}
	env.LRI = frame[at : at+lriSize : at+lriSize]
	return at + lriSize, nil
}

func splitHeader(frame []byte, at int, env *Envelope) ([]byte, error) {
	switch {
	case len(frame) == at:
		return nil, env.fail(InHeader, at, Truncated, headerSize, 0)
	case frame[at]>>4 == 0:
		return frame[at:], nil
	case frame[at]>>4 != 6:
		return nil, env.fail(InHeader, at, UnexpectedByte, 0x60, int(frame[at]))
	case len(frame)-at < headerSize:
		return nil, env.fail(InHeader, at, Truncated, headerSize, len(frame)-at)
	}
	env.Header = frame[at : at+headerSize : at+headerSize]
	return frame[at+headerSize:], nil
}

// AppendReplyEnvelope appends what goes before the MTI of the answer to the
// frame that Split took apart: the TPDU with destination and source swapped,
// the POS header as it came but for its processing requirement, the centre's
// header with destination and source swapped (its total length is the
// request's until PatchCupsLength). An LRI is not echoed: it was put in by the
// access server on the way up and ends with the switch.
func (s *Spec) AppendReplyEnvelope(dst []byte, env *Envelope) []byte {
	if t := env.TPDU; len(t) == tpduSize {
		dst = append(dst, t[0], t[3], t[4], t[1], t[2])
	}
	if s.decl.Framing == Centre {
		return appendCupsReply(dst, env.Header)
	}
	at := len(dst)
	dst = append(dst, env.Header...)
	if len(env.Header) == headerSize {
		dst[at+2] = dst[at+2]&0xF0 | env.Requirement&0x0F // byte 2: terminal state n1, requirement n1
	}
	return dst
}

func (e *Envelope) fail(where, off int, why Reason, want, got int) error {
	e.err = FieldError{Field: where, Offset: off, Reason: why, Want: want, Got: got}
	return &e.err
}
