package dialect

import "slices"

// The words by which files and lists say what the constants above say. The first
// entry, where it is empty, is the zero value, which a file leaves out.
var (
	Kinds    = []string{"", "number", "track", "text", "binary"}
	Codings  = []string{"", "ascii", "ebcdic", "bcd", "bcd-right", "binary", "hex", "ebcdic-hex"}
	Framings = []string{"bare", "tpdu", "tpdu-header", "centre"}
	Thirds   = []string{"", "follows", "in-65"}
	Forms    = []string{"positions", "tlv", "ber"}
	Checks   = []string{"", "digits", "alpha", "alnum", "printable", "luhn", "MMDD", "YYMM", "YYMMDD", "hhmmss", "MMDDhhmmss", "YYMMDDhhmmss", "ber"}
)

func (k Kind) String() string    { return Kinds[k] }
func (c Coding) String() string  { return Codings[c] }
func (f Framing) String() string { return Framings[f] }
func (t Third) String() string   { return Thirds[t] }
func (f Form) String() string    { return Forms[f] }
func (c Check) String() string   { return Checks[c] }

// Word finds the constant that a word says, false for another word.
func Word[T ~uint8](words []string, word string) (T, bool) {
	i := slices.Index(words, word)
	return T(max(i, 0)), i >= 0
}

// Packed says that the length counts half bytes.
func (f *Field) Packed() bool { return f.Coding == BCD || f.Coding == BCDRight }

// Size is the number of bytes that a value of l digits or bytes takes.
func (f *Field) Size(l int) int {
	switch f.Coding {
	case BCD, BCDRight:
		return (l + 1) / 2
	case Hex, EBCDICHex:
		return 2 * l
	}
	return l
}

// PrefixSize is the number of bytes of the length prefix.
func (f *Field) PrefixSize() int {
	switch f.Count {
	case BCD:
		return (f.Prefix + 1) / 2
	case Hex:
		return 2 * f.Prefix
	}
	return f.Prefix
}

// Reach is the greatest length that the prefix can say.
func (f *Field) Reach() int {
	n, base := 1, 10
	if f.Count == Bytes || f.Count == Hex {
		base = 256
	}
	for range f.Prefix {
		n *= base
	}
	return min(n-1, MaxLength)
}
