package translate

import (
	"time"

	"tongka/txn"
)

// Zone is the time zone of F7, F12, F13 and the business day. China has one.
var Zone = time.FixedZone("CST", 8*60*60)

const second = int64(time.Second)

// Stamp is one second written in the ways that messages need it.
type Stamp struct {
	sec  int64
	day  uint64 // of the year, 1..366, in front of the reference number
	date uint64 // F13, MMDD
	time uint64 // F12, hhmmss
}

// F7 is MMDDhhmmss.
func (s *Stamp) F7() uint64 { return s.date*1_000_000 + s.time }

// Clock writes times. It remembers the last few seconds, since almost all
// messages of a moment share one. It belongs to one goroutine.
type Clock struct{ ring [8]Stamp }

// At gives the stamp of a moment, Unix nanoseconds. It is lent until the next call.
func (c *Clock) At(ns int64) *Stamp {
	sec := ns / second
	s := &c.ring[sec&7]
	if s.sec == sec && s.day != 0 {
		return s
	}
	t := time.Unix(sec, 0).In(Zone)
	s.sec, s.day = sec, uint64(t.YearDay())
	_, month, day := t.Date()
	hour, minute, sek := t.Clock()
	s.date, s.time = uint64(100*int(month)+day), uint64(10000*hour+100*minute+sek)
	return s
}

// RRN is the retrieval reference number (F37, an12) of a transaction: the day
// of the year it arrived on, then nine digits of its number, so it does not
// repeat within a year, and its last six digits are the trace number.
func (c *Clock) RRN(f *txn.Facts) uint64 {
	return c.At(f.At).day*1_000_000_000 + uint64(f.ID)%1_000_000_000
}

func appendUint(dst []byte, v uint64, digits int) []byte {
	var b [20]byte
	for i := digits - 1; i >= 0; i-- {
		b[i] = '0' + byte(v%10)
		v /= 10
	}
	return append(dst, b[:digits]...)
}
