package flow

import "fmt"

// LineState is where one line of a bank stands.
type LineState uint8

// Line states. Only an Up line takes requests.
const (
	LineDown      LineState = iota // out of service, by an operator's wish
	LineDialing                    // not connected, or not by all of its sockets
	LineSigningOn                  // connected; the bank has not accepted our sign-on
	LineUp
	LineProbing  // connected, but taken out: requests are not answered
	LineDraining // takes nothing new; signs off when nothing is in flight
)

var lineNames = [...]string{"down", "dialing", "signing-on", "up", "probing", "draining"}

// String is the state's name in logs and the console.
func (s LineState) String() string {
	if int(s) < len(lineNames) {
		return lineNames[s]
	}
	return "invalid"
}

// LineEvent is something that happened to a line.
type LineEvent uint8

// Line events.
const (
	Connected     LineEvent = iota // all sockets of the line are open
	Lost                           // one of them has gone
	SignedOn                       // the bank accepted the sign-on
	SignOnRefused                  // the bank refused it
	SignedOff                      // the bank answered our sign-off, whatever it said
	Echoed                         // the bank answered an echo
	EchoRefused                    // the bank refused it
	BankSignedOn                   // the bank signs on of its own accord
	BankSignedOff                  // the bank signs off of its own accord
	Missed                         // a request of this use of the line was not answered in time
	LateAnswer                     // an answer came after its deadline
	Idle                           // the last request in flight has ended
	Drain                          // an operator takes the line out of service
	Undrain                        // and gives it back
	LineTimer
	Wanted     // a message was given to a short-lived line
	NotDialled // no connection came for it
)

var lineEventNames = [...]string{"connected", "lost", "signed-on", "sign-on-refused", "signed-off", "echoed", "echo-refused",
	"bank-signed-on", "bank-signed-off", "missed", "late-answer", "idle", "drain", "undrain", "timer", "wanted", "not-dialled"}

// String is the event's name in logs, scripts and panics.
func (e LineEvent) String() string {
	if int(e) < len(lineEventNames) {
		return lineEventNames[e]
	}
	return "invalid"
}

// LineDo is what a line asks of the shard.
type LineDo uint8

// Line effects.
const (
	nothing LineDo = iota
	SendSignOn
	SendEcho
	SendSignOff
	ArmLine // wake me in Line.Wait, and at no earlier time that was asked for
	HangUp  // close all sockets: they will be dialled again
	DialLine
)

var lineDoNames = [...]string{"nothing", "send sign-on", "send echo", "send sign-off", "arm", "hang up", "dial"}

// String is the effect's name in scripts.
func (d LineDo) String() string { return lineDoNames[d] }

// Line is the state machine of one line of a bank. The shard keeps InFlight and
// calls Answered; all else is DecideLine's.
type Line struct {
	State    LineState
	Use      uint32 // which period of service: what an older one left is not counted any more
	InFlight int    // requests of this use without an answer; in half-duplex, reversals too
	Wait     int64  // nanoseconds until LineTimer, set with ArmLine
	Limits   LineLimits

	connected bool
	asked     LineDo // what is out and not answered: sign-on, echo or sign-off
	missed    int    // requests in a row that were not answered
	probes    int    // echoes in a row that were not, while probing
	outs      int    // how often it was taken out since a request was answered
	short     short
}

// LineLimits are a line's settings. Times are nanoseconds.
type LineLimits struct {
	AnswerTimeout int64 // of sign-on, echo and sign-off
	EchoInterval  int64 // between echoes, and before a refused sign-on is tried again
	Window        int   // requests in flight at most; 0 is no limit of its own
	MaxMissed     int   // requests in a row without an answer that take the line out; 0 never does
	HalfDuplex    bool  // one message is out at a time, of whatever kind; a short-lived line must be so
	Short         Short
}

// NewLine is a line that nobody has connected yet; a short-lived one needs no
// more than that to take a request.
func NewLine(limits LineLimits) Line {
	l := Line{State: LineDialing, Limits: limits}
	if !l.Lasts() {
		l.State = LineUp
	}
	return l
}

// Takes says whether the line can take one more request. A line that was taken
// out is on trial until it has answered one: if it is still ill, this costs one
// customer and not a window full.
func (l *Line) Takes() bool {
	if l.State != LineUp {
		return false
	}
	if l.OnTrial() && l.InFlight > 0 {
		return false
	}
	if l.Limits.HalfDuplex {
		return l.Quiet()
	}
	return l.Limits.Window == 0 || l.InFlight < l.Limits.Window
}

// Quiet says that nothing is out on the line, not even an echo.
func (l *Line) Quiet() bool { return l.InFlight == 0 && l.asked == nothing && !l.short.leaving }

// OnTrial says that the line was taken out and has answered no request since.
func (l *Line) OnTrial() bool { return l.outs > 0 }

// Answered notes that a request of this use was answered in time; true says that
// this ended a trial.
func (l *Line) Answered() bool {
	trial := l.OnTrial()
	l.missed, l.outs = 0, 0
	return trial
}

// LineEffects is the bounded list that a line's step returns.
type LineEffects struct {
	N int
	A [3]LineDo
}

func (o *LineEffects) add(d LineDo) { o.A[o.N], o.N = d, o.N+1 }

// Bounds of probing.
const (
	maxProbes  = 3 // echoes in a row without an answer: a new connection may help more
	maxDoubled = 2 // the pause before a probe doubles so often
)

// DecideLine moves a line by one event.
//
//	dialing ─connected▶ signing-on ─signed-on▶ up ─missed too often▶ probing ─echoed▶ up, on trial
//	up ─drain▶ draining ─idle▶ sign-off ─signed-off▶ down ─undrain▶ dialing
//	any ─lost▶ dialing; no answer to sign-on or echo: hang up, and dial again
func DecideLine(l *Line, ev LineEvent, out *LineEffects) {
	out.N = 0
	if !l.Lasts() {
		decideShort(l, ev, out)
		return
	}
	switch ev {
	case Connected:
		l.connect(out)
		return
	case Lost:
		l.end(LineDialing)
		return
	case Drain:
		l.drain(out)
		return
	case Undrain:
		l.undrain(out)
		return
	}
	switch l.State {
	case LineSigningOn:
		l.signingOn(ev, out)
	case LineUp:
		l.up(ev, out)
	case LineProbing:
		l.probing(ev, out)
	case LineDraining:
		l.draining(ev, out)
	case LineDown, LineDialing:
		// An answer or a timer from before the line was lost.
	}
}

func (l *Line) arm(d int64, out *LineEffects) { l.Wait = d; out.add(ArmLine) }

// ask sends a network message and gives it its time.
func (l *Line) ask(what LineDo, out *LineEffects) {
	l.asked = what
	out.add(what)
	l.arm(l.Limits.AnswerTimeout, out)
}

// retire ends a use of the line: what it has in flight is answered or reversed
// as before, but neither fills the window of the next use nor speaks against it.
func (l *Line) retire(to LineState) {
	l.State, l.asked = to, nothing
	l.Use++
	l.InFlight, l.missed = 0, 0
}

// end takes note that the line is not connected any more.
func (l *Line) end(to LineState) {
	if l.State == LineDown || l.State == LineDraining {
		to = LineDown
	}
	l.retire(to)
	l.connected = false
}

// hangUp closes the line. It takes nothing more, even before it is lost.
func (l *Line) hangUp(out *LineEffects) {
	l.end(LineDialing)
	out.add(HangUp)
}

func (l *Line) connect(out *LineEffects) {
	if l.connected {
		panic(fmt.Sprintf("flow: a line is connected twice, in state %v", l.State))
	}
	l.connected = true
	if l.State == LineDialing {
		l.signOn(out)
	}
}

func (l *Line) signOn(out *LineEffects) {
	l.retire(LineSigningOn)
	l.ask(SendSignOn, out)
}

// signOnLater waits before it signs on: the bank does not want us now. Hanging
// up would only bring the same answer sooner.
func (l *Line) signOnLater(out *LineEffects) {
	l.retire(LineSigningOn)
	l.arm(l.Limits.EchoInterval, out)
}

func (l *Line) signingOn(ev LineEvent, out *LineEffects) {
	asked := l.asked == SendSignOn
	switch {
	case ev == SignedOn && asked:
		l.serve(out)
	case ev == SignOnRefused && asked:
		l.signOnLater(out)
	case ev == LineTimer && asked:
		l.hangUp(out)
	case ev == LineTimer, ev == BankSignedOn && !asked:
		l.signOn(out)
	}
}

// serve puts the line into service.
func (l *Line) serve(out *LineEffects) {
	l.State, l.asked, l.probes = LineUp, nothing, 0
	l.arm(l.Limits.EchoInterval, out)
}

func (l *Line) up(ev LineEvent, out *LineEffects) {
	switch asked := l.asked == SendEcho; ev {
	case LineTimer:
		switch {
		case asked:
			l.hangUp(out)
		case l.Limits.HalfDuplex && !l.Quiet(): // whose answer will tell as much
			l.arm(l.Limits.AnswerTimeout, out)
		default:
			l.ask(SendEcho, out)
		}
	case Echoed:
		if asked {
			l.asked = nothing
			l.arm(l.Limits.EchoInterval, out)
		}
	case EchoRefused: // it lives, but does not know us any more
		if asked {
			l.signOn(out)
		}
	case BankSignedOff:
		l.signOnLater(out)
	case Missed:
		l.missed++
		if limit := l.Limits.MaxMissed; limit > 0 && (l.missed >= limit || l.OnTrial()) {
			l.takeOut(out)
		}
	}
}

// takeOut begins to probe: at once the first time, and after a pause that
// doubles when the line answered echoes before, and then no request.
func (l *Line) takeOut(out *LineEffects) {
	l.retire(LineProbing)
	l.probes = 0
	l.outs++
	if l.outs == 1 {
		l.ask(SendEcho, out)
		return
	}
	l.arm(l.Limits.EchoInterval<<min(l.outs-2, maxDoubled), out)
}

func (l *Line) probing(ev LineEvent, out *LineEffects) {
	asked := l.asked == SendEcho
	switch {
	case (ev == Echoed || ev == LateAnswer) && asked:
		l.serve(out)
	case ev == EchoRefused && asked:
		l.signOn(out)
	case ev == BankSignedOff:
		l.signOnLater(out)
	case ev == LineTimer && !asked:
		l.ask(SendEcho, out)
	case ev == LineTimer:
		if l.probes++; l.probes >= maxProbes {
			l.hangUp(out)
			return
		}
		l.asked = nothing
		l.arm(l.Limits.EchoInterval, out)
	}
}

func (l *Line) drain(out *LineEffects) {
	switch l.State {
	case LineDialing:
		l.State = LineDown
	case LineSigningOn:
		l.hangUp(out)
		l.State = LineDown
	case LineUp, LineProbing:
		l.State = LineDraining
		if l.Limits.HalfDuplex && l.asked == SendEcho {
			return // its end is awaited like a request's
		}
		l.asked = nothing
		if l.InFlight == 0 {
			l.ask(SendSignOff, out)
		}
	}
}

// undrain brings the line back. One that is connected has only to sign on.
func (l *Line) undrain(out *LineEffects) {
	switch {
	case l.State == LineDown && !l.connected:
		l.State = LineDialing
	case l.State == LineDown, l.State == LineDraining && l.asked == SendSignOff:
		l.signOn(out)
	case l.State == LineDraining:
		l.serve(out)
	}
}

// draining waits for what is in flight, which ends by its own deadlines, then
// signs off, and hangs up whether the bank answers or not.
func (l *Line) draining(ev LineEvent, out *LineEffects) {
	asked := l.asked == SendSignOff
	switch {
	case ev == Idle && !asked,
		l.asked == SendEcho && (ev == Echoed || ev == EchoRefused || ev == LineTimer):
		l.ask(SendSignOff, out)
	case asked && (ev == SignedOff || ev == LineTimer):
		l.hangUp(out)
	}
}
