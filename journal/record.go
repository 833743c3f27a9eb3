package journal

import (
	"encoding/binary"
	"fmt"

	"tongka/txn"
)

// LSN is the place of a record: tick<<16 | index in the tick. It grows with
// time; 0 is none.
type LSN uint64

const indexBits = 16

func lsnAt(tick uint64, i int) LSN { return LSN(tick<<indexBits | uint64(i)) }

func (n LSN) tick() uint64 { return uint64(n) >> indexBits }

func (n LSN) index() int { return int(n & (1<<indexBits - 1)) }

// String is tick.index, as logs and errors show it.
func (n LSN) String() string { return fmt.Sprintf("%d.%d", n.tick(), n.index()) }

// ParseLSN reads what String writes.
func ParseLSN(s string) (LSN, error) {
	var tick uint64
	var index uint16
	n, err := fmt.Sscanf(s, "%d.%d", &tick, &index)
	if at := lsnAt(tick, int(index)); err == nil && n == 2 && at.tick() == tick && at.String() == s {
		return at, nil
	}
	return 0, fmt.Errorf("journal: %q is no place (tick.index)", s)
}

// Kind says what a record tells.
type Kind uint8

// Kinds of records.
const (
	NoKind      Kind = iota
	Intent           // a request is about to leave for the bank
	Outcome          // how it ended; Body is the answer to the terminal without its MAC
	SignedIn         // Body is the terminal's new session
	LinkChanged      // a bank link signed on or off
	Started          // the shard opened its doors
	Owing            // what became of a debt; Body is a DebtChange
	SignedOff        // a terminal's session has ended
	KeyLoad          // Body is what became of a terminal's download of a master key
)

var kindNames = [...]string{"none", "intent", "outcome", "signed-in", "link-changed", "started", "owing", "signed-off", "key-load"}

// String is the kind's name in logs and reports.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}

// Record is one durable fact. Body is lent: Append copies it, and what Get and
// Replay give is good until the next call on the same Log or Reader.
type Record struct {
	Kind  Kind
	Facts txn.Facts
	Body  []byte
	// Turn is when the turn was that staged it, Unix nanoseconds; 0 when nobody
	// stamped it. It is the page's, so Append does not look at it.
	Turn int64
}

// MaxBody is the longest Body in bytes: the length of a frame has two bytes too.
const MaxBody = 1<<16 - 1

// recordHead is kind and length of the body.
const recordHead = 3

func appendRecord(dst []byte, r *Record) []byte {
	dst = append(dst, byte(r.Kind), byte(len(r.Body)), byte(len(r.Body)>>8))
	dst = AppendFacts(dst, &r.Facts)
	return append(dst, r.Body...)
}

// skipRecord gives the offset behind the record at off.
func skipRecord(page []byte, off int) (int, error) {
	if len(page)-off < recordHead {
		return 0, fmt.Errorf("record at byte %d: %w", off, errShort)
	}
	facts, err := factsLen(page[off+recordHead:])
	if err != nil {
		return 0, fmt.Errorf("record at byte %d: %w", off, err)
	}
	end := off + recordHead + facts + int(binary.LittleEndian.Uint16(page[off+1:]))
	if end > len(page) {
		return 0, fmt.Errorf("record at byte %d: %w", off, errShort)
	}
	return end, nil
}

// readRecord reads the record at off; r.Body points into page.
func readRecord(page []byte, off int, r *Record) (next int, err error) {
	next, err = skipRecord(page, off)
	if err != nil {
		return 0, err
	}
	n, err := ReadFacts(page[off+recordHead:next], &r.Facts)
	if err != nil {
		return 0, fmt.Errorf("record at byte %d: %w", off, err)
	}
	r.Kind = Kind(page[off])
	r.Body = page[off+recordHead+n : next : next]
	return next, nil
}

// A page may begin with the time of its turn: a mark that is no kind of record,
// and 8 bytes. One stamp for a turn costs the path of a sale nothing.
const (
	stampMark = 0xFF
	stampSize = 9
)

// stampOf gives the time of a page's turn, 0 when it has none, and where its
// records begin.
func stampOf(page []byte) (turn int64, off int) {
	if len(page) < stampSize || page[0] != stampMark {
		return 0, 0
	}
	return int64(binary.LittleEndian.Uint64(page[1:])), stampSize
}

// pickRecord reads the i-th record of a page; ErrNotFound when it has fewer.
func pickRecord(page []byte, i int, r *Record) error {
	turn, off := stampOf(page)
	r.Turn = turn
	for off < len(page) {
		if i == 0 {
			_, err := readRecord(page, off, r)
			return err
		}
		next, err := skipRecord(page, off)
		if err != nil {
			return err
		}
		off, i = next, i-1
	}
	return ErrNotFound
}
