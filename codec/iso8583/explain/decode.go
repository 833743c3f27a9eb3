// Package explain takes a captured message apart without being told what it
// is: it finds length prefix, TPDU, LRI, header and dialect by itself, says
// what it chose and why, and draws the bytes of each field beside their meaning,
// with card data masked. It also makes messages from what it shows. It is for
// people and tools, never on the path of a transaction.
package explain

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tongka/codec/iso8583"
	"tongka/conn/framing"
)

// Options choose how to read and what to show.
type Options struct {
	Dialects []*iso8583.Spec // those to try; none: all that are built in
	Framing  string          // a name that conn/framing knows, or none; empty: find out
	Unmask   bool            // show card numbers, tracks and PIN blocks
}

// Check says what is wrong with the options, before there is an input.
func (o *Options) Check() error {
	_, err := candidates(o)
	return err
}

// Result is a message taken apart. Numbers are digits without pad, text is
// text (bytes above 7F as Latin-1), everything else upper-case hexadecimal.
type Result struct {
	Dialect      string            `json:"dialect"`
	Framing      string            `json:"framing"`       // as conn/framing names it, or none
	LengthPrefix int               `json:"length_prefix"` // bytes in front of the message: 2 of binary2, 4 of ascii4
	TPDU         string            `json:"tpdu,omitempty"`
	LRI          string            `json:"lri,omitempty"`
	Header       string            `json:"header,omitempty"`
	MTI          string            `json:"mti"`
	Transaction  *Words            `json:"transaction,omitempty"` // what the message is for, where that is known
	Fields       map[string]string `json:"fields"`
	Hex          []string          `json:"hex,omitempty"`  // the text fields whose value is hexadecimal, being no text
	Text         map[string]string `json:"text,omitempty"` // fields in GBK or UTF-8, as people read them
	Why          []string          `json:"why"`            // in Chinese and English
	Parts        []Part            `json:"parts,omitempty"`
}

// RefusedError says why the input is no message, as the most plausible reading
// of it sees it. Its offset counts from the first byte of the input.
type RefusedError struct {
	Dialect string
	iso8583.FieldError
	Charset *Charset // the fault behind the fault, when it is one of character sets
	Parts   []Part   // the drawing up to the first bad byte
	Bad     byte     // the first bad byte
	Left    int      // bytes of the input behind the drawing, with the bad one; 0: the input ended too early
}

// Error is one line in Chinese and English.
func (e *RefusedError) Error() string {
	if c := e.Charset; c != nil {
		return fmt.Sprintf("按 %s 方言读不通：%s / not readable as %s: %s", e.Dialect, c.chinese(), e.Dialect, c.english())
	}
	return fmt.Sprintf("按 %s 方言读不通：%s / not readable as %s: %s", e.Dialect, chinese(&e.FieldError), e.Dialect, e.FieldError.Error())
}

// MarshalJSON gives the fault in both languages beside its place and the drawing.
func (e *RefusedError) MarshalJSON() ([]byte, error) {
	w := Words{chinese(&e.FieldError), e.FieldError.Error()}
	if e.Charset != nil {
		w = Words{e.Charset.chinese(), e.Charset.english()}
	}
	return json.Marshal(struct {
		Dialect string   `json:"dialect"`
		Place   string   `json:"place"`
		Offset  int      `json:"offset"`
		Refused Words    `json:"refused"`
		Charset *Charset `json:"charset,omitempty"`
		Parts   []Part   `json:"parts"`
	}{e.Dialect, e.Place(), e.Offset, w, e.Charset, e.Parts})
}

func noFraming(name string) error {
	list := strings.Join(append(framing.Names(), bare.name), ", ")
	return fmt.Errorf("没有分帧 %q：可用 %s / no framing %q: there are %s", name, list, name, list)
}

// Decode takes input, the bytes of one frame or of one HTTP request with a
// frame in it, apart. The error is a *RefusedError, or says that the options
// are wrong.
func Decode(input []byte, o Options) (*Result, error) {
	start := httpBody(input)
	var best, worst *reading
	var also []string
	all, err := candidates(&o)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		r := c.try(input, start)
		switch {
		case r == nil:
		case r.err != nil:
			r.suspectCharset(input)
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
	switch {
	case best != nil:
		return best.result(input, start, also, o.Unmask), nil
	case worst == nil:
		return nil, notFramed(o.Framing, input)
	}
	return nil, worst.refusal(input, start, o.Unmask)
}

// notFramed is the refusal of an input that is not framed as it was said to be.
func notFramed(name string, input []byte) error {
	w, _ := wrapOf(name)
	why := "帧不完整，或后面另有字节 / the frame is not whole, or more follows"
	if _, _, err := w.f.Next(input); err != nil {
		why = "帧有误 / " + err.Error()
	}
	return fmt.Errorf("%d 字节，不是 %s 分帧的一帧：%s / %d bytes are not one frame of %s", len(input), name, why, len(input), name)
}

// refusal is the reading's error with the drawing up to the first bad byte.
func (r *reading) refusal(input []byte, start int, unmask bool) *RefusedError {
	e := &RefusedError{Dialect: r.dialect.Name(), FieldError: *r.err, Charset: r.charset, Parts: r.drawing(input, start, unmask)}
	if at := r.err.Offset; at < len(input) && r.err.Reason != iso8583.Truncated {
		e.Bad, e.Left = input[at], len(input)-at
	}
	return e
}

func (r *reading) label() string {
	at := "MTI"
	if r.envelop != nil {
		at = "TPDU"
		if len(r.env.Header) > 6 {
			at = "header"
		}
	}
	return fmt.Sprintf("%s@%s+%s", r.dialect.Name(), r.wrap.name, at)
}

func (r *reading) result(input []byte, start int, also []string, unmask bool) *Result {
	res := &Result{
		Dialect: r.dialect.Name(), Framing: r.wrap.name, LengthPrefix: r.wrap.head, MTI: r.view.MTI().String(), Fields: map[string]string{},
		TPDU: upper(r.env.TPDU), LRI: upper(r.env.LRI), Header: upper(r.env.Header),
		Why: r.why(input, start, also), Parts: r.drawing(input, start, unmask),
	}
	if w := transaction(r.fieldset()); w.ZH != "" {
		res.Transaction = &w
	}
	for n := 2; n <= lastField; n++ {
		if !r.view.Has(n) {
			continue
		}
		c, key := r.cell(n, input, unmask), strconv.Itoa(n)
		res.Fields[key] = c.shown
		if kind := r.dialect.Kind(n); kind == iso8583.Text && !printable(c.raw) && !r.dialect.Fixed(n) {
			res.Hex = append(res.Hex, key)
		}
		if t, _ := c.read(); t != c.shown {
			if res.Text == nil {
				res.Text = map[string]string{}
			}
			res.Text[key] = t
		}
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
	rest := len(input) - start - r.wrap.head
	switch r.wrap.name {
	case "none":
		say("没有长度前缀", "no length prefix")
	case "binary2":
		say(fmt.Sprintf("2 字节二进制长度 %X，其后恰有 %d 字节", input[start:start+2], rest),
			fmt.Sprintf("2-byte binary length %X, and %d bytes follow", input[start:start+2], rest))
	case "ascii4":
		say(fmt.Sprintf("4 位 ASCII 长度 %s，其后恰有 %d 字节", input[start:start+4], rest),
			fmt.Sprintf("4-digit ASCII length %s, and %d bytes follow", input[start:start+4], rest))
	default:
		say(fmt.Sprintf("按 %s 分帧恰好一帧", r.wrap.name), fmt.Sprintf("exactly one frame of %s", r.wrap.name))
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
