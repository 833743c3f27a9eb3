package clean

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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

// Backup makes a backup in dir, which must not be there, or finishes what a crash
// left: checkpoint makes the journal's copy in a folder, extra are files and folders
// of the house to go with it, by their names in the backup. prove restores a copy of
// the whole and says how many records its journal has; what it cannot restore is no
// backup. The folder has its name once all of this is done.
func Backup(dir string, checkpoint func(to string) error, extra map[string]string, prove func(copy string) (int, error), now time.Time) (*Manifest, error) {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, fmt.Errorf("%s: 已存在 · is there already", dir))
	}
	work, trial := dir+half, dir+".trial"+half
	if err := errors.Join(os.RemoveAll(work), os.RemoveAll(trial), os.MkdirAll(work, 0o700)); err != nil {
		return nil, err
	}
	if err := checkpoint(filepath.Join(work, "journal")); err != nil {
		return nil, err
	}
	for name, from := range extra {
		if err := copyTree(from, filepath.Join(work, name)); err != nil {
			return nil, err
		}
	}
	m := &Manifest{Made: now.UTC()}
	var err error
	if err = copyTree(work, trial); err == nil {
		m.Records, err = prove(trial)
	}
	if err := errors.Join(err, os.RemoveAll(trial)); err != nil {
		return nil, fmt.Errorf("备份未能恢复 · the backup cannot be restored: %w", err)
	}
	if m.Files, err = list(work); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(work, ManifestFile), append(b, '\n'), 0o600)
	}
	if err == nil {
		err = syncTree(work)
	}
	if err == nil {
		err = os.Rename(work, dir)
	}
	return m, err
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
