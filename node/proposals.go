package node

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"tongka/admin"
	"tongka/audit"
)

// proposalLives is how long a second person may think.
const (
	proposalLives = 15 * time.Minute
	maxProposals  = 100

	lowestProposal = 100_000 // six digits
)

// proposals are orders that wait for a second person. They live as long as the
// process: after a restart they are made again, since what they were about may have
// changed. Their numbers are drawn, so that one that was told to the second person
// before a restart is not the number of another order after it.
type proposals[Order any] struct {
	mu  sync.Mutex
	all []proposal[Order]
}

type proposal[Order any] struct {
	admin.Proposal[Order]
	until time.Time
}

func (p *proposals[Order]) tidy(now time.Time) {
	p.all = slices.DeleteFunc(p.all, func(x proposal[Order]) bool { return now.After(x.until) })
}

func (p *proposals[Order]) list() (all []admin.Proposal[Order]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tidy(time.Now())
	for _, x := range p.all {
		all = append(all, x.Proposal)
	}
	return all
}

// add gives a proposal its number; 0 when too many wait.
func (p *proposals[Order]) add(o Order, by audit.Who, now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tidy(now); len(p.all) >= maxProposals {
		return 0
	}
	number := 0
	for number == 0 || slices.ContainsFunc(p.all, func(x proposal[Order]) bool { return x.Number == number }) {
		number = lowestProposal + rand.IntN(9*lowestProposal)
	}
	until := now.Add(proposalLives)
	p.all = append(p.all, proposal[Order]{admin.Proposal[Order]{Number: number, Order: o, By: by, Expires: when(until.UnixNano())}, until})
	return number
}

var (
	errNoProposal = errors.New("没有该提议，或已过期 · no such proposal, or it has expired")
	errSamePerson = errors.New("须由另一人确认（另一系统用户，或另一令牌）· another person must confirm: another user, or another token")
)

// take removes a proposal that a second person confirms.
func (p *proposals[Order]) take(number int, by audit.Who, now time.Time) (o Order, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tidy(now)
	i := slices.IndexFunc(p.all, func(x proposal[Order]) bool { return x.Number == number })
	if i < 0 {
		return o, errNoProposal
	}
	x := p.all[i]
	if x.By.Same(by) {
		return x.Order, errSamePerson
	}
	p.all = slices.Delete(p.all, i, i+1)
	return x.Order, nil
}
