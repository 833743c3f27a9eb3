package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tongka/journal"
)

func lsn(at uint64) string { return journal.LSN(at).String() }

// SumsFile names all that is published of a day, as sha256sum writes it.
const SumsFile = "SHA256SUMS"

// close proves once more what is published, ends the day by one batch, and gives
// the folder its place. Dying between the two is mended by the next run.
func (j *job) close() error {
	c := closedDay{Date: j.o.Date}
	var reg registered
	var clr cleared
	_, err1 := j.st.step(j.o.Date, Register, &reg)
	_, err2 := j.st.step(j.o.Date, Clear, &clr)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	c.To = reg.To
	for i := range reg.Files {
		c.Files = append(c.Files, reg.Files[i].SHA256)
	}
	for i := range reg.Purses {
		c.Files = append(c.Files, reg.Purses[i].SHA256)
	}
	if err := clr.balanced(); err != nil {
		return err
	}
	outputs, err := j.published()
	if err != nil {
		return err
	}
	if err := j.onlyThese(outputs); err != nil {
		return err
	}
	err = j.write(SumsFile, func(w io.Writer) error {
		for _, o := range outputs {
			if _, err := fmt.Fprintf(w, "%s  %s\n", o.Sum, o.Name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.Sums = j.outputs[0].Sum
	j.heed(Close, Written)
	if err := j.renameOutputs(); err != nil {
		return err
	}
	if err := j.st.end(&c); err != nil {
		return err
	}
	j.heed(Close, Renamed)
	if err := j.publish(); err != nil {
		return err
	}
	j.heed(Close, Done)
	return nil
}

// published lists all outputs that leave the house, and holds each against the
// digest that its step noted: who changed one by hand is found out here.
func (j *job) published() (all []output, err error) {
	for s := range Close {
		r, err := j.st.step(j.o.Date, s, nil)
		if err != nil {
			return nil, err
		}
		for _, o := range r.Outputs {
			if o.Temp {
				continue
			}
			_, sum, err := digest(j.path(&o))
			if err == nil && sum != o.Sum {
				err = fmt.Errorf("%s: %w；--redo %s", o.Name, ErrChanged, s)
			}
			if err != nil {
				return nil, err
			}
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b output) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// onlyThese removes what else lies in the day's folder: parts of a step that died.
func (j *job) onlyThese(outputs []output) error {
	return filepath.WalkDir(j.work(), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(j.work(), p)
		if err != nil || slices.ContainsFunc(outputs, func(o output) bool { return o.Name == filepath.ToSlash(name) }) {
			return err
		}
		return os.Remove(p)
	})
}

// publish gives a closed day's folder its place, if it has it not.
func (j *job) publish() error {
	to := DayFolder(j.o.Dir, j.o.Date.String())
	_, err := os.Stat(to)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.Rename(j.work(), to))
	}
	return errors.Join(err, syncFolder(filepath.Dir(to)), os.RemoveAll(j.temp()))
}

// summary says what is done, with the report once there is one.
func (j *job) summary() (*Summary, error) {
	s := &Summary{Date: j.o.Date.Dashed(), Folder: j.work(), Done: []string{}}
	for at := range Steps {
		ok, err := j.st.has(j.o.Date, at)
		if err != nil {
			return nil, err
		}
		if ok {
			s.Done = append(s.Done, at.String())
		}
	}
	if s.Closed = slices.Contains(s.Done, Close.String()); s.Closed {
		s.Folder = DayFolder(j.o.Dir, j.o.Date.String())
	}
	if !slices.Contains(s.Done, Reporting.String()) {
		return s, nil
	}
	b, err := os.ReadFile(filepath.Join(s.Folder, ReportJSON))
	if err != nil {
		return nil, err
	}
	s.Report = &Report{}
	return s, json.Unmarshal(b, s.Report)
}
