package conn

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"tongka/conn/cert"
)

// Change is what Update does, or would do. It cuts no session: the connections
// of what is taken away or moved are let go when nothing is owed to them.
type Change struct {
	Listeners, Links Diff
	Draining         int // connections open now that will be let go
}

// Diff lists listeners or links by what becomes of them. What is in no list stays
// as it is. An index is given out once: see Place.
type Diff struct {
	Added    []Place
	Removed  []Place
	Changed  []Place // in place, for connections that are open, too
	Moved    []Place // another address, and the same index: the old connections leave
	Renamed  []Renaming
	Replaced []Place // another framing, or another side or time to dial, so a new index, for what comes from now on
}

// Place is a listener or link and its Peer.Index. An index is never used again;
// new ones follow on the highest that there was.
type Place struct {
	Name  string
	Index int
}

// Renaming is a listener that got another name and keeps all else, its
// connections, too.
type Renaming struct {
	Was string
	Place
}

// Empty says that nothing would change.
func (c *Change) Empty() bool {
	return reflect.DeepEqual(*c, Change{})
}

// step is one line of a plan: what becomes of one listener or link. The old one
// is nil when it is added, the new configuration when it is removed.
type step struct {
	in    *listening
	link  *linking
	asIn  *ListenerConfig
	asOut *LinkConfig
	index int
	kind  stepKind
	fresh *entrance // opened for it
	side  *cert.Side
}

type stepKind uint8

const (
	stays stepKind = iota
	added
	removed
	changed
	moved
	replaced
	renamed
)

// Plan says what Update would do.
func (f *Front) Plan(cfg Config) (Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, c, err := f.plan(&cfg)
	return c, err
}

// Update makes the running front as cfg says. Listeners and links are known by
// their names, which must differ. Either all of it is done, or nothing and the
// error says why. The number of loops cannot change.
func (f *Front) Update(cfg Config) (Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	steps, c, err := f.plan(&cfg)
	if err == nil {
		err = f.openNew(steps)
	}
	if err != nil {
		return Change{}, err
	}
	f.drainTime = or(cfg.DrainTime, defaultDrainTime)
	f.apply(steps)
	return c, nil
}

// plan finds the steps, in the order: what stays or changes, then what goes.
func (f *Front) plan(cfg *Config) (steps []step, c Change, err error) {
	var all faults
	if err := cfg.Validate(); err != nil {
		all = append(all, err)
	}
	if n := or(cfg.Loops, 1); n != len(f.loops) {
		all.add("loops: %d are running, and %d can only come by a restart", len(f.loops), n)
	}
	if f.shut {
		all.add("the front is being stopped")
	}
	all.unique("listeners", len(cfg.Listeners), func(i int) string { return cfg.Listeners[i].Name })
	all.unique("links", len(cfg.Links), func(i int) string { return cfg.Links[i].Name })
	if len(all) > 0 {
		return nil, c, errors.Join(all...)
	}
	s, err := loadSides(cfg, time.Now())
	if err != nil {
		return nil, c, err
	}
	places := f.places
	steps = append(f.planListeners(cfg.Listeners, s.listeners, &places[1]), f.planLinks(cfg.Links, s.links, &places[0])...)
	for i := range steps {
		c.note(&steps[i])
	}
	return steps, c, nil
}

func (f *faults) unique(what string, n int, name func(int) string) {
	had := map[string]bool{}
	for i := range n {
		if had[name(i)] {
			f.add("%s[%d]: the name %q is taken", what, i, name(i))
		}
		had[name(i)] = true
	}
}

func (f *Front) planListeners(configs []ListenerConfig, sides []*cert.Side, next *int) (steps []step) {
	kept := map[*listening]bool{}
	for i := range configs {
		s := step{asIn: &configs[i], kind: added, side: sides[i]}
		for _, l := range f.listeners {
			if l.cfg.Name == s.asIn.Name {
				s.in, s.index, s.kind = l, l.door.index, listenerStep(&l.cfg, s.asIn)
				s.renew(l.door)
				kept[l] = true
			}
		}
		steps = append(steps, s)
	}
	for i := range steps {
		s := &steps[i]
		if s.kind == added {
			f.renamed(s, kept)
		}
		if s.kind == added || s.kind == replaced {
			s.index, *next = *next, *next+1
		}
	}
	for _, l := range f.listeners {
		if !kept[l] {
			steps = append(steps, step{in: l, index: l.door.index, kind: removed})
		}
	}
	return steps
}

// renamed finds the listener whose address a new one has, if that goes: then it is
// the same under another name. Port 0 is a free one, and so no address.
func (f *Front) renamed(s *step, kept map[*listening]bool) {
	if strings.HasSuffix(s.asIn.Addr, ":0") {
		return
	}
	for _, l := range f.listeners {
		if kept[l] || l.cfg.Addr != s.asIn.Addr || l.cfg.Speaks != s.asIn.Speaks || listenerStep(&l.cfg, s.asIn) != changed {
			continue
		}
		s.in, s.index, s.kind, kept[l] = l, l.door.index, renamed, true
		s.renew(l.door)
		return
	}
}

func (f *Front) planLinks(configs []LinkConfig, sides []*cert.Side, next *int) (steps []step) {
	kept := map[*linking]bool{}
	for i := range configs {
		s := step{asOut: &configs[i], kind: added, side: sides[i]}
		for _, k := range f.links {
			if k.cfg.Name == s.asOut.Name {
				s.link, s.index, s.kind = k, k.door.index, linkStep(&k.cfg, s.asOut)
				s.renew(k.door)
				kept[k] = true
			}
		}
		if s.kind == added || s.kind == replaced {
			s.index, *next = *next, *next+1
		}
		steps = append(steps, s)
	}
	for _, k := range f.links {
		if !kept[k] {
			steps = append(steps, step{link: k, index: k.door.index, kind: removed})
		}
	}
	return steps
}

// renew keeps the TLS settings of before when their files are the same; other
// files are a change, although no word of the configuration is another.
func (s *step) renew(d *door) {
	before := d.terms.Load().tls
	if s.side = newer(before, s.side); s.side != before && s.kind == stays {
		s.kind = changed
	}
}

func listenerStep(was, is *ListenerConfig) stepKind {
	switch {
	case !reflect.DeepEqual(was.Framing, is.Framing):
		return replaced
	case was.Addr != is.Addr:
		return moved
	case !reflect.DeepEqual(was, is):
		return changed
	}
	return stays
}

// linkStep: what a line needs to know when it connects makes a new line; limits
// hold at once.
func linkStep(was, is *LinkConfig) stepKind {
	limited := *was
	limited.MaxFrame, limited.FrameTimeout, limited.MaxOutbound = is.MaxFrame, is.FrameTimeout, is.MaxOutbound
	limited.Allow, limited.MaxLines, limited.Silence = is.Allow, is.MaxLines, is.Silence
	limited.TLS = is.TLS // for the next time it connects
	switch {
	case !reflect.DeepEqual(was.Framing, is.Framing) || was.Listen != is.Listen || was.OnDemand != is.OnDemand:
		return replaced
	case !reflect.DeepEqual(&limited, is):
		return moved
	case !reflect.DeepEqual(was, is):
		return changed
	}
	return stays
}

// note writes a step into the change.
func (c *Change) note(s *step) {
	d, name, old := &c.Links, "", (*door)(nil)
	switch {
	case s.asIn != nil:
		d, name = &c.Listeners, s.asIn.Name
	case s.asOut != nil:
		name = s.asOut.Name
	case s.in != nil:
		d, name = &c.Listeners, s.in.cfg.Name
	case s.link != nil:
		name = s.link.cfg.Name
	}
	if s.in != nil {
		old = s.in.door
	} else if s.link != nil {
		old = s.link.door
	}
	if s.kind == renamed {
		d.Renamed = append(d.Renamed, Renaming{s.in.cfg.Name, Place{name, s.index}})
		return
	}
	list := map[stepKind]*[]Place{added: &d.Added, removed: &d.Removed, changed: &d.Changed, moved: &d.Moved, replaced: &d.Replaced}[s.kind]
	if list == nil {
		return
	}
	*list = append(*list, Place{name, s.index})
	if old != nil && s.kind != changed {
		c.Draining += int(old.open.Load())
	}
}

// openNew opens the sockets that the steps need, or none.
func (f *Front) openNew(steps []step) error {
	for i := range steps {
		s := &steps[i]
		var err error
		switch {
		case s.asIn != nil && s.wantsSocket():
			s.fresh, err = f.open(s.asIn.Name, s.asIn.Addr, nil)
		case s.asOut != nil && s.wantsSocket():
			s.fresh, err = f.openLink(s.asOut, nil)
		}
		if err != nil {
			for j := range i {
				steps[j].fresh.close()
			}
			return fmt.Errorf("%s: %w", s.what(), err)
		}
	}
	return nil
}

// wantsSocket is false when what listens now can go on, and for a link also when
// nothing has to listen.
func (s *step) wantsSocket() bool {
	switch {
	case s.kind == added:
		return true
	case s.kind != moved && s.kind != replaced:
		return false
	case s.asIn != nil:
		return s.in.cfg.Addr != s.asIn.Addr
	}
	return s.link.in == nil || s.link.cfg.Addr != s.asOut.Addr
}

// what names the step's new listener or link in an error.
func (s *step) what() string {
	if s.asIn != nil {
		return fmt.Sprintf("listener %q", s.asIn.Name)
	}
	return fmt.Sprintf("link %q", s.asOut.Name)
}

// apply cannot fail.
func (f *Front) apply(steps []step) {
	var old []*door
	f.listeners, f.links = nil, nil
	for i := range steps {
		s := &steps[i]
		var gone *door
		if s.asIn != nil || s.in != nil {
			gone = f.applyListener(s)
		} else {
			gone = f.applyLink(s)
		}
		if gone != nil {
			old = append(old, gone)
		}
	}
	for _, l := range f.loops {
		_ = l.run(f.ctx, l.retime) // as in letGo
	}
	if len(old) > 0 {
		f.letGo(old, &leaving{until: time.Now().Add(f.drainTime).UnixNano()})
	}
	f.forgetDoors()
}

// applyListener gives the door whose connections have to go, if any.
func (f *Front) applyListener(s *step) (gone *door) {
	switch s.kind {
	case stays, changed, renamed:
		s.in.cfg = *s.asIn
		s.in.door.change(listenerTerms(s.asIn, s.side))
		f.listeners = append(f.listeners, s.in)
		return nil
	case removed:
		s.in.in.close()
		return s.in.door
	}
	f.places[1] = max(f.places[1], s.index+1)
	if s.in != nil {
		gone = s.in.door
	}
	if s.fresh == nil { // the same socket, another framing
		f.enter(s.asIn, s.in.in, s.index, s.side)
		return gone
	}
	if s.in != nil {
		s.in.in.close()
	}
	l := f.enter(s.asIn, s.fresh, s.index, s.side)
	l.in.open()
	return gone
}

func (f *Front) applyLink(s *step) (gone *door) {
	switch s.kind {
	case stays, changed:
		s.link.cfg = *s.asOut
		s.link.door.change(linkTerms(s.asOut, s.side))
		f.links = append(f.links, s.link)
		return nil
	case removed:
		s.link.in.close()
		return s.link.door
	}
	f.places[0] = max(f.places[0], s.index+1)
	if s.link != nil {
		gone = s.link.door
		if s.link.in != nil && s.fresh == nil && s.asOut.Listen { // the same socket, another framing
			f.join(s.asOut, s.link.in, s.index, s.side)
			return gone
		}
		s.link.in.close()
	}
	k := f.join(s.asOut, s.fresh, s.index, s.side)
	if s.kind == replaced { // it has an index of its own and need not wait
		f.connect(k, nil)
	} else {
		f.connect(k, gone)
	}
	return gone
}

// forgetDoors drops those that were taken away and have no connections left.
func (f *Front) forgetDoors() {
	kept := f.doors[:0]
	for _, d := range f.doors {
		if d.leaving.Load() == nil || d.open.Load() > 0 {
			kept = append(kept, d)
		}
	}
	clear(f.doors[len(kept):])
	f.doors = kept
}

// retime sets the clocks of connections whose door has another idle limit.
func (l *loop) retime() {
	l.reported()
	for _, s := range l.slots {
		if s.p != nil && s.p.state == open {
			l.wheel.Disarm(s.p.idle)
			l.watchIdle(s.p)
		}
	}
}
