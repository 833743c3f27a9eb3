package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tongka/admin"
	"tongka/audit"
	"tongka/sim"
	"tongka/sim/book"
	"tongka/translate"
	"tongka/txn"
)

// edit does something to the registry, as an operator by the admin socket does.
func (t *till) edit(ctx context.Context, e admin.Edit, in string) error {
	if a := t.node.Registry(ctx, audit.Who{Via: "demo"}, e, strings.NewReader(in)); !a.OK {
		return fmt.Errorf("%s · %s: %v", a.Zh, a.En, a.Lines)
	}
	return nil
}

// cards is the change of the blacklist that puts the terminal's cards on it, or off.
func (t *till) cards(off bool) string {
	text, last := "card,kind,cause,remove\n", ",black,3,\n"
	if off {
		last = ",,,1\n"
	}
	for _, pan := range t.pans {
		text += pan + last
	}
	return text
}

func (t *till) set(column, value string) admin.Edit {
	return admin.Edit{Table: "terminals", Verb: "set", Key: t.name, Column: column, Value: value}
}

var blacklist = admin.Edit{Table: "blacklist", Verb: "import", File: "blacklist.csv"}

// allow takes back what rules has forbidden, also in a life that was killed.
func (t *till) allow(ctx context.Context) error {
	return errors.Join(t.edit(ctx, t.set("kinds", "*"), ""), t.edit(ctx, t.set("limits", ""), ""), t.edit(ctx, t.set("hours", ""), ""), t.edit(ctx, blacklist, t.cards(true)))
}

// elsewhen is an hour of the day that it is not.
func elsewhen(now time.Time) string {
	if now.In(translate.Zone).Hour() < 12 {
		return "22:00-23:00"
	}
	return "01:00-02:00"
}

// rules: what a terminal may not do, and no bank is asked about.
func (t *till) rules(ctx context.Context) {
	tight := "subject,profile,class,single,day_sum,day_count\nterminal,tight,pay,1,,\n"
	t.err = t.edit(ctx, admin.Edit{Table: "limits", Verb: "import", File: "limits.csv"}, tight)
	for _, r := range []struct {
		edit   admin.Edit
		in     string
		kind   txn.Kind
		code   string
		zh, en string
	}{
		{t.set("kinds", "sale|sign-in"), "", txn.PreAuth, "58", "终端不许做预授权", "the terminal may not pre-authorise"},
		{t.set("hours", elsewhen(time.Now())), "", txn.Sale, "58", "营业时间之外", "outside of the opening hours"},
		{t.set("limits", "tight"), "", txn.Sale, "61", "超过终端单笔限额", "over the terminal's limit of one sale"},
		{blacklist, t.cards(false), txn.Sale, "41", "黑名单卡（挂失）", "a card of the blacklist (lost)"},
	} {
		if t.err == nil {
			t.err = t.edit(ctx, r.edit, r.in)
		}
		if t.err != nil {
			return
		}
		t.refused(ctx, r.kind, nil, r.code, r.zh, r.en)
		t.err = errors.Join(t.err, t.allow(ctx))
	}
}

// refused makes a request that is to be refused with a code.
func (t *till) refused(ctx context.Context, kind txn.Kind, of *book.Sale, want, zh, en string) {
	if t.err != nil {
		return
	}
	s, code, err := t.once(ctx, kind, of)
	if err == nil {
		err = sim.Refusal{Code: code}
	}
	if s.Code == "00" {
		err = nil
	}
	t.did(kind, err, txn.Code([]byte(want)), zh, en)
}
