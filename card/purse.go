package card

import (
	"encoding/binary"
	"fmt"

	"tongka/txn"
)

// State says what we know of a card's last load.
type State uint8

// States of a purse.
const (
	Unseen  State = iota // nothing was ever loaded
	Left                 // MAC2 has left; whether the card was written is not known
	Closed               // the card was written
	Parked               // a person decides
	Undone               // the card was not written, and the money went back or never moved
	Decided              // a person has decided: from the counter that he saw the card goes on
)

var stateNames = [...]string{"unseen", "left", "closed", "parked", "undone", "decided"}

// String is the state's name in scripts and lists.
func (s State) String() string { return name(stateNames[:], uint8(s)) }

// Reason says why a card is parked. The numbers are on disk.
type Reason uint8

// Reasons.
const (
	NoReason        Reason = iota
	OtherAmount            // not written, and another amount or account is asked for
	BalanceOdd             // the counter fits, the balance does not
	CounterAhead           // more than one load further than we know
	CounterBehind          // the counter has gone back
	WrongTAC               // what the card signed is not what it was told
	WrittenAfterAll        // the money went back, and then the card was written
)

var reasonNames = [...]string{"none", "other-amount", "balance-odd", "counter-ahead", "counter-behind", "wrong-tac", "written-after-all"}

// String is the reason's name in scripts and lists.
func (r Reason) String() string { return name(reasonNames[:], uint8(r)) }

func name(table []string, i uint8) string {
	if int(i) < len(table) {
		return table[i]
	}
	return "invalid"
}

// Purse is what we keep of a card: its last load or unload. It is read under a
// lock, and written in the batch of the outcome that changed it.
type Purse struct {
	State    State
	Reason   Reason
	Family   Family
	Failed   bool // a terminal has said that the card was not written
	Kind     txn.Kind
	Load     txn.ID // the transaction that moved the money
	Last     txn.ID // the one whose MAC2 left last: the same, or that of a 补写
	At       int64  // of Last, Unix nanoseconds
	Serial   Serial
	PAN      txn.PAN // the account that paid
	Order    Number  // or the order
	Balance  uint32  // before
	Amount   uint32
	Seq      uint16 // before
	Random   [4]byte
	Terminal [6]byte
	Time     [7]byte // in MAC2
	KeyIndex uint8
	KeyVer   uint8
	Alg      uint8
	Issuer   [8]byte
	Link     txn.LinkID // whom the money came from, or goes to
	MAC2     [4]byte    // of Last: nobody outside knew it before it left; zero in what older versions wrote
	// What the card showed when it was parked; nothing when a TAC did it.
	Shown        bool
	ShownSeq     uint16
	ShownBalance uint32
}

const (
	purseVersion = 3
	// PurseSize is the stored length in bytes.
	PurseSize   = 122
	purseOldest = 1
	shownAt     = 111
	mac2At      = 118
)

// purseSizes are the stored lengths by version. The first ended where Shown begins,
// with four spare bytes; the second had no MAC2. Cards come back after years, so all
// are read for ever; what is written is the newest.
var purseSizes = [...]int{1: shownAt + 4, 2: mac2At, 3: PurseSize}

// Unloads says that the last one took money off the card.
func (p *Purse) Unloads() bool { return p.Kind == txn.Unload }

// After is the balance that the card has when it did what it was told, fen.
func (p *Purse) After() int64 {
	if p.Unloads() {
		return int64(p.Balance) - int64(p.Amount)
	}
	return int64(p.Balance) + int64(p.Amount)
}

// AppendPurse appends the stored form, little endian:
//
//	version:1 state:1 reason:1 family:1 failed:1 kind:1 load:8 last:8 at:8 serial:10 pan:11 order:20
//	balance:4 amount:4 seq:2 random:4 terminal:6 time:7 key:3 issuer:8 link:2 shown:1 seq:2 balance:4 mac2:4
func AppendPurse(dst []byte, p *Purse) []byte {
	le := binary.LittleEndian
	n, pan := p.PAN.Packed()
	dst = append(dst, purseVersion, byte(p.State), byte(p.Reason), byte(p.Family), flag(p.Failed), byte(p.Kind))
	dst = le.AppendUint64(le.AppendUint64(le.AppendUint64(dst, uint64(p.Load)), uint64(p.Last)), uint64(p.At))
	dst = append(append(append(dst, p.Serial[:]...), n), pan[:]...)
	dst = append(dst, p.Order[:]...)
	dst = le.AppendUint32(le.AppendUint32(dst, p.Balance), p.Amount)
	dst = le.AppendUint16(dst, p.Seq)
	dst = append(append(append(dst, p.Random[:]...), p.Terminal[:]...), p.Time[:]...)
	dst = append(append(dst, p.KeyIndex, p.KeyVer, p.Alg), p.Issuer[:]...)
	dst = append(le.AppendUint16(dst, uint16(p.Link)), flag(p.Shown))
	dst = le.AppendUint32(le.AppendUint16(dst, p.ShownSeq), p.ShownBalance)
	return append(dst, p.MAC2[:]...)
}

func flag(on bool) byte {
	if on {
		return 1
	}
	return 0
}

// ReadPurse is the inverse, for every version that was ever written; rest is what
// stands behind. Nothing stored is a card that was never loaded. The error names
// the byte.
func ReadPurse(b []byte) (p Purse, rest []byte, err error) {
	if len(b) == 0 {
		return p, nil, nil
	}
	if b[0] < purseOldest || b[0] > purseVersion {
		return p, nil, fmt.Errorf("purse: byte 0: version %d, want %d to %d", b[0], purseOldest, purseVersion)
	}
	size := purseSizes[b[0]]
	switch {
	case len(b) < size:
		return p, nil, fmt.Errorf("purse: byte %d: %d bytes, want %d", len(b), len(b), size)
	case int(b[1]) >= len(stateNames) || int(b[2]) >= len(reasonNames):
		return p, nil, fmt.Errorf("purse: byte 1: state %d, reason %d", b[1], b[2])
	}
	if p.PAN, err = txn.UnpackPAN(b[40], [10]byte(b[41:51])); err != nil {
		return Purse{}, nil, fmt.Errorf("purse: byte 40: %w", err)
	}
	le := binary.LittleEndian
	p.State, p.Reason, p.Family, p.Failed, p.Kind = State(b[1]), Reason(b[2]), Family(b[3]), b[4] != 0, txn.Kind(b[5])
	p.Load, p.Last, p.At = txn.ID(le.Uint64(b[6:])), txn.ID(le.Uint64(b[14:])), int64(le.Uint64(b[22:]))
	p.Serial, p.Order = Serial(b[30:40]), Number(b[51:71])
	p.Balance, p.Amount, p.Seq = le.Uint32(b[71:]), le.Uint32(b[75:]), le.Uint16(b[79:])
	p.Random, p.Terminal, p.Time = [4]byte(b[81:85]), [6]byte(b[85:91]), [7]byte(b[91:98])
	p.KeyIndex, p.KeyVer, p.Alg, p.Issuer = b[98], b[99], b[100], [8]byte(b[101:109])
	p.Link = txn.LinkID(le.Uint16(b[109:]))
	if b[0] != purseOldest {
		p.Shown, p.ShownSeq, p.ShownBalance = b[shownAt] != 0, le.Uint16(b[112:]), le.Uint32(b[114:])
	}
	if b[0] == purseVersion {
		p.MAC2 = [4]byte(b[mac2At:])
	}
	return p, b[size:], nil
}
