package explain

import (
	"errors"
	"strings"
	"testing"
)

func TestParseHexReadsWhatPeoplePaste(t *testing.T) {
	const want = "\x60\x00\x06\x00\x00\x60\x32\x00\x32\x02\x02\x00\x70\x24\x06\xC0\x20\xC0"
	for name, text := range map[string]string{
		"plain":    "60000600006032003202020070240" + "6C020C0",
		"spaces":   " 60 00 06 00 00 60 32 00\t32 02 02 00 70 24 06 c0\n20 C0 \n",
		"words":    "6000 0600 0060 3200\r\n3202 0200 7024 06C0\r\n20C0",
		"commas":   "0x60,0x00,0x06,0x00,0x00, 0x60,0x32,0x00,0x32,0x02,0x02,0x00,0x70,0x24,0x06,0xC0,0x20,0xC0",
		"colons":   "60:00:06:00:00:60:32:00:32:02:02:00:70:24:06:C0:20:C0",
		"escapes":  `\x60\x00\x06\x00\x00\x60\x32\x00\x32\x02\x02\x00\x70\x24\x06\xC0\x20\xC0`,
		"0x whole": "0x600006000060320032020200702406C020C0",
		"xxd": "00000000: 6000 0600 0060 3200 3202 0200 7024 06c0  `....`2.2...p$..\n" +
			"00000010: 20c0                                      .\n",
		"hexdump -C": "00000000  60 00 06 00 00 60 32 00  32 02 02 00 70 24 06 c0  |`....`2.2...p$..|\n" +
			"00000010  20 c0                                             | .|\n00000012\n",
		"wireshark": "0000  60 00 06 00 00 60 32 00 32 02 02 00 70 24 06 c0   `....`2.2...p$..\n0010  20 c0   ab\n",
	} {
		got, err := ParseHex(text)
		if err != nil || string(got) != want {
			t.Errorf("%s: %X, %v", name, got, err)
		}
	}
}

// A message may begin with zeros, as a length prefix does: that is no offset.
func TestParseHexKeepsLeadingZeros(t *testing.T) {
	got, err := ParseHex("0000 0000\n0002 0003")
	if err != nil || len(got) != 8 || got[7] != 3 {
		t.Errorf("%X, %v", got, err)
	}
}

func TestParseHexNamesTheFirstBadCharacter(t *testing.T) {
	for text, want := range map[string]HexError{
		"6000g0":         {1, 5, 'g'},
		"60 00\n06 银 00": {2, 4, '银'},
		"银":              {1, 1, '银'},
		"60 00\n\n06 0":  {3, 5, 0},
		"":               {1, 1, 0},
		"  \n":           {1, 1, 0},
	} {
		_, err := ParseHex(text)
		var e *HexError
		if !errors.As(err, &e) || *e != want {
			t.Errorf("%q: %v, want %+v", text, err, want)
			continue
		}
		if !strings.Contains(err.Error(), "十六进制") || !strings.Contains(err.Error(), "hexadecimal") {
			t.Errorf("%q: not bilingual: %v", text, err)
		}
	}
}
