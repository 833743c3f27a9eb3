// Package explain takes a captured message apart without being told what it
// is: it finds length prefix, TPDU, LRI, header and dialect by itself, says
// what it chose and why, and shows the fields with card data masked. It is for
// people and tools, never on the path of a transaction.
package explain

import (
	"fmt"
	"strconv"
	"strings"

	"tongka/codec/iso8583"
)

// Options choose how to read and what to show.
type Options struct {
	Dialect string // pos, bcd, cups or ascii; empty: find out
	Unmask  bool   // show card numbers, tracks and PIN blocks
}

// Result is a message taken apart. Numbers are digits without pad, text is
// text (bytes above 7F as Latin-1), everything else upper-case hexadecimal.
type Result struct {
	Dialect      string            `json:"dialect"`
	LengthPrefix int               `json:"length_prefix"` // bytes: 0, 2 binary, 4 ASCII digits
	TPDU         string            `json:"tpdu,omitempty"`
	LRI          string            `json:"lri,omitempty"`
	Header       string            `json:"header,omitempty"`
	MTI          string            `json:"mti"`
	Fields       map[string]string `json:"fields"`
	Why          []string          `json:"why"` // in Chinese and English

	rows []row
}

// row is one field of the table for people.
type row struct {
	n             int
	zh, en, value string
}

// RefusedError says why the input is no message, as the most plausible reading
// of it sees it. Its offset counts from the first byte of the input.
type RefusedError struct {
	Dialect string
	iso8583.FieldError
}

// Error is one line in Chinese and English.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("按 %s 方言读不通：%s / not readable as %s: %s", e.Dialect, chinese(&e.FieldError), e.Dialect, e.FieldError.Error())
}

// Decode takes input, the bytes of one frame or of one HTTP request with a
// frame in it, apart. The error is a *RefusedError, or says that the options
// are wrong.
func Decode(input []byte, o Options) (*Result, error) {
	start := httpBody(input)
	var best, worst *reading
	var also []string
	all := candidates(o.Dialect)
	if len(all) == 0 {
		return nil, fmt.Errorf("没有方言 %q：可用 pos, bcd, cups, ascii / no dialect %q: there are pos, bcd, cups, ascii", o.Dialect, o.Dialect)
	}
	for _, c := range all {
		r := c.try(input, start)
		switch {
		case r == nil:
		case r.err != nil:
			if worst == nil || r.score > worst.score {
				worst = r
			}
		case best == nil || r.score > best.score:
			if best != nil {
				also = append(also, best.label())
			}
			best = r
		default:
			also = append(also, r.label())
		}
	}
	if best == nil {
		return nil, &RefusedError{Dialect: worst.dialect.Name(), FieldError: *worst.err}
	}
	return best.result(input, start, also, o.Unmask), nil
}

func (r *reading) label() string {
	at := "MTI"
	if r.envelop != nil {
		at = "TPDU"
		if len(r.env.Header) > 6 {
			at = "header"
		}
	}
	return fmt.Sprintf("%s@%d+%s", r.dialect.Name(), r.prefix, at)
}

func (r *reading) result(input []byte, start int, also []string, unmask bool) *Result {
	res := &Result{
		Dialect: r.dialect.Name(), LengthPrefix: r.prefix, MTI: r.view.MTI().String(), Fields: map[string]string{},
		TPDU: upper(r.env.TPDU), LRI: upper(r.env.LRI), Header: upper(r.env.Header),
		Why: r.why(input, start, also),
	}
	for n := 2; n <= 128; n++ {
		if !r.view.Has(n) {
			continue
		}
		value := show(&r.view, n, unmask)
		zh, en := r.dialect.Describe(n)
		res.Fields[strconv.Itoa(n)] = value
		res.rows = append(res.rows, row{n, zh, en, value})
	}
	return res
}

// why says what was chosen, in the order of the bytes.
func (r *reading) why(input []byte, start int, also []string) []string {
	var w []string
	say := func(zh, en string) { w = append(w, zh+" / "+en) }
	if start > 0 {
		say(fmt.Sprintf("HTTP 报文体自第 %d 字节起", start), fmt.Sprintf("HTTP body from byte %d on", start))
	}
	rest := len(input) - start - r.prefix
	switch r.prefix {
	case 2:
		say(fmt.Sprintf("2 字节二进制长度 %X，其后恰有 %d 字节", input[start:start+2], rest),
			fmt.Sprintf("2-byte binary length %X, and %d bytes follow", input[start:start+2], rest))
	case 4:
		say(fmt.Sprintf("4 位 ASCII 长度 %s，其后恰有 %d 字节", input[start:start+4], rest),
			fmt.Sprintf("4-digit ASCII length %s, and %d bytes follow", input[start:start+4], rest))
	default:
		say("没有长度前缀", "no length prefix")
	}
	if r.env.TPDU != nil {
		say("TPDU 以 60 开头", "a TPDU begins with 60")
	}
	if r.env.LRI != nil {
		say("TPDU 后有拨号线路信息 LRI", "an LRI follows the TPDU")
	}
	switch {
	case len(r.env.Header) > 6:
		say("46 字节银联报文头，总长度相符", "the 46-byte centre header, its total length is right")
	case r.env.Header != nil:
		say("6 字节报文头以 6 开头", "a 6-byte header begins with 6")
	case r.env.TPDU != nil:
		say("没有 6 字节报文头：TPDU 后就是消息类型", "no 6-byte header: the MTI follows the TPDU")
	}
	say(fmt.Sprintf("按 %s 方言恰好读完", r.dialect.Name()), fmt.Sprintf("as %s the message ends exactly with its last field", r.dialect.Name()))
	if len(also) > 0 {
		list := strings.Join(also, ", ")
		say("也读得通，但较不可信："+list, "these fit too but are less plausible: "+list)
	}
	return w
}

func upper(p []byte) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("%X", p)
}
