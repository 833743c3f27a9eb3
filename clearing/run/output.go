package run

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"tongka/clearing/row"
)

// job is one run of one day.
type job struct {
	o       Options
	ctx     context.Context
	st      *store
	before  *closedDay // the day before, nil for the first
	at      Step
	rows    int64
	part    float64
	outputs []output // of the step at work
}

func (j *job) work() string { return filepath.Join(j.o.Dir, "work", j.o.Date.String()) }
func (j *job) temp() string { return filepath.Join(j.o.Dir, "tmp", j.o.Date.String()) }
func (j *job) runs() string { return filepath.Join(j.temp(), "runs") }

// DayFolder is where a closed day is.
func DayFolder(dir, date string) string { return filepath.Join(dir, "days", date) }

// carry is the folder, in a day's, of what the next day begins with.
const carry = "carry"

// makeFolders makes those of the day. Runs of a sort that died are thrown away.
func (j *job) makeFolders() error {
	err := os.RemoveAll(j.runs())
	for _, dir := range []string{filepath.Join(j.work(), carry), j.runs(), filepath.Join(j.o.Dir, "days")} {
		err = errors.Join(err, os.MkdirAll(dir, 0o700))
	}
	return err
}

const temporary = ".part"

// path is where an output is once it has its name.
func (j *job) path(o *output) string {
	if o.Temp {
		return filepath.Join(j.temp(), o.Name)
	}
	return filepath.Join(j.work(), o.Name)
}

// file is an output that is written.
type file struct {
	j   *job
	out output
	f   *os.File
	w   *bufio.Writer
	sum hash.Hash
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func hashOf(temp bool) hash.Hash {
	if temp {
		return crc32.New(castagnoli) // between our own steps: against accidents
	}
	return sha256.New()
}

// create begins an output of the step at work.
func (j *job) create(name string, temp bool) (*file, error) {
	o := &file{j: j, out: output{Name: name, Temp: temp}, sum: hashOf(temp)}
	f, err := os.OpenFile(j.path(&o.out)+temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	o.f, o.w = f, bufio.NewWriterSize(f, 256<<10)
	return o, nil
}

// Write appends.
func (o *file) Write(b []byte) (int, error) {
	o.sum.Write(b)
	o.out.Size += int64(len(b))
	return o.w.Write(b)
}

// end puts the output on disk. It gets its name with the others of its step. An
// error that is given is passed on, and the file is let go.
func (o *file) end(err error) error {
	if err == nil {
		err = errors.Join(o.w.Flush(), o.f.Sync())
	}
	if err = errors.Join(err, o.f.Close()); err != nil {
		return fmt.Errorf("%s: %w", o.out.Name, err)
	}
	o.out.Sum = hex.EncodeToString(o.sum.Sum(nil))
	o.j.outputs = append(o.j.outputs, o.out)
	return nil
}

// write makes a whole output.
func (j *job) write(name string, f func(io.Writer) error) error {
	o, err := j.create(name, false)
	if err != nil {
		return err
	}
	return o.end(f(o))
}

// writeCSV makes a table: its first line names the columns.
func (j *job) writeCSV(name string, columns []string, lines func(add func(...any) error) error) error {
	return j.write(name, func(w io.Writer) error {
		c := csv.NewWriter(w)
		rec := make([]string, len(columns))
		err := errors.Join(c.Write(columns), lines(func(fields ...any) error {
			for i := range rec {
				rec[i] = fmt.Sprint(fields[i])
			}
			return c.Write(rec)
		}))
		c.Flush()
		return errors.Join(err, c.Error())
	})
}

func (j *job) writeJSON(name string, v any) error {
	return j.write(name, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
}

// renameOutputs gives the step's outputs their names, durably.
func (j *job) renameOutputs() error {
	folders := map[string]bool{}
	for i := range j.outputs {
		p := j.path(&j.outputs[i])
		if err := os.Rename(p+temporary, p); err != nil {
			return err
		}
		folders[filepath.Dir(p)] = true
	}
	var err error
	for dir := range folders {
		err = errors.Join(err, syncFolder(dir))
	}
	return err
}

// dropOutputs throws away what a step that failed has written.
func (j *job) dropOutputs() error {
	var err error
	for i := range j.outputs {
		if e := os.Remove(j.path(&j.outputs[i]) + temporary); !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// rowsOf opens rows that an earlier step left, by the name of their file.
func (j *job) rowsOf(s Step, name string) (*rowFile, error) {
	r, err := j.st.step(j.o.Date, s, nil)
	if err != nil {
		return nil, err
	}
	for i := range r.Outputs {
		if r.Outputs[i].Name == name {
			return openRows(j.path(&r.Outputs[i]), &r.Outputs[i])
		}
	}
	return nil, fmt.Errorf("%s: 步骤 %s 未输出 · step %s has no such output", name, s, s)
}

// rowFile reads rows of a file and, at its end, holds it against its sum.
type rowFile struct {
	name string
	f    *os.File
	r    *bufio.Reader
	sum  hash.Hash
	want output
	rec  []byte
	left int64
}

func openRows(path string, o *output) (*rowFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (info.Size() != o.Size || o.Size%row.Size != 0) {
		err = fmt.Errorf("%s: %d 字节，应为 %d · %d bytes, not %d: %w", path, info.Size(), o.Size, info.Size(), o.Size, ErrChanged)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &rowFile{name: path, f: f, r: bufio.NewReaderSize(f, 256<<10), sum: hashOf(o.Temp), want: *o, rec: make([]byte, row.Size), left: o.Size / row.Size}, nil
}

// Next gives the next row's bytes, lent, and nil behind the last.
func (r *rowFile) Next() ([]byte, error) {
	if r.left == 0 {
		if got := hex.EncodeToString(r.sum.Sum(nil)); got != r.want.Sum {
			return nil, fmt.Errorf("%s: 摘要不符 · its digest is another: %w", r.name, ErrChanged)
		}
		return nil, nil
	}
	if _, err := io.ReadFull(r.r, r.rec); err != nil {
		return nil, fmt.Errorf("%s: %w", r.name, err)
	}
	r.left--
	r.sum.Write(r.rec)
	return r.rec, nil
}

// Close lets the file go.
func (r *rowFile) Close() error { return r.f.Close() }

// each reads all rows of an earlier step.
func (j *job) each(s Step, name string, f func(*row.Row) error) (err error) {
	rf, err := j.rowsOf(s, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rf.Close()) }()
	return eachRow(rf, f)
}

func eachRow(rf *rowFile, f func(*row.Row) error) error {
	var r row.Row
	for {
		b, err := rf.Next()
		if b == nil || err != nil {
			return err
		}
		if err := r.Read(b); err != nil {
			return fmt.Errorf("%s: %w", rf.name, err)
		}
		if err := f(&r); err != nil {
			return err
		}
	}
}
