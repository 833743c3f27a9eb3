package engine

import (
	"context"
	"errors"

	"tongka/hsm/pool"
)

// Command is something that another goroutine wants of the shard: a value that
// the shard performs between two turns of its own work. What a command answers
// stands in its fields, to be read once Do has returned nil.
type Command interface {
	// perform runs on the loop, with s.now set. What it records and sends leaves
	// with the turn; an error means that it changed nothing.
	perform(s *Shard) error
}

// maxCommands may wait at once; people and their tools post them, no traffic.
const maxCommands = 64

// Why Do refuses. A context's own error is returned as it is; then the command
// may still be performed later.
var (
	ErrBusy   = errors.New("engine: too many commands wait already")
	ErrFailed = errors.New("engine: the journal has failed, nothing is performed any more")
)

// posted is a command on its way to the loop.
type posted struct {
	what Command
	err  error
	done chan error // room for one, so that the loop never waits for who asked
}

// Do has a command performed on the loop and waits for it. When it returns nil,
// what the command recorded is durable and what it sent has left. It may be
// called from any goroutine once the shard is attached, but not by the loop's.
func (s *Shard) Do(ctx context.Context, c Command) error {
	p := posted{what: c, done: make(chan error, 1)}
	select {
	case s.commands <- p:
	default:
		return ErrBusy
	}
	s.loop.Wake()
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// performCommands performs what has been posted by now, in its order. Looking
// at the length costs a turn one load and no lock.
func (s *Shard) performCommands() {
	for n := len(s.commands); n > 0; n-- {
		p := <-s.commands
		if p.err = ErrFailed; !s.dead {
			p.err = p.what.perform(s)
		}
		s.performed = append(s.performed, p)
	}
}

// answerCommands tells who asked, after all of the turn has happened.
func (s *Shard) answerCommands() {
	for i, p := range s.performed {
		if s.dead {
			p.err = ErrFailed
		}
		p.done <- p.err
		s.performed[i] = posted{}
	}
	s.performed = s.performed[:0]
}

// KeptKey is where a Keep stands in the journal's database.
func KeptKey(name string) []byte { return []byte("kept/" + name) }

// Keep is the command that keeps a few bytes in the journal's database, durably
// and sealed like all that is there.
type Keep struct {
	Name  string
	Value []byte
}

func (c *Keep) perform(s *Shard) error {
	s.log.Put(KeptKey(c.Name), c.Value)
	return nil
}

// Kept is the command that reads what was kept; Value is nil when nothing was.
type Kept struct {
	Name  string
	Value []byte
}

func (c *Kept) perform(s *Shard) (err error) {
	c.Value, _, err = s.log.Lookup(KeptKey(c.Name), nil)
	return err
}

// Count is the command that counts the banks without a line in service and the
// security modules without a connection: a request for them would be refused.
type Count struct{ Banks, Modules int }

func (c *Count) perform(s *Shard) error {
	*c = Count{}
	for i := range s.links {
		if len(s.links[i].serving) == 0 {
			c.Banks++
		}
	}
	for i := range s.hsms {
		if v := s.pool.View(i); !s.hsms[i].gone && (!v.Up || v.State != pool.Ready) {
			c.Modules++
		}
	}
	return nil
}
