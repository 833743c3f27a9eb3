package iso8583

// The card centre's header, 46 bytes (CUPS):
//
//	 0  1  length of the header, 2E
//	 1  1  flag and version, 02
//	 2  4  n4 total length: header and message
//	 6 11  destination id, left aligned, spaces
//	17 11  source id
//	28  3  reserved
//	31  1  batch number
//	32  8  transaction information
//	40  1  user information
//	41  5  n5 reject code
const (
	cupsHeaderSize = 46
	cupsVersion    = 0x02
	cupsTotalAt    = 2
	cupsDestAt     = 6
	cupsSourceAt   = 17
	cupsRestAt     = 28
)

const cupsRest = "CUP" + "\x01" + "00000000" + "0" + "00000"

func splitCentre(frame []byte, env *Envelope) ([]byte, error) {
	if len(frame) < cupsHeaderSize {
		return nil, env.fail(InHeader, 0, Truncated, cupsHeaderSize, len(frame))
	}
	if frame[0] != cupsHeaderSize {
		return nil, env.fail(InHeader, 0, UnexpectedByte, cupsHeaderSize, int(frame[0]))
	}
	total := 0
	for i, c := range frame[cupsTotalAt : cupsTotalAt+4] {
		if c -= '0'; c > 9 {
			return nil, env.fail(InHeader, cupsTotalAt+i, BadDigit, 0, int(c+'0'))
		}
		total = total*10 + int(c)
	}
	if total != len(frame) {
		return nil, env.fail(InHeader, cupsTotalAt, WrongTotal, len(frame), total)
	}
	env.Header = frame[:cupsHeaderSize:cupsHeaderSize]
	return frame[cupsHeaderSize:], nil
}

// AppendCupsHeader appends the header of a message from source to dest, which
// are institution ids of at most 11 characters (more are cut off). Its total
// length is 0000 until PatchCupsLength.
func AppendCupsHeader[T string | []byte](dst []byte, dest, source T) []byte {
	dst = append(dst, cupsHeaderSize, cupsVersion, '0', '0', '0', '0')
	dst = appendID(dst, dest)
	dst = appendID(dst, source)
	return append(dst, cupsRest...)
}

func appendID[T string | []byte](dst []byte, id T) []byte {
	at := len(dst)
	dst = append(dst, "           "...)
	copy(dst[at:], id)
	return dst
}

// appendCupsReply appends the header turned round, the reject code cleared.
func appendCupsReply(dst, h []byte) []byte {
	if len(h) != cupsHeaderSize {
		return dst
	}
	dst = append(dst, h[:cupsDestAt]...)
	dst = append(dst, h[cupsSourceAt:cupsRestAt]...)
	dst = append(dst, h[cupsDestAt:cupsSourceAt]...)
	dst = append(dst, h[cupsRestAt:cupsHeaderSize-5]...)
	return append(dst, "00000"...)
}

// PatchCupsLength writes the total length, header and message in bytes up to
// 9999, into a header that AppendCupsHeader or AppendReplyEnvelope appended.
func PatchCupsLength(header []byte, total int) {
	for i := cupsTotalAt + 3; i >= cupsTotalAt; i-- {
		header[i] = '0' + byte(total%10)
		total /= 10
	}
}
