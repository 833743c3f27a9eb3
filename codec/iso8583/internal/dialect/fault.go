package dialect

import (
	"fmt"
	"slices"
)

// Fault is one thing that is wrong with a declaration. Field is its number, or -1
// for the dialect itself; Key is what of it (as files call it), and Part counts
// from 1 in its parts, 0 outside of them.
type Fault struct {
	Field   int
	Key     string
	Part    int
	Message string // "中文 · English"
	Hint    string // what to write instead; may be empty
}

// Error is for whoever has no file in which the fault could be shown.
func (f Fault) Error() string {
	where := f.Key
	if f.Field >= 0 {
		where = fmt.Sprintf("F%d %s", f.Field, f.Key)
	}
	return where + ": " + f.Message
}

// kindCodings are the codings that a field of a kind may have.
var kindCodings = map[Kind][]Coding{
	Numeric: {ASCII, EBCDIC, BCD, BCDRight},
	Track:   {ASCII, EBCDIC, BCD},
	Text:    {ASCII, EBCDIC},
	Binary:  {Bytes, Hex, EBCDICHex},
}

// Faults gives all that is wrong, in the order of the fields.
func (d *Declaration) Faults() []Fault {
	var r report
	r.field = -1
	if d.Name == "" {
		r.add("name", "缺少名称 · a name is missing", "")
	}
	r.oneOf("mti", d.MTI, ASCII, EBCDIC, BCD)
	r.oneOf("bitmap", d.Bitmap, Bytes, Hex, EBCDICHex)
	if len(d.Fields) == 0 {
		r.add("fields", "没有域 · there are no fields", "")
	}
	high, third := false, false
	for _, n := range d.Numbers() {
		r.field = n
		high, third = high || n > 64, third || n > 128
		switch {
		case n < 2 || n > MaxField:
			r.add("", "域号须为 2 至 192 · fields are 2 to 192", "0 与 1 为 mti 与 bitmap · 0 and 1 are mti and bitmap")
		case n == 65 && d.Third != NoThird:
			r.add("", "域 65 为第三位图 · field 65 is the third bitmap", "third-bitmap: "+d.Third.String())
		case n > 128 && d.Third == NoThird:
			r.add("", "域 129 至 192 需要第三位图 · fields 129 to 192 need a third bitmap", "third-bitmap: follows")
		}
		f := d.Fields[n]
		r.check(&f)
	}
	r.field = -1
	switch {
	case d.Wide && !high:
		r.add("both-bitmaps", "两个位图，却无 64 以上的域 · both bitmaps but no field above 64", "")
	case d.Wide && d.Third == ThirdIn65:
		r.add("both-bitmaps", "与 third-bitmap: in-65 不能同用 · not together with third-bitmap: in-65", "")
	case d.Third != NoThird && !third:
		r.add("third-bitmap", "第三位图，却无 128 以上的域 · a third bitmap but no field above 128", "")
	}
	return r.faults
}

type report struct {
	faults []Fault
	field  int
	part   int
}

func (r *report) add(key, message, hint string) {
	r.faults = append(r.faults, Fault{r.field, key, r.part, message, hint})
}

func (r *report) oneOf(key string, c Coding, known ...Coding) {
	if slices.Contains(known, c) {
		return
	}
	list := ""
	for _, k := range known {
		list += " " + k.String()
	}
	if c == 0 {
		r.add(key, "缺少编码 · a coding is missing", "可用 · known:"+list)
		return
	}
	r.add(key, fmt.Sprintf("编码 %q 须为其一 · coding %q, wanted one of:%s", c, c, list), "")
}

func (r *report) check(f *Field) {
	codings, ok := kindCodings[f.Kind]
	if !ok {
		r.add("type", "缺少类型 · a type is missing", "number, track, text, binary")
		return
	}
	r.oneOf("coding", f.Coding, codings...)
	switch {
	case f.Length < 1 || f.Length > MaxLength:
		r.add("length", fmt.Sprintf("长度 %d 须为 1 至 %d · length %d, wanted 1 to %d", f.Length, MaxLength, f.Length, MaxLength), "")
	case f.Prefix < 0 || f.Prefix > 4:
		r.add("prefix", "长度前缀至多 LLLL · a length prefix is LLLL at most", "")
	case f.Prefix > 0:
		r.oneOf("prefix-coding", f.Count, ASCII, EBCDIC, BCD, Bytes, Hex)
		if f.Length > f.Reach() {
			r.add("length", fmt.Sprintf("长度 %d 超过前缀可表示的 %d · length %d, the prefix says %d at most", f.Length, f.Reach(), f.Length, f.Reach()),
				"加长前缀或缩短长度 · a longer prefix or a smaller length")
		}
	}
	if f.Loose && !f.Packed() {
		r.add("loose-pad", "只有压缩编码有填充半字节 · only packed fields have a pad nibble", "")
	}
	if f.Pad.Char != 0 && (f.Kind != Text || f.Prefix != 0) {
		r.add("pad", "只有定长文本可设填充 · only text of fixed length has a pad", "数字总是左补零 · numbers have zeros on the left, always")
	}
	r.checks(f)
	if f.Parts != nil {
		r.parts(f)
	}
}

// checks looks for checks that no value could pass.
func (r *report) checks(f *Field) {
	pairs := ""
	if f.Check < BERTLV {
		pairs = moments[f.Check]
	}
	switch {
	case pairs != "" && (f.Kind != Numeric && f.Kind != Text || f.Length < 2*len(pairs) || f.Prefix == 0 && f.Length != 2*len(pairs)):
		r.add("check", fmt.Sprintf("%s 须为 %d 位数字 · %s takes %d digits", f.Check, 2*len(pairs), f.Check, 2*len(pairs)), "")
	case f.Check == Luhn && f.Kind != Numeric, f.Check == BERTLV && f.Kind != Binary, f.Kind == Binary && f.Check != NoCheck && f.Check != BERTLV:
		r.add("check", fmt.Sprintf("%s 不适用于 %s · %s is not for %s", f.Check, f.Kind, f.Check, f.Kind), "")
	}
}

func (r *report) parts(f *Field) {
	p := f.Parts
	switch {
	case p.Form == BER && f.Kind != Binary && f.Kind != Text:
		r.add("parts", "BER-TLV 须在 binary 域中 · BER-TLV stands in binary fields", "")
	case p.Form == TLV && (f.Kind != Text && f.Kind != Binary || p.Tag < 1 || p.Tag > 8 || p.Length < 1 || p.Length > 4):
		r.add("parts", "TLV 在 text 域中，tag 1 至 8 位、length 1 至 4 位 · TLV stands in text, with tags of 1 to 8 characters and lengths of 1 to 4 digits", "")
	case p.Form == Positions && len(p.List) == 0:
		r.add("parts", "没有子域 · there are no parts", "")
	}
	for i, part := range p.List {
		r.part = i + 1
		switch {
		case p.Form == Positions && (part.At < 0 || part.Length < 0 || part.At+part.Length > f.Length || part.At >= f.Length):
			r.add("parts", fmt.Sprintf("子域超出长度 %d · the part reaches beyond the length %d", f.Length, f.Length), "")
		case p.Form == TLV && len(part.Tag) != p.Tag, p.Form == BER && !wholeTag(part.Tag):
			r.add("parts", fmt.Sprintf("tag %q 不符合格式 · tag %q does not have the form", part.Tag, part.Tag), "")
		}
	}
	r.part = 0
}

// wholeTag says that hexadecimal digits are one BER tag.
func wholeTag(tag string) bool {
	if len(tag) < 2 || len(tag) > 6 || len(tag)%2 != 0 {
		return false
	}
	var b [8]byte
	for i := range tag {
		d := slices.Index([]byte("0123456789ABCDEF"), tag[i])
		if d < 0 {
			return false
		}
		b[i/2] = b[i/2]<<4 | byte(d)
	}
	// With a length of 0 behind it, it must be an object whose tag is all of it.
	n := len(tag) / 2
	e, bad := NextBER(b[:n+1], 0)
	return bad < 0 && b[0] != 0 && e.Tag == n
}
