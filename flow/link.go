package flow

import "fmt"

// LinkState is where a bank link stands.
type LinkState uint8

// Link states. Only an Up link takes requests.
const (
	LinkDown LinkState = iota
	SigningOn
	LinkUp
)

var linkNames = [...]string{"down", "signing-on", "up"}

// String is the state's name in logs and the console.
func (s LinkState) String() string { return linkNames[s] }

// LinkEvent is something that happened to a link.
type LinkEvent uint8

// Link events.
const (
	Connected LinkEvent = iota
	Lost
	SignedOn // the bank accepted the sign-on
	Refused  // the bank refused the sign-on
	Echoed   // the bank answered an echo
	LinkTimer
)

var linkEventNames = [...]string{"connected", "lost", "signed-on", "refused", "echoed", "timer"}

// String is the event's name in scripts and panics.
func (e LinkEvent) String() string { return linkEventNames[e] }

// LinkDo is what a link asks of the shard.
type LinkDo uint8

// Link effects.
const (
	SendSignOn LinkDo = iota
	SendEcho
	ArmLink // wake me in Link.Wait
	HangUp  // close the connection: it will be dialled again
)

var linkDoNames = [...]string{"send sign-on", "send echo", "arm", "hang up"}

// String is the effect's name in scripts.
func (d LinkDo) String() string { return linkDoNames[d] }

// Link is the sign-on and echo machine of one bank line.
type Link struct {
	State LinkState
	Asked bool  // an echo is out
	Wait  int64 // nanoseconds until LinkTimer, set with ArmLink
	// How long to wait for an answer to sign-on or echo, and between echoes.
	AnswerTimeout, EchoInterval int64
}

// LinkEffects is the bounded list that a link's step returns.
type LinkEffects struct {
	N int
	A [3]LinkDo
}

func (o *LinkEffects) add(d LinkDo) { o.A[o.N], o.N = d, o.N+1 }

// DecideLink moves a link by one event.
//
//	down ─connected▶ signing-on ─signed-on▶ up ─timer▶ echo ─echoed▶ up
//	any ─lost▶ down; no answer or a refusal: hang up, and dial again
func DecideLink(l *Link, ev LinkEvent, out *LinkEffects) {
	out.N = 0
	arm := func(d int64) { l.Wait = d; out.add(ArmLink) }
	// A line that is being closed takes nothing more, even before it is lost.
	hangUp := func() { l.State, l.Asked = LinkDown, false; out.add(HangUp) }
	switch {
	case ev == Lost:
		l.State, l.Asked = LinkDown, false
	case l.State == LinkDown && ev == Connected:
		l.State = SigningOn
		out.add(SendSignOn)
		arm(l.AnswerTimeout)
	case l.State == SigningOn && ev == SignedOn:
		l.State = LinkUp
		arm(l.EchoInterval)
	case l.State == SigningOn && (ev == Refused || ev == LinkTimer):
		hangUp()
	case l.State == LinkUp && ev == LinkTimer && l.Asked:
		hangUp()
	case l.State == LinkUp && ev == LinkTimer:
		l.Asked = true
		out.add(SendEcho)
		arm(l.AnswerTimeout)
	case l.State == LinkUp && ev == Echoed:
		if l.Asked {
			l.Asked = false
			arm(l.EchoInterval)
		}
	case ev == SignedOn || ev == Refused || ev == Echoed || ev == LinkTimer:
		// An answer or a timer from before the line was lost.
	default:
		panic(fmt.Sprintf("flow: link event %v in state %v", ev, l.State))
	}
}
