package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/audit"
	"tongka/clearing/day"
	"tongka/engine"
	"tongka/fault"
	"tongka/journal"
	"tongka/translate"
)

const (
	// cutLook is the longest pause between two looks at the clock: it may be set.
	cutLook = 10 * time.Second
	// followLate is how long a day waits for the bank that it follows.
	followLate = 3 * time.Hour
	// mostMissed is how many days a start cuts by itself. More is a clock that is
	// wrong, or a house that somebody should look at.
	mostMissed = 31
	// mostCutEvents wait at most; for one more the bank gets no answer and asks again.
	mostCutEvents = 64
)

// cutter ends business days. The book is written by the goroutine of cutDays and by
// orders of people, one at a time.
type cutter struct {
	mu      sync.Mutex // guards what is below
	book    *day.Book
	notices notices
	theirs  map[string]admin.DayWord
	failed  string // why the last try did not come off

	events chan engine.CutEvent
	wake   chan struct{} // somebody has cut: banks are to be told
	ended  chan struct{}
}

// schedule is the config's, of now.
func (n *Node) schedule() day.Schedule {
	return day.Schedule{Zone: translate.Zone, At: n.config().BusinessDay.Cut}
}

// openCuts opens the book of cuts and ends the days that ended while nobody was
// there. The shard has recovered and no door is open, so the place of now is behind
// all that those days had.
func (n *Node) openCuts(now time.Time) (err error) {
	n.cuts.theirs = map[string]admin.DayWord{}
	n.cuts.ended = make(chan struct{})
	if n.cuts.book, err = day.OpenBook(filepath.Join(n.cfg.Data, "cuts")); err != nil {
		return err
	}
	s, at := n.schedule(), now.UnixNano()
	if len(n.cuts.book.Cuts()) == 0 {
		if err := n.beginCuts(s, at); err != nil {
			return err
		}
	}
	if kept, ok, err := n.journal.Lookup(engine.KeptKey(keptNotices), nil); err != nil {
		return err
	} else if ok {
		if err := json.Unmarshal(kept, &n.cuts.notices); err != nil {
			return fmt.Errorf("日切通知 · notices of the day: %w", err)
		}
	}
	late := time.Duration(0)
	if n.config().BusinessDay.Follow != "" {
		late = followLate
	}
	for missed := 0; s.End(n.cuts.book.Cuts().Open())+int64(late) <= at; missed++ {
		open := n.cuts.book.Cuts().Open()
		if missed == mostMissed {
			n.cuts.failed = fmt.Sprintf("%d days have passed without a cut", missed)
			n.log.Error("business day not cut: too many were missed", fault.Field(fault.DayNotCut), zap.Stringer("open", open))
			return nil
		}
		if err := n.cuts.book.Decide(day.Cut{Date: open, End: uint64(n.journal.Next()), At: at, By: day.Scheduled}); err != nil {
			return err
		}
		n.log.Info("business day cut, late: the switch was not there", zap.Stringer("date", open))
		n.cuts.notices = n.noticesOf(open)
	}
	return nil
}

// beginCuts writes the origin: the last day that the schedule has ended, where the
// clearing would have found its end without a book.
func (n *Node) beginCuts(s day.Schedule, at int64) error {
	last := s.Of(at).Add(-1)
	tick, err := n.journal.NewReader().TickAt(s.End(last))
	if err != nil {
		return err
	}
	end := min(journal.FirstOf(tick), n.journal.Next())
	return n.cuts.book.Decide(day.Cut{Date: last, End: uint64(end), At: s.End(last), By: day.Origin})
}

// cutTold takes what a bank says, on the loop.
func (n *Node) cutTold(e engine.CutEvent) bool {
	select {
	case n.cuts.events <- e:
		return true
	default:
		return false
	}
}

// cutDays ends days when they are over, and tells the banks, until stop.
func (n *Node) cutDays(stop <-chan struct{}) {
	defer close(n.cuts.ended)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // a stop does not wait for a shard that is busy
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		n.cutIfDue(ctx, time.Now())
		wait := min(n.tellBanks(ctx, time.Now()), n.untilCut(time.Now()))
		select {
		case <-stop:
			return
		case e := <-n.cuts.events:
			n.heard(ctx, e, time.Now())
		case <-n.cuts.wake:
		case <-time.After(max(wait, time.Millisecond)):
		}
	}
}

// untilCut is how long nobody has to look.
func (n *Node) untilCut(now time.Time) time.Duration {
	n.cuts.mu.Lock()
	defer n.cuts.mu.Unlock()
	left := time.Duration(n.schedule().End(n.cuts.book.Cuts().Open()) - now.UnixNano())
	if left <= 0 {
		return cutLook
	}
	return min(left, cutLook)
}

// cutIfDue ends the open day when its time is over.
func (n *Node) cutIfDue(ctx context.Context, now time.Time) {
	n.cuts.mu.Lock()
	open := n.cuts.book.Cuts().Open()
	n.cuts.mu.Unlock()
	end := n.schedule().End(open)
	if n.config().BusinessDay.Follow != "" {
		end += int64(followLate)
	}
	// A clock that jumped by a month is wrong: what it would end stays open.
	if now.UnixNano() < end || now.UnixNano()-end > int64(mostMissed*24*time.Hour) {
		return
	}
	n.cutNow(ctx, open, day.Scheduled, audit.Who{UID: os.Getuid(), PID: os.Getpid(), Via: "switch"})
}

// heard takes what a bank said. The bank that the day follows ends ours when it
// begins to end its own; a second word of it, hours before the next end, is a repeat.
func (n *Node) heard(ctx context.Context, e engine.CutEvent, now time.Time) {
	cfg := n.config()
	if int(e.Link) >= len(cfg.Links) {
		return
	}
	name := cfg.Links[e.Link].Name
	if !e.Theirs {
		n.answered(ctx, name, e)
		return
	}
	n.cuts.mu.Lock()
	n.cuts.theirs[name] = admin.DayWord{Link: name, Net: int(e.Net), At: when(now.UnixNano())}
	open := n.cuts.book.Cuts().Open()
	n.cuts.mu.Unlock()
	if e.Net != translate.NetDayCutBegins || name != cfg.BusinessDay.Follow {
		return
	}
	if end := n.schedule().End(open); now.UnixNano() < end-int64(12*time.Hour) {
		n.log.Info("bank's cut is a repeat: the open day has just begun", zap.String("link", name), zap.Stringer("open", open))
		return
	}
	n.cutNow(ctx, open, day.Centre, audit.Who{UID: os.Getuid(), PID: os.Getpid(), Via: "link " + name})
}

var errNotOpen = errors.New("不是当前营业日 · it is not the open day")

// cutNow ends a day, if it is still the open one: a place in the journal is found
// and written down, and from then on it is so. The banks are told afterwards.
func (n *Node) cutNow(ctx context.Context, date day.Date, by day.Reason, who audit.Who) error {
	n.cuts.mu.Lock()
	defer n.cuts.mu.Unlock()
	cuts := n.cuts.book.Cuts()
	if cuts.Open() != date {
		return errNotOpen
	}
	var place engine.Place
	err := n.shard.Do(ctx, &place)
	if err == nil {
		err = n.cuts.book.Decide(day.Cut{Date: date, End: uint64(place.At), At: place.Now, By: by})
	}
	if err != nil {
		if n.cuts.failed = err.Error(); ctx.Err() == nil {
			n.log.Error("business day not cut", fault.Field(fault.DayNotCut), zap.Stringer("date", date), zap.Error(err))
		}
		return err
	}
	n.cuts.failed = ""
	n.cuts.notices = n.noticesOf(date)
	n.keepNotices(ctx)
	n.log.Info("business day cut", zap.Stringer("date", date), zap.Stringer("by", by), zap.Stringer("place", place.At))
	if by != day.Command { // an order is written down by who takes it
		if _, err := n.audit.Append(audit.Entry{Who: who, Action: string(admin.DayCut), What: date.String(), After: place.At.String(), Result: "ok"}); err != nil {
			n.log.Error("not audited", fault.Field(fault.NotAudited), zap.String("action", "day-cut"), zap.Error(err))
		}
	}
	select {
	case n.cuts.wake <- struct{}{}:
	default:
	}
	return nil
}

// cutByOrder is the order of a person, who names the date: said twice it is done
// once, and a day that has not begun cannot be ended.
func (n *Node) cutByOrder(ctx context.Context, what string) admin.Answer {
	date, err := day.ParseDate(what)
	if err != nil {
		return admin.Failed("日期有误", "no date", err)
	}
	n.cuts.mu.Lock()
	cuts := n.cuts.book.Cuts()
	n.cuts.mu.Unlock()
	last, open := cuts[len(cuts)-1], cuts.Open()
	switch {
	case date <= last.Date:
		return admin.Refused(fmt.Sprintf("%s 已日切", date), fmt.Sprintf("%s has been cut already", date))
	case date != open:
		return admin.Refused(fmt.Sprintf("当前营业日是 %s", open), fmt.Sprintf("the open day is %s", open))
	case time.Now().UnixNano() < n.schedule().End(last.Date):
		return admin.Refused(fmt.Sprintf("%s 按日程尚未开始", open), fmt.Sprintf("%s has not begun by the schedule", open))
	}
	if err := n.cutNow(ctx, date, day.Command, audit.Who{}); err != nil {
		return admin.Failed("未能日切", "not cut", err)
	}
	a := admin.Done(fmt.Sprintf("%s 已日切，当前营业日 %s", date, date.Add(1)), fmt.Sprintf("%s is cut, the open day is %s", date, date.Add(1)))
	a.Before, a.After = date.String(), date.Add(1).String()
	return a
}

// clock answers how the day is.
func (n *Node) clock() admin.Clock {
	n.cuts.mu.Lock()
	defer n.cuts.mu.Unlock()
	cuts := n.cuts.book.Cuts()
	last, open := cuts[len(cuts)-1], cuts.Open()
	next := n.schedule().End(open)
	c := admin.Clock{Open: open.String(), Last: last.Date.String(), LastAt: when(last.At), LastBy: last.By.String(), Place: last.End,
		Next: when(next), Left: (next - time.Now().UnixNano()) / int64(time.Second), Follow: n.config().BusinessDay.Follow,
		Notices: n.cuts.notices.rows(), Theirs: []admin.DayWord{}}
	for _, l := range n.config().Links {
		if w, ok := n.cuts.theirs[l.Name]; ok {
			c.Theirs = append(c.Theirs, w)
		}
	}
	return c
}
