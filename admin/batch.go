package admin

// Batch is one batch of a terminal that did not balance, or whose upload the
// journal does not bear out.
type Batch struct {
	Merchant string       `json:"merchant"`
	Terminal string       `json:"terminal"`
	Batch    uint32       `json:"batch"`
	Own      string       `json:"own"`     // verdict on cards of this country: 1 equal, 2 unequal, empty: not settled
	Foreign  string       `json:"foreign"` // and on others
	Items    uint32       `json:"items"`   // that were uploaded
	Faults   []BatchFault `json:"faults,omitempty"`
}

// BatchFault is one item that the journal does not bear out.
type BatchFault struct {
	Trace  uint32 `json:"trace"`
	Card   string `json:"card"` // masked
	Theirs int64  `json:"theirs"`
	Ours   int64  `json:"ours"`
	Zh     string `json:"zh"`
	En     string `json:"en"`
}
