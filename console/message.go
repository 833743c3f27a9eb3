package console

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"tongka/codec/iso8583"
	"tongka/codec/iso8583/explain"
	"tongka/conn/framing"
)

// The page of messages: hexadecimal in, a drawing out; JSON in, hexadecimal out.
// It is a pure function of what is pasted: nothing is sent, stored or logged, and
// card data is always masked.

// maxPaste bounds what is pasted, in bytes; maxFrame what it may mean. A frame of
// any framing between switches is shorter.
const (
	maxPaste = 64 << 10
	maxFrame = 10 << 10
)

// paste is what the page sends.
type paste struct {
	Text    string `json:"text"`
	Dialect string `json:"dialect"` // a built-in name; empty: found, or that of the JSON
	Framing string `json:"framing"` // empty: found, or that of the JSON
}

// reading is what the page gets. Refused is empty when all went well.
type reading struct {
	Drawing string          `json:"drawing,omitempty"`
	Message *explain.Result `json:"message,omitempty"`
	Hex     string          `json:"hex,omitempty"`
	Refused string          `json:"refused,omitempty"`
}

// messages does one paste at a time: whatever a page asks, the switch beside it
// keeps its processor.
type messages struct{ busy sync.Mutex }

// answer is an HTTP handler around one of the two ways.
func (m *messages) answer(do func(*paste) (reading, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			refuse(w, http.StatusMethodNotAllowed, "只支持 POST", "only POST is supported")
			return
		}
		var p paste
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPaste))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			var large *http.MaxBytesError
			if errors.As(err, &large) {
				refuse(w, http.StatusRequestEntityTooLarge, "内容过长", "too much was pasted")
				return
			}
			refuse(w, http.StatusBadRequest, "请求不是所要的 JSON", "the request is not the JSON that is wanted")
			return
		}
		if !m.busy.TryLock() {
			refuse(w, http.StatusTooManyRequests, "正在处理另一条报文", "another message is being read")
			return
		}
		defer m.busy.Unlock()
		out, err := do(&p)
		if err != nil {
			out.Refused = err.Error()
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(out) // the client may be gone
	}
}

// dialect is the one that a paste names, nil for none.
func (p *paste) dialect() (*iso8583.Spec, error) {
	if p.Dialect == "" {
		return nil, nil
	}
	if s, ok := iso8583.Named(p.Dialect); ok {
		return s, nil
	}
	return nil, errors.New("没有这个方言 / no such dialect")
}

func decodeMessage(p *paste) (out reading, err error) {
	b, err := explain.ParseHex(p.Text)
	if err != nil {
		return out, err
	}
	if len(b) > maxFrame {
		return out, errors.New("报文过长 / the message is too long")
	}
	o := explain.Options{Framing: p.Framing}
	if s, err := p.dialect(); err != nil {
		return out, err
	} else if s != nil {
		o.Dialects = []*iso8583.Spec{s}
	}
	var drawing bytes.Buffer
	out.Message, err = explain.Decode(b, o)
	var refused *explain.RefusedError
	switch {
	case err == nil:
		err = out.Message.WriteText(&drawing, explain.Style{})
	case errors.As(err, &refused):
		err = errors.Join(refused.WriteText(&drawing, explain.Style{}), err)
	}
	out.Drawing = drawing.String()
	return out, err
}

func encodeMessage(p *paste) (out reading, err error) {
	form := explain.Form{Framing: p.Framing}
	if form.Dialect, err = p.dialect(); err != nil {
		return out, err
	}
	b, err := explain.Encode([]byte(p.Text), form)
	out.Hex = strings.ToUpper(hex.EncodeToString(b))
	return out, err
}

// choices are what the page offers.
func choices() map[string][]string {
	var names []string
	for _, s := range iso8583.Builtin() {
		names = append(names, s.Name())
	}
	return map[string][]string{"Dialects": names, "Framings": append(framing.Names(), "none")}
}
