package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"tongka/admin"
	"tongka/audit"
	"tongka/engine"
)

// proposalLives is how long a second person may think.
const (
	proposalLives = 15 * time.Minute
	maxProposals  = 100

	lowestProposal = 100_000 // six digits
)

// Names under which the journal's database keeps what waits.
const (
	debtProposals = "proposals-saf"
	cardProposals = "proposals-cards"
)

// proposals are orders that wait for a second person. They are kept in the
// journal's database before the first person is told their numbers, so that a
// restart loses none; what a confirmed one is about is looked at again when it is
// done. Numbers are drawn: nobody confirms another order by counting.
type proposals[Order any] struct {
	mu  sync.Mutex
	all []proposal[Order]
}

type proposal[Order any] struct {
	admin.Proposal[Order]
	Until time.Time `json:"until"`
}

// keeper writes the list where a restart finds it.
type keeper func(list []byte) error

// keep is the keeper of a running switch. Its context is a person's order.
func (n *Node) keep(ctx context.Context, name string) keeper {
	return func(list []byte) error {
		return n.shard.Do(ctx, &engine.Keep{Name: name, Value: list})
	}
}

// loadProposals reads what waits, before the shard has the journal.
func (n *Node) loadProposals() error {
	for name, into := range map[string]any{debtProposals: &n.proposals.all, cardProposals: &n.decisions.all} {
		b, ok, err := n.journal.Lookup(engine.KeptKey(name), nil)
		if err == nil && ok {
			err = json.Unmarshal(b, into)
		}
		if err != nil {
			return fmt.Errorf("待确认的提议 · proposals that wait, %s: %w", name, err)
		}
	}
	return nil
}

// change makes list the one that holds, unless it cannot be kept.
func (p *proposals[Order]) change(list []proposal[Order], keep keeper) error {
	b, err := json.Marshal(list)
	if err == nil {
		err = keep(b)
	}
	if err == nil {
		p.all = list
	}
	return err
}

// waiting are those that have not expired.
func (p *proposals[Order]) waiting(now time.Time) []proposal[Order] {
	return slices.DeleteFunc(slices.Clone(p.all), func(x proposal[Order]) bool { return now.After(x.Until) })
}

func (p *proposals[Order]) list() (all []admin.Proposal[Order]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.waiting(time.Now()) {
		all = append(all, x.Proposal)
	}
	return all
}

var errManyProposals = errors.New("等待确认的提议过多 · too many proposals wait already")

// add keeps a proposal and gives it its number.
func (p *proposals[Order]) add(o Order, by audit.Who, now time.Time, keep keeper) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.waiting(now)
	if len(all) >= maxProposals {
		return 0, errManyProposals
	}
	number := 0
	for number == 0 || slices.ContainsFunc(all, func(x proposal[Order]) bool { return x.Number == number }) {
		number = lowestProposal + rand.IntN(9*lowestProposal)
	}
	until := now.Add(proposalLives)
	all = append(all, proposal[Order]{admin.Proposal[Order]{Number: number, Order: o, By: by, Expires: when(until.UnixNano())}, until})
	return number, p.change(all, keep)
}

var (
	errNoProposal = errors.New("没有该提议，或已过期 · no such proposal, or it has expired")
	errSamePerson = errors.New("须由另一人确认（另一系统用户，或另一令牌）· another person must confirm: another user, or another token")
)

// take removes a proposal that a second person confirms: before it is done, so that
// no restart lets it be done twice.
func (p *proposals[Order]) take(number int, by audit.Who, now time.Time, keep keeper) (o Order, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.waiting(now)
	i := slices.IndexFunc(all, func(x proposal[Order]) bool { return x.Number == number })
	if i < 0 {
		return o, errNoProposal
	}
	x := all[i]
	if x.By.Same(by) {
		return o, errSamePerson
	}
	return x.Order, p.change(slices.Delete(all, i, i+1), keep)
}
