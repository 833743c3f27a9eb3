package node

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"tongka/audit"
)

// A proposal that cannot be kept was not made, one whose end cannot be kept is not
// done, and what was kept is all that the next process has.
func TestProposalsAreKeptFirst(t *testing.T) {
	var disk []byte
	good := func(list []byte) error { disk = list; return nil }
	full := errors.New("the disk is full")
	bad := func([]byte) error { return full }
	alice, bob := audit.Who{UID: 1, Token: "alice"}, audit.Who{UID: 1, Token: "bob"}
	now := time.Now()

	var p proposals[string]
	if _, err := p.add("one", alice, now, bad); !errors.Is(err, full) || len(p.list()) != 0 {
		t.Fatalf("%v: %v", err, p.list())
	}
	one, err := p.add("one", alice, now, good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.take(one, bob, now, bad); !errors.Is(err, full) || len(p.list()) != 1 {
		t.Fatalf("%v: %v", err, p.list())
	}

	var next proposals[string]
	if err := json.Unmarshal(disk, &next.all); err != nil {
		t.Fatal(err)
	}
	if _, err := next.take(one, alice, now, good); !errors.Is(err, errSamePerson) {
		t.Errorf("the same person after a restart: %v", err)
	}
	if _, err := next.take(one, bob, now.Add(proposalLives+time.Second), good); !errors.Is(err, errNoProposal) {
		t.Errorf("too late: %v", err)
	}
	if o, err := next.take(one, bob, now, good); err != nil || o != "one" {
		t.Errorf("%q, %v", o, err)
	}
	if string(disk) != "[]" {
		t.Errorf("what was taken is kept: %s", disk)
	}

	for i := range maxProposals + 1 {
		switch _, err := p.add("more", alice, now, good); {
		case (err != nil) != (i >= maxProposals-1) || err != nil && !errors.Is(err, errManyProposals): // one was there
			t.Fatalf("proposal %d: %v", i, err)
		}
	}
	if _, err := p.add("later", alice, now.Add(proposalLives+time.Second), good); err != nil {
		t.Errorf("expired ones leave no room: %v", err)
	}
}
