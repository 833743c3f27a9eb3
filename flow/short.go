package flow

// Short are the limits of a short-lived line: one that is dialled when there is
// something to send, and hung up on when that is answered. Times are nanoseconds.
type Short struct {
	Messages int   // on one connection at most, one after the other; 0 is a line that lives long
	Keep     int64 // how long a connection with nothing out waits for the next message; 0: not at all
	Dial     int64 // how long a connection may take to come
}

// Pauses of a short-lived line that could not be dialled, or did not answer: the
// first, and how often it doubles at most. They never exceed LineLimits.EchoInterval.
const (
	shortRest  = int64(1e9)
	maxRestDbl = 6
)

// short is what a short-lived line has beside the others.
type short struct {
	calling  bool // it is dialled, and not open yet
	leaving  bool // it was hung up on, and is not gone yet
	spoilt   bool // something was not answered here: a late answer must not pass for another's
	messages int  // of this connection
}

// Lasts says that the line signs on and stays, unlike a short-lived one.
func (l *Line) Lasts() bool { return l.Limits.Short.Messages == 0 }

// Calling says that a short-lived line is dialled, so that what was given to it
// has not left.
func (l *Line) Calling() bool { return l.short.calling }

// decideShort moves a short-lived line by one event. It is up without a
// connection, and knows neither sign-on nor echo:
//
//	up ─wanted▶ dialled ─connected▶ one message after the other ─idle▶ hang up, or keep for the next
//	up ─not dialled, missed too often▶ probing (rests) ─timer▶ up, on trial
//	up ─drain▶ draining ─idle▶ down ─undrain▶ up
func decideShort(l *Line, ev LineEvent, out *LineEffects) {
	switch ev {
	case Wanted:
		l.short.messages++
		if !l.connected && !l.short.calling {
			l.short.calling = true
			out.add(DialLine)
			l.arm(l.Limits.Short.Dial, out)
		}
	case Connected:
		l.opened(out)
	case Lost:
		l.lost(out)
	case Idle:
		l.settled(out)
	case Missed:
		l.notAnswered(out)
	case NotDialled:
		if l.short.calling {
			l.rest(out)
		}
	case LineTimer:
		l.shortTimer(out)
	case Drain:
		l.drainShort(out)
	case Undrain:
		if l.State == LineDown || l.State == LineDraining {
			l.State = LineUp
		}
	}
}

// opened takes a connection into use. One that nobody waits for any more is hung
// up on; one that only a network message was meant for has the time of an answer.
func (l *Line) opened(out *LineEffects) {
	l.connected, l.short.calling = true, false
	switch {
	case l.InFlight > 0: // its own deadline ends it
	case l.short.messages > 0:
		l.arm(l.Limits.AnswerTimeout, out)
	default:
		l.endCall(out)
	}
}

// lost ends a connection that the bank has ended. If it had something to answer,
// that speaks against it like a missed answer.
func (l *Line) lost(out *LineEffects) {
	if l.short.leaving {
		l.short.leaving = false
		return
	}
	owing := l.InFlight > 0
	l.connected = false
	l.newUse()
	if l.State == LineDraining {
		l.State = LineDown
	}
	if owing {
		l.notAnswered(out)
	}
}

// settled follows the end of the last message that was out.
func (l *Line) settled(out *LineEffects) {
	limits := &l.Limits.Short
	switch {
	case l.State == LineDraining:
		l.endCall(out)
		l.State = LineDown
	case !l.connected:
		l.short.messages = 0
	case l.short.spoilt, l.short.messages >= limits.Messages, limits.Keep == 0:
		l.endCall(out)
	default:
		l.arm(limits.Keep, out)
	}
}

func (l *Line) notAnswered(out *LineEffects) {
	l.short.spoilt = true
	l.missed++
	if limit := l.Limits.MaxMissed; l.State == LineUp && limit > 0 && (l.missed >= limit || l.OnTrial()) {
		l.rest(out)
	}
}

func (l *Line) shortTimer(out *LineEffects) {
	switch {
	case l.short.calling:
		l.rest(out)
	case l.State == LineProbing:
		l.State = LineUp
	case l.connected && l.InFlight == 0:
		l.endCall(out)
	}
}

func (l *Line) drainShort(out *LineEffects) {
	switch {
	case l.State == LineDown:
	case l.InFlight > 0:
		l.State = LineDraining
	default:
		l.endCall(out)
		l.State = LineDown
	}
}

// rest takes the line out of service for a while, longer each time, so that a
// bank that is not there costs no customer its time.
func (l *Line) rest(out *LineEffects) {
	l.endCall(out)
	l.missed = 0
	l.outs++
	if l.State != LineDraining && l.State != LineDown {
		l.State = LineProbing
	} else {
		l.State = LineDown
	}
	l.arm(min(shortRest<<min(l.outs-1, maxRestDbl), max(l.Limits.EchoInterval, 1)), out)
}

// endCall hangs up, if there is a connection, and ends the use of the line.
func (l *Line) endCall(out *LineEffects) {
	if l.connected {
		l.connected, l.short.leaving = false, true
		out.add(HangUp)
	}
	l.newUse()
}

// newUse is retire for a line whose state stays.
func (l *Line) newUse() {
	l.Use++
	l.InFlight, l.asked = 0, nothing
	l.short.calling, l.short.spoilt, l.short.messages = false, false, 0
}
