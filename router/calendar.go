package router

import "slices"

// Days is a set of days of the week, and of what a calendar makes of a day.
type Days uint16

// Days of a rule; bits 0 to 6 are Sunday to Saturday.
const (
	Workday Days = 1 << (7 + iota) // Monday to Friday without holidays, and the days worked in exchange
	Holiday                        // every other day
)

var dayNames = [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "workday", "holiday"}

// DayNames are the words that ParseDay knows.
func DayNames() []string { return dayNames[:] }

// ParseDay reads one of DayNames.
func ParseDay(s string) (Days, bool) {
	i := slices.Index(dayNames[:], s)
	return 1 << max(i, 0), i >= 0
}

// Calendar says which days are not what their weekday says. Both lists hold days
// since 1 January 1970.
type Calendar struct {
	Holidays []int32 // of Monday to Friday, not worked
	Workdays []int32 // of Saturday and Sunday, worked in exchange for a holiday
}

// sorted gives a copy that can be searched.
func (c Calendar) sorted() Calendar {
	c.Holidays, c.Workdays = slices.Clone(c.Holidays), slices.Clone(c.Workdays)
	slices.Sort(c.Holidays)
	slices.Sort(c.Workdays)
	return c
}

// zone is China standard time, which knows no summer time: seconds east.
const zone = 8 * 3600

// localTime gives the day since 1970 and the minute of that day of a time in
// Unix nanoseconds, China standard time.
func localTime(at int64) (day int32, minute uint16) {
	s := at/1e9 + zone
	return int32(s / 86400), uint16(s % 86400 / 60)
}

// day gives the weekday of a day since 1970, and whether it is worked.
func (c *Calendar) day(d int32) Days {
	week := (d + 4) % 7 // 1 January 1970 was a Thursday
	_, off := slices.BinarySearch(c.Holidays, d)
	_, on := slices.BinarySearch(c.Workdays, d)
	if on || !off && week != 0 && week != 6 {
		return 1<<week | Workday
	}
	return 1<<week | Holiday
}
