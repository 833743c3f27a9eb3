package payshield

import (
	"fmt"
	"strconv"
	"strings"
)

// A layout is the fields of a command or response, written down as the manual
// does, so that a module with another order of fields is other text and no code:
//
//	name:3H    three hexadecimal digits; N digits, A any characters, B bytes
//	name:1[01] one character out of a set
//	name:?2N   up to two
//	name:*H    all that is left; name:-13N all but the last 13
//	name:;N    up to a semicolon, which is taken
//	name:K     a key in any form; V the same, or 32 digits without a tag; S a key scheme
//	name:Q     a key as K that may be a base key, which * or the block's header says; then mark=*
//	name:D     a key serial number, as long as the descriptor before it says
//	name:I     a block of the key's cipher: 16 digits, or 32 when the key is a block for AES
//	len:4H(data) name:@   a length, and the field that is as long; (data/2) counts pairs
//	;          this character
//	[ ; … ]    there when its first character is; written when its first field is given
//	{name=a|b … }   there when an earlier field says so
type op struct {
	kind   byte // N H A B as above, K V Q S D I @ ; { [ and # for a length
	mode   byte // 0 fixed, ? up to, * rest, - rest but, ; delimited
	field  field
	width  int
	set    string   // of characters, for one
	of     field    // whose length this is
	div    int      // characters that one of the length stands for
	values []string // of field, for {
	sub    []op
}

// compile reads a layout; the error names the word.
func compile(text string) ([]op, error) {
	words := strings.Fields(text)
	ops, rest, err := compileUntil(words, "")
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("word %d: %q closes nothing", len(words)-len(rest)+1, rest[0])
	}
	if err != nil {
		return nil, fmt.Errorf("layout %q: %w", text, err)
	}
	return ops, nil
}

func compileUntil(words []string, end string) (ops []op, rest []string, err error) {
	for len(words) > 0 {
		w := words[0]
		words = words[1:]
		var o op
		switch {
		case w == end:
			return ops, words, nil
		case w == "]" || w == "}":
			return ops, append([]string{w}, words...), nil
		case w == "[":
			o.kind = '['
			if o.sub, words, err = compileUntil(words, "]"); err == nil && (len(o.sub) < 2 || o.sub[0].kind != ';') {
				err = fmt.Errorf("an optional group begins with a character and has a field")
			}
		case w[0] == '{':
			if o, err = compileCondition(w); err == nil {
				o.sub, words, err = compileUntil(words, "}")
			}
		case len(w) == 1:
			o = op{kind: ';', set: w}
		default:
			o, err = compileField(w)
		}
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, o)
	}
	if end != "" {
		return nil, nil, fmt.Errorf("%q is missing", end)
	}
	return ops, nil, nil
}

func compileCondition(w string) (o op, err error) {
	name, values, ok := strings.Cut(w[1:], "=")
	o.kind = '{'
	if o.field, err = fieldNamed(name); err == nil && !ok {
		err = fmt.Errorf("%q: name=value wanted", w)
	}
	o.values = strings.Split(values, "|")
	return o, err
}

func compileField(w string) (o op, err error) {
	name, how, _ := strings.Cut(w, ":")
	if o.field, err = fieldNamed(name); err != nil {
		return o, err
	}
	if how == "" {
		return o, fmt.Errorf("%q: how is it written?", w)
	}
	if strings.Contains("KVQSDI@", how) {
		o.kind = how[0]
		return o, nil
	}
	if strings.IndexByte("?*-;", how[0]) >= 0 {
		o.mode, how = how[0], how[1:]
	}
	n := 0
	for n < len(how) && how[n] >= '0' && how[n] <= '9' {
		n++
	}
	o.width, _ = strconv.Atoi(how[:n])
	if (o.width == 0) != (o.mode == '*' || o.mode == ';') || o.width > 64 {
		return o, fmt.Errorf("%q: a width of 1 to 64 wanted", w)
	}
	o.kind, how = 'A', how[n:]
	if how != "" && strings.IndexByte("NHAB", how[0]) >= 0 {
		o.kind, how = how[0], how[1:]
	}
	switch {
	case how == "":
	case how[0] == '[' && strings.HasSuffix(how, "]") && o.width == 1:
		o.set = how[1 : len(how)-1]
	case how[0] == '(' && strings.HasSuffix(how, ")"):
		of, div, pairs := strings.Cut(how[1:len(how)-1], "/")
		o.div = 1
		if pairs {
			o.div, _ = strconv.Atoi(div)
		}
		if o.of, err = fieldNamed(of); err == nil && (o.div < 1 || o.mode != 0 || o.kind != 'N' && o.kind != 'H') {
			err = fmt.Errorf("%q: not a length", w)
		}
	default:
		err = fmt.Errorf("%q: %q is not understood", w, how)
	}
	return o, err
}

// field is the name of a field, as a number.
type field uint8

const (
	fNone field = iota
	fAccount
	fAlg
	fARC
	fARPC
	fARQC
	fATC
	fAuth
	fAuthLen
	fBlock
	fBuffer
	fCheck
	fCSU
	fCVV
	fData
	fDesc
	fDesc2
	fDiv
	fDivCount
	fExp
	fExport
	fFirmware
	fFlag
	fFrom
	fIn
	fIV
	fIV2
	fIVAC
	fKCV
	fKCVType
	fKey
	fKey2
	fKeyLen
	fKSN
	fKSN2
	fKVN
	fLen
	fLength
	fLPIN
	fMAC
	fMark
	fMaster
	fMax
	fMode
	fMode2
	fNet
	fNext
	fNext2
	fNopt
	fOffset
	fOut
	fPad
	fPAN
	fPIN
	fPVKI
	fPVV
	fReserved
	fScheme
	fService
	fSession
	fSize
	fSockets
	fTable
	fTo
	fTree
	fType
	fType2
	fUN
	fUsage
	fUse
	fValid
	fVariant
	numFields
)

var fieldNames = [numFields]string{
	fAccount: "account", fAlg: "alg", fARC: "arc", fARPC: "arpc", fARQC: "arqc", fATC: "atc", fAuth: "auth", fAuthLen: "authlen", fBlock: "block", fBuffer: "buffer", fCheck: "check", fCSU: "csu", fCVV: "cvv",
	fData: "data", fDesc: "descriptor", fDesc2: "descriptor2", fDiv: "div", fDivCount: "divcount", fExp: "exportable", fExport: "export", fFirmware: "firmware",
	fFlag: "flag", fFrom: "from", fIn: "in", fIV: "iv", fIV2: "iv2", fIVAC: "ivac", fKCV: "kcv", fKCVType: "kcvtype", fKey: "key", fKey2: "key2",
	fKeyLen: "keylen", fKSN: "ksn", fKSN2: "ksn2", fKVN: "kvn", fLen: "len", fLength: "length", fLPIN: "lpin", fMAC: "mac", fMark: "mark", fMaster: "master",
	fMax: "max", fMode: "mode", fMode2: "mode2", fNet: "net", fNext: "next", fNext2: "next2", fNopt: "nopt", fOffset: "offset", fOut: "out",
	fPad: "pad", fPAN: "pan", fPIN: "pin", fPVKI: "pvki", fPVV: "pvv", fReserved: "reserved", fScheme: "scheme", fService: "service",
	fSession: "session", fSize: "size", fSockets: "sockets", fTable: "table", fTo: "to", fTree: "tree", fType: "type", fType2: "type2", fUN: "un",
	fUsage: "usage", fUse: "use", fValid: "validation", fVariant: "variant",
}

func fieldNamed(name string) (field, error) {
	for f, n := range fieldNames {
		if f > 0 && n == name {
			return field(f), nil
		}
	}
	return fNone, fmt.Errorf("no field is called %q", name)
}
