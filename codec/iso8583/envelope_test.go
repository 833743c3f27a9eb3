package iso8583

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestSplitFindsTheMTI(t *testing.T) {
	const lri = "4C5249001C 0000000012345678 0000000087654321 000000000000000000000000"
	for name, c := range map[string]struct {
		spec                   *Spec
		frame                  string
		tpdu, lri, header, msg string
	}{
		"pos":                   {Pos(), "6000030000 603100311302 0800", "6000030000", "", "603100311302", "0800"},
		"pos without header":    {Pos(), "6000320000 0800", "6000320000", "", "", "0800"},
		"pos dial-up":           {Pos(), "6000030000" + lri + "6022000000 00 0200", "6000030000", lri, "602200000000", "0200"},
		"pos dial-up no header": {Pos(), "6000030000" + lri + "0200", "6000030000", lri, "", "0200"},
		"pos header 61":         {Pos(), "6000030000 610032003200 0800", "6000030000", "", "610032003200", "0800"},
		"bcd":                   {BCD(), "6000180000 0800", "6000180000", "", "", "0800"},
		"bcd dial-up":           {BCD(), "6000180000" + lri + "0800", "6000180000", lri, "", "0800"},
		"ascii":                 {ASCII(), "30383030", "", "", "", "30383030"},
		"cups":                  {Cups(), cupsSample + "30323130", "", "", cupsSample, "30323130"},
	} {
		var env Envelope
		env.Requirement = 7
		msg, err := c.spec.Split(unhex(t, c.frame), &env)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for part, got := range map[string][2][]byte{"TPDU": {env.TPDU, unhex(t, c.tpdu)}, "LRI": {env.LRI, unhex(t, c.lri)},
			"header": {env.Header, unhex(t, c.header)}, "message": {msg, unhex(t, c.msg)}} {
			if !bytes.Equal(got[0], got[1]) || (got[0] == nil) != (len(got[1]) == 0) {
				t.Errorf("%s: %s %X, want %X", name, part, got[0], got[1])
			}
		}
		if env.Requirement != 0 {
			t.Errorf("%s: the requirement of the frame before is still there", name)
		}
	}
}

// cupsSample is a header for a message of 4 bytes: 46 + 4 = 0050.
const cupsSample = "2E02 30303530 3034333834353330202020 3030303130303030202020 435550 01 3030303030303030 30 3132333435"

func TestSplitNamesWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		spec  *Spec
		frame string
		want  FieldError
	}{
		"short TPDU":        {Pos(), "60000300", FieldError{InTPDU, 0, Truncated, 5, 4}},
		"no TPDU":           {Pos(), "0800002000", FieldError{InTPDU, 0, UnexpectedByte, 0x60, 0x08}},
		"bcd no TPDU":       {BCD(), "6800180000 0800", FieldError{InTPDU, 0, UnexpectedByte, 0x60, 0x68}},
		"nothing behind":    {Pos(), "6000030000", FieldError{InHeader, 5, Truncated, 6, 0}},
		"neither of both":   {Pos(), "6000030000 3131", FieldError{InHeader, 5, UnexpectedByte, 0x60, 0x31}},
		"header cut":        {Pos(), "6000030000 60310031", FieldError{InHeader, 5, Truncated, 6, 4}},
		"LRI cut":           {Pos(), "6000030000 4C5249001C00", FieldError{InLRI, 5, Truncated, 33, 6}},
		"LRI other length":  {Pos(), "6000030000 4C5249001D" + strings.Repeat("00", 40), FieldError{InLRI, 8, WrongLength, 28, 29}},
		"bcd LRI cut":       {BCD(), "6000180000 4C5249001C00", FieldError{InLRI, 5, Truncated, 33, 6}},
		"cups short":        {Cups(), cupsSample[:60], FieldError{InHeader, 0, Truncated, 46, 28}},
		"cups length byte":  {Cups(), "2D" + cupsSample[2:] + "30323130", FieldError{InHeader, 0, UnexpectedByte, 0x2E, 0x2D}},
		"cups total":        {Cups(), cupsSample + "3032313030", FieldError{InHeader, 2, WrongTotal, 51, 50}},
		"cups total digits": {Cups(), strings.Replace(cupsSample, "30303530", "30303A30", 1) + "30323130", FieldError{InHeader, 4, BadDigit, 0, 0x3A}},
	} {
		var env Envelope
		msg, err := c.spec.Split(unhex(t, c.frame), &env)
		var e *FieldError
		if !errors.As(err, &e) || *e != c.want || msg != nil {
			t.Errorf("%s: %+v, want %+v", name, err, c.want)
		}
	}
}

func TestReplyEnvelope(t *testing.T) {
	const lri = "4C5249001C" + "00000000000000000000000000000000000000000000000000000000"
	for name, c := range map[string]struct {
		spec        *Spec
		frame, want string
		requirement byte
	}{
		"TPDU is turned round":        {Pos(), "6000030012 0800", "6000120003", 0},
		"requirement is cleared":      {Pos(), "6000030000 60310031 1302 0800", "6000000003 603100311302", 0},
		"terminal state is kept":      {Pos(), "6000030000 603127311302 0800", "6000000003 603120311302", 0},
		"sign in again":               {Pos(), "6000030000 603120311302 0800", "6000000003 603123311302", 3},
		"LRI is not echoed":           {Pos(), "6000030000" + lri + "603100311302 0800", "6000000003 603100311302", 0},
		"bcd":                         {BCD(), "6000180000 0800", "6000000018", 0},
		"ascii":                       {ASCII(), "30383030", "", 0},
		"cups is turned and accepted": {Cups(), cupsSample + "30323130", "2E02 30303530 3030303130303030202020 3034333834353330202020 435550 01 3030303030303030 30 3030303030", 0},
	} {
		var env Envelope
		frame := unhex(t, c.frame)
		if _, err := c.spec.Split(frame, &env); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		env.Requirement = c.requirement
		got := c.spec.AppendReplyEnvelope([]byte("x"), &env)
		if want := append([]byte("x"), unhex(t, c.want)...); !bytes.Equal(got, want) {
			t.Errorf("%s: %X, want %X", name, got, want)
		}
		if !bytes.Equal(frame, unhex(t, c.frame)) {
			t.Errorf("%s: the request was changed", name)
		}
	}
}

// A header of ours in front of a message is read by Split again.
func TestCupsHeader(t *testing.T) {
	msg := []byte("0820")
	for _, c := range []struct{ dest, source, want string }{
		{"00010000", "04384530", "2E02 30303530 3030303130303030202020 3034333834353330202020 435550 01 3030303030303030 30 3030303030"},
		{"01999999999x", "", "2E02 30303530 3031393939393939393939 2020202020202020202020 435550 01 3030303030303030 30 3030303030"},
	} {
		frame := append(AppendCupsHeader(nil, c.dest, c.source), msg...)
		PatchCupsLength(frame, len(frame))
		if want := unhex(t, c.want); !bytes.Equal(frame[:46], want) {
			t.Errorf("%X, want %X", frame[:46], want)
		}
		if other := AppendCupsHeader(nil, []byte(c.dest), []byte(c.source)); !bytes.Equal(other[6:], frame[6:46]) {
			t.Errorf("from bytes: %X", other)
		}
		var env Envelope
		if got, err := Cups().Split(frame, &env); err != nil || string(got) != "0820" {
			t.Errorf("%q, %v", got, err)
		}
	}
	h := AppendCupsHeader(nil, "1", "2")
	PatchCupsLength(h, 9999)
	if string(h[2:6]) != "9999" {
		t.Errorf("%q", h[2:6])
	}
}

func TestReplyOfAMessageType(t *testing.T) {
	for mti, want := range map[MTI]string{0x0200: "0210", 0x0201: "0210", 0x0420: "0430", 0x0421: "0430", 0x0800: "0810", 0x0320: "0330"} {
		if got := mti.Reply().String(); got != want {
			t.Errorf("%s is answered by %s, want %s", mti, got, want)
		}
	}
}
