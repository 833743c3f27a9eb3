package router

import (
	"cmp"
	"errors"
	"slices"
)

// place is a card range with what stands on it. width decides who comes first;
// it may be larger than the range, where others cut pieces out.
type place struct {
	Range
	width uint64
	value int32
}

var errDeep = errors.New("卡号段重叠过多 · too many card ranges lie over each other")

// swept is the card numbers cut into segments.
type swept struct {
	starts []uint64 // of each segment, sorted; the first is 0
	heads  []int32  // the list of each: a place in nodes, or end
	nodes  []node
	base   int32   // the list without any place
	of     []int32 // for each node the place that it stands for, -1 for the base
	places []place // sorted
}

// sweep cuts the card numbers into segments, each with the list of what stands
// on it, narrowest first and then by value. The ends of lists are shared: what is
// within something else is put before its list and taken off again. base is the
// list that all begin with. More than maxNodes in all lists is errDeep.
func sweep(places []place, base []int32) (*swept, error) {
	s := &sweeper{swept: swept{places: places}}
	head := end
	for i := len(base) - 1; i >= 0; i-- {
		head = s.put(base[i], head, -1)
	}
	s.base = head
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.width, b.width), cmp.Compare(a.value, b.value))
	})
	ends := make([]uint64, len(places))
	for i := range places {
		ends[i] = places[i].Hi + 1
	}
	slices.Sort(ends)
	s.starts, s.heads = []uint64{0}, []int32{head}
	for next, gone := 0, 0; gone < len(ends); {
		at := ends[gone]
		if next < len(places) {
			at = min(at, places[next].Lo)
		}
		from, dying := next, 0
		for ; gone < len(ends) && ends[gone] == at; gone++ {
			dying++
		}
		for ; next < len(places) && places[next].Lo == at; next++ {
		}
		if head = s.turn(head, at, from, next, dying); len(s.nodes) > maxNodes {
			return nil, errDeep
		}
		if last := len(s.starts) - 1; s.starts[last] == at {
			s.heads[last] = head
		} else if at <= maxPrefix {
			s.starts, s.heads = append(s.starts, at), append(s.heads, head)
		}
	}
	return &s.swept, nil
}

// last is where segment i ends.
func (s *swept) last(i int) uint64 {
	if i+1 < len(s.starts) {
		return s.starts[i+1] - 1
	}
	return maxPrefix
}

type sweeper struct {
	swept
	kept []int32 // scratch: places before the shared tail
}

func (s *sweeper) put(value, next, of int32) int32 {
	s.nodes, s.of = append(s.nodes, node{value, next}), append(s.of, of)
	return int32(len(s.nodes) - 1)
}

// turn gives the list at a border: without the dying places of the old one, and
// with places[from:to]. What lies behind the last change stays as it is.
func (s *sweeper) turn(head int32, at uint64, from, to, dying int) int32 {
	s.kept = s.kept[:0]
	for from < to || dying > 0 {
		p := end
		if head != end {
			p = s.of[head]
		}
		switch {
		case p >= 0 && s.places[p].Hi < at:
			dying--
			head = s.nodes[head].next
		case from < to && (p < 0 || s.before(int32(from), p)):
			s.kept = append(s.kept, int32(from))
			from++
		default:
			s.kept = append(s.kept, p)
			head = s.nodes[head].next
		}
	}
	for i := len(s.kept) - 1; i >= 0; i-- {
		head = s.put(s.places[s.kept[i]].value, head, s.kept[i])
	}
	return head
}

func (s *sweeper) before(a, b int32) bool {
	x, y := &s.places[a], &s.places[b]
	return cmp.Or(cmp.Compare(x.width, y.width), cmp.Compare(x.value, y.value)) < 0
}
