// Package offline makes files of offline transactions to play against: good ones in
// every built-in layout, with each fault that a sender can make. Its cards sign with
// keys that are made up.
package offline

import (
	"archive/zip"
	"bytes"
	"crypto/md5" // the field's digest
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/soft"
	"tongka/offline"
	"tongka/offline/layout"
)

// Master is the TAC master key of the made-up cards, in clear, of version 1 and index 1
// and of 0 and 0.
const Master = "404142434445464748494A4B4C4D4E4F"

// Keys gives the master key under the test LMK, as the importer wants it.
func Keys() (hsm.CardKeys, error) {
	master, err := hex.DecodeString(Master)
	if err != nil {
		return nil, err
	}
	k, err := soft.New(soft.TestLMK()).Wrap(hsm.MKAC, master)
	if err != nil {
		return nil, err
	}
	return hsm.CardKeys{{TAC: true}: k, {TAC: true, Index: 1, Version: 1}: k}, nil
}

// Wrong is what is wrong with one record.
type Wrong uint8

// Faults of a record. The ones behind NoFault have each a reason of their own.
const (
	NoFault Wrong = iota
	TAC
	Repeat      // the record before it once more
	SAMTwice    // a SAM's number once more, for another card
	Counter     // the card's counter once more, with another amount
	ShortMoney  // more than there is on the card, where the layout has the balance
	LostCard    // a card of LostNumber
	GoneCard    // a card of GoneNumber
	NoCompany   // a SAM that nobody has
	GoneCompany // a SAM of a company that left
	NoKey       // a key version that is not there, where the layout has one
	numWrong
)

// Numbers that the books below know.
const (
	LostNumber = "0000000000009998"
	GoneNumber = "0000000000009999"
	noSAM      = "0000000000EE"
	goneSAM    = "0000000000FF"
)

// Books gives the two lists that fit the made-up records.
func Books() (terminals, cards string) {
	return "company,terminal,sam,state\n,,000000000001,active\n,,000000000002,active\n,,000000000003,active\n,," + goneSAM + ",cancelled\n",
		"card,state\n" + LostNumber + ",lost\n" + GoneNumber + ",cancelled\n"
}

// Maker makes records one after the other.
type Maker struct {
	Format *offline.Format
	rnd    *rand.Rand
	master []byte
	n      uint64
	last   map[string]layout.Value
	money  uint64
	row    layout.Row
	item   offline.Item
}

// NewMaker makes records of a built-in layout from a seed.
func NewMaker(name string, seed uint64) (*Maker, error) {
	l, err := layout.Open(name)
	if err != nil {
		return nil, err
	}
	f, err := offline.NewFormat(l)
	if err != nil {
		return nil, err
	}
	master, err := hex.DecodeString(Master)
	return &Maker{Format: f, rnd: rand.New(rand.NewPCG(seed, 77)), master: master, n: seed << 20}, err
}

// has says that the layout has a field.
func (m *Maker) has(name string) bool { return m.Format.Layout.Record.Index(name) >= 0 }

// Can says that the layout can show a fault.
func (m *Maker) Can(w Wrong) bool {
	switch w {
	case SAMTwice:
		return m.has("sam-seq")
	case ShortMoney:
		return m.has("before")
	case NoKey:
		return m.has("key-version")
	case LostCard, GoneCard:
		return m.Format.Layout.Name != "bus-64" // whose card numbers are shorter
	}
	return true
}

// Faults gives every fault that the layout can show.
func (m *Maker) Faults() (all []Wrong) {
	for w := TAC; w < numWrong; w++ {
		if m.Can(w) {
			all = append(all, w)
		}
	}
	return all
}

// Append appends one record and says its amount in fen.
func (m *Maker) Append(dst []byte, w Wrong) ([]byte, uint64, error) {
	if w == Repeat && m.last != nil {
		b, err := m.Format.Layout.Append(dst, m.Format.Layout.Record, m.last)
		return b, m.money, err
	}
	v := m.values(w)
	b, err := m.sign(dst, v, w == TAC)
	if err == nil && w == NoFault {
		m.last, m.money = v, v["amount"].Num
	}
	return b, v["amount"].Num, err
}

// values makes up a record. A field that the layout has not is left out by it.
func (m *Maker) values(w Wrong) map[string]layout.Value {
	m.n++
	amount := m.rnd.Uint64N(2000) + 1
	before := amount + m.rnd.Uint64N(10_000)
	card := fmt.Sprintf("%016d", m.n)
	at := time.Date(2026, 10, 1, 6, 0, 0, 0, time.UTC).Add(time.Duration(m.n%86400) * time.Second)
	text := func(s string) layout.Value { return layout.Value{Text: s} }
	num := func(n uint64) layout.Value { return layout.Value{Num: n} }
	v := map[string]layout.Value{
		"seq": num(m.n % 1e12), "serial": text("S" + card), "inner": text(card), "card-kind": text("001"), "record-type": text("0"),
		"terminal": text("T00000000001"), "term-seq": num(m.n & 0xFFFFFFF), "sam": text(fmt.Sprintf("%012d", m.n%3+1)), "sam-seq": num(m.n & 0xFFFFFFF),
		"card": text(card), "card-seq": num(m.n & 0x7FFF), "kind": num(6), "date": text(at.Format("20060102")), "time": text(at.Format("150405")),
		"datetime": text(at.Format("20060102150405")), "settle-date": text("20261002"), "company": text("00000000001"),
		"amount": num(amount), "before": num(before), "after": num(before - amount), "receivable": num(amount), "price": num(amount),
		"key-version": num(1), "key-index": num(1), "issuer": text("3120000000000000"), "city": text("3120"), "card-city": text("3120"),
		"card-type": text("01"), "tac": text("00000000"),
	}
	if m.Format.Layout.Name == "recharge-205" {
		v["after"] = num(before + amount)
	}
	m.spoil(v, w)
	if m.Format.Layout.Name == "bus-64" {
		delete(v, "serial") // another thing there
		v["flag"] = num(0x55AA)
		for name, size := range map[string]int{"issuer-high": 4, "card": 4, "terminal": 4, "card-type": 1, "city": 2, "datetime": 7, "sam": 6, "company": 2, "tac": 4} {
			digits := strings.Repeat("0", 2*size) + strings.Trim(v[name].Text, "T")
			b, _ := hex.DecodeString(digits[len(digits)-2*size:]) // all made of digits above
			v[name] = text(string(b))
		}
	}
	return v
}

// spoil makes a record wrong; what belongs to the record before is taken from it.
func (m *Maker) spoil(v map[string]layout.Value, w Wrong) {
	switch {
	case w == SAMTwice && m.last != nil:
		v["sam"], v["sam-seq"] = m.last["sam"], m.last["sam-seq"]
		if raw := v["sam"].Text; m.Format.Layout.Name == "bus-64" {
			v["sam"] = layout.Value{Text: hex.EncodeToString([]byte(raw))}
		}
	case w == Counter && m.last != nil:
		v["card"], v["card-seq"], v["inner"] = m.last["card"], m.last["card-seq"], m.last["inner"]
		if raw := v["card"].Text; m.Format.Layout.Name == "bus-64" {
			v["card"] = layout.Value{Text: hex.EncodeToString([]byte(raw))}
		}
	case w == ShortMoney:
		v["before"], v["after"] = layout.Value{Num: v["amount"].Num - 1}, layout.Value{}
	case w == LostCard:
		v["card"] = layout.Value{Text: LostNumber}
	case w == GoneCard:
		v["card"] = layout.Value{Text: GoneNumber}
	case w == NoCompany:
		v["sam"] = layout.Value{Text: noSAM}
	case w == GoneCompany:
		v["sam"] = layout.Value{Text: goneSAM}
	case w == NoKey:
		v["key-version"] = layout.Value{Num: 9}
	}
}

// sign writes the record, has the card sign it, and writes it again.
func (m *Maker) sign(dst []byte, v map[string]layout.Value, spoilt bool) ([]byte, error) {
	l, at := m.Format.Layout, len(dst)
	if l.Name == "bus-64" {
		v["tac"] = layout.Value{Text: "\x00\x00\x00\x00"}
	}
	b, err := l.Append(dst, l.Record, v)
	if err != nil {
		return dst, err
	}
	raw := b[at:]
	if l.End != layout.NoEnd {
		raw = raw[:len(raw)-1]
	}
	if err := l.Parse(&m.row, raw); err != nil {
		return dst, err
	}
	if err := m.Format.Read(&m.row, "made", &m.item); err != nil {
		return dst, err
	}
	c := &m.item.Proof
	p, err := clear.NewPurse(m.master, c)
	if err != nil {
		return dst, err
	}
	tac := p.TAC(c)
	if spoilt {
		tac[0] ^= 0x80
	}
	v["tac"] = layout.Value{Text: fmt.Sprintf("%X", tac)}
	if l.Name == "bus-64" {
		v["tac"] = layout.Value{Text: string(tac[:])}
	}
	return l.Append(b[:at], l.Record, v)
}

// File makes a whole file of records, with its header.
func (m *Maker) File(wrong []Wrong) (file []byte, sum uint64, err error) {
	l := m.Format.Layout
	if l.Header != nil {
		if file, err = l.Append(nil, l.Header, map[string]layout.Value{"count": {Num: uint64(len(wrong))}}); err != nil {
			return nil, 0, err
		}
	}
	for _, w := range wrong {
		var amount uint64
		if file, amount, err = m.Append(file, w); err != nil {
			return nil, 0, err
		}
		sum += amount
	}
	return file, sum, nil
}

// Package zips members with their list and gives the zip, its digest and the list.
func Package(names []string, members [][]byte, counts []int) (file []byte, digest string, list []byte, err error) {
	var b, pkg bytes.Buffer
	z := zip.NewWriter(&b)
	fmt.Fprintf(&pkg, "20261001235959,%d,1\n", len(names))
	for i, name := range names {
		w, err := z.Create(name)
		if err != nil {
			return nil, "", nil, err
		}
		if _, err := w.Write(members[i]); err != nil {
			return nil, "", nil, err
		}
		fmt.Fprintf(&pkg, "%s,%d\n", name, counts[i])
	}
	if err := z.Close(); err != nil {
		return nil, "", nil, err
	}
	return b.Bytes(), MD5(b.Bytes()), pkg.Bytes(), nil
}

// MD5 is the digest that lies beside a package.
func MD5(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// Section is what a configuration says of the lists that Lists gives.
const Section = "offline: {messages: bus-64, tac_keys: offline-tac.csv, terminals: offline-terminals.csv, cards: offline-cards.csv}\n"

// Lists gives the files that Section names, which fit the made-up records.
func Lists() (map[string][]byte, error) {
	keys, err := Keys()
	if err != nil {
		return nil, err
	}
	tac := []byte("family,algorithm,index,version,issuer,key\n")
	for id, k := range keys {
		tac = fmt.Appendf(tac, "city,des,%02X,%02X,,%s\n", id.Index, id.Version, k.String())
	}
	terminals, cards := Books()
	return map[string][]byte{"offline-tac.csv": tac, "offline-terminals.csv": []byte(terminals), "offline-cards.csv": []byte(cards)}, nil
}

// MaxSeed is the highest seed of an Offer: each layout has SAM numbers of its own for
// each, so that all go into one store, and there are no more of them.
const MaxSeed, layouts = 31, 8

// Offer makes a file as a sender gives it, with what lies beside it: records in a
// built-in layout, and with faults one more of each that the layout can show. Those of
// dongguan come as a zip with its digest and list. name is the one to import.
func Offer(layoutName string, count int, seed uint64, faults bool) (name string, files map[string][]byte, err error) {
	at := uint64(slices.IndexFunc(layout.Builtin(), func(l *layout.Layout) bool { return l.Name == layoutName }))
	m, err := NewMaker(layoutName, seed*layouts+at)
	if err != nil {
		return "", nil, err
	}
	wrong := make([]Wrong, count)
	if faults {
		wrong = append(wrong, m.Faults()...)
	}
	b, _, err := m.File(wrong)
	if err != nil {
		return "", nil, err
	}
	name = fmt.Sprintf("sim-%s-%d", layoutName, seed)
	if layoutName != "dongguan" {
		return name, map[string][]byte{name: b}, nil
	}
	zipped, digest, list, err := Package([]string{name + ".csv"}, [][]byte{b}, []int{len(wrong)})
	return name + ".zip", map[string][]byte{name + ".zip": zipped, name + ".zip.md5": []byte(digest + "\n"), name + ".pkg": list}, err
}
