package translate

import (
	"errors"
	"fmt"

	"tongka/codec/iso8583"
)

// need is what a field must be so that messages can be read from a dialect and
// made in it. A length of 0 is a variable one that carries so many at least.
type need struct {
	field  int
	kinds  [2]iso8583.Kind // one of them; the second may be Absent
	length int
	least  int
}

var (
	figures = [2]iso8583.Kind{iso8583.Numeric}
	text    = [2]iso8583.Kind{iso8583.Text}
	octets  = [2]iso8583.Kind{iso8583.Binary}
	either  = [2]iso8583.Kind{iso8583.Text, iso8583.Numeric}
	packed  = [2]iso8583.Kind{iso8583.Text, iso8583.Binary} // bytes, or text that keeps them
)

// common is wanted of both sides.
var common = []need{
	{2, figures, 0, 19}, {3, figures, 6, 0}, {4, figures, 12, 0}, {11, figures, 6, 0}, {12, figures, 6, 0}, {13, figures, 4, 0}, {14, figures, 4, 0},
	{15, figures, 4, 0}, {22, figures, 3, 0}, {23, figures, 3, 0}, {25, figures, 2, 0}, {26, figures, 2, 0}, {32, figures, 0, 11},
	{35, [2]iso8583.Kind{iso8583.Track}, 0, 37}, {36, [2]iso8583.Kind{iso8583.Track}, 0, 104}, {37, text, 12, 0}, {38, text, 6, 0}, {39, text, 2, 0},
	{41, text, 8, 0}, {42, text, 15, 0}, {44, text, 0, 25}, {49, text, 3, 0}, {52, octets, 8, 0}, {53, figures, 16, 0}, {54, text, 0, 40},
	{55, packed, 0, maxChip}, {62, packed, 0, maxCode},
}

// Needs of a terminal's side and of a bank's, besides the common ones.
var (
	doorNeeds = []need{{60, either, 0, 19}, {61, either, 0, 29}, {63, text, 0, 3}, {64, octets, 8, 0}}
	bankNeeds = []need{{7, figures, 10, 0}, {18, figures, 4, 0}, {33, figures, 0, 11}, {60, text, 0, reasonSize}, {70, figures, 3, 0}, {90, figures, 42, 0}}
)

// Needs of a dialect of 1993.
var (
	common93 = []need{
		{2, figures, 0, 19}, {3, figures, 6, 0}, {4, figures, 12, 0}, {11, figures, 6, 0}, {12, figures, 12, 0}, {14, figures, 4, 0},
		{15, figures, 6, 0}, {22, either, 12, 0}, {23, figures, 3, 0}, {24, figures, 3, 0}, {32, figures, 0, 11},
		{35, [2]iso8583.Kind{iso8583.Track}, 0, 37}, {36, [2]iso8583.Kind{iso8583.Track}, 0, 104}, {37, text, 12, 0}, {38, text, 6, 0}, {39, figures, 3, 0},
		{41, text, 8, 0}, {42, text, 15, 0}, {44, text, 0, 25}, {49, either, 3, 0}, {52, octets, 8, 0}, {53, octets, 0, 8}, {54, text, 0, 40},
		{55, packed, 0, maxChip}, {56, figures, 0, 35}, {60, text, 0, reasonSize}, {62, packed, 0, maxCode},
	}
	doorNeeds93 = []need{{61, text, 0, 29}, {63, text, 0, 3}, {64, octets, 8, 0}}
	bankNeeds93 = []need{{7, figures, 10, 0}, {25, figures, 4, 0}, {26, figures, 4, 0}, {33, figures, 0, 11}}
)

// lacks names every field of a dialect of 1987 that is not what is needed.
func lacks(s *iso8583.Spec, needs []need) error { return lacksAny(s, common, needs) }

func lacksAny(s *iso8583.Spec, lists ...[]need) error {
	var errs []error
	d := s.Declaration()
	for _, list := range lists {
		for _, n := range list {
			if f := d.Fields[n.field]; !n.met(&f) {
				errs = append(errs, fmt.Errorf("方言 %s 的域 F%d 须为 %s，此处为 %s · dialect %s: F%d: wanted %s, here %s",
					s.Name(), n.field, n, describe(&f), s.Name(), n.field, n, describe(&f)))
			}
		}
	}
	return errors.Join(errs...)
}

func (n need) met(f *iso8583.Field) bool {
	if f.Kind == iso8583.Absent || f.Kind != n.kinds[0] && f.Kind != n.kinds[1] {
		return false
	}
	if n.kinds == packed && f.Kind == iso8583.Text && f.Coding.String() == "ebcdic" {
		return false // what is bytes would be changed as characters
	}
	if n.length > 0 {
		return f.Prefix == 0 && (f.Length == n.length || n.field == 52 && f.Length == 2*n.length) // a block of SM4
	}
	return f.Prefix > 0 && f.Length >= n.least
}

// String is what is wanted: number 6; text or binary ..255.
func (n need) String() string {
	s := n.kinds[0].String()
	if n.kinds[1] != iso8583.Absent {
		s += "/" + n.kinds[1].String()
	}
	if n.length > 0 {
		return fmt.Sprintf("%s %d", s, n.length)
	}
	return fmt.Sprintf("%s ..%d", s, n.least)
}

func describe(f *iso8583.Field) string {
	switch {
	case f.Kind == iso8583.Absent:
		return "–"
	case f.Prefix > 0:
		return fmt.Sprintf("%s %s ..%d", f.Kind, f.Coding, f.Length)
	}
	return fmt.Sprintf("%s %s %d", f.Kind, f.Coding, f.Length)
}
