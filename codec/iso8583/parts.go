package iso8583

import (
	"encoding/hex"
	"strings"

	"tongka/codec/iso8583/internal/dialect"
)

// Element is one sub-element of a field as a message has it. Name is the declared
// one, empty when the dialect does not name it.
type Element struct {
	Tag   string // of TLV; of BER-TLV in hexadecimal
	Name  string // "中文 / English"
	At    int    // where the value begins in the field's canonical value
	Value []byte // canonical: digits, characters, bytes
}

// Elements takes field n apart as its dialect declares (Parts): nil when it does
// not, or when the field is absent. Positions that a short value does not reach are
// left out. It allocates and is for showing messages, not for the way of a sale.
// The error is a *FieldError; the elements in front of the fault come with it.
func (v *View) Elements(n int) ([]Element, error) {
	if !v.Has(n) {
		return nil, nil
	}
	p := v.spec.decl.Fields[n].Parts
	if p == nil {
		return nil, nil
	}
	value := v.AppendText(nil, n)
	switch p.Form {
	case dialect.BER:
		return v.berElements(n, p, value)
	case dialect.TLV:
		return v.tlvElements(n, p, value)
	}
	var all []Element
	for _, part := range p.List {
		if part.At >= len(value) {
			continue
		}
		end := min(part.At+part.Length, len(value))
		if part.Length == 0 {
			end = len(value)
		}
		all = append(all, Element{Name: part.Name, At: part.At, Value: value[part.At:end]})
	}
	return all, nil
}

func (v *View) berElements(n int, p *Parts, value []byte) (all []Element, err error) {
	for at := 0; ; {
		e, bad := dialect.NextBER(value, at)
		switch {
		case bad >= 0:
			return all, v.unfit(n, bad, dialect.BERTLV)
		case e.At == len(value):
			return all, nil
		}
		tag := strings.ToUpper(hex.EncodeToString(value[e.At:e.Tag]))
		all = append(all, Element{tag, nameOf(p, tag), e.Value, value[e.Value:e.End]})
		at = e.End
	}
}

func (v *View) tlvElements(n int, p *Parts, value []byte) (all []Element, err error) {
	for at := 0; at < len(value); {
		start := at + p.Tag + p.Length
		if start > len(value) {
			return all, v.short(n, at, p.Tag+p.Length, len(value)-at)
		}
		length := 0
		for i := at + p.Tag; i < start; i++ {
			d := int(value[i]) - '0'
			if d < 0 || d > 9 {
				return all, v.unfit(n, i, dialect.Digits)
			}
			length = length*10 + d
		}
		if start+length > len(value) {
			return all, v.short(n, start, length, len(value)-start)
		}
		tag := string(value[at : at+p.Tag])
		all = append(all, Element{tag, nameOf(p, tag), start, value[start : start+length]})
		at = start + length
	}
	return all, nil
}

func nameOf(p *Parts, tag string) string {
	for _, part := range p.List {
		if part.Tag == tag {
			return part.Name
		}
	}
	return ""
}

// unfit is a fault at byte i of field n's canonical value.
func (v *View) unfit(n, i int, check Check) error {
	return &FieldError{Field: n, Offset: v.wireOffset(n, i), Reason: Unfit, Want: int(check)}
}

// short is a part that is cut off: at byte i, want bytes, and got are left.
func (v *View) short(n, i, want, got int) error {
	return &FieldError{Field: n, Offset: v.wireOffset(n, i), Reason: Truncated, Want: want, Got: got}
}
