package router

import "tongka/txn"

// Explanation says how Pick came to its answer.
type Explanation struct {
	Link   txn.LinkID
	Reason Reason
	Rule   int    // that was chosen, -1 when none was
	Steps  []Step // one for each rule, in the order of the rules
}

// Step is what one rule had to do with it.
type Step struct {
	Name    string
	Verdict Verdict
}

// Explain does what Pick does, by the same conditions, and says of every rule
// why it was taken or passed over.
func (t *Table) Explain(f *txn.Facts, group uint16, h Health) Explanation {
	x := Explanation{Rule: -1, Reason: NoRule, Steps: make([]Step, len(t.rules))}
	for i := range x.Steps {
		x.Steps[i] = Step{t.rules[i].name, OtherCard}
	}
	for n := t.head(f); n != end; n = t.nodes[n].next {
		i := int(t.nodes[n].rule)
		r, step := &t.rules[i], &x.Steps[i]
		if step.Verdict != OtherCard {
			continue // with a wider range of the same rule
		}
		if step.Verdict = r.misses(f, group, &t.calendar); step.Verdict != fits {
			continue
		}
		if x.Rule >= 0 {
			step.Verdict = Later
			continue
		}
		step.Verdict, x.Rule = Chosen, i
		x.Link, x.Reason = r.choose(f.ID, h)
	}
	return x
}
