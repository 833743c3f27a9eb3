package sale

import (
	"encoding/binary"
	"fmt"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// MaxTrace is the highest trace number (F11, n6); it starts again at 1.
const MaxTrace = 999_999

// Offsets from the start of the frame, which begins with the two length bytes.
// TraceAt is that of F11 in every Request.
const (
	posMTI  = 2 + 5 + 6                  // length, TPDU, header
	TraceAt = posMTI + 2 + 8 + 9 + 3 + 6 // MTI, bitmap, F2, F3, F4
)

// Of the frame's end: F60.2 and F60.3, then the MAC.
const (
	batchLen  = 3
	batchFrom = batchLen + 3 // before the MAC
	macLen    = 8
)

// Request is one terminal's sale. Only the trace number and the MAC change, so
// everything else of the MAC (the XOR of all blocks with trace 000000) is done
// once; a new request folds in three bytes and encrypts two blocks. MACs made
// ahead by Prepare cost a copy. Thread-unsafe.
type Request struct {
	frame []byte
	fold  [8]byte // XOR of the message's 8-byte blocks, trace 000000
	mak   *clear.Cipher
	first uint32    // trace of ahead[0]
	ahead [][8]byte // MACs of the traces from first on
}

// NewRequest makes the sale of a terminal, some 180 bytes: chip data, track 2,
// and with pin also F26, F52 and F53.
//
//	length 2 | TPDU 5 | header 6 | 0200 | bitmap 8 | F2 F3 F4 F11 … F60 | F64
//
// Source: UnionPay POS terminal specification; MAC from the MTI to F60.
func NewRequest(t *Terminal, pin bool) (*Request, error) {
	return newRequest(t, pin, "000000"+"000000000100", "22")
}

// NewEnquiry makes a balance enquiry of a terminal: a sale but for F3, F60.1 and
// an amount of zero, which keeps F11 in its place.
func NewEnquiry(t *Terminal) (*Request, error) {
	return newRequest(t, false, "310000"+"000000000000", "01")
}

// Rekey makes r the request of a terminal that has signed in again: its key, which is lent
// for good, and its batch. What was prepared is void.
func (r *Request) Rekey(mak *clear.Cipher, batch string) {
	r.mak, r.ahead = mak, nil
	at := len(r.frame) - macLen - batchFrom
	var digits [batchLen]byte
	for i, c := range bcd(digits[:0], batch[:2*batchLen]) {
		r.fold[(at+i-posMTI)%8] ^= r.frame[at+i] ^ c
		r.frame[at+i] = c
	}
}

// newRequest makes a request with the digits of F3 and F4, and F60.1.
func newRequest(t *Terminal, pin bool, what, usage string) (*Request, error) {
	mak, err := clear.NewCipher(t.MAK[:])
	if err != nil {
		return nil, fmt.Errorf("terminal %s: MAK: %w", t.Number, err)
	}
	r := &Request{mak: mak}
	b := append(make([]byte, 0, 224), 0, 0)
	b = bcd(b, "6000030000"+"603100310000")
	if b, err = appendMessage(b, t, pin, what, usage); err != nil {
		return nil, err
	}
	for i, c := range b[posMTI:] {
		r.fold[i%8] ^= c
	}
	b = append(b, make([]byte, macLen)...)
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	r.frame = b
	return r, nil
}

// appendMessage appends MTI to F60 with trace 000000.
func appendMessage(b []byte, t *Terminal, pin bool, what, usage string) ([]byte, error) {
	fields := []int{2, 3, 4, 11, 14, 22, 23, 25, 35, 41, 42, 49, 55, 60, 64}
	entry := "0520"
	if pin {
		fields = append(fields, 26, 52, 53)
		entry = "0510"
	}
	var bitmap [8]byte
	for _, f := range fields {
		bitmap[(f-1)/8] |= 0x80 >> ((f - 1) % 8)
	}
	b = append(append(b, 0x02, 0x00), bitmap[:]...)
	b = append(b, 0x16)                  // F2
	b = bcd(b, t.PAN+what+"000000")      // F3, F4, F11
	b = bcd(b, "3012"+entry+"0001"+"00") // F14, F22, F23, F25
	if pin {
		b = append(b, 0x12) // F26
	}
	b = append(b, 0x37)
	b = bcd(b, t.PAN+"D30122010000000000000"+"0") // F35, 37 digits and a pad
	b = append(b, t.Number...)
	b = append(b, t.Merchant...)
	b = append(b, "156"...)
	if pin {
		block, err := pinBlock(t)
		if err != nil {
			return b, err
		}
		b = append(b, block[:]...)
		b = bcd(b, "2600000000000000")
	}
	b = append(b, 0x00, 0x64)
	b = bcd(b, chip)
	b = append(b, 0x00, 0x14)
	return bcd(b, usage+t.Batch+"000601"), nil
}

// chip is field 55, 64 bytes: cryptogram and its data, terminal's results. The
// values are made up.
const chip = "9F2608A1B2C3D4E5F60718" + "9F270180" + "9F36020011" + "95050000008000" + "9A03260101" +
	"9C0100" + "9F0206000000000100" + "5F2A020156" + "82027C00" + "9F1A020156" + "9F3303E0E9C8"

func pinBlock(t *Terminal) ([8]byte, error) {
	var tail [12]byte
	copy(tail[:], t.PAN[3:15])
	block, err := clear.EncryptPIN(t.PIK[:], []byte("123456"), &tail, hsm.ISO0)
	if err != nil {
		return block, fmt.Errorf("terminal %s: PIN: %w", t.Number, err)
	}
	return block, nil
}

// Len is the length of the frame in bytes.
func (r *Request) Len() int { return len(r.frame) }

// Prepare makes the MACs of n traces from first on ahead of time. It may run
// beside the Prepare of other requests.
func (r *Request) Prepare(first uint32, n int) {
	r.first, r.ahead = first, make([][8]byte, n)
	for i := range r.ahead {
		r.ahead[i] = r.mac(first + uint32(i))
	}
}

// Frame is the request with the given trace number. It is lent until the next
// call.
func (r *Request) Frame(trace uint32) []byte {
	t := bcd3(trace)
	copy(r.frame[TraceAt:], t[:])
	m := r.frame[len(r.frame)-macLen:]
	if i := trace - r.first; i < uint32(len(r.ahead)) {
		copy(m, r.ahead[i][:])
		return r.frame
	}
	mac := r.mac(trace)
	copy(m, mac[:])
	return r.frame
}

// Unsealed is Frame without its MAC. The MAC of fold alone is the MAC of the whole
// message: who has many to make makes them together, and puts it where the frame's last 8
// bytes are.
func (r *Request) Unsealed(trace uint32) (frame []byte, fold [8]byte) {
	t := bcd3(trace)
	copy(r.frame[TraceAt:], t[:])
	return r.frame, r.folded(t)
}

// mac folds the trace into the blocks' XOR. The MAC of those 8 bytes alone is
// the MAC of the whole message, since the algorithm begins with that XOR.
func (r *Request) mac(trace uint32) [8]byte {
	fold := r.folded(bcd3(trace))
	return r.mak.MAC(hsm.UnionPay, fold[:])
}

func (r *Request) folded(trace [3]byte) [8]byte {
	fold := r.fold
	for i, c := range trace {
		fold[(TraceAt-posMTI+i)%8] ^= c
	}
	return fold
}

func bcd3(n uint32) (b [3]byte) {
	for i := 2; i >= 0; i-- {
		b[i] = byte(n/10%10<<4 | n%10)
		n /= 100
	}
	return b
}

// bcd packs digits, 0–9 and A–F, an even number of them.
func bcd(dst []byte, digits string) []byte {
	for i := 0; i < len(digits); i += 2 {
		dst = append(dst, nibble(digits[i])<<4|nibble(digits[i+1]))
	}
	return dst
}

func nibble(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}
