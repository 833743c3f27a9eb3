package station

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"tongka/clearing/layouts"
	"tongka/clearing/row"
)

// finding is what a look into a file has shown.
type finding struct {
	layouts.Totals
	faults []string
	cut    bool  // nothing is wrong but that its end is missing
	err    error // it could not be looked at
}

// wrong notes a fault.
func (v *finding) wrong(format string, args ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

// maxStrangers is how many merchants that nobody knows are named of a file.
const maxStrangers = 100

// stranger notes a merchant that nobody knows.
func (v *finding) stranger(f *File, line uint64, merchant string) {
	if len(v.faults) < maxStrangers {
		v.wrong("%s:%d:1: 未知商户 %s · unknown merchant %s", f.Name, line, merchant, merchant)
	}
}

// register makes a file of what was copied here: nil when it waits for its end.
// What is the same as a registered file is that file; what is a duplicate in name
// or in bytes only is written down as refused.
func (s *Station) register(in *incoming, src *Source, e *Entry) (f *File, err error) {
	f = &File{Name: in.name, Source: in.source, Sender: in.kind.Sender, Kind: in.kind.Name, To: in.kind.To, Date: in.date, Size: in.size, SHA256: in.sha, MD5: in.md5}
	for _, suffix := range suffixes {
		if in.with[suffix] != nil {
			f.Beside = append(f.Beside, suffix)
		}
	}
	var twin, why string
	var same *File
	if err := s.with(func(st *store) (err error) {
		same, twin, why, err = st.duplicate(f)
		return err
	}); err != nil {
		return nil, err
	}
	if same != nil {
		return same, errors.Join(s.seen(same, e), in.drop())
	}
	v := s.look(f, in.kind, in.path, in.with)
	if empty := f.To == Clearing && v.Records == 0 && len(v.faults) == 0; !empty && why == "" {
		why = twin // days without business look alike, and are no duplicates
	}
	if why != "" {
		if f.Date, f.Number = v.Date, v.Number; f.Date == 0 {
			f.Date = s.today() // it says no day: that on which it came
		}
		return f, errors.Join(s.refuse(f, e, why), in.drop())
	}
	if v.cut && src != nil {
		late, err := s.overdue(src, e)
		if err != nil || !late {
			return nil, errors.Join(err, s.wait(src, e, cutWhy, false), in.drop())
		}
	}
	if err := s.keep(in, f); err != nil {
		return nil, err
	}
	if err := s.enter(f, e); err != nil {
		return nil, err
	}
	return f, s.conclude(f, &v)
}

// duplicate finds what a file is a copy of: the same in name and bytes is the same
// file. twin says what other name has its bytes, why what has its name. The name of a
// file that was set aside or turned down is free for a better one.
func (s *store) duplicate(f *File) (same *File, twin, why string, err error) {
	bytes, err1 := s.file(shaKey(f.SHA256))
	named, err2 := s.file(nameKey(f.Name))
	if err := errors.Join(err1, err2); err != nil {
		return nil, "", "", err
	}
	for _, x := range []*File{bytes, named} {
		if x != nil && x.Name == f.Name && x.SHA256 == f.SHA256 {
			return x, "", "", nil
		}
	}
	if bytes != nil {
		twin = fmt.Sprintf("内容与 %d 号文件 %s 相同 · the same contents as file %d, %s", bytes.ID, bytes.Name, bytes.ID, bytes.Name)
	}
	if named != nil && named.State != Quarantined && named.State != Rejected {
		why = fmt.Sprintf("同名文件已登记为 %d 号，内容不同 · file %d has this name and other contents", named.ID, named.ID)
	}
	return nil, twin, why, nil
}

// seen writes down what a file in a source has become.
func (s *Station) seen(f *File, e *Entry) error {
	if e == nil {
		return nil
	}
	return s.with(func(st *store) error {
		b := st.batch()
		b.seen(f, e)
		return b.commit()
	})
}

func (b *batch) seen(f *File, e *Entry) {
	if e != nil && f.Source != "" {
		b.put(waitKey(f.Source, e.Name), &Waiting{Source: f.Source, Name: e.Name, Size: e.Size, Mod: e.Mod.UnixNano(), ID: f.ID})
	}
}

func (s *Station) refuse(f *File, e *Entry, why string) error {
	return s.with(func(st *store) (err error) {
		if f.ID, err = st.nextID(); err != nil {
			return err
		}
		f.Faults = []string{f.Name + ": " + why}
		f.move(Refused, "pass", s.o.Now(), why)
		b := st.batch()
		b.file(f)
		b.seen(f, e)
		s.heed(f)
		return b.commit()
	})
}

func (s *Station) heed(f *File) {
	if s.o.Heed != nil {
		s.o.Heed(f)
	}
}

// overdue says that a file has been without its end for too long.
func (s *Station) overdue(src *Source, e *Entry) (late bool, err error) {
	return late, s.with(func(st *store) error {
		var w Waiting
		ok, err := st.get(waitKey(src.Name, e.Name), &w)
		late = ok && s.o.Now().UnixNano()-w.First > int64(s.o.Config.Patience)
		return err
	})
}

// keep gives the bytes their place, and those of what lies beside them. They have it
// before the file has its number: a number without bytes could not go on.
func (s *Station) keep(in *incoming, f *File) error {
	spool := localDir(s.path("spool"))
	for _, suffix := range f.Beside {
		if err := os.WriteFile(s.path("spool", f.stem()+"."+suffix), in.with[suffix], 0o600); err != nil {
			return err
		}
	}
	if err := s.at("copied"); err != nil {
		return err
	}
	if err := os.Rename(in.path, spool.path(f.stem())); err != nil {
		return err
	}
	if err := s.at("named"); err != nil {
		return err
	}
	if err := syncFolder(string(spool)); err != nil {
		return err
	}
	return s.at("kept")
}

// enter gives a file its number.
func (s *Station) enter(f *File, e *Entry) error {
	err := s.with(func(st *store) (err error) {
		if f.ID, err = st.nextID(); err != nil {
			return err
		}
		by := "pass"
		if e == nil {
			by = s.o.By
			if err := s.audit(Act{Do: "files-import", What: f.auditName(), After: f.Kind}); err != nil {
				return err
			}
		}
		f.move(Received, by, s.o.Now(), "")
		b := st.batch()
		b.file(f)
		b.put(nameKey(f.Name), f.ID)
		if known, err := st.has(shaKey(f.SHA256)); err != nil || !known {
			b.err = errors.Join(b.err, err)
			b.put(shaKey(f.SHA256), f.ID)
		}
		b.seen(f, e)
		return b.commit()
	})
	return errors.Join(err, s.at("received"))
}

// look reads a whole file and says what it is. It changes nothing.
func (s *Station) look(f *File, k *Kind, path string, with map[string][]byte) (v finding) {
	d, number, err := k.said(f.Name, s.today())
	if err != nil {
		v.wrong("%v", err)
		return v
	}
	if f.Date != 0 {
		d = f.Date // a person has said so
	}
	v.Date, v.Number = d, number
	for suffix, sum := range map[string]string{"md5": f.MD5, "sha256": f.SHA256} {
		said := strings.Fields(string(with[suffix]))
		if with[suffix] != nil && (len(said) == 0 || !strings.EqualFold(said[0], sum)) {
			v.wrong("%s.%s:1:1: 摘要不符，文件为 %s · another digest than the file's, which is %s", f.Name, suffix, sum, sum)
		}
	}
	if len(v.faults) > 0 || f.To != Clearing {
		return v
	}
	in, err := os.Open(path)
	if err != nil {
		v.err = err
		return v
	}
	tot, err := k.Form.Read(in, layouts.Reading{Name: f.Name, Date: d, Zone: s.o.Config.Zone}, func(r *row.Row, _ int64) error {
		if m := strings.TrimRight(string(r.Merchant[:]), " \x00"); k.Merchants != nil && m != "" && !k.Merchants[m] {
			v.stranger(f, r.ID, m)
		}
		return nil
	})
	var faults *layouts.Faults
	switch {
	case errors.As(err, &faults):
		v.cut = errors.Is(err, layouts.ErrCut) && len(v.faults) == 0
		v.faults = append(v.faults, strings.Split(faults.Error(), "\n")...)
	default:
		v.err = err
	}
	v.err = errors.Join(v.err, in.Close())
	v.Records, v.Sum = tot.Records, tot.Sum
	if v.Date == 0 {
		v.Date = tot.Date
	}
	if tot.Number != "" {
		if number != "" && strings.TrimLeft(number, "0") != strings.TrimLeft(tot.Number, "0") {
			v.wrong("%s: 文件写编号 %s，文件名写 %s · the file says number %s, its name %s", f.Name, tot.Number, number, tot.Number, number)
		}
		v.Number = tot.Number
	}
	return v
}

// conclude moves a received file on by what was found.
func (s *Station) conclude(f *File, v *finding) error {
	k := s.o.Config.kind(f.Kind)
	err := s.change(f.ID, Received, func(st *store, b *batch, now *File) error {
		if v.err != nil {
			now.Tries++
			now.Next = s.o.Now().Add(s.after(now.Tries - 1)).Unix()
			now.Faults = []string{v.err.Error()}
			now.move(Failed, "pass", s.o.Now(), v.err.Error())
			return nil
		}
		if now.Date == 0 {
			if now.Date = v.Date; now.Date == 0 {
				now.Date = s.today().Add(-k.DaysAgo)
			}
		}
		now.Number, now.Records, now.Sum = v.Number, v.Records, v.Sum
		if err := s.fits(st, now, v); err != nil {
			return err
		}
		now.Faults = v.faults
		if len(v.faults) > 0 {
			return s.aside(now, v.faults[0])
		}
		if now.Number != "" {
			b.put(numberKey(now), now.ID)
		}
		now.move(Verified, "pass", s.o.Now(), "")
		return nil
	})
	return errors.Join(err, s.at("concluded"))
}

// fits holds a file against what is known: days that are closed, numbers that were
// used, and the calendar.
func (s *Station) fits(st *store, f *File, v *finding) error {
	closed, err := st.has(closedKey(f.Date))
	if err != nil {
		return err
	}
	if closed && f.To == Clearing {
		v.wrong("%s: %s 已关闭，请以 retry --date 移交未关闭的一日 · its day %s is closed; retry --date gives it to one that is open", f.Name, f.Date, f.Date)
	}
	if f.Date > s.today().Add(1) {
		v.wrong("%s: 日期 %s 在未来 · its date %s lies in the future", f.Name, f.Date, f.Date)
	}
	if f.Number == "" {
		return nil
	}
	other, err := st.file(numberKey(f))
	if err == nil && other != nil && other.ID != f.ID && other.State != Rejected && other.State != Quarantined {
		v.wrong("%s: %s 的编号 %s 已被 %d 号文件 %s 使用 · number %s of %s is that of file %d, %s", f.Name, f.Date, f.Number, other.ID, other.Name, f.Number, f.Date, other.ID, other.Name)
	}
	return err
}

// aside sets a file aside. Its bytes move first: where they are is looked for.
func (s *Station) aside(f *File, why string) error {
	if err := s.bring(f, s.path("quarantine", f.stem())); err != nil {
		return err
	}
	f.move(Quarantined, "pass", s.o.Now(), why)
	return s.at("aside")
}

// change does something to a file that is in a state, as one batch; it is not done
// when somebody else has moved the file meanwhile.
func (s *Station) change(id uint32, from State, do func(*store, *batch, *File) error) error {
	return s.with(func(st *store) error {
		f, err := st.byID(id)
		if err != nil || f == nil || f.State != from {
			return err
		}
		b := st.batch()
		if err := do(st, b, f); err != nil {
			return errors.Join(err, b.b.Close())
		}
		b.file(f)
		if err := b.commit(); err != nil {
			return err
		}
		s.heed(f)
		return nil
	})
}
