package registry

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"tongka/hsm"
	"tongka/registry/sheet"
	"tongka/txn"
)

// Columns of an import, in the order of an export. The first three must be
// there; a file may give them in any order.
var columns = [...]string{"merchant", "terminal", "tmk", "mac", "kinds", "group", "pik", "mak", "batch", "transport", "tdk", "limits", "hours", "maker", "serial"}

const (
	colMerchant = iota
	colTerminal
	colTMK
	colMAC
	colKinds
	colGroup
	colPIK
	colMAK
	colBatch
	colTransport
	colTDK
	colLimits
	colHours
	colMaker
	colSerial
	required = colTMK + 1
)

// Fault is one thing wrong in an import file.
type Fault = sheet.Fault

// Faults are all that is wrong in an import file, in the order of its lines.
type Faults = sheet.Faults

var macNames = [...]string{hsm.UnionPay: "unionpay", hsm.X99: "x9.9", hsm.X919: "x9.19"}

func macName(a hsm.MACAlg) (string, bool) {
	if int(a) >= len(macNames) {
		return "", false
	}
	return macNames[a], true
}

// row is one line of an import. pik.N is 0 when it brings no session.
type row struct {
	Profile
	pik, mak hsm.Key
	batch    uint32
	details  *Details // nil when the file has none of their columns
}

// table reads one import file.
type table struct {
	*sheet.Reader
	rows []row
	seen map[txn.Terminal]int // line of its first row

	serials map[string]int // the same
}

// parseCSV reads all rows, or gives Faults with everything that is wrong.
func parseCSV(r io.Reader, name string) ([]row, error) {
	t := &table{Reader: sheet.Open(r, name, columns[:], required), seen: map[txn.Terminal]int{}, serials: map[string]int{}}
	for t.Next() {
		t.row()
		if len(t.rows) > MaxTerminals {
			t.FaultAt(0, "超过 %d 行 · more than %d rows", MaxTerminals, MaxTerminals)
			break
		}
	}
	return t.rows, t.Verdict()
}

// row reads one record. It is kept also when faulty: nothing is applied then.
func (t *table) row() {
	var r row
	named := t.Ident(r.ID.Merchant[:], colMerchant, "商户号", "merchant number (F42)")
	named = t.Ident(r.ID.Number[:], colTerminal, "终端号", "terminal number (F41)") && named
	if first, twice := t.seen[r.ID]; named && twice {
		t.FaultAt(0, "终端与第 %d 行重复 · the same terminal as in line %d", first, first)
	} else if named {
		t.seen[r.ID] = t.Line()
	}
	r.TMK = t.key(colTMK)
	if v, i := t.Field(colTMK); v == "" {
		t.FaultAt(i, "须有主密钥 · a terminal master key is wanted")
	}
	r.MAC = hsm.MACAlg(t.Word(colMAC, macNames[:]))
	if _, i := t.Field(colMAC); r.TMK.Scheme == hsm.SM4Scheme && r.MAC != hsm.UnionPay {
		t.FaultAt(i, "SM4 终端的 MAC 只有 unionpay · a terminal with SM4 has a MAC of unionpay only")
	}
	r.Kinds, r.Group = kindsOf(t.Reader, colKinds), uint16(t.Number(colGroup, 0, 65535))
	t.session(&r)
	r.details = t.details()
	t.rows = append(t.rows, r)
}

// key reads a key under the LMK. The value is not repeated in the fault.
func (t *table) key(c int) hsm.Key { return keyIn(t.Reader, c) }

func keyIn(t *sheet.Reader, c int) hsm.Key {
	v, i := t.Field(c)
	if v == "" {
		return hsm.Key{}
	}
	k, err := hsm.ParseKey(v)
	if err != nil {
		t.FaultAt(i, "%s 须为 LMK 下的密钥（U/X+32H、T/Y+48H、16H 或 SM4 的 S+32H） · %s: a key under the LMK wanted (U/X+32H, T/Y+48H, 16H, or S+32H for SM4): %v",
			t.Column(c), t.Column(c), plain(err))
	}
	return k
}

// plain is a key's fault without the module's code that it stands for.
func plain(err error) string {
	text, _, _ := strings.Cut(err.Error(), ": hsm code")
	return text
}

// kindsOf reads a set of kinds; nothing is all of them.
func kindsOf(t *sheet.Reader, c int) (set Kinds) {
	v, i := t.Field(c)
	switch v {
	case "", "*":
		return AllKinds
	case "-":
		return 0
	}
	for name := range strings.SplitSeq(v, "|") {
		k, ok := txn.ParseKind(strings.TrimSpace(name))
		if !ok {
			t.FaultAt(i, "未知交易种类 %q，多个以 | 分隔，* 为全部 · unknown kind %q, several are joined by |, * is all", name, name)
		}
		set = set.With(k)
	}
	return set
}

// session reads the working keys that a row may bring.
func (t *table) session(r *row) {
	r.pik, r.mak = t.key(colPIK), t.key(colMAK)
	r.batch = uint32(t.Number(colBatch, 1, 999_999))
	pik, i := t.Field(colPIK)
	mak, j := t.Field(colMAK)
	if (pik == "") != (mak == "") {
		t.FaultAt(max(i, j), "pik 与 mak 须同时给出 · pik and mak come together or not at all")
	}
}

// details reads what a file may say beside the profile.
func (t *table) details() *Details {
	if !t.Has(colTransport) && !t.Has(colTDK) && !t.Has(colLimits) && !t.Has(colHours) && !t.Has(colMaker) && !t.Has(colSerial) {
		return nil
	}
	d := &Details{Transport: t.key(colTransport), TDK: t.Number(colTDK, 0, 1) == 1, Limits: text(t.Reader, colLimits, "limits"), Hours: hoursOf(t.Reader, colHours),
		Maker: text(t.Reader, colMaker, "maker"), Serial: text(t.Reader, colSerial, "serial")}
	if first := t.serials[d.Serial]; d.Serial != "" && first > 0 {
		_, i := t.Field(colSerial)
		t.FaultAt(i, "序列号与第 %d 行重复 · the same serial number as in line %d", first, first)
	} else if d.Serial != "" {
		t.serials[d.Serial] = t.Line()
	}
	return d
}

// Export writes all terminals as Import reads them, sorted by merchant and
// terminal, with the keys (under the LMK) of the sessions that run now.
func (r *Registry) Export(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(columns[:]); err != nil {
		return fmt.Errorf("registry: export: %w", err)
	}
	snap, now := r.Snapshot(), r.now().UnixNano()
	for i := range snap.Len() {
		t := snap.At(i)
		tmk := r.TMK(t)
		rec := [len(columns)]string{
			colMerchant: trimID(t.ID.Merchant[:]), colTerminal: trimID(t.ID.Number[:]),
			colTMK: tmk.String(), colMAC: macNames[t.MAC],
			colKinds: t.Kinds.String(), colGroup: strconv.Itoa(int(t.Group)),
		}
		if s := t.Session(now); s != nil && s.PIK.N != 0 && s.MAK.N != 0 {
			rec[colPIK], rec[colMAK] = s.PIK.String(), s.MAK.String()
			rec[colBatch] = fmt.Sprintf("%06d", s.Batch)
		}
		if d := snap.Details(&t.ID); d != nil {
			if d.Transport.N != 0 {
				rec[colTransport] = d.Transport.String()
			}
			if d.TDK {
				rec[colTDK] = "1"
			}
			rec[colLimits], rec[colHours], rec[colMaker], rec[colSerial] = d.Limits, d.Hours.String(), d.Maker, d.Serial
		}
		if err := out.Write(rec[:]); err != nil {
			return fmt.Errorf("registry: export: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("registry: export: %w", err)
	}
	return nil
}

func trimID(b []byte) string { return strings.TrimRight(string(b), " ") }
