package station

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tongka/clearing/day"
)

// Purged is what a purge took away, and what it had to leave.
type Purged struct {
	Archived  int      `json:"archived"`  // files of others whose day was cleared
	Rejected  int      `json:"rejected"`  // and those that a person had turned down
	Undecided int      `json:"undecided"` // and those that were set aside and nobody decided about: they are rejected now
	Sent      int      `json:"sent"`      // files of ours
	Stray     int      `json:"stray"`     // bytes that belong to nothing, left by a crash
	Owed      []string `json:"owed"`      // files of ours that are old and did not arrive, or are not acknowledged
}

// Any says whether anything goes.
func (p *Purged) Any() bool { return p.Archived+p.Rejected+p.Undecided+p.Sent+p.Stray > 0 }

// String is for people.
func (p *Purged) String() string {
	return fmt.Sprintf("归档 archived %d, 已拒绝 rejected %d, 隔离未决 set aside and undecided %d, 下发 sent %d, 残留 stray %d", p.Archived, p.Rejected, p.Undecided, p.Sent, p.Stray)
}

// purge is one at work.
type purge struct {
	*Station
	before day.Date // what came to its end before this day goes
	files  []*File
	sent   []*Sent // of folders that go whole
	stray  []string
	keep   map[string]bool // stems of bytes that stay,
	going  map[string]bool // and of those that go
	did    Purged
}

// Purge deletes the bytes of files whose time is over: those that were archived, turned
// down or set aside, and what was made for others, Config.Keep days after the last thing
// that happened to them. What is known of them stays. It is audited before anything
// goes, and may be killed anywhere and done again.
func (s *Station) Purge() (*Purged, error) {
	lock, err := lockFile(s.path("pass.lock"))
	if err != nil {
		return nil, err
	}
	p := &purge{Station: s, before: s.today().Add(-s.o.Config.Keep), keep: map[string]bool{}, going: map[string]bool{}, did: Purged{Owed: []string{}}}
	err = s.with(p.plan)
	if err == nil && p.did.Any() {
		err = s.audit(Act{Do: "files-purge", What: fmt.Sprintf("%d days kept, before %s", s.o.Config.Keep, p.before), After: p.did.String()})
		for _, do := range []func() error{p.others, p.ours, p.strays} {
			if err == nil {
				err = do()
			}
		}
	}
	return &p.did, errors.Join(err, lock.Close())
}

// plan finds what goes.
func (p *purge) plan(st *store) error {
	err := each(st, "f ", func(f *File) error {
		if !p.goes(f) {
			p.keep[f.stem()] = p.keep[f.stem()] || !f.Purged
			return nil
		}
		p.files, p.going[f.stem()] = append(p.files, f), true
		switch f.State {
		case Archived:
			p.did.Archived++
		case Rejected:
			p.did.Rejected++
		default:
			p.did.Undecided++
		}
		return nil
	})
	return errors.Join(err, p.planSent(st), p.planStray())
}

// goes says whether a file's time is over.
func (p *purge) goes(f *File) bool {
	if f.Purged || f.State != Archived && f.State != Rejected && f.State != Quarantined || len(f.History) == 0 {
		return false
	}
	return p.old(f.History[len(f.History)-1].At)
}

// old says whether a moment, as histories have it, is before the days that are kept.
// One that cannot be read is of now: nothing goes by a mistake.
func (p *purge) old(at string) bool {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return false
	}
	d, err := day.ParseDate(t.In(p.o.Config.Zone).Format("20060102"))
	return err == nil && d < p.before
}

// planSent finds folders of ours of which every file is old, there, and acknowledged
// where the other side does so: what is owed to somebody does not go.
func (p *purge) planSent(st *store) error {
	folders := map[string][]*Sent{}
	stays := map[string]bool{}
	err := each(st, "s ", func(x *Sent) error {
		dir := p.sentFolder(x)
		if _, err := os.Stat(dir); x.Purged && errors.Is(err, fs.ErrNotExist) {
			stays[dir] = true
			return nil
		}
		owed := p.Open(x)
		if stays[dir] = stays[dir] || owed || !p.old(x.At); owed && x.Date < p.before {
			p.did.Owed = append(p.did.Owed, fmt.Sprintf("%s %s/%s", x.Date, x.Send, x.Name))
		}
		folders[dir] = append(folders[dir], x)
		return nil
	})
	for dir, all := range folders {
		if !stays[dir] {
			p.sent = append(p.sent, all...)
		}
	}
	p.did.Sent = len(p.sent)
	return err
}

func (s *Station) sentFolder(x *Sent) string { return s.path("sent", x.Date.String(), x.Send) }

// planStray finds what a crash left of files that never got their number.
func (p *purge) planStray() error {
	for _, dir := range []string{"fetch", "spool", "quarantine"} {
		list, err := localDir(p.path(dir)).List()
		if err != nil {
			return err
		}
		for _, e := range list {
			stem, _, _ := strings.Cut(e.Name, ".")
			if !p.keep[stem] && !p.going[stem] && p.old(e.Mod.UTC().Format(time.RFC3339)) {
				p.stray = append(p.stray, p.path(dir, e.Name))
			}
		}
	}
	p.did.Stray = len(p.stray)
	return nil
}

// others deletes the bytes of files that came in. Bytes go before their record says
// so: a crash between the two finds them gone, and says it then.
func (p *purge) others() error {
	for _, f := range p.files {
		err := p.change(f.ID, f.State, func(_ *store, _ *batch, f *File) error {
			if !p.goes(f) {
				return nil
			}
			if err := p.bytesGo(f); err != nil {
				return err
			}
			why := fmt.Sprintf("保留 %d 天期满，字节已删除 · kept for %d days, its bytes are deleted", p.o.Config.Keep, p.o.Config.Keep)
			f.Purged = true
			if f.State == Quarantined {
				f.move(Rejected, p.o.By, p.o.Now(), why)
				return nil
			}
			f.History = append(f.History, Event{p.o.Now().UTC().Format(time.RFC3339), f.State, p.o.By, why})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *purge) bytesGo(f *File) error {
	places := []string{p.path("archive", f.Date.String(), f.Name)}
	if !p.keep[f.stem()] { // two files without records may share their bytes
		places = append(places, p.path("spool", f.stem()), p.path("quarantine", f.stem()))
		for _, suffix := range f.Beside {
			places = append(places, p.path("spool", f.stem()+"."+suffix))
		}
	}
	for _, place := range places {
		if err := remove(place); err != nil {
			return err
		}
		if err := p.at("deleted"); err != nil {
			return err
		}
	}
	return emptied(p.path("archive", f.Date.String()))
}

// remove deletes a file that may be gone already.
func remove(name string) error {
	err := os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// emptied takes a folder away in which nothing is left.
func emptied(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || len(list) > 0 {
		return nil
	}
	return errors.Join(err, remove(dir))
}

// ours deletes what was made for others. The list goes first: a folder without it is
// one that is to be made anew, and then held against what was sent.
func (p *purge) ours() error {
	for _, x := range p.sent {
		dir := p.sentFolder(x)
		for _, do := range []func() error{func() error { return remove(filepath.Join(dir, listName)) }, func() error { return os.RemoveAll(dir) },
			func() error { return emptied(filepath.Dir(dir)) }} {
			if err := do(); err != nil {
				return err
			}
			if err := p.at("deleted"); err != nil {
				return err
			}
		}
		x.Purged = true
		if err := p.note(x); err != nil {
			return err
		}
	}
	return nil
}

func (p *purge) strays() error {
	for _, name := range p.stray {
		if err := errors.Join(remove(name), p.at("deleted")); err != nil {
			return err
		}
	}
	return nil
}
