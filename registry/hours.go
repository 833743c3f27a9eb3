package registry

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hours are the opening hours of a week, Beijing time: for each day, Sunday
// first, the minutes from and to. An end at or before the begin is on the next
// day. A day of zeros is closed; the zero Hours are always open.
type Hours [7]span

type span struct{ From, To uint16 }

const (
	minutesDay = 24 * 60
	beijing    = int64(8 * time.Hour)
)

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Open says whether at (Unix nanoseconds) is within the hours.
func (h *Hours) Open(at int64) bool {
	if *h == (Hours{}) {
		return true
	}
	minutes := (at + beijing) / int64(time.Minute)
	day := int((minutes/minutesDay + 4) % 7) // the first of January 1970 was a Thursday
	now := uint16(minutes % minutesDay)
	today, before := h[day], h[(day+6)%7]
	switch {
	case today.From < today.To:
		if now >= today.From && now < today.To {
			return true
		}
	case today != (span{}) && now >= today.From:
		return true
	}
	return before.From >= before.To && before != (span{}) && now < before.To
}

// ParseHours reads "08:00-22:00" for every day, or "mon-fri 08:00-22:00; sat
// 09:00-18:00"; empty is always.
func ParseHours(s string) (h Hours, err error) {
	if strings.TrimSpace(s) == "" {
		return h, nil
	}
	for part := range strings.SplitSeq(s, ";") {
		words := strings.Fields(strings.ToLower(part))
		from, to := 0, 6
		if len(words) == 2 {
			if from, to, err = parseDays(words[0]); err != nil {
				return Hours{}, err
			}
			words = words[1:]
		}
		if len(words) != 1 {
			return Hours{}, fmt.Errorf("%q: want [day-day] HH:MM-HH:MM", part)
		}
		a, b, ok := strings.Cut(words[0], "-")
		begin, errA := parseMinute(a)
		end, errB := parseMinute(b)
		if !ok || errA != nil || errB != nil || begin == minutesDay || begin == end {
			return Hours{}, fmt.Errorf("%q: want HH:MM-HH:MM", words[0])
		}
		for d := from; ; d = (d + 1) % 7 {
			if h[d] != (span{}) {
				return Hours{}, fmt.Errorf("%q: %s has hours already", part, dayNames[d])
			}
			h[d] = span{begin, end}
			if d == to {
				break
			}
		}
	}
	return h, nil
}

func parseDays(s string) (from, to int, err error) {
	a, b, several := strings.Cut(s, "-")
	if !several {
		b = a
	}
	from, to = slices.Index(dayNames, a), slices.Index(dayNames, b)
	if from < 0 || to < 0 {
		return 0, 0, fmt.Errorf("%q: want days of %s", s, strings.Join(dayNames, ", "))
	}
	return from, to, nil
}

func parseMinute(s string) (uint16, error) {
	h, m, ok := strings.Cut(s, ":")
	hour, errH := strconv.ParseUint(h, 10, 8)
	minute, errM := strconv.ParseUint(m, 10, 8)
	if !ok || len(h) != 2 || len(m) != 2 || errH != nil || errM != nil || minute > 59 || hour*60+minute > minutesDay {
		return 0, fmt.Errorf("%q: want HH:MM", s)
	}
	return uint16(hour*60 + minute), nil
}

// String is the hours as ParseHours reads them.
func (h Hours) String() string {
	var parts []string
	for d := range h {
		if h[d] == (span{}) {
			continue
		}
		clock := func(m uint16) string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }
		parts = append(parts, dayNames[d]+" "+clock(h[d].From)+"-"+clock(h[d].To))
	}
	return strings.Join(parts, "; ")
}

// MarshalText and UnmarshalText are the form in the store.
func (h Hours) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hours) UnmarshalText(b []byte) (err error) {
	*h, err = ParseHours(string(b))
	return err
}
