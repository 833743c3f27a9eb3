package station

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Entry is a file that lies somewhere.
type Entry struct {
	Name string
	Size int64
	Mod  time.Time
}

// Place is a folder, here or elsewhere. Open gives it for one pass.
type Place interface {
	Open(ctx context.Context) (Dir, error)
	// String names it for people, without secrets.
	String() string
}

// Dir is a folder that is open. It belongs to one goroutine.
type Dir interface {
	// List gives the files in it, links and folders left out, by name.
	List() ([]Entry, error)
	Get(name string) (io.ReadCloser, error)
	// Put gives a file its name once all of it is there, in place of one of that name.
	Put(name string, write func(io.Writer) error) error
	Remove(name string) error
	Close() error
}

// temporary is how a file ends that is not there yet.
const temporary = ".part"

// Folder is a Place on this machine.
type Folder string

// Open implements Place.
func (f Folder) Open(context.Context) (Dir, error) {
	info, err := os.Stat(string(f))
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: string(f), Err: errors.New("不是目录 · not a folder")}
	}
	return localDir(f), err
}

// String implements Place.
func (f Folder) String() string { return string(f) }

type localDir string

func (d localDir) path(name string) string { return filepath.Join(string(d), name) }

func (d localDir) List() (all []Entry, err error) {
	list, err := os.ReadDir(string(d))
	for _, e := range list {
		info, bad := e.Info()
		if errors.Is(bad, fs.ErrNotExist) {
			continue // it went while we looked
		}
		if bad != nil {
			return nil, bad
		}
		if info.Mode().IsRegular() {
			all = append(all, Entry{e.Name(), info.Size(), info.ModTime()})
		}
	}
	return all, err
}

func (d localDir) Get(name string) (io.ReadCloser, error) { return os.Open(d.path(name)) }

func (d localDir) Put(name string, write func(io.Writer) error) (err error) {
	part := d.path(name) + temporary
	f, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return errors.Join(os.Rename(part, d.path(name)), syncFolder(string(d)))
}

func (d localDir) Remove(name string) error {
	err := os.Remove(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d localDir) Close() error { return nil }

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
