package bank

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Profile is how long the bank takes for an answer. The zero value answers at once.
type Profile struct {
	Median time.Duration `json:"median"`
	// Spread is the standard deviation of the logarithm, 0 for the same time each; 0.5 makes one in a
	// hundred take three times the median.
	Spread float64 `json:"spread"`
	// Stuck: the first line that connects to the centre's door hears and never answers, but for sign-on
	// and echo, as a host whose application hangs behind its front end.
	Stuck bool `json:"stuck"`
	// Alone: this process does nothing else, see poll.Poller.
	Alone bool `json:"alone"`
}

// mostDelay is as long as a switch in the bench waits for an answer.
const mostDelay = 5 * time.Second

// Forms are how a profile is written.
const Forms = "0, fixed:5ms, lognormal:20ms,0.5, stuck"

// ParseProfile reads one of Forms.
func ParseProfile(text string) (p Profile, err error) {
	wrong := fmt.Errorf("%q：须为 %s · want one of %s", text, Forms, Forms)
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "0", "stuck":
		p.Stuck = kind == "stuck"
		if rest != "" {
			return Profile{}, wrong
		}
		return p, nil
	case "lognormal":
		median, spread, ok := strings.Cut(rest, ",")
		if p.Spread, err = strconv.ParseFloat(spread, 64); !ok || err != nil || !(p.Spread > 0 && p.Spread <= 2) {
			return Profile{}, wrong
		}
		rest = median
	case "fixed":
	default:
		return Profile{}, wrong
	}
	if p.Median, err = time.ParseDuration(rest); err != nil || p.Median <= 0 || p.Median > mostDelay {
		return Profile{}, wrong
	}
	return p, nil
}

// next draws a time.
func (p *Profile) next(r *rand.Rand) time.Duration {
	if p.Spread == 0 {
		return p.Median
	}
	return min(time.Duration(float64(p.Median)*math.Exp(p.Spread*r.NormFloat64())), mostDelay)
}

// held is an answer that waits for its time.
type held struct {
	due   time.Time
	tag   int32
	life  uint32 // of the connection: another may have its tag by then
	frame []byte
}

// queue holds answers, the earliest first: a binary heap. Buffers are used again.
type queue struct {
	list []held
	free [][]byte
}

func (q *queue) push(h held, frame []byte) {
	if n := len(q.free); n > 0 {
		h.frame, q.free = q.free[n-1], q.free[:n-1]
	}
	h.frame = append(h.frame[:0], frame...)
	q.list = append(q.list, h)
	for i := len(q.list) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.list[i].due.Before(q.list[up].due) {
			break
		}
		q.list[i], q.list[up] = q.list[up], q.list[i]
		i = up
	}
}

// pop takes the earliest; give its buffer back when it is sent.
func (q *queue) pop() held {
	first, last := q.list[0], len(q.list)-1
	q.list[0], q.list[last] = q.list[last], held{}
	q.list = q.list[:last]
	for i := 0; ; {
		low := 2*i + 1
		if low >= last {
			return first
		}
		if low+1 < last && q.list[low+1].due.Before(q.list[low].due) {
			low++
		}
		if !q.list[low].due.Before(q.list[i].due) {
			return first
		}
		q.list[i], q.list[low] = q.list[low], q.list[i]
		i = low
	}
}

// wait is how long until the earliest, or a long time.
func (q *queue) wait(now time.Time) time.Duration {
	if len(q.list) == 0 {
		return time.Hour
	}
	return max(q.list[0].due.Sub(now), 0)
}
