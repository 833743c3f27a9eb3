package journal

import (
	"encoding/binary"
	"errors"
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

const (
	factsVersion = 1
	// FactsSize is the length in bytes of what AppendFacts appends.
	FactsSize  = 113
	recordHead = 3 + FactsSize
)

var (
	errShort   = errors.New("cut short")
	errVersion = errors.New("unknown version of the facts")
)

// AppendFacts appends f in the form that the package comment draws, always
// FactsSize bytes. It is not sealed: Put does that.
func AppendFacts(dst []byte, f *txn.Facts) []byte {
	le := binary.LittleEndian
	n, pan := f.PAN.Packed()
	dst = append(dst, factsVersion)
	dst = le.AppendUint64(dst, uint64(f.ID))
	dst = le.AppendUint64(dst, uint64(f.Orig))
	dst = le.AppendUint64(dst, uint64(f.At))
	dst = le.AppendUint64(dst, uint64(f.Sent))
	dst = le.AppendUint64(dst, uint64(f.Amount))
	dst = append(dst, f.Terminal.Merchant[:]...)
	dst = append(dst, f.Terminal.Number[:]...)
	dst = append(dst, n)
	dst = append(dst, pan[:]...)
	dst = append(dst, byte(f.Kind), f.Code[0], f.Code[1], byte(f.Result))
	dst = le.AppendUint16(dst, f.MTI)
	dst = le.AppendUint32(dst, f.Proc&0xFFFFFF|uint32(f.Of)<<24)
	dst = le.AppendUint32(dst, f.Trace&0xFFFFFF|uint32(f.Line)<<24)
	dst = le.AppendUint32(dst, f.Batch)
	dst = le.AppendUint16(dst, f.Expiry)
	dst = le.AppendUint16(dst, f.Entry)
	dst = le.AppendUint16(dst, f.CardSeq)
	dst = append(dst, f.Cond)
	dst = le.AppendUint16(dst, uint16(f.Link))
	dst = append(dst, f.Auth[:]...)
	dst = append(dst, f.Currency[:]...)
	return le.AppendUint16(dst, f.Settle)
}

// ReadFacts is the inverse of AppendFacts; bytes after the facts are left alone.
// An error names the offset in b.
func ReadFacts(b []byte, f *txn.Facts) error {
	if len(b) < FactsSize {
		return fmt.Errorf("facts at byte %d: %w", len(b), errShort)
	}
	if b[0] != factsVersion {
		return fmt.Errorf("facts at byte 0: %w: %d", errVersion, b[0])
	}
	pan, err := txn.UnpackPAN(b[64], [10]byte(b[65:75]))
	if err != nil {
		return fmt.Errorf("facts at byte 64: %w", err)
	}
	le := binary.LittleEndian
	*f = txn.Facts{
		ID:     txn.ID(le.Uint64(b[1:])),
		Orig:   txn.ID(le.Uint64(b[9:])),
		At:     int64(le.Uint64(b[17:])),
		Sent:   int64(le.Uint64(b[25:])),
		Amount: int64(le.Uint64(b[33:])),
		Terminal: txn.Terminal{
			Merchant: [15]byte(b[41:56]),
			Number:   [8]byte(b[56:64]),
		},
		PAN:      pan,
		Kind:     txn.Kind(b[75]),
		Code:     txn.Code(b[76:78]),
		Result:   txn.Result(b[78]),
		MTI:      le.Uint16(b[79:]),
		Proc:     le.Uint32(b[81:]) & 0xFFFFFF,
		Of:       txn.Kind(b[84]),
		Trace:    le.Uint32(b[85:]) & 0xFFFFFF,
		Line:     b[88],
		Batch:    le.Uint32(b[89:]),
		Expiry:   le.Uint16(b[93:]),
		Entry:    le.Uint16(b[95:]),
		CardSeq:  le.Uint16(b[97:]),
		Cond:     b[99],
		Link:     txn.LinkID(le.Uint16(b[100:])),
		Auth:     [6]byte(b[102:108]),
		Currency: [3]byte(b[108:111]),
		Settle:   le.Uint16(b[111:]),
	}
	return nil
}

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
	end := off + recordHead + int(binary.LittleEndian.Uint16(page[off+1:]))
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
	if err = ReadFacts(page[off+3:next], &r.Facts); err != nil {
		return 0, fmt.Errorf("record at byte %d: %w", off, err)
	}
	r.Kind = Kind(page[off])
	r.Body = page[off+recordHead : next : next]
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
