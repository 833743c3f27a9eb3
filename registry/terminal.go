package registry

import (
	"strings"
	"sync/atomic"

	"tongka/hsm"
	"tongka/txn"
)

// Kinds is the set of transaction kinds that a terminal may use, one bit for
// each txn.Kind.
type Kinds uint32

// AllKinds allows everything, also kinds that a later version adds.
const AllKinds = ^Kinds(0)

// Has says whether k is in the set.
func (s Kinds) Has(k txn.Kind) bool { return k < 32 && s>>k&1 != 0 }

// With gives the set with k added.
func (s Kinds) With(k txn.Kind) Kinds {
	if k >= 32 {
		return s
	}
	return s | 1<<k
}

// String is the set as the kinds column of an import holds it: "*" for all,
// "-" for none, or names joined by "|".
func (s Kinds) String() string {
	switch s {
	case AllKinds:
		return "*"
	case 0:
		return "-"
	}
	var names []string
	for k := txn.Kind(1); k < 32; k++ {
		if s.Has(k) {
			names = append(names, k.String())
		}
	}
	return strings.Join(names, "|")
}

// Profile is what an operator says of a terminal. It is plain data and never
// changes once it is in a Snapshot.
type Profile struct {
	ID    txn.Terminal
	TMK   hsm.Key    // terminal master key under the LMK; working keys travel under it
	MAC   hsm.MACAlg // how F64 is made
	Group uint16     // the operator's own division, 0 when unused
	Kinds Kinds
}

// Terminal is a profile and the session that the last sign-in began. It is one
// cache line (64 bytes), so that finding a terminal touches two lines: the
// table's and this one. All fields but the session are read-only.
type Terminal struct {
	Profile
	session atomic.Pointer[Session]
}

// Session is what a sign-in gave a terminal. It is immutable once installed.
type Session struct {
	PIK   hsm.Key // PIN key under the LMK
	MAK   hsm.Key // MAC key under the LMK
	TDK   hsm.Key // key for track data under the LMK; none when the terminal did not ask for one
	Batch uint32  // F60.2, n6
	Since int64   // Unix nanoseconds
	Until int64   // Unix nanoseconds; from here on the terminal must sign in again
}

// Session gives the running session, nil when there is none or it has ended at
// now (Unix nanoseconds).
func (t *Terminal) Session(now int64) *Session {
	s := t.session.Load()
	if s == nil || now >= s.Until {
		return nil
	}
	return s
}

// Last gives the newest session, ended or not; nil when there never was one.
// The next sign-in continues its batch number.
func (t *Terminal) Last() *Session { return t.session.Load() }
