package node

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/admin"
	"tongka/clearing/day"
	"tongka/engine"
	"tongka/sim"
	"tongka/txn"
)

func (l *lives) clock() admin.Clock { return l.node.clock() }

// A day is ended once by a person, at its own time, and stays ended over a restart.
func TestDayIsCutByOrder(t *testing.T) {
	l := newLives(t)
	was := l.clock()
	open, err := day.ParseDate(was.Open)
	if err != nil || was.LastBy != "origin" || was.Last != open.Add(-1).String() || was.Left <= 0 {
		t.Fatalf("%+v, %v", was, err)
	}
	for what, says := range map[string]string{"tomorrow": "no date", was.Last: "cut already", open.Add(1).String(): "the open day is " + was.Open} {
		if a := l.act(admin.Action{Verb: admin.DayCut, What: what}); a.OK || !strings.Contains(a.En, says) || a.Zh == "" {
			t.Errorf("%s: %+v", what, a)
		}
	}
	if a := l.act(admin.Action{Verb: admin.DayCut, What: was.Open}); !a.OK || a.After != open.Add(1).String() {
		t.Fatalf("%+v", a)
	}
	if a := l.act(admin.Action{Verb: admin.DayCut, What: was.Open}); a.OK || !strings.Contains(a.En, "cut already") {
		t.Errorf("twice: %+v", a)
	}
	if a := l.act(admin.Action{Verb: admin.DayCut, What: open.Add(1).String()}); a.OK || !strings.Contains(a.En, "has not begun") {
		t.Errorf("tomorrow's: %+v", a)
	}
	is := l.clock()
	l.stop()
	l.start()
	if c := l.clock(); c.Open != open.Add(1).String() || c.LastBy != "command" || c.Place != is.Place || c.Place == 0 {
		t.Errorf("after a restart %+v, before %+v", c, is)
	}
	cuts, err := day.ReadBook(filepath.Join(l.node.cfg.Data, "cuts"))
	if err != nil || len(cuts) != 2 || cuts[1].End != is.Place {
		t.Errorf("%+v, %v", cuts, err)
	}
}

// Days that ended while the switch was not there are ended by the start, before a
// door is open; a month of them is a wrong clock.
func TestMissedDaysAreCutAtTheStart(t *testing.T) {
	l := newLives(t)
	open, _ := day.ParseDate(l.clock().Open)
	l.stop()
	for days, want := range map[int]day.Date{3: open, 40: open.Add(mostMissed - 40)} {
		path := filepath.Join(l.node.cfg.Data, "cuts")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		b, err := day.OpenBook(path)
		if err == nil {
			err = b.Decide(day.Cut{Date: open.Add(-1 - days), End: 65536, By: day.Origin})
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		l.start()
		if c := l.clock(); c.Open != want.String() || c.Place == 0 {
			t.Errorf("%d days: %+v", days, c)
		}
		if alarms := l.logs.FilterMessageSnippet("not cut").Len(); (alarms > 0) != (days == 40) {
			t.Errorf("%d days: %d alarms", days, alarms)
		}
		l.stop()
	}
	l.start()
}

// The bank is told that the day begins to end, and that it has; what is not answered
// is told again after a restart, and the bank that the day follows ends it.
func TestBanksHearOfTheCut(t *testing.T) {
	bank := bankAt(t, sim.BankConfig{Name: "bank", Listen: "127.0.0.1:0"})
	s, _ := withLines(t, `address: "`+bank.Addr()+`"}`+"\nbusiness_day: {tell: [bank], follow: bank, cut: 23h")
	s.until("the line is up", func() bool { return s.linesIn("up") == 1 })
	n := (&lives{t: t, node: s.node})
	open := n.clock().Open
	if a := n.act(admin.Action{Verb: admin.DayCut, What: open}); !a.OK {
		t.Fatalf("%+v", a)
	}
	s.until("the bank knows", func() bool {
		c := n.clock()
		return len(c.Notices) == 1 && c.Notices[0].Answered == 202 && c.Notices[0].Code == "00"
	})
	// Its own word, just after: a repeat, as it were. It is noted and ends nothing.
	if !n.node.cutTold(engine.CutEvent{Link: txn.LinkID(0), Net: 201, Theirs: true}) {
		t.Fatal("no room")
	}
	s.until("its word is noted", func() bool { return len(n.clock().Theirs) == 1 })
	if c := n.clock(); c.Open == open || c.LastBy != "command" || c.Theirs[0].Net != 201 {
		t.Errorf("%+v", c)
	}
	// Near the end of the day it ends it.
	d, _ := day.ParseDate(n.clock().Open)
	end := time.Unix(0, n.node.schedule().End(d))
	n.node.heard(context.Background(), engine.CutEvent{Net: 202, Theirs: true}, end.Add(-time.Minute))
	if c := n.clock(); c.Open != d.String() {
		t.Errorf("202 has ended the day: %+v", c)
	}
	n.node.heard(context.Background(), engine.CutEvent{Net: 201, Theirs: true}, end.Add(-time.Minute))
	if c := n.clock(); c.Open != d.Add(1).String() || c.LastBy != "centre" {
		t.Errorf("%+v", c)
	}
	// Without it the schedule does, late.
	d = d.Add(1)
	end = time.Unix(0, n.node.schedule().End(d))
	n.node.cutIfDue(context.Background(), end.Add(followLate-time.Second))
	if c := n.clock(); c.Open != d.String() {
		t.Errorf("too early: %+v", c)
	}
	n.node.cutIfDue(context.Background(), end.Add(followLate))
	if c := n.clock(); c.Open != d.Add(1).String() || c.LastBy != "schedule" {
		t.Errorf("%+v", c)
	}
	n.node.cutIfDue(context.Background(), end.AddDate(1, 0, 0)) // a clock that jumped
	if c := n.clock(); c.Open != d.Add(1).String() {
		t.Errorf("a year ahead: %+v", c)
	}
}

func TestNoticesAreGivenUp(t *testing.T) {
	l := newLives(t)
	l.node.cuts.mu.Lock()
	l.node.cuts.notices = notices{Date: 20261101, Banks: []*notice{{Link: "a"}, {Link: "gone"}}}
	l.node.cuts.mu.Unlock()
	at := time.Now()
	for range mostNotices + 1 {
		l.node.tellBanks(context.Background(), at)
		at = at.Add(noticeEvery)
	}
	for _, b := range l.clock().Notices {
		if !b.GivenUp || b.Answered != 0 {
			t.Errorf("%+v", b)
		}
	}
	if l.logs.FilterMessageSnippet("did not answer").Len() != 1 {
		t.Error("no alarm")
	}
	l.logs.TakeAll()
}
