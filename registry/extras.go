package registry

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/dgraph-io/badger/v4"

	"tongka/hsm"
	"tongka/registry/limits"
	"tongka/txn"
)

// Details are what an operator may say of a terminal beside its Profile. They
// lie apart from it: a look-up of a terminal is one line of the cache, and few
// have any.
type Details struct {
	Transport hsm.Key `json:"transport,omitzero"` // under the LMK; a TMK is downloaded under it
	TDK       bool    `json:"tdk,omitempty"`      // encrypts its tracks
	Limits    string  `json:"limits,omitempty"`   // profile; empty is the default one
	Hours     Hours   `json:"hours,omitzero"`
	Maker     string  `json:"maker,omitempty"`  // whose transport key it has
	Serial    string  `json:"serial,omitempty"` // of the hardware, as a download of its TMK names it
	// Permit is when an operator allowed one download of a master key, and until
	// when; Unix nanoseconds, 0 when there is none.
	Permit      int64 `json:"permit,omitempty"`
	PermitUntil int64 `json:"permit_until,omitempty"`
	// TMKAt is when an operator gave another TMK than one that was downloaded: what
	// was downloaded before holds no more.
	TMKAt int64 `json:"tmk_at,omitempty"`
	// Given is the TMK that an operator gave last, where one was permitted to be
	// downloaded: a file that still says it, as at every start, changes nothing.
	Given hsm.Key `json:"given,omitzero"`
}

// Merchant is what an operator says of a merchant.
type Merchant struct {
	Number   [15]byte `json:"-"`
	Name     string   `json:"name,omitempty"` // UTF-8
	MCC      string   `json:"mcc,omitempty"`  // 4 digits
	Category string   `json:"category,omitempty"`
	Kinds    Kinds    `json:"kinds"`
	Group    uint16   `json:"group,omitempty"`
	Limits   string   `json:"limits,omitempty"`
	Hours    Hours    `json:"hours,omitzero"`
	Closed   bool     `json:"closed,omitempty"`
}

// Rule names one limit: of whom, the profile, and what is counted together.
type Rule struct {
	Of      limits.Subject
	Profile string
	Class   limits.Class
	limits.Rule
}

// extras is all of a snapshot but the terminals. Nothing in it changes.
type extras struct {
	details   map[txn.Terminal]*Details
	serials   map[string]txn.Terminal
	merchants map[[15]byte]*Merchant
	limits    *limits.Set // nil when there are none

	transports map[TransportKey]hsm.Key
}

// Details gives what more is known of a terminal; nil when there is nothing.
func (s *Snapshot) Details(id *txn.Terminal) *Details { return s.more.details[*id] }

// Merchant finds a merchant. listed is false when there is no table of merchants
// at all: then all may trade.
func (s *Snapshot) Merchant(number *[15]byte) (m *Merchant, listed bool) {
	return s.more.merchants[*number], len(s.more.merchants) > 0
}

// Merchants is the number of merchants in the table.
func (s *Snapshot) Merchants() int { return len(s.more.merchants) }

// Limits are the limits of a day; nil when there are none.
func (s *Snapshot) Limits() *limits.Set { return s.more.limits }

// Prefixes in Badger of what extras holds; the values are JSON.
const (
	detailsPrefix  = 'd'
	merchantPrefix = 'm'
	limitPrefix    = 'l'
)

func limitKey(r *Rule) []byte {
	return fmt.Appendf([]byte{limitPrefix}, "%d%d%s", r.Of, r.Class, r.Profile)
}

// loadExtras reads what openStore's tables hold beside terminals and sessions.
func loadExtras(db *badger.DB) (*extras, error) {
	x := &extras{details: map[txn.Terminal]*Details{}, merchants: map[[15]byte]*Merchant{}, transports: map[TransportKey]hsm.Key{}}
	err := scan(db, detailsPrefix, func(key, val []byte) error {
		var id txn.Terminal
		if len(key) != 1+idSize {
			return errForm
		}
		readID(&id, key[1:])
		d := new(Details)
		x.details[id] = d
		return json.Unmarshal(val, d)
	})
	if err == nil {
		x.serials = serialsOf(x.details)
		err = scan(db, transportPrefix, func(key, val []byte) error { return readTransport(x, key, val) })
	}
	if err == nil {
		err = scan(db, merchantPrefix, func(key, val []byte) error {
			if len(key) != 16 {
				return errForm
			}
			m := &Merchant{Number: [15]byte(key[1:])}
			x.merchants[m.Number] = m
			return json.Unmarshal(val, m)
		})
	}
	if err == nil {
		err = scan(db, limitPrefix, func(key, val []byte) error {
			if len(key) < 4 {
				return errForm
			}
			r := Rule{Of: limits.Subject(key[1] - '0'), Class: limits.Class(key[2] - '0'), Profile: string(key[3:])}
			if r.Of >= limits.Subjects || r.Class >= limits.Classes {
				return errForm
			}
			if err := json.Unmarshal(val, &r.Rule); err != nil {
				return err
			}
			x.limits = withRule(x.limits, &r)
			return nil
		})
	}
	return x, err
}

// withRule gives a set with one rule more, or another one in its place.
func withRule(s *limits.Set, r *Rule) *limits.Set {
	next := new(limits.Set)
	if s != nil {
		*next = *s
	}
	profiles := maps.Clone(next[r.Of])
	if profiles == nil {
		profiles = map[string]*limits.Profile{}
	}
	p := new(limits.Profile)
	if old := profiles[r.Profile]; old != nil {
		*p = *old
	}
	p[r.Class] = r.Rule
	if profiles[r.Profile] = p; *p == (limits.Profile{}) {
		delete(profiles, r.Profile)
	}
	next[r.Of] = profiles
	for _, of := range next {
		if len(of) > 0 {
			return next
		}
	}
	return nil
}

// amend puts other extras into force once write has them on disk.
func (r *Registry) amend(write func(wb *badger.WriteBatch) error, x *extras) error {
	wb := r.db.NewWriteBatch()
	defer wb.Cancel()
	if err := write(wb); err != nil {
		return fmt.Errorf("registry: save: %w", err)
	}
	if err := r.settleBatch(wb); err != nil {
		return err
	}
	// Terminals, their sessions and marks are the same memory in both snapshots.
	next := *r.snap.Load()
	next.more = x
	r.snap.Store(&next)
	return nil
}
