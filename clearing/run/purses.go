package run

import (
	"errors"
	"fmt"

	"tongka/clearing/row"
)

// PurseFile is a file of what cards did without the switch, all of whose signatures are
// judged.
type PurseFile struct {
	FileInfo
	Records uint32 `json:"records"` // verified, and of no settlement yet
}

// PurseRecord is one of these, verified. Row has all but its merchant, which a record
// does not name: a purchase, or a load that was paid for in cash.
type PurseRecord struct {
	Row                    row.Row
	Company, Terminal, SAM string // whose it is
	Place                  string // member:line
}

// Purses gives what was paid offline.
type Purses interface {
	// Files lists files that have verified records which nobody has settled, in the
	// order of their registration.
	Files() ([]PurseFile, error)
	// Records gives each such record of a file, lent.
	Records(name string, add func(*PurseRecord) error) error
	// Settled notes that the records of files are part of a closed day. It is told by
	// every run that finds the day closed; a second time changes nothing.
	Settled(names []string) error
}

// findPurses freezes which files the day takes: those that are there when it is
// registered and that no earlier day has. So each is of exactly one day.
func (j *job) findPurses(r *registered) error {
	if j.o.Purses == nil {
		return nil
	}
	files, err := j.o.Purses.Files()
	if err != nil {
		return fmt.Errorf("脱机交易 · offline transactions: %w", err)
	}
	for _, f := range files {
		was, err := j.st.fileOf(f.SHA256)
		if err != nil {
			return err
		}
		switch {
		case was != 0 || j.without(f.Name):
		case len(j.o.Rules.Purses) == 0:
			r.PursesLeft++
		default:
			r.Purses = append(r.Purses, f)
		}
	}
	return nil
}

// maxPurseFaults is how many faults of a file are named.
const maxPurseFaults = 100

// intakePurses makes rows of what was paid offline. They wait for nobody: the card's
// own signature is their proof.
func (j *job) intakePurses(reg *registered, in *intaken) error {
	if len(reg.Purses) == 0 {
		return nil
	}
	out, err := j.create(pursesRows, true)
	if err != nil {
		return err
	}
	var faults []error
	for i := range reg.Purses {
		t, err := j.purseFile(&reg.Purses[i], out)
		if j.ctx.Err() != nil {
			return errors.Join(j.ctx.Err(), out.f.Close())
		}
		faults = append(faults, err)
		in.Purses = append(in.Purses, fileTotals{reg.Purses[i].Name, t})
	}
	if err := errors.Join(faults...); err != nil {
		err = errors.Join(err, errors.New("更正规则 offline 后 --redo register，或以 --without 文件名 留待后日 · mend offline in the rules and --redo register, or leave the file for a later day with --without NAME and --redo register"))
		return errors.Join(err, out.f.Close())
	}
	return out.end(nil)
}

// purseFile reads one file. Records without a merchant refuse it whole, each with its
// place.
func (j *job) purseFile(f *PurseFile, out *file) (t sideTotals, err error) {
	var faults []error
	merchants := map[[3]string]string{}
	var b []byte
	err = j.o.Purses.Records(f.Name, func(p *PurseRecord) error {
		t.Rows++
		who := [3]string{p.Company, p.Terminal, p.SAM}
		m, ok := merchants[who]
		if !ok {
			if m, ok = j.o.Rules.PurseMerchant(p.Company, p.Terminal, p.SAM); !ok {
				if len(faults) < maxPurseFaults {
					faults = append(faults, fmt.Errorf("%s:%s: 规则 offline 中没有公司 %q 终端 %q SAM %q 的商户 · under offline the rules have no merchant for company %q, terminal %q, SAM %q",
						f.Name, p.Place, p.Company, p.Terminal, p.SAM, p.Company, p.Terminal, p.SAM))
				}
				return nil
			}
			merchants[who] = m
		}
		r := &p.Row
		r.Date, r.Status = j.o.Date, row.Settled
		r.Flags |= row.Purse
		copy(r.Merchant[:], m)
		if n := r.Net(); n != 0 {
			t.Settled++
			t.Net += n
		}
		b = r.Append(b[:0])
		_, err := out.Write(b)
		return errors.Join(err, j.row())
	})
	if err == nil && len(faults) == 0 && t.Rows != int64(f.Records) {
		err = fmt.Errorf("%s: %d 条，登记时 %d · %d records, %d when it was registered: %w", f.Name, t.Rows, f.Records, t.Rows, f.Records, ErrChanged)
	}
	return t, errors.Join(append(faults, err)...)
}

// settlePurses tells that the day's offline records are settled.
func (j *job) settlePurses() error {
	if j.o.Purses == nil {
		return nil
	}
	var r registered
	if _, err := j.st.step(j.o.Date, Register, &r); err != nil || len(r.Purses) == 0 {
		return err
	}
	var names []string
	for i := range r.Purses {
		names = append(names, r.Purses[i].Name)
	}
	return j.o.Purses.Settled(names)
}
