package explain

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"

	"tongka/codec/iso8583"
)

// Form says how a message is to be made; what it leaves open, the JSON says.
type Form struct {
	Dialect *iso8583.Spec // nil: the built-in one that the JSON names
	Framing string        // empty: that of the JSON, and none without one
}

// sheet is the JSON that Encode takes: what Decode gives. Only some of it is
// needed, the rest is passed over: a changed field counts, not the old drawing.
type sheet struct {
	Result
	Fields json.RawMessage `json:"fields"`
	Prefix *int            `json:"length_prefix"`
}

// MaxSheet bounds the JSON of one message, in bytes.
const MaxSheet = 1 << 20

// Encode makes the bytes of a message from JSON in the shape that Decode gives:
// dialect, mti and fields by number, and as far as wanted framing, tpdu, lri,
// header and hex, the list of text fields whose value is in hexadecimal. Numbers
// are digits, tracks digits with D or =, binary hexadecimal; in text a character
// up to U+00FF is a byte, and a text with any other is written in GBK. A number
// that is too short for its field gets zeros on the left, a text spaces on the
// right. The error names the field, in Chinese and English.
func Encode(text []byte, form Form) ([]byte, error) {
	s, err := readSheet(text)
	if err != nil {
		return nil, err
	}
	spec := form.Dialect
	if spec == nil {
		if spec, err = dialectNamed(s.Dialect); err != nil {
			return nil, err
		}
	}
	w, err := s.wrap(form.Framing)
	if err != nil {
		return nil, err
	}
	var out []byte
	if w.f != nil {
		out = w.f.Begin(out)
	}
	if out, err = s.appendEnvelope(out); err != nil {
		return nil, err
	}
	if out, err = s.appendMessage(out, spec); err != nil {
		return nil, err
	}
	if s.Header != "" && len(s.Header) > 12 {
		if err := patchTotal(out, w.head+len(s.TPDU)/2+len(s.LRI)/2); err != nil {
			return nil, err
		}
	}
	if w.f != nil {
		if out, err = w.f.End(out, 0); err != nil {
			return nil, fmt.Errorf("分帧 %s：报文放不进去 / framing %s: %w", w.name, w.name, err)
		}
	}
	return out, nil
}

func readSheet(text []byte) (*sheet, error) {
	if len(text) > MaxSheet {
		return nil, fmt.Errorf("JSON 超过 %d 字节 / the JSON is larger than %d bytes", MaxSheet, MaxSheet)
	}
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	var s sheet
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, jsonError(text, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: JSON 之后还有内容 / there is more behind the JSON", position(text, d.InputOffset()))
	}
	return &s, nil
}

// jsonError says where JSON is wrong, by line and column.
func jsonError(text []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%s: JSON 语法错误 / %w", position(text, syntax.Offset), err)
	case errors.As(err, &kind):
		what := cmp.Or(kind.Field, "JSON")
		return fmt.Errorf("%s: %s 的类型不对（%s） / %s must not be of type %s", position(text, kind.Offset), what, kind.Value, what, kind.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: JSON 不完整 / the JSON ends too early", position(text, int64(len(text))))
	}
	// Package json names an unknown key in its message, and no place.
	if key, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		at := int64(bytes.Index(text, []byte(key)))
		return fmt.Errorf("%s: 没有此项 / %w", position(text, at+1), err)
	}
	return fmt.Errorf("JSON 有误 / %w", err)
}

// position is line:column of a byte, both from 1.
func position(text []byte, offset int64) string {
	before := text[:min(int(offset), len(text))]
	line := 1 + bytes.Count(before, []byte("\n"))
	return fmt.Sprintf("%d:%d", line, max(1, len(before)-bytes.LastIndexByte(before, '\n')-1))
}

func dialectNamed(name string) (*iso8583.Spec, error) {
	if s, ok := iso8583.Named(name); ok {
		return s, nil
	}
	var names []string
	for _, s := range iso8583.Builtin() {
		names = append(names, s.Name())
	}
	list := strings.Join(names, ", ")
	return nil, fmt.Errorf("没有内置方言 %q：可用 %s，或给出方言文件 / no built-in dialect %q: there are %s; or name a file", name, list, name, list)
}

// wrap is the framing that the caller or the JSON asks for.
func (s *sheet) wrap(asked string) (wrap, error) {
	name := asked
	if name == "" {
		name = s.Framing
	}
	if name == "" && s.Prefix != nil {
		byPrefix := map[int]string{0: bare.name, 2: "binary2", 4: "ascii4"}
		if name = byPrefix[*s.Prefix]; name == "" {
			return wrap{}, fmt.Errorf("length_prefix %d：只能是 0、2、4，其他请给 framing / must be 0, 2 or 4; for others say framing", *s.Prefix)
		}
	}
	if name == "" {
		return bare, nil
	}
	w, ok := wrapOf(name)
	if !ok {
		return wrap{}, noFraming(name)
	}
	return w, nil
}

// appendEnvelope appends what stands before the MTI.
func (s *sheet) appendEnvelope(out []byte) ([]byte, error) {
	for _, part := range []struct {
		name, value string
		sizes       []int
	}{{"tpdu", s.TPDU, []int{5}}, {"lri", s.LRI, []int{33}}, {"header", s.Header, []int{6, 46}}} {
		if part.value == "" {
			continue
		}
		raw, ok := unhex(part.value)
		if !ok || !slices.Contains(part.sizes, len(raw)) {
			size := strings.Trim(fmt.Sprint(part.sizes), "[]")
			return nil, fmt.Errorf("%s：应为 %s 字节的十六进制 / %s must be hexadecimal of %s bytes", part.name, size, part.name, size)
		}
		out = append(out, raw...)
	}
	return out, nil
}

// patchTotal writes the total length into the centre's header at the offset.
func patchTotal(out []byte, at int) error {
	total := len(out) - at
	if total > 9999 {
		return fmt.Errorf("header：总长度 %d 超过 9999 / the total length %d is above 9999", total, total)
	}
	iso8583.PatchCupsLength(out[at:], total)
	return nil
}

func (s *sheet) appendMessage(out []byte, spec *iso8583.Spec) ([]byte, error) {
	if len(s.MTI) != 4 || strings.Trim(s.MTI, "0123456789") != "" {
		return nil, fmt.Errorf("mti %q：应为 4 位数字 / mti %q must be 4 digits", s.MTI, s.MTI)
	}
	mti, _ := strconv.ParseUint(s.MTI, 16, 16) // digits, one a nibble
	fields, err := readFields(s.Fields)
	if err != nil {
		return nil, err
	}
	for _, key := range s.Hex {
		if n, err := strconv.Atoi(key); err != nil || fields[n] == "" {
			return nil, fmt.Errorf("hex：没有域 %q / hex names %q, which is not among the fields", key, key)
		}
	}
	b := spec.Begin(out, iso8583.MTI(mti))
	for _, n := range slices.Sorted(maps.Keys(fields)) {
		raw, err := canonical(spec, n, fields[n], slices.Contains(s.Hex, strconv.Itoa(n)))
		if err != nil {
			return nil, err
		}
		b.Put(n, raw)
	}
	out, err = b.End()
	var e *iso8583.FieldError
	if errors.As(err, &e) {
		return nil, fmt.Errorf("%s / %w", chinese(e), e)
	}
	return out, err
}

func fieldFault(n int, zh, en string) error {
	return fmt.Errorf("%s：%s / %[1]s: %[3]s", "F"+strconv.Itoa(n), zh, en)
}

// readFields reads the object of fields. The library would let the last of two
// with the same number win, and somebody's change would be lost.
func readFields(raw json.RawMessage) (map[int]string, error) {
	fields := map[int]string{}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err == io.EOF || t == nil {
		return fields, nil
	} else if t != json.Delim('{') {
		return nil, errors.New("fields：应为对象，域号为键 / fields must be an object with the numbers of fields as keys")
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		value, err := d.Token()
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(key.(string))
		switch text, isText := value.(string); {
		case err != nil || n < 2 || n > lastField || strconv.Itoa(n) != key:
			return nil, fmt.Errorf("fields：%q 不是 2 至 %d 的域号 / fields: %q is not the number of a field, 2 to %d", key, lastField, key, lastField)
		case !isText:
			return nil, fieldFault(n, "值应为字符串", "the value must be a string")
		default:
			if _, twice := fields[n]; twice {
				return nil, fieldFault(n, "出现两次", "is there twice")
			}
			fields[n] = text
		}
	}
	return fields, nil
}

// canonical turns a value as it is shown into the bytes that a builder takes.
func canonical(spec *iso8583.Spec, n int, value string, inHex bool) ([]byte, error) {
	kind := spec.Kind(n)
	if strings.Contains(value, "**") {
		return nil, fieldFault(n, "值已屏蔽，请用 --unmask 解读后再编码", "the value is masked; decode with --unmask first")
	}
	switch {
	case kind == iso8583.Binary && (n == 64 || n == 128) && len(value) == 8 && mtiSize(spec) > 2:
		return []byte(value), nil // a MAC in characters, as plain shows it
	case kind == iso8583.Binary || inHex:
		raw, ok := unhex(value)
		if !ok && value != "" {
			return nil, fieldFault(n, "应为整字节的十六进制", "must be hexadecimal of whole bytes")
		}
		return raw, nil
	case kind != iso8583.Text || !strings.ContainsFunc(value, func(c rune) bool { return c > 0xFF }):
		raw := make([]byte, 0, len(value))
		for _, c := range value {
			raw = append(raw, byte(min(c, 0xFF)))
		}
		return raw, nil
	}
	raw, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(value))
	if err != nil {
		return nil, fieldFault(n, "有 GBK 没有的字符", "has a character that GBK has not")
	}
	return raw, nil
}
