package node

import (
	"strings"
	"testing"

	"tongka/admin"
	"tongka/sim"
)

// Keys are asked for by the admin API; each reason against it is said.
func TestAskKeysByTheAdminAPI(t *testing.T) {
	l := newLives(t)
	for link, says := range map[string]string{"moon": "no link", "a": "no zmk"} {
		if a := l.act(admin.Action{Verb: admin.Keys, What: link}); a.OK || !strings.Contains(a.En, says) || a.Zh == "" {
			t.Errorf("%s: %+v", link, a)
		}
	}
	bank := bankAt(t, sim.BankConfig{Name: "bank", Listen: "127.0.0.1:0"})
	s, _ := withLines(t, `zmk: "U8EC9D0F77ACA25D5F77D57BD4DE61AE2", address: "`+bank.Addr()+`"`)
	s.until("the line is up", func() bool { return s.linesIn("up") == 1 })
	n := (&lives{t: t, node: s.node})
	if a := n.act(admin.Action{Verb: admin.Keys, What: "bank"}); !a.OK {
		t.Errorf("%+v", a)
	}
	if a := n.act(admin.Action{Verb: admin.Drain, What: "bank"}); !a.OK {
		t.Fatalf("%+v", a)
	}
	if a := n.act(admin.Action{Verb: admin.Keys, What: "bank"}); a.OK || !strings.Contains(a.En, "is up") {
		t.Errorf("%+v", a)
	}
}
