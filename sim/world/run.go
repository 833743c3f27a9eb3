package world

import (
	"fmt"
	"slices"
)

// Run plays one history. The error is of the simulator, not of the switch.
func Run(o Options) (*Result, error) { return run(o, plan(&o), false) }

// Trace plays one history and keeps what happened in it, for people.
func Trace(o Options) (*Result, error) { return run(o, plan(&o), true) }

func run(o Options, history []stimulus, trace bool) (*Result, error) {
	w, err := newWorld(o, trace)
	if err != nil {
		return nil, fmt.Errorf("world: %w", err)
	}
	if err := w.play(history); err != nil && len(w.result.Violations) == 0 {
		return nil, fmt.Errorf("world: seed %d: %w", o.Seed, err)
	}
	return &w.result, nil
}

// Shrink looks for the smallest part of a failed history that still breaks the
// same promise: first the shortest beginning, then ever smaller pieces are left
// out. tries bounds how many histories it plays.
func Shrink(o Options, failed *Result, tries int) (*Result, error) {
	if len(failed.Violations) == 0 {
		return failed, nil
	}
	checker := failed.Violations[0].Checker
	best, result := plan(&o), failed
	var fault error
	breaks := func(part []stimulus) bool {
		if tries--; tries < 0 || fault != nil {
			return false
		}
		r, err := run(o, part, false)
		if err != nil {
			fault = err
			return false
		}
		if len(r.Violations) == 0 || r.Violations[0].Checker != checker {
			return false
		}
		best, result = slices.Clone(part), r
		return true
	}
	for step := len(best) / 2; step > 0 && step < len(best); step /= 2 {
		for len(best) > step && breaks(best[:len(best)-step]) {
		}
	}
	for piece := len(best) / 2; piece > 0; piece /= 2 {
		for from := 0; from < len(best); {
			to := min(from+piece, len(best))
			if !breaks(slices.Concat(best[:from], best[to:])) {
				from = to
			}
		}
	}
	result.Shortest = nil
	for i := range best {
		result.Shortest = append(result.Shortest, best[i].String())
	}
	return result, fault
}
