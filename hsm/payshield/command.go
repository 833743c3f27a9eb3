package payshield

import (
	"fmt"

	"tongka/hsm"
)

// maxData is the longest message that one M6 or M8 carries.
const maxData = 32000

// Append appends the command for a request, without the length that goes before
// it. It allocates nothing but errors. An error wraps the hsm.Code that stands
// for it (errors.As): what came from outside and could break out of its field is
// answered here, as a module would, and never sent. The header is printed as
// hexadecimal digits.
func (d *Dialect) Append(dst []byte, header uint32, q *hsm.Request) ([]byte, error) {
	start := len(dst)
	dst, err := d.appendHeader(dst, header)
	switch {
	case err != nil:
	case q.Verb > hsm.Diagnose || q.Verb == hsm.TranslatePIN && q.More != nil:
		dst, err = d.appendMore(dst, q)
	default:
		dst, err = appendCommand(dst, q)
	}
	if err != nil {
		return dst[:start], err
	}
	if d.LMK != "" {
		dst = append(append(dst, '%'), d.LMK...)
	}
	return dst, nil
}

func appendCommand(dst []byte, q *hsm.Request) ([]byte, error) {
	switch q.Verb {
	case hsm.VerifyMAC:
		return appendVerifyMAC(dst, q)
	case hsm.MakeMAC:
		return appendMAC(append(dst, "M6"...), q)
	case hsm.TranslatePIN:
		return appendTranslate(dst, q)
	case hsm.GenerateKey:
		return appendGenerate(dst, q)
	case hsm.CheckValue:
		return appendCheckValue(dst, q)
	case hsm.Diagnose:
		return append(dst, "NC"...), nil
	}
	return dst, fmt.Errorf("payshield: verb %d has no command: %w", q.Verb, hsm.Disabled)
}

// appendMAC appends what M6 and M8 share: one block, binary input, ISO 9797-1
// padding 1 (zeros). UnionPay's code has no command of its own: the switch folds
// the message, and algorithm 1 over the fold's 16 characters gives its two
// encryptions, the 8-digit answer being field 64 as it travels.
func appendMAC(dst []byte, q *hsm.Request) ([]byte, error) {
	t := q.Type
	if t == 0 {
		t = hsm.TAK
	}
	data := q.Data
	var fold [16]byte
	var form string // mode, input, MAC size, algorithm, padding
	switch q.Alg {
	case hsm.UnionPay:
		if len(data) > 0 { // nothing stays nothing, and the module refuses it
			hsm.UnionPayHex(data, &fold)
			data = fold[:]
		}
		form = "000" + "1" + "1"
	case hsm.X99:
		form = "001" + "1" + "1"
	case hsm.X919:
		form = "001" + "3" + "1"
	default:
		return dst, fmt.Errorf("payshield: MAC algorithm %d: %w", q.Alg, hsm.BadInput)
	}
	if len(data) > maxData {
		return dst, fmt.Errorf("payshield: %d bytes to authenticate, at most %d: %w", len(data), maxData, hsm.BadDataLength)
	}
	dst = appendType(append(dst, form...), t)
	dst, err := appendKey(dst, &q.Key, "key")
	if err != nil {
		return dst, err
	}
	n := len(data)
	dst = append(dst, upper[n>>12], upper[n>>8&15], upper[n>>4&15], upper[n&15])
	return append(dst, data...), nil
}

// appendVerifyMAC has the module compare: the right MAC must not come back. A
// UnionPay MAC is text from a terminal and goes out as it is, so it must be
// digits; one that is not has verified already, as wrong.
func appendVerifyMAC(dst []byte, q *hsm.Request) ([]byte, error) {
	dst, err := appendMAC(append(dst, "M8"...), q)
	if err != nil {
		return dst, err
	}
	if q.Alg != hsm.UnionPay {
		return hsm.AppendHex(dst, q.MAC[:]), nil
	}
	if i := hsm.NotUpperHex(q.MAC[:]); i >= 0 {
		return dst, fmt.Errorf("payshield: M8: MAC byte %d is no upper-case hexadecimal digit: %w", i, hsm.Mismatch)
	}
	return append(dst, q.MAC[:]...), nil
}

// appendTranslate asks CA, or CC where the PIN comes from a zone. The maximum
// length 12 is the only one that modules take.
func appendTranslate(dst []byte, q *hsm.Request) ([]byte, error) {
	switch q.Type {
	case 0, hsm.TPK:
		dst = append(dst, "CA"...)
	case hsm.ZPK:
		dst = append(dst, "CC"...)
	default:
		return dst, fmt.Errorf("payshield: PIN translation from key type %03X: %w", uint16(q.Type), hsm.BadKeyType)
	}
	dst, err := appendKey(dst, &q.Key, "source key")
	if err != nil {
		return dst, err
	}
	if dst, err = appendKey(dst, &q.Key2, "destination key"); err != nil {
		return dst, err
	}
	if q.From > 99 || q.To > 99 || q.From == hsm.ISO4 || q.To == hsm.ISO4 {
		return dst, fmt.Errorf("payshield: PIN formats %d and %d: %w", q.From, q.To, hsm.BadFormat)
	}
	for i, ch := range q.PAN12 {
		if ch < '0' || ch > '9' {
			return dst, fmt.Errorf("payshield: account number: byte %d is no digit: %w", i, hsm.BadAccount)
		}
	}
	dst = hsm.AppendHex(append(dst, "12"...), q.PIN[:])
	dst = append2(append2(dst, int(q.From)), int(q.To))
	return append(dst, q.PAN12[:]...), nil
}

// appendGenerate exports in scheme X (ANSI X9.17): terminals decrypt block by
// block and know no variants. The form with ; says whose the master key is.
func appendGenerate(dst []byte, q *hsm.Request) ([]byte, error) {
	own, out := byte('U'), byte('X')
	switch q.Len {
	case 0, 16:
	case 8:
		own, out = 'Z', 'Z'
	default:
		return dst, fmt.Errorf("payshield: a key of %d bytes: %w", q.Len, hsm.BadKeyLength)
	}
	mode := byte('0')
	if q.Key.N != 0 {
		mode = '1'
	}
	dst = append(appendType(append(dst, 'A', '0', mode), q.Type), own)
	if mode == '0' {
		return dst, nil
	}
	flag := byte('1')
	if q.Zone {
		flag = '0'
	}
	dst, err := appendKey(append(dst, ';', flag), &q.Key, "master key")
	return append(dst, out), err
}

// appendCheckValue asks for all 16 digits (check value type 0): six, the usual
// answer, are less than a sign-in message carries.
func appendCheckValue(dst []byte, q *hsm.Request) ([]byte, error) {
	dst, err := appendKey(append(dst, 'B', 'U', 'F', 'F', '0'+q.Key.N/8-1), &q.Key, "key")
	if err != nil {
		return dst, err
	}
	return append(appendType(append(dst, ';'), q.Type), ";000"...), nil
}

// appendKey refuses what no module made: it would shift every field behind it.
func appendKey(dst []byte, k *hsm.Key, which string) ([]byte, error) {
	if !k.Valid() {
		return dst, fmt.Errorf("payshield: %s: scheme %q with %d bytes: %w", which, k.Scheme, k.N, hsm.BadKeyLength)
	}
	return k.Append(dst), nil
}

func appendType(dst []byte, t hsm.KeyType) []byte {
	return append(dst, upper[t>>8&15], upper[t>>4&15], upper[t&15])
}

func append2(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }
