package clean

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Manifest says what a backup holds.
type Manifest struct {
	Made    time.Time `json:"made"`
	Records int       `json:"records"` // of the journal, as the proof found them
	Files   []Copied  `json:"files"`
}

// Copied is one file of a backup.
type Copied struct {
	Name   string `json:"name"` // below the backup
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// ManifestFile names all others; it is written last.
const ManifestFile = "MANIFEST.json"

// half is the end of a name that is not finished.
const half = ".half"

// Job is a backup to be made.
type Job struct {
	Dir        string                         // must not be there
	Checkpoint func(to string) error          // copies the journal
	Extra      map[string]string              // files and folders of the house to go with it, by their names in the backup
	Prove      func(copy string) (int, error) // restores a copy of the whole, and counts the records of its journal
	Step       func(name string) error        // between any two parts, for tests of crashes; may be nil
	Now        time.Time
}

// Backup makes it, or begins anew what a crash left. What cannot be restored is no
// backup; the folder has its name once all is done.
func Backup(j *Job) (*Manifest, error) {
	if _, err := os.Stat(j.Dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, fmt.Errorf("%s: 已存在 · is there already", j.Dir))
	}
	work := j.Dir + half
	m := &Manifest{Made: j.Now.UTC()}
	for _, part := range []struct {
		name string
		do   func() error
	}{
		{"emptied", func() error {
			return errors.Join(os.RemoveAll(work), os.RemoveAll(j.trial()), os.MkdirAll(work, 0o700))
		}},
		{"checkpoint", func() error { return j.Checkpoint(filepath.Join(work, "journal")) }},
		{"copied", func() error { return j.extra(work) }},
		{"proved", func() error { return j.prove(work, m) }},
		{"listed", func() error { return m.write(work) }},
		{"named", func() error { return errors.Join(os.Rename(work, j.Dir), syncFolder(filepath.Dir(j.Dir))) }},
	} {
		if err := part.do(); err != nil {
			return nil, err
		}
		if j.Step != nil {
			if err := j.Step(part.name); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// trial is where a copy is opened: who restores writes into it.
func (j *Job) trial() string { return j.Dir + ".trial" + half }

func (j *Job) extra(work string) error {
	for _, name := range slices.Sorted(maps.Keys(j.Extra)) {
		if err := copyTree(j.Extra[name], filepath.Join(work, name)); err != nil {
			return err
		}
	}
	return nil
}

func (j *Job) prove(work string, m *Manifest) (err error) {
	if err = copyTree(work, j.trial()); err == nil {
		m.Records, err = j.Prove(j.trial())
	}
	if err := errors.Join(err, os.RemoveAll(j.trial())); err != nil {
		return fmt.Errorf("备份未能恢复 · the backup cannot be restored: %w", err)
	}
	return nil
}

// write lists all there is, and gets the whole onto the disk.
func (m *Manifest) write(work string) (err error) {
	if m.Files, err = list(work); err != nil {
		return err
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(work, ManifestFile), append(b, '\n'), 0o600)
	}
	if err == nil {
		err = syncTree(work)
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

// Check holds a backup against its manifest.
func Check(dir string) (*Manifest, error) {
	b, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", ManifestFile, err)
	}
	is, err := list(dir)
	if err != nil {
		return nil, err
	}
	has := map[string]Copied{}
	for _, f := range is {
		has[f.Name] = f
	}
	var faults []error
	for _, f := range m.Files {
		if has[f.Name] != f {
			faults = append(faults, fmt.Errorf("%s: 缺失或已更改 · missing or changed", f.Name))
		}
	}
	return &m, errors.Join(faults...)
}

func list(dir string) (all []Copied, err error) {
	return all, walk(dir, func(p, name string) error {
		if name == ManifestFile {
			return nil
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		h := sha256.New()
		n, err := io.Copy(h, f)
		all = append(all, Copied{filepath.ToSlash(name), n, hex.EncodeToString(h.Sum(nil))})
		return errors.Join(err, f.Close())
	})
}

// walk gives the regular files below a folder.
func walk(dir string, f func(p, name string) error) error {
	return filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		return f(p, name)
	})
}

// copyTree copies a file or a folder byte for byte: a link would let whoever opens
// the copy write into the original. What is not there is passed over.
func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !info.IsDir() {
		return copyFile(from, to)
	}
	if err != nil {
		return err
	}
	return walk(from, func(p, name string) error {
		if strings.HasSuffix(name, half) || filepath.Base(name) == "LOCK" {
			return nil
		}
		return copyFile(p, filepath.Join(to, name))
	})
}

func copyFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, in.Close(), out.Close())
}

func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
