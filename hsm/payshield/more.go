package payshield

import (
	"fmt"

	"tongka/hsm"
	"tongka/hsm/soft"
)

// What is not asked for at every sale goes by the table of commands: a verb is a
// command and the fields that it sets.

// appendMore appends the command of a rare verb. It asks for memory.
func (d *Dialect) appendMore(dst []byte, q *hsm.Request) ([]byte, error) {
	var f Fields
	code, err := d.fieldsOf(q, &f)
	if err != nil {
		return dst, err
	}
	cmd := d.named(code)
	if cmd == nil {
		return dst, fmt.Errorf("payshield: %s is not there: %w", code, hsm.Disabled)
	}
	at := len(dst)
	if dst, err = f.write(append(dst, code...), cmd.request); err != nil {
		return dst[:at], fmt.Errorf("payshield: %s: %w", code, err)
	}
	return dst, nil
}

// commandOf names the commands that a verb may become; a response to any of them
// answers it.
func commandOf(v hsm.Verb) []string {
	switch v {
	case hsm.VerifyMAC1, hsm.MakeMAC2, hsm.VerifyTAC:
		return []string{"UB"}
	case hsm.TranslatePIN:
		return []string{"CA", "CC", "G0"}
	case hsm.ImportKey:
		return []string{"A6"}
	case hsm.ExportKey:
		return []string{"A8"}
	case hsm.VerifyPVV:
		return []string{"DC", "EC"}
	case hsm.VerifyOffset:
		return []string{"DA", "EA"}
	case hsm.VerifyCVV:
		return []string{"CY"}
	case hsm.EncryptData:
		return []string{"M0"}
	case hsm.DecryptData:
		return []string{"M2"}
	case hsm.Random:
		return []string{"N0"}
	case hsm.Echo:
		return []string{"B2"}
	}
	return nil
}

// fieldsOf sets the fields of a request and gives its command.
func (d *Dialect) fieldsOf(q *hsm.Request, f *Fields) (string, error) {
	names := commandOf(q.Verb)
	if names == nil {
		return "", fmt.Errorf("payshield: verb %d has no command: %w", q.Verb, hsm.Disabled)
	}
	more := q.More
	if more == nil {
		more = new(hsm.More)
	}
	f.v[fKey], f.v[fKey2] = soft.Text(q)
	f.v[fType] = appendType(nil, q.Type)
	f.v[fPIN] = hsm.AppendHex(nil, q.PIN[:])
	f.v[fPAN] = q.PAN12[:]
	switch q.Verb {
	case hsm.VerifyMAC1, hsm.MakeMAC2, hsm.VerifyTAC:
		return names[0], f.card(q, &more.Card)
	case hsm.TranslatePIN:
		return f.translation(q, names)
	case hsm.ImportKey, hsm.ExportKey:
		f.transfer(q)
	case hsm.VerifyPVV:
		f.v[fPVKI], f.v[fPVV] = []byte{more.Index}, more.PVV[:]
	case hsm.VerifyOffset:
		f.v[fMax] = []byte("12")
		f.v[fCheck], f.v[fTable], f.v[fValid], f.v[fOffset] = append2(nil, int(more.CheckPIN)%100), more.Table[:], more.Validation[:], more.Offset[:]
	case hsm.VerifyCVV:
		f.v[fPAN], f.v[fLen], f.v[fService], f.v[fCVV] = more.PAN, more.Expiry, more.Service, more.CVV[:]
	case hsm.EncryptData, hsm.DecryptData:
		f.v[fMode], f.v[fIn], f.v[fOut] = []byte("01"), []byte("1"), []byte("1")
		f.v[fIV], f.v[fData] = hsm.AppendHex(nil, more.IV[:]), hsm.AppendHex(nil, q.Data)
	case hsm.Random:
		f.v[fLength] = append3(nil, int(q.Len))
	case hsm.Echo:
		f.v[fData] = q.Data
	}
	if q.Verb == hsm.VerifyPVV || q.Verb == hsm.VerifyOffset {
		f.v[fFrom] = append2(nil, int(q.From)%100)
		return zoneOr(q, names)
	}
	return names[0], nil
}

// zoneOr chooses by the type of the PIN key: the first command is the terminal's.
func zoneOr(q *hsm.Request, names []string) (string, error) {
	switch q.Type {
	case 0, hsm.TPK:
		return names[0], nil
	case hsm.ZPK:
		return names[1], nil
	}
	return "", fmt.Errorf("payshield: %s: PIN key of type %03X: %w", names[0], uint16(q.Type), hsm.BadKeyType)
}

// translation sets what CA, CC and G0 need beyond the sale's: a wide block, the whole
// account, a serial number.
func (f *Fields) translation(q *hsm.Request, names []string) (string, error) {
	if q.From == hsm.SM4PIN || q.To == hsm.SM4PIN {
		return "", fmt.Errorf("payshield: %s: no host command moves a PIN under SM4: %w", names[0], hsm.BadFormat)
	}
	f.v[fMax], f.v[fFrom], f.v[fTo] = []byte("12"), append2(nil, int(q.From)%100), append2(nil, int(q.To)%100)
	if q.From == hsm.ISO4 {
		f.v[fPIN] = hsm.AppendHex(nil, q.More.Block[:])
	}
	if len(q.More.PAN) > 0 {
		f.v[fAccount] = q.More.PAN
	}
	if q.Type != hsm.BDK {
		return zoneOr(q, names)
	}
	// The descriptor counts the digits before the counter: identifiers of the base key
	// and the device, as they are usually cut. A short TDES serial is filled with F.
	ksn := q.More.KSN
	switch f.v[fDesc] = []byte("A05"); {
	case len(ksn) == 12:
		f.v[fDesc] = []byte("808")
	case len(ksn) < 6 || len(ksn) > 10:
		return "", fmt.Errorf("payshield: G0: a key serial number of %d bytes, not 6 to 10 or 12: %w", len(ksn), hsm.BadKeyLength)
	}
	for range max(0, 10-len(ksn)) {
		f.v[fKSN] = append(f.v[fKSN], "FF"...)
	}
	f.v[fKSN] = hsm.AppendHex(f.v[fKSN], ksn)
	return names[2], nil
}

func append3(dst []byte, n int) []byte {
	return append2(append(dst, byte('0'+n/100%10)), n%100)
}

// transfer sets what A6 and A8 need: terminals and banks know X9.17 only, the LMK
// its own schemes.
func (f *Fields) transfer(q *hsm.Request) {
	f.v[fMaster], f.v[fKey] = f.v[fKey], f.v[fKey2]
	f.v[fFlag] = []byte{'1'}
	if q.Zone {
		f.v[fFlag] = []byte{'0'}
	}
	schemes := map[uint8]string{8: "ZZ", 16: "UX", 24: "TY"}[q.Key2.N]
	if schemes == "" {
		return // the missing field is named where it is written
	}
	if f.v[fScheme] = []byte{schemes[0]}; q.Verb == hsm.ExportKey {
		f.v[fScheme] = []byte{schemes[1]}
	}
}

// card sets what UB needs for the three steps of a load.
func (f *Fields) card(q *hsm.Request, c *hsm.Card) error {
	if c.Levels > hsm.MaxLevels {
		return fmt.Errorf("payshield: UB: %d levels of diversification: %w", c.Levels, hsm.BadInput)
	}
	if q.Type == 0 {
		f.v[fType] = appendType(nil, hsm.MKAC)
	}
	mode, scheme, data := byte('2'), byte('1'), []byte(nil)
	switch q.Verb {
	case hsm.VerifyMAC1:
		data = c.MAC1Data(nil)
	case hsm.MakeMAC2:
		mode, data = '1', c.MAC2Data(nil)
	case hsm.VerifyTAC:
		scheme, data = '2', c.TACData(nil)
	}
	alg, iv := byte('X'), 16
	if c.Alg == hsm.CardSM4 {
		alg, iv = 'S', 32
		if scheme == '1' {
			scheme = '3'
		}
	}
	f.v[fAlg], f.v[fMode], f.v[fScheme], f.v[fPad] = []byte{alg}, []byte{mode}, []byte{scheme}, []byte{'0'}
	f.v[fDivCount] = []byte{'0' + c.Levels}
	for _, div := range c.Div[:c.Levels] {
		f.v[fDiv] = hsm.AppendHex(f.v[fDiv], div[:])
	}
	f.v[fSession] = hsm.AppendHex(nil, c.SessionData(nil))
	for range iv {
		f.v[fIV] = append(f.v[fIV], '0')
	}
	f.v[fData], f.v[fLength], f.v[fMAC] = hsm.AppendHex(nil, data), []byte("04"), hsm.AppendHex(nil, q.MAC[:4])
	return nil
}

// parseMore reads the response to a rare verb.
func (d *Dialect) parseMore(frame []byte, verb hsm.Verb, r *hsm.Reply) (header uint32, err error) {
	names := commandOf(verb)
	if names == nil {
		return 0, fmt.Errorf("payshield: response: byte %d: verb %d has none: %w", d.width(), verb, hsm.Disabled)
	}
	code := names[0]
	if at := d.width(); len(names) > 1 && len(frame) > at && frame[at] == names[1][0] {
		code = names[1]
	}
	var f Fields
	switch verb {
	case hsm.MakeMAC2:
		f.v[fMode] = []byte{'1'}
	case hsm.EncryptData, hsm.DecryptData:
		f.v[fMode] = []byte("01")
	}
	header, r.Code, err = d.ParseCall(frame, code, &f)
	if err != nil || !r.Code.OK() && (r.Code != hsm.Mismatch || verb != hsm.ImportKey) {
		return header, err
	}
	r.Code = hsm.Done // forced parity is nothing that a bank's key would fail for
	return header, f.give(verb, r)
}

// give fills a reply from the fields of a response.
func (f *Fields) give(verb hsm.Verb, r *hsm.Reply) (err error) {
	switch verb {
	case hsm.MakeMAC2:
		hsm.DecodeHex(r.MAC[:4], f.v[fMAC])
	case hsm.ImportKey:
		r.Key, err = hsm.ParseKey(string(f.v[fKey]))
	case hsm.ExportKey:
		r.Export, err = hsm.ParseKey(string(f.v[fExport]))
	case hsm.EncryptData, hsm.DecryptData, hsm.Random:
		if len(f.v[fData])%2 != 0 {
			return fmt.Errorf("payshield: response: data of %d digits: %w", len(f.v[fData]), hsm.BadInput)
		}
		out := make([]byte, len(f.v[fData])/2)
		if at := hsm.DecodeHex(out, f.v[fData]); at >= 0 {
			return fmt.Errorf("payshield: response: data: byte %d is no digit: %w", at, hsm.BadInput)
		}
		r.Out = string(out)
	case hsm.Echo:
		r.Out = string(f.v[fData])
	}
	if f.v[fKCV] != nil {
		hsm.DecodeHex(r.KCV[:3], f.v[fKCV])
	}
	return err
}
