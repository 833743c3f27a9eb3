// Package y1993 has simulators speak ISO 8583:1993. They think in messages of
// 1987; this turns them round. Its tables are written apart from the switch's, so
// that a mistake in one of them shows.
package y1993

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"tongka/codec/iso8583"
)

// Speaker turns messages round for one side.
type Speaker struct {
	Old, New *iso8583.Spec
	Terminal bool // for a terminal, not for a bank
}

// Name finds a speaker by the name of a dialect, nil for the usual one (empty).
func Name(dialect string, old *iso8583.Spec, terminal bool) (*Speaker, error) {
	if dialect == "" {
		return nil, nil
	}
	if s, ok := iso8583.Named(dialect); ok && (s == iso8583.ASCII93() || s == iso8583.Binary93()) {
		return &Speaker{Old: old, New: s, Terminal: terminal}, nil
	}
	return nil, fmt.Errorf("方言 %q：模拟器另会 93a 与 93b · dialect %q: simulators speak 93a and 93b besides their own", dialect, dialect)
}

// carried are fields that are the same in both.
var carried = []int{2, 3, 4, 7, 11, 14, 23, 32, 33, 35, 36, 37, 38, 41, 42, 44, 48, 49, 52, 54, 55, 60, 61, 62, 63, 100}

// Ask makes a message of 1993 of one of 1987.
func (s *Speaker) Ask(v *iso8583.View, now time.Time) ([]byte, error) {
	class, net := v.MTI()>>8&15, text(v, 60)
	mti := v.MTI() | 0x1000
	out := fields{}
	for _, n := range carried {
		out.copy(n, text(v, n))
	}
	clock, date := text(v, 12), text(v, 13)
	if clock == "" || date == "" {
		clock, date = now.Format("150405"), now.Format("0102")
	}
	out[12] = now.Format("06") + date + clock
	out.copy(26, text(v, 18))
	if d := text(v, 15); d != "" {
		out[15] = now.Format("06") + d
	}
	if p := text(v, 53); len(p) == 16 {
		b, _ := hex.DecodeString(p)
		out[53] = string(b)
	}
	if c := text(v, 39); c != "" && v.MTI()&0x10 != 0 {
		out[39] = wireCode(c, byte(class))
	}
	switch {
	case class == 8 && s.Terminal:
		mti, out[24] = 0x1804, "801"
		if len(net) >= 11 && net[8:11] == "002" {
			out[24] = "802"
		} else if len(net) >= 11 && net[8:11] == "301" {
			out[24] = "831"
		}
	case class == 8:
		if mti = 0x1804; v.MTI()&0x10 != 0 {
			mti = 0x1814
		}
		out[24] = functions[text(v, 70)]
	case class == 4 && s.Terminal:
		mti, out[24], out[25] = 0x1420, "400", "4021"
		out[56] = fmt.Sprintf("1200%s%s%02d%s", text(v, 11), out[12], 0, "")
	case s.Terminal && v.MTI()&0x10 == 0:
		out[24] = "200"
	}
	if p := text(v, 22); p != "" {
		out[22] = "510101" + map[string]string{"02": "2", "05": "5", "01": "1", "03": "3", "07": "7"}[p[:2]] + map[bool]string{true: "13", false: "00"}[p[2] == '1'] + "141"
	}
	return out.build(s.New, mti)
}

// Hear makes a message of 1987 of one of 1993.
func (s *Speaker) Hear(v *iso8583.View) ([]byte, error) {
	mti, out := v.MTI()&0x0FFF, fields{}
	if v.MTI()>>12 != 1 {
		return nil, fmt.Errorf("type %s is not of 1993", v.MTI())
	}
	for _, n := range carried {
		out.copy(n, text(v, n))
	}
	f24 := text(v, 24)
	if at := text(v, 12); len(at) == 12 {
		out[12], out[13] = at[6:], at[2:6]
	}
	if d := text(v, 15); len(d) == 6 {
		out[15] = d[2:]
	}
	if b := text(v, 53); len(b) == 8 {
		out[53] = fmt.Sprintf("%X", b)
	}
	if c := text(v, 39); c != "" {
		out[39] = code(c)
	}
	class := mti >> 8 & 15
	if s.Terminal {
		switch {
		case class == 8 && f24 == "801":
			mti = 0x0810
		case class == 8:
			mti = 0x0830
		case class == 4:
			mti = 0x0410
		}
		return out.build(s.Old, mti)
	}
	out.copy(18, text(v, 26))
	if p := text(v, 22); len(p) == 12 {
		out[22] = "0" + p[6:7] + map[bool]string{true: "1", false: "2"}[p[7] == '1']
	}
	out[25] = "00"
	if f24 == "201" || f24 == "202" || class == 1 && f24 == "100" {
		out[25] = "06"
	}
	if class == 8 {
		delete(out, 25)
		if mti = 0x0820 | mti&0x10; f24 == "811" && mti == 0x0830 {
			mti = 0x0810 // only the bank brings keys
		}
		for f70, f := range functions {
			if f == f24 {
				out[70] = f70
			}
		}
	}
	if o := text(v, 56); len(o) >= 24 {
		acquirer := strings.Repeat("0", 11) + o[24:]
		out[90] = "0" + o[1:10] + o[12:22] + acquirer[len(acquirer)-11:] + strings.Repeat("0", 11)
	}
	return out.build(s.Old, mti)
}

// Seal adds F64 to a message of 1993. The MAC covers the bitmap with its bit, too.
func (s *Speaker) Seal(msg []byte, mac func(covered []byte) []byte) ([]byte, error) {
	var v, with iso8583.View
	if err := s.New.Parse(&v, msg); err != nil {
		return nil, err
	}
	build := func(mac []byte) ([]byte, error) {
		b := s.New.Begin(nil, v.MTI())
		b.CopyRun(&v, 2, 63)
		b.Put(64, mac)
		return b.End()
	}
	out, err := build(make([]byte, 8))
	if err == nil {
		err = s.New.Parse(&with, out)
	}
	if err != nil {
		return nil, err
	}
	return build(mac(with.Before(64)))
}

// functions are F24 of network messages, by F70.
var functions = map[string]string{"001": "801", "002": "802", "101": "811", "201": "821", "202": "822", "301": "831"}

// codes are F39 of both, where they say something else than 00 and 05.
var codes = map[string]string{"12": "902", "13": "110", "14": "111", "25": "914", "30": "904", "40": "115", "51": "116", "54": "101", "55": "117",
	"58": "120", "77": "917", "90": "906", "91": "912", "94": "913", "95": "501", "96": "909", "98": "911", "A0": "916", "A7": "918", "03": "109"}

func wireCode(c string, class byte) string {
	if c == "00" {
		if class >= 4 {
			return string('0'+class) + "00"
		}
		return "000"
	}
	if w, ok := codes[c]; ok {
		return w
	}
	return "100"
}

func code(wire string) string {
	switch wire {
	case "000", "300", "400", "500", "600", "800":
		return "00"
	}
	for c, w := range codes {
		if w == wire {
			return c
		}
	}
	return "05"
}

type fields map[int]string

func (f fields) copy(n int, value string) {
	if value != "" {
		f[n] = value
	}
}

func (f fields) build(s *iso8583.Spec, mti iso8583.MTI) ([]byte, error) {
	b := s.Begin(nil, mti)
	for n := 2; n <= 128; n++ {
		if value, ok := f[n]; ok {
			b.Put(n, []byte(value))
		}
	}
	return b.End()
}

func text(v *iso8583.View, n int) string { return string(v.AppendText(nil, n)) }
