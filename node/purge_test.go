package node

import (
	"strings"
	"testing"

	"tongka/admin"
	"tongka/clearing/day"
)

// A running switch lets nothing go that it may need, and says why.
func TestPurgeByOrder(t *testing.T) {
	l := newLives(t)
	open, err := day.ParseDate(l.clock().Open)
	if err != nil {
		t.Fatal(err)
	}
	for what, says := range map[string]string{"x": "no date", open.String(): "does not have it", open.Add(-1).String(): "does not have it"} {
		if a := l.act(admin.Action{Verb: admin.Purge, What: what}); a.OK || !strings.Contains(strings.Join(a.Lines, " ")+a.En, says) || a.Zh == "" {
			t.Errorf("%s: %+v", what, a)
		}
	}
	if a := l.act(admin.Action{Verb: admin.DayCut, What: open.String()}); !a.OK {
		t.Fatalf("%+v", a)
	}
	if a := l.act(admin.Action{Verb: admin.Purge, What: open.String()}); a.OK || !strings.Contains(strings.Join(a.Lines, " "), "30 days are kept") {
		t.Errorf("%+v", a)
	}
}
