package station

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tongka/clearing/day"
)

// Options say where a station is and who helps it.
type Options struct {
	Dir    string
	Config *Config
	Now    func() time.Time // nil = the clock
	By     string           // who gives orders, for histories
	// Offline takes a file into the store of offline transactions, or goes on with one
	// that is there; nil: such files stay verified.
	Offline func(ctx context.Context, f *OfflineFile) (OfflineResult, error)
	Heed    func(f *File) // what a pass has done; may be nil
	// Audit writes down what a person has the station do, before it is done: what cannot
	// be audited does not happen. nil: nobody keeps one.
	Audit func(Act) error
	// Step is called between any two changes on disk; an error ends the work there. Tests
	// of crashes have it.
	Step func(name string) error
}

// Act is something that a person has the station do.
type Act struct {
	Do     string // files-retry, files-reject, files-import, files-ack, files-resend, files-purge
	What   string
	Before string
	After  string
	Why    string
}

// audit writes an act down.
func (s *Station) audit(a Act) error {
	if s.o.Audit == nil {
		return nil
	}
	return s.o.Audit(a)
}

// auditName is a file as the audit has it: a number for us, a name and a digest for
// whoever sent it.
func (f *File) auditName() string { return fmt.Sprintf("%d %s %s", f.ID, f.Name, f.SHA256) }

// auditState is where a file is, for the audit.
func (f *File) auditState() string {
	if f.Date == 0 {
		return string(f.State)
	}
	return fmt.Sprintf("%s %s", f.State, f.Date)
}

// OfflineFile is a file with what lies beside it.
type OfflineFile struct {
	Name, Path, Layout, Sender string
	MD5                        string
	List, Totals               []byte // .pkg and .al, nil when there is none
}

// OfflineResult is what became of it.
type OfflineResult struct {
	Records, Sum int64
	Faults       []string // it is refused
	Done         bool     // its last record is judged
}

// Station is one folder of state. Its methods open the state for as long as they
// need it, so that several processes take turns.
type Station struct {
	o Options
}

// Open makes the folders.
func Open(o Options) (*Station, error) {
	if o.Dir == "" || o.Config == nil {
		return nil, errors.New("station: a folder and a config are wanted")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Station{o}
	for _, d := range []string{"fetch", "spool", "quarantine", "archive"} {
		if err := os.MkdirAll(s.path(d), 0o700); err != nil {
			return nil, fmt.Errorf("station: %w", err)
		}
	}
	return s, nil
}

func (s *Station) path(parts ...string) string {
	return filepath.Join(append([]string{s.o.Dir}, parts...)...)
}

func (s *Station) at(name string) error {
	if s.o.Step == nil {
		return nil
	}
	return s.o.Step(name)
}

// with opens the state for f.
func (s *Station) with(f func(*store) error) (err error) {
	st, err := openStore(s.o.Dir, s.at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	return f(st)
}

// Checkpoint copies what the station knows, as of one moment, into a folder that must
// not be there.
func (s *Station) Checkpoint(to string) error {
	return s.with(func(st *store) error { return st.db.Checkpoint(to, pebble.WithFlushedWAL()) })
}

// List is what the station knows.
type List struct {
	Files   []*File    `json:"files"`
	Waiting []*Waiting `json:"waiting"`
	Trouble []*Trouble `json:"trouble"`
}

// List gives all files, by number, and what waits or fails.
func (s *Station) List() (*List, error) {
	l := &List{Files: []*File{}, Waiting: []*Waiting{}, Trouble: []*Trouble{}}
	return l, s.with(func(st *store) error {
		files, err := st.files()
		l.Files = append(l.Files, files...)
		return errors.Join(err,
			each(st, "w ", func(w *Waiting) error {
				if w.ID == 0 {
					l.Waiting = append(l.Waiting, w)
				}
				return nil
			}),
			each(st, "t ", func(t *Trouble) error {
				l.Trouble = append(l.Trouble, t)
				return nil
			}))
	})
}

// Find gives a file by number or by name; of one name the file that has it now.
func (s *Station) Find(what string) (f *File, err error) {
	return f, s.with(func(st *store) error {
		f, err = st.find(what)
		return err
	})
}

func (s *store) find(what string) (f *File, err error) {
	if n, bad := strconv.ParseUint(what, 10, 32); bad == nil {
		if f, err = s.byID(uint32(n)); f != nil || err != nil {
			return f, err
		}
	}
	if f, err = s.file(nameKey(what)); f == nil && err == nil {
		err = fmt.Errorf("没有登记文件 %q · no file %q is registered", what, what)
	}
	return f, err
}

// stem is the name of a file's bytes: two files may have the same ones, when there is
// nothing in them.
func (f *File) stem() string {
	name := sha256.Sum256([]byte(f.Name))
	return fmt.Sprintf("%s-%x", f.SHA256, name[:4])
}

// bytesOf finds where a file's bytes are: a crash may have come between their move
// and its record.
func (s *Station) bytesOf(f *File) (string, error) {
	for _, p := range s.places(f) {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s: 字节不在 · its bytes are gone: %s", f.Name, f.SHA256)
}

func (s *Station) places(f *File) []string {
	return []string{s.path("spool", f.stem()), s.path("quarantine", f.stem()), s.path("archive", f.Date.String(), f.Name)}
}

// bring moves a file's bytes to a place, if they are not there.
func (s *Station) bring(f *File, to string) error {
	from, err := s.bytesOf(f)
	if err != nil || from == to {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if err := s.at("moved"); err != nil {
		return err
	}
	return errors.Join(syncFolder(filepath.Dir(to)), syncFolder(filepath.Dir(from)))
}

// today is the day that it is, in the station's zone.
func (s *Station) today() day.Date {
	d, err := day.ParseDate(s.o.Now().In(s.o.Config.Zone).Format("20060102"))
	if err != nil {
		panic(err) // a clock gives dates
	}
	return d
}
