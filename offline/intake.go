package offline

import (
	"archive/zip"
	"crypto/md5" // the field's digest of a package; what we trust is SHA-256
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/offline/layout"
)

// Source is a file as it is offered, with what lies beside it.
type Source struct {
	Name    string // without folders
	Open    func() (io.ReadCloser, error)
	MD5     string // hexadecimal, empty when there is no digest file
	List    []byte // the .pkg beside it, nil when there is none
	Totals  []byte // the AL file beside it, nil when there is none
	Company string // who sent it, empty when not said
	Format  *Format
}

// Limits of what is offered.
const (
	maxMembers = 1000
	maxList    = 256 << 10
	maxName    = 200
)

// Errors of a file that is not taken in at all. Nothing of it is kept.
var (
	ErrName   = errors.New("同名文件已登记，内容不同 · another file of this name is registered")
	ErrBytes  = errors.New("相同内容已以别名登记 · these bytes are registered under another name")
	ErrDigest = errors.New("摘要不符 · the digest does not agree")
	ErrSize   = errors.New("文件过大 · the file is too large")
)

// register copies a file to the spool and gives it a number, or finds the one it has:
// the same name with the same bytes is the same file, and goes on where it stood.
func (s *Store) register(src *Source) (f *File, err error) {
	if src.Name == "" || len(src.Name) > maxName || path.Base(src.Name) != src.Name || strings.ContainsAny(src.Name, "\x00\n\r\\") {
		return nil, fmt.Errorf("文件名无效 · not a file name: %q", src.Name)
	}
	in, err := src.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	f = &File{Name: src.Name, Company: src.Company, Layout: src.Format.Layout.Name, Form: digest(src.Format.Layout.Source),
		At: s.o.Now().UTC().Format("2006-01-02T15:04:05Z"), Stage: Received}
	sum, weak := sha256.New(), md5.New()
	// The file system comes last: it may use the buffer up.
	err = s.write(s.path("spool"), "incoming", func(w io.Writer) error {
		f.Size, err = io.Copy(io.MultiWriter(sum, weak, w), io.LimitReader(in, s.o.MaxBytes+1))
		if err == nil && f.Size > s.o.MaxBytes {
			err = fmt.Errorf("%s: %w: > %d", src.Name, ErrSize, s.o.MaxBytes)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	f.SHA256, f.MD5 = hex.EncodeToString(sum.Sum(nil)), hex.EncodeToString(weak.Sum(nil))
	if src.MD5 != "" && !strings.EqualFold(src.MD5, f.MD5) {
		return nil, errors.Join(fmt.Errorf("%s: %w: md5 %s ≠ %s", src.Name, ErrDigest, f.MD5, src.MD5), s.fs.Remove(s.path("spool", "incoming")))
	}
	if err := s.at("spooled"); err != nil {
		return nil, err
	}
	return s.admit(src, f)
}

func digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// admit registers what lies in the spool, once. A file in quarantine keeps its bytes
// registered; its name is free for a better one.
func (s *Store) admit(src *Source, f *File) (*File, error) {
	known, err := s.byKey('D', f.SHA256)
	if err != nil {
		return nil, err
	}
	incoming := s.path("spool", "incoming")
	if known != nil {
		if known.Name != f.Name {
			return nil, errors.Join(fmt.Errorf("%s: %w: %s", f.Name, ErrBytes, known.Name), s.fs.Remove(incoming))
		}
		return known, s.fs.Remove(incoming)
	}
	named, err := s.byKey('N', f.Name)
	if err != nil {
		return nil, err
	}
	if named != nil && named.Stage != Quarantined {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.Name, ErrName), s.fs.Remove(incoming))
	}
	if err := s.plan(src, f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.Name, err), s.fs.Remove(incoming))
	}
	// The bytes have their place before the number: a number without bytes could
	// not go on.
	if err := s.fs.Rename(incoming, s.path("spool", f.SHA256)); err != nil {
		return nil, err
	}
	if err := s.sync(s.path("spool")); err != nil {
		return nil, err
	}
	if err := s.at("named"); err != nil {
		return nil, err
	}
	all, err := s.Files()
	if err != nil {
		return nil, err
	}
	f.ID = 1
	if len(all) > 0 {
		f.ID = all[len(all)-1].ID + 1
	}
	b := s.db.NewBatch()
	defer b.Close()
	id := binary.BigEndian.AppendUint32(nil, f.ID)
	if err := errors.Join(b.Set(append([]byte("N"), f.Name...), id, nil), b.Set(append([]byte("D"), f.SHA256...), id, nil),
		b.Set(append([]byte("L"), f.Form...), src.Format.Layout.Source, nil)); err != nil {
		return nil, err
	}
	if err := s.commit(b, f); err != nil {
		return nil, err
	}
	return f, s.at("registered")
}

// plan says which members there will be, and what they are to hold. What is wrong
// here is wrong with the whole offer: the list can be mended and offered again.
func (s *Store) plan(src *Source, f *File) error {
	list := src.List
	f.Members = []Member{{Name: f.Name, Want: -1}}
	if isZip(f.Name) {
		archive, err := s.archive("incoming")
		if err != nil {
			return err
		}
		defer archive.Close()
		if err := archive.members(f, s.o.MaxBytes); err != nil {
			return err
		}
		if list == nil {
			if list, err = archive.list(); err != nil {
				return err
			}
		}
	}
	if list != nil {
		if err := matchList(f, list); err != nil {
			return err
		}
	}
	if src.Totals == nil {
		return nil
	}
	var err error
	f.Totals, err = readTotals(src.Totals)
	return err
}

func isZip(name string) bool { return strings.EqualFold(path.Ext(name), ".zip") }

// archive is a zip in the spool.
type archive struct {
	*zip.Reader
	io.Closer
}

func (s *Store) archive(name string) (*archive, error) {
	file, err := s.fs.Open(s.path("spool", name))
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	z, err := zip.NewReader(file, info.Size())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("zip 损坏 · damaged zip: %w", err), file.Close())
	}
	return &archive{z, file}, nil
}

// members takes the names in. They are never used as paths, and what they promise to
// unpack to is bounded, here and again while it is read.
func (a *archive) members(f *File, most int64) error {
	f.Members = nil
	sum := uint64(0)
	for _, m := range a.File {
		base := path.Base(m.Name)
		switch {
		case len(a.File) > maxMembers:
			return fmt.Errorf("zip 内超过 %d 个文件 · more than %d files in the zip", maxMembers, maxMembers)
		case m.Mode().IsDir() || strings.EqualFold(path.Ext(base), ".pkg"):
			continue
		case m.Flags&1 != 0:
			return fmt.Errorf("%s: zip 已加密 · the zip is encrypted", base)
		case slices.ContainsFunc(f.Members, func(o Member) bool { return o.Name == base }):
			return fmt.Errorf("%s: zip 内重名 · twice in the zip", base)
		}
		if sum += m.UncompressedSize64; m.UncompressedSize64 > uint64(most) || sum > uint64(most) {
			return fmt.Errorf("%s: %w", base, ErrSize)
		}
		f.Members = append(f.Members, Member{Name: base, Want: -1})
	}
	if len(f.Members) == 0 {
		return errors.New("zip 内没有文件 · no files in the zip")
	}
	slices.SortFunc(f.Members, func(x, y Member) int { return strings.Compare(x.Name, y.Name) })
	return nil
}

func (a *archive) open(name string) (io.ReadCloser, error) {
	for _, m := range a.File {
		if !m.Mode().IsDir() && path.Base(m.Name) == name {
			return m.Open()
		}
	}
	return nil, fmt.Errorf("%s: 不在 zip 内 · not in the zip", name)
}

// list gives the .pkg in the zip, nil when there is none.
func (a *archive) list() ([]byte, error) {
	for _, m := range a.File {
		if strings.EqualFold(path.Ext(m.Name), ".pkg") {
			r, err := m.Open()
			if err != nil {
				return nil, err
			}
			b, err := io.ReadAll(io.LimitReader(r, maxList+1))
			return b, errors.Join(err, r.Close())
		}
	}
	return nil, nil
}

// matchList holds the members against a .pkg: a line timestamp,files[,version] and
// for each file a line name,records. Source: city card centre's packages.
func matchList(f *File, list []byte) error {
	if len(list) > maxList {
		return fmt.Errorf("pkg: %w", ErrSize)
	}
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(list), "\r\n", "\n"), "\n"), "\n")
	wrong := func(line, column int, says string) error {
		return fmt.Errorf("pkg:%d:%d: %s", line, column, says)
	}
	head := strings.Split(lines[0], ",")
	if len(head) < 2 || len(head) > 3 {
		return wrong(1, 1, "应为 时间,文件数[,版本] · wanted: timestamp,files[,version]")
	}
	if n, err := strconv.Atoi(head[1]); err != nil || n != len(lines)-1 || n != len(f.Members) {
		return wrong(1, len(head[0])+2, fmt.Sprintf("文件数 %q，清单有 %d 行，包内有 %d 个 · %q files, the list has %d and the package %d",
			head[1], len(lines)-1, len(f.Members), head[1], len(lines)-1, len(f.Members)))
	}
	for i, line := range lines[1:] {
		name, count, ok := strings.Cut(line, ",")
		n, err := strconv.ParseUint(count, 10, 31)
		if !ok || err != nil {
			return wrong(i+2, len(name)+2, "应为 文件名,记录数 · wanted: file,records")
		}
		at := slices.IndexFunc(f.Members, func(m Member) bool { return m.Name == name && m.Want < 0 })
		if at < 0 {
			return wrong(i+2, 1, "文件不在包内或重复 · the file is not in the package, or stands twice")
		}
		f.Members[at].Want = int(n)
	}
	return nil
}

// readTotals reads an AL file.
func readTotals(b []byte) (all []Total, err error) {
	l, err := layout.Open("recharge-al")
	if err != nil {
		return nil, err
	}
	ix := func(name string) int { return l.Record.Index(name) }
	r := l.NewReader(strings.NewReader(string(b)), "AL")
	want := uint64(0)
	for {
		row, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if row.Part == layout.Header {
			want = row.Num[l.Header.Index("count")]
			continue
		}
		all = append(all, Total{Company: string(row.Text[ix("company")]), Date: string(row.Text[ix("settle-date")]), Count: row.Num[ix("total")], Sum: row.Num[ix("sum")]})
	}
	if want != uint64(len(all)) || len(all) > maxMembers {
		return nil, fmt.Errorf("AL:1:7: 文件头写 %d 条，实有 %d · the header says %d records, here are %d", want, len(all), want, len(all))
	}
	return all, nil
}

// each calls f with the members of a file one after the other, unpacked.
func (s *Store) each(f *File, visit func(i int, r io.Reader) error) (err error) {
	if !isZip(f.Name) {
		file, err := s.fs.Open(s.path("spool", f.SHA256), vfs.SequentialReadsOption)
		if err != nil {
			return err
		}
		defer file.Close()
		return visit(0, file)
	}
	a, err := s.archive(f.SHA256)
	if err != nil {
		return err
	}
	defer a.Close()
	budget := s.o.MaxBytes
	for i, m := range f.Members {
		r, err := a.open(m.Name)
		if err != nil {
			return err
		}
		// A zip may lie about sizes.
		limited := &io.LimitedReader{R: r, N: budget + 1}
		err = visit(i, limited)
		if budget = limited.N - 1; err == nil && budget < 0 {
			err = &layout.Fault{File: m.Name, Line: 1, Column: 1, Says: ErrSize.Error(), Last: true}
		}
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
	}
	return nil
}

// leave takes a file's bytes out of the spool: away, or aside for a person to look at.
func (s *Store) leave(f *File) error {
	from := s.path("spool", f.SHA256)
	if _, err := s.fs.Stat(from); err != nil {
		return nil // an earlier run did it
	}
	if f.Stage != Quarantined {
		return s.fs.Remove(from)
	}
	if err := s.fs.Rename(from, s.path("quarantine", f.SHA256)); err != nil {
		return err
	}
	return s.sync(s.path("quarantine"))
}
