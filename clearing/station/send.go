package station

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"tongka/clearing/day"
	"tongka/clearing/layouts"
)

// Per says what one file to others is about.
type Per uint8

// Pers.
const (
	PerMerchant Per = iota
	PerCity
	PerFile // a file as it is, such as a blacklist or parameters
)

var perNames = []string{"merchant", "city", "file"}

// Send is a distribution: what is made of a closed day, and who gets it.
type Send struct {
	Name  string
	Per   Per
	Files string // name, with {merchant} or {city}, {yyyymmdd}
	From  string // per file: the file
	Form  *layouts.Form
	To    Place
	Acks  bool // the other side says that it has it, by NAME.ack in the same place
}

// City names the merchants of one; the first that fits a merchant counts.
type City struct {
	Name      string
	Merchants []string // patterns as path.Match has them
}

// otherCity is where merchants of no city are: their money is somewhere.
const otherCity = "other"

// Cities are those of the config.
func (s *Station) Cities() []City { return s.o.Config.Cities }

// cityOf finds a merchant's.
func (c *Config) cityOf(merchant string) string {
	for i := range c.Cities {
		for _, p := range c.Cities[i].Merchants {
			if ok, err := path.Match(p, merchant); ok && err == nil {
				return c.Cities[i].Name
			}
		}
	}
	return otherCity
}

// maxCities bounds the files that are written at the same time.
const maxCities = 400

func (p *parser) city(n ast.Node, c *Config) {
	x := City{}
	p.mapping(n, keys{"name": p.text(&x.Name), "merchants": func(n ast.Node) {
		p.list(n, func(n ast.Node) {
			var s string
			p.text(&s)(n)
			if _, err := path.Match(s, "x"); err != nil {
				p.fault(n, "须为商户号，可含 * ? [] · wanted: a merchant's number, with * ? [] if need be", `"???1100*"`)
			}
			x.Merchants = append(x.Merchants, s)
		})
	}}, "name", "merchants")
	if !plainName(x.Name) || x.Name == otherCity {
		p.fault(n, fmt.Sprintf("%q 不可作城市名 · %q cannot be a city's name", x.Name, x.Name), "")
	}
	if c.Cities = append(c.Cities, x); len(c.Cities) == maxCities+1 {
		p.fault(n, fmt.Sprintf("至多 %d 个城市 · at most %d cities", maxCities, maxCities), "")
	}
}

// plainName says that a word can be part of a file's name.
func plainName(s string) bool {
	return s != "" && !strings.HasPrefix(s, ".") && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`/\:*?"<>|`, r) })
}

func (p *parser) send(n ast.Node, c *Config) {
	s := Send{Form: &layouts.Form{Name: layouts.Own}}
	per, l := -1, link{}
	var form string
	p.mapping(n, keys{
		"name": p.text(&s.Name), "per": p.word(perNames, func(i int) { per = i }), "files": p.text(&s.Files), "from": p.path(&s.From), "layout": p.text(&form),
		"acks": p.word([]string{"no", "yes"}, func(i int) { s.Acks = i == 1 }),
		"to":   func(n ast.Node) { p.mapping(n, p.linkKeys(&l), "folder"); s.To = p.place(n, &l) },
	}, "name", "per", "files", "to")
	s.Per = Per(max(per, 0))
	want := map[Per]string{PerMerchant: "{merchant}", PerCity: "{city}", PerFile: "{yyyymmdd}"}[s.Per]
	if per >= 0 && (!strings.Contains(s.Files, want) || !strings.Contains(s.Files, "{yyyymmdd}") || !plainName(sentName.Replace(s.Files))) {
		p.fault(n, fmt.Sprintf("files 须为文件名，含 %s 与 {yyyymmdd} · files is a name with %s and {yyyymmdd}", want, want), "")
	}
	if (s.Per == PerFile) != (s.From != "") {
		p.fault(n, "from 只用于 per: file，且不可缺 · from is for per: file, which wants it", "")
	}
	if form != "" {
		if strings.ContainsAny(form, "./") && !filepath.IsAbs(form) {
			form = filepath.Join(p.dir, form)
		}
		f, err := layouts.Open(form)
		if err != nil {
			p.fault(n, err.Error(), "")
		}
		s.Form = f
	}
	if slices.ContainsFunc(c.Send, func(x Send) bool { return x.Name == s.Name }) {
		p.fault(n, fmt.Sprintf("分发 %q 重复 · the distribution %q stands twice", s.Name, s.Name), "")
	}
	c.Send = append(c.Send, s)
}

var sentName = strings.NewReplacer("{merchant}", "m", "{city}", "c", "{yyyymmdd}", "d")

// Sent is a file of ours that goes to others.
type Sent struct {
	Date    day.Date `json:"date"`
	Send    string   `json:"send"`
	Name    string   `json:"name"`
	Party   string   `json:"party,omitempty"` // merchant or city
	Size    int64    `json:"size"`
	SHA256  string   `json:"sha256"`
	Records int64    `json:"records"`
	Sum     int64    `json:"sum_fen"`
	Times   int      `json:"times"`            // put at the other side
	At      string   `json:"at,omitempty"`     // last
	Acked   string   `json:"acked,omitempty"`  // when, and by whom
	Why     string   `json:"why,omitempty"`    // it is not there, or its acknowledgement is wrong
	Owed    bool     `json:"owed,omitempty"`   // the last try to put it failed: the next Send tries again
	Purged  bool     `json:"purged,omitempty"` // what was made is deleted here: kept long enough
}

func sentKey(x *Sent) []byte {
	return []byte("s " + x.Date.String() + "\x00" + x.Send + "\x00" + x.Name)
}

// Sends says whether anything is made of closed days.
func (s *Station) Sends() bool {
	return slices.ContainsFunc(s.o.Config.Send, func(d Send) bool { return d.Per != PerFile })
}

// SendOrder says what to send.
type SendOrder struct {
	Date  day.Date
	Run   string   // the clearing's folder, which has the day
	Only  []string // distributions by name; none is all
	Name  string   // one file only
	Again bool     // also what was sent
}

// Send makes what a closed day has for others, once, and puts it where it belongs:
// details, totals, and the digest last. What cannot be put is written down; the
// next Send tries it again. Made files are kept, so that sending again gives the same.
func (s *Station) Send(ctx context.Context, o SendOrder) (all []*Sent, err error) {
	lock, err := lockFile(s.path("pass.lock"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if o.Again {
		if err := s.audit(Act{Do: "files-resend", What: strings.Join(append(append([]string{o.Date.String()}, o.Only...), strings.Fields(o.Name)...), " ")}); err != nil {
			return nil, err
		}
	}
	for i := range s.o.Config.Send {
		d := &s.o.Config.Send[i]
		if len(o.Only) > 0 && !slices.Contains(o.Only, d.Name) {
			continue
		}
		made, err := s.made(d, &o)
		if err != nil {
			return all, fmt.Errorf("%s: %w", d.Name, err)
		}
		made = slices.DeleteFunc(made, func(x *Sent) bool { return o.Name != "" && x.Name != o.Name })
		if err := s.put(ctx, d, made, o.Again); err != nil {
			return all, err
		}
		all = append(all, made...)
	}
	for _, w := range o.Only {
		if !slices.ContainsFunc(s.o.Config.Send, func(d Send) bool { return d.Name == w }) {
			return all, fmt.Errorf("没有分发 %q · there is no distribution %q", w, w)
		}
	}
	if o.Name != "" && len(all) == 0 {
		return nil, fmt.Errorf("%s 没有文件 %q · %s has no file %q", o.Date, o.Name, o.Date, o.Name)
	}
	return all, nil
}

// listName is the list of what was made for a distribution; with it all is there.
const listName = ".list.json"

// made gives a day's files of a distribution, and makes them if they are not here.
func (s *Station) made(d *Send, o *SendOrder) (all []*Sent, err error) {
	list := filepath.Join(s.path("sent", o.Date.String(), d.Name), listName)
	b, err := os.ReadFile(list)
	if errors.Is(err, os.ErrNotExist) {
		before, err := s.sentBefore(d, o.Date)
		cleaned := len(before) > 0 && !slices.ContainsFunc(before, func(x *Sent) bool { return !x.Purged })
		if err != nil || cleaned && !o.Again {
			return before, err // all of it was sent, its time is over, and nobody wants it again
		}
		if b, err = s.anew(d, o, before); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", list, err)
	}
	return all, s.with(func(st *store) error {
		for _, x := range all {
			if _, err := st.get(sentKey(x), x); err != nil {
				return err
			}
		}
		return nil
	})
}

// anew makes them, and their list last. What was sent before is made the same or not at all.
func (s *Station) anew(d *Send, o *SendOrder, before []*Sent) (list []byte, err error) {
	dir := localDir(s.path("sent", o.Date.String(), d.Name))
	if err := os.MkdirAll(string(dir), 0o700); err != nil {
		return nil, err
	}
	all, err := s.make(d, o, dir)
	if err != nil {
		return nil, err
	}
	if err := sameAs(before, all); err != nil {
		return nil, errors.Join(err, os.RemoveAll(string(dir)))
	}
	if list, err = json.Marshal(all); err != nil {
		return nil, err
	}
	if err := s.at("before the list"); err != nil {
		return nil, err
	}
	if err := dir.Put(listName, func(w io.Writer) error { _, err := w.Write(list); return err }); err != nil {
		return nil, err
	}
	return list, s.at("made")
}

// sentBefore gives what was sent of a day, of one distribution.
func (s *Station) sentBefore(d *Send, date day.Date) (all []*Sent, err error) {
	all, err = s.SentOf(date)
	return slices.DeleteFunc(all, func(x *Sent) bool { return x.Send != d.Name || x.Times == 0 }), err
}

// sameAs refuses what is made anew, when what was sent was other: a party that has two
// files of one name and day could not say which one counts.
func sameAs(before, now []*Sent) error {
	var faults []error
	for _, x := range before {
		if !slices.ContainsFunc(now, func(y *Sent) bool { return y.Name == x.Name && y.SHA256 == x.SHA256 }) {
			faults = append(faults, fmt.Errorf("%s: 原件已清理，现在做出的与当时所发（%.16s）不同，不重发 · what was sent (%.16s) is cleaned away, and what is made now is not the same: not sent again",
				x.Name, x.SHA256, x.SHA256))
		}
	}
	return errors.Join(faults...)
}

// put puts files where they belong, each as details, totals and digest.
func (s *Station) put(ctx context.Context, d *Send, all []*Sent, again bool) error {
	due := func(x *Sent) bool { return again || x.Times == 0 || x.Owed }
	if !slices.ContainsFunc(all, due) {
		return nil
	}
	to, err := d.To.Open(ctx)
	if err != nil {
		return s.noted(all, due, err)
	}
	for _, x := range all {
		if !due(x) {
			continue
		}
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), to.Close())
		}
		from := localDir(s.path("sent", x.Date.String(), d.Name))
		err := s.copyOut(from, to, x)
		if err == nil {
			err = s.at("put")
		}
		var broken *ownError
		if errors.As(err, &broken) {
			return errors.Join(err, to.Close())
		}
		if err == nil {
			x.Times++
			x.At, x.Why, x.Acked, x.Owed, x.Purged = s.o.Now().UTC().Format(time.RFC3339), "", "", false, false
		} else {
			x.Why, x.Owed = err.Error(), true
		}
		if err := s.note(x); err != nil {
			return errors.Join(err, to.Close())
		}
	}
	return to.Close()
}

// parts are the suffixes of what goes out for one file, in order: who sees the
// digest has all of it.
var parts = []string{"", ".totals.csv", ".sha256"}

func (s *Station) copyOut(from localDir, to Dir, x *Sent) error {
	for _, suffix := range parts {
		in, err := from.Get(x.Name + suffix)
		if errors.Is(err, os.ErrNotExist) && suffix == ".totals.csv" {
			continue // a file as it is has none
		}
		if err != nil {
			return own(err)
		}
		err = to.Put(x.Name+suffix, func(w io.Writer) error { _, err := io.Copy(w, in); return err })
		if err = errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	return nil
}

// noted writes down for all that are due why they are not there.
func (s *Station) noted(all []*Sent, due func(*Sent) bool, why error) error {
	for _, x := range all {
		if due(x) {
			x.Why, x.Owed = why.Error(), true
			if err := s.note(x); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Station) note(all ...*Sent) error {
	return s.with(func(st *store) error {
		b := st.batch()
		for _, x := range all {
			b.put(sentKey(x), x)
		}
		return b.commit()
	})
}

// SentOf lists what was sent of a day, of all days for 0.
func (s *Station) SentOf(d day.Date) (all []*Sent, err error) {
	return all, s.with(func(st *store) error {
		return each(st, "s ", func(x *Sent) error {
			if d == 0 || x.Date == d {
				all = append(all, x)
			}
			return nil
		})
	})
}

// Open says that somebody should look at a file that was to be sent: it is not there, its
// acknowledgement is wrong, or there is none from one who gives them.
func (s *Station) Open(x *Sent) bool {
	acks := slices.ContainsFunc(s.o.Config.Send, func(d Send) bool { return d.Name == x.Send && d.Acks })
	return x.Times == 0 || x.Owed || x.Why != "" || acks && x.Acked == ""
}

// Ack writes down by a person's word that the other side has a file.
func (s *Station) Ack(d day.Date, name string) (*Sent, error) {
	all, err := s.SentOf(d)
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		if x.Name == name && x.Times > 0 {
			if err := s.audit(Act{Do: "files-ack", What: fmt.Sprintf("%s %s/%s %s", x.Date, x.Send, x.Name, x.SHA256), Before: strings.TrimSpace(x.Acked + " " + x.Why)}); err != nil {
				return nil, err
			}
			x.Acked, x.Why = s.o.Now().UTC().Format(time.RFC3339)+" "+s.o.By, ""
			return x, s.note(x)
		}
	}
	return nil, fmt.Errorf("%s 未发送 %q · no file %q of %s was sent", d, name, name, d)
}

// acks looks for acknowledgements where files were put: NAME.ack, whose first word is
// the digest of what the other side has, or nothing.
func (s *Station) acks(ctx context.Context) error {
	all, err := s.SentOf(0)
	if err != nil {
		return err
	}
	for i := range s.o.Config.Send {
		d := &s.o.Config.Send[i]
		open := slices.DeleteFunc(slices.Clone(all), func(x *Sent) bool { return x.Send != d.Name || x.Times == 0 || x.Acked != "" })
		if !d.Acks || len(open) == 0 {
			continue
		}
		to, err := d.To.Open(ctx)
		if err != nil {
			if err := s.with(func(st *store) error { return s.trouble(st, d.Name, err) }); err != nil {
				return err
			}
			continue
		}
		bad := s.collect(to, open)
		var broken *ownError
		if errors.As(bad, &broken) {
			return errors.Join(bad, to.Close())
		}
		bad = errors.Join(bad, to.Close())
		if err := s.with(func(st *store) error { return s.trouble(st, d.Name, bad) }); err != nil {
			return err
		}
	}
	return nil
}

// collect reads the acknowledgements of some files.
func (s *Station) collect(to Dir, open []*Sent) error {
	list, err := to.List()
	if err != nil {
		return err
	}
	for _, x := range open {
		if !slices.ContainsFunc(list, func(e Entry) bool { return e.Name == x.Name+".ack" }) {
			continue
		}
		in, err := to.Get(x.Name + ".ack")
		if err != nil {
			return err
		}
		b, err := io.ReadAll(io.LimitReader(in, maxBeside))
		if err = errors.Join(err, in.Close()); err != nil {
			return err
		}
		was := *x
		if said := strings.Fields(string(b)); len(said) > 0 && !strings.EqualFold(said[0], x.SHA256) {
			x.Why = fmt.Sprintf("%s.ack:1:1: 对方收到的摘要不符 · the other side has another digest: %.64s", x.Name, said[0])
		} else {
			x.Acked, x.Why = s.o.Now().UTC().Format(time.RFC3339)+" .ack", ""
		}
		if *x != was {
			if err := own(s.note(x)); err != nil {
				return err
			}
		}
	}
	return nil
}
