// Package day says which business day a record of the journal belongs to.
//
// A day is a window of places in the journal, not of times: each record has one
// place, places only grow, and the ends of the windows are written down once and
// never changed. So a record is in one window, whatever the clock did and in
// whatever order things happened, and a replay finds the same.
//
//	before the books ──┤ origin    day 1    ├──   day 2   ──┤   … open
//	                   cut 0                cut 1           cut 2
package day

import (
	"fmt"
	"time"
)

// Date is a day of the calendar as the number YYYYMMDD; 0 is none.
type Date uint32

const layout = "20060102"

// ParseDate reads YYYYMMDD or YYYY-MM-DD.
func ParseDate(s string) (Date, error) {
	form := layout
	if len(s) == len("2006-01-02") {
		form = "2006-01-02"
	}
	t, err := time.Parse(form, s)
	if err != nil || t.Year() < 1970 {
		return 0, fmt.Errorf("%q 不是日期 YYYYMMDD · %q is no date YYYYMMDD", s, s)
	}
	return dateOf(t), nil
}

func dateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date(y*10000 + int(m)*100 + d)
}

// String is YYYYMMDD.
func (d Date) String() string { return fmt.Sprintf("%08d", uint32(d)) }

// Dashed is YYYY-MM-DD, as reports show it.
func (d Date) Dashed() string {
	return fmt.Sprintf("%04d-%02d-%02d", uint32(d)/10000, uint32(d)/100%100, uint32(d)%100)
}

// in gives the beginning of the date in a zone.
func (d Date) in(zone *time.Location) time.Time {
	return time.Date(int(d/10000), time.Month(d/100%100), int(d%100), 0, 0, 0, 0, zone)
}

// Add gives the date n days later.
func (d Date) Add(n int) Date { return dateOf(d.in(time.UTC).AddDate(0, 0, n)) }

// Schedule says at which time of day the business day changes.
type Schedule struct {
	Zone *time.Location
	// At is the time of day of the cut, from 0 to less than 24 hours. One after
	// noon ends the day of its own date (23:00 of the 1st ends the 1st); one up to
	// noon ends the day before it (02:00 of the 2nd ends the 1st).
	At time.Duration
}

// Validate refuses what is no time of day.
func (s Schedule) Validate() error {
	if s.Zone == nil || s.At < 0 || s.At >= 24*time.Hour {
		return fmt.Errorf("日切时刻 %v 不在 0 到 24 小时之间 · the cut-over %v is no time of day", s.At, s.At)
	}
	return nil
}

// End is the moment at which the schedule ends a day, Unix nanoseconds.
func (s Schedule) End(d Date) int64 {
	if s.At <= 12*time.Hour {
		d = d.Add(1)
	}
	// The hour by the clock on the wall: a zone may have days of 23 hours.
	t := d.in(s.Zone)
	h, m, sec := int(s.At/time.Hour), int(s.At/time.Minute%60), int(s.At/time.Second%60)
	return time.Date(t.Year(), t.Month(), t.Day(), h, m, sec, 0, s.Zone).UnixNano()
}

// Of is the date whose window the schedule has open at a moment.
func (s Schedule) Of(at int64) Date {
	d := dateOf(time.Unix(0, at).In(s.Zone))
	if s.At <= 12*time.Hour {
		d = d.Add(-1)
	}
	if at >= s.End(d) {
		d = d.Add(1)
	}
	return d
}
