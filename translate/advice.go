package translate

import (
	"errors"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// AppendNotice appends what a notice to a bank says beyond the facts: F55 of the
// terminal's message, and the transaction that it names (orig, or nil). It is kept
// with the debt, and AppendAdvice renders it.
//
//	chip:2 F55 … | auth:6 original:20 (F90 without institutions)    the second part only with an original
func AppendNotice(dst []byte, v *iso8583.View, orig *txn.Facts, c *Clock) []byte {
	chip := v.Field(55)
	dst = append(dst, byte(len(chip)>>8), byte(len(chip)))
	dst = append(dst, chip...)
	if orig != nil {
		dst = append(dst, orig.Auth[:]...)
		dst = appendOriginal(dst, orig, c)
	}
	return dst
}

const (
	adviceMTI    = 0x0220
	authSize     = 6
	originalSize = 20
)

var errNotice = errors.New("a stored notice is not whole")

// AppendAdvice appends the notice to a bank, header included: 0220, or 0620 of a
// script's result, and 0221 or 0621 when it was offered before. Its answer is not
// waited for by anybody; it keeps its numbers from one offer to the next.
func (k *Bank) AppendAdvice(dst []byte, f *txn.Facts, notice []byte, again bool, c *Clock) ([]byte, error) {
	mti := iso8583.MTI(adviceMTI)
	if f.Kind == txn.ScriptNotice {
		mti = 0x0620
	}
	if again {
		mti++
	}
	if len(notice) < 2 || len(notice) < 2+int(notice[0])<<8+int(notice[1]) {
		return dst, errNotice
	}
	chip := notice[2 : 2+int(notice[0])<<8+int(notice[1])]
	orig := notice[2+len(chip):]
	if len(orig) != 0 && len(orig) != authSize+originalSize {
		return dst, errNotice
	}
	var b iso8583.Builder
	k.begin(&b, dst, mti)
	putMoney(&b, f)
	putTrace(&b, f, c)
	putCategory(&b, f)
	putPoint(&b, f)
	k.ids.put(&b)
	b.PutUint(37, c.RRN(f))
	if len(orig) > 0 && orig[0] != 0 {
		b.Put(38, orig[:authSize])
	}
	putTerminal(&b, f)
	if len(chip) > 0 {
		b.Put(55, chip)
	}
	k.asked.put(&b)
	if len(orig) > 0 {
		var buf [48]byte
		b.Put(90, append(append(buf[:0], orig[authSize:]...), k.tail...))
	}
	k.room(&b, mti, 0, len(orig) > 0)
	return k.finish(&b, dst, f.Sent)
}
