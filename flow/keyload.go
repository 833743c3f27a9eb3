package flow

import "tongka/txn"

// KeyStage says what a request about a terminal's own master key is. The key is
// made, on disk, and out to the terminal before it is in force: until the terminal
// says that it holds the new one, it signs in under the old.
//
//	ask:   find-permit ─▶ make-tmk ─▶ check-tmk ─▶ Record key-made ─▶ reply
//	taken: find-tmk ─▶ Record key-taken, Adopt ─▶ reply
//
// A repeat of either gets what the first got, and makes nothing.
type KeyStage uint8

// Stages.
const (
	NoKey    KeyStage = iota // the request is about something else
	AskKey                   // a master key is wanted
	KeyTaken                 // the terminal holds the one that it got
)

var (
	keyAsked = []Step{FindPermit, MakeTMK, CheckTMK}
	keyTaken = []Step{FindTMK}
)

// keyLoad ends a request about a master key.
func keyLoad(t *Txn, out *Effects) {
	if t.Key == KeyTaken {
		out.add(Effect{Do: Record, Rec: TMKTaken})
		out.add(Effect{Do: Adopt})
		return
	}
	out.add(Effect{Do: Record, Rec: TMKMade})
}

// sameKey answers a repeat: true says that there is nothing more to do.
func sameKey(t *Txn, ev *Event, out *Effects) bool {
	if ev.Fate != Repeat {
		return false
	}
	t.Code, t.Result = txn.OK, txn.Approved
	finish(t, out, true)
	return true
}
