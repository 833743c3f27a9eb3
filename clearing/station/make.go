package station

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tongka/clearing/layouts"
	"tongka/clearing/row"
	"tongka/clearing/run"
)

// share is what one merchant or city has of a day.
type share struct {
	layouts.Totals
	net int64 // fen of all its transactions, with their signs
	// What of them is its own, as the day's positions have it (loads go to the fund of
	// cards), what it pays in fees, what cases give it, and the sum of the three, fen.
	gross, fees, cases, paid int64
	out                      *output
}

// output is one file that is written.
type output struct {
	f    *os.File
	sum  hash.Hash
	w    *layouts.Writer
	name string
}

// make writes a day's files of a distribution into a folder.
func (s *Station) make(d *Send, o *SendOrder, dir localDir) ([]*Sent, error) {
	if d.Per == PerFile {
		return s.asItIs(d, o, dir)
	}
	shares := map[string]*share{}
	party := func(r *row.Row) string {
		m := strings.TrimRight(string(r.Merchant[:]), " \x00")
		if d.Per == PerCity {
			return s.o.Config.cityOf(m)
		}
		return m
	}
	err := run.EachDetail(o.Run, o.Date, func(r *row.Row) error {
		x := shares[party(r)]
		if x == nil {
			x = &share{Totals: layouts.Totals{Date: o.Date, Number: "1"}}
			shares[party(r)] = x
		}
		x.Records++
		x.Sum += r.Amount
		x.net += r.Net()
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.fees(d, o, shares); err != nil {
		return nil, err
	}
	if err := s.details(d, o, dir, shares, party); err != nil {
		return nil, err
	}
	var all []*Sent
	for _, name := range slices.Sorted(maps.Keys(shares)) {
		x, err := shares[name].totals(d, dir, name)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

// fees adds what parties pay, as the day's report has it.
func (s *Station) fees(d *Send, o *SendOrder, shares map[string]*share) error {
	b, err := os.ReadFile(filepath.Join(run.DayFolder(o.Run, o.Date.String()), run.ReportJSON))
	if err != nil {
		return err
	}
	var r run.Report
	if err := json.Unmarshal(b, &r); err != nil {
		return fmt.Errorf("%s: %w", run.ReportJSON, err)
	}
	for _, p := range r.Parties {
		name := p.Name
		if d.Per == PerCity {
			name = s.o.Config.cityOf(p.Name)
		}
		if x := shares[name]; x != nil && p.Role == "merchant" {
			x.gross += p.Gross
			x.fees += p.Fees
			x.cases += p.Cases
			x.paid += p.Net
		}
	}
	return nil
}

// details writes the rows. They come by merchant, so that of merchants one file is
// open at a time.
func (s *Station) details(d *Send, o *SendOrder, dir localDir, shares map[string]*share, party func(*row.Row) string) (err error) {
	last := ""
	var open *share
	err = run.EachDetail(o.Run, o.Date, func(r *row.Row) error {
		name := party(r)
		x := shares[name]
		if d.Per == PerMerchant && open != nil && name != last {
			if err := open.out.end(); err != nil {
				return err
			}
		}
		if last, open = name, x; x.out == nil {
			if err := x.begin(d, dir, name, s); err != nil {
				return err
			}
		}
		return x.out.w.Add(r)
	})
	for _, x := range shares {
		if x.out != nil {
			err = errors.Join(err, x.out.end())
		}
	}
	return err
}

// begin opens the file of a share.
func (x *share) begin(d *Send, dir localDir, party string, s *Station) error {
	name := strings.NewReplacer("{merchant}", party, "{city}", party, "{yyyymmdd}", x.Date.String()).Replace(d.Files)
	if !plainName(name) {
		return fmt.Errorf("%q 不可作文件名 · %q cannot be a file's name", name, name)
	}
	f, err := os.OpenFile(dir.path(name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	x.out = &output{f: f, sum: sha256.New(), name: name}
	x.out.w, err = d.Form.NewWriter(io.MultiWriter(f, x.out.sum), layouts.Head{Totals: x.Totals, Zone: s.o.Config.Zone})
	return err
}

// end ends a file, once.
func (o *output) end() error {
	if o.f == nil {
		return nil
	}
	err := errors.Join(o.w.End(), o.f.Sync(), o.f.Close())
	o.f = nil
	return err
}

// totals writes a share's totals and the digest of its details.
func (x *share) totals(d *Send, dir localDir, party string) (*Sent, error) {
	sent := &Sent{Date: x.Date, Send: d.Name, Name: x.out.name, Party: party, SHA256: hex.EncodeToString(x.out.sum.Sum(nil)), Records: x.Records, Sum: x.Sum}
	info, err := os.Stat(dir.path(x.out.name))
	if err != nil {
		return nil, err
	}
	sent.Size = info.Size()
	text := fmt.Sprintf("date,party,records,amount_fen,net_fen,gross_fen,fees_fen,cases_fen,paid_fen,file,sha256\n%s,%s,%d,%d,%d,%d,%d,%d,%d,%s,%s\n", x.Date, party, x.Records, x.Sum,
		x.net, x.gross, x.fees, x.cases, x.paid,
		sent.Name, sent.SHA256)
	return sent, sent.beside(dir, text)
}

// beside writes what goes out beside a file.
func (x *Sent) beside(dir localDir, totals string) error {
	for suffix, text := range map[string]string{".totals.csv": totals, ".sha256": x.SHA256 + "  " + x.Name + "\n"} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(dir.path(x.Name+suffix), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// asItIs copies a file, so that sending it again gives what it was on that day.
func (s *Station) asItIs(d *Send, o *SendOrder, dir localDir) ([]*Sent, error) {
	in, err := os.Open(d.From)
	if err != nil {
		return nil, err
	}
	x := &Sent{Date: o.Date, Send: d.Name, Name: strings.ReplaceAll(d.Files, "{yyyymmdd}", o.Date.String())}
	h := sha256.New()
	err = dir.Put(x.Name, func(w io.Writer) error {
		x.Size, err = io.Copy(io.MultiWriter(w, h), in)
		return err
	})
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, err
	}
	x.SHA256 = hex.EncodeToString(h.Sum(nil))
	return []*Sent{x}, x.beside(dir, "")
}
