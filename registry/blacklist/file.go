package blacklist

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Two files in the folder. All numbers are little-endian; no number of a card is
// in either of them, only fingerprints.
//
//	list: the whole list at one version         changes: what came after, appended
//	 0  "TKBL", form 1                           0  length of the body, 4
//	 5  check of the key, 8                      4  CRC-32C of the body, 4
//	13  number of versions, 4                    8  body: a version, then for each entry:
//	17  cards, 4                                       fingerprint 8, mark 2, remove 1
//	21  versions, 33 bytes each
//	 …  fingerprints, 8 each; marks, 2 each
//	 …  CRC-32C of all before, 4
//
// A change is in force when its bytes are on disk; what a power cut leaves of one
// that nobody was told of is cut off. When the changes have grown, the list is
// written anew beside the old one and takes its place by a rename; changes that
// it holds already are then known by their version.
const (
	listName    = "list"
	changesName = "changes"
	magic       = "TKBL\x01"
	versionSize = 33
	entrySize   = 11
	keptRows    = 1000 // versions that are remembered
)

var (
	crcTable = crc32.MakeTable(crc32.Castagnoli)
	le       = binary.LittleEndian
	// ErrDamaged is the error of a file that is not as it was written.
	ErrDamaged = errors.New("黑名单文件已损坏 · the blacklist file is damaged")
	// ErrKey is the error of a list that was made under another key.
	ErrKey = errors.New("黑名单密钥不符 · the list was made under another key")
)

// Version is one import or change of the list.
type Version struct {
	Number  uint32
	At      time.Time
	Full    bool // the list was replaced
	Added   int
	Changed int
	Removed int
	Cards   int // on the list afterwards
}

func appendVersion(dst []byte, v *Version) []byte {
	dst = le.AppendUint32(dst, v.Number)
	dst = le.AppendUint64(dst, uint64(v.At.UnixNano()))
	full := byte(0)
	if v.Full {
		full = 1
	}
	dst = append(dst, full)
	for _, n := range []int{v.Added, v.Changed, v.Removed, v.Cards} {
		dst = le.AppendUint32(dst, uint32(n))
	}
	return le.AppendUint32(dst, 0) // for later
}

func readVersion(b []byte) Version {
	n := func(at int) int { return int(le.Uint32(b[at:])) }
	return Version{le.Uint32(b), time.Unix(0, int64(le.Uint64(b[4:]))), b[12] == 1, n(13), n(17), n(21), n(25)}
}

// tally is a writer and a sum of what went through.
type tally struct {
	w   io.Writer
	sum hash.Hash32
}

func (t *tally) Write(b []byte) (int, error) {
	_, _ = t.sum.Write(b)
	return t.w.Write(b)
}

// writeList puts a whole list in the place of the old one, durably.
func writeList(dir string, check uint64, l *List, versions []Version) (err error) {
	path := filepath.Join(dir, listName)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("blacklist: %w", err)
	}
	buf := bufio.NewWriterSize(f, 1<<20)
	t := &tally{buf, crc32.New(crcTable)}
	head := le.AppendUint64([]byte(magic), check)
	head = le.AppendUint32(head, uint32(len(versions)))
	head = le.AppendUint32(head, uint32(l.Len()))
	for i := range versions {
		head = appendVersion(head, &versions[i])
	}
	_, err = t.Write(head)
	var scratch [1 << 12]byte
	piece := scratch[:0]
	flush := func(room int) {
		if err == nil && len(piece) > len(scratch)-room {
			_, err = t.Write(piece)
			piece = piece[:0]
		}
	}
	for _, p := range l.prints {
		flush(8)
		piece = le.AppendUint64(piece, p)
	}
	for _, m := range l.marks {
		flush(2)
		piece = le.AppendUint16(piece, uint16(m))
	}
	flush(len(scratch) + 1)
	if err == nil {
		_, err = buf.Write(le.AppendUint32(nil, t.sum.Sum32()))
	}
	if err = errors.Join(err, buf.Flush(), f.Sync(), f.Close()); err == nil {
		err = errors.Join(os.Rename(path+".new", path), syncDir(dir))
	}
	if err != nil {
		return fmt.Errorf("blacklist: write list: %w", err)
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readList reads the whole list; an empty one when there is no file.
func readList(dir string, check uint64, most int) (*List, []Version, error) {
	path := filepath.Join(dir, listName)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return newList(nil, nil, 0), nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("blacklist: %w", err)
	}
	defer f.Close()
	l, versions, err := parseList(bufio.NewReaderSize(f, 1<<20), check, most)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, versions, nil
}

// parseList reads what writeList wrote. Nothing is taken on trust: a size that
// the file cannot have is refused before memory is made for it.
func parseList(r io.Reader, check uint64, most int) (*List, []Version, error) {
	sum := crc32.New(crcTable)
	in := io.TeeReader(r, sum)
	var head [21]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, nil, fmt.Errorf("%w: byte 0: %w", ErrDamaged, err)
	}
	rows, cards := int(le.Uint32(head[13:])), int(le.Uint32(head[17:]))
	switch {
	case string(head[:5]) != magic:
		return nil, nil, fmt.Errorf("%w: byte 0: not a list", ErrDamaged)
	case le.Uint64(head[5:]) != check:
		return nil, nil, ErrKey
	case rows == 0 || rows > keptRows:
		return nil, nil, fmt.Errorf("%w: byte 13: %d versions", ErrDamaged, rows)
	case cards > most:
		return nil, nil, fmt.Errorf("%w: byte 17: %d cards, at most %d", ErrDamaged, cards, most)
	}
	versions := make([]Version, rows)
	prints, marks := make([]uint64, 0, cards), make([]Mark, 0, cards)
	err := pieces(in, rows, versionSize, func(i int, b []byte) { versions[i] = readVersion(b) })
	if err == nil {
		err = pieces(in, cards, 8, func(_ int, b []byte) { prints = append(prints, le.Uint64(b)) })
	}
	if err == nil {
		err = pieces(in, cards, 2, func(_ int, b []byte) { marks = append(marks, Mark(le.Uint16(b))) })
	}
	if err != nil {
		return nil, nil, err
	}
	var end [4]byte
	if _, err := io.ReadFull(r, end[:]); err != nil || le.Uint32(end[:]) != sum.Sum32() {
		return nil, nil, fmt.Errorf("%w: the sum at the end is wrong", ErrDamaged)
	}
	for i := 1; i < len(prints); i++ {
		if prints[i-1] >= prints[i] {
			return nil, nil, fmt.Errorf("%w: card %d is out of order", ErrDamaged, i)
		}
	}
	return newList(prints, marks, versions[rows-1].Number), versions, nil
}

// pieces reads n pieces of size bytes.
func pieces(in io.Reader, n, size int, f func(i int, b []byte)) error {
	per := max((1<<16)/size, 1)
	buf := make([]byte, per*size)
	for i := 0; i < n; {
		k := min(per, n-i)
		if _, err := io.ReadFull(in, buf[:k*size]); err != nil {
			return fmt.Errorf("%w: cut short: %w", ErrDamaged, err)
		}
		for j := range k {
			f(i+j, buf[j*size:(j+1)*size])
		}
		i += k
	}
	return nil
}

// appendChange appends one change as it stands in the file.
func appendChange(dst []byte, v *Version, entries []Entry) []byte {
	at := len(dst)
	dst = appendVersion(append(dst, make([]byte, 8)...), v)
	for _, e := range entries {
		dst = le.AppendUint16(le.AppendUint64(dst, e.Print), uint16(e.Mark))
		remove := byte(0)
		if e.Remove {
			remove = 1
		}
		dst = append(dst, remove)
	}
	body := dst[at+8:]
	le.PutUint32(dst[at:], uint32(len(body)))
	le.PutUint32(dst[at+4:], crc32.Checksum(body, crcTable))
	return dst
}

// readChanges gives each change, and where the last whole one ends.
func readChanges(b []byte, each func(v Version, entries []Entry)) (size int) {
	for len(b)-size >= 8 {
		n := int(le.Uint32(b[size:]))
		if n < versionSize || n > len(b)-size-8 || (n-versionSize)%entrySize != 0 {
			break
		}
		body := b[size+8 : size+8+n]
		if crc32.Checksum(body, crcTable) != le.Uint32(b[size+4:]) {
			break
		}
		entries := make([]Entry, 0, (n-versionSize)/entrySize)
		for e := body[versionSize:]; len(e) > 0; e = e[entrySize:] {
			entries = append(entries, Entry{Print: le.Uint64(e), Mark: Mark(le.Uint16(e[8:])), Remove: e[10] == 1})
		}
		each(readVersion(body), entries)
		size += 8 + n
	}
	return size
}
