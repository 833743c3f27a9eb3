// Package offline takes in what cards did without the switch: files of consumption
// and recharge records from companies, and details from terminals. It checks files
// and records, verifies the cards' signatures (TAC) by a security module, keeps
// every record with its state, and answers the sender record by record.
//
// A file goes received → checked → stored → done, or to quarantine as a whole. Each
// step is one durable batch that can be done again, so a run that was killed
// anywhere is finished by the next one, with the same result.
package offline

import "fmt"

// State is where a record stands. The letters are the field's own.
type State byte

// States.
const (
	Waiting  State = 'I' // stored, its TAC not yet looked at
	Verified State = 'T'
	BadTAC   State = 'U'
	Refused  State = 'E'
	Settled  State = 'S'
)

// moves are the changes of state that there are.
var moves = map[State][]State{Waiting: {Verified, BadTAC, Refused}, Verified: {Settled}}

// to moves a state. An impossible move is a fault of the program.
func (s State) to(next State) State {
	for _, m := range moves[s] {
		if m == next {
			return next
		}
	}
	panic(fmt.Sprintf("offline: a record cannot go from %c to %c", s, next))
}

// Reason says why a record is in its state.
type Reason byte

// Reasons.
const (
	Fine Reason = iota
	TACWrong
	CardCancelled
	CardUnknown
	CardLost
	CompanyUnknown
	CompanyCancelled
	BalanceShort // the balance does not cover the amount, or before and after differ by another one
	CountWrong   // the card's counter stands on a record with another TAC
	Duplicate    // the same transaction is here already
	SAMUsedTwice // the security module's counter stands on another card's record
	KeyUnknown   // no TAC key for this issuer, index and version

	numReasons = iota
)

const (
	numCodes      = 9
	maxFaultsKept = 100
)

var reasons = [numReasons]struct {
	code   byte // of the results file
	zh, en string
}{
	Fine:             {0, "正常", "fine"},
	TACWrong:         {1, "TAC 错误", "wrong TAC"},
	CardCancelled:    {2, "已注销卡", "cancelled card"},
	CardUnknown:      {3, "无此卡", "no such card"},
	CardLost:         {4, "挂失卡", "lost card"},
	CompanyUnknown:   {5, "无此商户、终端或 SAM", "no such merchant, terminal or SAM"},
	CompanyCancelled: {6, "商户已注销", "cancelled merchant"},
	BalanceShort:     {7, "余额不足或不符", "balance too short, or not in agreement"},
	CountWrong:       {8, "卡计数器已用于另一笔", "card counter used by another transaction"},
	Duplicate:        {8, "重复记录", "duplicate record"},
	SAMUsedTwice:     {8, "SAM 流水号已用于另一笔", "SAM counter used by another transaction"},
	KeyUnknown:       {1, "无对应 TAC 密钥", "no TAC key of that version"},
}

// Code is the reason's digit in a results file: 0 ok, 1 TAC, 2 cancelled card, 3 no
// card, 4 lost, 5 no merchant, 6 merchant cancelled, 7 short balance, 8 count.
// Source: the feedback files of a city card centre, which have no digit for a
// duplicate; we say 8.
func (r Reason) Code() byte { return '0' + reasons[r].code }

// String is the reason in both languages.
func (r Reason) String() string { return reasons[r].zh + " · " + reasons[r].en }

// Stage is how far a file has come.
type Stage string

// Stages of a file.
const (
	Received    Stage = "received"    // registered, its bytes are in the spool
	Checked     Stage = "checked"     // whole and right: its records are being stored
	Stored      Stage = "stored"      // all records are kept, not all TACs are verified
	Done        Stage = "done"        // every record has its result
	Quarantined Stage = "quarantined" // not whole or not right: nothing of it counts
)

// Chinese is the stage for people.
func (s Stage) Chinese() string {
	return map[Stage]string{Received: "已登记", Checked: "已校验", Stored: "已入库", Done: "完成", Quarantined: "隔离"}[s]
}

// Member is one file of records; a plain file is its own member.
type Member struct {
	Name    string `json:"name"`
	Want    int    `json:"want"` // records that the list promises, -1 when there is none
	Records uint32 `json:"records"`
	Sum     uint64 `json:"sum"` // of the amounts, in fen
}

// Total is what an AL file says of a company and settlement date.
type Total struct {
	Company string `json:"company"`
	Date    string `json:"date"`
	Count   uint64 `json:"count"`
	Sum     uint64 `json:"sum"` // fen
}

// File is what is known of a file that was offered.
type File struct {
	ID       uint32            `json:"id"`
	Name     string            `json:"name"`
	SHA256   string            `json:"sha256"`
	MD5      string            `json:"md5"`
	Size     int64             `json:"size"`
	Company  string            `json:"company,omitempty"` // who it came from, when it was said
	Layout   string            `json:"layout"`
	Form     string            `json:"form"` // digest of the layout's own text
	At       string            `json:"at"`   // when it was registered
	Stage    Stage             `json:"stage"`
	Members  []Member          `json:"members"`
	Totals   []Total           `json:"totals,omitempty"`
	Records  uint32            `json:"records"`
	Sum      uint64            `json:"sum"`
	Pages    uint32            `json:"pages"` // stored so far
	States   map[string]uint32 `json:"states,omitempty"`
	Codes    [numCodes]uint32  `json:"codes"` // by the digit of the results file, once done
	Faults   []string          `json:"faults,omitempty"`
	NumFault int               `json:"num_faults,omitempty"`
	// Duplicate says that the file had come to its end before it was offered this time.
	Duplicate bool `json:"duplicate,omitempty"`
}
