// Package rules reads how a house clears its days: what rows are matched by and in
// which order, how strictly, which files are expected, what business costs, and
// when parties are paid. It is one YAML file, strict: what it does not know is a
// fault with file, line and column.
package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"
	"time"

	"tongka/clearing/day"
	"tongka/clearing/fee"
	"tongka/clearing/row"
	"tongka/txn"
	"tongka/yamlfile"
)

// Rules are one file.
type Rules struct {
	Schedule  day.Schedule // for days that the switch has not cut itself
	Match     []row.Fields // passes, the first first; what one leaves alone goes to the next
	Tolerance int64        // fen
	Tolerated fee.Party    // bears differences within the tolerance; the issuer: nothing is booked, it settles what we say
	Many      bool
	Hold      time.Duration // before the cut: rows without a partner are held one day
	LateDays  int           // how many days a row without a partner waits for one
	Files     []File
	Fees      *fee.Table
	FeeRules  []fee.Rule
	Cycles    []Cycle
	Weekends  bool // are days on which money is paid
	Holidays  []day.Date
	Disputes  []Level
	Cities    []City // the first that fits a merchant; others are in OtherCity
	Purses    []PurseRule
	Digest    string // SHA-256 of the file, hex
}

// City is a place of merchants.
type City struct {
	Name      string
	Merchants []string // patterns of their numbers, as path.Match has them
}

// OtherCity is where merchants are whom no city has.
const OtherCity = "other"

// CityOf finds a merchant's.
func (r *Rules) CityOf(merchant string) string {
	for i := range r.Cities {
		for _, p := range r.Cities[i].Merchants {
			if ok, err := path.Match(p, merchant); ok && err == nil {
				return r.Cities[i].Name
			}
		}
	}
	return OtherCity
}

// PurseRule says whose a record of the offline store is: it has no merchant's number.
type PurseRule struct {
	Company, Terminal, SAM string // patterns; empty = any
	Merchant               string // the number, which may hold {company}, {terminal}, {sam}
}

// PurseMerchant finds the merchant's number of an offline record; false when no rule
// fits, or none gives a number of 1 to 15 letters and digits.
func (r *Rules) PurseMerchant(company, terminal, sam string) (string, bool) {
	fits := func(pattern, s string) bool {
		ok, err := path.Match(pattern, s)
		return pattern == "" || ok && err == nil
	}
	for _, p := range r.Purses {
		if fits(p.Company, company) && fits(p.Terminal, terminal) && fits(p.SAM, sam) {
			m := strings.NewReplacer("{company}", company, "{terminal}", terminal, "{sam}", sam).Replace(p.Merchant)
			return m, len(m) > 0 && len(m) <= 15 && strings.Trim(m, alphanumeric) == ""
		}
	}
	return "", false
}

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Level says how grave a case is, and how long it may wait.
type Level struct {
	Name    string
	Least   int64    // fen: of cases of so much and more
	Days    int      // until somebody has to have decided
	Classes []string // none: of all
}

// File says what is expected of a day's files whose names fit.
type File struct {
	Name     string // a pattern as path.Match has it
	Link     txn.LinkID
	Required bool
}

// Cycle says when parties of a role are paid.
type Cycle struct {
	Of      fee.Party // a role, or one party by name
	Days    int       // T+n
	Least   int64     // fen: less waits for the next day
	Collect bool      // what they owe is collected, and does not wait to be made good
}

// maxFile is the size in bytes of a file of rules.
const maxFile = 1 << 20

// Parse reads the rules in b. names are the links' names in their order, as the
// config has them. The error is yamlfile.Faults.
func Parse(name string, b []byte, names []string) (*Rules, error) {
	p := &parser{file: name, links: names}
	root, faults := yamlfile.Tree(name, b, maxFile, "match: [{by: [rrn]}]")
	p.faults = faults
	sum := sha256.Sum256(b)
	r := &Rules{LateDays: 7, Many: true, Weekends: true, Hold: 30 * time.Minute, Digest: hex.EncodeToString(sum[:]), Tolerated: fee.Party{Role: fee.Acquirer}}
	r.Schedule = day.Schedule{Zone: time.FixedZone("UTC+8", 8*3600), At: 23 * time.Hour}
	if root != nil {
		p.rules(root, r)
	}
	if len(p.faults) > 0 {
		p.faults.Sort()
		return nil, p.faults
	}
	return r, nil
}

// CycleOf is the first cycle for a party; false when it is never paid, as our own
// house is not.
func (r *Rules) CycleOf(p fee.Party) (Cycle, bool) {
	for _, c := range r.Cycles {
		if c.Of.Role == p.Role && (c.Of.Name == "" || c.Of.Name == p.Name) {
			return c, true
		}
	}
	return Cycle{}, false
}

// Due is the day on which a party of a cycle is paid for a day: n days later, of
// those on which money is paid.
func (r *Rules) Due(d day.Date, n int) day.Date {
	for d = d.Add(n); !r.open(d); d = d.Add(1) {
	}
	return d
}

func (r *Rules) open(d day.Date) bool {
	if slices.Contains(r.Holidays, d) {
		return false
	}
	t := time.Date(int(d/10000), time.Month(d/100%100), int(d%100), 0, 0, 0, 0, time.UTC).Weekday()
	return r.Weekends || t != time.Saturday && t != time.Sunday
}
