package admin

// Clock is how the business day is.
type Clock struct {
	Open    string      `json:"open"`     // the date that is open, YYYYMMDD
	Last    string      `json:"last"`     // the one that ended last
	LastAt  string      `json:"last_at"`  // when
	LastBy  string      `json:"last_by"`  // origin, schedule, command or centre
	Place   uint64      `json:"place"`    // where it ended in the journal
	Next    string      `json:"next"`     // when the open one ends by the schedule
	Left    int64       `json:"left_s"`   // seconds until then; negative: it is over
	Follow  string      `json:"follow"`   // the link that the day follows, if any
	Notices []DayNotice `json:"notices"`  // banks that were told of the last end
	Theirs  []DayWord   `json:"received"` // what banks said since the start, the last of each link
}

// DayNotice is how far the telling of a bank is.
type DayNotice struct {
	Link     string `json:"link"`
	Answered int    `json:"answered"` // the last F70 that it answered: 0, 201 or 202
	Tries    int    `json:"tries"`    // of the one that is out
	Code     string `json:"code"`     // of its last answer
	GivenUp  bool   `json:"given_up"`
}

// DayWord is what a bank said of its own day.
type DayWord struct {
	Link string `json:"link"`
	Net  int    `json:"net"` // 201 begins, 202 ends
	At   string `json:"at"`
}
